#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/calendar-list.h"
#include "units/calendar.h"
#include "units/civil.h"

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
static int complain_word(struct calendar_reading *reading, const char *word, size_t length,
                         bool alone) {
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
static int weekday_range(struct calendar_reading *reading, const char **at, bool alone) {
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
static int weekday_list(struct calendar_reading *reading, const char *word, bool alone) {
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
static int date(struct calendar_reading *reading, const char *word) {
    char *parts[3], marks[3], copy[CALENDAR_TEXT_MOST + 1];
    size_t count = cut(strcpy(copy, word), "-~", parts, marks);
    if (count < 2 || count > 3 || (count == 3 && marks[0] == '~'))
        return fault_say(reading->fault, -EINVAL, "\"%s\": \"%s\" is neither a date nor a time",
                         reading->text, word);
    char **last = &parts[count - 2];
    bool from_end = marks[count - 2] == '~';
    int error = calendar_list_read(reading, CALENDAR_YEAR, count == 3 ? parts[0] : "*");
    if (!error)
        error = calendar_list_read(reading, CALENDAR_MONTH, last[0]);
    if (!error)
        error =
            calendar_list_read(reading, from_end ? CALENDAR_DAY_FROM_END : CALENDAR_DAY, last[1]);
    return error;
}

/* "HOUR:MINUTE[:SECOND]". */
static int time_of_day(struct calendar_reading *reading, const char *word) {
    char *parts[3], marks[3], copy[CALENDAR_TEXT_MOST + 1];
    size_t count = cut(strcpy(copy, word), ":", parts, marks);
    if (count < 2 || count > 3)
        return fault_say(reading->fault, -EINVAL, "\"%s\": \"%s\" is no time; write \"03:00\"",
                         reading->text, word);
    int error = calendar_list_read(reading, CALENDAR_HOUR, parts[0]);
    if (!error)
        error = calendar_list_read(reading, CALENDAR_MINUTE, parts[1]);
    if (!error)
        error = calendar_list_read(reading, CALENDAR_SECOND, count == 3 ? parts[2] : "0");
    return error;
}

/* What is left out: any weekday, any day, midnight. */
static int words_parse(struct calendar_reading *reading, char *const *words, size_t count) {
    size_t next = 0;
    int error = 0;
    if (isalpha((unsigned char)words[0][0]))
        error = weekday_list(reading, words[next++], count == 1);
    else
        reading->calendar.weekdays = calendar_all(0, 6);
    if (!error && next < count && !strchr(words[next], ':'))
        error = date(reading, words[next++]);
    else if (!error)
        error = date(reading, "*-*");
    if (!error)
        error = time_of_day(reading, next < count ? words[next++] : "0:0");
    if (!error && next < count)
        error = fault_say(reading->fault, -EINVAL,
                          "\"%s\": nothing is understood from \"%s\" on; write \"Mon *-*-* 03:00\"",
                          reading->text, words[next]);
    return error;
}

/* "@SECONDS" since 1970: one instant. */
static int instant(struct calendar_reading *reading, const char *word) {
    struct calendar *calendar = &reading->calendar;
    uint64_t value;
    if (number_parse(word + 1, &value) < 0 || value > INT64_MAX)
        return fault_say(reading->fault, -EINVAL, "\"%s\": \"%s\" is no number of seconds",
                         reading->text, word + 1);
    struct civil date = civil_from_days((int64_t)(value / 86400));
    if (date.year > CALENDAR_LAST_YEAR)
        return fault_say(reading->fault, -ERANGE, "\"%s\" lies after the year %d", reading->text,
                         CALENDAR_LAST_YEAR);
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
static int zone_take(struct calendar_reading *reading, char *const *words, size_t *count) {
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
    struct calendar_reading reading = {.text = text, .fault = fault};
    char copy[CALENDAR_TEXT_MOST + 1], *words[WORDS_MOST];
    if (strlen(text) > CALENDAR_TEXT_MOST)
        return fault_say(fault, -ERANGE, "a calendar expression has at most %d letters",
                         CALENDAR_TEXT_MOST);
    strcpy(copy, text);
    size_t count = split(copy, words);
    if (count == 0)
        return fault_say(fault, -EINVAL, "an empty calendar expression; write \"daily\"");

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
