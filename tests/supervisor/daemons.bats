#!/usr/bin/env bats
# Real daemons that speak sd_notify(3): Debian's packages, unpacked and never installed.

load real.bash

packages=(redis-server redis-tools liblzf1 libjemalloc2 mosquitto libwrap0 libdlt2 unbound
    libprotobuf-c1 libevent-2.1-7 haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1
    nginx)
libraries=/mnt/usr/lib/$(uname -m)-linux-gnu

setup_file() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export daemons=${RINGFENCE_BUILD:-$top/build/gcc}/daemons
    [ ! -e "$daemons/complete-${#packages[@]}" ] || return 0
    mkdir -p "$daemons/packages"
    (cd "$daemons/packages" && apt-get download "${packages[@]}") >"$daemons/log" 2>&1 || return 0
    for package in "$daemons"/packages/*.deb; do dpkg-deb -x "$package" "$daemons"; done
    touch "$daemons/complete-${#packages[@]}"
}

# daemon NAME PROGRAM SETTINGS [TYPE]: a unit whose root is the host's, with the packages at /mnt.
daemon() {
    [ -e "$daemons/complete-${#packages[@]}" ] || skip "the packages cannot be downloaded here"
    ! LD_LIBRARY_PATH=${libraries/\/mnt/$daemons} ldd "$daemons/${2#/mnt}" | grep 'not found' ||
        skip "this host lacks a library of $1"
    cp "$BATS_TEST_DIRNAME/daemons/$1.conf" "$daemons/"
    unit "$1" <<U
service = { type = "${4:-notify}"; environment = [ "LD_LIBRARY_PATH=$libraries" ]; start_timeout = "20s";
            working_directory = "/tmp"; $3 };
mounts = ( { type = "bind"; source = "$daemons"; target = "/mnt"; readonly = true; } );
restart = { policy = "no"; };
U
}
ready() { ring list | grep -q "$1 .*ready"; }
logged() { ring logs "$1" | grep -q "$2"; }
status_has() { ring status "$1" | grep -q "$2"; }

@test "redis says when it is ready, and that it ends" {
    daemon redis /mnt/usr/bin/redis-check-rdb 'exec = [ "/mnt/usr/bin/redis-server", "/mnt/redis.conf" ];'
    begin
    eventually said 'redis: ready'
    status_has redis 'Ready to accept connections'
    ring stop redis
    quiet 'did not stop'
    finish
}

@test "mosquitto is ready once it listens" {
    daemon mosquitto /mnt/usr/sbin/mosquitto 'exec = [ "/mnt/usr/sbin/mosquitto", "-c", "/mnt/mosquitto.conf" ];'
    begin
    eventually said 'mosquitto: ready'
    ring exec mosquitto sh -c 'grep -q ":075B " /proc/net/tcp /proc/net/tcp6'
    finish
}

@test "unbound is ready, and reloads of its own" {
    daemon unbound /mnt/usr/sbin/unbound 'exec = [ "/mnt/usr/sbin/unbound", "-d", "-c", "/mnt/unbound.conf" ];
        exec_reload = [ "/bin/sh", "-c", "kill -HUP $MAINPID" ];'
    begin
    eventually said 'unbound: ready'
    ring reload unbound
    ring is-active unbound
    eventually ready unbound
    finish
}

@test "haproxy's master says when its workers are ready, and reloads" {
    daemon haproxy /mnt/usr/sbin/haproxy 'exec = [ "/mnt/usr/sbin/haproxy", "-Ws", "-f", "/mnt/haproxy.conf" ];
        exec_reload = [ "/bin/sh", "-c", "kill -USR2 $MAINPID" ]; stop_signal = "SIGUSR1"; kill_mode = "mixed"; init = true;'
    begin
    eventually said 'haproxy: ready'
    ring reload haproxy
    ring is-active haproxy
    eventually ready haproxy
    ring stop haproxy
    quiet 'did not stop'
    finish
}

# As the stock image does: its log files are links to /dev/stdout and /dev/stderr, which a process
# of a user without rights opens by name.
@test "nginx as www-data opens /dev/stdout and /dev/stderr" {
    daemon nginx /mnt/usr/sbin/nginx 'user = "33"; group = "33";
        exec = [ "/mnt/usr/sbin/nginx", "-p", "/tmp", "-c", "/mnt/nginx.conf", "-e", "/dev/stderr" ];' exec
    begin
    "$RINGFENCE_BUILD/ringfence-logd" --runtime-dir "$scratch/run" --log-dir "$scratch/log" \
        2>"$scratch/logd" 3>&- &
    logger=$!
    eventually said 'nginx: ready'
    eventually ring exec nginx busybox wget -q -O /dev/null http://127.0.0.1:8080/
    ! ring exec nginx busybox wget -q -O /dev/null http://127.0.0.1:8080/missing
    eventually logged nginx 'out: 127.0.0.1 .*"GET / HTTP/1.1" 200'
    eventually logged nginx 'err: .*"/tmp/missing" failed (2: No such file or directory)'
    [ "$(awk '/^Uid/ { print $2 }' "/proc/$(main_pids nginx | head -n 1)/status")" != 0 ]
    [ ! -s "$scratch/logd" ]
    kill -TERM "$logger"
    wait "$logger"
    finish
}
