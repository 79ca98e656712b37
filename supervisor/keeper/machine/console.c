#include "supervisor/keeper/machine/console.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "supervisor/keeper/plain.h"
#include "units/base/scoped.h"

#define CONSOLE "/dev/console"

void console_say(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 2, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    length = length < (int)sizeof line - 3 ? length : (int)sizeof line - 3;
    memcpy(line + length, "\r\n", 2);
    /* Opened anew each time: a line that hung up would give errors for ever. Never blocks: nobody
     * may be there to let the line go on. */
    scoped_fd int fd = open(CONSOLE, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && write(fd, line, (size_t)length + 2) < 0)
        return;
}

/* What whoever used it last may have left. */
static void make_sane(int fd) {
    struct termios settings;
    if (tcgetattr(fd, &settings) < 0)
        return;
    settings.c_iflag |= BRKINT | ICRNL | IXON;
    settings.c_iflag &= (tcflag_t) ~(IGNBRK | INLCR | IGNCR | IXOFF);
    settings.c_oflag |= OPOST | ONLCR;
    settings.c_cflag |= CREAD | CLOCAL;
    settings.c_lflag |= ISIG | ICANON | ECHO | ECHOE | ECHOK | IEXTEN;
    settings.c_lflag &= (tcflag_t) ~(TOSTOP | NOFLSH);
    tcsetattr(fd, TCSANOW, &settings);
}

static _Noreturn void become(const char *program) {
    const char *slash = strrchr(program, '/');
    char name[64];
    char *const arguments[] = {name, NULL};
    sigset_t none;
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : program);
    sigemptyset(&none);
    signals_restore();
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    int fd = open(CONSOLE, O_RDWR | O_APPEND | O_NOCTTY);
    if (fd >= 0) {
        make_sane(fd);
        ioctl(fd, TIOCSCTTY, 1); /* 1: taken from whoever has it */
        for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
            dup2(fd, stream);
        if (fd > STDERR_FILENO)
            close(fd);
    }
    execv(program, arguments);
    say("cannot run \"%s\": %s", program, strerror(errno));
    _exit(127);
}

pid_t console_run(const char *program) {
    pid_t pid = fork();
    if (pid == 0)
        become(program);
    return pid < 0 ? -errno : pid;
}
