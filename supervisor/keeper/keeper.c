/* ringfenced: PID 1, or the subreaper anywhere else. It keeps ringfence-manager and ringfence-logd
 * running, holds what they must not lose, reaps what they leave behind, and can do almost nothing
 * else, so that almost nothing can make it fail. It never allocates once it runs. */

#include "supervisor/keeper/keeper.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "units/base/scoped.h"

enum {
    MESSAGES_A_TURN = 64,  /* so that a child that never stops talking delays nothing else */
    SIGNALS_A_TURN = 16,   /* the same of somebody who never stops signalling */
    LAST_WORDS = 10000,    /* ms that logd has for draining, and killed processes for dying */
    DEATH_THROES = 5000,   /* ms that one that was killed has for dying while all ends */
    STOP_PATIENCE = 90000, /* ms that a manager has for stopping all where it tells no other time */
    STOPS_MOST = 5,        /* managers that may try to */
    UNREADY_PATIENCE = 90000 /* ms between two signs of life of a manager that is not ready */
};

/* ---- the order of the end ---- */

static void end_logd(struct keeper *keeper) {
    if (keeper->logd.pid == 0)
        return;
    keeper->logd.asked = true;
    child_signal(&keeper->logd, SIGTERM);
    child_limit(&keeper->logd, LAST_WORDS);
}

static void begin_draining(struct keeper *keeper) {
    keeper->phase = PHASE_DRAINING;
    end_logd(keeper);
}

static void begin_killing(struct keeper *keeper) {
    say("no manager has stopped the services; what is left is killed");
    keeper->phase = PHASE_KILLING;
    keeper->deadline = now() + LAST_WORDS;
    keeper->exit_code = EXIT_FAILURE;
}

/* A hung one is killed, and its successor goes on. */
static void tell_manager_to_stop(struct keeper *keeper) {
    struct child *manager = &keeper->manager;
    keeper->stops++;
    child_signal(manager, SIGTERM);
    child_limit(manager, manager->killed ? DEATH_THROES : STOP_PATIENCE);
}

void keeper_stop(struct keeper *keeper) {
    if (keeper->phase != PHASE_KEEPING)
        return;
    keeper->phase = PHASE_STOPPING;
    tell_upward(keeper, "STOPPING=1");
    keeper->manager.due = keeper->manager.delay = 0; /* where it is to be started again */
    if (keeper->manager.pid > 0)
        tell_manager_to_stop(keeper);
}

void keeper_stops(struct keeper *keeper) {
    if (keeper->phase != PHASE_KEEPING)
        return;
    keeper->phase = PHASE_STOPPING;
    keeper->stops++;
    child_limit(&keeper->manager, STOP_PATIENCE);
}

/* ---- what ended ---- */

/* The manager saved everything and ended, so that all programs are started anew from the disk. */
static void replace_all(struct keeper *keeper) {
    keeper->ready = keeper->replacing = false;
    end_logd(keeper);
    resume_replace(keeper);
}

/* While it is kept. Services do not need it to go on. */
static void manager_crashed(struct keeper *keeper, int wait_status) {
    char how[64], status[160];
    status_describe(wait_status, how, sizeof how);
    snprintf(status, sizeof status, "STATUS=the manager ended by itself (%s), starting it again",
             how);
    if (keeper->unready > 1)
        snprintf(status, sizeof status,
                 "STATUS=the manager failed %u times before it was ready (%s); services go on",
                 keeper->unready, how);
    if (keeper->unready == 2)
        say("%s failed twice before it was ready; the services go on without it",
            keeper->manager.name);
    tell_upward(keeper, status);
    machine_manager_crashed(keeper);
}

