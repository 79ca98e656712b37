#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/calendar.h"
#include "units/civil.h"

#define MINUTE (60 * USEC_PER_SEC)

struct part {
    const char *name;
    unsigned least, most;
};

static const struct part year = {"year", CALENDAR_FIRST_YEAR, CALENDAR_LAST_YEAR};
static const struct part month = {"month", 1, 12};
static const struct part day = {"day", 1, 31};
static const struct part hour = {"hour", 0, 23};
static const struct part minute = {"minute", 0, 59};
static const struct part second = {"second", 0, 59};
/* Days from the end that every month has. */
static const struct part day_from_end = {"day from the end of the month", 1, 28};

/* The expression in hand. Its words are cut apart in place. */
struct reading {
    const char *text; /* as the person wrote it */
    struct calendar calendar;
    struct fault *fault;
};

/* ---- lists of numbers ---- */

/* A value, or values from start to stop by step, in the unit of its part. */
struct span {
    uint64_t start, stop, step;
    bool has_stop, has_step;
};

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
        bool up = false;
        for (size_t i = 0; isdigit((unsigned char)**at); (*at)++, i++, place /= 10) {
            value += (uint64_t)(**at - '0') * place;
            up = i == 6 ? **at >= '5' : up;
        }
        value += up;
    }
    *ret_value = value;
    return 0;
}

static int span(const char **at, uint64_t unit, struct span *ret_span) {
    struct span result = {0};
    int error = number(at, unit, &result.start);
    if (!error && strncmp(*at, "..", 2) == 0) {
        *at += 2;
        result.has_stop = true;
        error = number(at, unit, &result.stop);
    }
    if (!error && **at == '/') {
        (*at)++;
        result.has_step = true;
        error = number(at, unit, &result.step);
        if (!error && result.step == 0)
            error = -ERANGE;
    }
    if (!error)
        *ret_span = result;
    return error;
}

static int complain_form(struct reading *reading, const struct part *part, const char *list) {
    if (list[0] == '*' && list[1] == '/')
        return fault_say(reading->fault, -EINVAL,
                         "\"%s\": the %s \"%s\" has nothing to start from; write \"%u%s\"",
                         reading->text, part->name, list, part->least, list + 1);
    return fault_say(reading->fault, -EINVAL, "\"%s\": the %s \"%s\" is no number, range or list",
                     reading->text, part->name, list);
}

static int complain_range(struct reading *reading, const struct part *part, const char *list) {
    return fault_say(reading->fault, -ERANGE,
                     "\"%s\": the %s \"%s\" is out of range: from %u to %u", reading->text,
                     part->name, list, part->least, part->most);
}

/* Checks a span against its part, and settles stop and step: afterwards it is start, start + step,
 * ... up to stop, where step is 0 for a single value. */
static int settle(struct reading *reading, const struct part *part, uint64_t unit, const char *list,
                  struct span *span) {
    uint64_t least = part->least * unit, most = (part->most + 1) * unit - 1;
    if (span->start < least || span->start > most || (span->has_stop && span->stop > most))
        return complain_range(reading, part, list);
    if (span->has_stop && span->stop < span->start)
        return fault_say(reading->fault, -ERANGE, "\"%s\": the %s \"%s\" runs backwards",
                         reading->text, part->name, list);
    if (!span->has_stop)
        span->stop = span->has_step ? most : span->start;
    if (!span->has_step)
        span->step = unit;
    if (!span->has_stop && span->has_step && span->step > most - span->start)
        return fault_say(reading->fault, -ERANGE,
                         "\"%s\": the %s \"%s\" has a step that leaves the range: from %u to %u",
                         reading->text, part->name, list, part->least, part->most);
    span->stop -= (span->stop - span->start) % span->step;
    if (span->stop == span->start)
        span->step = 0;
    return 0;
}

/* Calls `add` for each span of "A,B..C,D/E". */
static int list(struct reading *reading, const struct part *part, uint64_t unit, const char *text,
                int (*add)(struct reading *reading, const struct part *part, const char *text,
                           struct span *span)) {
    const char *at = text;
    for (;;) {
        struct span next;
        int error = span(&at, unit, &next);
        if (error == -ERANGE)
            return complain_range(reading, part, text);
        if (error || (*at && *at != ','))
            return complain_form(reading, part, text);
        error = add(reading, part, text, &next);
        if (error)
            return error;
        if (*at == '\0')
            return 0;
        at++;
    }
}

static uint64_t *part_set(struct calendar *calendar, const struct part *part) {
    return part == &month    ? &calendar->months
           : part == &hour   ? &calendar->hours
           : part == &minute ? &calendar->minutes
                             : &calendar->days;
}

