#!/usr/bin/env bats
# ringfence-logd and its files.

load logd

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
    # Early boot may mount it: it is looked at when there is a unit.
    mkdir -p run/output/web
    run timeout 20 "$logd" --runtime-dir run --log-dir file/log
    [ "$status" -eq 1 ]
    [[ "$output" == "ringfence-logd: cannot make directory \"file/log\": Not a directory" ]]
}

@test "outputs that cannot be listed: it ends, and another one tries again" {
    local most found=
    export ASAN_OPTIONS=detect_leaks=0 # looking for leaks takes descriptors
    for most in $(seq 8 30); do
        run timeout 0.3 prlimit --nofile="$most:$most" "$logd" --runtime-dir run --log-dir log 3>&-
        [[ $output == *"cannot list the outputs: Too many open files" ]] || continue
        found=$status
        break
    done
    [ "$found" = 1 ]
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

@test "a line that is just not too long is whole, in whatever pieces it comes" {
    unit web 100000000 3 65536
    unit huge 100000000 3 1000000
    begin
    exec 7<>run/output/web/out 8<>run/output/huge/out
    line=$(head -c 65536 /dev/zero | tr '\0' x)
    for ((i = 0; i < 65536; i += 2049)); do printf '%s' "${line:i:2049}" >&7; done
    echo >&7
    { head -c 999999 /dev/zero | tr '\0' y; echo; } >&8
    eventually logged huge "out: y"
    eventually logged web "out: x"
    finish
    [ "$(awk '{ print length($NF) }' log/web/current log/huge/current | xargs)" = "65536 999999" ]
    [ "$(grep -c 'out+' log/web/current log/huge/current | xargs)" = "log/web/current:0 log/huge/current:0" ]
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

@test "ten services that write as fast as they can do not delay another" {
    local worst=0 delay
    for i in 1 2 3 4 5 6 7 8 9 10; do
        unit "noisy$i" 1000000 2
    done
    unit quiet
    begin
    for i in 1 2 3 4 5 6 7 8 9 10; do
        yes "a line that comes again and again" >"run/output/noisy$i/out" 3>&- &
        pids+=" $!"
        writers+=" $!"
    done
    for ((i = 1; i <= 40; i++)); do
        sleep 0.05
        echo "$i $(date +%s%N)" >run/output/quiet/out
    done
    eventually logged quiet "out: 40"
    kill -KILL $writers
    finish
    while read -r stamp _ _ _ sent; do
        read_at=$(date -d "$stamp" +%s%N)
        delay=$((read_at - sent))
        [ $delay -le $worst ] || worst=$delay
    done <log/quiet/current
    echo "# the slowest of 40 lines came $((worst / 1000000)) ms after it was written" >&3
    [ $worst -lt 1000000000 ]
    [ "$(wc -l <log/quiet/current)" -eq 40 ]
    for i in 1 2 3 4 5 6 7 8 9 10; do # and none of them waits for ever
        [ -s "log/noisy$i/current" ]
    done
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

@test "a log file that cannot be one" {
    unit web
    mkdir -p log/web
    mkfifo log/web/current
    begin
    exec 7<>run/output/web/out
    seq 1 100 >&7
    eventually said '^ringfence-logd: the log file "web/current" is not a regular file; its output waits until that works$'
    rm log/web/current
    eventually said "^ringfence-logd: the log of web is written again$"
    eventually logged web "out: 100"
    finish
    texts web | cmp - <(seq 1 100)
    [ "$(wc -l <stderr)" -eq 2 ]
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
