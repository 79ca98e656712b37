#include "units/calendar.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/civil.h"

#define SECOND ((int64_t)USEC_PER_SEC)
#define DAY (86400 * SECOND)
#define CORRECTION (3 * 3600) /* seconds; cron(8): larger changes are corrections of the clock */

void calendar_start(struct calendar *ret_calendar) {
    *ret_calendar = (struct calendar){.zone = NULL};
    for (unsigned year = CALENDAR_FIRST_YEAR; year <= CALENDAR_LAST_YEAR; year++)
        calendar_add_year(ret_calendar, year);
}

int calendar_set_zone(struct calendar *calendar, const char *name, struct fault *fault) {
    if (strcasecmp(name, "UTC") == 0)
        name = "UTC";
    int error = zone_name_check(name, fault);
    if (!error)
        memcpy(calendar->zone_name, name, strlen(name) + 1);
    return error;
}

int calendar_open_zone(struct calendar *calendar, struct fault *fault) {
    struct zone *zone = NULL;
    int error =
        strcmp(calendar->zone_name, "UTC") == 0 ? 0 : zone_open(calendar->zone_name, &zone, fault);
    if (error)
        return error;
    calendar_clear(calendar);
    calendar->zone = zone;
    return 0;
}

void calendar_clear(struct calendar *calendar) {
    zone_free(calendar->zone);
    calendar->zone = NULL;
}

/* ---- on the clock's face: microseconds since 1970 as the wall clock counts them ---- */

static int64_t floor_divide(int64_t value, int64_t by) {
    return value / by - (value % by < 0);
}

static bool has(uint64_t set, int value) {
    return set >> value & 1;
}

/* The first moment of a minute that matches, from `from` on. Microseconds. */
static bool second_next(const struct calendar *calendar, int64_t from, int64_t *ret) {
    int64_t best = 60 * SECOND;
    for (int second = (int)((from + SECOND - 1) / SECOND); second < 60; second++)
        if (has(calendar->seconds, second)) {
            best = second * SECOND;
            break;
        }
    for (size_t i = 0; i < calendar->fraction_count; i++) {
        const struct calendar_fraction *fraction = &calendar->fractions[i];
        int64_t found = fraction->start;
        if (found < from && fraction->step > 0)
            found += (from - found + fraction->step - 1) / fraction->step * fraction->step;
        if (found >= from && found <= fraction->stop && found < best)
            best = found;
    }
    *ret = best;
    return best < 60 * SECOND;
}

/* The same of a day. */
static bool time_next(const struct calendar *calendar, int64_t from, int64_t *ret) {
    int first_minute = (int)(from / (60 * SECOND));
    for (int minute = first_minute; minute < 24 * 60; minute++) {
        int64_t second, start = minute * 60 * SECOND;
        if (!has(calendar->hours, minute / 60)) {
            minute += 59 - minute % 60;
            continue;
        }
        if (has(calendar->minutes, minute % 60) &&
            second_next(calendar, minute == first_minute ? from - start : 0, &second)) {
            *ret = start + second;
            return true;
        }
    }
    return false;
}

static bool day_matches(const struct calendar *calendar, const struct civil *date, int64_t days) {
    int day = calendar->days_from_end ? civil_month_days(date->year, date->month) - date->day + 1
                                      : date->day;
    bool by_day = has(calendar->days, day);
    bool by_weekday = has(calendar->weekdays, civil_weekday(days));
    return calendar->either ? by_day || by_weekday : by_day && by_weekday;
}

/* The first matching time in [from, until). Steps by years and months where it can. */
static bool wall_next(const struct calendar *calendar, int64_t from, int64_t until, int64_t *ret) {
    int64_t days = floor_divide(from, DAY);
    int64_t time = from - days * DAY;
    struct civil date = civil_from_days(days);

    while (date.year <= CALENDAR_LAST_YEAR) {
        days = civil_to_days(date);
        if (days * DAY + time >= until)
            return false;
        if (!calendar_has_year(calendar, date.year)) {
            date = (struct civil){date.year + 1, 1, 1};
        } else if (!has(calendar->months, date.month)) {
            date = date.month == 12 ? (struct civil){date.year + 1, 1, 1}
                                    : (struct civil){date.year, date.month + 1, 1};
        } else {
            if (day_matches(calendar, &date, days) && time_next(calendar, time, &time)) {
                *ret = days * DAY + time;
                return *ret < until;
            }
            date = civil_from_days(days + 1);
        }
        time = 0;
    }
    return false;
}

/* ---- in time ---- */

/* Whether it is about the time that passes, not about a time of day. */
static bool is_frequent(const struct calendar *calendar) {
    return calendar->cron && calendar->hours == calendar_all(0, 23);
}

/* The first match in a stretch of one offset, from `from` on, which lies in it; `before` is the
 * offset of the stretch that it follows. */
static bool stretch_next(const struct calendar *calendar, const struct zone_span *span,
                         int32_t before, int64_t from, int64_t *ret) {
    int64_t offset = span->offset * SECOND, jump = span->offset - before;
    bool moved = jump != 0 && span->from != INT64_MIN;
    int64_t start = moved ? span->from * SECOND : 0, wall = from + offset, found;

    if (moved && jump > 0 && jump < CORRECTION && calendar->cron && !is_frequent(calendar) &&
        from == start && wall_next(calendar, start + before * SECOND, start + offset, &found)) {
        *ret = start;
        return true;
    }
    bool again = is_frequent(calendar) || (calendar->cron && jump <= -CORRECTION);
    if (moved && jump < 0 && !again && wall < start + before * SECOND)
        wall = start + before * SECOND;
    int64_t until = span->until == INT64_MAX ? INT64_MAX : span->until * SECOND + offset;
    if (wall >= until || !wall_next(calendar, wall, until, &found))
        return false;
    *ret = found - offset;
    return true;
}

int calendar_next(const struct calendar *calendar, uint64_t after_usec, uint64_t *ret_usec) {
    const int64_t end = (civil_to_days((struct civil){CALENDAR_LAST_YEAR + 1, 1, 1}) + 2) * DAY;
    if (after_usec >= (uint64_t)end)
        return -ENOENT;
    if (!calendar->zone && strcmp(calendar->zone_name, "UTC") != 0)
        return -ENODATA;

    int64_t from = (int64_t)after_usec + 1, found;
    struct zone_span span = {INT64_MIN, INT64_MAX, 0};
    if (calendar->zone)
        span = zone_span(calendar->zone, from / SECOND);
    int32_t before =
        span.from == INT64_MIN ? span.offset : zone_span(calendar->zone, span.from - 1).offset;
    while (from < end) {
        if (stretch_next(calendar, &span, before, from, &found)) {
            *ret_usec = (uint64_t)found;
            return 0;
        }
        if (span.until == INT64_MAX || span.until >= end / SECOND)
            break;
        before = span.offset;
        from = span.until * SECOND;
        span = zone_span(calendar->zone, span.until);
    }
    return -ENOENT;
}
