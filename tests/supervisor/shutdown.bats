#!/usr/bin/env bats
# The end of all units of a manager, and of a machine that is not ours.

load real.bash

# A unit that does not heed SIGTERM, with this stop_timeout.
stubborn() {
    unit stubborn <<END
service = { exec = [ "/bin/sh", "-c", "trap : TERM; echo up; while :; do sleep 0.1; done" ];
            stop_timeout = "$1"; };
END
}

@test "manager.shutdown_timeout ends the patience with all units" {
    stubborn 1h
    echo 'manager = { missing_controllers = "warn"; shutdown_timeout = "1s"; };' \
        >"$scratch/ringfence.conf"
    begin
    eventually ring is-active stubborn
    finish
}

@test "each unit has its own time before that" {
    stubborn 1s
    echo 'manager = { missing_controllers = "warn"; shutdown_timeout = "1h"; };' \
        >"$scratch/ringfence.conf"
    begin
    eventually ring is-active stubborn
    finish
}

@test "a machine that begins with somebody else does not end with us" {
    begin
    eventually ring list
    run ring poweroff
    [ "$status" -eq 1 ]
    [[ "$output" == "ringfence: cannot poweroff: ringfence is not the first process of this machine; "*" does it" ]]
    run ring reboot --force
    [ "$status" -eq 1 ]
    [[ "$output" == "ringfence: cannot reboot: ringfence is not the first process"* ]]
    run ring halt
    [ "$status" -eq 1 ]
    ring list
    finish
}

@test "a boot target of the command line" {
    unit plain <<<'service = { exec = [ "/bin/sleep", "1000" ]; };'
    unit rescue <<<'unit = { description = "What is needed to repair the rest"; };'
    unit other <<<'service = { exec = [ "/bin/sleep", "1000" ]; }; install = { wanted_by = [ "rescue" ]; };'
    options=(--target rescue)
    begin
    eventually ring is-active other
    run ring is-active plain
    [ "$status" -eq 3 ]
    finish
}

@test "a level of the log" {
    run "$RINGFENCE_BUILD/ringfence-manager" --log-level loud
    [ "$status" -eq 2 ]
    [ "$output" = "ringfence-manager: --log-level=loud: error, warning, notice, info or debug" ]
    unit plain <<<'service = { exec = [ "/bin/sleep", "1000" ]; };'
    options=(--log-level warning)
    begin
    eventually ring is-active plain
    quiet "plain: ready"
    finish
    quiet "stopping everything"
}
