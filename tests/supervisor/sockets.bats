#!/usr/bin/env bats
# Sockets that the manager binds and hands over, with real services and real connections.
bats_require_minimum_version 1.5.0

load real
eval "real_$(declare -f teardown)"

# An address of this test alone, so that no port is anybody else's.
setup_file() {
    export address=127.$((RANDOM % 200 + 20)).$((RANDOM % 250)).$((RANDOM % 250 + 1))
}
teardown() {
    [ -z "${helper:-}" ] || kill -KILL "$helper" 2>/dev/null || true
    real_teardown
}
peer() { "$RINGFENCE_BUILD/tests/socket-peer" "$@"; }

# server NAME "KEYS OF network" ["KEYS OF service"] ["FURTHER SECTIONS"]
server() {
    unit "$1" <<U
service = { exec = [ "/mnt/socket-peer", "serve" ]; ${3:-} };
mounts = ( { type = "bind"; source = "$RINGFENCE_BUILD/tests"; target = "/mnt"; readonly = true; } );
network = { $2 };
${4:-}
U
}
is() { [ "$(ring list "$1" | awk 'NR == 2 { sub(",", ""); print $2 }')" = "$2" ]; }

@test "descriptors in order, with their names, for PID 1 of its namespace" {
    server web 'sockets = [ "web='"$address"':80", "'"$scratch"'/deep/er/web.sock", "dns=udp:'"$address"':53" ];'
    begin
    eventually said "web: ready"
    for place in "$address:80" "$scratch/deep/er/web.sock" "udp:$address:53"; do
        run peer ask "$place"
        [ "$output" = "3=web/stream/inet 4=unknown/stream/unix 5=dns/dgram/inet pid=1" ]
    done
    [ "$(stat -c %a "$scratch/deep/er/web.sock")" = 666 ]
    [ "$(stat -c %a "$scratch/deep/er")" = 755 ]
    expected="web=tcp $address:80, unix $scratch/deep/er/web.sock, dns=udp $address:53"
    ring status web | grep -qF "Sockets: $expected"
    [ "$(ring inspect web --field sockets)" = "$expected" ]
    ring stop web
    run peer ask "$address:80"
    [ "$status" -eq 1 ] && [[ $output == *"Connection refused" ]]
    [ ! -e "$scratch/deep/er/web.sock" ]
    finish
}

@test "a port below 1024 with the host's network and a private user namespace" {
    server web 'mode = "host"; sockets = [ "'"$address"':81" ];'
    begin
    eventually said "web: ready"
    run peer ask "$address:81"
    [ "$output" = "3=unknown/stream/inet pid=1" ]
    finish
}

@test "in the host's pid namespace, and below an init, the pid is right too" {
    server below 'sockets = [ "'"$address"':83" ];' 'init = true;'
    server host 'sockets = [ "'"$address"':82" ];' '' 'namespaces = { pid = "host"; };'
    begin
    eventually said "host: ready"
    run peer ask "$address:82"
    [ "$output" = "3=unknown/stream/inet pid=$(main_pids host)" ]
    eventually said "below: ready"
    run peer ask "$address:83"
    [ "$output" = "3=unknown/stream/inet pid=2" ]
    finish
}

@test "a port alone is that of both kinds of addresses, brackets are IPv6 alone" {
    [ -e /proc/net/if_inet6 ] && ip -6 addr show dev lo | grep -q ::1 || skip "there is no IPv6 here"
    port=$((RANDOM % 10000 + 20000))
    server both 'sockets = [ "'$port'" ];'
    server six 'sockets = [ "[::1]:'$((port + 1))'" ];'
    begin
    eventually said "both: ready"
    eventually said "six: ready"
    run peer ask "127.0.0.1:$port"
    [ "$status" -eq 0 ]
    run peer ask "127.0.0.1:$((port + 1))"
    [ "$status" -eq 1 ]
    run bash -c "exec 3<>/dev/tcp/::1/$((port + 1)); cat <&3 & sleep 0.2; kill %1"
    [[ $output == "3=unknown/stream/inet pid=1" ]]
    ring status six | grep -qF "tcp [::1]:$((port + 1))"
    finish
}

