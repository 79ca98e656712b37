#pragma once
/* The screen or line in front of which a person sits when the machine boots or ends. */

#include <sys/types.h>

/* One line on /dev/console, whatever standard error is; lost where nobody can read it. */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Starts a program on the console, in a session of its own whose terminal that is. -errno. */
pid_t console_run(const char *program);
