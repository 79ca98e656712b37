#!/bin/bash
# What keeps the tree in shape, as TAP: tests/shape.sh [BUILD-DIRECTORY]
#
# Each case is a function that prints what offends; a case that prints nothing has passed. Those
# that look at programs need a build directory and are skipped without one.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
build=${1:-build/gcc}
export LC_ALL=C.UTF-8
number=0

# check SENTENCE FUNCTION
check() {
    local offences
    number=$((number + 1))
    if offences=$("$2" 2>&1 | sed 's/^/# /') && [ -z "$offences" ]; then
        echo "ok $number - $1"
    else
        printf '%s\n' "$offences"
        echo "not ok $number - $1"
    fi
}
# check_built SENTENCE FILE FUNCTION: only where the build made FILE.
check_built() {
    if [ -e "$build/$2" ]; then
        check "$1" "$3"
    else
        number=$((number + 1))
        echo "ok $number - $1 # SKIP $build/$2 is not built"
    fi
}

sources() { # sources GLOB DIRECTORY...
    local glob=$1
    shift
    find "$@" -type f -name "$glob" 2>/dev/null | sort
}
tracked() {
    git -c safe.directory='*' ls-files --cached --others --exclude-standard
}

# ---- the floors ----

# floor FILES-REGEX ALLOWED-PROJECT-INCLUDES ALLOWED-LIBRARIES: every include of the files of one
# floor is of the C library and the kernel, or matches one of the two.
floor() {
    sources '*.[ch]' units runtime supervisor | grep -E "^($1)\$" | while read -r file; do
        grep -Hn '^#include' "$file" | grep '"' | grep -vE "\"($2)\""
        grep -Hn '^#include' "$file" | grep -E "<($libraries)" | grep -vE "<($3)"
    done
}
readonly libraries='libconfig|seccomp|sys/capability|systemd/' nothing='-'
floors() {
    floor 'units/base/.*' 'units/base/.*' $nothing
    floor 'units/[^/]*' 'units/.*' libconfig
    floor 'runtime/.*' 'units/base/.*|units/spec\.h|runtime/.*' 'seccomp|sys/capability'
    floor 'supervisor/[^/]*' 'units/.*|runtime/.*|supervisor/[^/]*|supervisor/keeper/protocol\.h|supervisor/device/.*' systemd/
    floor 'supervisor/device/.*' 'units/base/.*|supervisor/device/.*' $nothing
    floor 'supervisor/keeper/[^/]*' \
        'units/base/.*|supervisor/keeper/[^/]*|supervisor/keeper/machine/machine\.h' $nothing
    floor 'supervisor/keeper/machine/.*' 'units/base/.*|supervisor/keeper/.*' $nothing
    floor 'supervisor/keeper/initramfs/.*' \
        'units/base/.*|supervisor/device/.*|supervisor/keeper/(plain|machine/[^/]*|initramfs/[^/]*)\.h' $nothing
    floor 'supervisor/log/.*' 'units/base/.*|supervisor/log/.*' $nothing
    floor 'supervisor/ctl/.*' 'units/.*|supervisor/ctl/.*|supervisor/bus-protocol\.h|supervisor/log/.*\.h' \
        systemd/
}

# ---- lengths ----

long_files() {
    sources '*.[ch]' units runtime supervisor tests examples | xargs wc -l |
        awk '$2 != "total" && $1 > 600 { print $2 " has " $1 " lines" }'
}
long_functions() {
    sources '*.c' units runtime supervisor tests examples |
        xargs ctags -f - --languages=C --kinds-C=f --fields=+ne --quiet=yes |
        awk -F'\t' '{ for (i = 4; i <= NF; i++) { split($i, f, ":"); v[f[1]] = f[2] }
                      if (v["end"] - v["line"] + 1 > 100)
                          print $2 ":" v["line"] ": " $1 " has " v["end"] - v["line"] + 1 " lines" }'
}

# ---- headers and marks ----

