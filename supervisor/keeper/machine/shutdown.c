#include "supervisor/keeper/machine/shutdown.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/keeper/machine/console.h"
#include "supervisor/keeper/machine/unmount.h"
#include "supervisor/keeper/machine/watchdog.h"
#include "supervisor/keeper/plain.h"
#include "units/base/scoped.h"

enum {
    GRACE = 5000, /* ms that what is no service has to end, and what is killed to be gone */
    GRACE_BY_FORCE = 1000,
    PATIENCE = 40000,        /* ms without any progress: the kernel itself gives a disk 30 s */
    PATIENCE_LITTLE = 10000, /* by force, and once a disk has not answered */
    INSIST_WITHIN = 2000,    /* ms in which a second Ctrl-Alt-Del means at once */
    NAMED_MOST = 4,          /* who is killed */
    BREATH = 20,             /* ms between two looks */
    REAPED_A_BREATH = 1000
};

static const struct {
    const char *word;
    int command;
} endings[] = {
    [ENDING_POWEROFF] = {"poweroff", RB_POWER_OFF},
    [ENDING_REBOOT] = {"reboot", RB_AUTOBOOT},
    [ENDING_HALT] = {"halt", (int)RB_HALT_SYSTEM},
};
static_assert(ELEMENTS(endings) == ENDING_HALT + 1, "a row for each ending");

const char *ending_word(enum ending ending) {
    return endings[ending].word;
}

bool shutdown_insists(uint64_t *interrupted) {
    uint64_t before = *interrupted;
    *interrupted = now();
    return before && *interrupted - before <= INSIST_WITHIN;
}

/* Nobody reads signals any more; this one waits for us, for it is blocked. */
static void breathe(struct shutdown *shutdown) {
    const struct timespec breath = {.tv_nsec = BREATH * 1000000L};
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    watchdog_feed(shutdown->watchdog);
    if (sigtimedwait(&interrupt, NULL, &breath) == SIGINT &&
        shutdown_insists(&shutdown->interrupted) && !shutdown->force) {
        console_say("ringfence: %s, by force", ending_word(shutdown->ending));
        shutdown->force = true;
    }
}

/* ---- processes ---- */

/* Reaps until there is nobody left, or the time is up, be they born as fast as they are reaped. A
 * process that is not our child has a parent that ends as well, and becomes one. */
static bool await_all(struct shutdown *shutdown, unsigned grace, unsigned grace_by_force) {
    uint64_t begun = now();
    for (; now() - begun < (shutdown->force ? grace_by_force : grace); breathe(shutdown)) {
        pid_t pid = 1;
        for (unsigned count = 0; pid > 0 && count < REAPED_A_BREATH; count++)
            pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD)
            return true;
    }
    return false;
}

/* Its name is its own choice, and goes to a terminal. */
static void read_name(long pid, char *ret_name, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    size_t length = read_text(path, ret_name, size);
    if (length > 0 && ret_name[length - 1] == '\n')
        ret_name[length - 1] = '\0';
    for (char *at = ret_name; *at; at++)
        *at = *at < ' ' || *at > '~' ? '?' : *at;
}

/* ": sh (123), dd (124) and others": children of ours; whose parent lives on goes with that one. */
static void say_who_is_killed(void) {
    char path[64], pids[4096], names[NAMED_MOST * 64] = "", name[32], *end;
    size_t length = 0, count = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    read_text(path, pids, sizeof pids); /* "": there is no CONFIG_PROC_CHILDREN */
    for (const char *at = pids; *at && count <= NAMED_MOST; at = end + 1) {
        long pid = strtol(at, &end, 10);
        if (end == at || *end != ' ')
            break;
        read_name(pid, name, sizeof name);
        if (count++ == NAMED_MOST)
            snprintf(names + length, sizeof names - length, " and others");
        else if (*name)
            length += (size_t)snprintf(names + length, sizeof names - length, "%s%s (%ld)",
                                       length ? ", " : ": ", name, pid);
    }
    console_say("ringfence: some processes do not end and are killed%s", names);
}

