/* Sandboxes and runs that live by a plan, and the rules that no event may break. */

#include "tests/supervisor/fake-runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t fake_sandboxes, fake_runs, fake_processes;

struct sandbox {
    struct service *service;
    struct fake_plan plan;
    int report_fd, events_fd;
    struct deadline built, orphans; /* orphans: the children that main left behind end */
    bool whole, frozen;
    unsigned processes; /* main and its children */
    uint64_t oom_kills;
    struct run *run; /* alive, or not yet reaped */
};

struct run {
    struct sandbox *sandbox; /* NULL: the sandbox was removed before the run was freed */
    struct fake_plan plan;
    int report_fd;
    pid_t pid;
    struct deadline execed, report, ready, exits, reaped;
    bool executed, failed, alive, told, killed;
    bool concluded; /* the report has ended */
    int exit_status;
};

static pid_t last_pid = 1000;

static void plan_default(const char *name, struct fake_plan *plan) {
    (void)name, (void)plan;
}

void (*fake_choose)(const char *name, struct fake_plan *plan) = plan_default;

static struct fake_plan choose(const char *name) {
    struct fake_plan plan = {
        .build_time = MSEC,
        .launch_time = MSEC,
        .ready_after = NEVER,
        .exit_after = NEVER,
        .stop_time = MSEC,
        .stop_status = KILLED(SIGTERM),
        .kill_time = MSEC,
    };
    fake_choose(name, &plan);
    return plan;
}

static void happen(struct deadline *deadline, uint64_t after) {
    timers_reserve(&fake_timers, fake_timers.count + 1);
    timers_set(&fake_timers, deadline, after == NEVER ? NEVER : fake_now + after);
}

void fake_timers_step(void) {
    struct deadline *first = fake_timers.heap[1];
    timers_cancel(&fake_timers, first);
    first->passed(first);
}

#define OWNER(deadline_, type, member) list_entry(deadline_, type, member)

/* ---- rules ---- */

static void broken(const char *rule, const struct service *service) {
    char text[256];
    snprintf(text, sizeof(text), "%s: %s", service ? service->name : "?", rule);
    fake_broken(text);
}

static bool is_down(const struct service *service) {
    return state_traits(service->state)->down;
}

static void check_requirements(const struct service *service) {
    const struct strings *requires = &service->unit->dependencies.requires;
    for (size_t i = 0; i < requires->count; i++) {
        struct service *other = manager_lookup(fake_manager, requires->items[i]);
        if (!other || !service_is_up(other))
            broken("it starts, and what it requires is not ready", service);
    }
}

/* It is being stopped by command: those that require it, and are to go too, are gone. */
static void check_reverse(const struct service *service) {
    const struct service_private *own = service->private;
    bool commanded = own->goal == GOAL_DOWN || own->goal == GOAL_CYCLE;
    if (!commanded || own->cause != RESULT_NONE || !own->signalled || own->idled)
        return;
    for (size_t i = 0; i < own->needed_by.count; i++) {
        const struct service *other = own->needed_by.items[i].other;
        if ((own->needed_by.items[i].kinds & EDGE_REQUIRES) && !is_down(other))
            broken("it stops before those that require it", service);
    }
}

static void check_sockets(const struct service *service, const struct run_request *request) {
    const struct network *network = &service->unit->container.network;
    if (network->sockets_lazy && !service->private->awakened)
        broken("it starts, and no connection has come", service);
    if (request->listen_count != network->sockets.count)
        broken("it starts without its sockets", service);
}

static void check_delay(const struct service *service) {
    const struct restart *restart = &service->unit->restart;
    double least = (double)restart->delay, most;
    for (unsigned i = 1; i < service->private->step && least < (double)restart->max_delay; i++)
        least *= restart->backoff;
    if (least > (double)restart->max_delay)
        least = (double)restart->max_delay;
    most = least * (1 + restart->jitter) + 1;
    least = least * (1 - restart->jitter) - 1;
    double delay = (double)service->restart_delay;
    if (delay < least || delay > most || service->restart_delay > restart->max_delay)
        broken("the delay is out of its bounds", service);
}

