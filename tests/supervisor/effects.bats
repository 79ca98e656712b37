#!/usr/bin/env bats
# A manager that is killed in the middle of an event: what was said to it is not lost, and nobody has
# heard of what the next manager does not know.
bats_require_minimum_version 1.5.0
load real.bash

# kill_at CALL [N]: the manager that runs now dies when it is about to make that call.
kill_at() {
    rm -f "$scratch/watching"
    "$RINGFENCE_BUILD/tests/kill-at" "$(child)" "$@" >"$scratch/watching" 2>"$scratch/kill-at" 3>&- &
    eventually grep -q watching "$scratch/watching"
}
# It has died so, and another one has found everything again.
found_again() { grep -q "units found again: .*, lost: 0" "$scratch/stderr"; }

facts_say() { grep -q "state = \"$2\"" "$scratch/run/units/$1/facts"; }
# Where a unit sees that it may go on.
go() { touch "$scratch/go/$1"; }
may_go() {
    mkdir -p "$scratch/go"
    chmod 755 "$scratch/go"
}

# A unit that says what it says as soon as there is a file "go" for it.
speaker() {
    local name=$1 settings=$2 words=$3
    may_go
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
    ring --retry off events web >"$scratch/events" 2>/dev/null 3>&- &
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
    ring --retry off events web >"$scratch/events" 2>/dev/null 3>&- &
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

# end_at N NAME OUTCOME: the unit, whose file comes on standard input, ends, and the manager dies the
# Nth time that facts are to take their place. It comes to that outcome.
end_at() {
    : >"$scratch/stderr"
    may_go
    unit "$2"
    begin_kept
    eventually is "$2" ready
    kill_at renameat "$1"
    go "$2"
    eventually found_again
    eventually is "$2" "$3"
}

@test "a program that has ended well is not begun again, wherever in its end the manager dies" {
    local at
    for at in 1 2; do
        end_at "$at" "job$at" stopped <<U
service = { exec = [ "/bin/sh", "-c",
    "echo run >> /mnt/runs; while [ ! -e /srv/job$at ]; do sleep 0.05; done" ]; };
mounts = ( { type = "bind"; source = "$scratch/go"; target = "/srv"; readonly = true; } );
volumes = ( { name = "job$at"; target = "/mnt"; } );
restart = { policy = "on-failure"; };
U
        [ "$(cat "$scratch/state/volumes/job$at/runs")" = run ]
        finish
        rm "$scratch/units/job$at.unit"
    done
}

@test "how a program ended that its init has told of is known, wherever in that the manager dies" {
    local at
    for at in 1 2 3; do
        end_at "$at" "child$at" failed <<U
service = { init = true; exec = [ "/bin/sh", "-c",
    "while [ ! -e /srv/child$at ]; do sleep 0.05; done; kill -USR1 \$\$" ]; };
mounts = ( { type = "bind"; source = "$scratch/go"; target = "/srv"; readonly = true; } );
restart = { policy = "no"; };
U
        run ring status "child$at"
        [[ $output == *"was ended by SIGUSR1"* ]]
        finish
        rm "$scratch/units/child$at.unit"
    done
}

@test "who connects to a listening socket is not refused, wherever in the end of its program the manager dies" {
    local at client
    for at in 1 2 3; do
        : >"$scratch/stderr"
        may_go
        unit lazy <<U
service = { exec = [ "/bin/sh", "-c",
    "while [ ! -e /srv/lazy ]; do sleep 0.05; done; exec /opt/storm-service serve 5" ]; };
mounts = ( { type = "bind"; source = "$scratch/go"; target = "/srv"; readonly = true; },
           { type = "bind"; source = "$RINGFENCE_BUILD/tests"; target = "/opt"; readonly = true; } );
volumes = ( { name = "lazy"; target = "/mnt"; } );
network = { sockets = [ "$scratch/lazy" ]; sockets_lazy = true; };
U
        begin_kept
        ring start lazy
        "$RINGFENCE_BUILD/tests/storm-service" load "$scratch/lazy" "$scratch/over" \
            >"$scratch/answers" 3>&- &
        client=$!
        eventually is lazy ready
        kill_at renameat "$at"
        go lazy
        eventually found_again
        touch "$scratch/over"
        wait "$client"
        cat "$scratch/answers"
        finish
        rm "$scratch/over" "$scratch/go/lazy"
    done
}

# A program that notes each of its runs.
counter() {
    unit "$1" <<U
service = { exec = [ "/bin/sh", "-c", "echo run | tee -a /mnt/runs; exec sleep 1000" ]; stop_signal = "SIGKILL"; };
volumes = ( { name = "$1"; target = "/mnt"; } );
install = { enabled = true; };
U
}
runs() { wc -l <"$scratch/state/volumes/$1/runs"; }
has_run() { [ "$(runs "$1")" = "$2" ]; }
settled() { [ -e "$scratch/run/manager" ]; } # its own facts, the last of its boot
taken_over() { [ "$(grep -c 'units found again: .*, lost: 0' "$scratch/stderr")" = "$1" ]; }

@test "a restart is done once, wherever the manager dies that was told of it" {
    local at call deaths=0
    counter web
    begin_kept
    eventually has_run web 1
    for call in renameat sendmsg; do
        for at in 1 2 3; do
            kill_at "$call" "$at"
            ring restart web
            eventually taken_over $((++deaths))
            eventually is web ready
            [ "$(runs web)" = $((deaths + 1)) ] || { echo "at $call $at: $(runs web)"; false; }
        done
    done
    finish
}

@test "a stop is done, and a start, though the manager dies that was told of them" {
    local deaths=0
    counter web
    begin_kept
    eventually has_run web 1
    kill_at renameat
    ring stop web
    eventually taken_over $((++deaths))
    is web stopped
    kill_at renameat
    ring start web
    eventually taken_over $((++deaths))
    is web ready
    [ "$(runs web)" = 2 ]
    finish
}

@test "what a start needs is started with it, wherever the manager dies that was told of it" {
    local at
    for at in 1 2 3 4; do
        : >"$scratch/stderr"
        counter db
        counter web
        sed -i 's/enabled = true/enabled = false/' "$scratch"/units/*.unit
        echo 'unit = { requires = [ "db" ]; };' >>"$scratch/units/web.unit"
        begin_kept
        eventually settled
        kill_at renameat "$at"
        ring start web
        eventually found_again
        is web ready
        is db ready
        finish
    done
}

@test "files are applied, though the manager dies that was told to" {
    counter web
    begin_kept
    eventually has_run web 1
    sed -i 's/sleep 1000/sleep 1001/' "$scratch/units/web.unit"
    kill_at renameat
    ring apply >"$scratch/plan"
    eventually found_again
    is web ready
    [ "$(runs web)" = 2 ]
    [ "$(tr '\0' ' ' <"/proc/$(main_pids web | head -n 1)/cmdline")" = "sleep 1001 " ]
    finish
}

@test "who listens, waits, and reads along goes on over a reexec and a crash" {
    counter web
    begin_kept
    eventually has_run web 1
    "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" events web >"$scratch/events" 3>&- &
    local events=$!
    "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" wait --stopped web 3>&- &
    local wait=$!
    "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" logs -f web >"$scratch/read" 3>&- &
    local reader=$!
    eventually is web ready
    ring reexec
    eventually grep -q 'another manager goes on' "$scratch/events"
    ! grep -q web: "$scratch/events" # nothing happened
    kill -KILL "$(child)"
    eventually sh -c "[ \"\$(grep -c 'another manager goes on' '$scratch/events')\" = 2 ]"
    kill -0 "$wait"
    ring stop web
    eventually grep -q 'web: stopping -> stopped' "$scratch/events"
    wait "$wait"
    ring start web
    eventually sh -c "[ \"\$(grep -c 'out: run' '$scratch/read')\" = 2 ]"
    kill "$events" "$reader"
    finish
}

@test "the first words of a program are its own, though the manager dies that was to say so" {
    unit web <<U
service = { exec = [ "/bin/sh", "-c", "echo hello; exec sleep 1000" ]; };
install = { enabled = false; };
U
    begin_kept
    eventually settled
    kill_at pwrite 2 # the first says: nobody
    ring start web
    eventually found_again
    hello() { ring logs web | grep hello; }
    eventually hello
    [[ $(hello) == *" web[$(ring inspect web --field pid)] out: hello" ]] || { hello; false; }
    finish
}
