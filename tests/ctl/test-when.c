/* Points in time as people write them. */

#include <stdlib.h>
#include <time.h>

#include "supervisor/ctl/when.h"
#include "tests/test.h"
#include "units/base/scoped.h"

/* 2026-11-21 12:00:00.5 UTC, which is 13:00 in a zone that has no summer time. */
static const uint64_t now = 1795262400500000;
#define SECOND 1000000ULL
#define NOON (now - 500000)

static const struct {
    const char *text;
    uint64_t usec;
} times[] = {
    {"now", now},
    {"90", now - 90 * SECOND},
    {"10min", now - 600 * SECOND},
    {"10m", now - 600 * SECOND},
    {"1h30m", now - 5400 * SECOND},
    {"1h30min", now - 5400 * SECOND},
    {"-90s", now - 90 * SECOND},
    {"2 hours ago", now - 7200 * SECOND},
    {"2h ago", now - 7200 * SECOND},
    {"1 day 1 hour ago", now - 90000 * SECOND},
    {"3 weeks ago", now - 21 * 86400 * SECOND},
    {"250ms", now - 250000},
    {"+5min", now + 300 * SECOND},
    {"99999 weeks ago", 0},
    {"@1795262400", NOON},
    {"@1795262400.25", NOON + 250000},
    {"1795262400", NOON},
    {"@5", 5 * SECOND},
    {"2026-11-21T12:00:00Z", NOON},
    {"2026-11-21T12:00:00.5Z", now},
    {"2026-11-21T12:00:00.123456789Z", NOON + 123456},
    {"2026-11-21t12:00:00+00:00", NOON},
    {"2026-11-21T14:00:00+02:00", NOON},
    {"2026-11-21T08:30:00-0330", NOON},
    {"2026-11-21 12:00:00 UTC", NOON},
    {"2026-11-21 13:00:00", NOON}, /* local from here on */
    {"2026-11-21 13:00", NOON},
    {"2026-11-21T13:00", NOON},
    {"2026-11-21", NOON - 13 * 3600 * SECOND},
    {"13:00:01", NOON + SECOND},
    {"12:59", NOON - 60 * SECOND},
    {"today", NOON - 13 * 3600 * SECOND},
    {"yesterday", NOON - 37 * 3600 * SECOND},
    {"tomorrow", NOON + 11 * 3600 * SECOND},
};

TEST(times_are_understood) {
    setenv("TZ", "XYZ-1", 1);
    tzset();
    for (size_t i = 0; i < ELEMENTS(times); i++) {
        uint64_t usec = 0;
        printf("# %s\n", times[i].text);
        CHECK(when_parse(times[i].text, now, &usec) == 0);
        CHECK(usec == times[i].usec);
    }
}

TEST(what_is_no_time) {
    static const char *const texts[] = {
        "",
        "x",
        "ago",
        "-",
        "10 x",
        "10min x",
        "10min ago x",
        "1h 30",
        "+",
        "+5min ago",
        "99999999999999999999",
        "@",
        "@1x",
        "@1.",
        "2026-13-01",
        "2026-02-30",
        "2026-02-30T00:00:00Z",
        "2026-11-21T",
        "2026-11-21x",
        "2026-11-21T24:00:00Z",
        "2026-11-21T12:00:00+",
        "2026-11-21T12:00:00+1",
        "2026-11-21T12:00:00Zx",
        "2026-1-1",
        "1969-12-31T00:00:00Z",
        "25:00",
        "12:60",
        "today ",
    };
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        uint64_t usec = 7;
        printf("# \"%s\"\n", texts[i]);
        CHECK(when_parse(texts[i], now, &usec) < 0);
        CHECK(usec == 7);
    }
}

TEST_MAIN
