#!/usr/bin/env bats
# Many real services in a random graph (boot-graph.c): up, in order, and down again the other way
# round. RINGFENCE_SERVICES=1000 for more of them, RINGFENCE_SEED for a graph that was drawn before.

load real.bash

come_up() { "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" wait --timeout 120s >/dev/null; }
check() { "$RINGFENCE_BUILD/tests/boot-graph" check "$count" "$seed"; }
told() { [ -s "$scratch/events" ]; }

@test "a graph of services comes up in order, and goes down in reverse" {
    count=${RINGFENCE_SERVICES:-200}
    seed=${RINGFENCE_SEED:-$(date +%N)}
    echo "RINGFENCE_SERVICES=$count RINGFENCE_SEED=$seed"
    "$RINGFENCE_BUILD/tests/boot-graph" make "$scratch/units" "$count" "$seed" "$RINGFENCE_BUILD"
    unit first <<<'service = { type = "oneshot"; exec = [ "/bin/true" ]; }; install = { enabled = false; };'
    begin
    eventually ring list
    ring events --json >"$scratch/events" 2>/dev/null 3>&- &
    events=$!
    for ((i = 0; i < 200; i++)); do # until it listens
        ring restart first
        ! told || break
        sleep 0.05
    done
    ring stop first
    ring start all
    come_up || true # what is to fail has failed
    sleep 0.5 # those that die do so within 300 ms
    come_up || true
    [ -z "$(ring list --json | grep '"state": *"waiting"')" ]
    finish
    wait "$events" || true
    run check <"$scratch/events"
    echo "$output"
    [ "$status" -eq 0 ]
    echo "# $output" >&3
    run check < <(tac "$scratch/events") # it would see
    [ "$status" -eq 1 ]
}
