#!/usr/bin/env bats
# ringfenced as PID 1 of a pid namespace, which it takes for a machine: everything but the hardware.
load ../eventually.bash

setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export RINGFENCE_BUILD=${RINGFENCE_BUILD:-$top/build/gcc}
    unset NOTIFY_SOCKET container
    [ "$(id -u)" = 0 ] || skip "needs root"
    unshare --pid --fork --mount-proc true || skip "no pid namespace can be made here"
    cd "$(mktemp -d "${BATS_TMPDIR:-/tmp}/machine.XXXXXX")"
    scratch=$PWD
    export FAKE_CHILD_DIRECTORY=$scratch
    cp "$RINGFENCE_BUILD/ringfenced" .
    cp "$RINGFENCE_BUILD/tests/fake-child" ringfence-manager
    cp ringfence-manager ringfence-logd
    script logd "note started" wait "exit 0"
    script manager "note started" "notify READY=1" wait "exit 0"
    : >console
    echo quiet >cmdline
    keeper='' first=''
}

teardown() {
    [ -z "$keeper" ] || kill -KILL "$keeper" 2>/dev/null || true
    eventually gone || true
    cd / && rm -rf "$scratch"
}
gone() { ! grep -slx "$scratch/ringfence-.*" /proc/[0-9]*/cmdline; }

script() {
    local program=$1
    shift
    printf '%s\n' "$@" >"$scratch/ringfence-$program.script"
}

# begin [NAME=VALUE]...: a machine with the kernel command line and the console of this directory.
begin_without_children() {
    # shellcheck disable=SC2016
    unshare --pid --fork --mount-proc --kill-child env "$@" sh -c '
        mount --bind cmdline /proc/cmdline && mount --bind console /dev/console &&
        exec ./ringfenced --foreground --runtime-dir "$0/run" --log-dir "$0/log"' "$scratch" \
        2>stderr 3>&- &
    keeper=$!
    eventually find_first
}
begin() {
    begin_without_children "$@"
    eventually event "ringfence-manager started"
    eventually event "ringfence-logd started"
}
find_first() {
    read -r first _ <"/proc/$keeper/task/$keeper/children" || true # there is no newline
    [ "$(cat "/proc/$first/comm")" = ringfenced ]
}
never() { cat stderr events console; }
event() { grep -qx "$1" events; }
events() { [ "$(grep -cx "$2" events)" -ge "$1" ]; }
said() { grep -q "$1" stderr; }
shown() { grep -q "$1" console; }

# finish STATUS: it ends by itself: 129 (SIGHUP) is a reboot of the namespace, 130 (SIGINT) that it
# was halted or switched off (reboot(2)).
finish() {
    local status=0
    eventually ended
    wait "$keeper" || status=$?
    keeper=
    [ "$status" -eq "$1" ] || { echo "status $status"; cat stderr console; false; }
}
ended() { [ ! -e "/proc/$keeper" ] || grep -q '^State:.Z' "/proc/$keeper/status"; }

@test "what init programs are told by signals" {
    local row name signal status
    for row in "reboot TERM 129" "reboot INT 129" "halt USR1 130" "poweroff USR2 130" \
        "poweroff PWR 130" "halt 37 130" "poweroff 38 130" "reboot 39 129"; do
        read -r name signal status <<<"$row"
        rm -f events && : >console
        begin
        kill "-$signal" "$first"
        finish "$status"
        event "ringfence-manager SIGTERM"
        shown "ringfence: $name: all units are being stopped; Ctrl-Alt-Del twice within two seconds ends it by force"
        shown "^ringfence: $name.\$"
    done
}

@test "at once: nobody is asked" {
    local row name signal status
    script manager "note started" "notify READY=1" "sleep 100000"
    for row in "halt 47 130" "poweroff 48 130" "reboot 49 129"; do
        read -r name signal status <<<"$row"
        rm -f events && : >console
        begin
        kill "-$signal" "$first"
        finish "$status"
        shown "ringfence: $name, by force"
    done
}

