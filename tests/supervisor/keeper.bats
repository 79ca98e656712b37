#!/usr/bin/env bats
# ringfenced with a manager and a logger that do as they are told (fake-child.c).

load keeper.bash

listen() {
    rm -f "$1"
    ./ringfence-manager listen "$1" >upward 3>&- &
    listener=$!
    sleep 0.1
}

@test "help, version" {
    run ./ringfenced --help
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "usage: ringfenced [OPTION]..." ]]
    for option in --foreground --units --runtime-dir --state-dir --log-dir --cgroup --config; do
        [[ "$output" == *"$option"* ]]
    done
    run ./ringfenced --version
    [ "$status" -eq 0 ]
    [[ "$output" =~ ^ringfenced\ [0-9.]+$ ]]
}

@test "what is no option is refused" {
    run ./ringfenced --unit DIR
    [ "$status" -eq 2 ]
    [[ "${lines[0]}" == "ringfenced: unknown option: --unit" ]]
    run ./ringfenced --foreground=yes
    [ "$status" -eq 2 ]
    [[ "${lines[0]}" == "ringfenced: unknown option: --foreground=yes" ]]
    run ./ringfenced now
    [ "$status" -eq 2 ]
    [[ "${lines[0]}" == "ringfenced: unexpected argument: now" ]]
    for missing in --units --units= ; do
        run ./ringfenced $missing
        [ "$status" -eq 2 ]
        [[ "${lines[0]}" == "ringfenced: a value is missing: --units" ]]
    done
}

@test "a program that is missing" {
    rm ringfence-logd
    run ./ringfenced --runtime-dir run
    [ "$status" -eq 1 ]
    [[ "$output" == "ringfenced: cannot find the program ringfence-logd, neither in \"$scratch\" nor in \""*"/ringfence\"" ]]
}

@test "a runtime directory that cannot be" {
    touch file
    run ./ringfenced --runtime-dir file/run
    [ "$status" -eq 1 ]
    [[ "$output" == "ringfenced: cannot make directory \"file/run\": Not a directory" ]]
    long=$scratch/$(printf 'x%.0s' {1..100})
    run ./ringfenced --runtime-dir "$long"
    [ "$status" -eq 1 ]
    [[ "$output" == "ringfenced: the runtime directory \"$long\" has too long a name: a socket in it may have 107 bytes" ]]
}

@test "without standard input and /dev/null it begins all the same" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    script manager "notify READY=1" "note ready" wait "exit 0"
    begin unshare --mount sh -c 'mount -t tmpfs none /dev && exec "$@" <&-' -
    eventually event "ringfence-manager ready"
    kill -TERM "$keeper"
    finish 0
}

@test "without descriptors it does not begin" {
    run sh -c 'ulimit -n 6 && exec ./ringfenced --runtime-dir run'
    [ "$status" -eq 1 ]
    [ "$output" = "ringfenced: cannot open what the manager is to be given: Invalid argument" ]
}

@test "both children get what is theirs" {
    printf '#!/bin/sh\necho $RINGFENCE_KEEPER >manager-knows\necho "$NOTIFY_SOCKET $*" >manager-got\nexec sleep 100\n' >ringfence-manager
    printf '#!/bin/sh\necho "$NOTIFY_SOCKET $*" >logd-got\nexec sleep 100\n' >ringfence-logd
    chmod +x ringfence-manager ringfence-logd
    ./ringfenced --units a --runtime-dir=run --units=b --log-dir log --cgroup c --config d \
        --state-dir e 3>&- &
    keeper=$!
    eventually test -s manager-got -a -s logd-got
    [ "$(cat manager-got)" = "$scratch/run/keeper --units a --runtime-dir=run --units=b --log-dir log --cgroup c --config d --state-dir e" ]
    [ "$(cat logd-got)" = "$scratch/run/keeper --runtime-dir run --log-dir log" ]
    [ "$(stat -c '%a %F' run/keeper)" = "600 socket" ]
    [ "$(stat -c %a run)" = 755 ]
    [ "$(cat manager-knows)" = 1 ]
}

