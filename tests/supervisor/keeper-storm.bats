#!/usr/bin/env bats
# ringfenced under more of everything than a day brings. RINGFENCE_DEATHS is how often the manager
# dies in a row (6; the delay grows to ten seconds, so that 100 take a quarter of an hour); what takes
# a minute by its nature needs it too. `tests/soak keeper` sets it.

load keeper.bash

unmoved() { # no descriptor, zombie or page has come to stay
    [ "$(descriptors)" -eq "$descriptors_before" ]
    [ "$(wc -w <"/proc/$keeper/task/$keeper/children")" -eq 2 ]
    [ "$(memory)" -le $((memory_before + 32)) ]
}
# measure: after a first of everything, so that what is touched once is touched.
measure() {
    eventually event "ringfence-logd started"
    descriptors_before=$(descriptors)
    memory_before=$(memory)
}
end() {
    eventually unmoved
    kill -TERM $keeper
    finish 0
}

@test "a storm of signals" {
    script manager "notify READY=1" "note ready" hang
    begin
    eventually event "ringfence-manager ready"
    measure
    for ((i = 0; i < 1000; i++)); do
        kill -HUP $keeper
        kill -CHLD $keeper
        kill -PIPE $keeper
    done
    for signal in USR1 USR2 ALRM PWR IO XCPU XFSZ VTALRM PROF STKFLT RTMIN+3 RTMAX WINCH URG CONT; do
        kill -$signal $keeper
    done
    [ ! -s stderr ] || { tail -n 5 stderr; false; }
    kill -KILL "$(child ringfence-manager)"
    script manager "note next" wait "exit 0"
    eventually event "ringfence-manager next"
    end
}

@test "a manager that talks without end, and is killed in the middle of a word" {
    script manager "store 1 web/socket kept" "drop *" "note first" \
        "flood 3000 FDSTOREREMOVE=1|FDNAME=web/*" 
    begin
    eventually event "ringfence-manager first"
    measure
    script manager held "note next" wait "exit 0"
    eventually event "ringfence-manager next"
    ! said "is not my child" # all of it was heard before its end was
    end
}

@test "a child that talks without end delays nobody" {
    script logd "note started" "flood 100000000 READY=1"
    script manager "orphan 10" "exit 1"
    begin
    eventually said "in 800 ms"
    script manager "note next" wait "exit 0"
    eventually event "ringfence-manager next"
    script logd wait "exit 0"
    kill -KILL "$(child ringfence-logd)"
    kill -TERM $keeper
    finish 0
}

@test "crashes in the middle of anything" {
    mapfile -t churn < <(for ((i = 0; i < 400; i++)); do
        echo "store 40 web/sandbox$((i % 7)) x"
        echo "store 1 web/socket$i y"
        echo "drop web/sandbox$((i % 5))"
    done)
    # A message that was read when the crash came may be lost; so the last ones come after all that.
    script manager "notify READY=1" "note begins" "${churn[@]}" "note ends" wait "drop *" \
        "store 1 web/socket kept" "orphans 100" "note settled" wait "exit 0"
    begin
    eventually event "ringfence-manager begins"
    for count in 1 2 3 4 5; do
        kill -SEGV $keeper
        eventually said "($count of 5 in a row)$"
    done
    eventually event "ringfence-manager ends"
    kill -TERM "$(child ringfence-manager)"
    eventually event "ringfence-manager settled"
    few() { [ "$(descriptors)" -lt 15 ] && [ "$(wc -w <"/proc/$keeper/task/$keeper/children")" -eq 2 ]; }
    eventually few
    manager=$(child ringfence-manager)
    script manager held "note next" "count 100" wait "exit 0"
    kill -KILL "$manager"
    eventually event "ringfence-manager exits 100"
    [ "$(grep held events)" = "ringfence-manager held web/socket=kept" ]
    kill -TERM $keeper
    finish 0
}

@test "a standard error that nobody reads holds up nobody" {
    script manager "exit 1"
    mkfifo words
    exec 7<>words
    dd if=/dev/zero of=words bs=4096 count=16 2>/dev/null # as much as it takes
    ./ringfenced --runtime-dir "$scratch/run" --log-dir "$scratch/log" 2>words 3>&- 7>&- &
    keeper=$!
    eventually event "ringfence-logd started"
    sleep 0.5
    script manager "note next" wait "exit 0"
    eventually event "ringfence-manager next"
    kill -TERM $keeper
    finish 0
    exec 7>&-
}

@test "a manager that dies again and again" {
    script manager "store 100 web/sandbox kept" "drop *" "store 1 web/socket kept" "drop web/socket" \
        "notify READY=1" "orphan 1" "raise 11"
    begin
    eventually said "in 200 ms"
    measure
    deaths=${RINGFENCE_DEATHS:-6}
    so_often() { [ "$(grep -c "ended by itself" stderr)" -ge "$deaths" ]; }
    for ((i = 0; i < deaths * 11; i++)); do
        so_often && break
        sleep 1
    done
    so_often
    script manager exits "note last" wait "exit 0"
    eventually event "ringfence-manager last"
    [ "$(grep -c 'ringfence-manager exit ' events)" -ge "$deaths" ] # each orphan was told
    end
}

@test "zombies that nobody asks for do not stay for ever" {
    [ -n "${RINGFENCE_DEATHS:-}" ] || skip "it takes a minute: tests/soak keeper"
    script manager "orphans 20000" "notify READY=1" "note parent" hang
    begin
    eventually event "ringfence-manager parent"
    some_wait() { [ "$(wc -w <"/proc/$keeper/task/$keeper/children")" -gt 100 ]; }
    eventually some_wait
    sleep 60
    eventually said "^ringfenced: how [0-9]* processes ended is lost: no manager has asked for a minute$"
    none_waits() { [ "$(wc -w <"/proc/$keeper/task/$keeper/children")" -eq 2 ]; }
    eventually none_waits
    [ "$(grep -c "processes ended is lost" stderr)" -eq 1 ] # one sum for all of them
    script manager wait "exit 0"
    kill -KILL "$(child ringfence-manager)"
    kill -TERM $keeper
    finish 0
}

@test "a manager that is replaced a hundred times" {
    script manager held "store 1 web/socket kept" "notify READY=1" "notify REEXEC=1" "exit 75"
    script logd "note started" wait "exit 0"
    begin
    a_hundred() { [ "$(grep -c 'ringfence-manager held web/socket=kept' events)" -ge 5000 ]; }
    eventually a_hundred # one more descriptor each time: 1 + 2 + ... + 100
    script manager held "drop *" "note last" wait "exit 0"
    eventually event "ringfence-manager last"
    settled() { [ "$(descriptors)" -lt 15 ]; }
    eventually settled
    # The logger may have been in the middle of anything, but is there in the end.
    eventually child_is_there
    [ ! -s stderr ] || { tail -n 5 stderr; false; }
    kill -TERM $keeper
    finish 0
}
child_is_there() { [ -n "$(child ringfence-logd)" ]; }
