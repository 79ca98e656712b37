#pragma once
/* The Gregorian calendar as arithmetic: days since 1970 to dates and back. Calendars and zones use
 * it; it knows neither zones nor clocks. Right from year 0 on. */

#include <stdint.h>

struct civil {
    int64_t year;
    int month, day; /* from 1 */
};

/* Days from 1970-01-01 to this date, negative before. The day may lie beyond its month. */
int64_t civil_to_days(struct civil date);
struct civil civil_from_days(int64_t days);

/* How many days a month of a year has. */
int civil_month_days(int64_t year, int month);

/* Sunday is 0. */
int civil_weekday(int64_t days);
