# A machine of our own: Debian's 6.1 cloud kernel in QEMU, cgroup v2 alone, a root made from the
# programs of a build. Sourced by tests/boot/boot-*, which call
#
#   vm_start BUILD MODULE...          boot; SKIPs the whole file where that cannot be
#   vm_run SECONDS SCRIPT             run a script inside; its output on stdout, its code returned
#   vm_case NAME SECONDS SCRIPT       a test case: passed when the script's code is 0, skipped on 77
#   vm_program NAME SECONDS COMMAND   a program that prints TAP; its cases become cases of this file
#   vm_finish                         power off, look at the console, print the plan
#
# A machine that is to boot more than once is made by vm_build BUILD MODULE... in place of vm_start;
# then, as often as needed,
#
#   vm_boot                           boot it; 1 where it does not answer
#   vm_monitor COMMAND                a command of QEMU's monitor: "system_powerdown", "sendkey ..."
#   vm_gone SECONDS                   wait until the machine is off
#   vm_cut                            cut its power
#   vm_says SECONDS PATTERN           wait until the console has said it
#   vm_done                           look at the consoles, print the plan
#
# QEMU's own emulation only, never KVM: the same everywhere. Deadlines are generous, since the cores
# are shared; what is asserted is the state inside, not the time it took.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
export LC_ALL=C.UTF-8
vm_number=0 vm_failed=0 vm_boots=0 vm_dir='' vm_pid='' vm_in='' vm_out='' vm_order=''
# What a file may choose before it begins:
vm_init=/usr/sbin/agent # what the kernel starts
vm_under_test=''        # a program that becomes PID 1, with the agent beside it: "/usr/sbin/ringfenced"
vm_root=disk            # or initramfs: there is no disk then
vm_words=''             # more words for the kernel's command line
vm_memory=768           # megabytes
vm_cpus=1
vm_clock=utc            # what the machine's own shows at first, as "2001-01-01T00:00:00"
vm_options=()           # more options of QEMU
vm_disks=()             # more disks: files, /dev/nvme0n2 and on
vm_tests=''             # "yes": with the test programs of the build, in /opt/tests
vm_extra() { :; }       # vm_extra TREE: puts what is needed into the root

skip_all() {
    echo "1..0 # SKIP $*"
    exit 0
}

# ---- cases ----

vm_emit() { # vm_emit ok|not NAME [DIRECTIVE]
    vm_number=$((vm_number + 1))
    [ "$1" != not ] || vm_failed=$((vm_failed + 1))
    echo "${1/not/not ok} $vm_number - $2${3:+ # SKIP $3}"
}

vm_case() {
    local output code reason
    output=$(vm_run "$2" "$3")
    code=$?
    case $code in
    0) vm_emit ok "$1" ;;
    77) reason=${output##*$'\n'}; vm_emit ok "$1" "${reason:-no reason given}" ;;
    *)
        printf 'exit code %d\n%s\n' $code "$output" | tail -n 40 | sed 's/^/# /'
        vm_emit not "$1"
        ;;
    esac
}

vm_program() {
    local code kind name rest
    vm_run "$2" "$3" >"$vm_dir/program"
    code=$?
    # The name comes last, so that a diagnostic is printed before the line it belongs to.
    awk -v group="$1" -v status=$code -f tests/suite/tap.awk "$vm_dir/program" >"$vm_dir/cases"
    local failed=
    while IFS=$'\t' read -r kind name rest; do
        [ "$kind" = D ] || { [ -z "$failed" ] || vm_emit not "$failed"; failed=; }
        case $kind in
        P) vm_emit ok "$name" ;;
        S) vm_emit ok "$name" "$rest" ;;
        F) failed=$name ;;
        D) echo "# ${name#\# }" ;;
        esac
    done <"$vm_dir/cases"
    [ -z "$failed" ] || vm_emit not "$failed"
}

# ---- the kernel ----

