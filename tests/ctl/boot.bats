#!/usr/bin/env bats
# `ringfence boot` of a made-up boot, in all its forms.

load door

@test "boot as text: stages, units along the time, the longest chain" {
    serve
    tool boot
    is 0
    # What an open unit took is told until now, whatever the picture shows.
    [[ $output =~ storm\ +-\ +[0-9] ]]
    output=$(sed -E 's/^storm +- +[0-9.]+[a-z]+( [0-9.]+[a-z]+)?  /storm                -        now  /' <<<"$output")
    same <<'END'
The machine is coming up, 2 units are not ready, 1 unit failed, 1 unit is invalid, 1 early step failed: kernel 1.204s, ringfenced 46ms, early boot 393ms, manager 57ms, units 800ms.

WHAT                AT       TOOK  · waits  ▒ is built  █ starts
kernel          1.204s     1.204s  ██████████████████████████
ringfenced      1.250s       46ms                            █
loopback        1.262s      2.0ms                             █
mount /data     1.650s      388ms                             █████████
mount /usb      1.651s      1.0ms                                      █ skipped: LABEL=<usb> did not come within 0
sysctl          1.653s      2.0ms                                      █ failed: vm.swapines: No such file or directory
bad                  -          -   invalid
broken          1.701s      0.0ms   failed
db              2.100s      399ms                                       ▒████████
odd             1.730s       28ms                                       ·▒█
storm                -        now                                       ·▒██████████████████████… loaded, not ready yet
web             2.500s      400ms                                       ·········▒███████
slow                 -          -                                       ························… loaded, not ready yet

THE LONGEST CHAIN
web  ready at 2.500s (12ms building, 388ms starting)
└─ db  ready at 2.100s (4.0ms building, 395ms starting)
END
    tool boot --color=always
    grep -q $'\e\[1mweb' <<<"$output"
}

@test "boot as JSON" {
    serve
    tool boot --json
    is 0
    json '.version == 1 and .machine and (.complete | not) and .ended_usec == 2500000'
    json '.stages | map(.part) == ["kernel", "ringfenced", "early", "early", "early", "early"]'
    json '.stages[4] | .name == "mount /usb" and .outcome == "skipped" and .begun_usec == 1650000
                       and .words == "LABEL=<usb> did not come within 0"'
    json '.units | map(.name + " " + .fate) ==
          ["bad invalid", "broken failed", "db ready", "odd ready", "storm open", "web ready", "slow open"]'
    json '.units[5] | .waiting_usec == 1701000 and .building_usec == 2100000 and
          .starting_usec == 2112000 and .ended_usec == 2500000 and .waited_for == "db"'
    json '.units[5].needs == [{"unit": "db", "kind": "requires"}, {"unit": "db", "kind": "binds-to"}]'
    json '.units[6] | .ended_usec == null and .building_usec == null and .waited_for == null'
    json '.units[4] | .ended_usec == null and .starting_usec == 1711000'
    json '.units[0] | .waiting_usec == null and .ended_usec == null'
    json '.longest_chain == ["db", "web"]'
}

@test "boot as a graph" {
    serve
    tool boot --dot
    is 0
    [ "$(head -1 <<<"$output")" = "digraph boot {" ]
    [ "$(tail -1 <<<"$output")" = "}" ]
    grep -qF '  "db" -> "web" [style=solid, tooltip="requires", penwidth=3];' <<<"$output"
    grep -qF '  "db" -> "slow" [style=dashed, tooltip="wants"];' <<<"$output"
    [ "$(grep -c -- '"db" -> "web"' <<<"$output")" = 1 ]
    if command -v dot >/dev/null; then dot -Tsvg <<<"$output" >/dev/null; fi
}

@test "boot as a picture" {
    serve
    tool boot --svg
    is 0
    grep -qF 'LABEL=&lt;usb&gt; did not come' <<<"$output"
    grep -q '<script' <<<"$output" && false
    grep -q 'is coming up, 2 units are not ready, 1 unit failed, 1 unit is invalid, 1 early step failed<' <<<"$output"
    grep -q '>Before the units<' <<<"$output" && grep -q '>7 units<' <<<"$output"
    # A bar a millisecond long is still seen, and one row is one group.
    [ "$(grep -c '^<g>$' <<<"$output")" = 13 ]
    [ "$(grep -c 'class="chain"' <<<"$output")" = 2 ] # the path, and its key in the legend
    command -v xmllint >/dev/null || skip "xmllint is not installed"
    xmllint --noout - <<<"$output"
}

@test "boot in two forms at once is a mistake" {
    tool boot --svg --dot
    is 2 "ringfence: boot: one of --json, --dot and --svg"
    tool boot --svg --json
    is 2 "ringfence: boot: one of --json, --dot and --svg"
    tool boot web
    is 2 'ringfence: boot: one argument too many: "web"'
}

@test "boot without a manager" {
    tool boot
    is 7 "ringfence: no manager answers on \"$scratch/run/control\": No such file or directory; is ringfenced running?"
}

@test "boot: what is rounded up to a minute is a minute" {
    serve env WEB_READY=122060000
    tool boot
    is 0
    grep -qE '^web +2min 2\.1s +2min 0\.0s ' <<<"$output"
    grep -qF 'web  ready at 2min 2.1s (12ms building, 1min 59.9s starting)' <<<"$output"
}

@test "boot as a picture of a machine with an odd name" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    unshare --uts true 2>/dev/null || skip "unshare cannot make a namespace"
    serve
    output=$(unshare --uts sh -c 'printf "a\033[31m<\377" >/proc/sys/kernel/hostname && exec "$@"' \
        sh "$RINGFENCE_BUILD/ringfence" boot --svg)
    grep -qF 'class="title">a�[31m&lt;� is coming up' <<<"$output"
}
