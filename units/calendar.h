#pragma once
/* Calendar expressions, of systemd.time(7) and of crontab(5), as sets of values of a clock, and the
 * next instant that is in all of them. Pure but for the zone. Timers run them; schedule.h reads
 * either form.
 *
 * Daylight saving. A wall-clock time that comes twice in autumn counts once, the first time; one
 * that is left out in spring is skipped. A schedule of cron differs where crontab's manual does:
 * what would have come in the hour left out comes at its end, once, and a schedule for every hour
 * goes on by the time that passes, through both of the doubled hours. That manual holds changes of
 * three hours or more to be corrections of the clock, which move nothing and repeat what they
 * repeat. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units/base/scoped.h"
#include "units/zone.h"

struct fault;
struct text;

#define CALENDAR_FIRST_YEAR 1970
#define CALENDAR_LAST_YEAR 2199 /* nothing ever comes after it */
#define CALENDAR_TEXT_MOST 255  /* letters of an expression */
#define CALENDAR_FRACTIONS 16

/* start, start + step, ... up to stop; microseconds within a minute. A step of 0: start alone. */
struct calendar_fraction {
    uint32_t start, stop, step;
};

struct calendar {
    uint64_t years[4];                                        /* bit 0 of the first is 1970 */
    uint64_t seconds, minutes, hours, days, months, weekdays; /* 0-59 0-59 0-23 1-31 1-12 0-6 */
    struct calendar_fraction fractions[CALENDAR_FRACTIONS]; /* sorted; what `seconds` cannot say */
    size_t fraction_count;
    bool days_from_end;             /* 1 is the last day of the month */
    bool cron;                      /* with cron's notion of daylight saving */
    bool either;                    /* cron: the day or the weekday, not both */
    char zone_name[ZONE_NAME_SIZE]; /* "UTC", a name of the database, "" for the local zone */
    struct zone *zone;              /* NULL until opened, and for UTC */
};

/* An expression of systemd.time(7), without opening its zone. Refused but known to systemd: the
 * local zone by an abbreviation ("CEST"), for then the machine decides what the words mean. -EINVAL
 * or -ERANGE with a sentence; ret_calendar has nothing to be cleared before its zone is opened. */
int calendar_parse(const char *text, struct calendar *ret_calendar, struct fault *fault);

/* The shortest usual form, which parses to the same calendar: one text for all that mean the same.
 * Five fields for what came from cron. */
void calendar_print(const struct calendar *calendar, struct text *text);

/* Reads the zone, as zone_open does, in the place of the one that may be open. */
int calendar_open_zone(struct calendar *calendar, struct fault *fault);
void calendar_clear(struct calendar *calendar);

/* The first instant strictly after another, both microseconds since 1970 UTC. -ENOENT where none
 * comes until 2199 (2020-*-*, *-02-30), after at most a step for each day until then; -ENODATA
 * where the zone has not been opened. */
int calendar_next(const struct calendar *calendar, uint64_t after_usec, uint64_t *ret_usec);

/* ---- for who fills a calendar in ---- */

static inline bool calendar_has_year(const struct calendar *calendar, int64_t year) {
    uint64_t bit = (uint64_t)(year - CALENDAR_FIRST_YEAR);
    return bit < 256 && (calendar->years[bit / 64] >> bit % 64 & 1);
}

static inline void calendar_add_year(struct calendar *calendar, unsigned year) {
    unsigned bit = year - CALENDAR_FIRST_YEAR;
    calendar->years[bit / 64] |= 1ULL << bit % 64;
}

/* The whole of a set: bits least to most. */
static inline uint64_t calendar_all(unsigned least, unsigned most) {
    return (~0ULL >> (63 - most)) & (~0ULL << least);
}

/* All years, UTC not assumed, nothing else. */
void calendar_start(struct calendar *ret_calendar);
/* Takes a zone as a word of an expression: its name, or "UTC" in any case. -EINVAL. */
int calendar_set_zone(struct calendar *calendar, const char *name, struct fault *fault);
