#!/usr/bin/env bats
# ringfence-logd where a disk is full.
load logd

# Runs on a tmpfs of 400 KB, which nobody else sees.
full_disk() {
    trap 'kill -KILL $pids 2>/dev/null || true' EXIT
    mount -t tmpfs -o size=400k tmpfs log
    unit web 50000 20
    begin
    exec 7<>run/output/web/out
    # More than fits: the oldest files make room.
    seq 1 30000 >&7
    eventually logged web "out: 30000"
    [ "$(cat stderr)" = "ringfence-logd: the disk of the logs is full: the oldest files of whoever has most of them go, \"web/current.7\" first" ]
    texts web >have
    seq 1 30000 | tail -n "$(wc -l <have)" | cmp - have
    [ "$(wc -l <have)" -gt 5000 ]
    # Nothing more to remove: the output waits, and nothing is lost.
    rm log/web/current.*
    settings web 1000000 20
    sleep 0.2
    dd if=/dev/zero of=log/filler bs=4k 2>/dev/null || true
    seq 30001 60000 >&7 3>&- &
    writer=$!
    pids+=" $writer"
    eventually said "^ringfence-logd: the disk of the logs is full, and no old file is left to be removed: output waits until there is room$"
    sleep 1.5
    kill -0 $writer # it is held back
    [ "$(wc -l <stderr)" -eq 2 ]
    unit other
    rm log/filler
    settings web 50000 20
    wait $writer
    eventually logged web "out: 60000"
    rm -f log/web/current.*
    eventually said "^ringfence-logd: the disk of the logs has room again$"
    finish
    texts web >have
    seq 1 60000 | tail -n "$(wc -l <have)" | cmp - have
}

@test "a full disk" {
    mkdir log
    privately full_disk
}

unit_that_goes() {
    trap 'kill -KILL $pids 2>/dev/null || true' EXIT
    mount -t tmpfs -o size=400k tmpfs log
    unit web
    begin
    exec 7<>run/output/web/out
    dd if=/dev/zero of=log/filler bs=4k 2>/dev/null || true
    echo hello >&7
    eventually said "output waits until there is room$"
    rm -r run/output/web
    eventually said "^ringfence-logd: 6 bytes of the output of web could not be logged and are lost$"
    finish
}

@test "a unit that goes while the disk is full" {
    mkdir log
    privately unit_that_goes
}

full_runtime() {
    trap 'kill -KILL $pids 2>/dev/null || true' EXIT
    mount -t tmpfs -o size=100k tmpfs run
    ! "$logd" --runtime-dir run --log-dir log 2>complaint
    [ "$(cat complaint)" = "ringfence-logd: cannot have memory for the ledger: No space left on device" ]
    # One that has begun does not care.
    mount -o remount,size=400k run
    mkdir run/output 2>/dev/null || true
    unit web
    begin
    dd if=/dev/zero of=run/filler bs=4k 2>/dev/null || true
    seq 1 30000 >run/output/web/out
    eventually logged web "out: 30000"
    kill -KILL "$daemon"
    wait "$daemon" || true
    begin
    echo more >run/output/web/out
    eventually logged web "out: more"
    finish
    [ "$(texts web | wc -l)" = 30001 ]
    [ ! -s stderr ]
}

@test "a full runtime directory" {
    privately full_runtime
}
