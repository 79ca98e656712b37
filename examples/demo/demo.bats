#!/usr/bin/env bats
# The demonstration is a test: its units are right, and all that it shows is as it says.

setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export RINGFENCE_BUILD=${RINGFENCE_BUILD:-$top/build/gcc}
}

@test "the units of the demonstration are right" {
    run "$RINGFENCE_BUILD/ringfence" verify "$top/examples/demo"
    [ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "examples/run: everything is as expected" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    "$top/examples/demo/layers" "$top/build/demo" ||
        skip "its packages cannot be downloaded here"
    run "$top/examples/run"
    [ "$status" -eq 0 ] || { grep -B 4 -E '✗|^examples/run:' <<<"$output"; echo "$output"; false; }
    [[ "$output" =~ "were as expected." ]]
}

@test "examples/run refuses what it does not know" {
    run "$top/examples/run" --what
    [ "$status" -eq 2 ]
    [ "$output" = "usage: examples/run [--keep]" ]
}
