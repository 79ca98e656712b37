#!/usr/bin/env bats
# What runs beside a program, how it is ended and restarted, with real services.

load real.bash

@test "commands before and after the program, each in a pid namespace of its own" {
    unit web <<'U'
service = { exec = [ "/bin/sh", "-c", "echo main $$ >>/mnt/log; exec sleep 1000" ];
            exec_pre = ( [ "/bin/sh", "-c", "echo one $$ >>/mnt/log" ], [ "/bin/sh", "-c", "echo two >>/mnt/log" ] );
            exec_post = ( [ "/bin/sh", "-c", "echo post $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS >>/mnt/log" ] ); };
volumes = ( { name = "data"; target = "/mnt"; } );
restart = { policy = "on-failure"; delay = "50ms"; };
U
    begin
    eventually said 'web: ready'
    log=$scratch/state/volumes/data/log
    [ "$(cat "$log")" = $'one 1\ntwo\nmain 1' ]
    kill -KILL $(main_pids web)
    eventually grep -q 'post signal killed KILL' "$log"
    eventually times 2 'web: ready'
    ring stop web
    [ "$(tail -n 1 "$log")" = "post success killed KILL" ]
    finish
}

@test "a command before it that fails fails the start, and is named" {
    unit web <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; exec_pre = ( [ "/bin/true" ], [ "/bin/sh", "-c", "exit 3" ] );
            exec_post = ( [ "/bin/sh", "-c", "echo post $SERVICE_RESULT ${EXIT_CODE:-none} >>/mnt/log" ] ); };
volumes = ( { name = "data"; target = "/mnt"; } );
restart = { policy = "no"; };
U
    begin
    eventually said 'web: failed: /bin/sh exited with code 3'
    [ "$(cat "$scratch/state/volumes/data/log")" = "post exit-code none" ]
    ring status web | grep -q 'exit-code'
    finish
}

@test "a command that hangs is killed and named" {
    unit pre <<'U'
service = { exec = [ "/bin/true" ]; exec_pre = ( [ "/bin/sleep", "1000" ] ); start_timeout = "200ms"; };
restart = { policy = "no"; };
U
    unit post <<'U'
service = { exec = [ "/bin/false" ]; exec_post = ( [ "/bin/sleep", "1000" ] ); stop_timeout = "200ms"; };
restart = { policy = "no"; };
U
    unit stop <<'U'
service = { exec = [ "/bin/sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait" ];
            exec_stop = ( [ "/bin/sleep", "1000" ] ); stop_timeout = "200ms"; };
U
    begin
    eventually said 'pre: failed: /bin/sleep did not end within 200ms and was killed'
    eventually said 'post: /bin/sleep did not end within 200ms and was killed'
    eventually said 'stop: ready'
    sleep 0.3
    ring stop stop
    said 'stop: /bin/sleep did not end within 200ms and was killed'
    finish
}

@test "commands that ask it to end run beside it, with its pid" {
    unit web <<'U'
service = { exec = [ "/bin/sh", "-c", "trap 'echo bye >>/mnt/log; exit 0' USR1; while :; do sleep 0.05; done" ];
            exec_stop = ( [ "/bin/sh", "-c", "echo stop $MAINPID $SERVICE_RESULT >>/mnt/log; kill -USR1 $MAINPID; sleep 5" ] ); };
volumes = ( { name = "data"; target = "/mnt"; } );
U
    begin
    eventually said 'web: ready'
    ring stop web
    [ "$(cat "$scratch/state/volumes/data/log")" = $'stop 1 success\nbye' ]
    ring status web | grep -q 'success' || [ $? -ne 0 ]
    finish
}

@test "a command that makes it reload" {
    unit web <<'U'
service = { exec = [ "/bin/sh", "-c", "trap 'echo again >>/mnt/log' HUP; while :; do sleep 0.05; done" ];
            exec_reload = [ "/bin/sh", "-c", "kill -HUP $MAINPID" ]; };
volumes = ( { name = "data"; target = "/mnt"; } );
U
    unit bad <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; exec_reload = [ "/bin/false" ]; };
U
    begin
    eventually said 'web: ready'
    eventually said 'bad: ready'
    ring reload web
    eventually grep -q again "$scratch/state/volumes/data/log"
    run ring reload bad
    [ "$status" -eq 1 ]
    [[ "$output" == *"bad did not reload: /bin/false exited with code 1"* ]]
    ring is-active bad
    finish
}