@test "who reaches the manager through /proc cannot change its program" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    begin
    eventually event "ringfence-manager started"
    run chmod u+w "/proc/$(child ringfence-manager)/exe"
    [ "$status" -ne 0 ]
    [[ $output = *"Read-only file system"* ]]
    kill -TERM "$keeper"
    finish 0
}

@test "READY and its like are passed upward" {
    script manager "notify READY=1|STATUS=3 units|X_OTHER=1" "notify FDSTORE=1" wait \
        "notify STOPPING=1" "exit 0"
    for socket in "$scratch/upward.socket" "@$scratch/upward"; do
        rm -f events
        listen "$socket"
        begin env NOTIFY_SOCKET="$socket"
        eventually grep -qx 'READY=1|STATUS=3 units' upward
        kill -TERM $keeper
        finish 0
        [ "$(cat upward)" = $'READY=1|STATUS=3 units\nSTOPPING=1\nSTOPPING=1' ]
        kill "$listener"
    done
}

@test "notifications of strangers, and those that are too long, are ignored" {
    script manager "stray READY=1" "large" "note ready" wait "exit 0"
    listen "$scratch/upward.socket"
    begin env NOTIFY_SOCKET="$scratch/upward.socket"
    eventually said "^ringfenced: a notification from process [0-9]* is ignored: it is not my child$"
    eventually said "^ringfenced: a notification of more than 4096 bytes is ignored$"
    kill -TERM $keeper
    finish 0
    [ "$(cat upward)" = "STOPPING=1" ]
}

@test "what dies is started again, with a delay that grows" {
    script manager "note started" "raise 11"
    listen "$scratch/upward.socket"
    begin env NOTIFY_SOCKET="$scratch/upward.socket"
    eventually said "in 400 ms"
    grep -E "^ringfenced: ringfence-manager \(pid [0-9]+\) ended by itself: SIGSEGV( \(core dumped\))?; starting it again in 100 ms$" stderr
    [ "$(grep -o 'in [0-9]* ms' stderr | head -n 3)" = $'in 100 ms\nin 200 ms\nin 400 ms' ]
    script manager "note recovered" wait "exit 0"
    eventually event "ringfence-manager recovered"
    [ "$(grep -c started events)" -ge 4 ] # three, and the logger
    grep -q '^STATUS=the manager ended by itself (SIGSEGV.*), starting it again$' upward
    kill -TERM $keeper
    finish 0
}

@test "a program that is gone for a while is found again" {
    begin
    eventually event "ringfence-manager started"
    mv ringfence-manager away
    kill -KILL "$(child ringfence-manager)"
    eventually said "^ringfenced: cannot run \"$scratch/ringfence-manager\": No such file or directory$"
    eventually said "^ringfenced: cannot find the program ringfence-manager, neither in "
    mv away ringfence-manager
    eventually events 2 "ringfence-manager started"
    kill -TERM $keeper
    finish 0
}

@test "so is the logger" {
    script logd "note started" "sleep 50" "exit 5"
    begin
    eventually said "^ringfenced: ringfence-logd (pid [0-9]*) ended by itself: exit status 5; starting it again in 200 ms$"
    [ "$(grep -c 'ringfence-manager started' events)" -eq 1 ]
    kill -TERM $keeper
    finish 0
}

@test "a first manager that refuses its configuration ends it all" {
    for code in 2 78; do
        script manager "sleep 300" "exit $code"
        begin
        finish $code
        event "ringfence-logd SIGTERM"
        rm events
    done
}

@test "a later one does not" {
    script manager "notify READY=1" "sleep 100" "exit 78"
    begin
    eventually said "exit status 78; starting it again in 200 ms"
    script manager wait "exit 0"
    kill -TERM $keeper
    finish 0
}

@test "orphans are reaped" {
    script manager "orphan 1" "orphan 100" "note ready" wait "exit 0"
    begin
    eventually event "ringfence-manager ready"
    sleep 0.3
    for pid in $(awk '/orphan/ { print $3 }' events); do
        [ ! -e "/proc/$pid" ]
    done
    kill -TERM $keeper
    finish 0
}

