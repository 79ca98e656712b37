#!/usr/bin/env bats
# All that a service may say by sd_notify(3), through libsystemd, from inside its namespaces.

load real.bash

# client NAME SETTINGS WORD...: a unit of type notify that does the words (notify-client.c); it
# prints into the file out of its volume.
client() {
    local name=$1 settings=$2 words='' word
    shift 2
    for word; do words="$words, \"$word\""; done
    unit "$name" <<U
service = { type = "notify"; exec = [ "/mnt/notify-client"$words ]; $settings };
mounts = ( { type = "bind"; source = "$RINGFENCE_BUILD/tests"; target = "/mnt"; readonly = true; } );
restart = { delay = "50ms"; max_delay = "50ms"; };
logging = { driver = "file"; };
U
}
begin_logged() {
    "$RINGFENCE_BUILD/ringfence-logd" --runtime-dir "$scratch/run" --log-dir "$scratch/log" 2>/dev/null 3>&- &
    logger=$!
    begin
}
printed() { grep -q "$2" "$scratch/log/$1/current"; }
status_has() { ring status "$1" | grep -q "$2"; }
main_pid() { ring status "$1" --json | grep -oE '"main_pid": ?[0-9]+' | grep -oE '[0-9]+$'; }

@test "ready, status, a barrier" {
    client web '' sleep 200 say 'STATUS=warm up' barrier say 'READY=1|STATUS=at your service' wait
    begin_logged
    eventually said 'web: ready after ([2-9]..ms|[1-9]s.*)'
    eventually printed web 'barrier: 1'
    eventually status_has web 'at your service'
    finish
}

@test "an error in words, and more time than start_timeout gives" {
    client web 'start_timeout = "500ms";' say 'EXTEND_TIMEOUT_USEC=900000' sleep 700 say 'ERRNO=2|READY=1' wait
    client late 'start_timeout = "500ms"; stop_timeout = "100ms";' sleep 2000 say READY=1 wait
    begin
    eventually said 'web: ready'
    eventually status_has web 'No such file or directory (2)'
    eventually said 'late: was not ready within 500ms'
    finish
}

@test "one that never gets ready is an error the first time, the second, the fourth" {
    client never 'start_timeout = "100ms"; stop_timeout = "100ms";' wait
    export JOURNAL_STREAM=1:1 # levels are seen
    begin
    eventually status_has never 'State: .*starting, .*waits for its READY=1, at most 1s more'
    eventually said '^<[0-9]>never: was not ready within 100ms; restart 5 in '
    grep -o '^<[0-9]>never: .* restart [0-9]' "$scratch/stderr" | head -n 5 >"$scratch/told"
    diff "$scratch/told" - <<-'END'
		<3>never: was not ready within 100ms; restart 1
		<3>never: was not ready within 100ms; restart 2
		<5>never: was not ready within 100ms; restart 3
		<3>never: was not ready within 100ms; restart 4
		<5>never: was not ready within 100ms; restart 5
	END
    finish
}

@test "a reload by signal waits for an answer that is new" {
    client web 'reload_signal = "SIGHUP";' say READY=1 reload
    client old 'reload_signal = "SIGHUP"; start_timeout = "1s";' say READY=1 stale
    begin
    eventually said 'web: ready'
    eventually said 'old: ready'
    ring reload web
    status_has web reloaded
    run ring reload old
    [ "$status" -eq 1 ]
    [[ "$output" == *"old did not reload: it did not say within 1s that it had"* ]]
    ring is-active old
    finish
}

@test "it reloads of its own will" {
    client web '' say READY=1 sleep 100 say RELOADING=1 sleep 500 say READY=1 wait
    begin
    eventually sh -c "'$RINGFENCE_BUILD/ringfence' --runtime-dir '$scratch/run' list | grep -q 'web .*reloading'"
    eventually sh -c "'$RINGFENCE_BUILD/ringfence' --runtime-dir '$scratch/run' list | grep -q 'web .*ready'"
    finish
}

@test "a watchdog that is fed, one that is not, and one that bites at once" {
    client fed 'watchdog = "300ms";' say READY=1 ping 8 say WATCHDOG_USEC=60000000 wait
    client starved 'watchdog = "300ms";' say READY=1 ping 2 hang
    client brave 'watchdog = "1min";' say READY=1 sleep 100 say WATCHDOG=trigger hang
    begin
    eventually said 'starved: did not say WATCHDOG=1 within 300ms; restart 1'
    eventually said 'brave: said WATCHDOG=trigger; restart 1'
    sleep 1
    quiet 'fed: did not'
    ring is-active fed
    ring inspect starved --json | grep -q watchdog
    finish
}