@test "a second Ctrl-Alt-Del within two seconds insists" {
    script manager "note started" "notify READY=1" wait "note dawdles" "sleep 100000"
    begin
    kill -INT "$first"
    eventually event "ringfence-manager dawdles"
    kill -INT "$first"
    finish 129
    shown "ringfence: reboot, by force"
}

@test "so it does when the units are stopped and others do not end" {
    begin
    nsenter -t "$first" -p sh -c 'trap "" TERM; sleep 100000 3>&- &'
    eventually has_children 3
    kill -USR2 "$first"
    eventually has_children 1
    kill -INT "$first"
    sleep 0.2 # two that come at once are one
    kill -INT "$first"
    finish 130
    shown "ringfence: poweroff: all units are being stopped"
    shown "ringfence: poweroff, by force"
    shown "ringfence: some processes do not end and are killed: sleep ([0-9]*).\$"
}
has_children() { [ "$(wc -w <"/proc/$first/task/$first/children")" -eq "$1" ]; }

@test "Ctrl-Alt-Del does not make another ending of one that has begun, it hastens it" {
    script manager "note started" "notify READY=1" wait "note dawdles" "sleep 100000"
    begin
    kill -USR2 "$first"
    eventually event "ringfence-manager dawdles"
    kill -INT "$first"
    eventually shown "ringfence: poweroff goes on; Ctrl-Alt-Del twice within two seconds ends it by force"
    kill -INT "$first"
    finish 130
    shown "ringfence: poweroff, by force"
}

@test "who wishes another ending is obeyed, and told" {
    script manager "note started" "notify READY=1" wait "note dawdles" "sleep 1000" "exit 0"
    begin
    kill -USR2 "$first"
    eventually event "ringfence-manager dawdles"
    kill -TERM "$first"
    finish 129
    shown "ringfence: reboot instead of poweroff"
}

@test "the manager may ask for an ending, and says who is waited for" {
    script manager "note started" "notify READY=1" "notify POWEROFF=1" wait \
        "notify STATUS=stopping all units|CONSOLE=stopping all units: waiting for web (killed in 7 s)" \
        "sleep 200" "exit 0"
    begin
    finish 130
    shown "ringfence: poweroff: all units are being stopped"
    shown "ringfence: stopping all units: waiting for web (killed in 7 s)"
    ! shown "ringfence: stopping all units.\$" # the keeper has said so
}

@test "by force, the manager is not waited for" {
    script manager "note started" "notify HALT=force" "sleep 100000"
    begin
    finish 130
    shown "ringfence: halt, by force"
}

@test "somebody else's machine is not ended by the manager" {
    script manager "note started" "notify REBOOT=1" "notify READY=1" wait "exit 0"
    ./ringfenced --foreground --runtime-dir "$scratch/run" --log-dir "$scratch/log" 2>stderr 3>&- &
    keeper=$!
    eventually said "ringfenced: the manager wants to reboot a machine that is not ours"
    kill -TERM $keeper
    finish 0
}

@test "a container ends, and says whether it wants to begin again" {
    begin container=test
    kill -TERM "$first"
    finish 0
    rm -f events
    begin container=test
    kill -39 "$first"
    finish 133
    rm -f events
    begin container=test
    kill -USR2 "$first"
    finish 0
    [ ! -s stderr ] || { cat stderr; false; }
}

@test "what is left of others is ended too" {
    script manager "note started" "orphan 100000" "notify READY=1" "note ready" wait "exit 0"
    begin
    eventually event "ringfence-manager ready"
    orphan=$(awk '$2 == "orphan" { print $3 }' events) # its number inside
    kill -USR2 "$first"
    finish 130
    [ -n "$orphan" ]
}