@test "the end comes in order, and leaves nothing" {
    script manager "note started" wait "sleep 100" "note last words" "exit 0"
    begin
    eventually test -S run/keeper
    eventually event "ringfence-manager started"
    eventually event "ringfence-logd started"
    kill -TERM $keeper
    finish 0
    [ "$(grep -v started events)" = $'ringfence-manager SIGTERM\nringfence-manager last words\nringfence-logd SIGTERM' ]
    [ ! -e run/keeper ]
    [ ! -s stderr ]
}

@test "a second signal and a hang-up are passed on" {
    script manager "note ready" wait wait "exit 0"
    begin
    eventually event "ringfence-manager ready"
    kill -HUP $keeper
    eventually event "ringfence-manager SIGHUP"
    kill -INT $keeper
    eventually event "ringfence-manager SIGTERM"
    kill -INT $keeper
    eventually event "ringfence-manager SIGINT"
    finish 0
}

@test "a manager that dies while stopping has a successor that goes on" {
    script manager "orphan 100000" "notify READY=1" wait "raise 9"
    begin
    eventually grep -q orphan events
    eventually event "ringfence-logd started"
    script manager "note again" wait "exit 0"
    kill -TERM $keeper
    finish 0
    [ "$(grep -v -e started -e orphan events)" = $'ringfence-manager SIGTERM\nringfence-manager again\nringfence-manager SIGTERM\nringfence-logd SIGTERM' ]
    said "^ringfenced: ringfence-manager (pid [0-9]*) ended by itself: SIGKILL; starting it again in 100 ms$"
    kill -KILL "$(awk '/orphan/ { print $3 }' events)" # nobody but a manager ends a service
}

@test "when all of them die, what they left is killed" {
    script manager "orphan 100000" wait "raise 9"
    begin
    eventually grep -q orphan events
    eventually event "ringfence-logd started"
    kill -TERM $keeper
    finish 1
    for pid in $(awk '/orphan/ { print $3 }' events); do
        [ ! -e "/proc/$pid" ]
    done
    [ "$(grep -c 'ringfence-manager SIGTERM' events)" -eq 5 ]
    event "ringfence-logd SIGTERM"
    said "^ringfenced: no manager has stopped the services; what is left is killed$"
}

@test "a manager that hangs while stopping is killed when its time is over" {
    script manager "notify READY=1" wait "notify EXTEND_TIMEOUT_USEC=300000" \
        "notify EXTEND_TIMEOUT_USEC=18446744073709551615" "sleep 500" \
        "notify EXTEND_TIMEOUT_USEC=300000" hang
    begin
    eventually event "ringfence-logd started"
    script manager wait "exit 0"
    kill -TERM $keeper
    finish 0
    said "^ringfenced: ringfence-manager (pid [0-9]*) has not ended in 300 ms and is killed$"
}

@test "one that waits for a disk outlives even SIGKILL, but nothing keeps the end from coming" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    truncate -s 8M image && mke2fs -qF image && mkdir disk
    mount -o loop image disk || skip "no loop device can be had"
    script manager "notify READY=1" "note ready" wait "notify EXTEND_TIMEOUT_USEC=100000" \
        "write $scratch/disk/file" "note written"
    begin
    eventually event "ringfence-manager ready"
    script manager "note next" wait "exit 0"
    manager=$(child ringfence-manager)
    fsfreeze -f disk
    kill -TERM "$keeper"
    finish 0
    said "^ringfenced: ringfence-manager (pid $manager) has not ended in 100 ms and is killed$"
    said "^ringfenced: ringfence-manager (pid $manager) does not even die, and is given up$"
    event "ringfence-manager next"
    event "ringfence-logd SIGTERM"
    grep "^State:.D" "/proc/$manager/status"
    thaw
    eventually [ ! -e "/proc/$manager" ]
    ! event "ringfence-manager written"
}