static void ended_while_kept(struct keeper *keeper, int wait_status) {
    struct child *manager = &keeper->manager;
    int status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    bool first = manager->starts == 1 && !keeper->ready;
    bool refused = first && (status == EXIT_USAGE || status == EXIT_CONFIG);

    keeper->unready += !keeper->ready;
    if (keeper->replacing && status == KEEPER_REEXEC) {
        manager->asked = true;
        child_ended(manager, wait_status, true);
        replace_all(keeper);
    } else if (refused && keeper->may_end) {
        child_ended(manager, wait_status, false);
        keeper->exit_code = status;
        begin_draining(keeper);
    } else {
        child_ended(manager, wait_status, true);
        manager_crashed(keeper, wait_status);
    }
}

static void ended_while_stopping(struct keeper *keeper, int wait_status) {
    bool again = wait_status != 0 && keeper->stops < STOPS_MOST;
    child_ended(&keeper->manager, wait_status, again);
    if (wait_status == 0)
        begin_draining(keeper);
    else if (!again)
        begin_killing(keeper);
}

static void manager_ended(struct keeper *keeper, int wait_status) {
    if (keeper->phase == PHASE_KEEPING)
        ended_while_kept(keeper, wait_status);
    else if (keeper->phase == PHASE_STOPPING)
        ended_while_stopping(keeper, wait_status);
    else
        child_ended(&keeper->manager, wait_status, false);
    keeper->ready = keeper->replacing = false;
}

void keeper_child_ended(struct keeper *keeper, struct child *child, int wait_status) {
    if (child == &keeper->manager)
        manager_ended(keeper, wait_status);
    else
        child_ended(child, wait_status, keeper->phase < PHASE_DRAINING);
}

/* ---- what is due ---- */

/* One that is not ready reads files and finds services again, and cannot say so meanwhile. */
void keeper_await_sign(struct keeper *keeper) {
    bool slow = !keeper->ready && keeper->watchdog < UNREADY_PATIENCE;
    if (keeper->watchdog && keeper->phase == PHASE_KEEPING && !keeper->manager.killed)
        child_limit(&keeper->manager, slow ? UNREADY_PATIENCE : keeper->watchdog);
}

static void start(struct keeper *keeper, struct child *child) {
    child_start(keeper, child);
    if (child != &keeper->manager)
        return;
    keeper_await_sign(keeper);
    if (keeper->phase != PHASE_KEEPING)
        tell_manager_to_stop(keeper);
    if (child->pid == 0 && keeper->stops >= STOPS_MOST) /* not even a fork is possible */
        begin_killing(keeper);
}

/* Its time is over. One that waits for a disk that does not answer outlives even SIGKILL: while all
 * is kept it is waited for, but nothing keeps the end from coming. */
static void overdue(struct keeper *keeper, struct child *child) {
    bool ending = keeper->phase > PHASE_KEEPING;
    if (child->killed) {
        say("%s (pid %d) does not even die, and is given up", child->name, (int)child->pid);
        child->asked = true; /* its successor begins at once */
        keeper_child_ended(keeper, child, SIGKILL);
        return;
    }
    say("%s (pid %d) has not %s in %u ms and is killed", child->name, (int)child->pid,
        child->asked || ending ? "ended" : "shown that it is alive", child->patience);
    child_signal(child, SIGKILL);
    child->killed = true;
    child->limit = NEVER;
    if (ending)
        child_limit(child, DEATH_THROES);
}

/* Starts what is due; returns when that is to be looked at again. */
static uint64_t keep(struct keeper *keeper, struct child *child, bool wanted) {
    if (child->pid == 0 && wanted && now() >= child->due)
        start(keeper, child);
    if (child->pid > 0 && now() >= child->limit)
        overdue(keeper, child);
    return child->pid > 0 ? child->limit : wanted ? child->due : NEVER;
}

