# ringfence-logd alone, with the FIFOs and settings that the manager would make.
load ../eventually.bash

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
never() { tail -n 30 stderr; tail -n 3 log/*/current; }
said() { grep -q "$1" stderr; }
# What was said by a unit: the texts of its records, oldest first.
texts() {
    local file
    for file in $(ls "log/$1" | sort -t. -k2,2nr); do
        sed -E 's/^[^ ]{27} [^ ]+\[[0-9]+\] (out|err)\+?: //' "log/$1/$file"
    done
}
logged() { grep -qF "$2" "log/$1/current"; }

# privately FUNCTION: in a mount namespace of its own.
privately() {
    [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"
    export -f $(declare -F | awk '{ print $3 }' | grep -v bats)
    export logd
    unshare --mount --propagation private bash -euc "pids=; $1" >trace 2>&1 3>&- ||
        { cat trace stderr; tail -n 5 received 2>/dev/null; false; }
}
