#include "units/calendar-list.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/number.h"

/* A value, or values from start to stop by step, in the unit of its part. Once settled the step is
 * 0 for a single value, and stop is one of the values. */
struct span {
    uint64_t start, stop, step;
    bool has_stop, has_step;
};

struct part {
    const char *name;
    unsigned least, most;
    uint64_t unit; /* what a span counts of one */
    int (*add)(struct calendar_reading *reading, const struct part *part, const char *list,
               struct span *span);
    size_t set; /* offset in struct calendar, for add_values */
};

/* ---- reading ---- */

/* Digits; where the unit is a microsecond also ".digits", rounded to 6. */
static int number(const char **at, uint64_t unit, uint64_t *ret_value) {
    uint64_t value = 0, place = unit / 10;
    if (!isdigit((unsigned char)**at))
        return -EINVAL;
    for (; isdigit((unsigned char)**at); (*at)++) {
        value = value * 10 + (uint64_t)(**at - '0');
        if (value > UINT32_MAX)
            return -ERANGE;
    }
    value *= unit;
    if (unit > 1 && (*at)[0] == '.' && isdigit((unsigned char)(*at)[1])) {
        (*at)++;
        for (; place > 0 && isdigit((unsigned char)**at); (*at)++, place /= 10)
            value += (uint64_t)(**at - '0') * place;
        value += **at >= '5' && **at <= '9'; /* the seventh */
        *at += strspn(*at, "0123456789");
    }
    *ret_value = value;
    return 0;
}

static int span_read(const char **at, uint64_t unit, struct span *ret_span) {
    struct span span = {0};
    int error = number(at, unit, &span.start);
    if (!error && strncmp(*at, "..", 2) == 0) {
        *at += 2;
        span.has_stop = true;
        error = number(at, unit, &span.stop);
    }
    if (!error && **at == '/') {
        (*at)++;
        span.has_step = true;
        error = number(at, unit, &span.step);
        if (!error && span.step == 0)
            error = -ERANGE;
    }
    if (!error)
        *ret_span = span;
    return error;
}

/* ---- complaints ---- */

static int complain_form(struct calendar_reading *reading, const struct part *part,
                         const char *list) {
    if (list[0] == '*' && list[1] == '/')
        return fault_say(reading->fault, -EINVAL,
                         "\"%s\": the %s \"%s\" has nothing to start from; write \"%u%s\"",
                         reading->text, part->name, list, part->least, list + 1);
    return fault_say(reading->fault, -EINVAL, "\"%s\": the %s \"%s\" is no number, range or list",
                     reading->text, part->name, list);
}

static int complain_range(struct calendar_reading *reading, const struct part *part,
                          const char *list) {
    return fault_say(reading->fault, -ERANGE,
                     "\"%s\": the %s \"%s\" is out of range: from %u to %u", reading->text,
                     part->name, list, part->least, part->most);
}

static int complain_step(struct calendar_reading *reading, const struct part *part,
                         const char *list) {
    return fault_say(reading->fault, -ERANGE,
                     "\"%s\": the %s \"%s\" has a step that leaves the range: from %u to %u",
                     reading->text, part->name, list, part->least, part->most);
}

/* ---- from spans to sets ---- */

/* Checks a span against its part, and settles stop and step. */
static int settle(struct calendar_reading *reading, const struct part *part, const char *list,
                  struct span *span) {
    uint64_t least = part->least * part->unit, most = (part->most + 1) * part->unit - 1;
    if (span->start < least || span->start > most || (span->has_stop && span->stop > most))
        return complain_range(reading, part, list);
    if (span->has_stop && span->stop < span->start)
        return fault_say(reading->fault, -ERANGE, "\"%s\": the %s \"%s\" runs backwards",
                         reading->text, part->name, list);
    if (!span->has_stop && span->has_step && span->step > most - span->start)
        return complain_step(reading, part, list);
    if (!span->has_stop)
        span->stop = span->has_step ? most : span->start;
    if (!span->has_step)
        span->step = part->unit;
    span->stop -= (span->stop - span->start) % span->step;
    if (span->stop == span->start)
        span->step = 0;
    return 0;
}

static size_t span_count(const struct span *span) {
    return span->step ? (size_t)((span->stop - span->start) / span->step) + 1 : 1;
}

static uint64_t span_bits(const struct span *span, uint64_t unit) {
    uint64_t bits = 0;
    for (size_t i = 0; i < span_count(span); i++)
        bits |= 1ULL << (span->start + i * span->step) / unit;
    return bits;
}

/* "12" is 2012 and "70" is 1970. */
static uint64_t full_year(uint64_t value) {
    return value < 70 ? value + 2000 : value < 100 ? value + 1900 : value;
}

