#!/usr/bin/env bats
# The runtime directory is full, or no process can be made: what is to begin fails with a clear word,
# what runs goes on, and what waits begins when there is room.

load real.bash
eval "$(declare -f teardown | sed '1s/teardown/teardown_real/')"
teardown() {
    umount -l "$scratch/run" 2>/dev/null || true
    teardown_real
    [ -z "${processes:-}" ] || eventually rmdir "$processes"
}

units() {
    for name in web db; do
        unit $name <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
restart = { delay = "50ms"; max_delay = "100ms"; };
U
    done
    echo 'install = { enabled = false; };' >>"$scratch/units/db.unit"
}

# small OPTIONS: the runtime directory is a file system of its own.
small() {
    mkdir "$scratch/run"
    mount -t tmpfs -o "mode=0755,$1" tmpfs "$scratch/run"
    units
    begin
    eventually said 'web: ready'
}
web_pid() { ring status web --json | grep -oE '"main_pid": ?[0-9]+'; }

# goes_on COMMAND: which fills it.
goes_on() {
    local pid
    pid=$(web_pid)
    "$@"
    run ring start db
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"No space left on device"* ]]
    [ "$(web_pid)" = "$pid" ]
    kill -KILL $(main_pids web) # also what crashes meanwhile comes back in the end
    rm "$scratch/run/fill"*
    eventually ring is-active db
    eventually ring is-active web
    [ "$(web_pid)" != "$pid" ]
    umount -l "$scratch/run" # the manager holds its socket and files as they were
    finish
}

fill_blocks() { dd if=/dev/zero of="$scratch/run/fill" bs=4k 2>/dev/null || true; }
fill_names() {
    local i
    for ((i = 0; i < 1000; i++)); do
        : >"$scratch/run/fill$i" || break
    done 2>/dev/null
}

@test "no block is left" {
    small size=256k
    goes_on fill_blocks
}

@test "no file can be made" {
    small nr_inodes=60
    goes_on fill_names
}

# By a cgroup v1 controller, that of version 2 would have to be on above us; for the manager the
# answer of clone(2) is the same as where the whole machine has no process number left.
@test "no process can be made" {
    tree=$(awk '$3 == "cgroup" && $4 ~ /(^|,)pids(,|$)/ { print $2; exit }' /proc/mounts)
    [ -n "$tree" ] || skip "there is no pids controller of cgroup v1"
    units
    begin
    eventually said 'web: ready'
    processes=$tree/ringfence-test-${scratch##*.}
    mkdir "$processes"
    echo "$manager" >"$processes/cgroup.procs"
    echo 1 >"$processes/pids.max"
    pid=$(web_pid)
    run ring start db
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"Resource temporarily unavailable"* ]]
    [ "$(web_pid)" = "$pid" ]
    kill -KILL $(main_pids web)
    eventually said 'web: .*Resource temporarily unavailable'
    echo max >"$processes/pids.max"
    eventually ring is-active web
    eventually ring start db
    finish
}
