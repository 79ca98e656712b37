/* Random calendar expressions in many zones, compared with what `systemd-analyze calendar` says of
 * them: the instants that follow a moment, and that our printed form means the same to systemd.
 *
 * RINGFENCE_SOAK is the number of expressions (60), RINGFENCE_SEED where to start (1): the seed of
 * a difference is printed and shows it again with RINGFENCE_SOAK=1. */

#include <stdint.h>

#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/base/text.h"
#include "units/calendar.h"
#include "units/civil.h"

#define ITERATIONS 5
#define LINE_SIZE 512

/* ---- chance ---- */

/* Numerical Recipes' generator, the upper bits of it. */
static unsigned draw(uint64_t *seed, unsigned below) {
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)((*seed >> 33) % below);
}

/* Left out is what systemd 252 gets wrong: "3/15" of hours makes it leap from 21:00 over the next
 * day's 3:00, for it goes on counting to hour 33. Such steps stand in ranges only, or they are
 * `even`, a divisor of the next larger unit; and "5..5" of seconds is refused. */
static void add_list(struct text *text, uint64_t *seed, unsigned least, unsigned most,
                     unsigned even) {
    unsigned items = 1 + draw(seed, 3);
    if (draw(seed, 3) == 0) {
        text_add(text, "*");
        return;
    }
    for (unsigned i = 0; i < items; i++) {
        unsigned first = least + draw(seed, most - least + 1), left = most - first;
        text_format(text, "%s%02u", i ? "," : "", first);
        if (left > 0 && draw(seed, 2)) {
            unsigned more = 1 + draw(seed, left);
            text_format(text, "..%u", first + more);
            if (more > 1 && draw(seed, 2))
                text_format(text, "/%u", 1 + draw(seed, more));
        } else if (left > even && even && draw(seed, 2)) {
            text_format(text, "/%u", even);
        }
    }
}

static void add_weekdays(struct text *text, uint64_t *seed) {
    static const char *const words[] = {"Mon", "tuesday", "WED", "Thu", "Friday", "sat", "Sun"};
    unsigned first = draw(seed, 7), last = first + draw(seed, 7 - first);
    if (draw(seed, 2))
        text_format(text, "%s..%s ", words[first], words[last]);
    else
        text_format(text, "%s,%s ", words[first], words[draw(seed, 7)]);
}

static const char *const zones[] = {
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Chatham",
    "Asia/Tokyo",
    "America/Santiago",
    "Europe/Dublin",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Asia/Tehran",
    "Pacific/Apia",
};

static void add_expression(struct text *text, uint64_t *seed) {
    if (draw(seed, 3) == 0)
        add_weekdays(text, seed);
    if (draw(seed, 4) != 0) {
        if (draw(seed, 3) == 0)
            add_list(text, seed, 2020, 2040, 0);
        else
            text_add(text, "*");
        text_add(text, "-");
        add_list(text, seed, 1, 12, 3);
        if (draw(seed, 4) == 0) {
            text_format(text, "~%u", 1 + draw(seed, 28));
        } else {
            text_add(text, "-");
            add_list(text, seed, 1, 31, 0);
        }
        text_add(text, " ");
    }
    add_list(text, seed, 0, 23, 4);
    text_add(text, ":");
    add_list(text, seed, 0, 59, 12);
    if (draw(seed, 3) == 0) {
        text_add(text, ":");
        add_list(text, seed, 0, 59, 12);
    }
}

/* ---- two answers ---- */

static void print_instant(struct text *text, uint64_t usec) {
    uint64_t seconds = usec / USEC_PER_SEC;
    struct civil date = civil_from_days((int64_t)(seconds / 86400));
    text_format(text, "%04d-%02d-%02d %02d:%02d:%02d", (int)date.year, date.month, date.day,
                (int)(seconds % 86400 / 3600), (int)(seconds % 3600 / 60), (int)(seconds % 60));
}

static void ask_calendar(const struct calendar *calendar, uint64_t after, struct text *answer) {
    uint64_t next;
    int count = 0;
    for (; count < ITERATIONS && calendar_next(calendar, after, &next) == 0; count++) {
        print_instant(answer, next);
        text_add(answer, "\n");
        after = next;
    }
    if (count == 0)
        text_add(answer, "never\n");
}

/* False where it gives up, as version 252 does with EDEADLK around some changes of the clock. Its
 * lines are "Next elapse: Sat 2025-03-29 01:00:00 UTC", "Iter. #2: ..." or "never". */
