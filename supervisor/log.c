#include "supervisor/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "units/base/line.h"
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

/* A dead standard error is no reason to fail. */
static void put(const char *line, size_t length) {
    char gap[80];
    int error = 0;
    if (lost) {
        int size = snprintf(gap, sizeof(gap), "%s%u lines are missing here: nobody read them\n",
                            numbered ? "<4>" : "ringfence: ", lost);
        error = line_put(STDERR_FILENO, gap, (size_t)size);
        lost = error == -EAGAIN ? lost : 0;
    }
    if (error != -EAGAIN)
        error = line_put(STDERR_FILENO, line, length);
    lost += error == -EAGAIN;
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
