# Judges one stream of TAP. Prints a line per case, fields separated by tabs:
#   P NAME | F NAME | S NAME REASON | D DIAGNOSTIC (of the F line before it)
# Variables: group (put before each name), status (the program's exit code), after (1 where the
# diagnostics of a case follow its line, as bats writes them; 0 where they precede it).
# A stream without a plan, with a wrong count, or of a program that failed without saying so is
# itself a failed case: no test may vanish in silence.

function diagnose(line) {
    print "D\t" line
}
function fail(name) {
    print "F\t" group ": " name
    failures++
}
function flush_comments(    i) {
    for (i = 1; i <= comments; i++)
        diagnose(comment[i])
    comments = 0
}

BEGIN { plan = -1; status += 0 }

/^1\.\.[0-9]+/ {
    plan = substr($1, 4) + 0
    if (plan == 0 && match($0, /# *[Ss][Kk][Ii][Pp]/)) {
        reason = substr($0, RSTART + RLENGTH)
        sub(/^[: ]*/, "", reason)
        print "S\t" group "\t" reason
        whole = 1
    }
    next
}

/^(not )?ok( |$)/ {
    count++
    good = $1 == "ok"
    name = $0
    sub(/^(not )?ok *[0-9]* *(- )?/, "", name)
    skip = match(name, / *# *[Ss][Kk][Ii][Pp]/)
    if (skip) {
        reason = substr(name, RSTART + RLENGTH)
        name = substr(name, 1, RSTART - 1)
        sub(/^[^ ]* */, "", reason)
        sub(/^[: (]*/, "", reason)
        if (reason == "")
            for (i = 1; i <= comments; i++)
                if (comment[i] ~ /^# skip: /)
                    reason = substr(comment[i], 9)
    }
    failing = 0
    if (good && skip) {
        print "S\t" group ": " name "\t" (reason == "" ? "no reason given" : reason)
    } else if (good) {
        print "P\t" group ": " name
    } else {
        fail(name)
        failing = 1
        if (!after)
            flush_comments()
    }
    comments = 0
    next
}

/^Bail out!/ { bail = $0 }

{
    if (after && failing)
        diagnose($0)
    else if (comments < 200)
        comment[++comments] = $0
}

END {
    if (status == 124 || status == 137) {
        fail("ran out of time")
        flush_comments()
    } else if (bail != "") {
        fail("gave up")
        diagnose(bail)
    } else if (plan < 0) {
        fail("printed no plan (exit code " status ")")
        flush_comments()
    } else if (!whole && plan != count) {
        fail("planned " plan " cases, ran " (count + 0) " (exit code " status ")")
        flush_comments()
    } else if (plan == 0 && !whole) {
        fail("holds no case")
    } else if (status != 0 && failures == 0) {
        fail("ended with exit code " status " though no case failed")
        flush_comments()
    }
}
