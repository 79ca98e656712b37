#!/usr/bin/env bats
# verify and describe, which need neither manager nor root.

load door

good() { echo 'service = { exec = [ "/bin/true" ]; };'; }

@test "verify: a good file, by name" {
    good >web.unit
    tool verify web.unit
    is 0 && [ "$output" = "web.unit: ok" ]
    tool verify "$scratch/web.unit"
    is 0 && [ "$output" = "$scratch/web.unit: ok" ]
}

@test "verify: complaints with a caret, and 6" {
    echo 'service = { exce = [ "/bin/true" ]; };' >bad.unit
    good >web.unit
    tool verify bad.unit web.unit
    is 6
    grep -q '^bad.unit:1:13: error: service.exce: no such key; did you mean "exec"?$' <<<"$output"
    grep -q '^ *^$' <<<"$output"
    grep -q '^web.unit: ok$' <<<"$output"
    tool verify --json bad.unit
    is 6
    json '.version == 1 and (.files | length) == 1 and .files[0].valid == false'
    json '.files[0].complaints[0] | .file == "bad.unit" and .line == 1 and .column == 13'
}

@test "verify: a directory, every file of it" {
    mkdir units
    good >units/a.unit
    good >units/b.unit
    : >units/c.unit
    echo 'service = { exec = [ "/bin/echo", "%i" ]; };' >units/t@.unit
    tool verify units
    is 0
    same <<'EOF'
units/a.unit: ok
units/b.unit: ok
units/c.unit: masked
units/t@.unit: ok
EOF
    mkdir none
    tool verify none
    is 0 'ringfence: verify: there are no unit files'
}

@test "verify: what is not there, or not a unit" {
    tool verify nowhere.unit
    is 1 'ringfence: verify: cannot open "nowhere.unit": No such file or directory'
    good >web.conf
    tool verify web.conf
    is 6 "ringfence: verify: \"web.conf\" is not named NAME.unit; the host's own file is checked by --config FILE"
    good >-.unit
    tool verify ./-.unit
    is 6
    [[ $output == './-.unit: error: "-" is no unit name'* ]]
    mkfifo pipe.unit
    tool verify pipe.unit
    [ "$status" -eq 6 ] && [[ $output == *FIFO* ]]
    tool verify
    is 2 'ringfence: usage: ringfence verify FILE|DIR...'
}

@test "describe: everything, a section, a key, and the nearest one" {
    tool describe
    is 0 && grep -q 'service.exec' <<<"$output"
    tool describe service.type
    is 0 && grep -q notify <<<"$output"
    tool describe service.typ
    is 1 'ringfence: there is no key or section "service.typ"; did you mean "service.type"?'
    tool describe --json
    is 0 && json '.properties.service.properties.exec'
    tool describe --json service
    is 2 'ringfence: describe: --json is the schema of a whole unit file'
}

@test "verify: the host's own file alone" {
    echo 'manager = { watchdog = "10s"; };' >sound.conf
    echo 'boot = { modules = "loop"; };' >host.conf
    tool verify --config sound.conf
    is 0
    [ "$output" = "sound.conf: ok" ]
    tool verify --config host.conf
    is 6
    [[ $output == 'host.conf:1:20: error: boot.modules: wrong type: it is a list; write [ "loop" ]'* ]]
    tool verify --json --config host.conf
    is 6
    json '.files == [.files[0]] and (.files[0].valid | not) and .files[0].file == "host.conf"'
    tool verify --json --config sound.conf
    is 0
    json '.files[0].valid and .files[0].file == "sound.conf"'
    tool verify --config nowhere.conf
    is 6
    [[ $output == *"nowhere.conf"*"No such file"* ]]
}

@test "describe: what this version refuses is said, and of numbers the range" {
    said() { tool describe "$1" && is 0 && words=$(tr -s ' \n' ' ' <<<"$output"); }
    said network.mode
    [[ $words == *'(not in this version: "bridge")'* ]]
    said security.seccomp
    [[ $words == *'(not in this version: "strict", and'* ]]
    said health.retries
    [[ $words == *"a whole number from 1 to 1000. Default: 3."* ]]
    said service.nice
    [[ $words == *"a whole number from -20 to 19."* ]]
    said resources.pids_max
    [[ $words == *'a whole number from 1 to 4194304, or "max". Default: 512.'* ]]
}
