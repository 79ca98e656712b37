#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"
#include "units/base/line.h"
#include "units/base/scoped.h"

enum { DELAY_LEAST = 100, DELAY_MOST = 10000, LIFE_THAT_RESETS = 1000 };

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
    line_put(STDERR_FILENO, line, length); /* who does not read is told nothing */
}

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

/* What the manager alone gets: all that its predecessor stored. */
static int hand_over(const struct keeper *keeper) {
    char period[32];
    fcntl(KEEPER_EXITS, F_SETFD, 0);
    fcntl(KEEPER_NAMES, F_SETFD, 0);
    store_hand_over(&keeper->store, true);
    snprintf(period, sizeof period, "%llu", (unsigned long long)keeper->watchdog * 1000);
    int error = setenv("RINGFENCE_KEEPER", "1", 1);
    if (!error && keeper->watchdog)
        error = setenv("RINGFENCE_WATCHDOG_USEC", period, 1);
    return error;
}

/* From a read-only mount of its own, so that nobody who finds it in /proc/PID/exe from within a
 * container can write to the program (CVE-2019-5736). A manager that was not begun so begins itself
 * anew, and its libraries are linked once more. Returns where that cannot be. */
static void exec_sealed(const struct child *child) {
    struct mount_attr sealed = {.attr_set = MOUNT_ATTR_RDONLY};
    long tree = syscall(SYS_open_tree, AT_FDCWD, child->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree >= 0 &&
        syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &sealed, sizeof sealed) == 0)
        syscall(SYS_execveat, tree, "", child->arguments, environ, AT_EMPTY_PATH);
}

/* Between fork and exec. A session of its own keeps Ctrl-C on the terminal from children: only the
 * keeper is told, and tells them in the right order. The signals that both read stay blocked: what
 * they are told before they read is not lost, nor their death. */
static _Noreturn void become(const struct keeper *keeper, const struct child *child, pid_t parent) {
    sigset_t read;
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction usual = {.sa_handler = SIG_DFL};
        sigaction(signal, &usual, NULL);
    }
    sigemptyset(&read);
    sigaddset(&read, SIGCHLD);
    sigaddset(&read, SIGTERM);
    sigaddset(&read, SIGINT);
    sigaddset(&read, SIGHUP);
    sigprocmask(SIG_SETMASK, &read, NULL);
    setsid();
    prctl(PR_SET_PDEATHSIG, child->death_signal);
    if (getppid() != parent)
        _exit(EXIT_FAILURE); /* the keeper died before the prctl */
    int null = open("/dev/null", O_RDONLY);
    if (null > STDIN_FILENO) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
    int error = setenv("NOTIFY_SOCKET", keeper->address.sun_path, 1);
    if (!error && child == &keeper->manager)
        error = hand_over(keeper);
    if (!error && child == &keeper->manager)
        exec_sealed(child);
    if (!error)
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

/* Anew for each manager: what it finds there does not change while it lives. */
static int write_names(const struct keeper *keeper) {
    if (ftruncate(KEEPER_NAMES, 0) < 0 || lseek(KEEPER_NAMES, 0, SEEK_SET) < 0)
        return -errno;
    return store_write(&keeper->store, KEEPER_NAMES, "");
}

/* A keeper that crashes before it has noted the pid of its new child would start another: the child
 * goes on when it is told to, and ends when the pipe is closed, as exec closes it. */
static int fork_noted(struct keeper *keeper, struct child *child) {
    scoped_fd int hold = -EBADF, release = -EBADF;
    pid_t parent = getpid();
    int pipe_ends[2];
    char byte = 0;
    if (pipe2(pipe_ends, O_CLOEXEC) < 0)
        return -errno;
    hold = pipe_ends[0];
    release = pipe_ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        release = close_fd(release);
        if (read(hold, &byte, 1) != 1)
            _exit(EXIT_FAILURE);
        become(keeper, child, parent);
    }
    child->pid = pid;
    return write(release, &byte, 1) == 1 ? 0 : -errno;
}

void child_start(struct keeper *keeper, struct child *child) {
    int error = child_find(child);
    child->started = now();
    child->starts++;
    child->asked = false;
    child->limit = NEVER;
    if (!error && child == &keeper->manager)
        error = write_names(keeper);
    if (!error)
        error = fork_noted(keeper, child);
    if (!error || child->pid > 0)
        return; /* a child that was not released ends, and is started again */
    schedule(child);
    say("cannot start %s: %s; trying again in %u ms", child->name, strerror(-error), child->delay);
}

void child_limit(struct child *child, unsigned milliseconds) {
    child->patience = milliseconds;
    child->limit = now() + milliseconds;
}

void child_signal(const struct child *child, int signal) {
    if (child->pid > 0)
        kill(child->pid, signal);
}

void signal_describe(int signal, char *ret_text, size_t size) {
    if ((size_t)signal < ELEMENTS(signal_names) && signal_names[signal])
        snprintf(ret_text, size, "%s", signal_names[signal]);
    else
        snprintf(ret_text, size, "signal %d", signal);
}

void child_describe_status(int wait_status, char *ret_text, size_t size) {
    char name[32];
    if (WIFEXITED(wait_status)) {
        snprintf(ret_text, size, "exit status %d", WEXITSTATUS(wait_status));
        return;
    }
    signal_describe(WTERMSIG(wait_status), name, sizeof name);
    snprintf(ret_text, size, "%s%s", name, WCOREDUMP(wait_status) ? " (core dumped)" : "");
}

void child_ended(struct child *child, int wait_status, bool again) {
    char how[64];
    pid_t pid = child->pid;
    child_describe_status(wait_status, how, sizeof how);
    child->pid = 0;
    child->limit = NEVER;
    if (again && child->asked) {
        child->due = 0;
    } else if (again) {
        schedule(child);
        say("%s (pid %d) ended by itself: %s; starting it again in %u ms", child->name, (int)pid,
            how, child->delay);
    } else if (wait_status != 0) {
        say("%s (pid %d) ended: %s", child->name, (int)pid, how);
    }
}

uint64_t process_field(pid_t pid, unsigned field) {
    char path[64], stat[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, stat, sizeof stat - 1);
    if (length <= 0)
        return 0;
    stat[length] = '\0';
    const char *at = strrchr(stat, ')'); /* field 2 may hold anything */
    for (unsigned i = 2; at && i < field; i++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

/* As of getdents64(2); readdir(3) would allocate. */
struct entry {
    uint64_t inode, offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

unsigned children_kill(pid_t spared) {
    _Alignas(struct entry) char entries[4096];
    scoped_fd int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unsigned count = 0;
    for (long length; (length = syscall(SYS_getdents64, proc, entries, sizeof entries)) > 0;) {
        const struct entry *entry;
        for (const char *at = entries; at < entries + length; at += entry->length) {
            entry = (const struct entry *)(const void *)at;
            pid_t pid = (pid_t)strtol(entry->name, NULL, 10);
            if (pid <= 0 || pid == spared || (pid_t)process_field(pid, 4) != getpid())
                continue;
            kill(pid, SIGKILL);
            count++;
        }
    }
    return count;
}
