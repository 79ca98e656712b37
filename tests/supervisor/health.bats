#!/usr/bin/env bats
# Health checks of real services, each in a network of its own.
bats_require_minimum_version 1.5.0

load real

# A page server in perl: SIGUSR1 breaks it, SIGUSR2 makes it fall silent.
server() {
    mkdir "$scratch/bin"
    cat >"$scratch/bin/server" <<'P'
#!/usr/bin/perl
use IO::Socket::INET;
my $state = "200 OK";
$SIG{USR1} = sub { $state = "503 Broken" };
$SIG{USR2} = sub { $state = "" };
sleep($ARGV[1] // 0);
my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 5,
                                     ReuseAddr => 1) or die "cannot listen: $!";
while (1) {
    my $client = $listener->accept or next;
    my $line = <$client>;
    sleep 1000 while $state eq "";
    print $client "HTTP/1.1 $state\r\nContent-Length: 3\r\n\r\nhi\n";
    close $client;
}
P
    chmod 755 "$scratch/bin/server"
}

health_of() { [ "$(ring status "$1" --json | jq -r '.units[0].health')" = "$2" ]; }
# probe N: what the Nth of the last results says, the newest first.
probe() { ring status web --json | jq -r ".units[0].health_results[$1].$2"; }

@test "a page: ready once it is there, restarted when it breaks" {
    server
    unit web <<U
service = { exec = [ "/mnt/server", "80", "1" ]; };
health = { http = "http://localhost/"; interval = "200ms"; start_interval = "100ms"; retries = 2;
           timeout = "300ms"; };
mounts = ( { type = "bind"; source = "$scratch/bin"; target = "/mnt"; } );
U
    begin
    eventually said "web: ready after (1.[0-9]*s|1s[0-9]*ms|1[0-9]..ms)"
    eventually health_of web healthy
    [ "$(probe 0 code)" = 200 ]
    [[ $(probe 0 output) == "HTTP/1.1 200 OK"* ]]
    net=$(readlink "/proc/$(ring inspect --field pid web)/ns/net")
    [ "$net" != "$(readlink /proc/self/ns/net)" ]
    [ "$(readlink "/proc/$manager/ns/net")" = "$(readlink /proc/self/ns/net)" ]
    ring kill -s USR1 web
    eventually said "web: unhealthy: answered 503 Broken"
    eventually said "web: unhealthy: answered 503 Broken; restart 1"
    eventually times 2 "web: ready"
    eventually health_of web healthy
    ring kill -s USR2 web # it falls silent
    eventually said "web: unhealthy: no answer within 300ms; restart 2"
    eventually times 3 "web: ready"
    finish
}

@test "a port that is listened on, and one that is not" {
    server
    unit web <<U
service = { exec = [ "/mnt/server", "7000" ]; };
health = { tcp = 7000; interval = "1s"; start_interval = "50ms"; };
mounts = ( { type = "bind"; source = "$scratch/bin"; target = "/mnt"; } );
U
    unit deaf <<U
service = { exec = [ "/mnt/server", "7000" ]; start_timeout = "500ms"; };
health = { tcp = "127.0.0.1:7001"; start_interval = "50ms"; };
restart = { policy = "no"; };
mounts = ( { type = "bind"; source = "$scratch/bin"; target = "/mnt"; } );
U
    begin
    eventually said "web: ready"
    eventually said "deaf: failed: was not ready within 500ms: cannot connect: Connection refused"
    finish
}

@test "a file that is there, and then not any more" {
    unit web <<'U'
service = { exec = [ "/bin/sh", "-c", "sleep 0.3; : >/run/ok; sleep 1; rm /run/ok; exec sleep 1000" ]; };
health = { file = "/run/ok"; interval = "100ms"; start_interval = "50ms"; on_failure = "stop"; };
restart = { policy = "always"; };
U
    begin
    eventually said "web: ready after ([3-9]..ms|[1-9]s.*)"
    eventually said 'web: failed: unhealthy: file: "/run/ok": No such file or directory'
    ring status web | grep -q "Health:"
    finish
}

@test "a program: its code and its words, one that hangs, one that floods" {
    unit web <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
health = { exec = [ "/bin/sh", "-c", "echo \"I am $RINGFENCE_UNIT\"; echo oh >&2; exit 3" ];
           interval = "100ms"; gates_ready = false; on_failure = "none"; };
U
    unit hangs <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
health = { exec = [ "/bin/sh", "-c", "echo I hang; sleep 4321 & sleep 4321; true" ]; timeout = "200ms";
           interval = "100ms"; gates_ready = false; retries = 1000; };
U
    unit floods <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
health = { exec = [ "/usr/bin/timeout", "0.5", "/usr/bin/yes", "water" ]; interval = "100ms";
           gates_ready = false; retries = 1000; };
U
    begin
    eventually said "web: unhealthy: exited with code 3"
    health_of web unhealthy
    [ "$(probe 2 code)" = 3 ]
    [ "$(probe 0 output)" = $'I am web\noh' ]
    [ "$(probe 0 error)" = "exited with code 3" ]
    hung() { ring status hangs --json | jq -e '.units[0].health_results | length == 5 and
        all(.error == "no answer within 200ms" and .output == "I hang\n"[:-1])'; }
    eventually hung
    [ "$(grep -lz 4321 /proc/[0-9]*/cmdline 2>/dev/null | wc -l)" -le 4 ] # the present probe alone
    flooded() { ring status floods --json | jq -e '.units[0].health_results | length > 1 and
        all(.error == "exited with code 124" and (.output | startswith("water\nwater\n")))'; }
    eventually flooded
    finish
}

@test "no probe while it is paused" {
    unit web <<'U'
service = { exec = [ "/bin/sleep", "1000" ]; };
health = { exec = [ "/bin/true" ]; interval = "50ms"; };
U
    begin
    eventually said "web: ready"
    ring pause web
    last=$(probe 0 time_usec)
    sleep 0.3
    [ "$(probe 0 time_usec)" = "$last" ]
    ring resume web
    later() { [ "$(probe 0 time_usec)" != "$last" ]; }
    eventually later
    finish
}
