#include "supervisor/log.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "units/base/names.h"

static enum log_level level_most = LEVEL_INFO;
static bool numbered;
static unsigned lost; /* lines, since the last one that was written */

static const char *const level_items[] = {
    [LEVEL_ERROR] = "error", [LEVEL_WARNING] = "warning", [LEVEL_NOTICE] = "notice",
    [LEVEL_INFO] = "info",   [LEVEL_DEBUG] = "debug",
};
static const struct names levels = NAMES(level_items);

int log_level_parse(const char *word) {
    return names_value(&levels, word);
}

/* /dev/kmsg (Documentation/admin-guide/devices.txt), where PID 1 and its children speak. */
static bool is_kernel_log(void) {
    struct stat status;
    return fstat(STDERR_FILENO, &status) == 0 && S_ISCHR(status.st_mode) &&
           status.st_rdev == makedev(1, 11);
}

void log_open(enum log_level most) {
    level_most = most;
    numbered = (getenv("JOURNAL_STREAM") && !isatty(STDERR_FILENO)) || is_kernel_log();
}

/* A full pipe, or Ctrl-S on a terminal, must not hold up the services. /dev/kmsg never waits, but
 * poll(2) of it tells of reading alone. */
static bool is_held_up(void) {
    struct stat file;
    struct pollfd writable = {STDERR_FILENO, POLLOUT, 0};
    bool may_wait = fstat(STDERR_FILENO, &file) == 0 &&
                    (S_ISFIFO(file.st_mode) || S_ISSOCK(file.st_mode) || isatty(STDERR_FILENO));
    return may_wait && poll(&writable, 1, 0) == 0;
}

/* One write, so that lines of several processes do not mix; a dead stderr is no reason to fail. */
static void put(const char *line, size_t length) {
    char gap[80];
    if (is_held_up()) {
        lost++;
        return;
    }
    if (lost) {
        int size = snprintf(gap, sizeof(gap), "%s%u lines are missing here: nobody read them\n",
                            numbered ? "<4>" : "ringfence: ", lost);
        lost = 0;
        if (write(STDERR_FILENO, gap, (size_t)size) < 0)
            return;
    }
    if (write(STDERR_FILENO, line, length) < 0)
        return;
}

void log_line(enum log_level level, const char *format, ...) {
    if (level > level_most)
        return;
    char line[2048];
    int length = numbered ? snprintf(line, sizeof(line), "<%d>", (int)level)
                          : snprintf(line, sizeof(line), "ringfence: ");
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(line + length, sizeof(line) - (size_t)length - 1, format, arguments);
    va_end(arguments);
    if (more < 0)
        return;
    length += more;
    if (length > (int)sizeof(line) - 2)
        length = (int)sizeof(line) - 2;
    for (int i = 0; i < length; i++) /* one thing, one line */
        if (line[i] == '\n')
            line[i] = ' ';
    line[length++] = '\n';
    put(line, (size_t)length);
}
