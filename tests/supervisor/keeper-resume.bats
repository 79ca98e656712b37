#!/usr/bin/env bats
# One keeper after another in the same process: replaced, or crashed.

load keeper.bash

# The scripts of a manager that wants everything replaced when it gets SIGTERM, and of the next.
replaced() {
    script manager "note first" "store 1 web/socket kept" "notify READY=1" wait "notify REEXEC=1" "exit 75"
    begin "$@"
    eventually event "ringfence-manager first"
    eventually event "ringfence-logd started"
    manager=$(child ringfence-manager)
}
is_resumed() { tr '\0' ' ' <"/proc/$keeper/cmdline" | grep -q "^./ringfenced --resume --foreground --runtime-dir $scratch/run --log-dir $scratch/log $"; }

@test "it becomes the program on disk, and keeps everything" {
    replaced
    cp ringfenced new
    mv new ringfenced # as a package manager does it
    script manager held "note second" "notify READY=1" wait "notify REEXEC=1" "exit 75"
    script logd "note new" wait "exit 0"
    kill -TERM "$manager"
    eventually event "ringfence-manager second"
    eventually event "ringfence-logd new"
    is_resumed
    [ "$(stat -Lc %i "/proc/$keeper/exe")" = "$(stat -c %i ringfenced)" ]
    event "ringfence-manager held web/socket=kept"
    event "ringfence-logd SIGTERM"
    before=$(descriptors)
    # Again: nothing adds up.
    script manager held "note third" wait "exit 0"
    kill -TERM "$(child ringfence-manager)"
    eventually event "ringfence-manager third"
    is_resumed
    events 2 "ringfence-manager held web/socket=kept"
    [ "$(descriptors)" -eq "$before" ]
    [ ! -s stderr ]
    kill -TERM $keeper
    finish 0
    [ ! -e run/keeper ]
}

@test "what cannot be run is not become" {
    has_no_third() { [ "$(wc -w <"/proc/$keeper/task/$keeper/children")" -eq 2 ]; }
    replaced
    script manager "note next" "notify READY=1" wait "notify REEXEC=1" "exit 75"
    rounds=0
    refused() { # refused COMMAND...: makes a bad ./ringfenced, and goes on
        rounds=$((rounds + 1))
        rm -f ringfenced
        "$@"
        kill -TERM "$(child ringfence-manager)"
        eventually events $rounds "ringfence-manager next"
        [ "$(grep -c "^ringfenced: \"$scratch/ringfenced\" does not tell its version and is not what I become$" stderr)" -eq $rounds ]
        ! grep -q resume "/proc/$keeper/cmdline"
    }
    refused true
    said "^ringfenced: cannot run \"$scratch/ringfenced\": No such file or directory$"
    refused touch ringfenced
    said "^ringfenced: cannot run \"$scratch/ringfenced\": Permission denied$"
    refused cp -r run ringfenced
    rm -r ringfenced
    older() { printf '#!/bin/sh\nexit 2\n' >ringfenced; chmod +x ringfenced; }
    refused older
    half() { head -c 30000 "$RINGFENCE_BUILD/ringfenced" >ringfenced; chmod +x ringfenced; }
    refused half
    mute() { printf '#!/bin/sh\nexec sleep 1000\n' >ringfenced; chmod +x ringfenced; } # for five seconds
    refused mute
    eventually has_no_third
    rm ringfenced
    cp "$RINGFENCE_BUILD/ringfenced" .
    script manager held "note last" wait "exit 0"
    kill -TERM "$(child ringfence-manager)"
    eventually event "ringfence-manager last"
    is_resumed
    event "ringfence-manager held web/socket=kept"
    kill -TERM $keeper
    finish 0
}

@test "a manager that asks for it and then crashes has just crashed" {
    script manager "notify READY=1" "notify REEXEC=1" "raise 11"
    begin
    eventually said "in 400 ms"
    ! grep -q resume "/proc/$keeper/cmdline"
    script manager "note next" wait "exit 0"
    eventually event "ringfence-manager next"
    kill -TERM $keeper
    finish 0
}

@test "exit status 75 alone is a crash" {
    script manager "notify READY=1" "exit 75"
    begin
    eventually said "exit status 75; starting it again in 200 ms$"
    ! grep -q resume "/proc/$keeper/cmdline"
}

@test "a fatal signal is no end: it begins anew, and nobody notices" {
    script manager "store 1 web/socket kept" "notify READY=1" "note first" wait held "note asked" wait "exit 0"
    begin
    eventually event "ringfence-manager first"
    eventually event "ringfence-logd started"
    manager=$(child ringfence-manager) logd=$(child ringfence-logd)
    before=$(descriptors)
    count=0
    for signal in SEGV BUS ABRT ILL FPE; do
        count=$((count + 1))
        kill -$signal $keeper
        eventually said "^ringfenced: goes on after SIG$signal ($count of 5 in a row)$"
    done
    [ "$(child ringfence-manager)" = "$manager" ]
    [ "$(child ringfence-logd)" = "$logd" ]
    [ "$(descriptors)" -eq "$before" ]
    is_resumed
    # What it kept, it keeps; what dies is started again.
    script manager held "note second" wait "exit 0"
    kill -KILL "$manager"
    eventually event "ringfence-manager second"
    event "ringfence-manager held web/socket=kept"
    said "^ringfenced: ringfence-manager (pid $manager) ended by itself: SIGKILL; starting it again in 100 ms$"
    kill -TERM $keeper
    finish 0
}

