#pragma once
/* When a timer runs, in either form that people write: five fields as in crontab(5), or a calendar
 * expression as in systemd.time(7). The key table checks schedules; timers run them. */

struct calendar;
struct fault;

/* "0 3 * * *", "0-45/15 8,20 * * mon-fri", "@daily", "Mon *-*-1 03:00", "daily"; all may end in a
 * zone: "0 3 * * * Europe/Berlin". Reads no file. -EINVAL or -ERANGE with a sentence. */
int schedule_parse(const char *text, struct calendar *ret_calendar, struct fault *fault);

/* The same, with its zone opened, ready for calendar_next; calendar_clear ends it. Also the errors
 * of zone_open. */
int schedule_open(const char *text, struct calendar *ret_calendar, struct fault *fault);

/* Whether it can be opened. */
int schedule_check(const char *text, struct fault *fault);
