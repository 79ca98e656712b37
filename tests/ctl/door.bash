# A made-up manager behind a real control door, and a few words for the tests of the tool.
load ../eventually.bash

setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export RINGFENCE_BUILD=${RINGFENCE_BUILD:-$top/build/gcc} TZ=UTC LC_ALL=C.UTF-8
    unset NO_COLOR PAGER RINGFENCE_PAGER
    scratch=$(mktemp -d "${BATS_TMPDIR:-/tmp}/ctl.XXXXXX")
    cd "$scratch" || return
    mkdir run log
    export RINGFENCE_RUNTIME_DIR=$scratch/run
    manager=
}

teardown() {
    if [ -n "$manager" ]; then
        kill "$manager" 2>/dev/null || true
        wait "$manager" 2>/dev/null || true
    fi
    cd / && rm -rf "$scratch"
}

serve() { # serve [COMMAND...]: start the manager, under a command where one is given
    "$@" "$RINGFENCE_BUILD/tests/door-manager" "$scratch/run" "$scratch/log" >notes 2>&1 3>&- &
    manager=$!
    eventually grep -q listening notes
}

never() { :; }

ringfence() { "$RINGFENCE_BUILD/ringfence" "$@"; }

slay() { # it dies without a word
    kill -KILL "$manager"
    wait "$manager" 2>/dev/null || true
}

# The tool in the background, as $started.
behind() {
    "$RINGFENCE_BUILD/ringfence" "$@" 3>&- &
    started=$!
}

# The tool with its output in $output, its complaints in $stderr and its code in $status.
tool() {
    status=0
    output=$("$RINGFENCE_BUILD/ringfence" "$@" 2>"$scratch/stderr" </dev/null) || status=$?
    stderr=$(<"$scratch/stderr")
}

is() { # is STATUS [STDERR]: what the last tool ended with
    [ "$status" -eq "$1" ] && [ "$stderr" = "${2-}" ] ||
        { printf 'status %s, said: %s\nand printed: %s\n' "$status" "$stderr" "$output"; false; }
}

same() { # standard input is what was printed
    diff <(cat) <(printf '%s\n' "$output")
}

json() { # json FILTER: of what was printed; it must be true
    jq -e "$1" <<<"$output" >/dev/null || { printf '%s\n' "$output"; false; }
}