@test "descriptors are kept over a restart, and dropped by a stop" {
    client web '' listen store one first store two second store-pipe gone keep-pipe kept say READY=1 sleep 200 \
        say 'FDSTOREREMOVE=1|FDNAME=two' store three third barrier exit 1
    begin_logged
    eventually printed web 'handed over: 0'
    eventually printed web 'handed over: 3 one=first kept= three=third'
    ring stop web
    : >"$scratch/stderr"
    ring start web
    [ "$(grep -c 'handed over: 0' "$scratch/log/web/current")" -eq 2 ]
    finish
}

@test "a file is not kept, a device is" {
    client web '' listen store-file file /proc/self/status store-file null /dev/null barrier say READY=1 exit 1
    begin_logged
    eventually printed web 'handed over: 1 null='
    said 'web: cannot keep a descriptor for it: it is a file; a socket, a pipe, a memfd or a device may be kept, a file be opened again'
    finish
}

@test "another process becomes the main one, by number and by descriptor" {
    client number '' say READY=1 mainpid number wait
    client descriptor '' say READY=1 mainpid pidfd wait
    begin
    eventually said 'number: main process is [0-9]+ now'
    eventually said 'descriptor: main process is [0-9]+ now'
    for unit in number descriptor; do
        [ "$(awk '/^NSpid/ { print $NF }' "/proc/$(main_pid $unit)/status")" = 2 ]
    done
    finish
}

@test "what runs beside it runs beside the one that it named, where the first has ended" {
    client web 'exec_reload = [ "/bin/true" ];' say READY=1 mainpid number exit 0
    cat >>"$scratch/units/web.unit" <<'U'
namespaces = { pid = "host"; };
health = { exec = [ "/bin/true" ]; interval = "100ms"; gates_ready = false; retries = 2; };
U
    begin
    eventually said 'web: main process is [0-9]+ now'
    first=$(main_pid web)
    eventually sh -c "[ \"\$(wc -l <'$cgroup/unit-web/main/cgroup.procs')\" = 1 ]" # it is alone
    ring exec web -- /bin/true
    ring reload web
    sleep 0.5
    quiet unhealthy
    [ "$(main_pid web)" = "$first" ]
    status_has web healthy
    finish
}

@test "who may speak" {
    client web '' say NOTIFYACCESS=main say-child READY=1 sleep 300 say STATUS=mine say-child STATUS=theirs barrier say READY=1 wait
    begin
    eventually said 'web: ready after ([3-9]..ms|[1-9]s.*)'
    status_has web mine
    finish
}

@test "who may speak is said by the program, and holds until it ends" {
    client none '' say 'READY=1|STATUS=mine' say NOTIFYACCESS=none say STATUS=too-late say-child STATUS=theirs wait
    client exec '' say 'READY=1|STATUS=mine' say NOTIFYACCESS=exec say-child STATUS=theirs say STATUS=still-mine wait
    client all '' say 'READY=1|NOTIFYACCESS=main' say NOTIFYACCESS=all say-child STATUS=theirs wait
    begin
    eventually status_has none mine
    eventually status_has exec still-mine
    eventually status_has all theirs
    ring exec none -- /bin/true # what was sent before has been read
    status_has none mine
    status_has exec still-mine
    finish
}

@test "a program that did well before it died may say so: its delay begins anew" {
    client web '' say 'READY=1|RESTART_RESET=1' barrier exit 1
    client other '' say READY=1 barrier exit 1
    for unit in web other; do
        sed -i 's/^restart = .*/restart = { delay = "50ms"; backoff = 20.0; max_delay = "1min"; jitter = 0.0; };/' "$scratch/units/$unit.unit"
    done
    begin
    eventually said 'web: .*; restart 4 in 50ms'
    eventually said 'other: .*; restart 2 in 1s'
    finish
}

@test "with an init it is its own main process" {
    client web 'init = true; watchdog = "300ms";' say READY=1 ping 6 say 'STOPPING=1' wait
    begin
    eventually said 'web: ready'
    [ "$(awk '/^NSpid/ { print $NF }' "/proc/$(main_pid web)/status")" = 2 ]
    finish
}

@test "from the host's pid namespace" {
    client web '' say READY=1 wait
    echo 'namespaces = { pid = "host"; };' >>"$scratch/units/web.unit"
    begin
    eventually said 'web: ready'
    finish
}
