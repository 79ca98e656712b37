#!/usr/bin/env bats
# ringfence-manager with real services, in a scratch directory and a cgroup of its own.
bats_require_minimum_version 1.5.0

load real

@test "options: help, version, what is wrong" {
    run "$RINGFENCE_BUILD/ringfence-manager" --help
    [ "$status" -eq 0 ] && [[ $output == Usage:* ]]
    run "$RINGFENCE_BUILD/ringfence-manager" --version
    [ "$status" -eq 0 ] && [[ $output == ringfence-manager* ]]
    run "$RINGFENCE_BUILD/ringfence-manager" --nonsense
    [ "$status" -eq 2 ] && [[ $output == *nonsense* ]]
    run "$RINGFENCE_BUILD/ringfence-manager" now
    [ "$status" -eq 2 ]
    [ "$output" = 'ringfence-manager: unexpected argument "now"' ]
}

@test "two managers do not share a directory" {
    begin
    eventually test -S "$scratch/run/control"
    run "$RINGFENCE_BUILD/ringfence-manager" --units "$scratch/units" --runtime-dir "$scratch/run" \
        --state-dir "$scratch/state" --log-dir "$scratch/log" --config "$scratch/ringfence.conf"
    [ "$status" -eq 78 ]
    [[ $output == *"another ringfence-manager works in \"$scratch/run\""* ]]
    finish
}

@test "what is required is ready first, and stops last" {
    unit db <<'U'
service = { type = "notify"; exec = [ "/usr/bin/perl", "-MIO::Socket::UNIX", "-e",
  "sleep 1; my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $ENV{NOTIFY_SOCKET}) or die; $s->send(\"READY=1\nSTATUS=at your service\"); $SIG{TERM} = sub { exit 0 }; sleep 1 while 1" ]; };
U
    unit load <<'U'
unit = { requires = [ "db" ]; };
service = { type = "oneshot"; exec = [ "/bin/true" ]; };
U
    unit web <<'U'
unit = { requires = [ "load" ]; };
service = { exec = [ "/bin/sleep", "1000" ]; };
U
    begin
    eventually said "web: ready"
    run grep -oE "(db|load|web): ready" "$scratch/stderr"
    [ "$output" = $'db: ready\nload: ready\nweb: ready' ]
    ring status db | grep -q "at your service"
    finish
    run grep -oE "(db|load|web): stopped" "$scratch/stderr"
    [ "$output" = $'web: stopped\nload: stopped\ndb: stopped' ]
}

@test "a newline on the ready descriptor" {
    unit slow <<'U'
service = { type = "fd"; ready_fd = 5; exec = [ "/bin/sh", "-c", "sleep 0.5; echo >&5; exec sleep 1000" ]; };
U
    unit never <<'U'
service = { type = "fd"; ready_fd = 3; start_timeout = "300ms"; exec = [ "/bin/sleep", "1000" ]; };
restart = { policy = "no"; };
U
    begin
    eventually said "slow: ready after ([5-9]..ms|[1-9]s.*)"
    eventually said "never: failed: was not ready within 300ms"
    finish
}

@test "notifications: the main process moves to one of its own, and to no other" {
    unit moves <<'U'
service = { type = "notify"; exec = [ "/usr/bin/perl", "-MIO::Socket::UNIX", "-e",
  "my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $ENV{NOTIFY_SOCKET}) or die; my $child = fork; if (!$child) { sleep 1000; exit } $s->send(\"MAINPID=4000000\"); $s->send(\"MAINPID=$child\nREADY=1\"); wait" ]; };
U
    begin
    eventually said "moves: ready"
    said "moves: its main process cannot be 4000000: it is none of the unit's own"
    pid=$(sed -n 's/.*moves: main process is \([0-9]*\) now/\1/p' "$scratch/stderr")
    [ "$(awk '/^PPid/ { print $2 }' "/proc/$pid/status")" -ne "$manager" ]
    main_pids moves | grep -qx "$pid"
    finish
}

@test "nobody else speaks for a unit" {
    unit quiet <<'U'
service = { type = "notify"; exec = [ "/bin/sleep", "1000" ]; };
U
    begin
    eventually test -S "$scratch/run/notify/quiet/notify"
    eventually grep -q . "$cgroup/unit-quiet/main/cgroup.procs"
    perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $ARGV[0])
        or die; $s->send("READY=1"); sleep 1' "$scratch/run/notify/quiet/notify"
    said "quiet: a notification from process [0-9]+, which is not the unit's, is not believed"
    quiet "quiet: ready"
    # and no other user of the host reaches the socket at all
    run setpriv --reuid 65534 --regid 65534 --clear-groups ls "$scratch/run/notify/quiet"
    [ "$status" -ne 0 ]
    finish
}

