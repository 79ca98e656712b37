#!/usr/bin/env bats
# ringfence-logd, with the FIFOs and settings that the manager would make.

setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export RINGFENCE_BUILD=${RINGFENCE_BUILD:-$top/build/gcc} LC_ALL=C
    logd=$RINGFENCE_BUILD/ringfence-logd
    cd "$(mktemp -d "${BATS_TMPDIR:-/tmp}/logd.XXXXXX")"
    scratch=$PWD
    mkdir -p run/output
    pids=
}

teardown() {
    for pid in $pids; do
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null || true
    done
    cd / && rm -rf "$scratch"
}

# unit NAME [MAX_SIZE [MAX_FILES [MAX_LINE [PID [LAST]]]]], with driver=, rate= and interval= (ms)
unit() {
    mkdir -m 700 "run/output/$1"
    mkfifo -m 622 "run/output/$1/out" "run/output/$1/err"
    settings "$@"
    pids_of "$1" "${5:-42}" "${6:-42}"
}
settings() {
    printf 'driver=%s\nmax_size=%s\nmax_files=%s\nmax_line=%s\nrate=%s\ninterval=%s\n' \
        "${driver:-file}" "${2:-10485760}" "${3:-3}" "${4:-65536}" "${rate:-0}" \
        "${interval:-1000}" >"run/output/$1/settings.new"
    mv "run/output/$1/settings.new" "run/output/$1/settings"
}
pids_of() { # NAME PID LAST: in place, as the manager does
    printf '%-10d %-10d\n' "$2" "$3" | dd of="run/output/$1/pid" conv=notrunc status=none
}
start() {
    "$logd" --runtime-dir run --log-dir log 2>>stderr 3>&- &
    daemon=$!
    pids+=" $daemon"
}
begin() {
    start
    eventually watching
}
watching() { grep -qs "^inotify wd" /proc/"$daemon"/fdinfo/*; }
# Everything is drained, and it ends well.
finish() {
    kill -TERM "$daemon"
    wait "$daemon"
}
eventually() {
    local i
    for ((i = 0; i < 400; i++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    echo "never: $*"
    cat stderr
    tail -n 3 log/*/current
    return 1
}
said() { grep -q "$1" stderr; }
# What was said by a unit: the texts of its records, oldest first.
texts() {
    local file
    for file in $(ls "log/$1" | sort -t. -k2,2nr); do
        sed -E 's/^[^ ]{27} [^ ]+\[[0-9]+\] (out|err)\+?: //' "log/$1/$file"
    done
}
logged() { grep -qF "$2" "log/$1/current"; }

@test "usage" {
    run "$logd" --help
    [ "$status" -eq 0 ]
    [[ "$output" == "usage: ringfence-logd "* ]]
    run "$logd" --version
    [[ "$output" =~ ^ringfence-logd\ [0-9.]+$ ]]
    run "$logd" --units x
    [ "$status" -eq 2 ]
    [[ "${lines[0]}" == "ringfence-logd: unknown option: --units" ]]
    run "$logd" --log-dir
    [ "$status" -eq 2 ]
    [[ "${lines[0]}" == "ringfence-logd: a value is missing: --log-dir" ]]
}

@test "directories that cannot be" {
    touch file
    run "$logd" --runtime-dir file --log-dir log
    [ "$status" -eq 1 ]
    [[ "$output" == "ringfence-logd: cannot make directory \"file/output\": Not a directory" ]]
    run "$logd" --runtime-dir run --log-dir file/log
    [ "$status" -eq 1 ]
    [[ "$output" == "ringfence-logd: cannot make directory \"file/log\": Not a directory" ]]
}

@test "a record says when, who, and where" {
    unit web "" "" "" 4711
    begin
    echo hello >run/output/web/out
    eventually logged web hello
    echo trouble >run/output/web/err
    finish
    grep -Ex '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z web\[4711\] out: hello' log/web/current
    grep -Ex '.* web\[4711\] err: trouble' log/web/current
    [ "$(stat -c %a log log/web log/web/current | tr '\n' ' ')" = "750 750 640 " ]
    [ ! -s stderr ]
}

@test "ten writers: no line is missing, all are in order" {
    begin
    for i in 1 2 3 4 5 6 7 8 9 10; do
        unit "u$i" 1000000 100
        seq 1 20000 | sed 's/$/ and some more text/' >"run/output/u$i/out" 3>&- &
        writers+=" $!"
    done
    wait $writers
    finish
    seq 1 20000 | sed 's/$/ and some more text/' >want
    for i in 1 2 3 4 5 6 7 8 9 10; do
        texts "u$i" | cmp - want
    done
    [ -e log/u1/current.1 ]
}