# Unpacks the kernel package below build/kernel; nothing is installed. Prints its directory.
vm_kernel() {
    local cache=build/kernel package
    if [ ! -e "$cache/complete" ]; then
        rm -rf "$cache" && mkdir -p "$cache/package" || return 1
        # The name of the package that linux-image-cloud-amd64 stands for changes with every build.
        [ -n "$(apt-cache depends linux-image-cloud-amd64 2>/dev/null)" ] ||
            apt-get -o DPkg::Lock::Timeout=300 update >/dev/null 2>&1
        package=$(apt-cache depends linux-image-cloud-amd64 |
            awk '$1 == "Depends:" && $2 ~ /^linux-image-6/ { print $2; exit }')
        [ -n "$package" ] || return 1
        (cd "$cache/package" && apt-get download "$package" >../download.log 2>&1) || return 1
        dpkg -x "$cache"/package/*.deb "$cache" && rm -rf "$cache/package" || return 1
        touch "$cache/complete"
    fi
    echo "$cache"
}

# The modules asked for, each after those it depends on, as paths below lib/modules.
vm_modules() { # vm_modules KERNEL MODULE...
    local kernel=$1 module path depends
    shift
    for module in "$@"; do
        path=$(cd "$kernel" && find lib/modules -name "${module//[-_]/[-_]}.ko" | head -n 1)
        [ -n "$path" ] || continue # built in
        depends=$(tr '\0' '\n' <"$kernel/$path" | sed -n 's/^depends=//p' | tr ',' ' ')
        # shellcheck disable=SC2086
        [ -z "$depends" ] || vm_modules "$kernel" $depends
        echo "$path"
    done | awk '!seen[$0]++'
}

# ---- the disk ----

# What a program needs to run there: itself and its libraries, at the same paths.
vm_take() { # vm_take TREE FILE...
    local tree=$1 file
    shift
    for file in "$@"; do
        { readlink -f "$file"; ldd "$file" 2>/dev/null | grep -oE '/[^ ]+'; } | while read -r path; do
            mkdir -p "$tree${path%/*}"
            [ -e "$tree$path" ] || cp -L "$path" "$tree$path"
        done
    done
}

vm_tree() { # vm_tree TREE BUILD KERNEL MODULE...
    local tree=$1 build=$2 kernel=$3 program applet path
    shift 3
    mkdir -p "$tree"/{proc,sys,dev,run,tmp,root,etc,mnt,srv,var/tmp,var/log,var/lib} \
        "$tree"/usr/{bin,sbin,lib,lib64,libexec} "$tree/opt/tests"
    chmod 1777 "$tree/tmp" "$tree/var/tmp"
    chmod 0700 "$tree/root"
    local link
    for link in bin sbin lib lib64; do
        ln -s "usr/$link" "$tree/$link"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n' \
        >"$tree/etc/passwd"
    printf 'root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n' >"$tree/etc/group"
    (umask 077 && echo 'root:*:19000:0:99999:7:::' >"$tree/etc/shadow")
    echo ringfence-test >"$tree/etc/hostname"

    # Real tools over busybox's links: its shell would run its own applets before PATH.
    cp "$(command -v busybox)" "$tree/usr/bin/busybox"
    for applet in $(busybox --list | grep -vx busybox); do
        ln -sf busybox "$tree/usr/bin/$applet"
    done
    rm -f "$tree/usr/bin/sh" "$tree/usr/bin/dash" "$tree/usr/bin/bash"
    vm_take "$tree" "$(command -v dash)" "$(command -v bash)" "$(command -v chrt)"
    ln -s dash "$tree/usr/bin/sh"

    for program in ringfenced ringfence-manager ringfence-logd ringfence; do
        [ -x "$build/$program" ] || continue
        vm_take "$tree" "$build/$program"
        rm -f "$tree/$(readlink -f "$build/$program")"
        strip -g -o "$tree/usr/sbin/$program" "$build/$program"
    done
    for program in "$build"/tests/*; do
        [ -n "$vm_tests" ] && [ -f "$program" ] && [ -x "$program" ] || continue
        vm_take "$tree" "$program"
        rm -f "$tree/$(readlink -f "$program")"
        strip -g -o "$tree/opt/tests/${program##*/}" "$program"
    done
    cp "$build/boot/agent" "$tree/usr/sbin/agent"
    : >"$tree/etc/modules"
    vm_modules "$kernel" "$@" | while read -r path; do
        mkdir -p "$tree/usr/${path%/*}"
        cp "$kernel/$path" "$tree/usr/$path"
        echo "/$path" >>"$tree/etc/modules"
    done
}