@test "a descriptor that lingers does not hold the manager up" {
    unit lingers <<'U'
service = { exec = [ "/usr/bin/perl", "-MSocket", "-e",
  "socket(my $l, AF_INET, SOCK_STREAM, 0); listen($l, 1); socket(my $c, AF_INET, SOCK_STREAM, 0);
   connect($c, getsockname $l) or die; accept(my $a, $l); setsockopt($c, SOL_SOCKET, SO_LINGER, pack(\"ii\", 1, 20));
   $c->blocking(0); 1 while syswrite($c, \"x\" x 65536);
   socket(my $n, AF_UNIX, SOCK_DGRAM, 0); connect($n, pack_sockaddr_un $ENV{NOTIFY_SOCKET}) or die;
   my ($t, $r) = (\"STATUS=sent\", pack(\"QiiiI\", 20, 1, 1, fileno $c, 0)); sleep 1;
   my $v = pack(\"PQ\", $t, length $t); syscall(46, fileno $n, pack(\"QQPQPQQ\", 0, 0, $v, 1, $r, 24, 0), 0) > 0 or die;
   close $c; sleep 1000" ]; };
U
    begin
    eventually said "lingers: ready"
    kill -STOP "$manager" # so that the program has closed its own copy when ours is closed
    sleep 2
    kill -CONT "$manager"
    for _ in 1 2 3 4; do
        timeout 3 "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" status lingers
        sleep 0.1
    done | grep -q "Status: sent"
    timeout 3 "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" is-active lingers
    finish
}

@test "a flood of descriptors does not hold the manager up" {
    unit floods <<'U'
service = { exec = [ "/usr/bin/perl", "-MSocket", "-e",
  "socket(my $n, AF_UNIX, SOCK_DGRAM, 0); connect($n, pack_sockaddr_un $ENV{NOTIFY_SOCKET}) or die;
   my $t = \"FDSTORE=1\"; while (1) {
     my @new = map { socket(my $s, AF_UNIX, SOCK_DGRAM, 0); $s } 1 .. 250;
     my $r = pack(\"Qiii250\", 16 + 1000, 1, 1, map { fileno $_ } @new);
     my $v = pack(\"PQ\", $t, length $t); syscall(46, fileno $n, pack(\"QQPQPQQ\", 0, 0, $v, 1, $r, 1016, 0), 0) }" ]; };
U
    begin
    eventually said "cannot keep a descriptor for it: its store is full"
    for _ in 1 2 3; do timeout 3 "$RINGFENCE_BUILD/ringfence" --runtime-dir "$scratch/run" list; done
    finish
}

@test "nobody writes to the program that runs" {
    unit inside <<'U'
service = { type = "oneshot"; exec = [ "/proc/self/exe", "--version" ];
            environment = [ "ASAN_OPTIONS=detect_leaks=0" ]; }; # looking for leaks takes ptrace(2)
namespaces = { user = "host"; };
U
    begin
    eventually said "inside: ready"
    run chmod u+w "/proc/$manager/exe"
    [[ $output == *"Read-only file system" ]]
    [ "$(cat "/proc/$manager/comm")" = ringfence-manag ]
    finish
}

@test "a crash is followed by a growing delay, a launch failure too" {
    unit crash <<'U'
service = { exec = [ "/bin/sh", "-c", "exit 3" ]; };
restart = { jitter = 0.0; };
U
    unit missing <<'U'
service = { exec = [ "/no/such/program" ]; };
restart = { jitter = 0.0; };
U
    begin
    for name in crash missing; do
        eventually said "$name: .*; restart 1 in 100ms"
        eventually said "$name: .*; restart 2 in 200ms"
        eventually said "$name: .*; restart 3 in 400ms"
    done
    said "crash: exited with code 3; restart 1"
    said 'missing: .*"/no/such/program".*No such file or directory; restart 1'
    restarting() { ring list | grep -Eq "^crash +restarting"; }
    eventually restarting
    finish
}

@test "who ignores the signal is killed with all it has, after its time" {
    unit deaf <<'U'
service = { stop_timeout = "1s"; exec = [ "/bin/sh", "-c",
  "trap '' TERM; (trap '' TERM; sleep 1000 & sleep 1000) & while :; do sleep 1000; done" ]; };
U
    unit bare <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
U
    begin
    eventually said "deaf: ready"
    eventually said "bare: ready"
    many() { [ "$(main_pids deaf | wc -l)" -ge 4 ]; }
    eventually many
    before=$(date +%s%N)
    ring stop bare # no handler, and PID 1 of its namespace: it is not waited for
    took=$((($(date +%s%N) - before) / 1000000))
    [ "$took" -lt 500 ] || { echo "bare took $took ms"; false; }
    before=$(date +%s%N)
    ring stop deaf
    took=$((($(date +%s%N) - before) / 1000000))
    [ "$took" -ge 1000 ] && [ "$took" -lt 1500 ] || { echo "deaf took $took ms"; false; }
    said "deaf: did not stop within 1s: killed"
    [ ! -e "$cgroup/unit-deaf" ]
    finish
}

command_of() { tr '\0' ' ' <"/proc/$(ring inspect --field pid "$1")/cmdline"; }

@test "a changed file takes effect at the next start, a bad one ends nothing" {
    unit web <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
U
    begin
    eventually said "web: ready"
    unit web <<'U'
service = { exec = [ "/bin/sleep", "2000" ]; };
U
    unit new <<'U'
service = { exec = [ "/bin/sleep", "3000" ]; };
U
    unit bad <<'U'
service = { exce = [ "/bin/sleep" ]; };
U
    kill -HUP "$manager"
    eventually said "bad: invalid"
    command_of web | grep -q "sleep 1000"
    ring restart web
    command_of web | grep -q "sleep 2000"
    ring start new
    run ring start bad
    [ "$status" -eq 6 ] && [[ $output == *"bad is invalid"* ]]
    run ring start nothing
    [ "$status" -eq 5 ] && [[ $output == *'there is no unit "nothing"'* ]]
    finish
}

@test "of a bad file the log tells the place of the first mistake, and how to see the others" {
    unit broken <<<$'service = {\n  exec = [ "/bin/true" ]; tipe = "exec";\n  usr = "0";\n};'
    unit one <<<$'service = {\n  exec = [ "/bin/true" ]; tipe = "exec"; };'
    begin
    eventually ring list
    said "broken: invalid: $scratch/units/broken.unit:2: .*tipe.*; .ringfence status broken. tells 1 more\$"
    said "one: invalid: $scratch/units/one.unit:2: .*tipe"
    quiet 'one: invalid: .* more$'
    finish
}

@test "of a host file with a mistake of syntax nothing is heeded, which is said" {
    echo 'manager = { missing_controllers = "warn" shutdown_timeout = = "1s"; };' >"$scratch/ringfence.conf"
    begin
    eventually ring list
    said "$scratch/ringfence.conf:1: "
    said "ringfence: $scratch/ringfence.conf: nothing of this file is heeded; the defaults hold until it is mended\$"
    finish
}

@test "200 services up, listed, stopped, and nothing left" {
    for i in $(seq 200); do
        unit "s$i" <<'U'
service = { exec = [ "/bin/sleep", "10000" ]; };
U
    done
    begin
    eventually test -S "$scratch/run/control"
    for i in $(seq 60); do
        [ "$(ring list | grep -c " ready ")" = 200 ] && break
        sleep 0.5
    done
    [ "$(ring list | grep -c " ready ")" = 200 ] || { tail "$scratch/stderr"; false; }
    [ "$(find "$cgroup" -name cgroup.procs -path "*/main/*" -exec cat {} + | wc -l)" = 200 ]
    pids=$(find "$cgroup" -name cgroup.procs -exec cat {} +)
    finish
    for pid in $pids; do
        [ ! -e "/proc/$pid" ]
    done
    times 200 ": stopped"
}

@test "units that share namespaces follow the one whose they are" {
    unit db <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
U
    unit side <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
network = { mode = "unit:db"; };
U
    begin
    eventually said "side: ready"
    run grep -oE "(db|side): ready" "$scratch/stderr"
    [ "$output" = $'db: ready\nside: ready' ]
    net() { readlink "/proc/$(main_pids "$1" | head -n 1)/ns/net"; }
    [ "$(net db)" = "$(net side)" ]
    before=$(net db)
    kill -KILL $(main_pids db) # a restart of its own enters the same sandbox
    eventually said "db: was ended by SIGKILL; restart 1"
    eventually times 2 "db: ready"
    [ "$(net db)" = "$before" ]
    times 1 "side: ready"
    ring restart db # by command it is made anew, and side goes along
    eventually times 2 "side: ready"
    [ "$(net db)" = "$(net side)" ]
    ring stop db
    said "side: stopped"
    finish
}

beside() { # UNIT PROGRAM
    local pid
    for pid in $(cat "$cgroup/unit-$1/aux/cgroup.procs"); do
        [ "$(cat "/proc/$pid/comm")" != "$2" ] || return 0
    done
    return 1
}

@test "a process beside a service: its code, its end with the service" {
    unit web <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
U
    begin
    eventually said "web: ready"
    run ring exec web -- /bin/sh -c 'echo hello; exit 7'
    [ "$status" -eq 7 ] && [ "$output" = hello ]
    run -127 ring exec web -- /no/such/program
    ring exec web -- /bin/sleep 1000 3>&- &
    client=$!
    eventually beside web sleep # and not only the helper that starts it
    ring stop web
    status=0
    wait "$client" || status=$?
    [ "$status" -eq 137 ]
    run ring exec web -- /bin/true
    [ "$status" -eq 125 ] && [[ $output == *"web is not running"* ]]
    finish
}

@test "paused, it does not move; stopped, it is thawed" {
    unit ticks <<'U'
service = { exec = [ "/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done" ]; };
U
    begin
    eventually said "ticks: ready"
    ring kill -s CONT ticks
    ring pause ticks
    eventually grep -q "frozen 1" "$cgroup/unit-ticks/main/cgroup.events"
    ring stop ticks
    said "ticks: stopped"
    quiet "did not stop within"
    run ring pause ticks
    [ "$status" -ne 0 ] && [[ $output == *"ticks is not running"* ]]
    finish
}
