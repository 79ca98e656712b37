#!/usr/bin/env bats
# Nobody wakes up when nothing happens: neither keeper, manager nor logger in a whole minute, with
# idle units of several kinds. tests/run begins this before all else and looks at it in the end, so
# that the minute is nobody's; RINGFENCE_IDLE_SECONDS makes it another.
load ../eventually.bash

setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    build=${RINGFENCE_BUILD:-$top/build/gcc}
    unset NOTIFY_SOCKET
    keepers=()
    scratch=
    [ "$(id -u)" = 0 ] || skip "needs root"
    tree=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    [ -n "$tree" ] || skip "there is no cgroup v2"
    scratch=$(mktemp -d "${BATS_TMPDIR:-/tmp}/idle.XXXXXX")
    cgroup=$tree/ringfence-${scratch##*/}
    echo 'manager = { missing_controllers = "warn"; };' >"$scratch/ringfence.conf"
}

teardown() {
    local pid
    for pid in "${keepers[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    for tree in "$cgroup"*; do
        [ ! -e "$tree" ] || echo 1 >"$tree/cgroup.kill"
        find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    [ -z "$scratch" ] || rm -rf "$scratch"
}

# units NAME: in NAME.units, idle in all the ways there are.
units() {
    unit() { cat >"$scratch/$name.units/$1.unit"; }
    local name=$1
    mkdir "$scratch/$name.units"
    unit plain <<'U'
service = { exec = [ "/bin/sleep", "100000" ]; };
U
    unit notifies <<U
service = { type = "notify"; exec = [ "/mnt/notify-client", "say", "READY=1|STATUS=idle", "wait" ]; };
mounts = ( { type = "bind"; source = "$build/tests"; target = "/mnt"; readonly = true; } );
U
    unit talked <<'U'
service = { exec = [ "/bin/sh", "-c", "echo some words; exec sleep 100000" ]; };
logging = { driver = "file"; };
U
    unit listens <<U
service = { exec = [ "/bin/sleep", "100000" ]; };
network = { sockets = [ "$scratch/$name.sock" ]; sockets_lazy = true; };
U
    # Not before half an hour from now, whenever that is.
    unit hourly <<U
service = { type = "oneshot"; exec = [ "/bin/true" ]; };
timer   = { schedule = "$((($(date +%s) / 60 + 30) % 60)) * * * * UTC"; };
U
    unit done <<'U'
service = { type = "oneshot"; exec = [ "/bin/true" ]; remain_after_exit = true; };
U
    unit failed <<'U'
service = { exec = [ "/bin/false" ]; };
restart = { policy = "no"; };
U
    unit off <<'U'
service = { exec = [ "/bin/sleep", "100000" ]; };
install = { enabled = false; };
U
}

# begin NAME: three programs with a runtime directory of that name.
begin() {
    units "$1"
    "$build/ringfenced" --foreground --units "$scratch/$1.units" --runtime-dir "$scratch/$1" \
        --state-dir "$scratch/$1.state" --log-dir "$scratch/$1.log" --cgroup "$cgroup-$1" \
        --config "$scratch/ringfence.conf" 2>>"$scratch/$1.stderr" 3>&- &
    keepers+=($!)
    eventually is "$1" plain ready
    eventually is "$1" notifies ready
    eventually is "$1" talked ready
    eventually is "$1" listens listening
    eventually is "$1" hourly loaded
    eventually is "$1" done ready
    eventually is "$1" failed failed
}
ring() { "$build/ringfence" --runtime-dir "$scratch/$1" "${@:2}"; }
is() { [ "$(ring "$1" list "$2" | awk 'NR == 2 { sub(",", ""); print $2 }')" = "$3" ]; }
never() {
    ring run list
    cat "$scratch"/*.stderr
}

# Of each thread of all six: how often it has left the processor, which it does after each wake-up.
switches() {
    local keeper pid thread
    for keeper in "${keepers[@]}"; do
        for pid in $keeper $(cat "/proc/$keeper/task/$keeper/children"); do
            case $(cat "/proc/$pid/comm") in ringfence*) ;; *) continue ;; esac
            for thread in "/proc/$pid/task"/*; do
                awk -v thread="${thread##*/}" '/^Name/ { name = $2 } /ctxt_switches/ { n += $2 }
                    END { print name, thread, n }' "$thread/status"
            done
        done
    done
}
settled() { # ten seconds after something was said it is seen whether the logger has heard it
    local before
    before=$(switches)
    sleep 11
    [ "$(switches)" = "$before" ]
}

@test "nobody wakes up when nothing happens" {
    begin run
    begin anew
    ring anew reexec # found again, its units are watched in other ways
    eventually is anew plain ready
    eventually settled
    before=$(switches)
    echo "$before"
    [ "$(wc -l <<<"$before")" -eq 6 ]
    sleep "${RINGFENCE_IDLE_SECONDS:-60}"
    diff <(echo "$before") <(switches)
    for keeper in "${keepers[@]}"; do
        kill -TERM "$keeper"
        wait "$keeper"
    done
    keepers=()
    [ -z "$(find "$cgroup"* -maxdepth 0 2>/dev/null)" ]
}
