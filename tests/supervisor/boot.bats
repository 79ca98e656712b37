#!/usr/bin/env bats
# Early boot, in mount, uts and network namespaces of its own, so that nothing of the host's changes.

load real
eval "$(declare -f teardown | sed '1s/teardown/end_manager/')"
teardown() {
    end_manager
    local device
    for device in ${loops:-}; do losetup -d "$device" || true; done
}

# begin_machine: the manager as begin starts it, where it may set up a machine.
begin_machine() {
    unshare --mount --uts --net --propagation private sh -c '
        mount -t tmpfs -o mode=755 boot "$1/etc"
        cp "$1/etc-files"/* "$1/etc/" 2>/dev/null
        for file in machine-id hostname; do
            [ ! -e "$1/etc/$file" ] || { [ -e "/etc/$file" ] && mount --bind "$1/etc/$file" "/etc/$file"; }
        done
        for over in lib sbin; do
            [ ! -d "$1/$over" ] || mount -t overlay -o "lowerdir=$1/$over:/$over" "$over" "/$over" ||
                exit 1
        done
        shift
        exec "$@"' sh "$scratch" \
        "$RINGFENCE_BUILD/ringfence-manager" --foreground --units "$scratch/units" \
        --runtime-dir "$scratch/run" --state-dir "$scratch/state" --log-dir "$scratch/log" \
        --cgroup "$cgroup" --config "$scratch/ringfence.conf" 2>"$scratch/stderr" 3>&- &
    manager=$!
}
# inside COMMAND...: where the manager is.
inside() { nsenter --target "$manager" --mount --uts --net "$@"; }
# host TEXT: the host's own file, with this in the section of the boot.
host() {
    mkdir -p "$scratch/etc" "$scratch/etc-files"
    echo "manager = { missing_controllers = \"warn\"; early_boot = true; }; boot = { $1 };" \
        >"$scratch/ringfence.conf"
}
# image NAME SIZE: a file of zeros.
image() { truncate -s "$2" "$scratch/$1"; }
# attach NAME: to a loop device, which teardown lets go.
attach() {
    loop=$(losetup -f --show "$scratch/$1") || skip "no loop device can be had"
    loops="${loops:-} $loop"
}
# checker TYPE: its script comes on standard input; what it notes goes to "checks".
checker() {
    mkdir -p "$scratch/sbin"
    { echo "#!/bin/sh"; echo "cd $scratch"; cat; } >"$scratch/sbin/fsck.$1"
    chmod +x "$scratch/sbin/fsck.$1"
}
checks() { tr '\n' ' ' <"$scratch/checks"; }
differ() { [ "$(cksum <"$1")" != "$(cksum <"$2")" ]; }
up() { ring status >"$scratch/status" && ! grep -q 'early boot' "$scratch/status"; }

@test "hostname, loopback, settings of the kernel" {
    mkdir "$scratch/sysctl"
    echo 'net.ipv4.conf.lo.forwarding = 1' >"$scratch/sysctl/10-first.conf"
    printf '# a comment\n-net.no.such = 1\nnet/ipv4/ip_default_ttl = 77\n' >"$scratch/sysctl/20-second.conf"
    host "hostname = \"kiosk\"; sysctl = [ \"net.core.somaxconn=1234\" ];
          sysctl_directories = [ \"$scratch/sysctl\" ];"
    unit said <<<'service = { type = "oneshot"; exec = [ "/bin/sh", "-c", "echo on %H" ]; };'
    begin_machine
    eventually up
    [ "$(inside hostname)" = kiosk ]
    inside ip -brief address show lo | grep -q 127.0.0.1
    [ "$(inside cat /proc/sys/net/core/somaxconn)" = 1234 ]
    [ "$(inside cat /proc/sys/net/ipv4/conf/lo/forwarding)" = 1 ]
    [ "$(inside cat /proc/sys/net/ipv4/ip_default_ttl)" = 77 ]
    said 'boot: hostname: done after '
    said 'boot: loopback: done after '
    said 'boot: units may start after '
    # The unit files were read after the host had got its name.
    eventually ring is-active said
    ring inspect said | grep -q 'echo on kiosk'
    finish
}

@test "a setting that the kernel has not got is said, and the others hold" {
    host 'sysctl = [ "net.no.such=1", "net.core.somaxconn=99" ];'
    begin_machine
    eventually up
    said 'boot: sysctl: failed after .*cannot open "/proc/sys/net/no/such"'
    [ "$(inside cat /proc/sys/net/core/somaxconn)" = 99 ]
    finish
}

@test "a file system by its label is checked, repaired and mounted" {
    image disk 8M
    mke2fs -q -t ext4 -L "t$$" "$scratch/disk"
    debugfs -w -R 'set_super_value state 0' "$scratch/disk" 2>/dev/null # it was not unmounted
    attach disk
    mkdir "$scratch/data"
    host "mounts = ( { device = \"LABEL=t$$\"; target = \"$scratch/data\"; options = [ \"noatime\", \"nosuid\" ]; } );"
    unit writes <<EOF2
service = { type = "oneshot"; exec = [ "/bin/sh", "-c", "echo here >/data/file" ]; };
unit = { condition_path_exists = [ "$scratch/data/lost+found" ]; };
mounts = ( { type = "bind"; source = "$scratch/data"; target = "/data"; } );
namespaces = { user = "host"; };
rootfs = { path = "/"; };
EOF2
    begin_machine
    eventually up
    said "boot: mount $scratch/data: done"
    said "boot: mount $scratch/data: .*(was not cleanly unmounted|check forced)"
    inside grep " $scratch/data " /proc/self/mountinfo | grep noatime | grep nosuid | grep -q "ext4 $loop"
    finish
}

@test "a check goes on when the manager dies, and the next one waits for it" {
    image disk 8M
    mke2fs -q -t ext4 "$scratch/disk"
    attach disk
    checker ext4 <<'END'
echo begun >>checks
for i in $(seq 200); do [ ! -e go ] || break; sleep 0.1; done
echo "nobody hears this" || true
echo ended >>checks
END
    host "mounts = ( { device = \"$loop\"; target = \"$scratch/data\"; } );"
    begin_machine
    eventually grep -q begun "$scratch/checks"
    kill -KILL "$manager"
    wait "$manager" || true
    begin_machine
    eventually said "boot: mount $scratch/data: waits until another check of \"$loop\" has ended"
    [ "$(checks)" = "begun " ]
    touch "$scratch/go"
    eventually up
    said "boot: mount $scratch/data: done"
    [ "$(checks)" = "begun ended begun ended " ]
    finish
}

@test "what is mounted already is not checked" {
    image disk 8M
    mke2fs -q -t ext4 -L "t$$" "$scratch/disk"
    attach disk
    echo 'echo checked >>checks' | checker ext4
    host "mounts = ( { device = \"LABEL=t$$\"; target = \"$scratch/one\"; },
                     { device = \"$loop\"; target = \"$scratch/two\"; } );"
    begin_machine
    eventually up
    said "boot: mount $scratch/one: done"
    said "boot: mount $scratch/two: done"
    said "boot: mount $scratch/(one|two): \"$loop\" is in use already, and is not checked"
    [ "$(checks)" = "checked " ]
    finish
}

@test "a checker that cannot repair, and one that is killed" {
    image disk 8M
    mke2fs -q -t ext4 "$scratch/disk"
    attach disk
    host "mounts = ( { device = \"$loop\"; target = \"$scratch/data\"; } );"
    echo 'echo UNEXPECTED INCONSISTENCY; exit 4' | checker ext4
    begin_machine
    eventually up
    said "boot: mount $scratch/data: UNEXPECTED INCONSISTENCY"
    said "boot: mount $scratch/data: failed .*sbin/fsck.ext4 could not repair \"$loop\" \(exit status 4\)"
    finish
    echo 'kill -KILL $$' | checker ext4
    begin_machine
    eventually up
    said "boot: mount $scratch/data: failed .*sbin/fsck.ext4 was killed while it checked \"$loop\""
    finish
}

@test "a device that comes late is waited for; meanwhile others are mounted, and who asks is told" {
    image disk 8M
    mke2fs -q -t ext4 -L "t$$" "$scratch/disk"
    mkdir "$scratch/data"
    host "mounts = ( { device = \"LABEL=t$$\"; target = \"$scratch/data\"; timeout = \"40s\"; },
                     { device = \"tmpfs\"; target = \"$scratch/other\"; } );"
    unit web <<<'service = { exec = [ "/bin/sleep", "1000" ]; };'
    begin_machine
    eventually said "boot: mount $scratch/data: waits for LABEL=t$$, at most 40s"
    eventually said "boot: mount $scratch/other: done"
    ring status | grep -q "Status: early boot: mount $scratch/data waits for LABEL=t$$, at most 40s$"
    ring status --json | grep -q '"status":"early boot: mount '
    ring boot >"$scratch/boot"
    grep -q '^ringfence is in early boot: ringfenced ' "$scratch/boot"
    grep -q "^mount .* running: waits for LABEL=t$$, at most 40s$" "$scratch/boot"
    ring boot --json | grep -qE '"name":"mount [^"]*data","part":"early","begun_usec":[1-9]'
    ring boot --json | grep -q '"complete":false'
    [ "$(ring list --json)" = '{"version":1,"units":[]}' ]
    for words in "start web" "status web" "apply" "reload"; do
        status=0
        ring $words 2>"$scratch/refused" || status=$?
        [ "$status" = 1 ]
        grep -q "units are not known yet: early boot: mount $scratch/data waits for" "$scratch/refused"
    done
    attach disk
    eventually up
    said "boot: mount $scratch/data: done"
    eventually ring is-active web
    ring boot | grep -q '^ringfence is up in '
    finish
}

@test "while a device is waited for the manager shows that it is alive, and tells the console" {
    "$RINGFENCE_BUILD/tests/fake-child" listen "$scratch/keeper" >"$scratch/heard" 3>&- &
    logger=$! # teardown ends it
    eventually test -S "$scratch/keeper"
    host "mounts = ( { device = \"LABEL=never$$\"; target = \"$scratch/data\"; timeout = \"1h\"; } );"
    sed -i 's/early_boot = true;/& watchdog = "1s";/' "$scratch/ringfence.conf"
    export NOTIFY_SOCKET=$scratch/keeper
    begin_machine
    alive() { [ "$(grep -c '^WATCHDOG=1$' "$scratch/heard")" -ge 3 ]; }
    eventually alive
    grep -qx 'WATCHDOG_USEC=1000000' "$scratch/heard"
    eventually grep -qx "CONSOLE=mount $scratch/data: waits for LABEL=never$$, at most 1h" "$scratch/heard"
    ! grep -q '^READY=1' "$scratch/heard"
    finish
}

@test "what lies in another is mounted after it, in whichever order they are listed" {
    mkdir -p "$scratch/gap/www" "$scratch/gap/upper" "$scratch/gap/inner"
    host "mounts = ( { device = \"tmpfs\"; target = \"$scratch/a/b\"; },
                     { device = \"tmpfs\"; target = \"$scratch/a\"; },
                     { device = \"LABEL=never$$\"; target = \"$scratch/gap\"; timeout = 0; },
                     { device = \"tmpfs\"; target = \"$scratch/gap/in\"; },
                     { device = \"tmpfs\"; target = \"$scratch/gap/too\"; optional = true; },
                     { device = \"$scratch/gap/www\"; target = \"$scratch/www\"; options = [ \"bind\" ]; },
                     { device = \"overlay\"; target = \"$scratch/merged\"; options = [ \"lowerdir=/usr,upperdir=$scratch/gap/upper,workdir=$scratch/gap/inner\" ]; },
                     { device = \"tmpfs\"; target = \"$scratch/c/in\"; },
                     { device = \"$scratch/c/in/c\"; target = \"$scratch/c\"; options = [ \"bind\" ]; } );"
    begin_machine
    eventually up
    inside awk -v above="$scratch/a" -v below="$scratch/a/b" \
        '$5 == above { mounted = 1 } $5 == below { found = mounted } END { exit !found }' /proc/self/mountinfo
    said "boot: mount $scratch/gap/in: failed .*\"$scratch/gap\", in which it lies, is not mounted"
    said "boot: mount $scratch/gap/too: skipped .*\"$scratch/gap\", in which it lies, is not mounted"
    for name in www merged; do
        said "boot: mount $scratch/$name: failed .*\"$scratch/gap\", of which it is made, is not mounted"
    done
    [ ! -e "$scratch/gap/in" ]
    # Those two wait for each other: the first goes first.
    said "boot: mount $scratch/c/in: done"
    said "boot: mount $scratch/c: failed .*cannot mount \"$scratch/c/in/c\""
    finish
}

@test "a device that does not come is a failure, and boot goes on" {
    host "mounts = ( { device = \"LABEL=never$$\"; target = \"$scratch/data\"; timeout = \"200ms\"; } );"
    begin_machine
    eventually up
    said "boot: mount $scratch/data: failed after .*: LABEL=never$$ did not come within 200ms"
    finish
}

# What hangs in a read of a disk cannot even be stopped so, but is as silent.
stop_step() {
    local pid
    for pid in $(pgrep -P "$manager" ringfence-manag); do kill -STOP "$pid" && return 0; done
    return 1
}

@test "a step that hangs while a device is looked for is given up some time after its own" {
    host "mounts = ( { device = \"LABEL=never$$\"; target = \"$scratch/data\"; timeout = \"3s\"; optional = true; } );"
    begin_machine
    eventually said 'waits for LABEL='
    stop_step
    eventually said "boot: mount $scratch/data: skipped after 13.*: it is given up: a disk or a driver does not answer"
    eventually up
    finish
}

@test "an optional one is no failure" {
    host "mounts = ( { device = \"LABEL=never$$\"; target = \"$scratch/data\"; timeout = 0; optional = true; } );"
    begin_machine
    eventually up
    said "boot: mount $scratch/data: skipped after .*: LABEL=never$$ did not come"
    finish
}

@test "a required one keeps all units from starting" {
    host "mounts = ( { device = \"LABEL=never$$\"; target = \"$scratch/data\"; timeout = \"10ms\"; required = true; } );"
    begin_machine
    eventually ended
    status=0
    wait "$manager" || status=$?
    manager=
    [ "$status" = 1 ]
    said "\"mount $scratch/data\" is required, and no unit starts: LABEL=never$$ did not come"
    quiet 'boot: random-seed'
    [ ! -e "$scratch/state" ]
    # The next manager has not to wait as long once more: a rescue shell comes after five of them.
    host "mounts = ( { device = \"LABEL=never$$\"; target = \"$scratch/data\"; timeout = \"1h\"; required = true; } );"
    begin_machine
    eventually said 'no unit starts: LABEL=never.* did not come within 2s more'
    quiet 'boot: hostname'
    eventually ended
    manager=
}

@test "that a required one is missing is told while others are still waited for" {
    "$RINGFENCE_BUILD/tests/fake-child" listen "$scratch/keeper" >"$scratch/heard" 3>&- &
    logger=$! # teardown ends it
    eventually test -S "$scratch/keeper"
    host "mounts = ( { device = \"LABEL=never$$\"; target = \"$scratch/data\"; timeout = \"10ms\"; required = true; },
                     { device = \"LABEL=never2$$\"; target = \"$scratch/more\"; timeout = \"1h\"; optional = true; } );"
    export NOTIFY_SOCKET=$scratch/keeper
    begin_machine
    eventually grep -qx "FAILURE=\"mount $scratch/data\" is required, and no unit starts: LABEL=never$$ did not come within 10ms" "$scratch/heard"
    if ended; then false; fi
    finish
}

@test "what has no device, a bind, and one over the other" {
    mkdir "$scratch/a"
    host "mounts = (
        { device = \"tmpfs\"; target = \"$scratch/b/c\"; options = [ \"size=64K\", \"mode=0700\" ]; },
        { device = \"$scratch/b\"; target = \"$scratch/a\"; options = [ \"rbind\", \"ro\" ]; },
        { device = \"tmpfs\"; target = \"$scratch/b/c\"; options = [ \"size=128K\" ]; } );"
    begin_machine
    eventually up
    times 1 "boot: mount $scratch/b/c: done"
    times 1 "boot: mount $scratch/b/c (2): done"
    [ "$(inside findmnt -n -o FSTYPE "$scratch/a/c")" = tmpfs ]
    inside findmnt -n -o OPTIONS "$scratch/a" | grep -qw ro
    [ "$(inside findmnt "$scratch/b/c" | grep -c tmpfs)" = 2 ]
    finish
}

@test "what cannot be mounted says so" {
    image none 1M
    attach none
    host "mounts = (
        { device = \"$loop\"; target = \"$scratch/a\"; },
        { device = \"/dev/null\"; target = \"$scratch/b\"; },
        { device = \"$loop\"; target = \"$scratch/c\"; type = \"ext4\"; fsck = false; },
        { device = \"$loop\"; target = \"$scratch/d\"; type = \"ext4\"; },
        { device = \"$loop\"; type = \"swap\"; options = [ \"prio=3\" ]; } );"
    begin_machine
    eventually up
    said "boot: mount $scratch/a: failed .*there is no file system on \"$loop\" that is known; say its type"
    said "boot: mount $scratch/b: failed .*\"/dev/null\" is no block device"
    said "boot: mount $scratch/c: failed .*cannot mount \"$loop\" \(ext4\) on \"$scratch/c\""
    said "boot: mount $scratch/d: failed .*fsck.ext4 could not repair \"$loop\" \(exit status 8\)"
    said "boot: swap $loop: failed .*\"prio=3\" is no option of swap space"
    finish
}

@test "a file to swap to, and swap space where a file system should be" {
    dd if=/dev/zero of="$scratch/pages" bs=1M count=1 status=none
    chmod 600 "$scratch/pages"
    mkswap -q "$scratch/pages"
    image disk 1M
    mkswap -q "$scratch/disk"
    attach disk
    host "mounts = ( { device = \"$scratch/pages\"; type = \"swap\"; options = [ \"pri=5\" ]; },
                     { device = \"$loop\"; target = \"$scratch/data\"; },
                     { device = \"$scratch/units\"; target = \"$scratch/b\"; } );"
    begin_machine
    eventually up
    swapoff "$scratch/pages" 2>/dev/null || true
    said "boot: swap $scratch/pages: (done|failed .*cannot swap to \"$scratch/pages\": (Operation not permitted|Invalid argument))"
    said "boot: mount $scratch/data: failed .*there is swap space on \"$loop\" and no file system; to swap to it leave the target out and say type = \"swap\""
    said "boot: mount $scratch/b: failed .*is no block device; a directory is mounted elsewhere with the option \"bind\""
    finish
}

@test "of two devices that bear the same name the first is taken, and both are named" {
    for name in one two; do
        image "$name" 8M
        mke2fs -q -t ext4 -L "t$$" "$scratch/$name"
        attach "$name"
    done
    two=($(printf "%s\n" $loops | LC_ALL=C sort))
    host "mounts = ( { device = \"LABEL=t$$\"; target = \"$scratch/data\"; } );"
    begin_machine
    eventually up
    said "boot: mount $scratch/data: \"${two[0]}\" and \"${two[1]}\" both are LABEL=t$$, and the first is taken; name it by its UUID"
    inside grep " $scratch/data " /proc/self/mountinfo | grep -q "ext4 ${two[0]} "
    finish
}

@test "kernel modules: what is not there, and what is none" {
    release=$(uname -r)
    mkdir -p "$scratch/lib/modules/$release/kernel"
    printf 'kernel/top-most.ko: kernel/middle.ko kernel/base.ko\nkernel/packed.ko.zst:\n' \
        >"$scratch/lib/modules/$release/modules.dep"
    echo 'kernel/inside.ko' >"$scratch/lib/modules/$release/modules.builtin"
    for name in base middle top-most; do echo none >"$scratch/lib/modules/$release/kernel/$name.ko"; done
    echo none >"$scratch/lib/modules/$release/kernel/packed.ko.zst"
    host 'modules = [ "inside", "top_most parameter=1", "absent", "packed" ];'
    begin_machine
    eventually up
    # The first of those that are needed is tried first.
    said "boot: modules: failed .*cannot load \"/lib/modules/$release/kernel/base.ko\": (Exec format error|Function not implemented)"
    said "boot: modules: there is no module \"absent\" in /lib/modules/$release"
    said 'boot: modules: .*packed.ko.zst"( is compressed, and this kernel does not|: Function not implemented)'
    finish
}

@test "a machine id is made once, and kept where the root cannot be written" {
    [ -e /etc/machine-id ] || skip "there is no /etc/machine-id to cover"
    host ''
    : >"$scratch/etc-files/machine-id"
    begin_machine
    eventually up
    first=$(inside cat /etc/machine-id)
    [[ $first =~ ^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$ ]]
    finish
    begin_machine
    eventually up
    [ "$(inside cat /etc/machine-id)" = "$first" ]
    finish
}

@test "the seed is another at every boot" {
    host ''
    begin_machine
    eventually up
    [ "$(stat -c '%s %a' "$scratch/state/random-seed")" = "512 400" ]
    cp "$scratch/state/random-seed" "$scratch/first"
    finish
    [ -e "$scratch/state/clock" ]
    differ "$scratch/first" "$scratch/state/random-seed"
    cp "$scratch/state/random-seed" "$scratch/second"
    begin_machine
    eventually up
    said 'boot: random-seed: done'
    differ "$scratch/second" "$scratch/state/random-seed"
    finish
}

@test "a manager that follows one that died repeats nothing" {
    host "hostname = \"once\"; mounts = ( { device = \"tmpfs\"; target = \"$scratch/data\"; } );"
    begin_machine
    eventually up
    cp "$scratch/run/boot" "$scratch/record"
    kill -KILL "$manager"
    wait "$manager" || true
    rmdir "$cgroup"
    begin_machine
    eventually up
    quiet 'boot: mount'
    quiet 'boot: hostname'
    diff "$scratch/record" "$scratch/run/boot"
    finish
    [ ! -e "$scratch/run/boot" ]
}

@test "without a word of it nothing of the host is touched" {
    begin
    eventually up
    quiet 'boot: '
    grep -q '^machine=0$' "$scratch/run/boot"
    [ "$(grep -c '^step=' "$scratch/run/boot")" = 0 ]
    [ ! -e "$scratch/state/random-seed" ]
    finish
}

@test "a stop while a device is waited for ends at once" {
    host "mounts = ( { device = \"LABEL=never$$\"; target = \"$scratch/data\"; timeout = \"1h\"; } );"
    begin_machine
    eventually said 'waits for LABEL='
    kill -TERM "$manager"
    eventually ended
    status=0
    wait "$manager" || status=$?
    manager=
    [ "$status" = 0 ]
}
