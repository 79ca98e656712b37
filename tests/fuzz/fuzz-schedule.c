/* Any bytes as a schedule: what parses has a value in each field and none out of range, is written
 * so that it means the same when it is read again, and comes next at an instant that lies after the
 * one asked for, with nothing between them. Its zone is always the same, so that no file is read.
 */

#include <stdlib.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/text.h"
#include "units/calendar.h"
#include "units/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_set(uint64_t set, unsigned least, unsigned most) {
    if (set == 0 || set & ~calendar_all(least, most))
        abort();
}

static void check_fields(const struct calendar *calendar) {
    uint64_t years = 0;
    for (size_t i = 0; i < ELEMENTS(calendar->years); i++)
        years |= calendar->years[i];
    check_set(calendar->minutes, 0, 59);
    check_set(calendar->hours, 0, 23);
    check_set(calendar->days, 1, calendar->days_from_end ? 28 : 31);
    check_set(calendar->months, 1, 12);
    check_set(calendar->weekdays, 0, 6);
    if (!years || (calendar->seconds == 0) > (calendar->fraction_count > 0) ||
        calendar->fraction_count > CALENDAR_FRACTIONS || (calendar->either && !calendar->cron))
        abort();
    for (size_t i = 0; i < calendar->fraction_count; i++)
        if (calendar->fractions[i].start > calendar->fractions[i].stop ||
            calendar->fractions[i].stop >= 60 * USEC_PER_SEC)
            abort();
}

static bool is_same(const struct calendar *a, const struct calendar *b) {
    return memcmp(a->years, b->years, sizeof a->years) == 0 && a->seconds == b->seconds &&
           a->minutes == b->minutes && a->hours == b->hours && a->days == b->days &&
           a->months == b->months && a->weekdays == b->weekdays &&
           a->fraction_count == b->fraction_count &&
           memcmp(a->fractions, b->fractions, a->fraction_count * sizeof a->fractions[0]) == 0 &&
           a->days_from_end == b->days_from_end && a->cron == b->cron && a->either == b->either &&
           strcmp(a->zone_name, b->zone_name) == 0;
}

static void check_print(const struct calendar *calendar) {
    scoped_text struct text text = {0};
    struct calendar again;
    calendar_print(calendar, &text);
    if (text.failed || !text.data)
        abort();
    /* What a person wrote in few letters may take more of them in its usual form. */
    if (text.length <= CALENDAR_TEXT_MOST &&
        (schedule_parse(text.data, &again, NULL) < 0 || !is_same(calendar, &again)))
        abort();
}

static void check_next(const struct calendar *calendar, uint64_t after) {
    uint64_t next, same;
    for (int i = 0; i < 3 && calendar_next(calendar, after, &next) == 0; i++) {
        if (next <= after || calendar_next(calendar, next - 1, &same) < 0 || same != next ||
            calendar_next(calendar, after + (next - after) / 2, &same) < 0 || same != next)
            abort();
        after = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint64_t moments[] = {
        0,          /* 1970 */
        951778800,  /* 2000-02-28 23:00 */
        1743292799, /* an hour before the spring of Berlin in 2025 */
        1761434400, /* 2025-10-25 23:20, before its autumn */
        4107542400, /* 2100-03-01 */
        7258118399, /* the last second of 2199 */
    };
    scoped_free char *string = strndup((const char *)data, size);
    struct calendar calendar;
    struct fault fault = {""};
    if (!string)
        abort();
    if (schedule_parse(string, &calendar, &fault) < 0) {
        if (!fault.text[0])
            abort();
        return 0;
    }
    check_fields(&calendar);
    check_print(&calendar);
    if (zone_from_rule("CET-1CEST,M3.5.0,M10.5.0/3", &calendar.zone, &fault) < 0)
        abort();
    for (size_t i = 0; i < ELEMENTS(moments); i++)
        check_next(&calendar, moments[i] * USEC_PER_SEC);
    calendar_clear(&calendar);
    return 0;
}