@test "the kernel command line: options, and words that are not known" {
    printf '%s\n' 'root=/dev/vda quiet ringfence.config="/etc/a b.conf" ringfence.units=/one' \
        'ringfence.units=/two ringfence.state-dir=/state ringfence.target=rescue' \
        'ringfence.log_level=debug ringfence.confg=x ringfence.watchdog=soon' \
        'ringfence.log_level=loud ringfence.rescue=maybe ringfence.cgroup= ringfence.zzz' \
        '-- ringfence.units=/three' >cmdline
    printf '#!/bin/sh\nprintf "%%s\\n" "$@" >%s/manager-got\necho "ringfence-manager started" >>%s/events\nexec sleep 100\n' \
        "$scratch" "$scratch" >ringfence-manager
    chmod +x ringfence-manager
    begin
    diff manager-got - <<END
--foreground
--runtime-dir
$scratch/run
--log-dir
$scratch/log
--config=/etc/a b.conf
--units=/one
--units=/two
--state-dir=/state
--target=rescue
--log-level=debug
END
    diff stderr - <<'END'
ringfenced: kernel command line: unknown key ringfence.confg; did you mean ringfence.config?
ringfenced: kernel command line: ringfence.watchdog wants a number of seconds, at most those of a day
ringfenced: kernel command line: ringfence.log_level wants error, warning, notice, info or debug
ringfenced: kernel command line: ringfence.rescue wants 0, 1 or the path of a program
ringfenced: kernel command line: ringfence.cgroup wants a value
ringfenced: kernel command line: unknown key ringfence.zzz
END
    kill -48 "$first"
    finish 130
}

@test "five managers that die soon: a program on the console, then the manager again" {
    cat >rescue <<-END
		#!/bin/sh
		echo "rescue began" >>$scratch/events
		[ "\$(ps -o sid= -p \$\$)" -eq "\$\$" ] && echo "rescue leads its session" >>$scratch/events
		echo "on the console"
	END
    chmod +x rescue
    echo "ringfence.rescue=$scratch/rescue" >cmdline
    script manager "note started" "notify FAILURE=the disk is missing" "exit 1"
    begin
    eventually event "rescue began"
    eventually event "rescue leads its session"
    shown "^on the console"
    eventually events 6 "ringfence-manager started"
    shown "ringfence: the manager ended five times in a row: the disk is missing; what runs goes on. Here is $scratch/rescue: when it ends (exit), it is tried again; the power button ends the machine"
    [ "$(grep -c "^ringfence: the disk is missing" console)" = 1 ]
    kill -48 "$first"
    finish 130
}

@test "without leave there is no program on the console, and it is tried on" {
    script manager "note started" "exit 1"
    begin
    eventually events 6 "ringfence-manager started"
    shown "ringfence: the manager ended five times in a row; what runs goes on, and it is tried again. Booted with ringfence.rescue=1 there would be a shell here"
    sleep 3
    # without haste, and without saying it again
    if events 7 "ringfence-manager started"; then false; fi
    [ "$(grep -c "five times" console)" = 1 ]
    kill -48 "$first"
    finish 130
}

@test "a rescue program that is not there is no end" {
    echo "ringfence.rescue=/does/not/exist" >cmdline
    script manager "note started" "exit 1"
    begin
    eventually events 6 "ringfence-manager started"
    shown 'ringfenced: cannot run "/does/not/exist": No such file or directory'
    kill -48 "$first"
    finish 130
}

@test "what is missing is waited for" {
    mv ringfence-logd away
    begin_without_children
    eventually shown "ringfence: ringfenced cannot begin; what runs goes on, and it is tried again"
    said "ringfenced: cannot find the program ringfence-logd"
    mv away ringfence-logd
    eventually event "ringfence-manager started"
    kill -USR2 "$first"
    finish 130
}

@test "while it cannot begin it can be repaired, and ended" {
    printf '#!/bin/sh\nmv %s/away %s/ringfence-logd\n' "$scratch" "$scratch" >rescue
    chmod +x rescue
    echo "ringfence.rescue=$scratch/rescue" >cmdline
    mv ringfence-logd away
    begin
    shown "ringfence: ringfenced cannot begin; what runs goes on. Here is $scratch/rescue"
    kill -USR2 "$first"
    finish 130
    rm ringfence-logd rescue
    begin_without_children
    eventually said "cannot find the program"
    kill -TERM "$first"
    finish 129
}

@test "what crashes PID 1 does not end it, nor what it was to do" {
    begin
    kill -SEGV "$first"
    eventually said "goes on after SIGSEGV"
    kill -0 "$first"
    kill -USR2 "$first"
    finish 130
}

