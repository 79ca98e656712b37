#include "units/zone-rule.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "units/base/scoped.h"
#include "units/civil.h"
#include "units/zone.h"

#define SECONDS_PER_DAY 86400

/* ---- reading ---- */

static int number(const char **at, int least, int most, int *ret_value) {
    int value = 0;
    if (!isdigit((unsigned char)**at))
        return -EINVAL;
    for (; isdigit((unsigned char)**at); (*at)++) {
        value = value * 10 + (**at - '0');
        if (value > most)
            return -EINVAL;
    }
    *ret_value = value;
    return value < least ? -EINVAL : 0;
}

static bool skip(const char **at, char expected) {
    bool found = **at == expected;
    *at += found;
    return found;
}

/* "CET", or anything of letters, digits and signs in angle brackets; three characters or more. */
static int abbreviation(const char **at) {
    bool quoted = skip(at, '<');
    const char *start = *at;
    while (isalpha((unsigned char)**at) ||
           (quoted && (isdigit((unsigned char)**at) || **at == '+' || **at == '-')))
        (*at)++;
    size_t length = (size_t)(*at - start);
    return length >= 3 && (!quoted || skip(at, '>')) ? 0 : -EINVAL;
}

/* "[+-]hh[:mm[:ss]]". An offset has at most 24 hours; a time of change 167 (RFC 8536, 3.3.1). */
static int clock_time(const char **at, int most_hours, int32_t *ret_seconds) {
    int parts[3] = {0};
    bool negative = skip(at, '-');
    if (!negative)
        skip(at, '+');
    for (size_t i = 0; i < ELEMENTS(parts); i++) {
        if (i > 0 && !skip(at, ':'))
            break;
        int error = number(at, 0, i == 0 ? most_hours : 59, &parts[i]);
        if (error)
            return error;
    }
    int32_t seconds = parts[0] * 3600 + parts[1] * 60 + parts[2];
    *ret_seconds = negative ? -seconds : seconds;
    return 0;
}

static int day_of_week(const char **at, struct zone_day *day) {
    int error = number(at, 1, 12, &day->month);
    if (!error)
        error = skip(at, '.') ? number(at, 1, 5, &day->week) : -EINVAL;
    if (!error)
        error = skip(at, '.') ? number(at, 0, 6, &day->day) : -EINVAL;
    return error;
}

/* ",DATE[/TIME]"; without a time it is two o'clock. */
static int change(const char **at, struct zone_day *day) {
    int error;
    if (!skip(at, ','))
        return -EINVAL;
    if (skip(at, 'M')) {
        day->form = ZONE_DAY_OF_WEEK;
        error = day_of_week(at, day);
    } else if (skip(at, 'J')) {
        day->form = ZONE_DAY_JULIAN;
        error = number(at, 1, 365, &day->day);
    } else {
        day->form = ZONE_DAY_OF_YEAR;
        error = number(at, 0, 365, &day->day);
    }
    day->seconds = 2 * 3600;
    return !error && skip(at, '/') ? clock_time(at, 167, &day->seconds) : error;
}

/* POSIX counts offsets westward. */
static int offset(const char **at, int32_t *ret_east) {
    int32_t west;
    int error = clock_time(at, 24, &west);
    if (!error)
        *ret_east = -west;
    return error;
}

int zone_rule_parse(const char *text, struct zone_rule *ret_rule) {
    struct zone_rule rule = {0};
    const char *at = text;
    int error = abbreviation(&at);
    if (!error)
        error = offset(&at, &rule.standard);
    if (!error && *at) {
        rule.has_daylight = true;
        rule.daylight = rule.standard + 3600;
        error = abbreviation(&at);
        if (!error && *at != ',')
            error = offset(&at, &rule.daylight);
        if (!error)
            error = change(&at, &rule.start);
        if (!error)
            error = change(&at, &rule.end);
        if (!error && *at)
            error = -EINVAL;
    }
    if (!error)
        *ret_rule = rule;
    return error;
}

/* ---- applying ---- */

/* The instant of a change in a year, where `before` is the offset until then. */
static int64_t change_instant(const struct zone_day *change, int64_t year, int32_t before) {
    int64_t days = civil_to_days((struct civil){year, 1, 1});
    switch (change->form) {
    case ZONE_DAY_JULIAN:
        days += change->day - 1;
        days += change->day >= 60 && civil_month_days(year, 2) == 29;
        break;
    case ZONE_DAY_OF_YEAR:
        days += change->day;
        break;
    case ZONE_DAY_OF_WEEK: {
        int64_t first = civil_to_days((struct civil){year, change->month, 1});
        int day = (change->day - civil_weekday(first) + 7) % 7 + (change->week - 1) * 7;
        if (day >= civil_month_days(year, change->month)) /* the fifth is the last */
            day -= 7;
        days = first + day;
        break;
    }
    }
    return days * SECONDS_PER_DAY + change->seconds - before;
}

struct zone_span zone_rule_span(const struct zone_rule *rule, int64_t when) {
    struct zone_span span = {INT64_MIN, INT64_MAX, rule->standard};
    if (!rule->has_daylight)
        return span;

    /* A change may lie a week off its year, by its time and the offset, and then both changes of a
     * year belong to its neighbour: hence two years each way. Of changes at one instant (daylight
     * saving all year: it ends where it starts anew) the later in this order counts. */
    int64_t year = civil_from_days(when / SECONDS_PER_DAY).year;
    for (int64_t y = year - 2; y <= year + 2; y++) {
        int64_t start = change_instant(&rule->start, y, rule->standard);
        int64_t end = change_instant(&rule->end, y, rule->daylight);
        bool start_first = start <= end;
        const struct zone_span changes[] = {
            {start_first ? start : end, 0, start_first ? rule->daylight : rule->standard},
            {start_first ? end : start, 0, start_first ? rule->standard : rule->daylight},
        };
        for (size_t i = 0; i < ELEMENTS(changes); i++) {
            if (changes[i].from <= when && changes[i].from >= span.from)
                span = (struct zone_span){changes[i].from, span.until, changes[i].offset};
            if (changes[i].from > when && changes[i].from < span.until)
                span.until = changes[i].from;
        }
    }
    return span;
}
