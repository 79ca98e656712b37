#include "units/civil.h"

#include <stdbool.h>

#define DAYS_400_YEARS 146097 /* after which the calendar repeats, weekdays included */
#define DAYS_TO_1970 719468   /* from 0000-03-01 */

static bool is_leap(int64_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t floor_divide(int64_t value, int64_t by) {
    return value / by - (value % by < 0);
}

/* Years are counted from March, so that the leap day is the last of its year: then the days before
 * a month are (153 * month + 2) / 5, whatever the year. */
int64_t civil_to_days(struct civil date) {
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t month = date.month <= 2 ? date.month + 9 : date.month - 3;
    int64_t leaps = floor_divide(year, 4) - floor_divide(year, 100) + floor_divide(year, 400);
    return year * 365 + leaps + (153 * month + 2) / 5 + date.day - 1 - DAYS_TO_1970;
}

struct civil civil_from_days(int64_t days) {
    days += DAYS_TO_1970;
    int64_t cycle = floor_divide(days, DAYS_400_YEARS);
    int64_t day = days - cycle * DAYS_400_YEARS; /* 0 to 146096 */
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= year * 365 + year / 4 - year / 100;
    int64_t month = (5 * day + 2) / 153;
    return (struct civil){
        .year = cycle * 400 + year + (month >= 10),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(day - (153 * month + 2) / 5 + 1),
    };
}

int civil_month_days(int64_t year, int month) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : lengths[month - 1];
}

int civil_weekday(int64_t days) {
    int64_t weekday = (days + 4) % 7; /* 1970-01-01 was a Thursday */
    return (int)(weekday < 0 ? weekday + 7 : weekday);
}
