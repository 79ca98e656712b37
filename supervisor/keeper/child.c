#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"
#include "units/base/scoped.h"

enum { DELAY_LEAST = 100, DELAY_MOST = 10000, LIFE_THAT_RESETS = 10000 };

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
    char line[1024] = "ringfenced: ";
    size_t length = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - length - 1, format, arguments);
    va_end(arguments);
    length = strlen(line);
    line[length++] = '\n';
    if (write(STDERR_FILENO, line, length) < 0)
        return; /* there is nobody left to tell */
}

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

int child_find(struct child *child) {
    char self[PATH_MAX] = "";
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = length > 0 ? strrchr(self, '/') : NULL;
    if (slash) {
        *slash = '\0';
        int written = snprintf(child->path, sizeof child->path, "%s/%s", self, child->name);
        if ((size_t)written < sizeof child->path && access(child->path, X_OK) == 0)
            return 0;
    }
    snprintf(child->path, sizeof child->path, "%s/%s", RINGFENCE_LIBEXEC, child->name);
    if (access(child->path, X_OK) == 0)
        return 0;
    say("cannot find the program %s, neither in \"%s\" nor in \"%s\"", child->name, self,
        RINGFENCE_LIBEXEC);
    return -ENOENT;
}

/* Between fork and exec. A session of its own keeps Ctrl-C on the terminal from children: only the
 * keeper is told, and tells them in the right order. */
static _Noreturn void become(const struct child *child, pid_t keeper) {
    sigset_t none;
    sigemptyset(&none);
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction usual = {.sa_handler = SIG_DFL};
        sigaction(signal, &usual, NULL);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    prctl(PR_SET_PDEATHSIG, child->death_signal);
    if (getppid() != keeper)
        _exit(EXIT_FAILURE); /* the keeper died before the prctl */
    int null = open("/dev/null", O_RDONLY);
    if (null > STDIN_FILENO) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
    if (setenv("NOTIFY_SOCKET", child->notify_socket, 1) == 0)
        execv(child->path, child->arguments);
    say("cannot run \"%s\": %s", child->path, strerror(errno));
    _exit(127);
}

/* The next time to try; the delay grows until a life lasted long enough. */
static void schedule(struct child *child) {
    uint64_t lived = now() - child->started;
    if (lived >= LIFE_THAT_RESETS || child->delay == 0)
        child->delay = DELAY_LEAST;
    else
        child->delay = child->delay * 2 < DELAY_MOST ? child->delay * 2 : DELAY_MOST;
    child->due = now() + child->delay;
}

void child_start(struct child *child) {
    pid_t keeper = getpid(), pid = fork();
    if (pid == 0)
        become(child, keeper);
    child->started = now();
    child->starts++;
    if (pid > 0) {
        child->pid = pid;
        return;
    }
    int error = errno;
    schedule(child);
    say("cannot start %s: %s; trying again in %u ms", child->name, strerror(error), child->delay);
}

void child_signal(const struct child *child, int signal) {
    if (child->pid > 0)
        kill(child->pid, signal);
}

void child_describe_status(int wait_status, char *ret_text, size_t size) {
    if (WIFEXITED(wait_status)) {
        snprintf(ret_text, size, "exit status %d", WEXITSTATUS(wait_status));
        return;
    }
    int signal = WTERMSIG(wait_status);
    const char *core = WCOREDUMP(wait_status) ? " (core dumped)" : "";
    if ((size_t)signal < ELEMENTS(signal_names) && signal_names[signal])
        snprintf(ret_text, size, "%s%s", signal_names[signal], core);
    else
        snprintf(ret_text, size, "signal %d%s", signal, core);
}

void child_ended(struct child *child, int wait_status, bool again) {
    char how[64];
    pid_t pid = child->pid;
    child_describe_status(wait_status, how, sizeof how);
    child->pid = 0;
    if (again) {
        schedule(child);
        say("%s (pid %d) ended by itself: %s; starting it again in %u ms", child->name, (int)pid,
            how, child->delay);
    } else if (wait_status != 0) {
        say("%s (pid %d) ended: %s", child->name, (int)pid, how);
    }
}

/* The parent of a process, or 0 where it is gone. The name in parentheses may hold anything. */
static pid_t parent_of(int proc, const char *pid) {
    char path[64], stat[512];
    snprintf(path, sizeof path, "%.32s/stat", pid);
    scoped_fd int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, stat, sizeof stat - 1);
    if (length <= 0)
        return 0;
    stat[length] = '\0';
    const char *behind_name = strrchr(stat, ')');
    return behind_name ? (pid_t)strtol(behind_name + strlen(") S "), NULL, 10) : 0;
}

unsigned children_kill(pid_t spared) {
    unsigned count = 0;
    DIR *proc = opendir("/proc");
    if (!proc)
        return 0;
    for (const struct dirent *entry; (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid <= 0 || pid == spared || parent_of(dirfd(proc), entry->d_name) != getpid())
            continue;
        kill(pid, SIGKILL);
        count++;
    }
    closedir(proc);
    return count;
}