@test "crashes in a row come to an end" {
    begin
    eventually event "ringfence-manager started"
    for count in 1 2 3 4 5; do
        kill -SEGV $keeper
        eventually said "SIGSEGV ($count of 5 in a row)$"
    done
    kill -SEGV $keeper
    finish 139
    eventually event "ringfence-logd SIGTERM"
}

@test "as PID 1 it goes on as well, and in the end reaps alone" {
    unshare --pid --fork --mount-proc true || skip "no pid namespace can be made here"
    script manager "store 1 web/socket kept" "notify READY=1" "note ready" wait "orphan 100" "note after" wait
    unshare --pid --fork --mount-proc --kill-child ./ringfenced --foreground \
        --runtime-dir "$scratch/run" --log-dir "$scratch/log" 2>stderr 3>&- &
    keeper=$!
    eventually event "ringfence-manager ready"
    read -r first <"/proc/$keeper/task/$keeper/children" || true # no newline
    for count in 1 2 3 4 5; do
        kill -SEGV $first
        eventually said "SIGSEGV ($count of 5 in a row)$"
    done
    manager=$(pgrep -x -P "$first" ringfence-manag)
    kill -ABRT $first
    eventually said "^ringfenced: I give up, but reap; nothing that ends is started again$"
    kill -TERM "$manager"
    eventually event "ringfence-manager after"
    kill -KILL "$manager"
    alone() { [ "$(wc -w <"/proc/$first/task/$first/children")" -eq 1 ]; }
    eventually alone # no zombie, and no new manager
    kill -0 $first
}

@test "PID 1 is replaced like any other" {
    unshare --pid --fork --mount-proc true || skip "no pid namespace can be made here"
    script manager "orphan 100000" "store 1 web/socket kept" "notify READY=1" "note first" wait "notify REEXEC=1" "exit 75"
    unshare --pid --fork --mount-proc --kill-child ./ringfenced --foreground quiet \
        --runtime-dir "$scratch/run" --log-dir "$scratch/log" 2>stderr 3>&- &
    keeper=$!
    eventually event "ringfence-manager first"
    read -r first <"/proc/$keeper/task/$keeper/children" || true # no newline
    orphan=$(pgrep -x -P "$first" orphan)
    script manager held "note second" wait "exit 0"
    kill -TERM "$(pgrep -x -P "$first" ringfence-manag)"
    eventually event "ringfence-manager second"
    event "ringfence-manager held web/socket=kept"
    tr '\0' ' ' <"/proc/$first/cmdline" | grep -q "^./ringfenced --resume --foreground --runtime-dir"
    [ "$(awk '/^PPid/ { print $2 }' "/proc/$orphan/status")" = "$first" ]
    [ ! -s stderr ] || { cat stderr; false; }
}

@test "a crash while the services are being stopped" {
    script manager "notify READY=1" "note ready" wait "note stops" "sleep 1000" "exit 0"
    begin
    eventually event "ringfence-manager ready"
    eventually event "ringfence-logd started"
    kill -TERM $keeper
    eventually event "ringfence-manager stops"
    kill -SEGV $keeper
    finish 0
    said "goes on after SIGSEGV"
    event "ringfence-logd SIGTERM"
    [ ! -e run/keeper ]
}

# What a keeper of the first version of the state wrote is taken over by the present one; of a later
# version, with rows that this one has not heard of, what it knows.
@test "the state of another version is understood" {
    for saved in "$BATS_TEST_DIRNAME"/keeper-state-*; do
        rm -rf run events stderr
        mkdir run
        script manager held "note taken" wait "exit 0"
        ./ringfence-manager hand-over "$saved" ./ringfenced --resume --foreground \
            --runtime-dir "$scratch/run" --log-dir "$scratch/log" 2>stderr 3>&- &
        keeper=$!
        eventually event "ringfence-manager taken"
        event "ringfence-manager held web/socket=kept"
        [ ! -s stderr ]
        kill -TERM $keeper
        finish 0
    done
}

@test "a state that cannot be read: it begins as if there were none" {
    for state in "" "something else" "ringfenced-state 1"; do
        rm -f events
        exec 5<<<"$state"
        ./ringfenced --resume --foreground --runtime-dir "$scratch/run" --log-dir "$scratch/log" 2>stderr 3>&- &
        keeper=$!
        exec 5<&-
        eventually event "ringfence-manager started"
        eventually event "ringfence-logd started"
        said "^ringfenced: the state of a predecessor cannot be taken over: "
        kill -TERM $keeper
        finish 0
    done
}
