#pragma once
/* One line for whoever reads a descriptor, without ever waiting for him: the keeper, the manager
 * and the logger speak so on their standard errors. With another libc too, hence all of it is here.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "units/base/scoped.h"

/* A full pipe, or Ctrl-S on a terminal, must not hold us up as well; but what we were started with
 * is open elsewhere too, and not ours to be made non-blocking. So a pipe or a terminal is opened
 * anew, and a socket, which cannot be, is asked for this one call. One write, so that lines of
 * several processes do not mix. -EAGAIN: nobody reads. */
static inline int line_put(int fd, const char *line, size_t length) {
    struct stat file;
    ssize_t written;
    if (fstat(fd, &file) < 0)
        return -errno;
    if (S_ISSOCK(file.st_mode)) {
        written = send(fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (S_ISFIFO(file.st_mode) || isatty(fd)) {
        char path[32];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        scoped_fd int own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        struct pollfd room = {fd, POLLOUT, 0};
        if (own < 0 && poll(&room, 1, 0) == 0) /* without /proc the next best */
            return -EAGAIN;
        written = write(own < 0 ? fd : own, line, length);
    } else {
        written = write(fd, line, length);
    }
    return written < 0 ? -errno : 0;
}

/* "PROGRAM: " and a sentence on standard error, cut where it is longer than that; who does not read
 * is told nothing. */
static inline void line_say(const char *program, const char *format, va_list arguments) {
    char line[1280];
    size_t length = (size_t)snprintf(line, sizeof line, "%s: ", program);
    vsnprintf(line + length, sizeof line - length - 1, format, arguments);
    length = strlen(line);
    line[length++] = '\n';
    line_put(STDERR_FILENO, line, length);
}