# vm_bare TREE: of an initramfs that changes to a root, what it needs until then.
vm_bare() {
    ! ldd "$1/usr/sbin/ringfenced" >/dev/null 2>&1 || return 0 # it needs libraries: with sanitizers
    rm -rf "$1"/{srv,opt} "$1"/usr/bin/* "$1"/usr/libexec "$1/etc/ringfence"
    find "$1/usr/lib" "$1/usr/lib64" -mindepth 1 -maxdepth 1 ! -name modules -exec rm -rf {} +
    find "$1/usr/sbin" -mindepth 1 ! -name agent ! -name ringfenced -delete
}

# ---- the machine ----

vm_build() {
    local build=$1 tool name=${vm_name:-${0##*/boot-}}
    shift
    for tool in qemu-system-x86_64 mke2fs cpio busybox dash; do
        command -v "$tool" >/dev/null || skip_all "$tool is not installed"
    done
    [ "$(uname -m)" = x86_64 ] || skip_all "the machine is made of x86_64 programs"
    [ -x "$build/boot/agent" ] || skip_all "$build/boot/agent is not built"
    mkdir -p build
    vm_cache=$(exec 9>build/kernel.lock && flock 9 && vm_kernel) ||
        skip_all "the kernel package cannot be fetched"

    vm_dir=$PWD/build/boot-$name
    rm -rf "$vm_dir" && mkdir -p "$vm_dir/tree" || exit 2
    trap vm_kill EXIT
    trap 'exit 1' INT TERM
    vm_tree "$vm_dir/tree" "$build" "$vm_cache" "$@"
    vm_extra "$vm_dir/tree"
    case $vm_root in
    disk)
        mke2fs -q -t ext4 -E root_owner=0:0 -d "$vm_dir/tree" "$vm_dir/disk" 768M \
            >"$vm_dir/mke2fs.log" 2>&1 || { cat "$vm_dir/mke2fs.log" >&2; exit 2; }
        vm_disks=("$vm_dir/disk" "${vm_disks[@]}")
        ;;
    initramfs) (cd "$vm_dir/tree" && find . | cpio --quiet -o -H newc -R 0:0 >"$vm_dir/initramfs") ;;
    esac
    rm -rf "$vm_dir/tree"
    mkfifo "$vm_dir"/{line,monitor}.{in,out}
    exec {vm_out}<>"$vm_dir/line.out" {vm_in}<>"$vm_dir/line.in" {vm_order}<>"$vm_dir/monitor.in"
}

