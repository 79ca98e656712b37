# A manager with real services, in a scratch directory and a cgroup of its own.
load ../eventually.bash

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
    local helper
    for helper in ${logger:-} ${client:-}; do kill -KILL "$helper" 2>/dev/null || true; done
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
# ringfenced over the manager and the logger; `keeper` is its pid, and finish ends it.
begin_kept() {
    "$RINGFENCE_BUILD/ringfenced" --foreground --units "$scratch/units" \
        --runtime-dir "$scratch/run" --state-dir "$scratch/state" --log-dir "$scratch/log" \
        --cgroup "$cgroup" --config "$scratch/ringfence.conf" 2>>"$scratch/stderr" 3>&- &
    manager=$!
    keeper=$!
    eventually ring list
}
# child [NAME]: the manager, or another child of ringfenced. What a manager that has died was
# launching has its name still, and is not it.
child() {
    local pid
    for pid in $(cat "/proc/$keeper/task/$keeper/children"); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "${1:-ringfence-manag}" ] ||
            grep -qs /unit- "/proc/$pid/cgroup" || echo "$pid"
    done
}
ring() { "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" "$@"; }

never() { cat "$scratch/stderr"; }
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
state() { ring list --json | perl -0777 -ne '/"name":"'"$1"'".*?"state":"([a-z]+)"/ and print $1'; }
is() { [ "$(state "$1")" = "$2" ]; }
# All in there; for a moment after its start, what has launched it is among them.
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
