#!/usr/bin/env bats
# That the benchmark runs and prints its tables; how fast anything is, is not judged here.

setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export RINGFENCE_BUILD=${RINGFENCE_BUILD:-$top/build/gcc}
    [ "$(id -u)" = 0 ] || skip "needs root"
    [ -x "$RINGFENCE_BUILD/bench/bench-floor" ] || skip "this build has no benchmark"
}

@test "a short run prints launches and restarts" {
    run "$top/tests/bench/launch" 3 0
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [[ "$output" =~ "request to first instruction, ms" ]]
    [[ "$output" =~ floor\ +[0-9]+\.[0-9]{2}\ +[0-9]+\.[0-9]{2}\ +1\.00 ]]
    [[ "$output" =~ "ringfence start" ]]
    [[ "$output" =~ "exit to next first instruction, ms" ]]
    [[ "$output" =~ "restarts)" ]]
}

@test "the floor names the step that fails" {
    run "$RINGFENCE_BUILD/bench/bench-floor" launch /nowhere /nowhere /nowhere /nowhere <<<x
    [ "$status" -eq 1 ]
    [[ "$output" == "floor: mkdir: /nowhere/floor: No such file or directory" ]]
}

@test "a contender that fails ends the run with its name" {
    run "$RINGFENCE_BUILD/bench/bench-rounds" 1 0 -- "no stamp" command /bin/true
    [ "$status" -eq 1 ]
    [[ "$output" == "rounds: no stamp: it ended without a stamp" ]]
    run "$RINGFENCE_BUILD/bench/bench-rounds" 1 0 -- lonely
    [ "$status" -eq 1 ]
    [[ "$output" == "rounds: lonely: LABEL, KIND and arguments are expected" ]]
}
