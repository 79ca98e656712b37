/* ringfenced: PID 1, or the subreaper anywhere else. It keeps ringfence-manager and ringfence-logd
 * running, holds what they must not lose, reaps what they leave behind, and can do almost nothing
 * else, so that almost nothing can make it fail. It never allocates once it runs. */

#include "supervisor/keeper/keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "units/base/scoped.h"

enum {
    MESSAGES_A_TURN = 64,  /* so that a child that never stops talking delays nothing else */
    LAST_WORDS = 10000,    /* ms that logd has for draining, and killed processes for dying */
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

/* What the manager is told, or told itself. A hung one is killed, and its successor goes on. */
static void tell_manager_to_stop(struct keeper *keeper) {
    keeper->stops++;
    child_signal(&keeper->manager, SIGTERM);
    child_limit(&keeper->manager, STOP_PATIENCE);
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
    child_describe_status(wait_status, how, sizeof how);
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
    bool first = manager->starts == 1 && !keeper->was_ready;
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

static void signals_came(struct keeper *keeper, int fd) {
    struct signalfd_siginfo signal;
    while (read(fd, &signal, sizeof signal) == (ssize_t)sizeof signal)
        heed_signal(keeper, &signal);
}

static void messages_came(struct keeper *keeper, int fd) {
    (void)fd;
    receive(keeper, MESSAGES_A_TURN);
}

static void exits_are_read(struct keeper *keeper, int fd) {
    (void)fd;
    reap(keeper);
}

/* One that is not ready reads files and finds services again, and cannot say so meanwhile. */
void keeper_await_sign(struct keeper *keeper) {
    bool slow = !keeper->ready && keeper->watchdog < UNREADY_PATIENCE;
    if (keeper->watchdog && keeper->phase == PHASE_KEEPING)
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

/* Starts what is due, kills what is overdue; returns when that is to be looked at again. */
static uint64_t keep(struct keeper *keeper, struct child *child, bool wanted) {
    if (child->pid == 0 && wanted && now() >= child->due)
        start(keeper, child);
    if (child->pid > 0 && now() >= child->limit) {
        say("%s (pid %d) has not %s in %u ms and is killed", child->name, (int)child->pid,
            child->asked || keeper->phase > PHASE_KEEPING ? "ended" : "shown that it is alive",
            child->patience);
        child_signal(child, SIGKILL);
        child->limit = NEVER;
    }
    return child->pid > 0 ? child->limit : wanted ? child->due : NEVER;
}

static uint64_t sooner(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

/* Does what is due. Returns when to be called again at the latest; NEVER: after an event. */
static uint64_t advance(struct keeper *keeper) {
    if (keeper->phase == PHASE_KILLING &&
        (children_kill(keeper->logd.pid) == 0 || now() >= keeper->deadline)) {
        keeper->deadline = NEVER;
        begin_draining(keeper);
    }
    if (now() >= reap_deadline(keeper))
        reap(keeper);
    uint64_t next = sooner(keeper->deadline, reap_deadline(keeper));
    next = sooner(next, keep(keeper, &keeper->logd, keeper->phase < PHASE_DRAINING));
    next = sooner(next, keep(keeper, &keeper->manager, keeper->phase < PHASE_KILLING));
    next = sooner(next, machine_advance(keeper));
    if (keeper->phase == PHASE_DRAINING && keeper->logd.pid == 0)
        keeper->phase = PHASE_ENDED;
    return next;
}

void keeper_watch(struct keeper *keeper, int fd, short events, watch_ready ready) {
    if (keeper->watches == WATCHES_MAX)
        return;
    keeper->polled[keeper->watches] = (struct pollfd){.fd = fd, .events = events};
    keeper->ready_calls[keeper->watches++] = ready;
}

void keeper_listen(struct keeper *keeper, int fd, short events) {
    for (unsigned i = 0; i < keeper->watches; i++)
        if (keeper->polled[i].fd == fd)
            keeper->polled[i].events = events;
}

static void run(struct keeper *keeper) {
    keeper_watch(keeper, keeper->notifications, POLLIN, messages_came);
    keeper_watch(keeper, keeper->signals, POLLIN, signals_came);
    keeper_watch(keeper, keeper->exits, 0, exits_are_read);
    reap(keeper); /* of a predecessor */
    for (;;) {
        uint64_t next = advance(keeper), time = now();
        if (keeper->phase == PHASE_ENDED)
            return;
        uint64_t rest = next <= time ? 0 : next - time;
        int timeout = next == NEVER ? -1 : rest > INT_MAX ? INT_MAX : (int)rest;
        if (poll(keeper->polled, keeper->watches, timeout) <= 0)
            continue;
        for (unsigned i = 0; i < keeper->watches; i++)
            if (keeper->polled[i].revents)
                keeper->ready_calls[i](keeper, keeper->polled[i].fd);
    }
}

/* ---- beginning ---- */

static int prepare(struct keeper *keeper, const char *runtime_directory) {
    int error = child_find(&keeper->manager);
    if (!error)
        error = child_find(&keeper->logd);
    if (!error)
        error = begin_place(keeper, runtime_directory);
    if (error) {
        keeper->lock = close_fd(keeper->lock);
        keeper->notifications = close_fd(keeper->notifications);
    }
    return error;
}

/* As it is when nothing has happened yet. */
static void set_up(struct keeper *keeper, const struct options *options) {
    keeper->foreground = options->foreground;
    keeper->may_end = keeper->machine.place < PLACE_NAMESPACE;
    keeper->upward = getenv("NOTIFY_SOCKET");
    keeper->arguments = options->again;
    keeper->notifications = keeper->signals = keeper->lock = keeper->exits = -EBADF;
    keeper->deadline = keeper->untold_from = NEVER;
    keeper->manager = (struct child){.name = "ringfence-manager",
                                     .arguments = options->passed_on,
                                     .death_signal = SIGKILL,
                                     .limit = NEVER};
    keeper->logd = (struct child){.name = "ringfence-logd",
                                  .arguments = options->logd,
                                  .death_signal = SIGTERM,
                                  .limit = NEVER};
    if (readlink("/proc/self/exe", keeper->self, sizeof keeper->self - 1) < 0)
        say("cannot tell my own path: %s", strerror(errno));
}

int main(int argc, char **argv) {
    static struct keeper keeper;
    note_time("RINGFENCE_BEGAN");
    bool first = getpid() == 1;
    struct options options;
    machine_begin(&keeper.machine, &argc, &argv);
    int result = options_parse(argc, argv, first, &options);
    if (result)
        return result < 0 ? EXIT_USAGE : fflush(stdout) ? EXIT_FAILURE : 0;

    set_up(&keeper, &options);
    bool resumed = options.resumed && resume_read(&keeper) == 0;
    if (options.resumed && !resumed)
        set_up(&keeper, &options);
    if (begin_process(&keeper, first && !options.foreground, resumed) < 0 && keeper.may_end)
        return EXIT_FAILURE;
    machine_open(&keeper);
    resume_catch_crashes(&keeper);
    while (!resumed && prepare(&keeper, options.runtime_directory) < 0) {
        if (keeper.may_end)
            return EXIT_FAILURE;
        machine_cannot_begin(&keeper);
    }
    run(&keeper);
    unlink(keeper.address.sun_path);
    machine_end(&keeper);
    return keeper.exit_code;
}
