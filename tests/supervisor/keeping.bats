#!/usr/bin/env bats
# The three programs together: what dies comes back, what is stopped leaves nothing.

setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    build=${RINGFENCE_BUILD:-$top/build/gcc}
    keeper=
    [ "$(id -u)" = 0 ] || skip "needs root"
    [ -x "$build/ringfence-manager" ] || skip "this build has no manager"
    tree=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
    [ -n "$tree" ] || skip "there is no cgroup v2 here"
    cgroup=$tree/ringfence-keeper-$$
    scratch=$(mktemp -d "${BATS_TMPDIR:-/tmp}/keeping.XXXXXX")
    cd "$scratch"
    mkdir units
    export RINGFENCE_RUNTIME_DIR=$scratch/run
    unset NOTIFY_SOCKET
    unit first 'echo hello; echo trouble >&2; exec sleep 1000'
    unit counting 'trap "echo bye; exit 0" TERM; i=0; while :; do i=$((i + 1)); echo $i; sleep 0.05; done'
    unit last 'exec sleep 1000' 'unit = { requires = ["first"]; };'
}

teardown() {
    [ -n "$scratch" ] || return 0
    if [ -n "$keeper" ]; then
        kill -KILL "$keeper" || true
        sleep 0.3
    fi
    [ ! -e "$cgroup" ] || echo 1 >"$cgroup/cgroup.kill"
    sleep 0.1
    [ ! -e "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} +
    cd / && rm -rf "$scratch"
}

unit() {
    cat >"units/$1.unit" <<END
$3
service = { exec = ["/bin/sh", "-c", "${2//\"/\\\"}"]; };
install = { enabled = true; };
END
}
begin() {
    "$@" "$build/ringfenced" --foreground --units "$scratch/units" --runtime-dir "$scratch/run" \
        --state-dir "$scratch/state" --log-dir "$scratch/log" --cgroup "$cgroup" 2>stderr 3>&- &
    keeper=$!
    eventually ready first
    eventually ready last
    eventually ready counting
}
# The exit status of ringfenced.
finish() {
    local status=0
    kill -TERM "$keeper"
    eventually dead
    wait "$keeper" || status=$?
    keeper=
    return $status
}
dead() { [ "$(awk '/^State/ { print $2 }' "/proc/$keeper/status")" = Z ] || ! kill -0 "$keeper"; }
eventually() {
    local i
    for ((i = 0; i < 200; i++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    echo "never: $*"
    cat stderr
    return 1
}
ready() { "$build/ringfence" is-active "$1"; }
child() {
    local pid
    for pid in $(cat "/proc/$keeper/task/$keeper/children"); do
        [ "$(tr '\0' '\n' <"/proc/$pid/cmdline" | head -n 1)" != "$1" ] || echo "$pid"
    done
}
logged() { grep -qE "$2" "log/$1/current"; }

@test "units run, and their output is in their logs" {
    begin
    eventually logged first ' first\[[1-9][0-9]*\] out: hello$'
    eventually logged first ' first\[[1-9][0-9]*\] err: trouble$'
    run "$build/ringfence" logs first
    [ "$status" -eq 0 ]
    [[ "$output" == *hello* && "$output" == *trouble* ]]
    finish
    logged counting 'out: bye$'
}

@test "nothing is left after the end" {
    begin
    finish
    [ -z "$(find "$cgroup" -mindepth 1 -type d 2>/dev/null)" ]
    [ -z "$(find run -type s -o -type p)" ]
    [ -z "$(find run/output run/notify -mindepth 1)" ]
    ! grep -l "$scratch" /proc/[0-9]*/cmdline
    ! grep " $scratch" /proc/self/mountinfo
    ! grep -q "started again" stderr
}

@test "a killed manager comes back, and its units with it" {
    begin
    manager=$(child ringfence-manager)
    kill -KILL "$manager"
    eventually grep -q "^ringfenced: ringfence-manager (pid $manager) ended by itself: SIGKILL; starting it again in 100 ms$" stderr
    eventually ready counting
    eventually ready last
    [ "$(child ringfence-manager)" != "$manager" ]
    # One of each, not two.
    [ "$(find "$cgroup" -name cgroup.procs -exec cat {} + | wc -l)" -le 4 ]
    finish
    [ -z "$(find "$cgroup" -mindepth 1 -type d 2>/dev/null)" ]
}

@test "a killed logger comes back, and no line is missing" {
    begin
    for i in 1 2 3; do
        logger=$(child ringfence-logd)
        kill -STOP "$logger" # what it has read, it has written
        sleep 0.3
        kill -KILL "$logger"
        sleep 0.5
    done
    eventually ready counting # nobody was disturbed
    finish
    grep -vc bye log/counting/current
    grep -o 'out: [0-9]*$' log/counting/current | cut -c6- >have
    seq 1 "$(wc -l <have)" | cmp - have
    [ "$(wc -l <have)" -gt 20 ]
}

@test "a second one in the same place is refused, and disturbs nobody" {
    begin
    run "$build/ringfenced" --runtime-dir "$scratch/run"
    [ "$status" -eq 1 ]
    [[ "$output" == "ringfenced: another ringfenced serves \"$scratch/run\"; "* ]]
    ready first
    finish
}
