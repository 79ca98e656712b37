#include "units/schedule.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

struct field {
    const char *name;
    unsigned least, most;
    const char *const *words; /* three letters each, for least, least + 1, ... */
    size_t word_count;
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                     "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/* 7 is Sunday too. */
static const struct field fields[] = {
    {"minute", 0, 59, NULL, 0},
    {"hour", 0, 23, NULL, 0},
    {"day of the month", 1, 31, NULL, 0},
    {"month", 1, 12, months, ELEMENTS(months)},
    {"day of the week", 0, 7, weekdays, ELEMENTS(weekdays)},
};

static int number(const struct field *field, const char **at, unsigned *ret_value) {
    for (size_t i = 0; i < field->word_count; i++)
        if (strncasecmp(*at, field->words[i], 3) == 0) {
            *at += 3;
            *ret_value = field->least + (unsigned)i;
            return 0;
        }
    if (!isdigit((unsigned char)**at))
        return -EINVAL;
    unsigned value = 0;
    for (; isdigit((unsigned char)**at); (*at)++) {
        value = value * 10 + (unsigned)(**at - '0');
        if (value > 99)
            return -ERANGE;
    }
    *ret_value = value;
    return 0;
}

/* "*", "5", "1-5", each perhaps "/step". */
static int span(const struct field *field, const char **at, uint64_t *set) {
    unsigned first, last, step = 1;
    int error;
    bool single = false;

    if (**at == '*') {
        first = field->least;
        last = field->most;
        (*at)++;
    } else {
        error = number(field, at, &first);
        if (error)
            return error;
        last = first;
        single = **at != '-';
        if (!single) {
            (*at)++;
            error = number(field, at, &last);
            if (error)
                return error;
        }
    }
    if (first < field->least || last > field->most || first > last)
        return -ERANGE;
    if (**at == '/') {
        (*at)++;
        static const struct field steps = {.name = "step"};
        error = number(&steps, at, &step);
        if (error)
            return error;
        if (step == 0 || step > field->most)
            return -ERANGE;
        if (single)
            last = field->most;
    }
    for (unsigned value = first; value <= last; value += step)
        *set |= 1ULL << value;
    return 0;
}

static int field_parse(const struct field *field, const char **at, uint64_t *set) {
    for (;;) {
        int error = span(field, at, set);
        if (error)
            return error;
        if (**at != ',')
            return **at == '\0' || isblank((unsigned char)**at) ? 0 : -EINVAL;
        (*at)++;
    }
}

int schedule_parse(const char *text, struct schedule *ret_schedule, struct fault *fault) {
    uint64_t sets[ELEMENTS(fields)] = {0};
    const char *at = text;

    for (size_t i = 0; i < ELEMENTS(fields); i++) {
        at += strspn(at, " \t");
        if (*at == '\0')
            return fault_say(fault, -EINVAL, "\"%s\" has %zu fields of 5; write \"0 3 * * *\"",
                             text, i);
        int error = field_parse(&fields[i], &at, &sets[i]);
        if (error == -ERANGE)
            return fault_say(fault, error, "\"%s\": the %s is out of range: from %u to %u", text,
                             fields[i].name, fields[i].least, fields[i].most);
        if (error)
            return fault_say(fault, error, "\"%s\": the %s is no number, range or list", text,
                             fields[i].name);
    }
    at += strspn(at, " \t");
    if (*at)
        return fault_say(fault, -EINVAL, "\"%s\" has more than 5 fields", text);
    if (sets[4] >> 7 & 1)
        sets[4] = (sets[4] | 1) & 0x7f;
    *ret_schedule = (struct schedule){sets[0], sets[1], sets[2], sets[3], sets[4]};
    return 0;
}

int schedule_check(const char *text, struct fault *fault) {
    static const char *const shorthands[] = {"minutely",  "hourly",   "daily",
                                             "weekly",    "monthly",  "yearly",
                                             "quarterly", "annually", "semiannually"};
    struct schedule schedule;
    for (size_t i = 0; i < ELEMENTS(shorthands); i++)
        if (strcmp(text, shorthands[i]) == 0)
            return 0;
    /* A calendar expression has a time or a date in it: "Mon *-*-1 03:00". */
    if (strchr(text, ':') || strstr(text, "*-")) {
        if (strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "*:,./~ _+-") == strlen(text))
            return 0;
        return fault_say(fault, -EINVAL, "\"%s\" is no calendar expression; see systemd.time(7)",
                         text);
    }
    return schedule_parse(text, &schedule, fault);
}
