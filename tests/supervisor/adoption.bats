#!/usr/bin/env bats
# kill -9 of the manager: what runs goes on, and the next manager knows of it what the last one did.
bats_require_minimum_version 1.5.0
load real.bash

# die [SECONDS]: the manager is killed, and stays away for so long.
die() {
    local pid
    pid=$(child)
    kill -STOP "$keeper"
    kill -KILL "$pid"
    sleep "${1:-0}"
    again=$(($(times_found) + 1))
    kill -CONT "$keeper"
    eventually found_again
    eventually ring list
}
times_found() { grep -c "units found again" "$scratch/stderr" || true; }
found_again() { [ "$(times_found)" = "$again" ]; }
lost_none() { ! grep "cannot be found again" "$scratch/stderr"; }

# field UNIT NAME: a number of its JSON.
field() { ring list --json | perl -0777 -ne '/"name":"'"$1"'".*?"'"$2"'":(\d+)/ and print $1'; }
pid_of() { field "$1" main_pid; }

@test "a ready service goes on: the same process, start time and counters" {
    unit web <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
restart = { policy = "always"; delay = "10ms"; };
install = { enabled = true; };
U
    begin_kept
    eventually is web ready
    kill -KILL "$(pid_of web)"
    restarted() { is web ready && [ "$(field web restarts)" = 1 ]; }
    eventually restarted
    local pid since
    pid=$(pid_of web) since=$(field web since_usec)
    die
    [ "$(pid_of web)" = "$pid" ]
    [ "$(field web restarts)" = 1 ]
    [ "$(field web since_usec)" = "$since" ]
    kill -KILL "$pid" # its end is heard of
    twice() { is web ready && [ "$(field web restarts)" = 2 ]; }
    eventually twice
    lost_none
    finish
}

@test "one that ended while nobody looked has its own exit status" {
    unit job <<'U'
service = { type = "oneshot"; exec = [ "/bin/sh", "-c", "sleep 1; exit 7" ]; };
U
    begin_kept
    ring start --no-wait job
    eventually is job starting
    die 2
    eventually is job failed
    ring status job | grep -q "exited with code 7"
    lost_none
    finish
}

@test "a oneshot under way is waited for" {
    unit job <<'U'
service = { type = "oneshot"; exec = [ "/bin/sh", "-c", "sleep 2" ]; };
U
    begin_kept
    ring start --no-wait job
    eventually is job starting
    local pid
    pid=$(pid_of job)
    die
    [ "$(pid_of job)" = "$pid" ]
    eventually is job ready
    finish
}

@test "a stop that waits for its process is finished, in the time that it had" {
    unit stubborn <<'U'
service = { exec = [ "/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done" ];
            stop_timeout = "4s"; };
install = { enabled = true; };
U
    begin_kept
    eventually is stubborn ready
    ring stop --no-wait stubborn
    eventually is stubborn stopping
    local begun=$SECONDS
    die 1
    is stubborn stopping
    eventually is stubborn stopped
    [ $((SECONDS - begun)) -le 8 ]
    lost_none
    finish
}

@test "the delay of a restart goes on" {
    unit broken <<'U'
service = { exec = [ "/bin/sh", "-c", "exit 3" ]; };
restart = { delay = "3s"; jitter = 0.0; };
install = { enabled = true; };
U
    begin_kept
    eventually is broken restarting
    local at
    at=$(field broken next_restart_usec)
    [ "$at" -gt 0 ]
    die 0.5
    [ "$(field broken next_restart_usec)" = "$at" ]
    more() { [ "$(field broken restarts)" -ge 2 ]; }
    eventually more
    finish
}

