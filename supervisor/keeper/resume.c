/* One keeper after another in the same process: exec keeps the pid, the children and the open
 * files; all else is written to a file in memory (KEEPER_STATE), a line for each row of the table
 * below and for each descriptor of the store. Rows are only ever added and never change their
 * meaning, so that either of two versions can follow the other: a row that is missing leaves what a
 * fresh keeper has, one that is unknown is passed over. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"
#include "units/base/foreign.h"
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

struct row {
    const char *name;
    size_t offset, size;
};

#define ROW(member)                                                                                \
    { #member, offsetof(struct keeper, member), sizeof((struct keeper *)0)->member }
#define CHILD(child)                                                                               \
    ROW(child.pid), ROW(child.starts), ROW(child.started), ROW(child.due), ROW(child.delay),       \
        ROW(child.asked), ROW(child.killed), ROW(child.limit), ROW(child.patience)

static const struct row rows[] = {
    ROW(phase),          ROW(exit_code),      CHILD(manager),      CHILD(logd),
    ROW(ready),          ROW(replacing),      ROW(unready),        ROW(stops),
    ROW(watchdog),       ROW(deadline),       ROW(crashes),        ROW(crash_signal),
    ROW(crashed),        ROW(lock),           ROW(notifications),  ROW(exits),
    ROW(machine.ending), ROW(machine.rescue), ROW(machine.deaths), ROW(machine.watchdog.seconds),
};

/* bool, uint64_t, or int, unsigned, enum and pid_t alike; none is less than 0 in a keeper that has
 * begun. */
static_assert(sizeof(pid_t) == sizeof(int) && sizeof(enum phase) == sizeof(int), "int");

static uint64_t row_get(const struct keeper *keeper, const struct row *row) {
    const void *member = (const char *)keeper + row->offset;
    if (row->size == sizeof(bool))
        return *(const bool *)member;
    return row->size == sizeof(int) ? *(const unsigned *)member : *(const uint64_t *)member;
}

static void row_set(struct keeper *keeper, const struct row *row, uint64_t value) {
    void *member = (char *)keeper + row->offset;
    if (row->size == sizeof(bool))
        *(bool *)member = value;
    else if (row->size == sizeof(int))
        *(unsigned *)member = (unsigned)value;
    else
        *(uint64_t *)member = value;
}

/* ---- writing ---- */

/* Called by a signal handler too: no allocation, no lock. */
static int save(const struct keeper *keeper) {
    char text[PATH_MAX + ELEMENTS(rows) * 64];
    size_t length = (size_t)snprintf(text, sizeof text, "%s%d %s\nself %s\n", magic, STATE_VERSION,
                                     RINGFENCE_VERSION, keeper->self);
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s %llu\n", rows[i].name,
                                   (unsigned long long)row_get(keeper, &rows[i]));
    if (ftruncate(KEEPER_STATE, 0) < 0 || lseek(KEEPER_STATE, 0, SEEK_SET) < 0 ||
        write(KEEPER_STATE, text, length) != (ssize_t)length)
        return -errno;
    return store_write(&keeper->store, KEEPER_STATE, "fd ");
}

static void hand_over(const struct keeper *keeper, bool handed_over) {
    const int fds[] = {KEEPER_EXITS, KEEPER_NAMES,          KEEPER_STATE,
                       keeper->lock, keeper->notifications, keeper->exits};
    for (size_t i = 0; i < ELEMENTS(fds); i++)
        fcntl(fds[i], F_SETFD, handed_over ? 0 : FD_CLOEXEC);
    store_hand_over(&keeper->store, handed_over);
}

/* ---- reading ---- */

static void take_stored(struct keeper *keeper, char *text) {
    char *name = NULL;
    int fd = (int)strtol(text, &name, 10);
    if (*name != ' ' || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        say("the descriptor \"%s\" is lost", text);
    else if (store_add(&keeper->store, name + 1, &fd, 1) < 0) {
        say("there is no room for the descriptor \"%s\" any more", name + 1);
        foreign_close(&fd, 1);
    }
}

static void take_line(struct keeper *keeper, char *line) {
    char *value = line + strcspn(line, " ");
    line[strcspn(line, "\n")] = '\0';
    if (*value)
        *value++ = '\0';
    if (strcmp(line, "fd") == 0)
        take_stored(keeper, value);
    if (strcmp(line, "self") == 0)
        snprintf(keeper->self, sizeof keeper->self, "%s", value);
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        if (strcmp(line, rows[i].name) == 0)
            row_set(keeper, &rows[i], strtoull(value, NULL, 10));
}

static int take_lines(struct keeper *keeper) {
    char line[PATH_MAX + 64];
    scoped_file FILE *file = fdopen(fcntl(KEEPER_STATE, F_DUPFD_CLOEXEC, KEEPER_STATE), "r");
    if (!file || fseek(file, 0, SEEK_SET) < 0 || !fgets(line, sizeof line, file) ||
        strncmp(line, magic, sizeof magic - 1) != 0)
        return -EINVAL;
    while (fgets(line, sizeof line, file))
        take_line(keeper, line);
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

int resume_read(struct keeper *keeper) {
    int error = take_lines(keeper);
    if (!error)
        error = check(keeper);
    if (error) {
        say("the state of a predecessor cannot be taken over: %s", strerror(-error));
        for (size_t i = 0; i < ELEMENTS(rows); i++)
            row_set(keeper, &rows[i], 0);
        store_forget(&keeper->store);
    }
    return error;
}

/* ---- becoming another program ---- */

/* Whether the program on disk runs and knows how to go on: there is no way back once it is us. */
static bool try_program(const struct keeper *keeper) {
    int status = 0;
    uint64_t end = now() + TRIAL;
    pid_t pid = fork(), ended = 0;
    if (pid == 0) {
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
        execl(keeper->self, keeper->self, "--resume", "--version", NULL);
        say("cannot run \"%s\": %s", keeper->self, strerror(errno));
        _exit(127);
    }
    while (pid > 0 && (ended = waitpid(pid, &status, WNOHANG)) == 0 && now() < end)
        poll(NULL, 0, 5);
    if (pid > 0 && ended == 0)
        kill(pid, SIGKILL); /* not waited for: its disk may not answer; reaped like any other */
    return ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void resume_replace(struct keeper *keeper) {
    if (!try_program(keeper)) {
        say("\"%s\" does not tell its version and is not what I become", keeper->self);
        return;
    }
    int error = save(keeper);
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
        kill(getpid(), number); /* raise(3) may take us for our parent */
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
    if (keeper->crashes <= CRASHES_MOST && save(keeper) == 0) {
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