static bool ask_systemd(const char *expression, uint64_t after, struct text *answer) {
    bool knows = true;
    scoped_text struct text command = {0};
    char line[LINE_SIZE];
    text_format(&command, "TZ=UTC systemd-analyze calendar --iterations=%d --base-time='",
                ITERATIONS);
    print_instant(&command, after);
    text_format(&command, " UTC' '%s' 2>&1", expression);
    FILE *output = popen(command.data, "r");
    CHECK(output);
    while (fgets(line, sizeof line, output)) {
        if (strstr(line, "Failed to determine next elapse"))
            knows = false;
        const char *label = strstr(line, "Next elapse: ");
        if (!label)
            label = strstr(line, "Iter. #");
        const char *at = label ? strstr(label, ": ") : NULL;
        if (!at)
            continue;
        at += 2;
        char *date = strchr(at, ' '); /* after the weekday */
        char *zone = date ? strstr(date, " UTC") : NULL;
        if (strncmp(at, "never", 5) == 0) {
            text_add(answer, "never\n");
        } else if (zone) {
            *zone = '\0';
            text_format(answer, "%s\n", date + 1);
        }
    }
    pclose(output);
    return knows;
}

/* ---- the comparison ---- */

/* A moment of 2024 to 2038, every other time shortly before the zone's clocks change: that is where
 * mistakes live. The doubled hour of autumn is no good moment: systemd takes the second for the
 * first there, and goes back in time. */
static uint64_t choose_moment(const struct zone *zone, uint64_t *seed) {
    int64_t when = 1704067200 + (int64_t)draw(seed, 441763200);
    if (zone && draw(seed, 2)) {
        struct zone_span span = zone_span(zone, when);
        if (span.until != INT64_MAX)
            when = span.until - 1 - draw(seed, 2 * 86400);
    }
    if (zone) {
        struct zone_span span = zone_span(zone, when);
        if (span.from > 0 && when - span.from < 4 * 3600)
            when = span.from + 4 * 3600;
    }
    return (uint64_t)when * USEC_PER_SEC;
}

/* Whether systemd had an answer; one that differs ends the test. */
static bool compare(const char *asked, const char *expression, uint64_t moment, const char *have,
                    uint64_t seed) {
    scoped_text struct text want = {0};
    if (!ask_systemd(asked, moment, &want))
        return false;
    if (!want.data || strcmp(have, want.data) != 0) {
        scoped_text struct text after = {0};
        print_instant(&after, moment);
        printf("# \"%s\" (from \"%s\") after %s; RINGFENCE_SEED=%llu\n# have: %s\n# want: %s\n",
               asked, expression, after.data, (unsigned long long)seed, have,
               want.data ? want.data : "(nothing)");
        exit(1);
    }
    return true;
}

static bool compare_one(uint64_t number) {
    uint64_t seed = number * 2654435761u;
    scoped_text struct text expression = {0}, printed = {0}, have = {0};
    struct calendar calendar;
    struct fault fault = {""};
    const char *zone = zones[draw(&seed, ELEMENTS(zones))];
    add_expression(&expression, &seed);
    text_format(&expression, " %s", zone);

    if (calendar_parse(expression.data, &calendar, &fault) < 0 ||
        calendar_open_zone(&calendar, &fault) < 0)
        printf("# %s (RINGFENCE_SEED=%llu)\n", fault.text, (unsigned long long)number);
    CHECK(fault.text[0] == '\0');
    uint64_t moment = choose_moment(calendar.zone, &seed);
    ask_calendar(&calendar, moment, &have);
    calendar_print(&calendar, &printed);
    calendar_clear(&calendar);
    return compare(expression.data, expression.data, moment, have.data, number) &&
           compare(printed.data, expression.data, moment, have.data, number);
}

static uint64_t from_environment(const char *name, uint64_t fallback) {
    const char *text = getenv(name);
    uint64_t value = fallback;
    CHECK(!text || number_parse(text, &value) == 0);
    return value;
}

TEST(as_systemd_says) {
    if (system("systemd-analyze calendar --base-time='2024-01-01 00:00:00 UTC' --iterations=2 "
               "daily >/dev/null 2>&1") != 0)
        SKIP("there is no systemd-analyze that knows --base-time");
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
        SKIP("there is no time zone database in /usr/share/zoneinfo");
    uint64_t first = from_environment("RINGFENCE_SEED", 1);
    uint64_t count = from_environment("RINGFENCE_SOAK", 60);
    uint64_t compared = 0;
    for (uint64_t i = 0; i < count; i++)
        compared += compare_one(first + i);
    printf("# %llu of %llu compared\n", (unsigned long long)compared, (unsigned long long)count);
    CHECK(compared >= count - count / 20);
}

TEST_MAIN
