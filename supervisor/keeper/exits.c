#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"

enum {
    REAPED_A_TURN = 256,   /* so that a fork bomb in a service delays nothing else */
    LAST_MESSAGES = 65536, /* of a manager that ended: more than any queue holds */
    NOBODY_READS = 60000 /* ms after which zombies are reaped untold, so that pids do not run out */
};

/* ---- its own two ---- */

/* The manager's last words are heard before its end is known: they are its own only until then. */
static void reap_own(struct keeper *keeper, struct child *child) {
    siginfo_t info = {0};
    int status;
    if (child->pid == 0 ||
        waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
        return;
    if (child == &keeper->manager)
        receive(keeper, LAST_MESSAGES);
    if (waitpid(child->pid, &status, WNOHANG) == child->pid)
        keeper_child_ended(keeper, child, status);
}

/* ---- all others ---- */

/* Field 22 of /proc/PID/stat; 0 where it cannot be read. */
static uint64_t start_time(pid_t pid) {
    char path[64], stat[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    read_text(path, stat, sizeof stat);
    const char *at = strrchr(stat, ')'); /* field 2 may hold anything */
    for (unsigned field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

static int status_of(const siginfo_t *info) {
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return (info->si_status & 0x7f) | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

/* Looked at while it is a zombie: its number is nobody else's yet. Never half a record: the kernel
 * takes so few bytes whole or not at all. */
static bool tell(const struct keeper *keeper, const siginfo_t *info) {
    struct keeper_exit record = {.pid = info->si_pid,
                                 .wait_status = status_of(info),
                                 .start_time = start_time(info->si_pid)};
    return send(keeper->exits, &record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL) ==
           (ssize_t)sizeof record;
}

/* The next zombie that is neither of the two; one of these ended since then, and its SIGCHLD brings
 * us back. */
static bool find_zombie(const struct keeper *keeper, siginfo_t *ret_info) {
    *ret_info = (siginfo_t){0};
    return waitid(P_ALL, 0, ret_info, WEXITED | WNOHANG | WNOWAIT) == 0 && ret_info->si_pid > 0 &&
           ret_info->si_pid != keeper->manager.pid && ret_info->si_pid != keeper->logd.pid;
}

/* Nobody needs to hear of it, or somebody will. */
static bool is_settled(struct keeper *keeper, const siginfo_t *info) {
    return keeper->phase >= PHASE_KILLING || machine_child_ended(keeper, info->si_pid) ||
           tell(keeper, info);
}

void reap(struct keeper *keeper) {
    bool given_up = keeper->untold_from != NEVER && now() - keeper->untold_from >= NOBODY_READS;
    bool full = false;
    siginfo_t info;
    reap_own(keeper, &keeper->manager);
    reap_own(keeper, &keeper->logd);
    for (unsigned count = 0; !full && count < REAPED_A_TURN; count++) {
        keeper->unreaped = find_zombie(keeper, &info);
        if (!keeper->unreaped)
            break;
        bool settled = is_settled(keeper, &info);
        full = !settled && !given_up;
        keeper->untold += !settled && given_up;
        if (!full)
            waitpid(info.si_pid, NULL, WNOHANG);
    }
    if (full && keeper->untold_from == NEVER)
        keeper->untold_from = now();
    if (!full && !(given_up && keeper->unreaped)) /* who gave up does so to the last one */
        keeper->untold_from = NEVER;
    if (keeper->untold && !keeper->unreaped) {
        say("how %u processes ended is lost: no manager has asked for a minute", keeper->untold);
        keeper->untold = 0;
    }
}

uint64_t reap_due(const struct keeper *keeper) {
    if (keeper->untold_from != NEVER)
        return keeper->untold_from + NOBODY_READS;
    return keeper->unreaped ? 0 : NEVER;
}

/* ---- the last resort ---- */

/* Numbers, each with a blank behind it; of very many some, and the others when these are gone. */
unsigned children_kill(pid_t spared) {
    char path[64], pids[4096], *end = NULL;
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    if (read_text(path, pids, sizeof pids) == 0 && access(path, F_OK) < 0)
        say("cannot tell who is left: the kernel has no CONFIG_PROC_CHILDREN");
    for (const char *at = pids; *at; at = end) {
        pid_t pid = (pid_t)strtol(at, &end, 10);
        if (*end++ != ' ')
            break; /* cut in the middle */
        if (pid == spared)
            continue;
        kill(pid, SIGKILL);
        count++;
    }
    return count;
}
