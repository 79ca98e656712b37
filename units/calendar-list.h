#pragma once
/* The lists of numbers in a calendar expression: "1,3..9/2". Only calendar-parse.c calls it. */

#include "units/calendar.h"

/* The expression in hand, as the person wrote it, and what is known of it so far. */
struct calendar_reading {
    const char *text;
    struct calendar calendar;
    struct fault *fault;
};

enum calendar_part {
    CALENDAR_YEAR,
    CALENDAR_MONTH,
    CALENDAR_DAY,
    CALENDAR_DAY_FROM_END,
    CALENDAR_HOUR,
    CALENDAR_MINUTE,
    CALENDAR_SECOND,
};

/* "*", or values and ranges with commas between them, each perhaps with "/STEP"; put into the
 * calendar's set of that part. -EINVAL or -ERANGE with a sentence that names the part. */
int calendar_list_read(struct calendar_reading *reading, enum calendar_part part, const char *list);
