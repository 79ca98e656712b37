#!/usr/bin/env bats
# Timers: units that the real clock starts.
bats_require_minimum_version 1.5.0
load real.bash

# note NAME TIMER [SERVICE-KEYS]: a unit whose runs leave a line each in the directory of its volume.
note() {
    unit "$1" <<U
service = { type = "oneshot"; exec = [ "/bin/sh", "-c", "echo run >> /mnt/runs" ]; $3 };
volumes = ( { name = "$1"; target = "/mnt"; } );
timer = { $2 };
U
}
runs() { cat "$scratch/state/volumes/$1/runs" 2>/dev/null | wc -l; }
has_run() { [ "$(runs "$1")" -ge "$2" ]; }
stamp() { mkdir -p "$scratch/state/timers" && echo "$2" >"$scratch/state/timers/$1"; }
done_until() { cut -d ' ' -f 1 "$scratch/state/timers/$1"; }
usec() { date -d "$1" +%s000000; }

@test "a schedule for each second starts it each second" {
    note tick 'schedule = "*:*:*";'
    begin
    eventually has_run tick 3
    sleep 3
    has_run tick 5
    local count=$(runs tick)
    [ "$count" -le 9 ]
    said "tick: its time has come"
    finish
}

@test "the interval counts from the end of a run" {
    note often 'interval = 1;'
    begin
    eventually has_run often 2
    finish
}

@test "on_boot comes once, also for a manager that was killed" {
    note first 'on_boot = 1;'
    begin
    sleep 0.5
    [ "$(runs first)" = 0 ]
    eventually has_run first 1
    eventually said "first: stopped"
    kill -KILL "$manager"
    wait "$manager" || true
    begin
    eventually test -S "$scratch/run/control"
    sleep 2
    [ "$(runs first)" = 1 ]
    finish
    begin # and once more when all came up anew
    eventually has_run first 2
    finish
}

@test "what was missed while down is made up once" {
    note nightly 'schedule = "0 3 * * *"; persistent = true;'
    note fresh 'schedule = "0 3 * * *"; persistent = true;'
    note plain 'schedule = "0 3 * * *";'
    stamp nightly "$(usec '3 days ago')"
    stamp plain "$(usec '3 days ago')"
    begin
    eventually has_run nightly 1
    finish
    [ "$(runs fresh)" = 0 ]
    [ "$(runs plain)" = 0 ]
    [ "$(done_until nightly)" -gt "$(usec '1 minute ago')" ]
    [ "$(done_until fresh)" -gt "$(usec '1 minute ago')" ]
    begin
    eventually test -S "$scratch/run/control"
    sleep 1
    finish
    [ "$(runs nightly)" = 1 ]
    grep -Eq '^[0-9]{16} [0-9]{16}$' "$scratch/state/timers/nightly"
    grep -Eq '^[0-9]{16} 0$' "$scratch/state/timers/fresh" # it has never run
}

@test "a stamp that is no time is named, and begun anew" {
    note nightly 'schedule = "0 3 * * *"; persistent = true;'
    stamp nightly yesterday
    begin
    eventually said "nightly: \"$scratch/state/timers/nightly\" holds no time in microseconds"
    finish
    [ "$(done_until nightly)" -gt "$(usec '1 minute ago')" ]
    [ "$(runs nightly)" = 0 ]
}

@test "a stamp that a power cut emptied is begun anew without a word" {
    note nightly 'schedule = "0 3 * * *"; persistent = true;'
    stamp nightly ''
    begin
    eventually grep -Eq '^[0-9]{16} 0$' "$scratch/state/timers/nightly"
    finish
    ! said "nightly: .*holds no time"
    [ "$(runs nightly)" = 0 ]
}

@test "a run that goes on is not joined by a second" {
    unit long <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
timer = { schedule = "*:*:*"; };
U
    begin
    eventually said "long: its time has come while it is ready: skipped"
    [ "$(main_pids long | wc -l)" = 1 ]
    ring stop long
    eventually times 2 "long: ready" # the timer is armed still
    finish
}

@test "a person starts it before its time; rm forgets the time" {
    note nightly 'schedule = "0 3 * * *"; persistent = true;'
    begin
    eventually test -S "$scratch/run/control"
    [ "$(runs nightly)" = 0 ]
    ring start nightly
    has_run nightly 1
    eventually said "nightly: stopped"
    [ -e "$scratch/state/timers/nightly" ]
    ring rm nightly
    [ ! -e "$scratch/state/timers/nightly" ]
    finish
}

@test "list, status and their JSON tell the next run and the last" {
    note tick 'schedule = "*:*:0/2";'
    note nightly 'schedule = "0 3 * * *"; randomized_delay = "5min";'
    unit plain <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
U
    begin
    eventually has_run tick 1
    eventually said "tick: stopped"
    ring list | grep -E '^nightly +loaded .* next ([0-9-]+ )?0[23]:[0-9]{2}'
    ring list | grep -E '^tick +(stopped|ready|starting|created|waiting|stopping) .* next [0-9:]{8}'
    ! ring list | grep -E '^plain .*next'
    run ring list --timers
    [[ ${lines[0]} == UNIT*STATE*NEXT*LEFT*LAST*DESCRIPTION ]]
    [[ ${lines[1]} == tick* && ${lines[2]} == nightly* && ${#lines[@]} = 3 ]]
    ring list --timers --json | perl -0777 -ne '
        /"name":"tick".*"timed":true,"next_run_usec":(\d{16}),"last_run_usec":(\d{16}).*"name":"nightly".*"last_run_usec":0/ && $1 > $2 or die $_'
    run ring status tick
    [[ $output =~ Timer:\ next\ [0-9-]+\ [0-9:]+\ \(in\ .*\),\ last\ [0-9-]+\ [0-9:]+ ]]
    run ring status nightly
    [[ $output =~ Timer:\ next && $output != *", last"* ]]
    run ring status plain
    [[ $output != *Timer:* ]]
    finish
}

@test "the clock wakes nobody before its time" {
    note yearly 'schedule = "@yearly";'
    begin
    eventually test -S "$scratch/run/control"
    sleep 0.5
    local before=$(awk '/^voluntary/ { print $2 }' "/proc/$manager/status")
    sleep 3
    [ "$(awk '/^voluntary/ { print $2 }' "/proc/$manager/status")" = "$before" ]
    finish
}
