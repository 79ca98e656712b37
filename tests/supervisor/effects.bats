#!/usr/bin/env bats
# A manager that is killed in the middle of an event: what was said to it is not lost, and nobody has
# heard of what the next manager does not know.
bats_require_minimum_version 1.5.0
load real.bash

# ringfenced over the manager.
begin_kept() {
    "$RINGFENCE_BUILD/ringfenced" --foreground --units "$scratch/units" \
        --runtime-dir "$scratch/run" --state-dir "$scratch/state" --log-dir "$scratch/log" \
        --cgroup "$cgroup" --config "$scratch/ringfence.conf" 2>>"$scratch/stderr" 3>&- &
    manager=$! # what finish and teardown end
    eventually ring list
}
child() {
    local pid
    for pid in $(cat "/proc/$manager/task/$manager/children"); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != ringfence-manag ] || echo "$pid"
    done
}
# kill_at CALL [N]: the manager that runs now dies when it is about to make that call.
kill_at() {
    rm -f "$scratch/watching"
    "$RINGFENCE_BUILD/tests/kill-at" "$(child)" "$@" >"$scratch/watching" 2>"$scratch/kill-at" 3>&- &
    eventually grep -q watching "$scratch/watching"
}
# It has died so, and another one has found everything again.
found_again() { grep -q "units found again, 0 lost" "$scratch/stderr"; }

state() { ring list --json | perl -0777 -ne '/"name":"'"$1"'".*?"state":"([a-z]+)"/ and print $1'; }
is() { [ "$(state "$1")" = "$2" ]; }
facts_say() { grep -q "state = \"$2\"" "$scratch/run/units/$1/facts"; }
go() { touch "$scratch/go/$1"; }

# A unit that says what it says as soon as there is a file "go" for it.
speaker() {
    local name=$1 settings=$2 words=$3
    mkdir -p "$scratch/go"
    chmod 755 "$scratch/go"
    unit "$name" <<U
service = { type = $settings; exec = [ "/bin/sh", "-c",
    "while [ ! -e /srv/$name ]; do sleep 0.05; done; $words; while :; do sleep 1; done" ]; };
mounts = ( { type = "bind"; source = "$RINGFENCE_BUILD/tests"; target = "/mnt"; readonly = true; },
           { type = "bind"; source = "$scratch/go"; target = "/srv"; readonly = true; } );
restart = { delay = "50ms"; max_delay = "50ms"; };
install = { enabled = true; };
U
}

@test "READY=1 that was read and not yet written down is heard by the next manager, and by nobody before" {
    speaker web '"notify"' '/mnt/notify-client say READY=1'
    begin_kept
    eventually is web starting
    ring events web >"$scratch/events" 2>/dev/null 3>&- &
    local pid listener=$!
    pid=$(main_pids web | head -n 1)
    kill_at renameat
    go web
    eventually found_again
    eventually is web ready
    [ "$(main_pids web | head -n 1)" = "$pid" ]
    wait "$listener" || true
    ! grep -q 'starting -> ready' "$scratch/events"
    finish
}

@test "READY=1 that was written down and not yet taken out is no news to the next manager" {
    speaker web '"notify"' '/mnt/notify-client say READY=1'
    begin_kept
    eventually is web starting
    kill_at recvfrom
    go web
    eventually found_again
    is web ready
    facts_say web ready
    [ "$(grep -c 'web: ready' "$scratch/stderr")" -eq 1 ]
    finish
}

@test "the newline of type fd is heard by the next manager" {
    speaker web '"fd"; ready_fd = 3' 'echo >&3'
    begin_kept
    eventually is web starting
    kill_at renameat
    go web
    eventually found_again
    eventually is web ready
    finish
}

@test "a descriptor that was handed over is there once, whenever the manager dies" {
    local call
    for call in renameat recvfrom; do
        : >"$scratch/stderr"
        speaker "$call" '"notify"' "/mnt/notify-client store data hello; /mnt/notify-client say READY=1"
        begin_kept
        eventually is "$call" starting
        kill_at "$call"
        go "$call"
        eventually found_again
        eventually is "$call" ready
        grep -q 'descriptors = "[-+]data"' "$scratch/run/units/$call/facts"
        finish
        rm "$scratch/units/$call.unit"
    done
}

@test "who listens has heard of nothing that is not written down" {
    speaker web '"notify"' '/mnt/notify-client say READY=1'
    begin_kept
    eventually is web starting
    ring events web >"$scratch/events" 2>/dev/null 3>&- &
    local listener=$!
    kill_at sendmsg
    go web
    eventually found_again
    wait "$listener" || true
    ! grep -q 'starting -> ready' "$scratch/events"
    is web ready # as it was written before anybody was to be told
    [ "$(grep -c 'web: ready' "$scratch/stderr")" -eq 1 ]
    finish
}

@test "a program that has ended well is not begun again, wherever in its end the manager dies" {
    local at
    for at in 1 2; do
        : >"$scratch/stderr"
        mkdir -p "$scratch/go"
        chmod 755 "$scratch/go"
        unit "job$at" <<U
service = { exec = [ "/bin/sh", "-c",
    "echo run >> /mnt/runs; while [ ! -e /srv/job$at ]; do sleep 0.05; done" ]; };
mounts = ( { type = "bind"; source = "$scratch/go"; target = "/srv"; readonly = true; } );
volumes = ( { name = "job$at"; target = "/mnt"; } );
restart = { policy = "on-failure"; };
install = { enabled = true; };
U
        begin_kept
        eventually is "job$at" ready
        kill_at renameat "$at"
        go "job$at"
        eventually found_again
        eventually is "job$at" stopped
        [ "$(cat "$scratch/state/volumes/job$at/runs")" = run ]
        finish
        rm "$scratch/units/job$at.unit"
    done
}

@test "how a program ended that its init has told of is known, wherever in that the manager dies" {
    local at
    for at in 1 2 3; do
        : >"$scratch/stderr"
        mkdir -p "$scratch/go"
        chmod 755 "$scratch/go"
        unit "child$at" <<U
service = { init = true; exec = [ "/bin/sh", "-c",
    "while [ ! -e /srv/child$at ]; do sleep 0.05; done; kill -USR1 \$\$" ]; };
mounts = ( { type = "bind"; source = "$scratch/go"; target = "/srv"; readonly = true; } );
restart = { policy = "no"; };
install = { enabled = true; };
U
        begin_kept
        eventually is "child$at" ready
        kill_at renameat "$at"
        go "child$at"
        eventually found_again
        eventually is "child$at" failed
        run ring status "child$at"
        [[ $output == *"was ended by SIGUSR1"* ]]
        finish
        rm "$scratch/units/child$at.unit"
    done
}
