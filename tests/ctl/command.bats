#!/usr/bin/env bats
# What the verbs that change something do, what they say when they cannot, and their exit codes.

load door

@test "no verb, an unknown one, a mistyped one" {
    tool
    is 2 'ringfence: no verb; `ringfence help` lists them'
    tool frobnicate
    is 2 'ringfence: unknown verb "frobnicate"; `ringfence help` lists them'
    tool statsu
    is 2 'ringfence: unknown verb "statsu"; did you mean "status"?'
    tool help statsu
    is 2 'ringfence: unknown verb "statsu"; did you mean "status"?'
}

@test "options that are wrong" {
    tool list --jsno
    is 2 'ringfence: list: unknown option "--jsno"; did you mean "--json"?'
    tool list -x
    is 2 'ringfence: list: unknown option "-x"'
    tool list --json=yes
    is 2 'ringfence: list: option "--json" takes no value'
    tool logs --lines
    is 2 'ringfence: logs: option "--lines" needs a value (N)'
    tool logs -n
    is 2 'ringfence: logs: option "-n" needs a value (N)'
    tool start
    is 2 'ringfence: usage: ringfence start UNIT...'
    tool completion bash zsh
    is 2 'ringfence: completion: one argument too many: "zsh"'
    tool completion csh
    is 2 'ringfence: completion: "csh" is none of bash, fish and zsh'
    tool --frob list
    is 2 'ringfence: unknown option "--frob"'
}

@test "help knows every verb, and each verb its options" {
    tool help
    is 0
    local verb verbs
    verbs=$(sed -n '/^Verbs/,/^$/s/^  \([a-z-]*\) .*/\1/p' <<<"$output")
    [ "$(wc -w <<<"$verbs")" -ge 23 ]
    for verb in $verbs; do
        tool "$verb" --help
        is 0
        [[ $output == "usage: ringfence $verb"* ]]
    done
    tool --version
    is 0 && [[ $output == "ringfence "[0-9]* ]]
}

@test "completion is a script that offers verbs, options and units" {
    serve
    tool completion
    is 0
    bash -n <<<"$output"
    ringfence() { "$RINGFENCE_BUILD/ringfence" "$@"; }
    export -f ringfence
    complete_with() {
        bash -c "$output"'
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            _ringfence
            echo "${COMPREPLY[@]}"' - "$@"
    }
    [ "$(complete_with ringfence is-)" = "is-active is-failed" ]
    [ "$(complete_with ringfence stop w)" = "web" ]
    [ "$(complete_with ringfence kill --si)" = "--signal" ]
    [ "$(complete_with ringfence --runtime-dir /x sta)" = "status start stats" ]
    [ "$(complete_with ringfence describe restart.b)" = "restart.backoff" ]
}

# The shells find the tool by its name.
by_name() {
    mkdir bin
    ln -s "$RINGFENCE_BUILD/ringfence" bin/ringfence
    export PATH=$scratch/bin:$PATH HOME=$scratch XDG_CONFIG_HOME=$scratch XDG_DATA_HOME=$scratch
}

@test "completion for fish" {
    command -v fish >/dev/null || skip "there is no fish"
    serve
    by_name
    offered() { fish --no-config -c 'ringfence completion fish | source; complete -C "$argv"' "$*" | cut -f1; }
    [ "$(offered ringfence is-)" = $'is-active\nis-failed' ]
    [ "$(offered ringfence stop w)" = web ]
    [ "$(offered ringfence apply --dr)" = --dry-run ]
    [ "$(offered ringfence describe restart.b)" = restart.backoff ]
}

@test "completion for zsh" {
    command -v zsh >/dev/null || skip "there is no zsh"
    tool completion zsh
    is 0
    zsh -n <<<"$output"
    zsh -f -c 'autoload -Uz compinit; compinit -D; eval "$1"; [[ $_comps[ringfence] == _ringfence ]]' \
        - "$output"
}

@test "no manager: 7; no permission: 4" {
    tool list
    is 7 "ringfence: no manager answers on \"$scratch/run/control\": No such file or directory; is ringfenced running?"
    tool --runtime-dir /nowhere/at/all list
    is 7 'ringfence: no manager answers on "/nowhere/at/all/control": No such file or directory; is ringfenced running?'
    "$RINGFENCE_BUILD/tests/fake-child" listen "$scratch/run/keeper" >/dev/null 3>&- &
    local listener=$!
    eventually test -S "$scratch/run/keeper"
    tool list
    kill "$listener"
    is 7 "ringfence: no manager answers on \"$scratch/run/control\": No such file or directory; ringfenced runs, but no manager does: dmesg, or the log of ringfenced, tells why; it is tried again, or once the rescue program ends"
    serve
    kill -KILL "$manager"
    wait "$manager" || true
    manager=
    tool list
    is 7 "ringfence: no manager answers on \"$scratch/run/control\": Connection refused; is ringfenced running?"
}

