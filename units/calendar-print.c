#include <string.h>

#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/base/text.h"
#include "units/calendar.h"

enum step_form {
    STEP_NONE,
    STEP_BARE,  /* "5/2" */
    STEP_RANGE, /* "5-59/2" */
    STEP_STAR,  /* "5-59/2", and a star where it starts with the first value there is */
};

/* How one set is written. Both notations of ranges have the same three forms. */
struct style {
    const char *range;           /* between first and last */
    enum step_form step;         /* after the first value */
    unsigned least, most, width; /* of the values */
    const char *const *words;    /* in the place of numbers, from `least` on */
    bool (*has)(const void *set, unsigned value);
};

static const char *const weekday_words[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

static bool bits_have(const void *set, unsigned value) {
    return *(const uint64_t *)set >> value & 1;
}

static bool years_have(const void *set, unsigned value) {
    return calendar_has_year(set, value);
}

static void print_value(struct text *text, const struct style *style, unsigned value) {
    if (style->words)
        text_add(text, style->words[value - style->least]);
    else
        text_format(text, "%0*u", (int)style->width, value);
}

static bool is_full(const struct style *style, const void *set) {
    for (unsigned value = style->least; value <= style->most; value++)
        if (!style->has(set, value))
            return false;
    return true;
}

/* The step, of 2 or more, if the set is start, start + step, ... for as long as the values last,
 * and has three of them; or 0. */
static unsigned find_step(const struct style *style, const void *set, unsigned start) {
    unsigned step = 0, count = 0, last = start;
    for (unsigned value = start; value <= style->most; value++) {
        if (!style->has(set, value))
            continue;
        if (++count == 2)
            step = value - start;
        if (count > 2 && value - last != step)
            return 0;
        last = value;
    }
    return count >= 3 && step >= 2 && last + step > style->most ? step : 0;
}

/* Runs of three or more as ranges; the rest one by one. */
static void print_runs(struct text *text, const struct style *style, const void *set,
                       unsigned from) {
    const char *separator = "";
    for (unsigned value = from; value <= style->most; value++) {
        if (!style->has(set, value))
            continue;
        unsigned last = value;
        while (last < style->most && style->has(set, last + 1))
            last++;
        text_add(text, separator);
        separator = ",";
        print_value(text, style, value);
        if (last >= value + 2) {
            text_add(text, style->range);
            print_value(text, style, last);
            value = last;
        }
    }
}

static void print_set(struct text *text, const struct style *style, const void *set) {
    if (is_full(style, set)) {
        text_add(text, "*");
        return;
    }
    unsigned start = style->least;
    while (start < style->most && !style->has(set, start))
        start++;
    unsigned step = style->step == STEP_NONE ? 0 : find_step(style, set, start);
    if (!step) {
        print_runs(text, style, set, start);
        return;
    }
    if (style->step == STEP_STAR && start == style->least) {
        text_add(text, "*");
    } else {
        print_value(text, style, start);
        if (style->step != STEP_BARE) {
            text_add(text, style->range);
            print_value(text, style, style->most);
        }
    }
    text_format(text, "/%u", step);
}

/* ---- systemd.time(7) ---- */

static void print_moment(struct text *text, unsigned width, uint32_t usec) {
    text_format(text, "%0*u.%06u", (int)width, usec / (unsigned)USEC_PER_SEC,
                usec % (unsigned)USEC_PER_SEC);
}

static void print_seconds(struct text *text, const struct calendar *calendar) {
    struct style style = {"..", STEP_BARE, .least = 0, .most = 59, .width = 2, .has = bits_have};
    if (calendar->fraction_count == 0) {
        print_set(text, &style, &calendar->seconds);
        return;
    }
    if (is_full(&style, &calendar->seconds)) /* a star goes with nothing else */
        text_add(text, "00..59");
    else if (calendar->seconds)
        print_set(text, &style, &calendar->seconds);
    const char *separator = calendar->seconds ? "," : "";
    for (size_t i = 0; i < calendar->fraction_count; i++) {
        const struct calendar_fraction *fraction = &calendar->fractions[i];
        text_add(text, separator);
        separator = ",";
        print_moment(text, 2, fraction->start);
        if (fraction->step == 0)
            continue;
        if (fraction->stop + (uint64_t)fraction->step < 60 * USEC_PER_SEC) {
            text_add(text, "..");
            print_moment(text, 2, fraction->stop);
        }
        text_add(text, "/");
        print_moment(text, 1, fraction->step);
    }
}

static void print_expression(const struct calendar *calendar, struct text *text) {
    struct style style = {
        "..", .least = 1, .most = 7, .words = weekday_words, .step = STEP_NONE, .has = bits_have};
    if (calendar->weekdays != calendar_all(0, 6)) {
        uint64_t from_monday = calendar->weekdays | (calendar->weekdays & 1) << 7;
        print_set(text, &style, &from_monday);
        text_add(text, " ");
    }
    style = (struct style){
        "..",       STEP_BARE,        .least = CALENDAR_FIRST_YEAR, .most = CALENDAR_LAST_YEAR,
        .width = 4, .has = years_have};
    print_set(text, &style, calendar);
    text_add(text, "-");
    style = (struct style){"..", STEP_BARE, .least = 1, .most = 12, .width = 2, .has = bits_have};
    print_set(text, &style, &calendar->months);
    text_add(text, calendar->days_from_end ? "~" : "-");
    style.most = 31;
    style.step =
        calendar->days_from_end ? STEP_NONE : STEP_BARE; /* there a step leads to the end, to 1 */
    print_set(text, &style, &calendar->days);
    text_add(text, " ");
    style = (struct style){"..", STEP_BARE, .least = 0, .most = 23, .width = 2, .has = bits_have};
    print_set(text, &style, &calendar->hours);
    text_add(text, ":");
    style.most = 59;
    print_set(text, &style, &calendar->minutes);
    text_add(text, ":");
    print_seconds(text, calendar);
}

/* ---- crontab(5) ---- */

/* Two restricted days that must both match: one of them had a star, and so 1 or Sunday. It has to
 * be seen again; a step as wide as the field leaves the first value alone. */
static void print_starred(struct text *text, struct style style, const uint64_t *set,
                          unsigned width) {
    uint64_t rest = *set & ~(1ULL << style.least);
    text_format(text, "*/%u", width);
    if (rest) {
        text_add(text, ",");
        style.step = STEP_NONE;
        print_set(text, &style, &rest);
    }
}

/* Day, month, weekday. Where either day may match, neither may have a star. */
static void print_cron_days(const struct calendar *calendar, struct text *text) {
    const struct style months = {"-", STEP_STAR, .least = 1, .most = 12, .has = bits_have};
    struct style days = months, weekdays = months;
    days.most = 31;
    weekdays.least = 0;
    weekdays.most = 6;
    if (calendar->either)
        days.step = weekdays.step = STEP_RANGE;

    scoped_text struct text day = {0}, month = {0}, weekday = {0};
    print_set(&day, &days, &calendar->days);
    print_set(&month, &months, &calendar->months);
    print_set(&weekday, &weekdays, &calendar->weekdays);
    if (day.failed || month.failed || weekday.failed) {
        text->failed = true;
        return;
    }
    bool starred = calendar->either || strchr(day.data, '*') || strchr(weekday.data, '*');
    if (!starred && bits_have(&calendar->days, 1)) {
        day.length = 0;
        print_starred(&day, days, &calendar->days, 31);
    } else if (!starred) {
        weekday.length = 0;
        print_starred(&weekday, weekdays, &calendar->weekdays, 7);
    }
    text_format(text, " %s %s %s", day.data, month.data, weekday.data);
}

static void print_cron(const struct calendar *calendar, struct text *text) {
    struct style style = {"-", STEP_STAR, .least = 0, .most = 59, .has = bits_have};
    print_set(text, &style, &calendar->minutes);
    text_add(text, " ");
    style.most = 23;
    print_set(text, &style, &calendar->hours);
    print_cron_days(calendar, text);
}

void calendar_print(const struct calendar *calendar, struct text *text) {
    if (calendar->cron)
        print_cron(calendar, text);
    else
        print_expression(calendar, text);
    if (calendar->zone_name[0])
        text_format(text, " %s", calendar->zone_name);
}
