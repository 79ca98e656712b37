#!/bin/bash
# clang-tidy and cppcheck over every C file that the build knows, shellcheck over the scripts, as TAP:
# tests/lint.sh BUILD-DIRECTORY (made by clang, for its compile_commands.json)
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
build=${1:-build/clang}
commands=$build/compile_commands.json
[ -f "$commands" ] || { echo "1..0 # SKIP $commands is not there"; exit 0; }
logs=$build/lint
mkdir -p "$logs/cppcheck"

mapfile -t files < <(awk -F'"' '$2 == "file" { print $4 }' "$commands" | sort -u)

# tidy FILE: silent and 0, or the findings in a log of its own.
tidy() {
    local log=$logs/${1//\//-}
    clang-tidy-14 -p "$build" --quiet "$1" >"$log.tidy" 2>/dev/null && : >"$log.tidy"
}
export -f tidy
export build logs
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P 2 bash -c 'tidy "$1"' -
cppcheck --project="$commands" --enable=warning,performance,portability --std=c11 -j 2 --quiet \
    --suppressions-list=tests/suite/cppcheck.suppressions --cppcheck-build-dir="$logs/cppcheck" \
    --template='{file}:{line}: {severity}: {message} [{id}]' --error-exitcode=1 \
    >"$logs/cppcheck.out" 2>&1

# Left out: what concerns variables of a file that sources another, and "local x=$(command)".
find tests examples .ci -type f -print0 | xargs -0 grep -lEZ "^#!/bin/bash" |
    xargs -0 shellcheck --shell=bash --severity=warning --format=gcc \
        --exclude=SC1091,SC2034,SC2154,SC2155 >"$logs/shellcheck.out" 2>&1

echo "1..$((${#files[@]} + 2))"
number=0
for file in "${files[@]}"; do
    number=$((number + 1))
    log=$logs/${file//\//-}.tidy
    if [ -s "$log" ]; then
        grep -E '(error|warning):' "$log" | head -n 30 | sed 's/^/# /' # the whole story is in the log
        printf 'not '
    elif [ ! -e "$log" ]; then
        echo "# clang-tidy did not run"
        printf 'not '
    fi
    echo "ok $number - clang-tidy ${file#"$PWD"/}"
done
for tool in cppcheck shellcheck; do
    number=$((number + 1))
    if [ -s "$logs/$tool.out" ]; then
        head -n 60 "$logs/$tool.out" | sed 's/^/# /'
        printf 'not '
    fi
    echo "ok $number - $tool"
done
