# eventually COMMAND...: it succeeds within twenty seconds. Else it fails, and `never` shows what the
# test has: a function of whoever loads this.
eventually() {
    local i
    for ((i = 0; i < 400; i++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    echo "never: $*"
    never
    return 1
}
