#!/usr/bin/env bats
# The three programs together: what dies comes back, what is stopped leaves nothing.
load ../eventually.bash

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
    touch ringfence.conf
    export RINGFENCE_RUNTIME_DIR=$scratch/run
    unset NOTIFY_SOCKET
    unit first 'echo hello; echo trouble >&2; exec sleep 1000'
    unit counting 'trap "echo bye; exit 0" TERM; i=0; while :; do i=$((i + 1)); echo $i; sleep 0.05; done'
    unit last 'exec sleep 1000' 'unit = { requires = ["first"]; };'
    names=(first last counting)
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
    "$@" "${programs:-$build}/ringfenced" --foreground --units "$scratch/units" --runtime-dir "$scratch/run" \
        --state-dir "$scratch/state" --log-dir "$scratch/log" --cgroup "$cgroup" \
        --config "$scratch/ringfence.conf" 2>>stderr 3>&- &
    keeper=$!
    for name in "${names[@]}"; do
        eventually ready "$name"
    done
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
never() { cat stderr; }
ready() { "$build/ringfence" is-active "$1"; }
child() {
    local pid
    for pid in $(cat "/proc/$keeper/task/$keeper/children"); do
        [ "$(tr '\0' '\n' <"/proc/$pid/cmdline" | head -n 1)" != "$1" ] || echo "$pid"
    done
}
# The process of each unit, in the order of names.
pids() {
    local name
    for name in "${names[@]}"; do
        echo "$name $(head -n 1 "$cgroup/unit-$name/main/cgroup.procs")"
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

@test "a killed manager comes back, and finds every unit as it was" {
    begin
    before=$(pids)
    for i in 1 2 3; do
        manager=$(child ringfence-manager)
        kill -KILL "$manager"
        another() { [ -n "$(child ringfence-manager)" ] && [ "$(child ringfence-manager)" != "$manager" ]; }
        eventually another
        grep -q "^ringfenced: ringfence-manager (pid $manager) ended by itself: SIGKILL; starting it again in [0-9]* ms$" stderr
        eventually ready counting
        eventually ready last
        [ "$(pids)" = "$before" ]
    done
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

@test "a manager that hangs is killed, if the host's file says how long it may" {
    echo 'manager = { watchdog = "1s"; };' >ringfence.conf
    begin
    manager=$(child ringfence-manager)
    sleep 2 # it shows that it lives
    [ "$(child ringfence-manager)" = "$manager" ]
    kill -STOP "$manager"
    eventually grep -q "^ringfenced: ringfence-manager (pid $manager) has not shown that it is alive in 1000 ms and is killed$" stderr
    another() { [ -n "$(child ringfence-manager)" ] && [ "$(child ringfence-manager)" != "$manager" ]; }
    eventually another
    eventually ready last
    finish
}

@test "a manager that hangs while it stops the units is killed, and they are stopped in order" {
    begin
    manager=$(child ringfence-manager)
    logged counting 'out: 1$'
    kill -STOP "$manager"
    kill -TERM "$keeper"
    kill -KILL "$manager" # what the keeper does in the end
    finish
    ! grep -q "what is left is killed" stderr
    [ -z "$(find "$cgroup" -mindepth 1 -type d 2>/dev/null)" ]
    [ -z "$(find run/output run/notify -mindepth 1)" ]
}

@test "reexec: all three are others, and no unit notices" {
    begin
    before=$(pids) manager=$(child ringfence-manager) logger=$(child ringfence-logd)
    run "$build/ringfence" reexec
    [ "$status" -eq 0 ]
    [[ "$output" =~ ^units\ found\ again:\ 3,\ lost:\ 0\;\ ringfence\ [0-9.]+\ -\>\ [0-9.]+$ ]]
    run "$build/ringfence" reexec --json
    [ "$status" -eq 0 ]
    [[ "$output" =~ ^\{\"version\":1,\"before\":\"[0-9.]+\",\"after\":\"[0-9.]+\",\"found\":3,\"lost\":\[\],\"changed\":\[\]\}$ ]]
    [ "$(pids)" = "$before" ]
    tr '\0' ' ' <"/proc/$keeper/cmdline" | grep -q -e --resume
    [ -n "$(child ringfence-manager)" ] && [ "$(child ringfence-manager)" != "$manager" ]
    another_logger() { [ -n "$(child ringfence-logd)" ] && [ "$(child ringfence-logd)" != "$logger" ]; }
    eventually another_logger
    ! grep -q "ended by itself" stderr
    finish
}

# Real programs of another version: copies in which the number is another of the same length.
@test "an upgrade, and the way back: other programs on disk take over, and no unit notices" {
    here=$("$build/ringfence" --version | grep -oE '[0-9]+[.][0-9.]+')
    other=${here%?}$(((${here: -1} + 1) % 10))
    programs=$scratch/programs
    mkdir "$programs"
    install_version() { # as a package does: each is there whole, under another inode
        local program
        for program in ringfenced ringfence-manager ringfence-logd ringfence; do
            LC_ALL=C sed "s/${here//./\\.}/$1/g" "$build/$program" >"$programs/$program.new"
            chmod 755 "$programs/$program.new"
            mv "$programs/$program.new" "$programs/$program"
        done
    }
    install_version "$here"
    begin
    before=$(pids)
    for step in "$here $other" "$other $here"; do
        install_version "${step#* }"
        [ "$("$programs/ringfenced" --version)" = "ringfenced ${step#* }" ]
        run "$programs/ringfence" reexec
        [ "$output" = "units found again: 3, lost: 0; ringfence ${step% *} -> ${step#* }" ]
        [ "$status" -eq 0 ]
        "$programs/ringfence" status | grep -qE "Version: ${step#* }$"
        cmp "/proc/$keeper/exe" "$programs/ringfenced"
        new_logger() { cmp "/proc/$(child ringfence-logd)/exe" "$programs/ringfence-logd"; }
        eventually new_logger
        [ "$(pids)" = "$before" ]
    done
    finish
    in_order=$("$build/ringfence" logs --log-dir log --no-prefix counting | grep -v bye)
    [ "$in_order" = "$(seq 1 "$(wc -l <<<"$in_order")")" ]
}

@test "reexec names what has another process" {
    mkdir programs
    cp "$build/ringfenced" "$build/ringfence-logd" programs
    printf '#!/bin/sh\n[ ! -e slow ] || sleep 2\nexec "%s" "$@"\n' "$build/ringfence-manager" >programs/ringfence-manager
    chmod +x programs/ringfence-manager
    programs=$scratch/programs
    unit first 'exec sleep 1000' 'restart = { policy = "no"; };'
    unit last 'exec sleep 1000' 'restart = { policy = "always"; delay = "100ms"; };'
    begin
    first=$(head -n 1 "$cgroup/unit-first/main/cgroup.procs")
    last=$(head -n 1 "$cgroup/unit-last/main/cgroup.procs")
    touch slow
    "$build/ringfence" reexec >reexec 2>&1 &
    tool=$!
    eventually grep -q "leaving everything" stderr
    kill -KILL "$first" "$last"
    status=0
    wait $tool || status=$?
    [ "$status" -eq 1 ]
    grep -qx "first: process $first before, none now" reexec
    grep -qE "^last: process $last before, (none|[0-9]+) now$" reexec
    grep -qE "^units found again: 3, lost: 0; ringfence [0-9.]+ -> [0-9.]+$" reexec
    eventually ready last
    finish
}

@test "a new manager that cannot run is reported, and the services go on" {
    mkdir programs
    cp "$build/ringfenced" "$build/ringfence-logd" programs
    ln -s "$build/ringfence-manager" programs/ringfence-manager
    programs=$scratch/programs
    begin
    before=$(pids)
    printf '#!/bin/sh\nexit 9\n' >programs/new
    chmod +x programs/new
    mv programs/new programs/ringfence-manager
    run "$build/ringfence" reexec --timeout 500ms
    [ "$status" -eq 7 ]
    [ "$output" = "ringfence: cannot replace the programs: no manager has answered for 500ms; the services go on" ]
    eventually grep -q "^ringfenced: ringfence-manager failed twice before it was ready; the services go on without it$" stderr
    [ "$(pids)" = "$before" ]
    ln -s "$build/ringfence-manager" programs/new
    mv programs/new programs/ringfence-manager
    eventually ready last
    eventually ready counting
    [ "$(pids)" = "$before" ]
    finish
}

# It has found everything by then.
@test "a new manager that cannot open its door leaves all as it was: no line is missing" {
    begin
    before=$(pids)
    rm run/control
    mkdir -p run/control/occupied
    kill -KILL "$(child ringfence-manager)"
    eventually grep -q "^ringfenced: ringfence-manager failed twice before it was ready; the services go on without it$" stderr
    grep -q "^ringfence: cannot bind \"$scratch/run/control\": " stderr
    [ "$(pids)" = "$before" ]
    said=$(wc -l <log/counting/current)
    goes_on() { [ "$(wc -l <log/counting/current)" -gt $((said + 20)) ]; }
    eventually goes_on
    rm -r run/control
    eventually ready last
    [ "$(pids)" = "$before" ]
    said=$(wc -l <log/counting/current)
    eventually goes_on
    finish
    in_order=$("$build/ringfence" logs --log-dir log --no-prefix counting | grep -v bye)
    [ "$in_order" = "$(seq 1 "$(wc -l <<<"$in_order")")" ]
}

@test "reexec without anybody who would start the next one" {
    mkdir run state log
    "$build/ringfence-manager" --units "$scratch/units" --runtime-dir "$scratch/run" \
        --state-dir "$scratch/state" --log-dir "$scratch/log" --cgroup "$cgroup" \
        --config "$scratch/ringfence.conf" 2>>stderr 3>&- &
    manager=$!
    eventually ready first
    run "$build/ringfence" reexec
    [ "$status" -eq 1 ]
    [ "$output" = "ringfence: cannot replace the programs: this manager was not started by ringfenced: nobody would start the next one" ]
    kill -TERM "$manager"
    wait "$manager"
}

@test "a killed keeper: the services need none of the three, and the next ones find them" {
    begin
    before=$(pids) manager=$(child ringfence-manager) logger=$(child ringfence-logd)
    kill -KILL "$keeper"
    wait "$keeper" || true
    both_end() { [ ! -e "/proc/$manager" ] && [ ! -e "/proc/$logger" ]; }
    eventually both_end
    sleep 1 # one of them writes, and nobody reads
    [ "$(pids)" = "$before" ]
    begin
    [ "$(pids)" = "$before" ]
    # What the old keeper held the new one holds again.
    kill -KILL "$(child ringfence-manager)"
    eventually grep -q "SIGKILL; starting it again" stderr
    eventually ready last
    [ "$(pids)" = "$before" ]
    kill -KILL "$keeper"
    wait "$keeper" || true
    begin # at once: the other two may still be dying
    [ "$(pids)" = "$before" ]
    ! grep -q "another ringfence" stderr
    finish
    grep -o 'out: [0-9]*$' log/counting/current | cut -c6- >have
    seq 1 "$(wc -l <have)" | cmp - have || { head -n 12 log/counting/current; diff <(seq 1 "$(wc -l <have)") have | head -20; false; }
}

# RINGFENCE_DEATHS rounds (12); RINGFENCE_SEED replays one that failed.
@test "whoever of the three is killed, and when: no unit notices, and no line is missing" {
    seed=${RINGFENCE_SEED:-$(date +%N | cut -c5-)}
    echo "RINGFENCE_SEED=$seed"
    RANDOM=$seed
    begin
    before=$(pids)
    for ((i = 0; i < ${RINGFENCE_DEATHS:-12}; i++)); do
        sleep "0.$((RANDOM % 10))"
        case $((RANDOM % 5)) in
        0 | 1) victim=$(child ringfence-manager) ;;
        2 | 3) victim=$(child ringfence-logd) ;;
        4) victim=$keeper ;;
        esac
        [ -n "$victim" ] || continue # it is not there yet
        kill -KILL "$victim"
        if [ "$victim" = "$keeper" ]; then
            wait "$keeper" || true
            begin
        fi
    done
    eventually ready counting
    eventually ready last
    [ "$(pids)" = "$before" ] || { pids; echo "$before"; tail -n 30 stderr; false; }
    finish
    "$build/ringfence" logs --no-prefix --log-dir log counting | grep -x '[0-9]*' >have
    [ "$(wc -l <have)" -gt 20 ]
    seq 1 "$(wc -l <have)" | cmp - have || { diff <(seq 1 "$(wc -l <have)") have | head -n 20; false; }
}
