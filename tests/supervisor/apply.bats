#!/usr/bin/env bats
# apply, enable and disable with real services.
bats_require_minimum_version 1.5.0
load real

sleeper() { # sleeper NAME [SECTION...]: a unit that runs
    { echo 'service = { exec = [ "/bin/sleep", "1000" ]; };' && printf '%s\n' "${@:2}"; } | unit "$1"
}

@test "apply does what the changed files require, and leaves alone what did not change" {
    sleeper db
    sleeper web 'unit = { requires = [ "db" ]; };'
    sleeper mail
    sleeper cache
    begin
    eventually said "web: ready"
    eventually said "mail: ready"
    eventually said "cache: ready"
    db=$(main_pids db) web=$(main_pids web) cache=$(main_pids cache)
    run ring apply
    [ "$status" -eq 0 ] && [ "$output" = "4 unchanged" ]

    sleeper web 'unit = { requires = [ "db" ]; };' 'network = { mode = "host"; };'
    sleeper cache 'unit = { description = "a cache"; };' 'restart = { delay = "1s"; };' \
        'logging = { max_files = 5; };'
    sleeper extra
    rm "$scratch/units/mail.unit"
    run ring apply --dry-run
    [ "$status" -eq 0 ]
    diff - <(echo "$output") <<'T'
ACTION   UNIT   WHY
update   cache  changed: unit.description, restart.delay, logging.max_files
start    extra  new
stop     mail   its file is gone
restart  web    changed: network.mode
1 unchanged
T
    [ "$(main_pids web)" = "$web" ]
    run ring apply
    [ "$status" -eq 0 ]
    [ "$(main_pids db)" = "$db" ] && [ "$(main_pids cache)" = "$cache" ]
    [ -n "$(main_pids extra)" ] && [ "$(main_pids web)" != "$web" ]
    run ring status mail
    [ "$status" -ne 0 ]
    ring list | grep -q "cache.*a cache"
    grep -q max_files=5 "$scratch/run/output/cache/settings"
    run ring apply
    [ "$output" = "4 unchanged" ]

    # The sandbox that was made of the file as it was serves the next run.
    ring kill --signal KILL cache
    eventually said "cache: .*restart 1 in (9[0-9]*ms|1s)"
    eventually eval '[ -n "$(main_pids cache)" ] && [ "$(main_pids cache)" != "$cache" ]'
    finish
}

@test "apply with an invalid file" {
    sleeper web
    sleeper db
    begin
    eventually said "web: ready"
    eventually said "db: ready"
    web=$(main_pids web) db=$(main_pids db)
    sleeper web 'service2 = { };'
    sleeper db 'network = { mode = "host"; };'
    run ring apply
    [ "$status" -eq 6 ]
    [[ $output == *"invalid  web"*"no section"* ]]
    [ "$(main_pids db)" = "$db" ]
    run ring apply --keep-going
    [ "$status" -eq 6 ]
    [ "$(main_pids db)" != "$db" ] && [ "$(main_pids web)" = "$web" ]
    finish
}

@test "enable and disable --now" {
    sleeper web
    sleeper off 'install = { enabled = false; };'
    begin
    eventually said "web: ready"
    run ring enable --now off
    [ "$status" -eq 0 ]
    [ "$output" = "off: enabled by $scratch/units/off.unit.d/50-enabled.conf" ]
    [ -n "$(main_pids off)" ]
    run ring disable --now web off
    [ "$status" -eq 0 ]
    [ "$output" = "web: disabled by $scratch/units/web.unit.d/50-enabled.conf
off: disabled, as $scratch/units/off.unit says; removed $scratch/units/off.unit.d/50-enabled.conf" ]
    run ring is-active web off
    [ "$status" -eq 3 ]
    finish
    begin # at boot they stay down
    eventually test -S "$scratch/run/control"
    run ring is-active web
    [ "$status" -eq 3 ]
    finish
}

@test "what is wrong with ringfence.conf is told by reload and status, until it is mended" {
    sleeper web
    begin
    eventually said "web: ready"
    ring reload
    run ring status
    [[ $output != *Complaint* ]]
    cp "$scratch/ringfence.conf" "$scratch/sound"
    echo 'boot = { hostnam = "x"; };' >>"$scratch/ringfence.conf"
    run ring reload
    [ "$status" -eq 6 ]
    [[ $output == *"not all of the host's settings were taken"*'boot.hostnam: no such key; did you mean "hostname"?'* ]]
    run ring status
    [ "$status" -eq 0 ] && [[ $output == *'Complaint: '*'boot.hostnam: no such key'* ]]
    run ring apply
    [ "$status" -eq 6 ]
    run ring apply --keep-going
    run ring status
    [[ $output == *'boot.hostnam: no such key'* ]]
    cp "$scratch/sound" "$scratch/ringfence.conf"
    ring reload
    run ring status
    [[ $output != *Complaint* ]]
    finish
}