void fake_runtime_observe(struct service *service) {
    if (service->state == SERVICE_RESTARTING)
        check_delay(service);
    if (service->state == SERVICE_STOPPING || service->state == SERVICE_REMOVING)
        check_reverse(service);
    if (is_down(service) && service->sandbox)
        broken("it is down, and holds a sandbox", service);
    if (service->state == SERVICE_READY && service->private->goal == GOAL_UP)
        broken("it is ready, and still to come up", service);
}

/* ---- sandboxes ---- */

static void built(struct deadline *deadline) {
    fake_fd_fire(OWNER(deadline, struct sandbox, built)->report_fd);
}

static void lose(struct sandbox *sandbox, unsigned count) {
    sandbox->processes -= count;
    fake_processes -= count;
    if (count > 0 && sandbox->processes == 0)
        fake_fd_fire(sandbox->events_fd);
}

static void orphans_end(struct deadline *deadline) {
    struct sandbox *sandbox = OWNER(deadline, struct sandbox, orphans);
    lose(sandbox, sandbox->processes - (sandbox->run && sandbox->run->alive));
}

int sandbox_build(struct runtime *runtime, const struct container *container,
                  struct sandbox *const joined[NAMESPACE_KINDS], const char *notify_directory,
                  struct sandbox **ret_sandbox, struct fault *fault) {
    (void)runtime, (void)joined, (void)notify_directory;
    struct service *service = manager_lookup(fake_manager, container->name);
    struct fake_plan plan = choose(container->name);
    if (service->sandbox)
        broken("it has two sandboxes", service);
    check_requirements(service);
    if (plan.fails_at_once)
        return fault_say(fault, EIO, "cannot make the cgroup");
    struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
    if (!sandbox)
        return -ENOMEM;
    *sandbox = (struct sandbox){
        .service = service,
        .plan = plan,
        .report_fd = fake_fd_open(),
        .events_fd = fake_fd_open(),
        .built.passed = built,
        .orphans.passed = orphans_end,
    };
    happen(&sandbox->built, plan.build_time);
    fake_sandboxes++;
    *ret_sandbox = sandbox;
    return 0;
}

int sandbox_report_fd(const struct sandbox *sandbox) {
    return sandbox->report_fd;
}

int sandbox_advance(struct sandbox *sandbox, struct fault *fault) {
    if (sandbox->built.slot)
        return SANDBOX_BUILDING;
    if (sandbox->plan.build_error)
        return fault_say(fault, EIO, "%s", sandbox->plan.build_error);
    sandbox->whole = true;
    return SANDBOX_CREATED;
}

int sandbox_remove(struct sandbox *sandbox, struct fault *fault) {
    (void)fault;
    if (sandbox->processes > 0) {
        sandbox_kill(sandbox, NULL);
        return -EBUSY;
    }
    if (sandbox->plan.busy_removals > 0) {
        sandbox->plan.busy_removals--;
        return -EBUSY;
    }
    if (sandbox->run) {
        timers_cancel(&fake_timers, &sandbox->run->execed);
        sandbox->run->sandbox = NULL;
    }
    timers_cancel(&fake_timers, &sandbox->built);
    timers_cancel(&fake_timers, &sandbox->orphans);
    fake_fd_close(sandbox->report_fd);
    fake_fd_close(sandbox->events_fd);
    fake_sandboxes--;
    free(sandbox);
    return 0;
}

int sandbox_events_fd(const struct sandbox *sandbox) {
    return sandbox->events_fd;
}

int sandbox_is_populated(struct sandbox *sandbox) {
    return sandbox->processes > 0;
}

uint64_t sandbox_oom_kills(struct sandbox *sandbox) {
    return sandbox->oom_kills;
}

static void die(struct run *run, int wait_status, uint64_t after) {
    if (!run->alive)
        return;
    run->exit_status = wait_status;
    if (!run->exits.slot || run->exits.at > fake_now + after)
        happen(&run->exits, after);
}

