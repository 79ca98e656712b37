#pragma once
/* The manager's own log: a line on standard error for each thing worth knowing. */

#include <stdarg.h>

/* Numbers of syslog(3). */
enum log_level {
    LEVEL_ERROR = 3,
    LEVEL_WARNING = 4,
    LEVEL_NOTICE = 5,
    LEVEL_INFO = 6,
    LEVEL_DEBUG = 7
};

/* The number of a word such as "warning", or -ENOENT. */
int log_level_parse(const char *word);

/* Lines above the level are dropped; "<6>" is put before each where standard error is a journal or
 * the kernel's log. */
void log_open(enum log_level most);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
