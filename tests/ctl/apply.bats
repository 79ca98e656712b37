#!/usr/bin/env bats
# apply, enable and disable as a person meets them.
load door

@test "apply shows the plan, then does it" {
    serve
    tool apply
    is 0
    same <<'T'
ACTION   UNIT   WHY
start    cache  new
stop     mail   its file is gone
restart  web    changed: exec
1 unchanged
T
    [ "$(grep apply notes)" = $'apply dry\napply' ]
}

@test "apply --dry-run does nothing; --all shows what stays" {
    serve
    tool apply --dry-run --all
    is 0
    same <<'T'
ACTION     UNIT   WHY
start      cache  new
unchanged  db     -
stop       mail   its file is gone
restart    web    changed: exec
1 unchanged
T
    [ "$(grep apply notes)" = "apply dry" ]
}

@test "apply with an invalid file does nothing and exits 6; --keep-going does the rest" {
    : >web.unit
    serve
    tool apply
    is 6 "ringfence: nothing was done, since 1 file is invalid; --keep-going does the rest"
    [[ $output == *"invalid  web    web.unit:1: no"* ]]
    [ "$(grep apply notes)" = "apply dry" ]
    tool apply --dry-run
    is 6
    tool apply -k
    is 6
    [ "$(grep apply notes | tail -1)" = "apply on" ]
}

@test "apply tells what failed" {
    : >broken
    serve
    tool apply
    is 1 "ringfence: cache: exited with 3"
}

@test "apply as JSON" {
    serve
    tool apply --dry-run --json
    is 0
    json '.version == 1 and .dry_run and (.plan | length) == 4
          and .plan[0] == { unit: "cache", action: "start", why: "new", failure: null }'
    : >broken
    tool apply --json
    is 1 "ringfence: cache: exited with 3"
    json '(.dry_run | not) and .plan[0].failure == "cache: exited with 3"'
}

# ---- enable and disable, where no manager answers ----

units() {
    mkdir -p units more
    echo 'service = { exec = [ "/bin/true" ]; };' >units/web.unit
    cat >units/off.unit <<'U'
service = { exec = [ "/bin/true" ]; };
install = { enabled = false; };
U
    ln -s /dev/null units/mask.unit
    echo 'service = { exec = [ "/bin/true" ]; typ = 1; };' >units/bad.unit
    echo 'service = { exec = [ "/bin/true" ]; };' >units/many@.unit
}
files() { find units more -name '*.conf' | sort; }

@test "disable writes a drop-in, enable takes it away again" {
    units
    tool disable web --units units
    is 0
    [ "$output" = "web: disabled by units/web.unit.d/50-enabled.conf" ]
    [ "$(files)" = units/web.unit.d/50-enabled.conf ]
    [ "$(<units/web.unit.d/50-enabled.conf)" = "install = { enabled = false; };" ]
    tool verify units/web.unit
    is 0
    tool disable web --units units
    is 0
    [ "$output" = "web: disabled already" ]
    tool enable web --units units
    is 0
    [ "$output" = "web: enabled, as units/web.unit says; removed units/web.unit.d/50-enabled.conf" ]
    [ ! -e units/web.unit.d ]
    tool enable web --units units
    is 0
    [ "$output" = "web: enabled already" ]
}

@test "enable overrules the file, in the first directory" {
    units
    tool enable off --units more --units units
    is 0
    [ "$output" = "off: enabled by more/off.unit.d/50-enabled.conf" ]
    tool disable off --units more --units units
    is 0
    [ "$output" = "off: disabled, as units/off.unit says; removed more/off.unit.d/50-enabled.conf" ]
    [ -z "$(files)" ]
}

@test "what cannot be enabled is refused" {
    units
    tool enable mask --units units
    is 6 "ringfence: mask is masked by units/mask.unit"
    tool disable bad --units units
    [ "$status" -eq 6 ]
    [[ $stderr == *'service.typ: no such key; did you mean "type"?'*"ringfence: bad is invalid" ]]
    tool enable many@ --units units
    is 6 "ringfence: many@ is a template, and only its instances can start"
    tool enable many@1 --units units
    is 5 "ringfence: many@1 comes from a template: name it in the wants of another unit"
    tool enable nothing --units units
    is 5 'ringfence: there is no unit "nothing" in "units"'
    tool enable web --units nowhere
    [ "$status" -eq 1 ] && [[ $stderr == *nowhere* ]]
    mkdir units/web.unit.d
    echo 'install = { enabled = false; };' >units/web.unit.d/60-mine.conf
    tool enable web --units units
    is 1 "ringfence: web: another drop-in overrules units/web.unit.d/50-enabled.conf, which was removed again"
    [ "$(files)" = units/web.unit.d/60-mine.conf ]
    tool enable off --units units --now
    is 7 "ringfence: no manager answers: nothing was started"
    [ "$(files | head -1)" = units/off.unit.d/50-enabled.conf ]
}