int sandbox_kill(struct sandbox *sandbox, struct fault *fault) {
    (void)fault;
    struct run *run = sandbox->run;
    check_reverse(sandbox->service);
    if (run && !run->executed && !run->failed) { /* the helper dies, and its report ends */
        run->failed = true;
        timers_cancel(&fake_timers, &run->execed);
        happen(&sandbox->orphans, run->plan.kill_time);
        return 0;
    }
    if (run && run->alive && !run->killed) {
        run->killed = true;
        die(run, KILLED(SIGKILL), run->plan.kill_time);
    }
    if (sandbox->processes > (run && run->alive))
        happen(&sandbox->orphans, sandbox->plan.kill_time);
    return 0;
}

int sandbox_signal_all(struct sandbox *sandbox, int number, struct fault *fault) {
    return sandbox->run ? run_signal(sandbox->run, number, fault) : 0;
}

int sandbox_freeze(struct sandbox *sandbox, bool freeze, struct fault *fault) {
    (void)fault;
    sandbox->frozen = freeze;
    return 0;
}

/* ---- runs ---- */

/* Runs of which the policy has let go, but that were not reaped yet, live until then. */
static void run_dispose(struct run *run) {
    struct deadline *const deadlines[] = {&run->execed, &run->report, &run->ready, &run->exits,
                                          &run->reaped};
    for (size_t i = 0; i < ELEMENTS(deadlines); i++)
        timers_cancel(&fake_timers, deadlines[i]);
    if (run->sandbox && run->sandbox->run == run)
        run->sandbox->run = NULL;
    fake_runs--;
    free(run);
}

static void reported(struct deadline *deadline) {
    struct run *run = OWNER(deadline, struct run, report);
    run->concluded = true;
    if (run->report_fd >= 0)
        fake_fd_fire(run->report_fd);
}

static void execed(struct deadline *deadline) {
    struct run *run = OWNER(deadline, struct run, execed);
    happen(&run->report, run->plan.report_delay);
    if (run->plan.launch_error) {
        run->failed = true;
        lose(run->sandbox, run->sandbox->processes);
        return;
    }
    run->executed = run->alive = true;
    if (!run->plan.deaf)
        fake_accept(run->sandbox->service);
    run->pid = ++last_pid;
    run->sandbox->processes += run->plan.children; /* the helper became the payload */
    fake_processes += run->plan.children;
    happen(&run->ready, run->plan.ready_after);
    run->exit_status = run->plan.exit_status;
    happen(&run->exits, run->plan.exit_after);
}

static void says_ready(struct deadline *deadline) {
    struct run *run = OWNER(deadline, struct run, ready);
    struct service *service = run->sandbox->service;
    if (run->sandbox->frozen || service->main != run)
        return;
    if (service->unit->service.type == SERVICE_FD) {
        service_poll_run(service);
        if (service->main && !service->private->was_ready)
            service_handle(service, EVENT_SAID_READY);
        manager_event_ended(fake_manager);
    } else {
        fake_notify(service->name, true, false, NULL);
    }
}

static void reaped(struct deadline *deadline) {
    struct run *run = OWNER(deadline, struct run, reaped);
    pid_t pid = run->pid;
    int status = run->exit_status;
    run->told = true;
    if (run->report_fd < 0) /* nobody holds it any more */
        run_dispose(run);
    manager_child_ended(fake_manager, pid, status);
}

/* Its end, the reaper's word and the cgroup's come in any order. */
static void exits(struct deadline *deadline) {
    struct run *run = OWNER(deadline, struct run, exits);
    struct sandbox *sandbox = run->sandbox;
    run->alive = false;
    timers_cancel(&fake_timers, &run->ready);
    happen(&run->reaped, fake_random(2) ? 0 : fake_random(MSEC));
    if (run->plan.out_of_memory && !run->killed)
        sandbox->oom_kills++;
    if (sandbox->processes > 1)
        happen(&sandbox->orphans, run->killed ? 0 : run->plan.child_time);
    lose(sandbox, 1);
}