@test "an init reaps, and passes signals and the status on" {
    unit web <<'U'
service = { exec = [ "/bin/sh", "-c", "trap 'exit 7' TERM; (sleep 0.1 &); while :; do sleep 0.05; done" ]; init = true;
            kill_mode = "mixed"; };
restart = { policy = "no"; };
U
    begin
    eventually said 'web: ready'
    [ "$(main_pids web | wc -l)" -ge 2 ]
    sleep 0.5
    ! grep -l 'State:.Z' $(main_pids web | sed 's,.*,/proc/&/status,') 2>/dev/null
    pid=$(ring status web --json | grep -oE '"main_pid": ?[0-9]+' | grep -oE '[0-9]+$')
    [ "$(awk '/^NSpid/ { print $NF }' "/proc/$pid/status")" = 2 ]
    kill -TERM "$pid"
    eventually said 'web: failed: exited with code 7'
    finish
}

@test "what the program leaves behind, in each kill mode" {
    for mode in control-group mixed process; do
        unit "$mode" <<U
service = { exec = [ "/bin/sh", "-c", "(trap 'echo term >>/mnt/$mode; exit' TERM; while :; do sleep 0.05; done) & sleep 0.3; exit 3" ];
            init = true; kill_mode = "$mode"; stop_timeout = "3s"; };
volumes = ( { name = "data"; target = "/mnt"; } );
restart = { policy = "no"; };
U
    done
    begin
    eventually said 'control-group: failed: exited with code 3'
    eventually said 'mixed: failed: exited with code 3'
    [ "$(cat "$scratch/state/volumes/data/control-group")" = term ]
    [ ! -e "$scratch/state/volumes/data/mixed" ]
    quiet 'process: failed'
    ring list | grep -q 'process .*stopping'
    # What was spared is waited for.
    kill -TERM $(main_pids process | tail -n 1) $(main_pids process | sed -n 2p)
    eventually said 'process: failed: exited with code 3'
    finish
}

@test "what was spared has as much time as the program" {
    unit web <<'U'
service = { exec = [ "/bin/sh", "-c", "(trap '' TERM; while :; do sleep 0.05; done) & sleep 0.3; exit 0" ];
            init = true; kill_mode = "process"; stop_timeout = "900ms"; };
restart = { policy = "no"; };
U
    begin
    eventually ring list
    eventually sh -c "'$RINGFENCE_BUILD/ringfence' --runtime-dir '$scratch/run' list | grep -q 'web .*stopping'"
    eventually said 'web: what it left behind did not end within 900ms: killed'
    finish
}

@test "a limit after which it is tried again" {
    unit web <<'U'
service = { exec = [ "/bin/sh", "-c", "echo run >>/mnt/log; exit 1" ]; };
volumes = ( { name = "data"; target = "/mnt"; } );
restart = { delay = "10ms"; max_delay = "10ms"; jitter = 0.0; limit_burst = 2; limit_interval = "1min"; on_limit = "retry-after:600ms"; };
U
    begin
    eventually said 'restart 3 in 600ms'
    eventually said 'restart 5 in 10ms'
    finish
}

@test "a place in the queues" {
    unit web <<'U'
service = { exec = [ "/bin/sh", "-c", "exec sleep 1000" ]; cpu_scheduling = "batch"; io_priority = "best-effort:6"; };
U
    begin
    eventually said 'web: ready'
    pid=$(main_pids web)
    chrt -p "$pid" | grep -q SCHED_BATCH
    [ "$(ionice -p "$pid")" = "best-effort: prio 6" ]
    finish
}

@test "a oneshot that remains is ended by its commands" {
    unit net <<'U'
service = { type = "oneshot"; exec = [ "/bin/sh", "-c", "echo up >>/mnt/log" ];
            exec_stop = ( [ "/bin/sh", "-c", "echo down $$ >>/mnt/log" ] );
            exec_post = ( [ "/bin/sh", "-c", "echo after >>/mnt/log" ] ); };
volumes = ( { name = "data"; target = "/mnt"; } );
U
    begin
    eventually said 'net: ready'
    ring stop net
    [ "$(cat "$scratch/state/volumes/data/log")" = $'up\ndown 1\nafter' ]
    finish
}