void shutdown_processes(struct shutdown *shutdown) {
    kill(-1, SIGTERM);
    kill(-1, SIGCONT); /* who is stopped hears nothing */
    if (await_all(shutdown, GRACE, GRACE_BY_FORCE))
        return;
    say_who_is_killed();
    kill(-1, SIGKILL);
    await_all(shutdown, GRACE, GRACE);
}

/* ---- disks ---- */

/* Kilobytes that are on their way to a disk; 0 where that cannot be told. */
static unsigned long unwritten(void) {
    static const char *const rows[] = {"\nDirty:", "\nWriteback:"};
    char text[4096];
    unsigned long sum = 0;
    read_text("/proc/meminfo", text, sizeof text);
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        const char *row = strstr(text, rows[i]);
        sum += row ? strtoul(row + strlen(rows[i]), NULL, 10) : 0;
    }
    return sum;
}

static void write_all(struct unmounting *unmounting) {
    (void)unmounting;
    sync();
}

/* In a process of its own: one that waits for hardware cannot be interrupted, only left behind. A
 * slow disk gets all the time that it needs, one that gets nothing done does not. */
static bool run_limited(void (*task)(struct unmounting *), struct unmounting *unmounting,
                        unsigned patience, struct shutdown *shutdown) {
    unsigned long least = ULONG_MAX;
    unsigned steps = unmounting->steps;
    uint64_t progress = now();
    pid_t pid = fork(), ended = 0;
    if (pid < 0)
        task(unmounting); /* no memory for a process: it has to do */
    if (pid == 0) {
        task(unmounting);
        _exit(0);
    }
    for (; pid > 0 && ended != pid; breathe(shutdown)) {
        unsigned long left = unwritten();
        if (left < least || unmounting->steps != steps)
            progress = now();
        else if (now() - progress >= (shutdown->force ? PATIENCE_LITTLE : patience))
            return false;
        least = left < least ? left : least;
        steps = unmounting->steps;
        ended = waitpid(pid, NULL, WNOHANG);
    }
    return true;
}

/* A process for each that hangs; the last one does the rest. */
static void unmount_limited(struct unmounting *unmounting, unsigned patience,
                            struct shutdown *shutdown) {
    while (!run_limited(unmount_all, unmounting, patience, shutdown)) {
        bool known = unmounting->at[0] && unmounting->stuck_count < STUCK_MOST;
        console_say("ringfence: %s does not let go; going on without it",
                    known ? unmounting->at : "a file system");
        if (!known)
            return;
        memcpy(unmounting->stuck[unmounting->stuck_count++], unmounting->at, PATH_MAX);
        patience = PATIENCE_LITTLE;
    }
}

void shutdown_disks(struct shutdown *shutdown) {
    static struct unmounting lonely;
    unsigned patience = PATIENCE;
    struct unmounting *unmounting =
        mmap(NULL, sizeof *unmounting, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (unmounting == MAP_FAILED)
        unmounting = &lonely; /* then whom it hangs on is not known */
    console_say("ringfence: writing everything to the disks");
    if (!run_limited(write_all, unmounting, patience, shutdown)) {
        console_say("ringfence: a disk does not answer; going on without it");
        patience = PATIENCE_LITTLE;
    }
    unmount_limited(unmounting, patience, shutdown);
}

/* ---- the last call ---- */

/* Where the hardware cannot do it, the kernel ends the caller: which must not be PID 1. */
void shutdown_reboot(const struct shutdown *shutdown) {
    enum ending ending = shutdown->ending;
    /* It would not let a halted machine stay so, and a kernel that cannot switch this one off halts
     * it. One that hangs in there has clean disks and waits for a hand; to be started again is what
     * nobody wanted, least of all where the power is about to go. */
    if (ending == ENDING_REBOOT)
        watchdog_feed(shutdown->watchdog);
    else
        watchdog_arm(shutdown->watchdog, 0);
    pid_t pid = fork();
    if (pid > 0) {
        waitpid(pid, NULL, 0);
        return;
    }
    reboot(endings[ending].command);
    console_say("ringfence: cannot %s: %s", endings[ending].word, strerror(errno));
    if (pid == 0)
        _exit(0);
}
