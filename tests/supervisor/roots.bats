#!/usr/bin/env bats
# What a unit's root is made of, and the devices in it, with real services: from the file to what is
# seen inside.

load real.bash

# A root of one static program: DIRECTORY.
make_root() {
    command -v busybox >/dev/null || skip "needs a static busybox"
    mkdir -p "$1"/{bin,dev,etc,mnt,proc,sys,tmp}
    cp "$(command -v busybox)" "$1/bin/busybox"
    for applet in sh cat chmod sleep; do
        ln -s busybox "$1/bin/$applet"
    done
    echo 'root:x:0:0::/:/bin/sh' >"$1/etc/passwd"
}
# What a unit wrote to /mnt/log, in the volume of its name.
volume() { echo "volumes = ( { name = \"$1\"; target = \"/mnt\"; } );"; }
wrote() { grep -qx "$2" "$scratch/state/volumes/$1/log"; }
wrote_lines() { [ "$(wc -l <"$scratch/state/volumes/$1/log")" = "$2" ]; }
loops() { cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep -c "^$scratch/" || true; }
no_loops() { [ "$(loops)" = 0 ]; }

@test "an image below a directory is one root, and its loop device goes with the unit" {
    command -v mke2fs >/dev/null || skip "needs mke2fs"
    [ -e /dev/loop-control ] || skip "there are no loop devices here"
    make_root "$scratch/base"
    mke2fs -q -t ext4 -d "$scratch/base" -E root_owner=0:0 "$scratch/base.ext4" 16M >/dev/null
    mkdir -p "$scratch/top/etc"
    echo above >"$scratch/top/etc/name"
    unit web <<U
service = { exec = [ "/bin/sh", "-c", "echo new >/etc/new; cat /etc/name /etc/new /etc/passwd >/mnt/log; exec sleep 1000" ]; };
rootfs = { layers = [ "$scratch/base.ext4", "$scratch/top" ]; };
$(volume web)
U
    begin
    eventually wrote web above
    eventually wrote web new
    eventually wrote web "root:.*"
    [ "$(loops)" = 1 ]
    finish
    eventually no_loops
}

@test "what is no image is said to be none, with its name" {
    echo nothing >"$scratch/base.squashfs"
    unit web <<U
service = { exec = [ "/bin/true" ]; };
rootfs = { layers = [ "$scratch/base.squashfs" ]; };
restart = { policy = "no"; };
U
    begin
    eventually said "web: .*rootfs: \"$scratch/base.squashfs\" holds no squashfs file system"
    finish
}

@test "a writable root that everybody can enter is refused until the file accepts it" {
    make_root "$scratch/root"
    chmod 0755 "$scratch"
    unit web <<U
service = { exec = [ "/bin/true" ]; type = "oneshot"; };
rootfs = { path = "$scratch/root"; };
restart = { policy = "no"; };
U
    unit other <<U
service = { exec = [ "/bin/sh", "-c", "chmod 4755 /bin/busybox && echo made >/mnt/log" ]; type = "oneshot"; };
rootfs = { path = "$scratch/root"; };
$(volume other)
security = { accept = [ "open-root" ]; };
restart = { policy = "no"; };
U
    begin
    eventually said "web: .*every user of this host can enter \"$scratch/root\""
    eventually wrote other made
    [ -u "$scratch/root/bin/busybox" ] # which is why
    ring status other | grep -q '(accepted)'
    finish
}

@test "a device that is given, and one that is not" {
    [ -c /dev/loop-control ] || skip "this host has no such device"
    unit web <<U
service = { exec = [ "/bin/sh", "-c", "{ (: </dev/loop-control) && echo given; (: >>/dev/loop-control) || echo read-only; ls /dev | grep -c loop; } >/mnt/log 2>/dev/null; exec sleep 1000" ]; };
devices = ( { path = "/dev/loop-control"; access = "r"; } );
$(volume web)
U
    unit lost <<'U'
service = { exec = [ "/bin/true" ]; };
devices = ( { path = "/dev/nothing-of-that-name"; } );
restart = { policy = "no"; };
U
    begin
    eventually wrote web given
    eventually wrote web read-only
    eventually wrote web 1
    eventually said 'lost: .*devices: cannot find device "/dev/nothing-of-that-name": No such file or directory'
    finish
}

@test "image, device and init are there after the manager died, and for the next life of the program" {
    command -v mke2fs >/dev/null || skip "needs mke2fs"
    [ -c /dev/loop-control ] || skip "there are no loop devices here"
    make_root "$scratch/base"
    mke2fs -q -t ext4 -d "$scratch/base" -E root_owner=0:0 "$scratch/base.ext4" 16M >/dev/null
    unit web <<U
service = { exec = [ "/bin/sh", "-c", "{ (: </dev/loop-control) && echo given; (: >>/dev/loop-control) || echo read-only; } >>/mnt/log 2>/dev/null; exec sleep 1000" ]; init = true; };
rootfs = { layers = [ "$scratch/base.ext4" ]; };
devices = ( { path = "/dev/loop-control"; access = "r"; } );
$(volume web)
restart = { policy = "always"; delay = "10ms"; };
U
    "$RINGFENCE_BUILD/ringfenced" --foreground --units "$scratch/units" \
        --runtime-dir "$scratch/run" --state-dir "$scratch/state" --log-dir "$scratch/log" \
        --cgroup "$cgroup" --config "$scratch/ringfence.conf" 2>"$scratch/stderr" 3>&- &
    manager=$!
    eventually times 1 'web: ready'
    eventually wrote web read-only
    before=$(main_pids web)
    kill -KILL "$(pgrep -P "$manager" ringfence-mana)"
    eventually said 'units found again: 1, lost: 0'
    [ "$(main_pids web)" = "$before" ]
    kill -KILL "$(tail -n 1 <<<"$before")"
    eventually times 2 'web: ready'
    eventually wrote_lines web 4
    [ "$(sort -u "$scratch/state/volumes/web/log")" = $'given\nread-only' ]
    [ "$(loops)" = 1 ]
    finish
    eventually no_loops
}
