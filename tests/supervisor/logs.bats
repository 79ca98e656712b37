#!/usr/bin/env bats
# The output of real services, from the FIFO to `ringfence logs`.
load real

logged() { ring logs "$1" | grep -q "$2"; }

@test "aliases, several units, and a unit that logs elsewhere" {
    unit web <<'U'
service = { exec = [ "/bin/sh", "-c", "echo from web; exec sleep 1000" ]; };
install = { alias = "www"; };
U
    unit db <<'U'
service = { exec = [ "/bin/sh", "-c", "echo from db >&2; exec sleep 1000" ]; };
U
    unit far <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
logging = { driver = "syslog"; };
U
    begin
    logger
    eventually logged web "out: from web$"
    eventually logged www "web\[$(main_pids web)\] out: from web$"
    eventually logged db "err: from db$"
    [ "$(ring logs --no-prefix www)" = "from web" ]
    [ "$(ring logs www db | sed 's/.*: //' | sort | xargs)" = "from db from web" ]
    ring logs far 2>"$scratch/complaint"
    [ "$(cat "$scratch/complaint")" = 'ringfence: the output of far goes elsewhere: its log driver is "syslog"' ]
    quit
}

@test "each run's words have its pid, and a start is one write for the logger" {
    unit short <<'U'
service = { exec = [ "/bin/sh", "-c", "echo I am $(awk '/^NSpid/ { print $2 }' /proc/self/status); sleep 0.2; printf unfinished; exit 1" ]; };
restart = { policy = "always"; delay = "50ms"; };
U
    begin
    logger
    runs() { [ "$(ring logs short | grep -c "out+: unfinished$")" -ge 4 ]; }
    eventually logged short "out+: unfinished$"
    inode=$(stat -c %i "$scratch/run/output/short/pid" "$scratch/run/output/short/settings")
    eventually runs
    [ "$(stat -c %i "$scratch/run/output/short/pid" "$scratch/run/output/short/settings")" = "$inode" ]
    ring stop short
    ring logs short | sed -E 's/^[^ ]+ short\[([0-9]+)\].*/\1/' | uniq -c |
        awk '$1 != 2 { print; wrong = 1 } END { exit wrong }'
    quit
}

@test "a service goes on while the logger is away, and all it says is there" {
    unit counter <<'U'
service = { exec = [ "/bin/sh", "-c", "i=0; while i=$((i + 1)); do echo $i; sleep 0.005; done" ]; };
U
    begin
    logger
    eventually logged counter "out: 5$"
    pid=$(main_pids counter | head -n 1)
    for i in 1 2 3 4 5; do
        kill -KILL "$logger"
        wait "$logger" || true
        sleep 0.2
        logger
    done
    eventually logged counter "out: 300$"
    [ "$(main_pids counter | head -n 1)" = "$pid" ]
    ring stop counter
    quit
    "$RINGFENCE_BUILD/ringfence" logs --log-dir "$scratch/log" --no-prefix counter >"$scratch/have"
    seq 1 "$(wc -l <"$scratch/have")" | cmp - "$scratch/have"
}

@test "logs -f over rotations and over a logger that is killed" {
    unit fast <<'U'
service = { exec = [ "/bin/sh", "-c", "seq 1 200000; echo done; exec sleep 1000" ]; };
logging = { max_size = "400K"; max_files = 200; };
install = { enabled = false; };
U
    begin
    logger
    eventually ring list
    "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" logs -f --no-prefix fast >"$scratch/followed" 3>&- &
    follower=$!
    ring start fast
    sleep 0.1
    kill -KILL "$logger"
    wait "$logger" || true
    logger
    eventually grep -q "^done$" "$scratch/followed"
    kill "$follower"
    { seq 1 200000; echo done; } | cmp - "$scratch/followed"
    quit
}

@test "a rate is heeded at once when it changes" {
    unit noisy <<'U'
service = { exec = [ "/bin/sh", "-c", "while echo line; do sleep 0.01; done" ]; };
U
    begin
    logger
    eventually logged noisy "out: line$"
    pid=$(main_pids noisy | head -n 1)
    unit noisy <<'U'
service = { exec = [ "/bin/sh", "-c", "while echo line; do sleep 0.01; done" ]; };
logging = { rate = "5/s"; };
U
    ring apply
    eventually logged noisy "note: [0-9]* lines were dropped: there were more than 5 in 1s$"
    [ "$(main_pids noisy | head -n 1)" = "$pid" ]
    quit
}

