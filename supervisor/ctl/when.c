#include "supervisor/ctl/when.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "units/base/number.h"
#include "units/base/scoped.h"

/* A number of this many digits is no duration, but a time since 1970. */
enum { EPOCH_DIGITS = 10, FRACTION_DIGITS = 6 };

/* What is left of the text. */
struct rest {
    const char *at;
};

static bool skip(struct rest *rest, const char *literal) {
    size_t length = strlen(literal);
    if (strncmp(rest->at, literal, length) != 0)
        return false;
    rest->at += length;
    return true;
}

static void skip_blanks(struct rest *rest) {
    rest->at += strspn(rest->at, " ");
}

/* Just so many digits, and none behind them. */
static bool take_digits(struct rest *rest, size_t count, int least, int most, int *ret_value) {
    int value = 0;
    if (strspn(rest->at, "0123456789") != count)
        return false;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (*rest->at++ - '0');
    *ret_value = value;
    return value >= least && value <= most;
}

/* ".412": microseconds; what is finer is left out. */
static bool take_fraction(struct rest *rest, uint64_t *ret_usec) {
    uint64_t usec = 0, scale = USEC_PER_SEC / 10;
    *ret_usec = 0;
    if (!skip(rest, "."))
        return true;
    size_t digits = strspn(rest->at, "0123456789");
    for (size_t i = 0; i < digits; i++, scale /= 10)
        usec += (uint64_t)(rest->at[i] - '0') * scale;
    rest->at += digits;
    *ret_usec = usec;
    return digits > 0;
}

/* ---- before now ---- */

static const struct unit_of_time {
    const char *words; /* each with a blank on both sides */
    uint64_t usec;
} units_of_time[] = {
    {" us usec ", 1},
    {" ms msec ", 1000},
    {" s sec second seconds ", USEC_PER_SEC},
    {" m min minute minutes ", 60 * USEC_PER_SEC},
    {" h hr hour hours ", 3600 * USEC_PER_SEC},
    {" d day days ", 86400 * USEC_PER_SEC},
    {" w week weeks ", 7 * 86400 * USEC_PER_SEC},
};

static const struct unit_of_time *take_unit(struct rest *rest) {
    char word[16] = " ";
    size_t length = strspn(rest->at, "abcdefghijklmnopqrstuvwxyz");
    if (length == 0 || length + 3 > sizeof word)
        return NULL;
    memcpy(word + 1, rest->at, length);
    memcpy(word + 1 + length, " ", 2);
    for (size_t i = 0; i < ELEMENTS(units_of_time); i++)
        if (strstr(units_of_time[i].words, word)) {
            rest->at += length;
            return &units_of_time[i];
        }
    return NULL;
}

/* "1h 30min", "2 hours"; a single number without a unit is seconds. */
static bool take_duration(struct rest *rest, uint64_t *ret_usec) {
    uint64_t total = 0;
    for (bool first = true; isdigit((unsigned char)*rest->at); first = false) {
        uint64_t count = 0, part;
        for (; isdigit((unsigned char)*rest->at); rest->at++)
            if (__builtin_mul_overflow(count, 10U, &count) ||
                __builtin_add_overflow(count, (uint64_t)(*rest->at - '0'), &count))
                return false;
        bool bare = *rest->at == '\0';
        skip_blanks(rest);
        const struct unit_of_time *unit = take_unit(rest);
        if (!unit && !(bare && first))
            return false;
        if (__builtin_mul_overflow(count, unit ? unit->usec : USEC_PER_SEC, &part) ||
            __builtin_add_overflow(total, part, &total))
            return false;
        skip_blanks(rest);
    }
    *ret_usec = total;
    return true;
}

static int parse_relative(const char *text, uint64_t now, uint64_t *ret_usec) {
    struct rest rest = {text};
    uint64_t duration;
    bool later = skip(&rest, "+");
    if (!later)
        skip(&rest, "-");
    if (!isdigit((unsigned char)*rest.at) || !take_duration(&rest, &duration))
        return -EINVAL;
    if (!later)
        skip(&rest, "ago");
    if (*rest.at)
        return -EINVAL;
    if (later)
        return __builtin_add_overflow(now, duration, ret_usec) ? -EINVAL : 0;
    *ret_usec = duration < now ? now - duration : 0;
    return 0;
}

/* ---- days ---- */

static void local_now(uint64_t now, struct tm *ret_time) {
    time_t seconds = (time_t)(now / USEC_PER_SEC);
    localtime_r(&seconds, ret_time);
    ret_time->tm_isdst = -1;
}

static int from_local(struct tm *time, uint64_t *ret_usec) {
    time_t seconds = mktime(time);
    if (seconds < 0)
        return -EINVAL;
    *ret_usec = (uint64_t)seconds * USEC_PER_SEC;
    return 0;
}

