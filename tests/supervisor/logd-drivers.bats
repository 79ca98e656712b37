#!/usr/bin/env bats
# ringfence-logd: what goes elsewhere than into files, and rates.
load logd

receive() { # journal|syslog PATH
    "$RINGFENCE_BUILD/tests/log-receiver" "$@" >>received 3>&- &
    receiver=$!
    pids+=" $receiver"
    eventually test -S "$2"
}
received() { grep -qP "$1" received; }

# ---- the journal ----

journal() {
    trap 'kill -KILL $pids 2>/dev/null || true' EXIT
    mkdir -p /run/systemd/journal
    mount -t tmpfs tmpfs /run/systemd/journal
    touch received
    driver=journal unit web "" "" "" 4711
    begin
    exec 7<>run/output/web/out
    echo early >&7
    eventually said '^ringfence-logd: cannot send the output of web to the journal: "/run/systemd/journal/socket": No such file or directory; its output waits until that works$'
    receive journal /run/systemd/journal/socket
    eventually said "^ringfence-logd: the output of web goes to the journal again$"
    eventually received "MESSAGE=early$"
    [ "$(cat received)" = $'UNIT=web\tSYSLOG_IDENTIFIER=web\tSYSLOG_FACILITY=3\tPRIORITY=6\tPID=4711\tSYSLOG_PID=4711\tOBJECT_PID=4711\tSTREAM=out\tMESSAGE=early' ]
    echo "<3>trouble" >run/output/web/err
    eventually received "PRIORITY=3.*STREAM=err\tMESSAGE=trouble$"
    printf 'login: ' >&7
    eventually received "PARTIAL=1\tMESSAGE=login: $"
    # One that does not read holds the writer back; nothing is lost, all is in order.
    : >received
    kill -STOP "$receiver"
    seq 1 30000 >&7 3>&- &
    writer=$!
    pids+=" $writer"
    sleep 0.3
    kill -0 "$writer"
    kill -CONT "$receiver"
    wait "$writer"
    eventually received "MESSAGE=30000$"
    sed 's/.*MESSAGE=//' received | cmp - <(seq 1 30000)
    # A daemon that begins anew is found again.
    kill -KILL "$receiver"
    wait "$receiver" || true
    receive journal /run/systemd/journal/socket
    echo again >&7
    eventually received "MESSAGE=again$"
    # The logger is killed: what it had under way is brought to its end.
    : >received
    seq 1 3000 >&7
    kill -KILL "$daemon"
    wait "$daemon" || true
    begin
    eventually received "MESSAGE=3000$"
    sed 's/.*MESSAGE=//' received | uniq | cmp - <(seq 1 3000)
    finish
    [ ! -e log/web ]
}

@test "the journal" {
    privately journal
}

# ---- devices, and /dev/log ----

# A /dev of our own, over the real one. The console is a FIFO here, and the kernel's log a file.
devices() {
    mkdir over
    mount -t tmpfs tmpfs over
    mkdir over/upper over/spare
    mount -t overlay overlay -o lowerdir=/dev,upperdir=over/upper,workdir=over/spare /dev
    rm -f /dev/log /dev/console /dev/kmsg
}

syslog() {
    trap 'kill -KILL $pids 2>/dev/null || true' EXIT
    devices
    touch received
    export TZ=XYZ-1
    driver=syslog unit web "" "" "" 4711
    begin
    exec 7<>run/output/web/out
    echo "<4>careful" >&7
    eventually said '^ringfence-logd: cannot send the output of web to syslog: "/dev/log": No such file or directory; its output waits until that works$'
    receive syslog /dev/log
    eventually received "careful"
    received '^<28>(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 1-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9] web\[4711\]: careful$'
    [ "$(sed -E 's/^<28>(... .. ..:..).*/\1/' received)" = "$(date '+%b %e %H:%M')" ] ||
        [ "$(date +%S)" -lt 3 ]
    head -c 20000 /dev/zero | tr '\0' x >&7
    echo >&7
    echo done >&7
    eventually received "done$"
    [ "$(awk '{ print length($NF) }' received | xargs)" = "7 8000 8000 4000 4" ]
    finish
    said "^ringfence-logd: the output of web goes to syslog again$"
}

@test "syslog" {
    privately syslog
}

kernel_log() {
    trap 'kill -KILL $pids 2>/dev/null || true' EXIT
    devices
    touch /dev/kmsg
    driver=kmsg unit web "" "" "" 4711
    begin
    echo "<1>alarm" >run/output/web/out
    eventually grep -q alarm /dev/kmsg
    finish
    [ "$(cat /dev/kmsg)" = "<25>web[4711]: alarm" ]
}

@test "the kernel's log" {
    privately kernel_log
}

console() {
    trap 'kill -KILL $pids 2>/dev/null || true' EXIT
    devices
    mkfifo /dev/console
    driver=console unit web "" "" "" 4711
    begin
    exec 7<>run/output/web/out
    echo "nobody looks" >&7
    eventually said '^ringfence-logd: cannot send the output of web to the console: "/dev/console": No such device or address; its output waits until that works$'
    cat /dev/console >shown 3>&- &
    pids+=" $!"
    eventually grep -q "nobody looks" shown
    printf '<3>\033[2J\n' >&7
    eventually grep -qF '[2J' shown
    finish
    [ "$(cat shown)" = $'web[4711]: nobody looks\nweb[4711]: \xef\xbf\xbd[2J' ]
}

@test "the console" {
    privately console
}

@test "a driver that changes while the unit runs" {
    unit web
    begin
    exec 7<>run/output/web/out
    echo one >&7
    eventually logged web "out: one"
    driver=none settings web
    eventually said "^ringfence-logd: output of web: no usable driver in its settings$"
    echo two >&7
    eventually logged web "out: two" # as before
    finish
}

# ---- rates ----

@test "what is more than the rate is dropped and counted" {
    rate=100 interval=500 unit web
    unit free
    begin
    exec 7<>run/output/web/out
    seq 1 1000 >&7
    seq 1 1000 >run/output/free/out
    eventually logged web "note: "
    eventually logged free "out: 1000"
    echo later >&7
    eventually logged web "out: later"
    finish
    passed=$(grep -c " out: [0-9]" log/web/current)
    dropped=$(sed -nE 's/.* note: ([0-9]+) lines were dropped: there were more than 100 in 500ms$/\1/p' log/web/current | awk '{ n += $1 } END { print n }')
    [ "$passed" -ge 100 ]
    [ $((passed + dropped)) = 1000 ] || { echo "$passed and $dropped"; false; }
    [ "$(grep " out: [0-9]" log/web/current | head -n 100 | sed 's/.* //' | xargs)" = "$(seq 1 100 | xargs)" ]
    [ "$(grep -c " out: " log/free/current)" = 1000 ]
}

@test "a rate holds nobody back" {
    rate=10 interval=3600000 unit web
    begin
    timeout 20 seq 1 200000 >run/output/web/out
    finish
    [ "$(grep -c " out: " log/web/current)" = 10 ]
    grep -q "web\[42\] note: 199990 lines were dropped: there were more than 10 in 1h$" log/web/current
    run "$RINGFENCE_BUILD/ringfence" logs --log-dir log --json -n 1 web
    [[ $output == *'"stream":"note","partial":false,"text":"199990 lines were dropped: there were more than 10 in 1h"'* ]]
}