@test "a manager is watched if it asks for it" {
    script manager "told RINGFENCE_WATCHDOG_USEC" "notify READY=1" "notify WATCHDOG_USEC=400000" \
        "sleep 300" "notify WATCHDOG=1" "sleep 300" "notify WATCHDOG=1" "note lives" hang
    begin
    eventually event "ringfence-manager lives"
    script manager "told RINGFENCE_WATCHDOG_USEC" "notify WATCHDOG_USEC=0" "note free" wait "exit 0"
    eventually said "^ringfenced: ringfence-manager (pid [0-9]*) has not shown that it is alive in 400 ms and is killed$"
    eventually event "ringfence-manager free"
    event "ringfence-manager told nothing"
    event "ringfence-manager told 400000"
    kill -TERM $keeper
    finish 0
}

@test "a manager that stops by itself" {
    script manager "notify STOPPING=1" "sleep 100" "exit 0"
    begin
    finish 0
    event "ringfence-logd SIGTERM"
}

@test "the end while the manager waits for its next start" {
    script manager "sleep 50" "exit 1"
    begin
    eventually said "in 800 ms"
    said "^ringfenced: ringfence-manager failed twice before it was ready; the services go on without it$"
    script manager "note last" wait "exit 0"
    kill -TERM $keeper
    finish 0
    event "ringfence-manager last"
}

@test "a logger that does not end" {
    script logd "note started" wait "note ignored" wait
    begin
    eventually event "ringfence-manager started"
    eventually event "ringfence-logd started"
    kill -TERM $keeper
    eventually event "ringfence-logd ignored"
    finish 0
    said "^ringfenced: ringfence-logd (pid [0-9]*) has not ended in 10000 ms and is killed$"
}

@test "a runtime directory is served once" {
    begin
    eventually event "ringfence-manager started"
    run ./ringfenced --runtime-dir run
    [ "$status" -eq 1 ]
    [[ "$output" == "ringfenced: another ringfenced serves \"$scratch/run\"; --runtime-dir names another place" ]]
    eventually event "ringfence-logd started"
    kill -KILL $keeper # its socket stays, its children go
    eventually event "ringfence-logd SIGTERM"
    eventually gone
    rm events
    begin
    eventually event "ringfence-manager started"
    kill -TERM $keeper
    finish 0
}