static int add_values(struct reading *reading, const struct part *part, const char *text,
                      struct span *span) {
    int error = settle(reading, part, 1, text, span);
    uint64_t *set = part_set(&reading->calendar, part);
    for (uint64_t value = span->start; !error && value <= span->stop; value += span->step) {
        *set |= 1ULL << value;
        if (!span->step)
            break;
    }
    return error;
}

static int values(struct reading *reading, const struct part *part, const char *text) {
    if (strcmp(text, "*") != 0)
        return list(reading, part, 1, text, add_values);
    *part_set(&reading->calendar, part) = calendar_all(part->least, part->most);
    return 0;
}

/* "12" is 2012 and "70" is 1970. */
static uint64_t full_year(uint64_t value) {
    return value < 70 ? value + 2000 : value < 100 ? value + 1900 : value;
}

static int add_years(struct reading *reading, const struct part *part, const char *text,
                     struct span *span) {
    span->start = full_year(span->start);
    if (span->has_stop)
        span->stop = full_year(span->stop);
    int error = settle(reading, part, 1, text, span);
    for (uint64_t value = span->start; !error && value <= span->stop; value += span->step) {
        calendar_add_year(&reading->calendar, (unsigned)value);
        if (!span->step)
            break;
    }
    return error;
}

static int years(struct reading *reading, const char *text) {
    if (strcmp(text, "*") == 0)
        return 0;
    memset(reading->calendar.years, 0, sizeof reading->calendar.years);
    return list(reading, &year, 1, text, add_years);
}

/* A step leads towards the end of the month: "~07/2" is the last day but 6, but 4, but 2, the last.
 * A range has its step from the smaller number on. */
static int add_days_from_end(struct reading *reading, const struct part *part, const char *text,
                             struct span *span) {
    if (!span->has_stop && span->has_step && span->start > 0 && span->start <= part->most) {
        if (span->step >= span->start)
            return fault_say(reading->fault, -ERANGE,
                             "\"%s\": the %s \"%s\" has a step that leaves the month",
                             reading->text, part->name, text);
        for (uint64_t value = span->start; value > 0; value -= span->step) {
            reading->calendar.days |= 1ULL << value;
            if (value <= span->step)
                break;
        }
        return 0;
    }
    return add_values(reading, part, text, span);
}

static int days_from_end(struct reading *reading, const char *text) {
    if (strcmp(text, "*") == 0) /* all days, from wherever they are counted */
        return values(reading, &day, text);
    reading->calendar.days_from_end = true;
    return list(reading, &day_from_end, 1, text, add_days_from_end);
}

/* ---- seconds, which have fractions ---- */

static bool is_before(const struct calendar_fraction *a, const struct calendar_fraction *b) {
    return a->start != b->start ? a->start < b->start
           : a->stop != b->stop ? a->stop < b->stop
                                : a->step < b->step;
}