int run_start(struct sandbox *sandbox, const struct run_request *request, const struct run *main,
              struct run **ret_run, struct fault *fault) {
    (void)main, (void)fault;
    if (request->place != RUN_MAIN)
        return -EOPNOTSUPP;
    struct service *service = sandbox->service;
    if (!sandbox->whole)
        broken("a run in a sandbox that is not whole", service);
    if (sandbox->processes > 0 || (sandbox->run && sandbox->run->alive))
        broken("it runs twice", service);
    check_requirements(service);
    check_sockets(service, request);
    struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return -ENOMEM;
    *run = (struct run){
        .sandbox = sandbox,
        .plan = choose(service->name),
        .report_fd = fake_fd_open(),
        .execed.passed = execed,
        .report.passed = reported,
        .ready.passed = says_ready,
        .exits.passed = exits,
        .reaped.passed = reaped,
    };
    sandbox->run = run;
    sandbox->plan.kill_time = run->plan.kill_time;
    sandbox->plan.busy_removals = run->plan.busy_removals;
    sandbox->processes = 1; /* the helper */
    fake_processes++;
    fake_runs++;
    happen(&run->execed, run->plan.launch_time);
    *ret_run = run;
    return 0;
}

int run_report_fd(const struct run *run) {
    return run->report_fd;
}

int run_advance(struct run *run, struct fault *fault) {
    if (!run->concluded)
        return RUN_PREPARING;
    if (run->executed)
        return RUN_EXECUTED;
    if (run->failed)
        return fault_say(fault, EIO, "%s",
                         run->plan.launch_error ? run->plan.launch_error : "killed");
    return RUN_PREPARING;
}

pid_t run_pid(const struct run *run) {
    return run->pid;
}

int run_take_terminal(struct run *run) {
    (void)run;
    return -1;
}

int run_pidfd(const struct run *run) {
    (void)run;
    return -1;
}

int run_signal(const struct run *run, int number, struct fault *fault) {
    struct run *target = (struct run *)(uintptr_t)run;
    if (run->told || !run->executed)
        return fault_say(fault, ESRCH, "the process has ended");
    if (!run->alive || number == 0 || number == SIGCONT)
        return 0;
    check_reverse(run->sandbox->service);
    if (run->sandbox->frozen)
        broken("it is asked to stop while it is frozen", run->sandbox->service);
    if (number == SIGKILL)
        die(target, KILLED(SIGKILL), run->plan.kill_time);
    else if (run->plan.stop_time != NEVER)
        die(target, run->plan.stop_status, run->plan.stop_time);
    return 0;
}

bool run_would_drop(const struct run *run, int signal) {
    (void)signal;
    return run->plan.drops_signal;
}

void run_free(struct run *run) {
    if (!run)
        return;
    fake_fd_close(run->report_fd);
    run->report_fd = -1;
    timers_cancel(&fake_timers, &run->report);
    bool ends = run->alive || run->reaped.slot || run->execed.slot;
    if (!ends)
        run_dispose(run);
}

/* ---- told by tests ---- */

void fake_notify(const char *name, bool ready, bool stopping, const char *status) {
    const struct notification notification = {
        .ready = ready, .stopping = stopping, .status = status, .main_pidfd = -1};
    service_notified(fake_service(name), &notification);
    manager_event_ended(fake_manager);
}

void fake_exit(const char *name, int wait_status) {
    struct run *run = fake_service(name)->main;
    die(run, wait_status, 0);
}

/* ---- what a test of the policy needs not ---- */

int runtime_forget_unit(struct runtime *runtime, const char *unit, struct fault *fault) {
    (void)runtime, (void)unit, (void)fault;
    return 0;
}

int runtime_remove_volume(struct runtime *runtime, const char *volume, struct fault *fault) {
    (void)runtime, (void)volume, (void)fault;
    return 0;
}