# The answer of the agent is awaited, the words of an init under test are not.
#
# A third of the time would go into what an emulator does slowly and nothing here is about: the kernel
# that moves itself at random, pages that are cleared for safety's sake, instructions that count bytes
# (erms, fsrm), security modules that are asked at every system call and have no policy.
vm_boot() {
    local disk options=() words
    words="console=ttyS0 panic=-1 quiet loglevel=4 oops=panic"
    words+=" mitigations=off cryptomgr.notests nokaslr init_on_alloc=0 lsm=capability"
    if [ "$vm_root" = initramfs ]; then
        options=(-initrd "$vm_dir/initramfs")
        words+=" rdinit=$vm_init"
    else
        words+=" root=/dev/nvme0n1 rootfstype=ext4 rootwait rw init=$vm_init"
    fi
    [ ${#vm_disks[@]} = 0 ] || options+=(-device "nvme,id=nvme,serial=ringfence")
    for disk in "${vm_disks[@]}"; do
        options+=(-drive "file=$disk,format=raw,if=none,id=${disk##*/},cache=unsafe"
            -device "nvme-ns,drive=${disk##*/},bus=nvme")
    done
    vm_boots=$((vm_boots + 1))
    # Both are pipes that we hold open: what an earlier boot left in them is nobody's answer.
    while read -r -t 0.01 -N 4096 _ <&"$vm_out"; do :; done
    TMPDIR=$vm_dir qemu-system-x86_64 -M q35 -accel tcg -cpu max,-erms,-fsrm -smp "$vm_cpus" -m "$vm_memory" \
        -rtc "base=$vm_clock" -nodefaults -no-user-config -display none -no-reboot -kernel "$vm_cache"/boot/vmlinuz-* \
        -append "$words $vm_words${vm_under_test:+ -- before $vm_under_test}" \
        "${options[@]}" "${vm_options[@]}" -serial "file:$vm_dir/console.$vm_boots" \
        -chardev "pipe,id=line,path=$vm_dir/line" -serial chardev:line \
        -chardev "pipe,id=monitor,path=$vm_dir/monitor" -mon chardev=monitor,mode=readline \
        >"$vm_dir/qemu.log" 2>&1 </dev/null &
    vm_pid=$!
    cat "$vm_dir/monitor.out" >"$vm_dir/monitor.log" & # ends with QEMU
    vm_answer 180 >/dev/null || {
        tail -n 30 "$vm_dir/console.$vm_boots" "$vm_dir/qemu.log" | sed 's/^/# /'
        return 1
    }
}

vm_start() {
    vm_build "$@"
    if ! vm_boot; then
        vm_emit not "the machine boots"
        echo "1..$vm_number"
        exit 1
    fi
    [ -n "$vm_under_test" ] || vm_run 10 'hostname -F /etc/hostname; ip link set lo up' >/dev/null
    vm_emit ok "the machine boots"
}

vm_run() {
    kill -0 "$vm_pid" 2>/dev/null || { echo "the machine is gone"; return 125; }
    { printf 'RUN %d %d\n' "$1" "$(printf %s "$2" | wc -c)"; printf %s "$2"; } >&"$vm_in"
    vm_answer $(($1 + 60))
}

vm_answer() { # vm_answer SECONDS: the output of one answer, its code returned
    local first word code length end=$((SECONDS + $1))
    # The pipe is ours too: it does not end with the machine.
    until IFS= read -r -t 1 -N 1 first <&"$vm_out"; do
        ! vm_off && [ $SECONDS -lt $end ] || { echo "no answer from the machine"; return 125; }
    done
    IFS=' ' read -r -t 60 word code length <&"$vm_out"
    [ "$first${word:-}" = RES ] || { echo "no answer from the machine"; return 125; }
    head -c "$length" <&"$vm_out"
    return "$code"
}

vm_monitor() {
    printf '%s\n' "$1" >&"$vm_order"
}

vm_wait() { # vm_wait SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}
vm_off() { ! kill -0 "$vm_pid" 2>/dev/null; }
vm_gone() {
    vm_wait "$1" vm_off || return 1
    wait "$vm_pid"
    vm_pid=''
}
vm_says() { vm_wait "$1" grep -aqE -e "$2" "$vm_dir/console.$vm_boots"; }
vm_cut() {
    { kill -KILL "$vm_pid"; wait "$vm_pid"; } 2>/dev/null
    vm_pid=''
}

vm_finish() {
    vm_run 10 'sync; echo o >/proc/sysrq-trigger' >/dev/null &
    vm_gone 30
    vm_done
}

vm_done() {
    if grep -ahE 'Kernel panic|BUG:|Oops|ERROR: AddressSanitizer|runtime error:' "$vm_dir"/console.* |
        sed 's/^/# /' | grep .; then
        vm_emit not "the kernel had nothing to complain of"
    else
        vm_emit ok "the kernel had nothing to complain of"
    fi
    echo "1..$vm_number"
}

vm_kill() {
    [ -z "$vm_pid" ] || vm_cut
    rm -f "$vm_dir/disk" "$vm_dir/initramfs" "$vm_dir"/*.in "$vm_dir"/*.out
}
