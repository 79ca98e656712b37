#include "supervisor/keeper/plain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "units/base/line.h"
#include "units/base/scoped.h"

/* ---- the time ---- */

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

void note_time(const char *variable) {
    struct timespec time;
    char text[24];
    clock_gettime(CLOCK_BOOTTIME, &time);
    snprintf(text, sizeof text, "%lld", (long long)time.tv_sec * 1000000 + time.tv_nsec / 1000);
    if (setenv(variable, text, 0) < 0)
        say("cannot note the time: %s", strerror(errno));
}

/* ---- words ---- */

/* musl has no sigabbrev_np. */
static const char *const signal_names[] = {
    [SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",       [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL",
    [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT",     [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",
    [SIGKILL] = "SIGKILL", [SIGUSR1] = "SIGUSR1",     [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
    [SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM",     [SIGTERM] = "SIGTERM", [SIGXCPU] = "SIGXCPU",
    [SIGXFSZ] = "SIGXFSZ", [SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF", [SIGIO] = "SIGIO",
    [SIGPWR] = "SIGPWR",   [SIGSYS] = "SIGSYS",       [SIGSTOP] = "SIGSTOP",
};

void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    line_say("ringfenced", format, arguments);
    va_end(arguments);
}

void signal_describe(int signal, char *ret_text, size_t size) {
    if ((size_t)signal < ELEMENTS(signal_names) && signal_names[signal])
        snprintf(ret_text, size, "%s", signal_names[signal]);
    else
        snprintf(ret_text, size, "signal %d", signal);
}

void status_describe(int wait_status, char *ret_text, size_t size) {
    char name[32];
    if (WIFEXITED(wait_status)) {
        snprintf(ret_text, size, "exit status %d", WEXITSTATUS(wait_status));
        return;
    }
    signal_describe(WTERMSIG(wait_status), name, sizeof name);
    snprintf(ret_text, size, "%s%s", name, WCOREDUMP(wait_status) ? " (core dumped)" : "");
}

/* ---- files of the kernel ---- */

size_t read_text(const char *path, char *ret_text, size_t size) {
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, ret_text, size - 1);
    size_t end = length > 0 ? (size_t)length : 0;
    ret_text[end] = '\0';
    return end;
}

void write_text(const char *path, const char *text) {
    scoped_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        return;
}

int make_directories(const char *path) {
    char part[PATH_MAX];
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return -ENAMETOOLONG;
    for (char *end = part; *end;) {
        end += 1 + strcspn(end + 1, "/");
        char rest = *end;
        *end = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -errno;
        *end = rest;
    }
    return 0;
}

/* ---- between fork and exec ---- */

void signals_restore(void) {
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &usual, NULL);
}
