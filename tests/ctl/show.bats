#!/usr/bin/env bats
# What the reading verbs of the tool print.

load door

@test "list lines up, and says why" {
    serve
    tool list bad db web
    is 0
    output=$(sed -E 's/ +[0-9]+ +188M/ PID 188M/; s/in [0-9]+d( [0-9]+h)?/in LONG/
                     s/[0-9]+(d|h|min|s)( [0-9]+(h|min|s))? +Static/UP Static/; s/ +/ /g' <<<"$output")
    same <<'EOF'
UNIT STATE PID MEMORY RESTARTS UPTIME DESCRIPTION
bad invalid - - 0 - bad.unit:3: made.up: no such key
db restarting, changed - - 12 - in LONG
web ready PID 188M/512M 0 UP Static web site
EOF
}

@test "list and status tell the health of those that have a check" {
    serve
    tool list odd web
    is 0
    [ "$(awk '{ print $1, $3 }' <<<"$output" | xargs)" = "UNIT HEALTH odd unhealthy web -" ]
    tool list --json
    json '.units | map(select(.health != "")) | map(.name + " " + .health) == ["odd unhealthy"]'
    tool status odd
    is 0
    grep -q '^ *Health: unhealthy$' <<<"$output"
    grep -q '^ *2026-11-21 20:52:18  failed after 12ms: answered 503 Busy$' <<<"$output"
    grep -q '^ *| HTTP/1.1 503 Busy$' <<<"$output"
    [ "$(grep -c 'fine so far' <<<"$output")" = 0 ] # told as JSON alone
    grep -q '^ *| x: .\[31mred$' <<<"$output" # no bytes for the terminal
    grep -q '^ *2026-11-21 20:52:08  fine after 7ms: 200$' <<<"$output"
    tool status odd --json
    json '.units[0].health == "unhealthy" and (.units[0].health_results | length == 2)'
    json '.units[0].health_results[0] | .error == "answered 503 Busy" and .code == 503 and
          .duration_usec == 12000 and .healthy == false and (.output | startswith("HTTP/1.1 503 Busy\nx"))'
    json '.units[0].health_results[1].output == "fine so far"'
    tool status web
    ! grep -q Health: <<<"$output"
}

@test "list and status tell when the clock starts a unit" {
    serve
    tool list idle
    is 0
    grep -q "^idle .* next 2100-01-01 03:02$" <<<"$output"
    tool list --timers
    is 0
    output=$(sed -E 's/ +[0-9]+d( [0-9]+h)? +/ LONG /; s/ +/ /g' <<<"$output")
    same <<'EOF'
UNIT STATE NEXT LEFT LAST DESCRIPTION
idle loaded 2100-01-01 03:02:00 LONG 2026-11-21 20:52:08 -
EOF
    tool list --timers --json
    json '.units | length == 1'
    json '.units[0] | .timed and .next_run_usec == 4102455720000000 and
          .last_run_usec == 1795294328000000 and .skipped_runs == 2'
    tool list --json
    json '.units | map(select(.timed)) | map(.name) == ["idle"]'
    tool status idle
    output=$(sed -E 's/in [0-9]+d( [0-9]+h)?/in LONG/' <<<"$output")
    grep -qF 'Timer: next 2100-01-01 03:02:00 (in LONG), last 2026-11-21 20:52:08, 2 skipped while it ran' <<<"$output"
    tool status web
    ! grep -q Timer: <<<"$output"
}

@test "columns are as wide as their widest cell" {
    serve
    tool list
    is 0
    [ "$(awk '{ print index($0, substr($2, 1)) }' <<<"$output" | sort -u | wc -l)" -eq 1 ]
}

@test "list --failed and --state choose" {
    serve
    tool list --failed --json
    is 0 && json '.units | map(.name) == ["bad"]'
    tool list --state ready --json
    is 0 && json '.units | map(.name) == ["odd", "web"]'
}

@test "status tells the state, the last result, the use and what changed" {
    serve
    tool status db
    is 3
    grep -q '^● db$' <<<"$output"
    grep -q '^ *State: restarting, attempt 13 in ' <<<"$output"
    grep -q '^ *Last: launch: mount: bind "/srv/db": No such file or directory$' <<<"$output"
    grep -q '^ *Hint: the file changed on disk' <<<"$output"
    tool status web
    is 0
    grep -q '^● web - Static web site$' <<<"$output"
    grep -q '^ *Memory: 188M of 512M, at most 200M$' <<<"$output"
    grep -q '^ *Notes: first note$' <<<"$output"
    grep -q '^ *second note$' <<<"$output"
}

@test "status shows the complaints of an invalid unit with their caret" {
    serve
    tool status bad
    is 3
    grep -q 'Complaint: bad.unit:3:1: error: made.up: no such key' <<<"$output"
    grep -q '^ *^$' <<<"$output"
}

@test "status shows the last lines of output" {
    serve
    mkdir log/web
    for i in 1 2 3 4 5 6 7; do
        echo "2026-11-21T20:52:1$i.000000Z web[7] out: line $i"
    done >log/web/current
    tool status web
    is 0
    [ "$(tail -n 1 <<<"$output")" = "2026-11-21T20:52:17.000000Z web[7] out: line 7" ]
    [ "$(grep -c ' out: ' <<<"$output")" -eq 5 ]
    tool status -n 2 web
    [ "$(grep -c ' out: ' <<<"$output")" -eq 2 ]
    tool status -n many web
    is 2 'ringfence: status: "many" is not a number of lines'
}

@test "status without a unit is about the whole" {
    serve
    tool status
    is 0
    grep -q "^ *Runtime: $scratch/run$" <<<"$output"
    grep -q '^ *Units: 8, of which 2 ready$' <<<"$output"
    grep -q '^ *Failed: bad$' <<<"$output"
    grep -q '^ *Found: 3 units of an earlier manager, which go on$' <<<"$output"
    grep -q '^ *Lost: mail: it is damaged$' <<<"$output"
    grep -q '^ *Boot: sysctl failed: vm.swapines: No such file or directory$' <<<"$output"
    grep -q '^ *Complaint: ringfence.conf:2:5: error: no such key$' <<<"$output"
    tool status --json
    is 0 && json '.version == 1 and .units == 8 and .failed == ["bad"]'
    json '.boot_failed == [{"step": "sysctl", "why": "vm.swapines: No such file or directory"}]'
    json '.complaints | startswith("ringfence.conf:2:5: error: no such key\n")'
    json '.found == 3 and .lost == [{"unit": "mail", "why": "it is damaged"}]'
}

@test "status exits 0 running, 3 not, 4 unknown" {
    serve
    tool status web odd
    is 0
    tool status web idle
    is 3
    tool status web wbe
    is 4 'ringfence: there is no unit "wbe"; did you mean "web"?'
}

@test "is-active and is-failed" {
    serve
    tool is-active web odd
    is 0 && [ "$output" = $'ready\nready' ]
    tool is-active web idle
    is 3 && [ "$output" = $'ready\nloaded' ]
    tool is-active nothing-like-it
    is 4 'ringfence: there is no unit "nothing-like-it"'
    tool is-failed bad web
    is 0
    tool is-failed web
    is 1
    tool is-failed nothing-like-it
    is 5 'ringfence: there is no unit "nothing-like-it"'
    tool is-active web --json
    is 0 && json '.units == [{"name": "web", "state": "ready", "holds": true}]'
}

@test "bytes of a service reach neither the terminal nor another unit's line" {
    serve
    tool status odd
    is 0
    grep -q 'Status: ��\[31mred�\[0m �\.' <<<"$output"
    ! grep -q $'\x1b' <<<"$output"
    tool list --json
    is 0 && json '.units | length == 8'
}

@test "inspect tells settings, whether they were given, and facts" {
    serve
    tool inspect web
    is 0
    grep -qE '^  made.up +web$' <<<"$output"
    grep -qE '^  made.default +10s  \(default\)$' <<<"$output"
    grep -qE '^  Seccomp +[0-9]$' <<<"$output"
    tool inspect web --json
    is 0
    json '.units[0].settings["made.up"] == {"value": "web", "given": true}'
    json '.units[0].facts["ns.net"] | startswith("net:[")'
    json '.units[0].main_pid > 1 and .units[0].stats["memory.current"] == 197132288'
    tool inspect idle
    is 0
    grep -q 'none: it does not run' <<<"$output"
}

@test "inspect --field prints values alone, and suggests" {
    serve
    tool inspect web --field made.default,cgroup
    is 0 && [ "$output" = $'10s\t/nowhere/unit-web' ]
    tool inspect web --field made.user,made.tab,made.list
    is 0 && [ "$output" = $'1000\t"a\\tb"\t[ "a", "b" ]' ]
    tool inspect web --field cgruop
    is 1 'ringfence: web: no setting or fact "cgruop"; did you mean "cgroup"?'
}

@test "ns says who shares what" {
    serve
    tool ns web
    is 0
    grep -qE '^web +net +[0-9]+ +the host$' <<<"$output"
    tool ns --json
    is 0 && json '.namespaces | map(select(.unit == "web")) | length == 8 and all(.host)'
    tool ns wbe
    is 5 'ringfence: there is no unit "wbe"; did you mean "web"?'
}

@test "stats are the cgroup's" {
    serve
    tool stats
    is 0
    [ "$(tail -n 1 <<<"$output" | tr -s ' ')" = "web 1min 1s 188M 200M 512M 3 - -" ]
    tool stats --json
    is 0 && json '.units[0].stats["pids.max"] == "max" and .units[0].name == "web"'
}

@test "every reading verb writes JSON that says its version" {
    serve
    for verb in list status "status web" "is-active web" "is-failed bad" "inspect web" ns stats \
        "wait web"; do
        # shellcheck disable=SC2086
        tool $verb --json
        json '.version == 1' || { echo "$verb"; false; }
    done
}

@test "colour on a terminal only, and not for NO_COLOR or TERM=dumb" {
    command -v script >/dev/null || skip "script is not installed"
    serve
    on_terminal() { script -qec "$RINGFENCE_BUILD/ringfence $1" /dev/null </dev/null; }
    TERM=xterm on_terminal list | grep -q $'\x1b\[32m'
    ! TERM=dumb on_terminal list | grep -q $'\x1b'
    ! TERM=xterm NO_COLOR=1 on_terminal list | grep -q $'\x1b'
    ! TERM=xterm on_terminal "--color never list" | grep -q $'\x1b'
    tool list
    ! grep -q $'\x1b' <<<"$output"
    tool --color=always list
    grep -q $'\x1b\[32m' <<<"$output"
    tool --color=pink list
    is 2 'ringfence: --color=pink: auto, always or never'
}

@test "logs: all, the last, by several units, as JSON" {
    serve
    mkdir log/web log/db
    echo "2026-11-21T20:52:11.000000Z web[7] out: one" >log/web/current
    echo "2026-11-21T20:52:12.000000Z db[8] err: two" >log/db/current
    echo "2026-11-21T20:52:13.000000Z web[7] out: three" >>log/web/current
    tool logs
    is 0 && [ "$(awk '{ print $NF }' <<<"$output" | xargs)" = "one two three" ]
    tool logs -n 2 web
    is 0 && [ "$(awk '{ print $NF }' <<<"$output" | xargs)" = "one three" ]
    tool logs -n1 db --json
    is 0 && json '.unit == "db" and .stream == "err" and .text == "two"'
    tool logs --since 1s
    is 0 && [ -z "$output" ]
    tool logs wbe
    is 5 'ringfence: there is no unit "wbe"; did you mean "web"?'
    tool logs ../x
    is 5 'ringfence: "../x" is not a unit'"'"'s name'
    tool logs -n x
    is 2 'ringfence: logs: "x" is not a number of lines'
    tool logs --since someday
    is 2 'ringfence: logs: "someday" is not a time, as "10min", "yesterday" or "2026-11-21 20:00"'
    tool logs --until 26:00
    is 2 'ringfence: logs: "26:00" is not a time, as "10min", "yesterday" or "2026-11-21 20:00"'
    tool logs --no-prefix --json
    is 2 'ringfence: logs: --no-prefix and --json: one of the two'
    tool logs --since 2026-11-21T20:52:12Z
    is 0 && [ "$(awk '{ print $NF }' <<<"$output" | xargs)" = "two three" ]
    tool logs --until "2026-11-21T21:52:12+01:00" -n all
    is 0 && [ "$(awk '{ print $NF }' <<<"$output" | xargs)" = "one two" ]
    tool logs --until 2026-11-21T20:52:12Z -n 1
    is 0 && [ "$(awk '{ print $NF }' <<<"$output" | xargs)" = "two" ]
}

@test "logs --no-prefix: what was written, byte for byte" {
    mkdir -p log/web
    printf '%s\n' "2026-11-21T20:52:11.000000Z web[7] out+: begin, " \
        "2026-11-21T20:52:12.000000Z web[7] out: "$'\x1b[31mend' >log/web/current
    "$RINGFENCE_BUILD/ringfence" logs --log-dir log --no-prefix web | cmp - <(echo $'begin, \x1b[31mend')
}

@test "logs on a terminal: colours for units, and nothing that steers it" {
    command -v script >/dev/null || skip "script is not installed"
    mkdir -p log/web
    printf '2026-11-21T20:52:12.000000Z web[7] err: \x1b[2J\x9b\0end\n' >log/web/current
    TERM=xterm script -qec "$RINGFENCE_BUILD/ringfence logs --log-dir log web" /dev/null </dev/null >shown
    grep -q $'\x1b\\[[0-9]*mweb\\[7\\]\x1b\\[0m' shown
    ! grep -q $'\x1b\\[2J' shown
    ! LC_ALL=C grep -q $'\x9b' shown
    [ "$(tr -d -c '\000' <shown | wc -c)" = 0 ]
    grep -q 'end' shown
}

@test "logs -f --until ends by itself" {
    mkdir -p log/web
    echo "2026-11-21T20:52:11.000000Z web[7] out: one" >log/web/current
    timeout 20 "$RINGFENCE_BUILD/ringfence" logs --log-dir log -f --until +1s web >followed
    grep -q one followed
}

@test "logs without a manager" {
    mkdir log/web
    echo "2026-11-21T20:52:11.000000Z web[7] out: one" >log/web/current
    tool logs --log-dir log web
    is 0 && [[ $output == *"out: one" ]]
    tool logs --log-dir nowhere web
    [ "$status" -eq 1 ] && [[ $stderr == *nowhere* ]]
}

@test "logs -f goes on" {
    serve
    mkdir log/web
    echo "2026-11-21T20:52:11.000000Z web[7] out: one" >log/web/current
    behind logs -f web >followed
    eventually grep -q one followed
    echo "2026-11-21T20:52:12.000000Z web[7] out: two" >>log/web/current
    eventually grep -q two followed
    kill "$started"
}

@test "events tell changes of health" {
    serve
    behind events odd >heard
    eventually sh -c "$RINGFENCE_BUILD/ringfence stop odd && grep -q health heard"
    kill "$started"
    grep -q '^2026-11-21T20:52:19.000000Z odd: health: healthy -> unhealthy: answered 503 Busy$' heard
    behind events --json >heard
    eventually sh -c "$RINGFENCE_BUILD/ringfence start odd && grep -q health heard"
    kill "$started"
    [ "$(jq -r 'select(.health_after) | .unit + .health_before + .health_after' heard | head -n 1)" = \
        oddhealthyunhealthy ]
}

@test "events: each change, as it happens" {
    serve
    behind events idle >heard
    eventually sh -c "$RINGFENCE_BUILD/ringfence start idle && grep -q -e '-> starting' heard"
    ringfence stop web
    kill "$started"
    grep -qE '^2026-11-21T20:52:19.000000Z idle: [a-z]+ -> starting$' heard
    grep -q 'idle: starting -> ready$' heard
    ! grep -q web heard
    behind events --json >heard
    eventually sh -c "$RINGFENCE_BUILD/ringfence stop web && grep -q stopped heard"
    kill "$started"
    [ "$(jq -r 'select(.after == "stopped") | .unit' heard | head -n 1)" = web ]
}

@test "events: over the end of a manager, with what was missed" {
    serve
    behind events idle >heard
    eventually sh -c "$RINGFENCE_BUILD/ringfence start idle && grep -q -e '-> ready' heard"
    local listener=$started
    slay
    serve
    eventually grep -q 'another manager goes on; what has changed meanwhile:$' heard
    eventually grep -q '^2026-11-21T20:52:19.000000Z idle: ready -> loaded$' heard
    ! grep -q 'web\|db' heard
    eventually sh -c "$RINGFENCE_BUILD/ringfence start idle && grep -q 'loaded -> starting' heard"
    kill "$listener"
    behind events --json >heard
    listener=$started
    eventually sh -c "$RINGFENCE_BUILD/ringfence start idle && grep -q starting heard"
    slay
    serve
    eventually grep -q 'web.*missed' heard
    kill "$listener"
    [ "$(jq -c 'select(.missed or .another_manager) | [.unit, .after]' heard | tr '\n' ' ')" = \
        '[null,null] ["idle","loaded"] ["web","ready"] ' ]
}

@test "events: who does not read wakes nobody up, and misses nothing" {
    serve env STORM=2000
    behind events --json >heard
    local listener=$started
    eventually sh -c "$RINGFENCE_BUILD/ringfence start idle && grep -q starting heard"
    kill -STOP "$listener"
    ringfence start storm --no-wait
    asleep() { awk '/^voluntary_ctxt/ { print $2 }' "/proc/$manager/status"; }
    local before
    eventually quiet
    before=$(asleep)
    sleep 1
    [ $(($(asleep) - before)) -le 1 ] || { echo "woke up $(($(asleep) - before)) times"; false; }
    kill -CONT "$listener"
    heard_all() { [ "$(jq -r 'select(.unit == "storm" and .after == "ready") | .unit' heard | wc -l)" -ge 1000 ]; }
    eventually heard_all
    kill "$listener"
}
# quiet: the manager has slept for a while
quiet() {
    local before
    before=$(asleep)
    sleep 0.3
    [ "$(asleep)" = "$before" ]
}

@test "events: nobody comes after the manager" {
    serve
    behind events --retry 200ms >heard 2>said
    local code=0
    eventually sh -c "$RINGFENCE_BUILD/ringfence start idle && grep -q starting heard"
    slay
    wait "$started" || code=$?
    [ "$code" -eq 7 ]
    grep -q 'no other one has for 200ms$' said
}

@test "list --tree shows who needs whom, and each but once" {
    serve
    tool list --tree
    is 0
    same <<'EOF'
bad  invalid
└─ gone  there is no such unit
broken  loaded
odd  ready
slow  loaded
├─ web  ready
│  └─ db  restarting, bound to
└─ db  restarting, wanted
storm  loaded
├─ web  ready, see above
└─ idle  loaded, wanted
EOF
    tool list --tree web
    is 0
    same <<'EOF'
web  ready
└─ db  restarting, bound to
EOF
    tool list --tree --json
    is 0
    json '.units | length == 8'
    json '.units[] | select(.name == "slow") |
          .requires == ["web"] and .wants == ["db"] and .after == ["idle"] and .binds_to == []'
    tool list --tree nobody
    is 5 'ringfence: there is no unit "nobody"'
}