@test "the space of a unit is bounded" {
    unit web 10000 3
    begin
    seq 1 30000 >run/output/web/out
    finish
    [ "$(ls log/web | tr '\n' ' ')" = "current current.1 current.2 " ]
    for file in log/web/*; do
        [ "$(stat -c %s "$file")" -le 10000 ]
    done
    texts web >have
    seq 1 30000 | tail -n "$(wc -l <have)" | cmp - have
}

@test "a long line is cut, and a prompt is not withheld" {
    unit web "" "" 20
    begin
    exec 7<>run/output/web/out
    printf '%s\n' abcdefghijklmnopqrstuvwxyz >&7
    printf 'login: ' >&7
    eventually logged web "out+: login: "
    printf 'root\n' >&7
    eventually logged web "out: root"
    finish
    [ "$(cut -d' ' -f3- log/web/current)" = $'out+: abcdefghijklmnopqrst\nout: uvwxyz\nout+: login: \nout: root' ]
}

@test "any byte is kept" {
    unit web 100000000 3 1000000
    head -c 1000000 /dev/urandom >noise
    echo >>noise
    begin
    cat noise >run/output/web/out
    finish
    texts web | cmp - noise
    [ "$(wc -l <noise)" -eq "$(grep -acE '^[^ ]{27} web\[42\] out: ' log/web/current)" ]
}

@test "a unit that goes in the middle of a line" {
    unit web
    begin
    exec 7<>run/output/web/out
    echo 0 >&7
    eventually logged web "out: 0"
    seq 1 1000 >&7
    printf 'last words' >&7
    rm -r run/output/web
    eventually logged web "out+: last words"
    [ "$(texts web | wc -l)" -eq 1002 ]
    unit web # and comes back
    echo again >run/output/web/out
    eventually logged web "out: again"
    finish
}

@test "a new process's words are not the old one's" {
    unit web "" "" "" 1 1
    begin
    exec 7<>run/output/web/out
    echo begin >&7
    eventually logged web "web[1] out: begin"
    for pid in 2 3 4 5 6 7 8 9; do
        printf 'unfinished' >&7
        pids_of web 0 $((pid - 1))
        sleep 0.05 # no process comes at once
        echo "I am $pid" >&7
        pids_of web $pid $pid # the manager may be late
    done
    finish
    for pid in 2 3 4 5 6 7 8 9; do
        grep -E "web\[$((pid - 1))\] out\+: unfinished\$" log/web/current
        grep -E "web\[$pid\] out: I am $pid\$" log/web/current
    done
}

@test "words of a process that nobody saw running" {
    unit web "" "" "" 0 0
    begin
    exec 7<>run/output/web/out
    echo short >&7
    pids_of web 0 77
    eventually logged web "web[77] out: short"
    echo stray >&7 # and no process is ever named for it
    eventually logged web "web[0] out: stray"
    finish
}

@test "a noisy service does not delay another" {
    unit noisy 1000000 2
    unit quiet
    begin
    yes "a line that comes again and again" >run/output/noisy/out 3>&- &
    pids+=" $!"
    for i in 1 2 3 4 5; do
        sleep 0.1
        echo "$i $(date +%s%N)" >run/output/quiet/out
    done
    eventually logged quiet "out: 5"
    kill -KILL "${pids##* }"
    finish
    while read -r stamp _ _ _ sent; do
        read_at=$(date -d "$stamp" +%s%N)
        [ $((read_at - sent)) -lt 300000000 ] || { echo "delay $((read_at - sent)) ns"; false; }
    done <log/quiet/current
    [ "$(wc -l <log/quiet/current)" -eq 5 ]
}

@test "what is in the FIFO outlives the logger" {
    unit web
    exec 7<>run/output/web/out # as the manager does
    begin
    echo first >&7
    eventually logged web first
    kill -STOP $daemon
    seq 1 5000 >&7
    kill -KILL $daemon
    wait $daemon || true
    begin
    eventually logged web "out: 5000"
    finish
    { echo first; seq 1 5000; } | cmp - <(texts web)
}

# numbers HOW: as fast as it can, in blocks, in lines, or in pieces of lines.
numbers() {
    case $1 in
    blocks) exec seq 1 1000000000 ;;
    lines) exec stdbuf -oL seq 1 1000000000 ;;
    pieces)
        for ((i = 1; ; i++)); do
            printf '%s' "${i::2}"
            printf '%s\n' "${i:2}"
        done
        ;;
    esac
}
# RINGFENCE_KILLS=200 bats -f "kill -9 of the logger" tests/supervisor/logd.bats
@test "kill -9 of the logger loses no line and repeats none" {
    local kills=${RINGFENCE_KILLS:-20} how=(blocks lines pieces)
    for i in 1 2 3 4 5 6 7 8 9 10; do
        unit "u$i" 4000000 1000
        exec {held[i]}<>"run/output/u$i/out" # as the manager does
        numbers "${how[i % 3]}" >"run/output/u$i/out" 3>&- &
        writers+=" $!"
        pids+=" $!"
    done
    for ((kill = 0; kill < kills; kill++)); do
        start
        sleep "0.0$((RANDOM % 8 + 1))$((RANDOM % 10))"
        kill -KILL "$daemon"
        wait "$daemon" || true
    done
    kill -KILL $writers
    begin
    finish
    for i in 1 2 3 4 5 6 7 8 9 10; do
        "$RINGFENCE_BUILD/ringfence" logs --log-dir log "u$i" | sed -E 's/^[^ ]+ [^ ]+ out\+?: //' |
            awk '$0 != NR { print NR ": " $0 } END { print NR >"count" }' >wrong
        read -r count <count
        # The last line may be one in which its writer was killed.
        [ ! -s wrong ] || [ "$(cut -d: -f1 wrong)" = "$count" ] || { echo "u$i"; head wrong; false; }
        [ "$count" -gt 10 ]
        total=$((total + count))
    done
    [ ! -s stderr ] || { cat stderr; false; }
    echo "# $kills kills, $total lines" >&3
}

@test "at the end everything is drained" {
    begin
    eventually test -d log
    kill -STOP $daemon
    unit web # it has not seen this one yet
    exec 7<>run/output/web/out 8<>run/output/web/err
    seq 1 5000 >&7
    printf 'no newline' >&8
    kill -TERM $daemon
    kill -CONT $daemon
    wait $daemon
    [ "$(grep -c ' out: ' log/web/current)" -eq 5000 ]
    logged web "err+: no newline"
}

@test "one logger waits for the other" {
    unit web
    begin
    eventually test -d log
    first=$daemon
    start
    eventually said "^ringfence-logd: another ringfence-logd reads \"run/output\"; waiting until it ends$"
    kill -TERM $first
    wait $first
    echo second >run/output/web/out
    eventually logged web second
    finish
}

@test "what is no unit's output is left alone" {
    mkdir run/output/-x run/output/.new run/output/good
    touch run/output/file run/output/good/out
    printf 'driver=file\nmax_size=0\n' >run/output/good/settings
    begin
    eventually said "^ringfence-logd: output of good: \"out\" is not a FIFO$"
    said '^ringfence-logd: "-x" among the outputs is no unit.s directory and is left alone$'
    said '^ringfence-logd: "file" among the outputs is no unit.s directory and is left alone$'
    said "^ringfence-logd: output of good: no usable max_size in its settings$"
    finish
    [ "$(wc -l <stderr)" -eq 4 ] || { cat stderr; false; }
}

@test "files removed or emptied by a person" {
    unit web
    begin
    exec 7<>run/output/web/out
    echo one >&7
    eventually logged web one
    rm -r log/web
    echo two >&7
    eventually logged web two
    : >log/web/current
    echo three >&7
    eventually logged web three
    finish
    [ "$(texts web)" = three ]
}

@test "it sleeps when nothing happens, and is small" {
    for i in $(seq 1 10); do
        unit "u$i"
    done
    begin
    echo hello >run/output/u1/out
    eventually logged u1 hello
    sleep 0.2
    switches() { awk '/ctxt_switches/ { n += $2 } END { print n }' /proc/$daemon/status; }
    before=$(switches)
    sleep 3
    [ "$(switches)" -eq "$before" ]
    echo "# ringfence-logd: $(awk '/^Pss:/ { print $2 }' /proc/$daemon/smaps_rollup) KB of memory (PSS) with 10 units" >&3
    finish
}

# Runs on a tmpfs of 400 KB, which nobody else sees.
full_disk() {
    trap 'kill -KILL $pids 2>/dev/null || true' EXIT
    mount -t tmpfs -o size=400k tmpfs log
    unit web 50000 20
    begin
    exec 7<>run/output/web/out
    # More than fits: the oldest files make room.
    seq 1 30000 >&7
    eventually logged web "out: 30000"
    [ "$(cat stderr)" = "ringfence-logd: the disk of the logs is full: the oldest files of whoever has most of them go, \"web/current.7\" first" ]
    texts web >have
    seq 1 30000 | tail -n "$(wc -l <have)" | cmp - have
    [ "$(wc -l <have)" -gt 5000 ]
    # Nothing more to remove: the output waits, and nothing is lost.
    rm log/web/current.*
    settings web 1000000 20
    sleep 0.2
    dd if=/dev/zero of=log/filler bs=4k 2>/dev/null || true
    seq 30001 60000 >&7 3>&- &
    writer=$!
    pids+=" $writer"
    eventually said "^ringfence-logd: cannot write the log of web: No space left on device; its output waits until that works$"
    sleep 1.5
    kill -0 $writer # it is held back
    [ "$(wc -l <stderr)" -eq 2 ]
    unit other
    rm log/filler
    settings web 50000 20
    wait $writer
    eventually said "^ringfence-logd: the log of web is written again$"
    eventually logged web "out: 60000"
    rm -f log/web/current.*
    eventually said "^ringfence-logd: the disk of the logs has room again$"
    finish
    texts web >have
    seq 1 60000 | tail -n "$(wc -l <have)" | cmp - have
}

@test "a full disk" {
    unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"
    mkdir log
    export -f full_disk unit settings pids_of begin finish eventually said texts logged start watching
    export logd
    unshare --mount --propagation private bash -euc 'pids=; full_disk' >trace 2>&1 3>&- ||
        { cat trace stderr; false; }
}