@test "descriptors are kept by name, in order, for the next manager" {
    script manager "store 1 web/socket one" "store 2 web/sandbox two" "store 1 db/socket three" \
        "store 1 web/socket four" "drop web/sandbox" "store 1 db/store five" "store 1 web/sandbox six" \
        "store 1 old/a seven" "store 1 old/b eight" "drop old/*" held wait "exit 1"
    begin
    eventually event "ringfence-manager holds no more"
    [ "$(grep -c held events)" -eq 0 ] # it began with nothing
    script manager held "drop *" "note told" wait held "exit 0"
    kill -TERM "$(child ringfence-manager)"
    eventually event "ringfence-manager told"
    [ "$(grep held events)" = "ringfence-manager held web/socket=one
ringfence-manager held db/socket=three
ringfence-manager held web/socket=four
ringfence-manager held db/store=five
ringfence-manager held web/sandbox=six" ]
    few() { [ "$(descriptors)" -lt 15 ]; }
    eventually few
    kill -TERM $keeper
    finish 0
}

@test "what cannot be kept is closed, and said once" {
    script manager "store 1 $(printf 'x%.0s' {1..201}) long" "notify FDSTORE=1|FDNAME=web/none" \
        "note begins" "sleep 300" "store 70000 web/many x" "note stored" wait
    begin
    eventually event "ringfence-manager begins"
    before=$(memory)
    eventually event "ringfence-manager stored"
    eventually said "^ringfenced: 1 descriptors without a proper name are not kept$"
    eventually said "^ringfenced: no more descriptors can be kept than the [0-9]* that are; \"web/many\" is not$"
    [ "$(grep -c 'no more descriptors' stderr)" -eq 1 ]
    [ "$(descriptors)" -gt 10000 ]
    [ "$(descriptors)" -lt 65560 ]
    echo "# ringfenced with $(descriptors) descriptors: $(memory) KB (PSS)" >&3
    [ "$(memory)" -lt $((before + 512)) ]
    script manager "drop web/many" "note dropped" wait "exit 0"
    kill -KILL "$(child ringfence-manager)"
    eventually event "ringfence-manager dropped"
    few() { [ "$(descriptors)" -lt 15 ]; }
    eventually few
    kill -TERM $keeper
    finish 0
}

@test "how processes ended is told to the next manager" {
    script manager "orphan 100" "orphan 200" "exit 1"
    script logd "note started" wait "exit 0"
    begin
    eventually said "in 400 ms"
    script manager "sleep 500" exits wait "exit 0"
    eventually event "ringfence-manager knows no more"
    # all of them, each with its status (3) and a start time
    for pid in $(awk '/orphan/ { print $3 }' events); do
        event "ringfence-manager exit $pid 768 1"
    done
    kill -TERM $keeper
    finish 0
}

@test "more ends than anybody reads wait as zombies" {
    script manager "notify READY=1" "note ready" wait "orphans 10000" "note parent" wait \
        "count 10000" wait "exit 0"
    begin
    eventually event "ringfence-manager ready"
    manager=$(child ringfence-manager) # while there are few to look through
    kill -TERM "$manager"
    eventually event "ringfence-manager parent"
    some_wait() { [ "$(wc -w <"/proc/$keeper/task/$keeper/children")" -gt 100 ]; }
    eventually some_wait
    kill -TERM "$manager"
    eventually event "ringfence-manager exits 10000"
    none_waits() { [ "$(wc -w <"/proc/$keeper/task/$keeper/children")" -eq 2 ]; }
    eventually none_waits
    [ ! -s stderr ]
    kill -TERM $keeper
    finish 0
}

@test "it sleeps when nothing happens, and is small" {
    begin
    eventually event "ringfence-logd started"
    sleep 0.3
    switches() { awk '/ctxt_switches/ { n += $2 } END { print n }' /proc/$keeper/status; }
    before=$(switches)
    sleep 3
    [ "$(switches)" -eq "$before" ]
    echo "# ringfenced: $(memory) KB of memory (PSS)" >&3
    kill -TERM $keeper
    finish 0
}

@test "the end before the manager is ready" {
    script manager "sleep 1000" wait "exit 0" # it has not looked yet, but will
    begin
    eventually event "ringfence-logd started"
    kill -TERM $keeper
    finish 0
    event "ringfence-manager SIGTERM"
    [ ! -s stderr ]
}

@test "the end of its terminal is its end" {
    command -v script >/dev/null || skip "script(1) is not installed"
    command script -qfc "exec ./ringfenced --foreground --runtime-dir run --log-dir log 2>stderr" \
        /dev/null </dev/zero >/dev/null 2>&1 3>&- &
    keeper=$!
    eventually event "ringfence-manager started"
    eventually event "ringfence-logd started"
    kill -KILL $keeper
    eventually event "ringfence-logd SIGTERM"
    event "ringfence-manager SIGTERM"
    ! event "ringfence-manager SIGHUP"
}

@test "as PID 1 it takes no offence at words that are not for it" {
    unshare --pid --fork --mount-proc true || skip "no pid namespace can be made here"
    script manager "orphan 100" "note ready" wait "exit 0"
    unshare --pid --fork --mount-proc --kill-child ./ringfenced quiet splash --foreground \
        init.unit=web --help --units= --runtime-dir "$scratch/run" --log-dir "$scratch/log" 2>stderr 3>&- &
    keeper=$!
    eventually event "ringfence-manager ready"
    eventually event "ringfence-logd started"
    read -r first <"/proc/$keeper/task/$keeper/children" || true # no newline
    tr '\0' ' ' </proc/$first/cmdline | grep -q splash
    kill -TERM $first
    eventually event "ringfence-logd SIGTERM"
    finish 129 # its pid namespace is rebooted: machine.bats has the rest
    [ ! -s stderr ]
}

@test "as PID 1 of a container it ends" {
    unshare --pid --fork --mount-proc true || skip "no pid namespace can be made here"
    begin env container=test unshare --pid --fork --mount-proc --kill-child
    eventually event "ringfence-manager started"
    kill -TERM "$(cat /proc/$keeper/task/$keeper/children)"
    finish 0
}