static int add_fraction(struct reading *reading, struct calendar_fraction new) {
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

static int add_seconds(struct reading *reading, const struct part *part, const char *text,
                       struct span *span) {
    int error = settle(reading, part, USEC_PER_SEC, text, span);
    if (error)
        return error;
    if (span->start % USEC_PER_SEC || span->step % USEC_PER_SEC)
        return add_fraction(reading,
                            (struct calendar_fraction){(uint32_t)span->start, (uint32_t)span->stop,
                                                       (uint32_t)span->step});
    for (uint64_t value = span->start; value <= span->stop; value += span->step) {
        reading->calendar.seconds |= 1ULL << value / USEC_PER_SEC;
        if (!span->step)
            break;
    }
    return 0;
}

static int seconds(struct reading *reading, const char *text) {
    if (strcmp(text, "*") != 0)
        return list(reading, &second, USEC_PER_SEC, text, add_seconds);
    reading->calendar.seconds = calendar_all(0, 59);
    return 0;
}

/* ---- words ---- */

static const struct {
    const char *word, *expression;
} shorthands[] = {
    {"minutely", "*-*-* *:*:00"},
    {"hourly", "*-*-* *:00:00"},
    {"daily", "*-*-* 00:00:00"},
    {"weekly", "Mon *-*-* 00:00:00"},
    {"monthly", "*-*-01 00:00:00"},
    {"quarterly", "*-01,04,07,10-01 00:00:00"},
    {"semiannually", "*-01,07-01 00:00:00"},
    {"semi-annually", "*-01,07-01 00:00:00"},
    {"biannually", "*-01,07-01 00:00:00"},
    {"bi-annually", "*-01,07-01 00:00:00"},
    {"yearly", "*-01-01 00:00:00"},
    {"annually", "*-01-01 00:00:00"},
};

static const char *const weekdays[] = {"sunday",   "monday", "tuesday", "wednesday",
                                       "thursday", "friday", "saturday"};

/* The whole word, or its first three letters. */
static int weekday_value(const char *word, size_t length) {
    for (int i = 0; i < (int)ELEMENTS(weekdays); i++)
        if (strncasecmp(word, weekdays[i], length) == 0 &&
            (length == 3 || length == strlen(weekdays[i])))
            return i;
    return -ENOENT;
}

/* A lone word might have been meant as any; before something else it can only be a weekday. */
static int complain_word(struct reading *reading, const char *word, size_t length, bool alone) {
    const char *candidates[ELEMENTS(weekdays) + ELEMENTS(shorthands)];
    char lower[CALENDAR_TEXT_MOST + 1];
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        lower[i] = (char)tolower((unsigned char)word[i]);
    lower[length] = '\0';
    for (size_t i = 0; i < ELEMENTS(weekdays); i++)
        candidates[count++] = weekdays[i];
    for (size_t i = 0; alone && i < ELEMENTS(shorthands); i++)
        candidates[count++] = shorthands[i].word;
    const char *nearest = names_nearest(lower, candidates, count);
    if (nearest)
        return fault_say(reading->fault, -EINVAL,
                         "\"%s\": \"%s\" is no weekday%s; did you mean \"%s\"?", reading->text,
                         lower, alone ? " or shorthand" : "", nearest);
    return fault_say(reading->fault, -EINVAL, "\"%s\": \"%s\" is no weekday%s", reading->text,
                     lower, alone ? " or shorthand" : "");
}

/* One of "mon" and "Mon..Fri", also with "-" for "..". The week starts on Monday, and a range does
 * not go beyond its end. `alone`: the word is all there is. */
static int weekday_range(struct reading *reading, const char **at, bool alone) {
    const char *start = *at;
    int ends[2];
    size_t count = 0, mark = 0;
    do {
        *at += mark;
        size_t length = strspn(*at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        ends[count] = weekday_value(*at, length);
        if (ends[count] < 0 && length > 0)
            return complain_word(reading, *at, length, alone && (*at)[length] == '\0');
        if (ends[count] < 0)
            return fault_say(reading->fault, -EINVAL, "\"%s\": a weekday is missing before \"%s\"",
                             reading->text, *at);
        *at += length;
        mark = **at == '-' ? 1 : strncmp(*at, "..", 2) == 0 ? 2 : 0;
    } while (++count < 2 && mark);

    int first = (ends[0] + 6) % 7, last = (ends[count - 1] + 6) % 7;
    if (first > last)
        return fault_say(reading->fault, -ERANGE,
                         "\"%s\": \"%.*s\" runs backwards: the week starts on Monday",
                         reading->text, (int)(*at - start), start);
    for (int i = first; i <= last; i++)
        reading->calendar.weekdays |= 1ULL << (i + 1) % 7;
    return 0;
}

/* Ranges with commas between them, of which one may end the list. */
static int weekday_list(struct reading *reading, const char *word, bool alone) {
    const char *at = word;
    do {
        int error = weekday_range(reading, &at, alone && at == word);
        if (error)
            return error;
        if (*at && *at != ',')
            return fault_say(reading->fault, -EINVAL, "\"%s\": \"%s\" is no list of weekdays",
                             reading->text, word);
    } while (*at && *++at);
    return 0;
}

/* ---- dates and times ---- */

/* Cuts a word apart at any of the separators, which are kept in ret_marks. */
static size_t cut(char *word, const char *separators, char *ret_parts[3], char ret_marks[3]) {
    size_t count = 0;
    for (;;) {
        ret_parts[count] = word;
        word = strpbrk(word, separators);
        ret_marks[count] = '\0';
        if (!word)
            return count + 1;
        ret_marks[count] = *word;
        *word++ = '\0';
        if (++count == 3)
            return 4; /* too many */
    }
}

/* "[YEAR-]MONTH-DAY", where "~" before the day counts from the month's end. */
static int date(struct reading *reading, char *word) {
    char *parts[3], marks[3], whole[CALENDAR_TEXT_MOST + 1];
    strcpy(whole, word);
    size_t count = cut(word, "-~", parts, marks);
    if (count < 2 || count > 3 || (count == 3 && marks[0] == '~'))
        return fault_say(reading->fault, -EINVAL, "\"%s\": \"%s\" is neither a date nor a time",
                         reading->text, whole);
    char **last = &parts[count - 2];
    int error = count == 3 ? years(reading, parts[0]) : 0;
    if (!error)
        error = values(reading, &month, last[0]);
    if (!error)
        error = marks[count - 2] == '~' ? days_from_end(reading, last[1])
                                        : values(reading, &day, last[1]);
    return error;
}

/* "HOUR:MINUTE[:SECOND]". */
static int time_of_day(struct reading *reading, char *word) {
    char *parts[3], marks[3], whole[CALENDAR_TEXT_MOST + 1];
    strcpy(whole, word);
    size_t count = cut(word, ":", parts, marks);
    if (count < 2 || count > 3)
        return fault_say(reading->fault, -EINVAL, "\"%s\": \"%s\" is no time; write \"03:00\"",
                         reading->text, whole);
    int error = values(reading, &hour, parts[0]);
    if (!error)
        error = values(reading, &minute, parts[1]);
    if (!error && count == 3)
        error = seconds(reading, parts[2]);
    else if (!error)
        reading->calendar.seconds = 1;
    return error;
}

/* What is left out: every day, midnight. */
static int words_parse(struct reading *reading, char *const *words, size_t count) {
    struct calendar *calendar = &reading->calendar;
    size_t next = 0;
    int error = 0;
    if (isalpha((unsigned char)words[0][0]))
        error = weekday_list(reading, words[next++], count == 1);
    if (!error && next < count && !strchr(words[next], ':'))
        error = date(reading, words[next++]);
    if (!error && next < count)
        error = time_of_day(reading, words[next++]);
    else
        calendar->hours = calendar->minutes = calendar->seconds = 1;
    if (!error && next < count)
        error = fault_say(reading->fault, -EINVAL,
                          "\"%s\": nothing is understood from \"%s\" on; write \"Mon *-*-* 03:00\"",
                          reading->text, words[next]);
    if (!calendar->weekdays)
        calendar->weekdays = calendar_all(0, 6);
    if (!calendar->days) {
        calendar->days = calendar_all(1, 31);
        calendar->months = calendar_all(1, 12);
    }
    return error;
}

/* "@SECONDS" since 1970: one instant. */
static int instant(struct reading *reading, const char *word) {
    struct calendar *calendar = &reading->calendar;
    uint64_t value;
    if (number_parse(word + 1, &value) < 0 || value > INT64_MAX)
        return fault_say(reading->fault, -EINVAL, "\"%s\": \"%s\" is no number of seconds",
                         reading->text, word + 1);
    struct civil date = civil_from_days((int64_t)(value / 86400));
    if (date.year > CALENDAR_LAST_YEAR)
        return fault_say(reading->fault, -ERANGE, "\"%s\" lies after the year %d", reading->text,
                         CALENDAR_LAST_YEAR);
    memset(calendar->years, 0, sizeof calendar->years);
    calendar_add_year(calendar, (unsigned)date.year);
    calendar->months = 1ULL << date.month;
    calendar->days = 1ULL << date.day;
    calendar->weekdays = calendar_all(0, 6);
    calendar->hours = 1ULL << value % 86400 / 3600;
    calendar->minutes = 1ULL << value % 3600 / 60;
    calendar->seconds = 1ULL << value % 60;
    return calendar_set_zone(calendar, "UTC", reading->fault);
}

/* ---- the whole ---- */

#define WORDS_MOST 5 /* weekdays, date, time, zone, and one that is too many */

static size_t split(char *text, char *ret_words[WORDS_MOST]) {
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t", &rest); word && count < WORDS_MOST;
         word = strtok_r(NULL, " \t", &rest))
        ret_words[count++] = word;
    return count;
}

/* A word of letters at the end names the zone. */
static int zone_take(struct reading *reading, char *const *words, size_t *count) {
    const char *last = words[*count - 1];
    if (*count < 2 || !isalpha((unsigned char)last[0]))
        return 0;
    if (weekday_value(last, strlen(last)) >= 0)
        return fault_say(reading->fault, -EINVAL, "\"%s\": the weekday \"%s\" comes first",
                         reading->text, last);
    (*count)--;
    int error = calendar_set_zone(&reading->calendar, last, reading->fault);
    return error ? fault_prefix(reading->fault, error, "\"%s\"", reading->text) : 0;
}

int calendar_parse(const char *text, struct calendar *ret_calendar, struct fault *fault) {
    struct reading reading = {.text = text, .fault = fault};
    char copy[CALENDAR_TEXT_MOST + 1], *words[WORDS_MOST];
    if (strlen(text) > CALENDAR_TEXT_MOST)
        return fault_say(fault, -ERANGE, "a calendar expression has at most %d letters",
                         CALENDAR_TEXT_MOST);
    strcpy(copy, text);
    size_t count = split(copy, words);
    if (count == 0)
        return fault_say(fault, -EINVAL, "an empty calendar expression; write \"daily\"");

    calendar_start(&reading.calendar);
    int error = zone_take(&reading, words, &count);
    if (error)
        return error;
    if (count == 1 && words[0][0] == '@') {
        error = instant(&reading, words[0]);
    } else {
        for (size_t i = 0; count == 1 && i < ELEMENTS(shorthands); i++)
            if (strcasecmp(words[0], shorthands[i].word) == 0)
                count = split(strcpy(copy, shorthands[i].expression), words);
        error = words_parse(&reading, words, count);
    }
    if (!error)
        *ret_calendar = reading.calendar;
    return error;
}