@test "orphans by the thousand are reaped" {
    script manager "note started" "orphans 5000" "count 5000" "note counted" wait "exit 0"
    begin
    eventually event "ringfence-manager counted"
    event "ringfence-manager exits 5000"
    [ -z "$(cat "/proc/$first/task/$first/children" | tr ' ' '\n' | xargs -I@ grep -h "^State:.Z" /proc/@/status)" ]
    kill -USR2 "$first"
    finish 130
}

@test "processes without end do not keep the end from coming" {
    begin
    nsenter -t "$first" -p sh -c 'trap "" TERM
        for i in 1 2 3; do while :; do (: &); done 3>&- & done'
    all_loops() { [ "$(wc -w <"/proc/$first/task/$first/children")" -ge 5 ]; }
    eventually all_loops
    kill -USR2 "$first"
    finish 130
    shown "some processes do not end and are killed: sh ([0-9]*), "
}

@test "a storm of signals" {
    begin
    for ((i = 0; i < 300; i++)); do
        kill -HUP "$first"
        kill -CHLD "$first"
        kill -WINCH "$first"
    done
    kill -0 "$first"
    kill -USR2 "$first"
    finish 130
}

# A root without anything: what PID 1 needs it mounts. DIRECTORY is seen as it is from outside.
bare() {
    # shellcheck disable=SC2016
    unshare --pid --fork --mount --propagation private --kill-child sh -ec '
        mkdir root && mount -t tmpfs none root && cd root
        mkdir -p usr "./$0" etc tmp && mount --bind /usr usr && mount --bind "$0" "./$0"
        for link in bin sbin lib lib64; do [ ! -e /$link ] || ln -s usr/$link $link; done
        exec chroot . /usr/bin/env -C "$0" ./ringfenced --foreground --runtime-dir "$0/run" \
            --log-dir "$0/log"' "$scratch" 2>stderr 3>&- &
    keeper=$!
    eventually find_first
    eventually event "ringfence-manager started"
}
mounted() { # mounted PATH TYPE OPTION...
    local path=$1 type=$2 line option
    shift 2
    line=$(awk -v path="$path" '$2 == path' "/proc/$first/mounts" | tail -n 1)
    [[ "$line" == *" $path $type "* ]] || { echo "$path: $line"; return 1; }
    for option in "$@"; do
        [[ ",$(awk '{ print $4 }' <<<"$line")," == *",$option,"* ]] || { echo "$line: no $option"; return 1; }
    done
}

@test "it mounts what the kernel has to say, and makes the usual links" {
    bare
    mounted /proc proc nosuid noexec nodev
    mounted /sys sysfs nosuid noexec nodev
    mounted /dev devtmpfs nosuid
    mounted /dev/pts devpts nosuid noexec gid=5 mode=620 ptmxmode=666
    mounted /dev/shm tmpfs nosuid nodev
    mounted /run tmpfs nosuid nodev mode=755
    mounted /sys/fs/cgroup cgroup2 nosuid noexec nodev nsdelegate
    [ "$(stat -c %a "/proc/$first/root/dev/shm")" = 1777 ]
    [ "$(readlink "/proc/$first/root/dev/fd")" = /proc/self/fd ]
    [ "$(readlink "/proc/$first/root/dev/stderr")" = /proc/self/fd/2 ]
    grep -q " / / .* shared:" "/proc/$first/mountinfo"
    [ "$(readlink "/proc/$first/cwd")" = / ] || [ "$(readlink "/proc/$first/cwd")" = "$scratch/root" ]
    ! said '^ringfenced: ' || { cat stderr; false; }
    kill -USR2 "$first"
    finish 130
}

@test "what is mounted already stays as it is" {
    unshare --pid --fork --mount-proc awk '{ print $2 }' /proc/mounts | sort >before
    begin
    awk '{ print $2 }' "/proc/$first/mounts" | sort >after
    # What came to be was not there before, but for what this test put there.
    while read -r path; do
        [ "$path" = /proc/cmdline ] || [ "$path" = /dev/console ] || ! grep -qx "$path" before ||
            { echo "$path is mounted twice"; diff before after; false; }
    done < <(comm -13 before after)
    [ ! -s stderr ] || { cat stderr; false; }
    kill -USR2 "$first"
    finish 130
}