@test "manager and logger are killed, and what was not read yet is there" {
    unit counter <<'U'
service = { exec = [ "/bin/sh", "-c", "i=0; while i=$((i + 1)); do echo $i; sleep 0.005; done" ]; };
U
    unit once <<'U'
service = { exec = [ "/bin/sh", "-c", "sleep 1; exec seq 1 1000" ]; remain_after_exit = true; type = "oneshot"; };
restart = { policy = "no"; };
U
    begin_kept
    eventually logged counter "out: 5$"
    pid=$(main_pids counter | head -n 1)
    kill -STOP "$manager" # so that nobody comes back
    kill -KILL "$(child ringfence-manag)" "$(child ringfence-logd)"
    sleep 2 # what says its words and ends now, writes into FIFOs that ringfenced alone holds
    kill -CONT "$manager"
    eventually ring list
    eventually logged once "out: 1000$"
    [ "$(ring logs --no-prefix once | xargs)" = "$(seq 1 1000 | xargs)" ]
    [ "$(main_pids counter | head -n 1)" = "$pid" ]
    ring stop counter
    ring logs --no-prefix counter >"$scratch/have"
    seq 1 "$(wc -l <"$scratch/have")" | cmp - "$scratch/have"
    [ "$(wc -l <"$scratch/have")" -gt 100 ]
    finish
}

@test "the last words of a service, whose logger was killed right before the end" {
    unit last <<'U'
service = { exec = [ "/bin/sh", "-c", "trap 'seq 1 100; exit 0' TERM; echo up; while :; do sleep 0.01; done" ]; };
U
    begin_kept
    eventually logged last "out: up$"
    logger=0
    another() { next=$(pgrep -P "$manager" -x ringfence-logd) && [ "$next" != "$logger" ]; }
    for i in 1 2 3; do # so that the next one is not there at once
        eventually another
        logger=$next
        kill -KILL "$logger"
    done
    finish
    [ "$("$RINGFENCE_BUILD/ringfence" logs --log-dir "$scratch/log" --no-prefix last | xargs)" = "up $(seq 1 100 | xargs)" ]
}

# A logger that is stopped, and killed afterwards, has read nothing of what was said meanwhile.
@test "a unit is removed while its logger is away: what it said is there all the same" {
    unit talk <<'U'
service = { exec = [ "/bin/sh", "-c", "seq 1 1000; echo trouble >&2" ]; type = "oneshot"; remain_after_exit = false; };
restart = { policy = "no"; };
install = { enabled = false; };
U
    begin_kept
    eventually ring list
    gone() { [ ! -e "$scratch/run/output/talk" ]; }
    all() { [ "$(ring logs --no-prefix talk | sort | uniq -c | awk "\$1 == $1" | wc -l)" = 1001 ]; }
    for round in 1 2 3; do
        logger=$(child ringfence-logd)
        kill -STOP "$logger"
        ring start talk
        ring rm talk
        [ -p "$scratch/run/output/talk/out" ] # until it is read
        if [ $round = 2 ]; then # the next manager waits for the same
            old=$(child ringfence-manag)
            kill -KILL "$old"
            eventually ring list
            [ "$(child ringfence-manag)" != "$old" ]
        elif [ $round = 3 ]; then # and so does the unit, if it comes again
            ring start talk
            round=4
        fi
        kill -KILL "$logger"
        eventually all $round
        [ $round != 4 ] || ring rm talk
        eventually gone
    done
    finish
}

# One that is stopped neither reads nor dies: it is asked, and found out.
@test "a logger that hangs is noticed, told of and replaced, and nothing is lost" {
    unit talk <<'U'
service = { exec = [ "/bin/sh", "-c", "seq 1 1000; exec sleep 1000" ]; };
U
    unit quiet <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
U
    begin_kept
    eventually logged talk "out: 1000$"
    logger=$(child ringfence-logd)
    kill -STOP "$logger"
    ring restart talk
    told() { ring status | grep -q "Status.*the logger has not answered for [0-9]* s: what units say waits"; }
    eventually_later told
    said "the logger has not answered for 10 s"
    another() { next=$(child ringfence-logd) && [ -n "$next" ] && [ "$next" != "$logger" ]; }
    eventually_later another
    said "ringfence-logd \(pid $logger\) does not answer and is killed"
    eventually_later said "the logger answers again"
    ! told
    [ "$(ring logs --no-prefix talk | sort | uniq -c | awk '$1 == 2' | wc -l)" = 1000 ]
    finish
}
eventually_later() { # what takes its ten seconds
    eventually "$@" || eventually "$@" || eventually "$@"
}