@test "a reader may read and not change" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    serve
    chmod 755 "$scratch"
    as_nobody() {
        status=0
        output=$(setpriv --reuid 65534 --regid 65534 --clear-groups "$RINGFENCE_BUILD/ringfence" "$@" \
            2>"$scratch/stderr") || status=$?
        stderr=$(<"$scratch/stderr")
    }
    cp "$RINGFENCE_BUILD/ringfence" "$scratch/tool" # the build may lie where nobody may not look
    chmod 755 "$scratch/tool"
    RINGFENCE_BUILD=$scratch
    mv tool ringfence
    as_nobody list
    is 4 "ringfence: cannot open the control door \"$scratch/run/control\": Permission denied"
    chmod 666 run/control
    as_nobody is-active web
    is 0
    as_nobody inspect web
    is 0
    local verb
    for verb in start stop restart kill pause rm; do
        as_nobody "$verb" web
        is 4 "ringfence: cannot $verb web: only root may do this"
    done
    as_nobody reload
    is 4 "ringfence: only root may do this"
    as_nobody exec web -- /bin/true
    is 125 "ringfence: only root may do this"
}

@test "start waits until it is done, or not" {
    serve
    tool start idle
    is 0 && [ -z "$output" ]
    tool is-active idle
    is 0
    tool stop idle
    is 0
    tool is-active idle
    is 3
    tool start slow --no-wait
    is 0
    grep -q 'start slow' notes
}

@test "several units are started together; each failure is told" {
    serve
    tool start idle broken wbe web
    is 5 'ringfence: cannot start broken: exec: "/nope": No such file or directory
ringfence: there is no unit "wbe"; did you mean "web"?'
    tool start broken
    is 1 'ringfence: cannot start broken: exec: "/nope": No such file or directory'
    tool start bad
    is 6 'ringfence: bad is invalid: bad.unit:3: made.up: no such key'
}

@test "a command goes on without the one who gave it, and is withdrawn" {
    serve
    behind start slow
    eventually grep -q 'start slow' notes
    kill "$started"
    eventually grep -q withdrawn notes
}

@test "who waits is told when the manager ends" {
    serve
    behind start slow 2>said
    local code=0
    eventually grep -q 'start slow' notes
    kill "$manager"
    wait "$started" || code=$?
    [ "$code" -eq 7 ]
    [ "$(<said)" = "ringfence: cannot start slow: the manager ends" ]
}

@test "who waits is told when the manager dies, and no other one comes" {
    serve
    behind start slow --retry off 2>said
    local code=0
    eventually grep -q 'start slow' notes
    kill -KILL "$manager"
    wait "$started" || code=$?
    [ "$code" -eq 7 ]
    grep -q 'the manager went away before it answered; the next one goes on with what it had taken' said
    wait "$manager" || true
    serve
    behind start slow --retry 1500ms 2>said
    eventually grep -q 'start slow' notes
    kill -KILL "$manager"
    code=0
    wait "$started" || code=$?
    [ "$code" -eq 7 ]
    diff said - <<<'ringfence: the manager went away; waiting for the next one
ringfence: the manager went away before it answered, and no other one has for 1s500ms'
    tool start web --retry never
    is 2 'ringfence: --retry=never: a duration, as "20s", or off'
}

@test "what was not answered is asked again of the next manager, with the same token" {
    serve
    behind start slow idle 2>said
    local code=0
    eventually grep -q '^token' notes
    eventually grep -q 'start idle' notes
    eventually tool is-active idle
    slay
    grep -A1 'start slow' notes >before
    serve
    eventually grep -q '^token' notes
    diff before <(grep -A1 'start slow' notes)
    ! grep -q 'start idle' notes
    kill "$manager"
    wait "$started" || code=$?
    [ "$code" -eq 7 ]
}

