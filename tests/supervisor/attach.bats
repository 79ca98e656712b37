#!/usr/bin/env bats
# Terminals: of units (service.tty, attach) and of programs beside them (exec).
bats_require_minimum_version 1.5.0
load real

# at_terminal ARGUMENT...: the tool, and what a person does there on standard input.
at_terminal() {
    "$RINGFENCE_BUILD/tests/pty-driver" "$RINGFENCE_BUILD/ringfence" \
        --runtime-dir "$scratch/run" "$@" 3>&-
}
shell() { # a unit with a shell that waits for words
    unit sh <<'U'
service = { exec = [ "/bin/sh", "-i" ]; tty = true; environment = [ "PS1=ready> " ]; };
restart = { policy = "no"; };
U
}
logged() { ring logs "$1" | grep -q "$2"; }

@test "a unit on a terminal: it is attached to, sized, left, and goes on" {
    shell
    begin
    eventually said "sh: ready"
    logger
    pid=$(main_pids sh)
    at_terminal attach sh <<'T'
expect attached to sh; ctrl-p,ctrl-q leaves
send tty; stty size; echo TERM=$TERM\r
expect /dev/pts/0
expect 30 100
expect TERM=xterm
expect ready>
resize 40 120
send stty size\r
expect 40 120
send echo one >/dev/console; ps -o tty= -p 1; echo x\x10y\r
expect one
expect ready>
send \x10\x11
expect detached from sh
end 0
T
    [ "$(main_pids sh)" = "$pid" ]
    eventually logged sh "out: 40 120$"
    quit
}

@test "several are attached at once, and one that leaves takes nobody along" {
    shell
    begin
    eventually said "sh: ready"
    logger
    mkfifo "$scratch/go"
    { cat "$scratch/go"; cat <<'T'; } | at_terminal attach --no-stdin sh &
expect hello-everybody
end 3
T
    watcher=$!
    exec 5>"$scratch/go"
    echo "expect ready>" >&5
    sleep 0.5
    at_terminal attach sh <<'T'
send echo\r
expect ready>
send \x10\x11
end 0
T
    exec 5>&-
    at_terminal attach --detach-keys a,ctrl-b sh <<'T'
expect attached to sh; a,ctrl-b leaves
send echo hello-every''body\r
expect hello-everybody
send exit 3\r
expect sh exited with 3
end 3
T
    wait "$watcher"
    quit
}

@test "a logger that is killed loses no terminal" {
    shell
    begin
    eventually said "sh: ready"
    logger
    { sleep 1; kill -KILL "$logger"; sleep 0.5; logger; } &
    killer=$!
    at_terminal attach sh <<'T'
send sleep 2; echo still-''here\r
expect still-here
send \x10\x11
expect detached
end 0
T
    wait "$killer"
    logger=$(pgrep -f "ringfence-logd --runtime-dir $scratch/run")
    eventually logged sh "still-here"
    kill -TERM "$logger"
    finish
}

@test "a user who is not root may open its terminal anew" {
    unit user <<'U'
service = { exec = [ "/bin/sh", "-c", "id -u >/dev/tty && echo by-name >$(tty) && echo console >/dev/console; sleep 1000" ];
            tty = true; user = "1000"; };
U
    begin
    logger
    eventually logged user "out: 1000$"
    eventually logged user "out: by-name$"
    eventually logged user "out: console$"
    quit
}

@test "attach without a terminal shows the output and says so" {
    unit plain <<'U'
service = { exec = [ "/bin/sh", "-c", "echo here I am; exec sleep 1000" ]; };
U
    unit down <<'U'
service = { exec = [ "/bin/sh" ]; tty = true; };
install = { enabled = false; };
U
    begin
    eventually said "plain: ready"
    logger
    eventually logged plain "here I am"
    at_terminal attach plain <<'T'
expect plain has no terminal of its own; this is its output
expect here I am
send \cC
end 130
T
    run ring attach down
    [ "$status" -eq 1 ] && [ "$output" = "ringfence: down is not running" ]
    run ring attach nothing
    [ "$status" -eq 5 ]
    run ring attach --detach-keys ctrl-pp plain
    [ "$status" -eq 2 ]
    [ "$output" = 'ringfence: attach: --detach-keys=ctrl-pp: keys as "ctrl-p,ctrl-q"' ]
    quit
}

@test "exec: a terminal of its own, and none" {
    unit web <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
U
    begin
    eventually said "web: ready"
    logger
    TERM=vt220 at_terminal exec web -- /bin/sh -i <<'T'
send stty size; echo $TERM; test -t 0 && test -t 2 && echo both\r
expect 30 100
expect vt220
expect both
send sh -c 'echo sle""eps; exec sleep 100'\r
expect sleeps
send \cC
expect #
send exit 7\r
end 7
T
    at_terminal exec -T web -- /bin/sh -c 'test -t 1 && exit 1; exit 5' <<<'end 5' ||
        true # the person's own terminal is passed as it is
    run ring exec -t web -- /bin/sh -c 'test -t 0 && test -t 1 && test -t 2; echo $?' </dev/null
    [ "$output" = $'0\r' ]
    run bash -c 'printf "one\ntwo\n" | "$1" --runtime-dir "$2" exec -it web -- /bin/sh -c "stty -echo; cat"' \
        - "$RINGFENCE_BUILD/ringfence" "$scratch/run"
    [[ $output == *one*two* ]]
    run bash -c 'printf "one\ntwo\n" | "$1" --runtime-dir "$2" exec web -- /bin/cat' \
        - "$RINGFENCE_BUILD/ringfence" "$scratch/run"
    [ "$output" = $'one\ntwo' ]
    run ring exec -t -T web -- /bin/true
    [ "$status" -eq 125 ]
    [ "$output" = "ringfence: exec: --tty and --no-tty contradict each other" ]
    quit
}