header_openings() {
    sources '*.h' units runtime supervisor tests examples | while read -r header; do
        # The comment may end in a list or a second sentence; its first must end with a stop.
        awk 'NR == 1 && $0 != "#pragma once" { bad = 1 }
             NR == 2 && $0 !~ /^\/\* [A-Za-z`]/ { bad = 1 }
             NR >= 2 && NR <= 6 && /[.:]([ *]|$)/ { sentence = 1 }
             NR == 6 { exit }
             END { exit bad || !sentence }' "$header" ||
            echo "$header: opens with #pragma once, then a comment of one sentence"
    done
}
marks() {
    # The words are put together here so that this file does not name them.
    tracked | xargs -d '\n' grep -nIE "\b(TO""DO|FIX""ME|HA""CK)\b"
    sources '*.[ch]' units runtime supervisor | xargs grep -nE '\bX''XX\b'
}
machine_paths() {
    tracked | xargs -d '\n' grep -nIE "/(wo""rk|ro""ot/[a-z]|ho""me/[a-z]+/)[/\"' ]|/tmp/(w""t|bu""ild-)"
}
top_level() {
    tracked | sed 's,/.*,,' | sort -u |
        grep -vxE 'CMakeLists\.txt|README\.md|LICENSE|supervisor|runtime|units|examples|tests|\..*'
}

# ---- one key, one row ----

# A key is named in its row alone. What gives a key away elsewhere is a string literal of C that
# holds "section.key" as a person writes it.
key_names() {
    "$build/ringfence" describe | grep -oE '^  [a-z_]+\.[a-z_]+  ' | tr -d ' ' | sort -u
}
# The string literals of C files, as FILE:LINE:"LITERAL", those in comments left out.
literals() {
    awk '{ text = $0; if (FNR == 1) inside = 0
           while (text != "") {
               if (inside) {
                   if (!(at = index(text, "*/"))) break
                   text = substr(text, at + 2); inside = 0
               } else if (match(text, /"([^"\\]|\\.)*"|\/\*|\/\/|'"'"'([^'"'"'\\]|\\.)'"'"'/)) {
                   token = substr(text, RSTART, RLENGTH); text = substr(text, RSTART + RLENGTH)
                   if (token == "/*") inside = 1
                   else if (token == "//") break
                   else if (token ~ /^"/) print FILENAME ":" FNR ":" token
               } else break
           } }' "$@"
}
keys_elsewhere() {
    key_names >"$scratch/keys"
    [ "$(wc -l <"$scratch/keys")" -ge 100 ] || echo "ringfence describe names too few keys"
    mapfile -t files < <(sources '*.[ch]' units runtime supervisor | grep -v '^units/keys')
    literals "${files[@]}" |
        awk -F: 'NR == FNR { keys[$1]; next }
                 { text = $0; sub(/^[^:]*:[^:]*:/, "", text)
                   while (match(text, /[a-z_]+\.[a-z_]+/)) {
                       name = substr(text, RSTART, RLENGTH)
                       if (name in keys) print $1 ":" $2 ": names " name
                       text = substr(text, RSTART + RLENGTH) } }' "$scratch/keys" -
    # A bare name is looked up or compared: then it is a key too.
    sed 's/.*\.//' "$scratch/keys" | sort -u >"$scratch/bare"
    sources '*.c' units | grep -v '^units/keys' |
        xargs grep -noE '(lookup|strcmp|text_equal|streq)[a-z_]*\([^"]*"[a-z_]+"' |
        awk -F: 'NR == FNR { bare[$1]; next }
                 { name = $0; sub(/"$/, "", name); sub(/.*"/, "", name)
                   if (name in bare) print $1 ":" $2 ": names " name }' "$scratch/bare" -
}

# ---- the programs ----

manager_libraries() {
    local want='libc.so.6 libcap.so.2 libconfig.so.9 libseccomp.so.2 libsystemd.so.0' have
    have=$(needed ringfence-manager)
    [ "$have" = "$want" ] || printf 'has  %s\nwant %s\n' "$have" "$want"
}
needed() {
    objdump -p "$build/$1" | awk '$1 == "NEEDED" { print $2 }' | sort | xargs
}
keeper_is_static() {
    [ -z "$(needed ringfenced)" ] || echo "ringfenced needs $(needed ringfenced)"
}
log_libraries() {
    needed ringfence-logd | tr ' ' '\n' | grep -vx 'libc\.so\.6'
}
# Symbols in data or bss that a program could write to. Tables of pointers lie in .data.rel.ro,
# which nm shows in small d too, hence objdump.
global_state() {
    local archive
    for archive in base units runtime; do
        [ -f "$build/lib$archive.a" ] || continue
        objdump -t "$build/lib$archive.a" 2>/dev/null |
            awk -v archive="$archive" '/file format/ { file = $1 }
                / O \.(data|bss|tbss|tdata)(\.[^r]|\t)/ || / O \*COM\*/ {
                    if ($0 !~ /\.data\.rel\.ro/) print archive ": " file " " $NF }'
    done | grep -vxE "${allowed_state:--}"
}

scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

check "a floor includes only from itself and from the floors beneath" floors
check "no file has more than 600 lines" long_files
check "no function has more than 100 lines" long_functions
check "a header opens with one sentence" header_openings
check "nothing is marked as left for later" marks
check "no path of somebody's machine" machine_paths
check "the top level holds what it should" top_level
check_built "a key is named in its row alone" ringfence keys_elsewhere
check_built "the manager needs five libraries" ringfence-manager manager_libraries
check_built "the keeper is static" ringfenced keeper_is_static
check_built "the log reader needs the C library alone" ringfence-logd log_libraries
check_built "the floors have no state of their own" libbase.a global_state
echo "1..$number"