static int parse_word(const char *text, uint64_t now, uint64_t *ret_usec) {
    static const struct {
        const char *word;
        int days;
    } words[] = {{"yesterday", -1}, {"today", 0}, {"tomorrow", 1}};
    if (strcmp(text, "now") == 0) {
        *ret_usec = now;
        return 0;
    }
    for (size_t i = 0; i < ELEMENTS(words); i++) {
        struct tm time;
        if (strcmp(text, words[i].word) != 0)
            continue;
        local_now(now, &time);
        time.tm_hour = time.tm_min = time.tm_sec = 0;
        time.tm_mday += words[i].days;
        return from_local(&time, ret_usec);
    }
    return -EINVAL;
}

static int parse_epoch(const char *text, uint64_t *ret_usec) {
    struct rest rest = {text};
    uint64_t seconds = 0, fraction;
    bool marked = skip(&rest, "@");
    size_t digits = strspn(rest.at, "0123456789");
    if (digits == 0 || digits > 14 || (!marked && digits < EPOCH_DIGITS))
        return -EINVAL;
    for (; isdigit((unsigned char)*rest.at); rest.at++)
        seconds = seconds * 10 + (uint64_t)(*rest.at - '0');
    if (!take_fraction(&rest, &fraction) || *rest.at)
        return -EINVAL;
    *ret_usec = seconds * USEC_PER_SEC + fraction;
    return 0;
}

/* ---- dates ---- */

static bool take_date(struct rest *rest, struct tm *time) {
    if (!take_digits(rest, 4, 1970, 9999, &time->tm_year) || !skip(rest, "-") ||
        !take_digits(rest, 2, 1, 12, &time->tm_mon) || !skip(rest, "-") ||
        !take_digits(rest, 2, 1, 31, &time->tm_mday))
        return false;
    time->tm_year -= 1900;
    time->tm_mon -= 1;
    return true;
}

static bool take_clock(struct rest *rest, struct tm *time, uint64_t *ret_fraction) {
    *ret_fraction = 0;
    time->tm_sec = 0;
    if (!take_digits(rest, 2, 0, 23, &time->tm_hour) || !skip(rest, ":") ||
        !take_digits(rest, 2, 0, 59, &time->tm_min))
        return false;
    return !skip(rest, ":") ||
           (take_digits(rest, 2, 0, 60, &time->tm_sec) && take_fraction(rest, ret_fraction));
}

/* "Z", "UTC", "+01:00", "-0330": seconds east of Greenwich. False: there is none. */
static bool take_zone(struct rest *rest, int *ret_east) {
    struct rest zone = *rest;
    int hours, minutes = 0, sign = 1;
    *ret_east = 0;
    skip_blanks(&zone);
    if (!skip(&zone, "Z") && !skip(&zone, "UTC")) {
        if (skip(&zone, "-"))
            sign = -1;
        else if (!skip(&zone, "+"))
            return false;
        size_t digits = strspn(zone.at, "0123456789");
        if (digits == 4) {
            if (!take_digits(&zone, 4, 0, 2359, &hours))
                return false;
            minutes = hours % 100;
            hours /= 100;
        } else if (!take_digits(&zone, 2, 0, 23, &hours) ||
                   (skip(&zone, ":") && !take_digits(&zone, 2, 0, 59, &minutes))) {
            return false;
        }
        *ret_east = sign * (hours * 3600 + minutes * 60);
    }
    *rest = zone;
    return true;
}

static int parse_date(const char *text, uint64_t now, uint64_t *ret_usec) {
    struct rest rest = {text};
    struct tm time;
    uint64_t fraction = 0;
    int east, day, error;
    local_now(now, &time);
    if (strcspn(text, "-") == 4) {
        if (!take_date(&rest, &time))
            return -EINVAL;
        time.tm_hour = time.tm_min = time.tm_sec = 0;
        if (*rest.at && (!(skip(&rest, "T") || skip(&rest, "t") || skip(&rest, " ")) ||
                         !take_clock(&rest, &time, &fraction)))
            return -EINVAL;
    } else if (!take_clock(&rest, &time, &fraction)) {
        return -EINVAL;
    }
    day = time.tm_mday;
    bool zoned = take_zone(&rest, &east);
    if (*rest.at)
        return -EINVAL;
    if (zoned) {
        time_t seconds = timegm(&time) - east;
        error = seconds < 0 ? -EINVAL : 0;
        *ret_usec = (uint64_t)seconds * USEC_PER_SEC;
    } else {
        error = from_local(&time, ret_usec);
    }
    if (error || (time.tm_mday != day && time.tm_sec < 60)) /* a 31st of February */
        return -EINVAL;
    *ret_usec += fraction;
    return 0;
}

int when_parse(const char *text, uint64_t now, uint64_t *ret_usec) {
    uint64_t usec;
    if (parse_word(text, now, &usec) < 0 && parse_epoch(text, &usec) < 0 &&
        parse_relative(text, now, &usec) < 0 && parse_date(text, now, &usec) < 0)
        return -EINVAL;
    *ret_usec = usec;
    return 0;
}