@test "lazy: the first connection or datagram starts it" {
    for kind in tcp unix udp; do
        case $kind in
        tcp) place=$address:80 ;;
        unix) place=$scratch/lazy.sock ;;
        udp) place=udp:$address:80 ;;
        esac
        server $kind 'sockets = [ "'"$place"'" ]; sockets_lazy = true;'
    done
    begin
    for kind in tcp unix udp; do
        eventually said "$kind: listens"
        is $kind listening
    done
    ring list | grep -qE "^unix +listening .* on unix $scratch/lazy.sock$"
    ring is-active tcp
    [ ! -e "$cgroup/unit-tcp" ]
    for place in "$address:80" "$scratch/lazy.sock" "udp:$address:80"; do
        run peer ask "$place"
        [[ $output == "3=unknown/"*" pid=1" ]]
    done
    for kind in tcp unix udp; do
        is $kind ready
        times 1 "$kind: a connection came"
    done
    finish
}

@test "lazy: a clean end goes back to listening, a crash after its delay" {
    server web 'sockets = [ "'"$address"':80" ]; sockets_lazy = true;'
    begin
    eventually said "web: listens"
    peer ask "$address:80"
    ring kill -s TERM web
    eventually is web listening
    eventually test ! -e "$cgroup/unit-web"
    peer ask "$address:80"
    kill -KILL $(main_pids web)
    eventually said "web: was ended by SIGKILL; restart 1"
    peer ask "$address:80"
    is web ready
    times 3 "web: listens"
    ring stop web
    run peer ask "$address:80"
    [[ $output == *"Connection refused" ]]
    ring start web
    is web listening
    finish
}

@test "idle: stopped without a connection, wherever the client is" {
    server tcp 'sockets = [ "'"$address"':80" ]; sockets_lazy = true; idle_stop = "1s";'
    server unix 'sockets = [ "'"$scratch"'/idle.sock" ]; sockets_lazy = true; idle_stop = "1s";'
    begin
    eventually said "unix: listens"
    peer hold "$address:80" 3 >"$scratch/tcp" 3>&- &
    first=$!
    unshare -n "$RINGFENCE_BUILD/tests/socket-peer" hold "$scratch/idle.sock" 3 >"$scratch/unix" 3>&- &
    second=$!
    sleep 2.5
    is tcp ready
    is unix ready
    wait "$first" "$second"
    eventually said "tcp: no connection for 1s"
    eventually said "unix: no connection for 1s"
    eventually is tcp listening
    eventually is unix listening
    [ "$(ring list tcp --json | grep -c '"restarts":0')" = 1 ]
    peer ask "$address:80"
    peer ask "$scratch/idle.sock"
    finish
}

@test "idle: datagrams are use" {
    server dns 'sockets = [ "udp:'"$address"':53" ]; sockets_lazy = true; idle_stop = "1s";'
    begin
    eventually said "dns: listens"
    for i in $(seq 8); do
        peer ask "udp:$address:53"
        sleep 0.3
    done
    is dns ready
    times 1 "dns: a connection came"
    eventually is dns listening
    said "dns: no connection for 1s"
    finish
}

@test "a hundred restarts under load: nobody is refused" {
    server web 'sockets = [ "'"$address"':80" ];' '' \
        'restart = { delay = "1ms"; max_delay = "5ms"; };'
    begin
    eventually said "web: ready"
    peer load "$address:80" "$scratch/end" >"$scratch/load" 3>&- &
    client=$!
    for i in $(seq 50); do
        ring restart web
        kill -KILL $(main_pids web)
        eventually times $((2 * i + 1)) "web: ready"
    done
    touch "$scratch/end"
    wait "$client"
    cat "$scratch/load"
    count() { sed -n "s/.*$1=\([0-9]*\).*/\1/p" "$scratch/load"; }
    [ "$(count refused)" -eq 0 ]
    [ "$(count answered)" -ge 100 ]
    [ "$(count lost)" -le 50 ] # what a process had accepted when it was killed
    times 50 "web: was ended by SIGKILL"
    finish
}