@test "an order by hand: words and tokens that are wrong" {
    serve
    local door=unix:path=$scratch/run/control path=/org/ringfence1 manager=org.ringfence1.Manager
    order() { busctl --address="$door" call org.ringfence1 $path $manager Order ssbs "$@"; }
    run order start idle true 0123456789abcdef0123456789abcdef
    [ "$status" -eq 0 ]
    run order start idle true 0123
    [[ $output == *"a token is 32 hexadecimal digits"* ]]
    run order begin idle true 0123456789abcdef0123456789abcdef
    [[ $output == *"an order is start, stop, restart or reload"* ]]
}

@test "reload: of a unit, and of the files, with what is wrong in them" {
    serve
    tool reload web
    is 0
    grep -qx 'reload web' notes
    tool reload
    [ "$status" -eq 6 ] && grep -qx reload notes
    [[ $stderr == "ringfence: not all of the host's settings were taken"*"ringfence.conf:2:5: error: no such key"*"ringfence: bad is invalid"*"made.up: no such key"* ]]
}

@test "kill by name and number" {
    serve
    tool kill web
    is 0
    tool kill -s sigusr1 web
    is 0
    tool kill --signal=HUP --all web
    is 0
    tool kill -s RTMIN+1 web
    is 0
    grep -qx 'kill web 15' notes && grep -qx 'kill web 10' notes && grep -qx 'kill web 1 all' notes
    tool kill -s FROB web
    is 2 'ringfence: kill: "FROB" is not a signal'
    tool kill -s 65 web
    is 2 'ringfence: kill: "65" is not a signal'
    tool kill idle
    is 1 'ringfence: idle does not run'
    tool kill wbe
    is 5 'ringfence: there is no unit "wbe"; did you mean "web"?'
}

@test "pause, resume, rm" {
    serve
    tool pause web
    is 0
    tool list web
    grep -q 'ready, paused' <<<"$output"
    tool resume web
    is 0
    tool rm web
    is 1 'ringfence: web runs'
    tool rm --volumes idle
    is 0
    grep -qx 'remove idle' notes && grep -qx 'remove volumes of idle' notes
    tool rm --volumes idle web broken
    is 1 'ringfence: web runs'
    grep -qx 'remove volumes of idle broken' notes
    tool rm ""
    is 5 'ringfence: there is no unit ""'
}

@test "wait: until ready, until stopped, not for ever" {
    serve
    tool wait web
    is 0
    tool wait bad
    is 1 'ringfence: bad is invalid'
    tool wait idle --timeout 100ms
    is 1 'ringfence: the time is over
ringfence: idle is loaded'
    behind wait idle
    ringfence start idle
    wait "$started"
    behind wait --stopped web
    ringfence stop web
    wait "$started"
    tool wait web --timeout soon
    is 2 'ringfence: wait: "soon" is not a duration, as "30s"'
}

@test "wait: over the end of a manager" {
    serve
    behind wait slow
    eventually sh -c "$RINGFENCE_BUILD/ringfence start idle"
    slay
    serve
    local code=0
    eventually sh -c "$RINGFENCE_BUILD/ringfence start --no-wait slow; \
        $RINGFENCE_BUILD/ringfence stop slow; ! kill -0 $started"
    wait "$started" || code=$?
    [ "$code" -eq 1 ]
}

@test "exec passes streams, environment, directory and the end" {
    serve
    output=$(echo in | ringfence exec -e FOO=bar -w /tmp web -- /bin/sh -c 'cat; echo $FOO; pwd; echo err >&2' 2>err)
    [ "$output" = $'in\nbar\n/tmp' ] && [ "$(<err)" = err ]
    tool exec web /bin/sh -c 'exit 7'
    is 7
    tool exec web -- /bin/sh -c 'kill -9 $$'
    is 137
    tool exec web -- /no/such
    is 127 'ringfence: exec: "/no/such": No such file or directory'
    tool exec web -- /etc/passwd
    is 126 'ringfence: exec: "/etc/passwd": Permission denied'
    tool exec idle -- /bin/true
    is 125 'ringfence: idle does not run'
    tool exec wbe -- /bin/true
    is 125 'ringfence: there is no unit "wbe"'
    tool exec web
    is 125 'ringfence: usage: ringfence exec UNIT [--] PROGRAM [ARGUMENT...]'
    tool exec -w here web -- /bin/true
    is 125 'ringfence: exec: the working directory "here" is not absolute'
    tool exec web ""
    is 125 'ringfence: exec: no program is named'
}

