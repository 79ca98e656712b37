#pragma once
/* Five-field schedules as in crontab(5). The key table checks them; the timer will run them. */

#include <stdint.h>

struct fault;

/* Sets of values, a bit each. crontab(5): where both days are restricted either may match. */
struct schedule {
    uint64_t minutes, hours, days, months, weekdays; /* 0-59, 0-23, 1-31, 1-12, 0-6 (Sunday is 0) */
};

/* "0 3 * * *", "0-45/15 8,20 * * mon-fri". -EINVAL or -ERANGE with a sentence. */
int schedule_parse(const char *text, struct schedule *ret_schedule, struct fault *fault);

/* The same, or the letters and the shape of a calendar expression (systemd.time(7)), whose meaning
 * is left to who evaluates it. */
int schedule_check(const char *text, struct fault *fault);