static uint64_t sooner(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

static uint64_t keep_both(struct keeper *keeper) {
    uint64_t logd = keep(keeper, &keeper->logd, keeper->phase < PHASE_DRAINING);
    uint64_t manager = keep(keeper, &keeper->manager, keeper->phase < PHASE_KILLING);
    if (keeper->phase == PHASE_DRAINING && keeper->logd.pid == 0)
        keeper->phase = PHASE_ENDED;
    return sooner(logd, manager);
}

/* Does what is due. Returns when to be called again at the latest; NEVER: after an event. */
static uint64_t advance(struct keeper *keeper) {
    if (keeper->phase == PHASE_KILLING &&
        (children_kill(keeper->logd.pid) == 0 || now() >= keeper->deadline)) {
        keeper->deadline = NEVER;
        begin_draining(keeper);
    }
    if (now() >= reap_due(keeper))
        reap(keeper);
    uint64_t next = keeper->lock < 0 ? begin(keeper) : keep_both(keeper);
    next = sooner(next, sooner(keeper->deadline, reap_due(keeper)));
    return sooner(next, machine_advance(keeper));
}

/* ---- the loop ---- */

static void heed_signal(struct keeper *keeper, const struct signalfd_siginfo *signal) {
    int number = (int)signal->ssi_signo;
    bool hung_up = number == SIGHUP && signal->ssi_code == SI_KERNEL && keeper->foreground;

    if (number == SIGCHLD) {
        reap(keeper);
    } else if (machine_signalled(keeper, signal)) {
        return;
    } else if (number == SIGHUP && !hung_up) {
        child_signal(&keeper->manager, SIGHUP);
    } else if (keeper->phase == PHASE_KEEPING) {
        keeper_stop(keeper);
    } else {
        child_signal(&keeper->manager, hung_up ? SIGTERM : number);
    }
}

/* One at a time: to heed it may begin another keeper in this process, which finds all others. */
static void read_signals(struct keeper *keeper) {
    struct signalfd_siginfo signal;
    for (unsigned i = 0; i < SIGNALS_A_TURN; i++) {
        if (read(keeper->signals, &signal, sizeof signal) != (ssize_t)sizeof signal)
            return;
        heed_signal(keeper, &signal);
    }
}

/* Sleeps until something happens or that time has come, and heeds what happened. */
static void await(struct keeper *keeper, uint64_t until) {
    if (keeper->phase == PHASE_ENDED)
        return;
    uint64_t time = now(), rest = until > time ? until - time : 0;
    int timeout = until == NEVER ? -1 : rest > INT_MAX ? INT_MAX : (int)rest;
    enum { MESSAGES, SIGNALS, EXITS, BUTTONS };
    struct pollfd polled[] = {
        [MESSAGES] = {keeper->notifications, POLLIN, 0},
        [SIGNALS] = {keeper->signals, POLLIN, 0},
        [EXITS] = {keeper->exits, keeper->untold_from == NEVER ? 0 : POLLOUT, 0},
        [BUTTONS] = {keeper->machine.buttons.epoll, POLLIN, 0},
    };
    if (poll(polled, ELEMENTS(polled), timeout) <= 0)
        return;
    if (polled[MESSAGES].revents)
        receive(keeper, MESSAGES_A_TURN);
    if (polled[SIGNALS].revents)
        read_signals(keeper);
    if (polled[EXITS].revents)
        reap(keeper);
    if (polled[BUTTONS].revents)
        machine_heed_buttons(keeper);
}

int main(int argc, char **argv) {
    static struct keeper keeper;
    struct options options;
    note_time("RINGFENCE_BEGAN");
    machine_begin(&keeper.machine, &argc, &argv);
    int result = options_parse(argc, argv, getpid() == 1, &options);
    if (result)
        return result < 0 ? EXIT_USAGE : fflush(stdout) ? EXIT_FAILURE : 0;

    begin_blank(&keeper, &options);
    if (options.resumed && resume_read(&keeper) < 0)
        begin_blank(&keeper, &options);
    if (begin_process(&keeper) < 0 && keeper.may_end)
        return EXIT_FAILURE;
    machine_open(&keeper);
    resume_catch_crashes(&keeper);
    reap(&keeper); /* what a predecessor has left */
    while (keeper.phase != PHASE_ENDED)
        await(&keeper, advance(&keeper));
    if (keeper.lock >= 0)
        unlink(keeper.address.sun_path);
    machine_end(&keeper);
    return keeper.exit_code;
}