@test "exec on a terminal gives the program one of its own" {
    command -v script >/dev/null || skip "script is not installed"
    serve
    on_terminal() {
        { sleep 0.3; printf 'typed\n'; sleep 0.3; } |
            script -qec "$RINGFENCE_BUILD/ringfence exec $1 web -- /bin/sh -c '$2'" /dev/null
    }
    local status=0
    output=$(on_terminal "" 'test -t 0 && test -t 2 && read -r line && echo "got $line"; exit 5') || status=$?
    [ "$status" -eq 5 ] && [[ $output == *"got typed"* ]]
    behind exec web -- /bin/sh -c 'test -t 0 || echo none' >said
    wait "$started"
    [ "$(<said)" = none ]
}

@test "exec forwards signals" {
    serve
    behind exec web -- /bin/sh -c 'trap "exit 42" TERM; echo up; while :; do sleep 0.05; done' \
        >said
    local code=0
    eventually grep -q up said
    kill -TERM "$started"
    wait "$started" || code=$?
    [ "$code" -eq 42 ]
}

@test "busctl lists, introspects, reads and calls the same objects" {
    command -v busctl >/dev/null || skip "busctl is not installed"
    serve
    bus() { busctl --no-pager --address="unix:path=$scratch/run/control" "$@"; }
    bus tree org.ringfence1 | grep -q /org/ringfence1/unit/web
    bus introspect org.ringfence1 /org/ringfence1/unit/web | grep -qE '^\.State +property +s +"ready"'
    [ "$(bus get-property org.ringfence1 /org/ringfence1 org.ringfence1.Manager RuntimeDirectory)" = "s \"$scratch/run\"" ]
    [ "$(bus call org.ringfence1 /org/ringfence1 org.ringfence1.Manager GetUnit s web)" = 'o "/org/ringfence1/unit/web"' ]
    bus call org.ringfence1 /org/ringfence1 org.ringfence1.Manager Start sb idle true
    bus call org.ringfence1 /org/ringfence1/unit/idle org.ringfence1.Unit Stop
    bus list | grep -q org.ringfence1
    run bus call org.ringfence1 /org/ringfence1 org.ringfence1.Manager Kill sib web 99 false
    [[ $output == *"99 is not a signal"* ]]
    run bus call org.ringfence1 /org/ringfence1/unit/none org.ringfence1.Unit Stop
    [[ $output == *"Unknown object"* ]]
}

@test "busctl asks who has a name" {
    command -v busctl >/dev/null || skip "busctl is not installed"
    serve
    local who=org.freedesktop.DBus method
    driver() {
        busctl --address="unix:path=$scratch/run/control" call $who /org/freedesktop/DBus $who "$@"
    }
    [ "$(driver NameHasOwner s org.ringfence1)" = "b true" ]
    [ "$(driver NameHasOwner s com.example.Other)" = "b false" ]
    [ "$(driver GetNameOwner s org.ringfence1)" = 's ":1.0"' ]
    [ "$(driver GetConnectionUnixProcessID s org.ringfence1)" = "u $manager" ]
    for method in GetNameOwner GetConnectionUnixUser GetConnectionUnixProcessID GetConnectionCredentials; do
        run driver $method s com.example.Other
        [ "$status" -ne 0 ]
        [[ $output == *'nobody has the name "com.example.Other"'* ]]
    done
}

@test "poweroff, reboot, halt" {
    serve
    run ringfence poweroff
    [ "$status" -eq 0 ] && [ -z "$output" ]
    run ringfence reboot --force
    [ "$status" -eq 0 ] && [ -z "$output" ]
    grep -qx "poweroff" notes
    grep -qx "reboot by force" notes
    run ringfence halt
    [ "$status" -eq 1 ]
    [ "$output" = "ringfence: cannot halt: it is not ours" ]
    run ringfence poweroff now
    [ "$status" -eq 2 ]
}

@test "reexec is refused where nobody would start the next manager" {
    serve
    run ringfence reexec
    [ "$status" -eq 1 ]
    [ "$output" = "ringfence: cannot replace the programs: nobody would start the next one" ]
    run ringfence reexec now
    [ "$status" -eq 2 ]
    run ringfence reexec --timeout soon
    [ "$status" -eq 2 ]
    [ "$output" = 'ringfence: --timeout=soon: a duration, as "30s"' ]
    run ringfence --runtime-dir /nowhere reexec
    [ "$status" -eq 7 ]
}

@test "without a manager, force does not reach the init of somebody else" {
    [ "$(cat /proc/1/comm)" != ringfenced ] || skip "PID 1 is ringfenced"
    run ringfence poweroff --force
    [ "$status" -eq 7 ]
    [[ "$output" == "ringfence: cannot poweroff: "*"$scratch/run"* ]]
}