@test "what listens goes on to listen, and is started by the next connection" {
    unit lazy <<U
service = { exec = [ "$RINGFENCE_BUILD/tests/socket-peer", "serve" ]; };
rootfs = { };
network = { sockets = [ "127.0.0.1:39471" ]; sockets_lazy = true; };
install = { enabled = true; };
U
    begin_kept
    eventually is lazy listening
    die 0.3
    is lazy listening
    exec 5<>/dev/tcp/127.0.0.1/39471 # accepted by the kernel all the while
    awake() { [ "$(grep -c "lazy: a connection came" "$scratch/stderr")" -ge 1 ]; }
    eventually awake
    exec 5>&-
    finish
}

@test "a frozen service stays frozen, and can be thawed" {
    unit cold <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
install = { enabled = true; };
U
    begin_kept
    eventually is cold ready
    ring pause cold
    die
    grep -q 1 "$cgroup/unit-cold/main/cgroup.freeze"
    ring resume cold
    grep -q 0 "$cgroup/unit-cold/main/cgroup.freeze"
    is cold ready
    finish
}

# client NAME WORD...: a unit of type notify that does the words (notify-client.c).
client() {
    local name=$1 words='' word
    shift
    for word; do words="$words, \"$word\""; done
    unit "$name" <<U
service = { type = "notify"; exec = [ "/mnt/notify-client"$words ]; };
mounts = ( { type = "bind"; source = "$RINGFENCE_BUILD/tests"; target = "/mnt"; readonly = true; } );
restart = { policy = "always"; delay = "50ms"; };
U
}

@test "a word that is said while nobody listens is heard" {
    client slow sleep 1500 say READY=1 wait
    begin_kept
    ring start --no-wait slow
    eventually is slow starting
    die 2
    eventually is slow ready
    finish
}

@test "a stored descriptor comes back, and a main process that was moved is still it" {
    client stores keep-pipe kept say READY=1 wait exit 1
    client moves mainpid pid say READY=1 wait
    begin_kept
    ring start stores moves
    local moved
    moved=$(pid_of moves)
    [ "$moved" != "$(head -n 1 "$cgroup/unit-moves/main/cgroup.procs")" ]
    die
    [ "$(pid_of moves)" = "$moved" ]
    grep -q 'descriptors = "[-+]kept"' "$scratch/run/units/stores/facts"
    lost_none
    finish
}

@test "the record of a health check goes on" {
    unit sick <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
health = { exec = [ "/bin/false" ]; interval = "200ms"; retries = 100; gates_ready = false; };
install = { enabled = true; };
U
    begin_kept
    failures() { sed -n '/^health/,/^}/s/^  failures = \([0-9]*\)L;/\1/p' "$scratch/run/units/sick/facts"; }
    some() { [ "$(failures)" -ge 2 ]; }
    eventually some
    local before
    before=$(failures)
    die
    more() { [ "$(failures)" -gt "$before" ]; }
    eventually more
    is sick ready
    finish
}

@test "reexec: the same path in good order" {
    unit web <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
install = { enabled = true; };
U
    begin_kept
    eventually is web ready
    local pid
    pid=$(pid_of web)
    run ring reexec
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == "units found again: 1, lost: 0; ringfence "* ]]
    [ "$(pid_of web)" = "$pid" ]
    lost_none
    finish
}

@test "what cannot be found again is ended and started anew, and a line says why" {
    unit web <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
install = { enabled = true; };
U
    begin_kept
    eventually is web ready
    local pid
    pid=$(pid_of web)
    damage() {
        again=$(($(times_found) + 1))
        kill -STOP "$keeper"
        kill -KILL "$(child)"
        "$@"
        kill -CONT "$keeper"
        eventually found_again
        eventually is web ready
        ended() { [ ! -e "/proc/$pid" ]; }
        eventually ended
        pid=$(pid_of web)
    }
    damage sed -i 's/restarts/restartz/; s/main_pid = /main_pid = 1/' "$scratch/run/units/web/facts"
    said "web: cannot be found again: it is damaged"
    damage truncate -s 100 "$scratch/run/units/web/facts"
    damage chmod 644 "$scratch/run/units/web/facts"
    said "web: cannot be found again: .* is not ours alone"
    damage ln -sf /etc/passwd "$scratch/run/units/web/facts"
    finish
}

