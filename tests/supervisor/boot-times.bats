#!/usr/bin/env bats
# When units waited, were built and were ready, as a real manager notes it.

load real

# ready_after NAME SECONDS [UNIT-KEYS]
ready_after() {
    unit "$1" <<<"unit = { $3 }; service = { type = \"fd\"; ready_fd = 3;
                  exec = [ \"/bin/sh\", \"-c\", \"sleep $2; echo >&3; exec sleep 1000\" ]; };"
}
# jq is content with nothing at all.
boot() {
    local told
    told=$(ring boot --json) && jq -e "$1" >/dev/null <<<"$told"
}
# with_times FILTER: UNIT names each unit's object.
another_manager() { [ "$(pgrep -P "$manager" ringfence-manag)" -gt 0 ] && [ "$(pgrep -P "$manager" ringfence-manag)" != "$first" ]; }
with_times() { boot "(.units | map({(.name): .}) | add) as \$unit | $1"; }

@test "who waited for whom, and the longest chain" {
    ready_after db 0.4
    ready_after cache 0.1
    ready_after app 0.2 'requires = [ "db", "cache" ];'
    ready_after alone 0
    unit all <<<'unit = { wants = [ "app", "alone" ]; };'
    unit once <<<'service = { type = "oneshot"; remain_after_exit = false; exec = [ "/bin/true" ]; };'
    unit fails <<<'service = { type = "oneshot"; exec = [ "/bin/false" ]; }; restart = { policy = "no"; };'
    unit skipped <<<'unit = { condition_path_exists = [ "/no/such" ]; }; service = { exec = [ "/bin/true" ]; };'
    unit by_hand <<<'service = { exec = [ "/bin/sleep", "1000" ]; }; install = { enabled = false; };'
    begin
    eventually ring wait --timeout 20 app once skipped || true
    eventually boot .complete
    boot '(.machine | not) and .longest_chain == ["db", "app", "all"]'
    with_times '($unit.app.waited_for == "db") and $unit.app.building_usec >= $unit.db.ended_usec'
    with_times '$unit.db.ended_usec - $unit.db.starting_usec >= 400000'
    with_times '$unit.db.waited_for == null and $unit.app.ended_usec >= $unit.app.building_usec + 200000'
    with_times '[$unit[] | .waiting_usec <= .building_usec and .building_usec <= .starting_usec and
                           .starting_usec <= .ended_usec] | all'
    with_times '$unit.fails.fate == "failed" and $unit.once.fate == "ready" and
                $unit.skipped.fate == "ready" and ($unit | has("by_hand") | not)'
    boot '.ended_usec == (.units | map(.ended_usec) | max) and .units_begun_usec > 0'
    # What comes later is no part of it, and what is restarted keeps its times.
    ring boot --json | jq .units | sed '/"state"/d' >"$scratch/before"
    ring start by_hand
    ring restart db
    ring boot --json | jq .units | sed '/"state"/d' >"$scratch/after"
    diff "$scratch/before" "$scratch/after"
    finish
}

@test "a unit that is not ready yet" {
    ready_after slow 1000
    ready_after quick 0
    begin
    eventually ring wait --timeout 20 quick
    boot '(.complete | not) and .longest_chain == ["quick"]'
    ring boot | grep -q '^slow .*… starting, not ready yet$'
    ring boot | head -1 | grep -q '^ringfence is coming up, 1 unit is not ready: ringfenced '
    finish
}

@test "the time of ringfenced itself is that of the first one" {
    ready_after quick 0
    "$RINGFENCE_BUILD/ringfenced" --foreground --units "$scratch/units" --runtime-dir "$scratch/run" \
        --state-dir "$scratch/state" --log-dir "$scratch/log" --cgroup "$cgroup" \
        --config "$scratch/ringfence.conf" 2>"$scratch/stderr" 3>&- &
    manager=$!
    eventually boot '.complete and (.units | length == 1)'
    boot '.stages[0] | .name == "ringfenced" and .begun_usec == 0 and .ended_usec > 0'
    ring boot --json | jq -c '[.stages, .units_begun_usec, .units]' >"$scratch/before"
    # Neither a manager that dies nor a ringfenced that is replaced is a new beginning.
    first=$(pgrep -P "$manager" ringfence-manag)
    kill -KILL "$first"
    eventually another_manager
    eventually boot '.complete and (.units | length == 1)'
    ring boot --json | jq -c '[.stages, .units_begun_usec, .units]' >"$scratch/after"
    diff "$scratch/before" "$scratch/after"
    finish
}

@test "the way through an initramfs is a part of ringfenced's own time" {
    ready_after quick 0
    local now
    now=$(awk '{ printf "%d", $1 * 1000000 }' /proc/uptime)
    export RINGFENCE_BEGAN=$((now - 3000000)) RINGFENCE_SWITCHED=$((now - 1000000))
    begin
    eventually boot '.complete and (.units | length == 1)'
    boot '[.stages[] | [.name, .part]][:2] == [["initramfs", "ringfenced"], ["ringfenced", "ringfenced"]]'
    boot '.stages | .[0].begun_usec == 0 and .[0].ended_usec == 2000000 and .[1].begun_usec == 2000000 and
          .[1].ended_usec >= 3000000'
    ring boot | grep -q '^initramfs .* 2\.000s '
    finish
    # A time that cannot be counts for nothing.
    RINGFENCE_SWITCHED=$((now - 4000000))
    begin
    eventually boot '.complete and .stages[0].name == "ringfenced"'
    finish
}
