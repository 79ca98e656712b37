#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "supervisor/keeper/keeper.h"

enum {
    LAST_MESSAGES = 65536, /* of a manager that ended: more than any queue holds */
    NOBODY_READS = 60000 /* ms after which zombies are reaped untold, so that pids do not run out */
};

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
                                 .start_time = process_field(info->si_pid, 22)};
    return send(keeper->exits, &record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL) ==
           (ssize_t)sizeof record;
}

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

static void wait_for_reader(struct keeper *keeper) {
    if (keeper->untold_from == NEVER)
        keeper->untold_from = now();
    keeper_listen(keeper, keeper->exits, POLLOUT);
}

void reap(struct keeper *keeper) {
    unsigned untold = 0;
    reap_own(keeper, &keeper->manager);
    reap_own(keeper, &keeper->logd);
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            break;
        if (info.si_pid == keeper->manager.pid || info.si_pid == keeper->logd.pid)
            break; /* it ended since; its SIGCHLD brings us back */
        if (keeper->phase < PHASE_KILLING && !machine_child_ended(keeper, info.si_pid) &&
            !tell(keeper, &info)) {
            if (now() < reap_deadline(keeper)) {
                wait_for_reader(keeper);
                return;
            }
            untold++;
        }
        waitpid(info.si_pid, NULL, WNOHANG);
    }
    keeper->untold_from = NEVER;
    keeper_listen(keeper, keeper->exits, 0);
    if (untold)
        say("how %u processes ended is lost: no manager has asked for a minute", untold);
}

uint64_t reap_deadline(const struct keeper *keeper) {
    return keeper->untold_from == NEVER ? NEVER : keeper->untold_from + NOBODY_READS;
}