static int add_years(struct calendar_reading *reading, const struct part *part, const char *list,
                     struct span *span) {
    span->start = full_year(span->start);
    if (span->has_stop)
        span->stop = full_year(span->stop);
    int error = settle(reading, part, list, span);
    for (size_t i = 0; !error && i < span_count(span); i++)
        calendar_add_year(&reading->calendar, (unsigned)(span->start + i * span->step));
    return error;
}

static int add_values(struct calendar_reading *reading, const struct part *part, const char *list,
                      struct span *span) {
    int error = settle(reading, part, list, span);
    if (!error)
        *(uint64_t *)((char *)&reading->calendar + part->set) |= span_bits(span, part->unit);
    return error;
}

/* A step without a range leads towards the end of the month: "~07/2" is the last day but 6, but 4,
 * but 2, the last. A range has its step from the smaller number on. */
static int add_days_from_end(struct calendar_reading *reading, const struct part *part,
                             const char *list, struct span *span) {
    if (span->has_step && !span->has_stop) {
        if (span->start < part->least || span->start > part->most)
            return complain_range(reading, part, list);
        if (span->step >= span->start)
            return complain_step(reading, part, list);
        span->stop = span->start;
        span->start = (span->start - 1) % span->step + 1;
        span->has_stop = true;
    }
    return add_values(reading, part, list, span);
}

static bool is_before(const struct calendar_fraction *a, const struct calendar_fraction *b) {
    return a->start != b->start ? a->start < b->start
           : a->stop != b->stop ? a->stop < b->stop
                                : a->step < b->step;
}

/* In order, and each once. */
static int add_fraction(struct calendar_reading *reading, struct calendar_fraction new) {
    struct calendar *calendar = &reading->calendar;
    size_t place = 0;
    while (place < calendar->fraction_count && is_before(&calendar->fractions[place], &new))
        place++;
    if (place < calendar->fraction_count && !is_before(&new, &calendar->fractions[place]))
        return 0;
    if (calendar->fraction_count == CALENDAR_FRACTIONS)
        return fault_say(reading->fault, -ERANGE, "\"%s\" has more than %d seconds with a fraction",
                         reading->text, CALENDAR_FRACTIONS);
    memmove(&calendar->fractions[place + 1], &calendar->fractions[place],
            (calendar->fraction_count - place) * sizeof new);
    calendar->fractions[place] = new;
    calendar->fraction_count++;
    return 0;
}

static int add_seconds(struct calendar_reading *reading, const struct part *part, const char *list,
                       struct span *span) {
    int error = settle(reading, part, list, span);
    if (error)
        return error;
    if (span->start % USEC_PER_SEC || span->step % USEC_PER_SEC)
        return add_fraction(reading,
                            (struct calendar_fraction){(uint32_t)span->start, (uint32_t)span->stop,
                                                       (uint32_t)span->step});
    reading->calendar.seconds |= span_bits(span, part->unit);
    return 0;
}

/* ---- lists ---- */

#define SET(member) add_values, offsetof(struct calendar, member)

static const struct part parts[] = {
    [CALENDAR_YEAR] = {"year", CALENDAR_FIRST_YEAR, CALENDAR_LAST_YEAR, 1, add_years, 0},
    [CALENDAR_MONTH] = {"month", 1, 12, 1, SET(months)},
    [CALENDAR_DAY] = {"day", 1, 31, 1, SET(days)},
    /* Only days that every month has. */
    [CALENDAR_DAY_FROM_END] = {"day from the end of the month", 1, 28, 1, add_days_from_end,
                               offsetof(struct calendar, days)},
    [CALENDAR_HOUR] = {"hour", 0, 23, 1, SET(hours)},
    [CALENDAR_MINUTE] = {"minute", 0, 59, 1, SET(minutes)},
    [CALENDAR_SECOND] = {"second", 0, 59, USEC_PER_SEC, add_seconds, 0},
};
static_assert(ELEMENTS(parts) == CALENDAR_SECOND + 1, "a row for each part");

int calendar_list_read(struct calendar_reading *reading, enum calendar_part number_of_part,
                       const char *list) {
    const struct part *part = &parts[number_of_part];
    if (strcmp(list, "*") == 0) {
        /* All days, from wherever they are counted. */
        if (number_of_part == CALENDAR_DAY_FROM_END)
            part = &parts[CALENDAR_DAY];
        struct span all = {
            .start = part->least * part->unit, .stop = part->most * part->unit, .has_stop = true};
        return part->add(reading, part, list, &all);
    }
    if (number_of_part == CALENDAR_DAY_FROM_END)
        reading->calendar.days_from_end = true;

    const char *at = list;
    for (;;) {
        struct span span;
        int error = span_read(&at, part->unit, &span);
        if (error == -ERANGE)
            return complain_range(reading, part, list);
        if (error || (*at && *at != ','))
            return complain_form(reading, part, list);
        error = part->add(reading, part, list, &span);
        if (error)
            return error;
        if (*at == '\0')
            return 0;
        at++;
    }
}
