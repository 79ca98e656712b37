/* One keeper after another in the same process: exec keeps the pid, the children and the open
 * files; all else is written to a file in memory (KEEPER_STATE), a line for each row of the table
 * below and for each descriptor of the store. Rows are only ever added and never change their
 * meaning, so that either of two versions can follow the other: a row that is missing leaves what a
 * fresh keeper has, one that is unknown is passed over. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"
#include "units/base/scoped.h"

enum {
    STATE_VERSION = 1,
    TRIAL = 5000,            /* ms that a new program has to tell its version */
    CRASHES_MOST = 5,        /* in a row */
    CRASH_FORGOTTEN = 10000, /* ms without another after which it was no row */
    STACK_BYTES = 64 * 1024  /* of the handler, which may be there because the other one is full */
};

static const char magic[] = "ringfenced-state ";

/* ---- the table ---- */

enum kind { KIND_NUMBER, KIND_TIME, KIND_FLAG, KIND_PATH, KIND_DESCRIPTOR };

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
};

#define ROW(kind, member)                                                                          \
    { #member, KIND_##kind, offsetof(struct keeper, member) }
#define CHILD(child)                                                                               \
    ROW(NUMBER, child.pid), ROW(NUMBER, child.starts), ROW(TIME, child.started),                   \
        ROW(TIME, child.due), ROW(NUMBER, child.delay), ROW(FLAG, child.asked),                    \
        ROW(TIME, child.limit), ROW(NUMBER, child.patience)

static const struct row rows[] = {
    ROW(NUMBER, phase),
    ROW(NUMBER, exit_code),
    CHILD(manager),
    CHILD(logd),
    ROW(FLAG, ready),
    ROW(FLAG, was_ready),
    ROW(FLAG, replacing),
    ROW(NUMBER, unready),
    ROW(NUMBER, stops),
    ROW(NUMBER, watchdog),
    ROW(TIME, deadline),
    ROW(NUMBER, crashes),
    ROW(NUMBER, crash_signal),
    ROW(TIME, crashed),
    ROW(DESCRIPTOR, lock),
    ROW(DESCRIPTOR, notifications),
    ROW(DESCRIPTOR, exits),
    ROW(PATH, self),
    ROW(NUMBER, machine.ending),
    ROW(NUMBER, machine.rescue),
    ROW(NUMBER, machine.deaths),
};

/* int, unsigned, enum and pid_t alike. */
static_assert(sizeof(pid_t) == sizeof(int) && sizeof(enum phase) == sizeof(int), "KIND_NUMBER");

static void *member(const struct keeper *keeper, const struct row *row) {
    return (char *)keeper + row->offset;
}

/* ---- writing ---- */

static size_t print(const struct keeper *keeper, const struct row *row, char *text, size_t size) {
    const void *value = member(keeper, row);
    switch (row->kind) {
    case KIND_NUMBER:
    case KIND_DESCRIPTOR:
        return (size_t)snprintf(text, size, "%s %d\n", row->name, *(const int *)value);
    case KIND_TIME:
        return (size_t)snprintf(text, size, "%s %llu\n", row->name,
                                (unsigned long long)*(const uint64_t *)value);
    case KIND_FLAG:
        return (size_t)snprintf(text, size, "%s %d\n", row->name, *(const bool *)value);
    case KIND_PATH:
        return (size_t)snprintf(text, size, "%s %s\n", row->name, (const char *)value);
    }
    return 0;
}

/* Called by a signal handler too: no allocation, no lock. */
int resume_save(struct keeper *keeper) {
    static char text[PATH_MAX + ELEMENTS(rows) * 64];
    size_t length =
        (size_t)snprintf(text, sizeof text, "%s%d %s\n", magic, STATE_VERSION, RINGFENCE_VERSION);
    for (size_t i = 0; i < ELEMENTS(rows) && length < sizeof text; i++)
        length += print(keeper, &rows[i], text + length, sizeof text - length);
    if (length >= sizeof text)
        return -ENOSPC;
    if (ftruncate(KEEPER_STATE, 0) < 0 || lseek(KEEPER_STATE, 0, SEEK_SET) < 0 ||
        write(KEEPER_STATE, text, length) != (ssize_t)length)
        return -errno;
    return store_write(&keeper->store, KEEPER_STATE, "fd ");
}

static void hand_over(const struct keeper *keeper, bool handed_over) {
    int flag = handed_over ? 0 : FD_CLOEXEC;
    for (int fd = KEEPER_EXITS; fd <= KEEPER_STATE; fd++)
        fcntl(fd, F_SETFD, flag);
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        if (rows[i].kind == KIND_DESCRIPTOR)
            fcntl(*(const int *)member(keeper, &rows[i]), F_SETFD, flag);
    store_hand_over(&keeper->store, handed_over);
}

/* ---- reading ---- */

static void parse(struct keeper *keeper, const struct row *row, const char *text) {
    void *value = member(keeper, row);
    switch (row->kind) {
    case KIND_NUMBER:
    case KIND_DESCRIPTOR:
        *(int *)value = (int)strtol(text, NULL, 10);
        break;
    case KIND_TIME:
        *(uint64_t *)value = strtoull(text, NULL, 10);
        break;
    case KIND_FLAG:
        *(bool *)value = *text == '1';
        break;
    case KIND_PATH:
        snprintf(value, PATH_MAX, "%s", text);
        break;
    }
}

static void take_stored(struct keeper *keeper, char *text) {
    char *name = NULL;
    int fd = (int)strtol(text, &name, 10);
    if (*name != ' ' || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        say("the descriptor \"%s\" is lost", text);
    else if (store_add(&keeper->store, name + 1, &fd, 1) < 0)
        close_fd(fd);
}

static void take_line(struct keeper *keeper, char *line) {
    char *value = strchr(line, ' ');
    if (!value)
        return;
    *value++ = '\0';
    if (strcmp(line, "fd") == 0)
        take_stored(keeper, value);
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        if (strcmp(line, rows[i].name) == 0)
            parse(keeper, &rows[i], value);
}

static int take_lines(struct keeper *keeper, const char *text, size_t size) {
    char line[PATH_MAX + 64];
    const char *end = text + size;
    if (size < sizeof magic || memcmp(text, magic, sizeof magic - 1) != 0)
        return -EINVAL;
    for (const char *at = text, *stop; at < end && (stop = memchr(at, '\n', (size_t)(end - at)));
         at = stop + 1) {
        size_t length = (size_t)(stop - at);
        if (length >= sizeof line)
            continue;
        memcpy(line, at, length);
        line[length] = '\0';
        take_line(keeper, line);
    }
    return 0;
}

/* One that is no child of ours any more was reaped by nobody we know: it is started again. */
static void check_child(struct child *child) {
    siginfo_t info;
    if (child->pid > 0 && waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
        say("%s (pid %d) is gone", child->name, (int)child->pid);
        child->pid = 0;
        child->due = 0;
    }
}

/* What the keeper cannot do without. */
static int check(struct keeper *keeper) {
    socklen_t size = sizeof keeper->address;
    hand_over(keeper, false);
    check_child(&keeper->manager);
    check_child(&keeper->logd);
    if (getsockname(keeper->notifications, (struct sockaddr *)&keeper->address, &size) < 0 ||
        fcntl(keeper->exits, F_GETFD) < 0 || fcntl(keeper->lock, F_GETFD) < 0 ||
        fcntl(KEEPER_EXITS, F_GETFD) < 0 || fcntl(KEEPER_NAMES, F_GETFD) < 0)
        return -errno;
    return 0;
}

/* All that may have been read of a state that turned out to be none. */
static void forget(struct keeper *keeper) {
    static const size_t sizes[] = {[KIND_NUMBER] = sizeof(int),
                                   [KIND_TIME] = sizeof(uint64_t),
                                   [KIND_FLAG] = sizeof(bool),
                                   [KIND_PATH] = PATH_MAX,
                                   [KIND_DESCRIPTOR] = sizeof(int)};
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        memset(member(keeper, &rows[i]), 0, sizes[rows[i].kind]);
    keeper->store.length = keeper->store.count = 0;
}

int resume_read(struct keeper *keeper) {
    struct stat file = {0};
    void *text = MAP_FAILED;
    if (fstat(KEEPER_STATE, &file) == 0 && file.st_size > 0)
        text = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_SHARED, KEEPER_STATE, 0);
    int error = text == MAP_FAILED ? -EINVAL : take_lines(keeper, text, (size_t)file.st_size);
    if (text != MAP_FAILED)
        munmap(text, (size_t)file.st_size);
    if (!error)
        error = check(keeper);
    if (error) {
        say("the state of a predecessor cannot be taken over: %s", strerror(-error));
        forget(keeper);
    }
    return error;
}

/* ---- becoming another program ---- */

/* Whether the program on disk runs and knows how to go on: there is no way back once it is us. */
static bool try_program(const struct keeper *keeper) {
    int status = 0;
    uint64_t end = now() + TRIAL;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        if (null >= 0)
            dup2(null, STDOUT_FILENO);
        execl(keeper->self, keeper->self, "--resume", "--version", NULL);
        say("cannot run \"%s\": %s", keeper->self, strerror(errno));
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
        if (now() >= end)
            kill(pid, SIGKILL);
        poll(NULL, 0, 5);
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void resume_replace(struct keeper *keeper) {
    int error = 0;
    if (!try_program(keeper)) {
        say("\"%s\" does not tell its version and is not what I become", keeper->self);
        return;
    }
    error = resume_save(keeper);
    if (!error) {
        hand_over(keeper, true);
        execv(keeper->self, keeper->arguments);
        error = -errno;
        hand_over(keeper, false);
    }
    say("cannot become \"%s\": %s", keeper->self, strerror(-error));
}

/* ---- crashes ---- */

/* Of the handler below, which is told nothing but the signal. */
static struct keeper *crashing;
static pid_t crashing_pid;

/* Nobody is to be left without a parent that reaps: a PID 1 that ends takes the kernel with it. */
static _Noreturn void give_up(int number) {
    if (crashing->may_end || getpid() != crashing_pid) {
        signal(number, SIG_DFL);
        raise(number);
        _exit(128 + number);
    }
    say("I give up, but reap; nothing that ends is started again");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        sigwaitinfo(&set, NULL);
    }
}

static void crash(int number) {
    struct keeper *keeper = crashing;
    if (getpid() != crashing_pid) /* a child that has not become another program yet */
        give_up(number);
    if (now() - keeper->crashed >= CRASH_FORGOTTEN)
        keeper->crashes = 0;
    keeper->crashes++;
    keeper->crashed = now();
    keeper->crash_signal = number;
    if (keeper->crashes <= CRASHES_MOST && resume_save(keeper) == 0) {
        hand_over(keeper, true);
        execv("/proc/self/exe", keeper->arguments); /* the one on disk may be another by now */
        execv(keeper->self, keeper->arguments);
    }
    give_up(number);
}

void resume_catch_crashes(struct keeper *keeper) {
    static _Alignas(16) char stack[STACK_BYTES];
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    const stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    char name[32];
    crashing = keeper;
    crashing_pid = getpid();
    if (keeper->crash_signal) {
        signal_describe(keeper->crash_signal, name, sizeof name);
        say("goes on after %s (%u of %d in a row)", name, keeper->crashes, CRASHES_MOST);
        keeper->crash_signal = 0;
    }
    sigaltstack(&other, NULL);
    for (size_t i = 0; i < ELEMENTS(signals); i++)
        sigaction(signals[i], &action, NULL);
}
