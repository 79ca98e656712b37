#!/usr/bin/env bats
# Names of units that are more than one, or that stand for nothing.

load real.bash

restarted() { ring restart www; [ -s "$scratch/events" ]; }

@test "a second name does wherever a name does" {
    unit web <<'U'
service = { exec = [ "/bin/sh", "-c", "echo hello; exec sleep 1000" ]; };
install = { alias = "www"; };
U
    "$RINGFENCE_BUILD/ringfence-logd" --runtime-dir "$scratch/run" --log-dir "$scratch/log" 2>/dev/null 3>&- &
    logger=$!
    begin
    eventually ring list
    ring wait www
    ring list www | grep -q '^web'
    ring stats www | grep -q '^web'
    ring ns www | grep -q '^web'
    ring status www | grep -q '● web'
    eventually sh -c "'$RINGFENCE_BUILD/ringfence' --runtime-dir '$scratch/run' logs www | grep -q 'web.* hello'"
    ring events www >"$scratch/events" 3>&- &
    events=$!
    eventually restarted
    kill "$events"
    grep -q ' web' "$scratch/events"
    ring is-active www
    ring stop www
    run ring wait wwww
    [ "$status" -eq 5 ]
    [[ "$output" == *'there is no unit "wwww"'* ]]
    finish
}

@test "what is masked is said to be, and by what" {
    : >"$scratch/units/web.unit"
    ln -s /dev/null "$scratch/units/db.unit"
    begin
    eventually ring list
    for unit in web db; do
        run ring start $unit
        echo "$output"
        [ "$status" -eq 5 ]
        [[ "$output" == *"$unit is masked by $scratch/units/$unit.unit"* ]]
    done
    finish
}

@test "a volume of two units is not removed with one of them" {
    for name in web db; do
        unit $name <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
volumes = ( { name = "shared"; target = "/mnt"; } );
U
    done
    begin
    eventually said 'db: ready'
    eventually said 'web: ready'
    ring stop web
    run ring rm --volumes web
    [ "$status" -eq 1 ]
    [[ "$output" == *"volume shared belongs to db too; it goes when both are named"* ]]
    [ -d "$scratch/state/volumes/shared" ]
    rm "$scratch/units/db.unit"
    ring stop db
    ring reload
    ring rm --volumes web
    [ ! -e "$scratch/state/volumes/shared" ]
    finish
}

@test "a volume of two units goes when both are named" {
    for name in web db; do
        unit $name <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
volumes = ( { name = "shared"; target = "/mnt"; } );
U
    done
    begin
    eventually said 'db: ready'
    eventually said 'web: ready'
    ring stop web
    run ring rm --volumes web db
    [ "$status" -eq 1 ]
    [[ "$output" == *"db is ready: stop it first"*"volume shared belongs to db too"* ]]
    [ -d "$scratch/state/volumes/shared" ]
    ring stop db
    ring rm --volumes web db
    [ ! -e "$scratch/state/volumes/shared" ]
    finish
}
