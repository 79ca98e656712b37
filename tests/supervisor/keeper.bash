# ringfenced with a manager and a logger that do as they are told (fake-child.c).
load ../eventually.bash

setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export RINGFENCE_BUILD=${RINGFENCE_BUILD:-$top/build/gcc}
    unset NOTIFY_SOCKET container
    cd "$(mktemp -d "${BATS_TMPDIR:-/tmp}/keeper.XXXXXX")"
    scratch=$PWD
    export FAKE_CHILD_DIRECTORY=$scratch
    cp "$RINGFENCE_BUILD/ringfenced" .
    cp "$RINGFENCE_BUILD/tests/fake-child" ringfence-manager
    cp ringfence-manager ringfence-logd
    script logd "note started" wait "exit 0"
    script manager "note started" "notify READY=1" wait "exit 0"
    keeper=
}

teardown() {
    for pid in $keeper $listener; do
        kill -KILL "$pid" 2>/dev/null
    done
    thaw
    eventually gone || true
    cd / && rm -rf "$scratch"
}
thaw() {
    [ ! -d disk ] || { fsfreeze -u disk; umount disk; rmdir disk; } 2>/dev/null || true
}
gone() { ! grep -slx "$scratch/ringfence-.*" /proc/[0-9]*/cmdline; }

script() { # whole or not at all: it may be read at any time
    local file=$scratch/ringfence-$1.script
    shift
    printf '%s\n' "$@" >"$file.new"
    mv "$file.new" "$file"
}
begin() {
    "$@" ./ringfenced --foreground --runtime-dir "$scratch/run" --log-dir "$scratch/log" \
        2>stderr 3>&- &
    keeper=$!
}
never() { tail -n 30 stderr events; }
child() { # of the keeper, by its name
    local pid
    for pid in $(cat "/proc/$keeper/task/$keeper/children"); do
        [ "$(tr '\0' '\n' <"/proc/$pid/cmdline" | head -n 1)" != "$1" ] || echo "$pid"
    done
}
descriptors() { find "/proc/$keeper/fd" -mindepth 1 | wc -l; }
memory() { awk '/^Pss:/ { print $2 }' "/proc/$keeper/smaps_rollup"; }
event() { grep -qx "$1" events; }
events() { [ "$(grep -cx "$2" events)" -eq "$1" ]; } # events N TEXT: it was noted so often
said() { grep -q "$1" stderr; }
ended() { ! kill -0 "$keeper"; }
# finish STATUS: it ends by itself, with this status.
finish() {
    local status=0
    eventually dead
    wait "$keeper" || status=$?
    keeper=
    [ "$status" -eq "$1" ] || { echo "status $status"; tail -n 30 stderr; false; }
}
dead() { [ "$(awk '/^State/ { print $2 }' "/proc/$keeper/status")" = Z ] || ended; }
