#!/usr/bin/env bats
# The control door with as many clients as it takes, none of which reads: it says so, services go
# on, and who comes when they are gone is served.

load real.bash
eval "$(declare -f teardown | sed '1s/teardown/teardown_real/')"
teardown() {
    [ ${#clients[@]} -eq 0 ] || kill -KILL "${clients[@]}" 2>/dev/null || true
    teardown_real
}

clients=()
# crowd N: so many clients that listen to everything, and stop reading once they have heard something.
crowd() {
    local i
    for ((i = 0; i < $1; i++)); do
        "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" events >"$scratch/events$i" 2>&1 3>&- &
        clients+=($!)
    done
    for ((i = 0; i < $1; i++)); do
        eventually [ -s "$scratch/events$i" ]
        kill -STOP "${clients[i]}"
    done
}
# Told by the log, for who asks at the door may be refused.
restarts() { grep -c "$1: ready" "$scratch/stderr"; }
restarted() { [ "$(restarts busy1)" -gt "$1" ]; }

@test "64 clients that do not read: the door says that it is full, and opens again" {
    unit steady <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
U
    for i in 1 2 3; do
        unit busy$i <<'U'
service = { exec = [ "/bin/false" ]; };
restart = { delay = "10ms"; max_delay = "10ms"; };
U
    done
    begin
    eventually said "steady: ready"
    pid=$(main_pids steady)
    crowd 64
    run ring list
    echo "$output"
    [ "$status" -eq 7 ]
    [[ "$output" == *"it serves at most 64 clients"* ]]
    said "the control door is full: 64 clients are there, and one of user 0 is refused"
    times 1 "the control door is full"
    kill -KILL "${clients[0]}" # one place is enough; what happens does not wait for the others
    eventually ring list
    eventually restarted "$(restarts busy1)"
    [ "$(main_pids steady)" = "$pid" ]
    kill -KILL "${clients[@]}" 2>/dev/null || true
    clients=()
    for i in $(seq 100); do ring is-active steady; done
    [ "$(main_pids steady)" = "$pid" ]
    finish
}
