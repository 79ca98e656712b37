#include "units/schedule.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/calendar.h"

/* ---- crontab(5) ---- */

struct field {
    const char *name;
    unsigned least, most;
    const char *const *words; /* three letters each, for least, least + 1, ... */
    size_t word_count;
};

enum { MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS, FIELD_COUNT };

static const char *const month_words[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_words[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/* 7 is Sunday too. */
static const struct field fields[FIELD_COUNT] = {
    {"minute", 0, 59, NULL, 0},
    {"hour", 0, 23, NULL, 0},
    {"day of the month", 1, 31, NULL, 0},
    {"month", 1, 12, month_words, ELEMENTS(month_words)},
    {"day of the week", 0, 7, weekday_words, ELEMENTS(weekday_words)},
};

/* What a field of a schedule may be refused for, beside -EINVAL and -ERANGE. */
#define BACKWARDS (-EDOM)

static int value_read(const struct field *field, const char **at, unsigned *ret_value) {
    for (size_t i = 0; i < field->word_count; i++)
        if (strncasecmp(*at, field->words[i], 3) == 0 && !isalpha((unsigned char)(*at)[3])) {
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

/* "5", "1-5", "fri-sun". */
static int ends_read(const struct field *field, const char **at, unsigned *ret_first,
                     unsigned *ret_last) {
    int error = value_read(field, at, ret_first);
    if (error)
        return error;
    *ret_last = *ret_first;
    if (**at == '-') {
        (*at)++;
        error = value_read(field, at, ret_last);
        if (error)
            return error;
        if (field == &fields[WEEKDAYS] && *ret_last == 0 && *ret_first > 0)
            *ret_last = 7;
    }
    if (*ret_first < field->least || *ret_first > field->most || *ret_last > field->most)
        return -ERANGE;
    return *ret_first > *ret_last ? BACKWARDS : 0;
}

/* "*", "5", "1-5", each perhaps "/step"; "5/step" goes on to the end of the field. */
static int span_read(const struct field *field, const char **at, uint64_t *set) {
    static const struct field steps = {.name = "step"};
    unsigned first = field->least, last = field->most, step = 1;
    const char *start = *at;

    if (**at == '*') {
        (*at)++;
    } else {
        int error = ends_read(field, at, &first, &last);
        if (error)
            return error;
    }
    if (**at == '/') {
        bool single = *start != '*' && !memchr(start, '-', (size_t)(*at - start));
        (*at)++;
        int error = value_read(&steps, at, &step);
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

static int field_read(const struct field *field, const char **at, uint64_t *set) {
    for (;;) {
        int error = span_read(field, at, set);
        if (error)
            return error;
        if (**at != ',')
            return **at == '\0' || isblank((unsigned char)**at) ? 0 : -EINVAL;
        (*at)++;
    }
}

static int field_complain(const char *text, const struct field *field, int error,
                          struct fault *fault) {
    if (error == -ERANGE)
        return fault_say(fault, error, "\"%s\": the %s is out of range: from %u to %u", text,
                         field->name, field->least, field->most);
    if (error == BACKWARDS)
        return fault_say(fault, -ERANGE, "\"%s\": the %s has a range that runs backwards", text,
                         field->name);
    return fault_say(fault, error, "\"%s\": the %s is no number, range or list", text, field->name);
}

/* crontab(5): where both days are restricted, which is to say that neither has a star in it, one of
 * them is enough. */
static void calendar_fill(struct calendar *calendar, const uint64_t *sets, bool starred) {
    calendar->cron = true;
    calendar->seconds = 1;
    calendar->minutes = sets[MINUTES];
    calendar->hours = sets[HOURS];
    calendar->days = sets[DAYS];
    calendar->months = sets[MONTHS];
    calendar->weekdays = (sets[WEEKDAYS] | sets[WEEKDAYS] >> 7) & calendar_all(0, 6);
    calendar->either = !starred;
    const uint64_t all_days = calendar_all(1, 31), all_weekdays = calendar_all(0, 6);
    if (calendar->either && (calendar->days == all_days || calendar->weekdays == all_weekdays)) {
        calendar->either = false; /* then it is any day */
        calendar->days = all_days;
        calendar->weekdays = all_weekdays;
    }
}

/* `text` is what the person wrote; `at` begins the five fields. */
static int cron_parse(const char *text, const char *at, struct calendar *ret_calendar,
                      struct fault *fault) {
    struct calendar calendar;
    uint64_t sets[FIELD_COUNT] = {0};
    bool starred = false;

    calendar_start(&calendar);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        at += strspn(at, " \t");
        if (*at == '\0')
            return fault_say(fault, -EINVAL, "\"%s\" has %zu fields of 5; write \"0 3 * * *\"",
                             text, i);
        const char *start = at;
        int error = field_read(&fields[i], &at, &sets[i]);
        if (error)
            return field_complain(text, &fields[i], error, fault);
        if (i == DAYS || i == WEEKDAYS)
            starred = starred || memchr(start, '*', (size_t)(at - start));
    }
    at += strspn(at, " \t");
    if (isalpha((unsigned char)*at) && !strpbrk(at, " \t")) {
        int error = calendar_set_zone(&calendar, at, fault);
        if (error)
            return fault_prefix(fault, error, "\"%s\"", text);
    } else if (*at) {
        return fault_say(fault, -EINVAL, "\"%s\" has more than 5 fields", text);
    }
    calendar_fill(&calendar, sets, starred);
    *ret_calendar = calendar;
    return 0;
}

static int nickname_parse(const char *text, struct calendar *ret_calendar, struct fault *fault) {
    static const char *const names[] = {"@hourly",  "@daily",  "@midnight", "@weekly",
                                        "@monthly", "@yearly", "@annually"};
    static const char *const meanings[] = {"0 * * * *", "0 0 * * *", "0 0 * * *", "0 0 * * 0",
                                           "0 0 1 * *", "0 0 1 1 *", "0 0 1 1 *"};
    static_assert(ELEMENTS(names) == ELEMENTS(meanings), "a meaning for each name");
    char expression[CALENDAR_TEXT_MOST + 1], word[CALENDAR_TEXT_MOST + 1];
    size_t length = strcspn(text, " \t");
    memcpy(word, text, length);
    word[length] = '\0';
    for (size_t i = 0; i < ELEMENTS(names); i++)
        if (strcasecmp(word, names[i]) == 0) {
            if (strlen(meanings[i]) + strlen(text + length) > CALENDAR_TEXT_MOST)
                break;
            strcpy(stpcpy(expression, meanings[i]), text + length);
            return cron_parse(text, expression, ret_calendar, fault);
        }
    if (strcasecmp(word, "@reboot") == 0)
        return fault_say(fault, -EINVAL, "\"%s\" is no time; use on_boot", text);
    const char *nearest = names_nearest(word, names, ELEMENTS(names));
    if (nearest)
        return fault_say(fault, -EINVAL, "\"%s\" is no schedule; did you mean \"%s\"?", text,
                         nearest);
    return fault_say(fault, -EINVAL, "\"%s\" is no schedule", text);
}

/* ---- either form ---- */

static size_t word_count(const char *text) {
    size_t count = 0;
    for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
        count++;
        text += strcspn(text, " \t");
    }
    return count;
}

/* An expression of systemd has a time or a date in it, or is a single word; of its at most four
 * words the first two can only both be without letters when the second is a time. */
static bool is_cron(const char *text) {
    size_t words = word_count(text), first = strcspn(text, " \t");
    if (strchr(text, ':') || words < 2)
        return false;
    return words >= 5 || !strpbrk(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ~") ||
           (!isalpha((unsigned char)text[0]) && !memchr(text, '-', first) &&
            !memchr(text, '~', first));
}

int schedule_parse(const char *text, struct calendar *ret_calendar, struct fault *fault) {
    if (strlen(text) > CALENDAR_TEXT_MOST)
        return fault_say(fault, -ERANGE, "a schedule has at most %d letters", CALENDAR_TEXT_MOST);
    text += strspn(text, " \t");
    if (*text == '\0')
        return fault_say(fault, -EINVAL, "an empty schedule; write \"0 3 * * *\" or \"daily\"");
    if (text[0] == '@' && isalpha((unsigned char)text[1]))
        return nickname_parse(text, ret_calendar, fault);
    if (text[0] != '@' && is_cron(text))
        return cron_parse(text, text, ret_calendar, fault);
    return calendar_parse(text, ret_calendar, fault);
}

int schedule_open(const char *text, struct calendar *ret_calendar, struct fault *fault) {
    struct calendar calendar;
    int error = schedule_parse(text, &calendar, fault);
    if (!error)
        error = calendar_open_zone(&calendar, fault);
    if (!error)
        *ret_calendar = calendar;
    return error;
}

int schedule_check(const char *text, struct fault *fault) {
    struct calendar calendar;
    int error = schedule_open(text, &calendar, fault);
    if (!error)
        calendar_clear(&calendar);
    return error;
}
