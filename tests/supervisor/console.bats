#!/usr/bin/env bats
# A unit on a terminal of the host, as a shell on a console is one.

load real
eval "$(declare -f teardown | sed '1s/teardown/end_manager/')"
teardown() {
    end_manager
    [ -z "${line:-}" ] || kill "$line" 2>/dev/null || true
}

# line_up: a serial line at $path; `types` types on it, $scratch/shown is what it shows.
line_up() {
    mkfifo "$scratch/keys"
    exec 7<>"$scratch/keys"
    "$RINGFENCE_BUILD/tests/console-peer" <&7 >"$scratch/shown" 3>&- &
    line=$!
    eventually test -s "$scratch/shown"
    path=$(head -n 1 "$scratch/shown")
}
types() { printf '%s\r' "$*" >&7; }
prompts() { grep -c 'ready> ' "$scratch/shown"; }
shows() { grep -q -- "$1" "$scratch/shown"; }

@test "a shell on it has it for a terminal, in namespaces of its own" {
    line_up
    unit shell <<EOF2
service = { exec = [ "/bin/sh", "-i" ]; tty_path = "$path"; stop_signal = "SIGHUP";
            environment = [ "PS1=ready> " ]; };
EOF2
    begin
    eventually shows '^ready> '
    # It is the controlling one, and the device itself behind /dev/console.
    types 'echo a$((1+1))b; stty -a </dev/tty | grep -c icanon; echo pid $$; test -t 2 && echo er""ror'
    eventually shows '^a2b'
    eventually shows '^1'
    eventually shows '^pid 1'
    eventually shows '^error'
    types tty
    eventually shows '^/dev/console'
    # Job control: an interrupt from the keyboard ends the program, not the shell.
    types "sh -c 'echo beg\"\"un; exec sleep 1000'; echo inter\"\"rupted"
    eventually shows '^begun'
    before=$(prompts)
    printf '\003' >&7
    eventually sh -c "[ \$(grep -c 'ready> ' '$scratch/shown') -gt $before ]"
    types 'echo still he""re'
    eventually shows '^still here'
    # The next program finds it sane.
    types 'stty -echo -icanon -onlcr; exit 3'
    eventually sh -c "[ \$(grep -c '^ready> ' '$scratch/shown') -ge 2 ]"
    eventually ring is-active shell
    types 'echo sa""ne; stty -a | grep -o " onlcr"'
    eventually shows '^sane'
    eventually shows '^ onlcr'
    before=$(date +%s)
    ring stop shell
    [ $(($(date +%s) - before)) -lt 8 ]
    finish
}

@test "a getty with the host's namespaces" {
    line_up
    unit shell <<EOF2
service    = { exec = [ "/bin/sh", "-i" ]; tty_path = "$path"; stop_signal = "SIGHUP";
               environment = [ "PS1=ready> " ]; };
namespaces = { user = "host"; pid = "host"; mount = "host"; uts = "host"; ipc = "host"; cgroup = "host"; };
network    = { mode = "host"; };
EOF2
    begin
    eventually shows '^ready> '
    types 'tty; echo a$((1+1))b'
    eventually shows "^$path"
    eventually shows '^a2b'
    finish
}

@test "one that is not there, and one that is none" {
    unit absent <<<'service = { exec = [ "/bin/sh" ]; tty_path = "/dev/no-such-tty"; }; restart = { policy = "no"; };'
    unit file <<<'service = { exec = [ "/bin/sh" ]; tty_path = "/dev/null"; }; restart = { policy = "no"; };'
    begin
    eventually ring is-failed absent
    eventually ring is-failed file
    ring status absent | grep -q 'cannot open the terminal "/dev/no-such-tty": No such file or directory'
    ring status file | grep -q '"/dev/null" is no terminal'
    finish
}

@test "a unit that needs a mount is skipped without it" {
    mkdir "$scratch/data"
    unit with <<<"unit = { condition_path_is_mount_point = [ \"$scratch/data\" ]; };
                  service = { exec = [ \"/bin/sleep\", \"1000\" ]; };"
    unit without <<<"unit = { condition_path_is_mount_point = [ \"!$scratch/data\", \"/proc\" ]; };
                     service = { exec = [ \"/bin/sleep\", \"1000\" ]; };"
    begin
    eventually ring is-active without
    [ "$(ring is-active with || true)" = skipped ]
    ring status with | grep -q "$scratch/data is no mount point"
    mount -t tmpfs data "$scratch/data"
    ring restart with
    umount "$scratch/data"
    ring is-active with
    finish
}
