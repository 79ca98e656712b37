# A manager with real services, in a scratch directory and a cgroup of its own.
setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export RINGFENCE_BUILD=${RINGFENCE_BUILD:-$top/build/gcc}
    unset NOTIFY_SOCKET
    manager=
    options=() # more of them, for begin
    scratch=$(mktemp -d "${BATS_TMPDIR:-/tmp}/manager.XXXXXX")
    chmod 755 "$scratch"
    [ "$(id -u)" = 0 ] || skip "needs root"
    tree=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    [ -n "$tree" ] || skip "there is no cgroup v2"
    cgroup=$tree/ringfence-test-${scratch##*.}
    mkdir "$scratch/units"
    echo 'manager = { missing_controllers = "warn"; };' >"$scratch/ringfence.conf"
}

teardown() {
    [ -z "${logger:-}" ] || kill -KILL "$logger" 2>/dev/null || true
    if [ -n "$manager" ]; then
        kill -KILL "$manager" 2>/dev/null || true
        echo 1 >"$cgroup/cgroup.kill" 2>/dev/null || true
        sleep 0.2
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
    fi
    [ -z "${scratch:-}" ] || rm -rf "$scratch"
}

# unit NAME: the file comes on standard input.
unit() { cat >"$scratch/units/$1.unit"; }

begin() {
    "$RINGFENCE_BUILD/ringfence-manager" --foreground --units "$scratch/units" \
        --runtime-dir "$scratch/run" --state-dir "$scratch/state" --log-dir "$scratch/log" \
        --cgroup "$cgroup" --config "$scratch/ringfence.conf" "${options[@]}" 2>"$scratch/stderr" 3>&- &
    manager=$!
}
ring() { "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" "$@"; }

# eventually COMMAND...: within ten seconds.
eventually() {
    local i
    for ((i = 0; i < 200; i++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    echo "never: $*"
    cat "$scratch/stderr"
    return 1
}
said() { grep -Eq "$1" "$scratch/stderr"; }
# times N TEXT: it was said so often.
times() { [ "$(grep -c "$2" "$scratch/stderr")" = "$1" ]; }
quiet() { ! said "$1"; }
ended() { [ ! -e "/proc/$manager" ] || [ "$(awk '/^State/ { print $2 }' "/proc/$manager/status")" = Z ]; }

# finish: everything stops, and nothing is left.
finish() {
    local status=0
    kill -TERM "$manager"
    eventually ended
    wait "$manager" || status=$?
    manager=
    [ "$status" -eq 0 ] || { echo "status $status"; cat "$scratch/stderr"; false; }
    quiet "did not expect" || { cat "$scratch/stderr"; false; }
    [ ! -e "$cgroup" ] || { echo "$cgroup is still there"; false; }
    ! grep -q " $scratch/" /proc/self/mountinfo
    [ -z "$(find "$scratch/run/notify" "$scratch/run/output" -mindepth 1)" ]
}
main_pids() { cat "$cgroup/unit-$1/main/cgroup.procs"; }

# logger: the output goes into logs; teardown ends it where the test did not.
logger() {
    "$RINGFENCE_BUILD/ringfence-logd" --runtime-dir "$scratch/run" --log-dir "$scratch/log" \
        2>>"$scratch/logd" 3>&- &
    logger=$!
}
# quit: the logger ends, then everything as in finish.
quit() {
    kill -TERM "$logger"
    wait "$logger" || true
    finish
}