@test "what cannot be bound: one sentence, tried again" {
    "$RINGFENCE_BUILD/tests/socket-peer" listen "$address:80" >"$scratch/helper" 3>&- &
    helper=$!
    touch "$scratch/file"
    eventually grep -q listens "$scratch/helper"
    server first 'sockets = [ "udp:'"$address"':53" ];'
    server busy 'sockets = [ "'"$address"':80" ];' '' 'restart = { max_delay = "300ms"; };'
    server second 'sockets = [ "udp:'"$address"':53" ];' '' 'unit = { requires = [ "first" ]; };'
    server file 'sockets = [ "'"$scratch"'/file" ];'
    server nowhere 'sockets = [ "203.0.113.9:80" ];'
    begin
    eventually said "busy: cannot listen on tcp $address:80: Address already in use, by socket-peer \(process $helper\); restart 1"
    eventually said "second: cannot listen on udp $address:53: Address already in use, by the unit \"first\"; restart 1"
    eventually said "file: cannot listen on unix $scratch/file: it is there, and is no socket; restart 1"
    eventually said "nowhere: cannot listen on tcp 203.0.113.9:80: Cannot assign requested address; restart 1"
    run ring start nowhere
    [ "$status" -eq 1 ] && [[ $output == *"cannot listen on tcp 203.0.113.9:80: Cannot assign requested address"* ]]
    kill -KILL "$helper"
    eventually said "busy: ready"
    [ -f "$scratch/file" ]
    finish
}

@test "a path that nobody listens on is taken over, another one is not" {
    "$RINGFENCE_BUILD/tests/socket-peer" listen "$scratch/stale.sock" >"$scratch/helper" 3>&- &
    helper=$!
    eventually grep -q listens "$scratch/helper"
    server web 'sockets = [ "'"$scratch"'/stale.sock" ];' '' 'restart = { max_delay = "300ms"; };'
    begin
    eventually said "web: cannot listen on unix $scratch/stale.sock: Address already in use, by socket-peer \(process $helper\)"
    kill -KILL "$helper"
    eventually said "web: ready"
    run peer ask "$scratch/stale.sock"
    [ "$output" = "3=unknown/stream/unix pid=1" ]
    rm "$scratch/stale.sock"
    touch "$scratch/stale.sock" # somebody else's now
    ring stop web
    [ -f "$scratch/stale.sock" ]
    finish
}

@test "who ends without accepting does not spin" {
    unit deaf <<U
service = { exec = [ "/bin/true" ]; };
network = { sockets = [ "$address:80" ]; sockets_lazy = true; };
U
    begin
    eventually said "deaf: listens"
    peer ask "$address:80" 3>&- &
    client=$!
    eventually said "deaf: failed: was started by a connection 20 times within 2s, and ended without taking it"
    status=0
    wait "$client" || status=$?
    [ "$status" -eq 1 ]
    times 20 "deaf: a connection came"
    run peer ask "$address:80"
    [[ $output == *"Connection refused" ]]
    finish
}

@test "a changed file opens what is new and keeps what is the same" {
    server web 'sockets = [ "'"$address"':80", "'"$address"':81" ]; sockets_lazy = true;'
    begin
    eventually said "web: listens"
    server web 'sockets = [ "'"$address"':82", "x='"$address"':80" ];'
    kill -HUP "$manager"
    peer load "$address:80" "$scratch/end" >"$scratch/load" 3>&- &
    client=$!
    eventually is web ready
    ring restart web
    touch "$scratch/end"
    wait "$client"
    grep -q "refused=0" "$scratch/load"
    run peer ask "$address:82"
    [ "$output" = "3=unknown/stream/inet 4=x/stream/inet pid=1" ]
    run peer ask "$address:81"
    [[ $output == *"Connection refused" ]]
    finish
}