@test "what a newer version has written is left alone, with all that runs, until that is back" {
    unit web <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
U
    begin_kept
    ring start web
    local pid
    pid=$(pid_of web)
    rm "$scratch/units/web.unit" # nobody else could start it again
    kill -STOP "$keeper"
    kill -KILL "$(child)"
    sed -i 's/version = 1/version = 99/' "$scratch/run/units/web/facts"
    again=$(($(times_found) + 1))
    kill -CONT "$keeper"
    refused() {
        [ "$(grep -c "what runs goes on, and is left to the newer ringfence" "$scratch/stderr")" -gt 2 ]
    }
    eventually refused
    said "what is known of web: it is of a newer format \(99, here 1\)"
    kill -0 "$pid"
    sed -i 's/version = 99/version = 1/' "$scratch/run/units/web/facts"
    eventually found_again
    eventually is web ready
    [ "$(pid_of web)" = "$pid" ]
    lost_none
    finish
}

@test "a file that changed or went while the manager was away counts from the next start" {
    unit stays <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
install = { enabled = true; };
U
    unit goes <<'U'
service = { exec = [ "/bin/sleep", "1001" ]; };
install = { enabled = true; };
U
    begin_kept
    eventually is stays ready
    eventually is goes ready
    local pid other
    pid=$(pid_of stays) other=$(pid_of goes)
    kill -STOP "$keeper"
    kill -KILL "$(child)"
    sed -i 's/1000/1002/' "$scratch/units/stays.unit"
    rm "$scratch/units/goes.unit"
    again=1
    kill -CONT "$keeper"
    eventually found_again
    eventually ring list
    [ "$(pid_of stays)" = "$pid" ]
    [ "$(pid_of goes)" = "$other" ]
    ring restart stays
    tr '\0' ' ' <"/proc/$(pid_of stays)/cmdline" | grep -q "sleep 1002"
    ring stop goes
    ! ring status goes
    lost_none
    finish
}

# The keeper too, so that nobody holds what has no process.
die_all() {
    local manager_pid
    manager_pid=$(child)
    kill -KILL "$keeper"
    wait "$keeper" || true
    gone() { [ ! -e "/proc/$manager_pid" ]; }
    eventually gone
    begin_kept
}

@test "a oneshot whose work is done is not run again, though nobody held its namespaces" {
    unit once <<'U'
service = {
    type = "oneshot";
    exec = [ "/bin/sh", "-c", "echo ran >> /mnt/runs" ];
    exec_stop = ( [ "/bin/sh", "-c", "echo undone >> /mnt/runs" ] );
    remain_after_exit = true;
};
volumes = ( { name = "once"; target = "/mnt"; } );
install = { enabled = true; };
U
    begin_kept
    eventually is once ready
    die_all
    eventually is once ready
    cat "$scratch/stderr";     said "once: its work stays done, its sandbox is made again: nobody kept its namespaces"
    said "units found again: 1, lost: 0"
    [ "$(cat "$scratch/state/volumes/once/runs")" = ran ]
    ring stop once
    [ "$(cat "$scratch/state/volumes/once/runs")" = $'ran\nundone' ]
    ring start once
    [ "$(cat "$scratch/state/volumes/once/runs")" = $'ran\nundone\nran' ]
    lost_none
    finish
}

# ---- at random moments, while everything goes on ----

@test "killed ${RINGFENCE_DEATHS:-5} times at random moments under load: all goes on, all is counted" {
    run "$BATS_TEST_DIRNAME/storm" "$RINGFENCE_BUILD" "$RINGFENCE_BUILD/tests" "${RINGFENCE_DEATHS:-5}" 3>&-
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"nothing is wrong"* ]]
}
