/* Runs that live by a plan, and the rules that no event may break. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/supervisor/fake-sandbox.h"

size_t fake_runs, fake_processes;

struct list fake_all_runs = LIST(fake_all_runs);

pid_t fake_new_pid(void) {
    static pid_t last = 1000;
    return ++last;
}

struct service *fake_owner(const struct sandbox *sandbox) {
    return fake_manager ? manager_lookup(fake_manager, sandbox->name) : NULL;
}

static void plan_default(const char *name, struct fake_plan *plan) {
    (void)name, (void)plan;
}

void (*fake_choose)(const char *name, struct fake_plan *plan) = plan_default;

struct fake_plan fake_plan_for(const char *name) {
    struct fake_plan plan = {
        .build_time = MSEC,
        .launch_time = MSEC,
        .ready_after = NEVER,
        .exit_after = NEVER,
        .stop_time = MSEC,
        .stop_status = KILLED(SIGTERM),
        .kill_time = MSEC,
        .command_time = MSEC,
    };
    fake_choose(name, &plan);
    return plan;
}

void fake_happen(struct deadline *deadline, uint64_t after) {
    timers_reserve(&fake_timers, fake_timers.count + 1);
    timers_set(&fake_timers, deadline, after == NEVER ? NEVER : fake_now + after);
}

void fake_timers_step(void) {
    struct deadline *first = fake_timers.heap[1];
    timers_cancel(&fake_timers, first);
    first->passed(first);
}

/* ---- runs ---- */

void fake_run_end(struct run *run, int wait_status, uint64_t after) {
    if (!run->alive)
        return;
    run->exit_status = wait_status;
    if (!run->exits.slot || run->exits.at > fake_now + after)
        fake_happen(&run->exits, after);
}

/* Runs of which the policy has let go, but that were not reaped yet, live until then. */
void fake_run_dispose(struct run *run) {
    struct deadline *const deadlines[] = {&run->known, &run->execed, &run->report,    &run->ready,
                                          &run->exits, &run->reaped, &run->tells_left};
    for (size_t i = 0; i < ELEMENTS(deadlines); i++)
        timers_cancel(&fake_timers, deadlines[i]);
    /* What ran beside may outlive the sandbox as a descriptor. */
    if (run->place == RUN_MAIN && run->sandbox && run->sandbox->run == run)
        run->sandbox->run = NULL;
    list_remove(&run->link);
    list_remove(&run->all);
    fake_runs--;
    free(run);
}

void fake_reported(struct deadline *deadline) {
    struct run *run = list_entry(deadline, struct run, report);
    if (run->report_fd >= 0)
        fake_fd_fire(run->report_fd);
}

/* Who looks sees it at once; who waits is told after a while. */
static void conclude_launch(struct run *run) {
    run->concluded = true;
    fake_happen(&run->report, run->plan.report_delay);
}

/* The helper became the payload: that is told. A command beside the program cannot join it once it
 * is gone. */
static void known(struct deadline *deadline) {
    struct run *run = list_entry(deadline, struct run, known);
    struct sandbox *sandbox = run->sandbox;
    bool joins = run->place != RUN_BESIDE || (sandbox->run && sandbox->run->alive);
    if (run->place != RUN_MAIN && (run->plan.command_missing || !joins)) {
        run->failed = true;
        fake_processes--;
        list_remove(&run->link);
        list_init(&run->link);
        conclude_launch(run);
        fake_fd_fire(sandbox->events_fd);
        return;
    }
    run->alive = true;
    run->pid = fake_new_pid();
    run->manager = fake_managers;
    fake_happen(&run->execed, run->plan.launch_time / 2);
    if (run->report_fd >= 0)
        fake_fd_fire(run->report_fd);
}

static void execed(struct deadline *deadline) {
    struct run *run = list_entry(deadline, struct run, execed);
    run->arrived = true;
    if (!run->alive || run->killed || (run->waits && !run->released))
        return;
    conclude_launch(run);
    if (run->place == RUN_MAIN && run->plan.launch_error) {
        run->failed = true;
        fake_run_end(run, EXITED(125), 0);
        return;
    }
    run->executed = true;
    if (run->place != RUN_MAIN) {
        run->exit_status = run->plan.command_status;
        fake_happen(&run->exits, run->plan.command_time);
        return;
    }
    if (!run->plan.deaf && fake_owner(run->sandbox))
        fake_accept(fake_owner(run->sandbox));
    run->sandbox->processes += run->plan.children;
    fake_processes += run->plan.children;
    fake_happen(&run->ready, run->plan.ready_after);
    run->exit_status = run->plan.exit_status;
    fake_happen(&run->exits, run->plan.exit_after);
}

static void says_ready(struct deadline *deadline) {
    struct run *run = list_entry(deadline, struct run, ready);
    struct service *service = fake_owner(run->sandbox);
    run->muted = run->sandbox->frozen;
    if (run->muted)
        return;
    if (!service) { /* it lies in the socket until somebody reads it */
        fake_say_later(run->sandbox->name);
        return;
    }
    if (service->main != run)
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
    struct run *run = list_entry(deadline, struct run, reaped);
    pid_t pid = run->pid;
    int status = run->exit_status;
    run->told = true;
    bool stranger = run->stranger;
    unsigned manager = run->manager;
    if (run->report_fd < 0) { /* nobody holds it any more */
        if (run->failed)
            fake_note_failed(run->pid);
        fake_run_dispose(run);
    }
    if (stranger)
        fake_stranger_is_waited_for(pid, status);
    else if (fake_manager && manager == fake_managers)
        manager_child_ended(fake_manager, pid, status);
    else
        fake_keeper_reaps(pid, status);
}

static void side_exits(struct run *run) {
    run->alive = false;
    fake_processes--;
    list_remove(&run->link);
    list_init(&run->link);
    fake_happen(&run->reaped, fake_random(2) ? 0 : fake_random(MSEC));
    fake_stranger_ends(run->pid, run->exit_status);
}

/* The program ends, and its init does not. */
static bool leaves(struct run *run) {
    struct sandbox *sandbox = run->sandbox;
    if (!run->lingers || run->left || run->killed || sandbox->processes < 2)
        return false;
    run->left = true;
    run->left_status = run->exit_status;
    fake_sandbox_kill_side(sandbox, true);
    fake_happen(&sandbox->orphans, run->plan.child_time);
    fake_run_tell_left(run);
    return true;
}

/* Its end, the reaper's word and the cgroup's come in any order. */
static void exits(struct deadline *deadline) {
    struct run *run = list_entry(deadline, struct run, exits);
    struct sandbox *sandbox = run->sandbox;
    run->waiting = sandbox->frozen && !run->killed && run->exit_status != KILLED(SIGKILL);
    if (run->waiting)
        return;
    if (run->place != RUN_MAIN) {
        side_exits(run);
        return;
    }
    if (leaves(run))
        return;
    fake_sandbox_kill_side(sandbox, true); /* with their pid namespace */
    run->alive = false;
    timers_cancel(&fake_timers, &run->ready);
    fake_happen(&run->reaped, fake_random(2) ? 0 : fake_random(MSEC));
    if (run->plan.out_of_memory && !run->killed)
        sandbox->oom_kills++;
    if (sandbox->processes > 1)
        fake_happen(&sandbox->orphans, run->killed ? 0 : run->plan.child_time);
    pid_t pid = run->pid;
    int status = run->exit_status;
    fake_sandbox_lose(sandbox, 1);
    fake_stranger_ends(pid, status);
}

/* A command that is not being killed; one of which the policy does not know yet that it runs is
 * killed as soon as it does. */
static bool commands_run(const struct sandbox *sandbox) {
    const struct run *run;
    list_for_each(run, &sandbox->side, link) {
        if (!run->killed && run->heard)
            return true;
    }
    return false;
}

static int side_start(struct sandbox *sandbox, const struct run_request *request,
                      struct run **ret_run, struct fault *fault) {
    struct service *service = fake_owner(sandbox);
    if (request->place == RUN_ALONE && sandbox->processes > 0)
        fake_break("a command before or after it runs beside it", service);
    /* One that ended while no manager was there is not known to have: a command that was under way
     * is begun again beside it, and does not start. */
    bool gone = service->main && service->main->told;
    if (request->place == RUN_BESIDE && !gone && (!service->main || !sandbox->run))
        fake_break("a command beside it runs without it", service);
    if (commands_run(sandbox))
        fake_break("two commands run at once", service);
    if (service->state == SERVICE_CREATED)
        fake_check_requirements(service);
    struct fake_plan plan = fake_plan_for(service->name);
    if (plan.fails_at_once)
        return fault_say(fault, EIO, "there is no helper");
    struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return -ENOMEM;
    *run = (struct run){
        .sandbox = sandbox,
        .place = request->place,
        .held = true,
        .plan = plan,
        .report_fd = fake_fd_open(),
        .status_fd = -1,
        .program_fd = -1,
        .waits = request->waits,
        .known.passed = known,
        .pidfd = -1,
        .execed.passed = execed,
        .report.passed = fake_reported,
        .exits.passed = exits,
        .reaped.passed = reaped,
    };
    list_init(&run->link);
    list_append(&sandbox->side, &run->link);
    list_append(&fake_all_runs, &run->all);
    fake_processes++;
    fake_runs++;
    fake_happen(&run->known, plan.launch_time - plan.launch_time / 2);
    *ret_run = run;
    return 0;
}

int run_start(struct sandbox *sandbox, const struct run_request *request, const struct run *main,
              struct run **ret_run, struct fault *fault) {
    (void)main;
    struct service *service = fake_owner(sandbox);
    if (!sandbox->whole)
        fake_break("a run in a sandbox that is not whole", service);
    if (request->place != RUN_MAIN)
        return side_start(sandbox, request, ret_run, fault);
    if (commands_run(sandbox))
        fake_break("it starts, and a command before or after it still runs", service);
    if (sandbox->processes > 0 || (sandbox->run && sandbox->run->alive))
        fake_break("it runs twice", service);
    if (service->state != SERVICE_PREPARING) /* it was begun when all was there */
        fake_check_requirements(service);
    fake_check_sockets(service, request);
    struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return -ENOMEM;
    *run = (struct run){
        .sandbox = sandbox,
        .held = true,
        .plan = fake_plan_for(service->name),
        .report_fd = fake_fd_open(),
        .status_fd = service->unit->container.process.init ? fake_fd_open() : -1,
        .program_fd = -1,
        .pidfd = -1,
        .lingers = service->unit->container.process.init && request->init_lingers,
        .waits = request->waits,
        .known.passed = known,
        .execed.passed = execed,
        .report.passed = fake_reported,
        .ready.passed = says_ready,
        .exits.passed = exits,
        .reaped.passed = reaped,
    };
    list_init(&run->link);
    list_append(&fake_all_runs, &run->all);
    sandbox->run = run;
    sandbox->plan.child_time = run->plan.child_time;
    sandbox->plan.kill_time = run->plan.kill_time;
    sandbox->plan.busy_removals = run->plan.busy_removals;
    sandbox->plan.vain_kills = run->plan.vain_kills;
    sandbox->processes = 1; /* the helper */
    sandbox->killed = false;
    fake_processes++;
    fake_runs++;
    fake_happen(&run->known, run->plan.launch_time - run->plan.launch_time / 2);
    *ret_run = run;
    return 0;
}

void run_release(struct run *run) {
    if (!run_waits(run) || fake_dead)
        return;
    run->released = true;
    run->unrecorded = fake_full;
    if (run->arrived)
        fake_happen(&run->execed, 0);
}

int run_advance(struct run *run, struct fault *fault) {
    run->learned = run->pid;
    if (!run->concluded)
        return RUN_PREPARING;
    run->heard = true;
    if (run->executed) {
        if (run->place == RUN_MAIN && run->sandbox)
            run->sandbox->named = run->pid;
        return RUN_EXECUTED;
    }
    if (run->failed)
        return fault_say(fault, EIO, "%s",
                         run->plan.launch_error && run->place == RUN_MAIN ? run->plan.launch_error
                                                                          : "killed");
    return RUN_PREPARING;
}

int run_signal(const struct run *run, int number, struct fault *fault) {
    struct run *target = (struct run *)(uintptr_t)run;
    if (fake_dead)
        return 0;
    if (run->told || !run->learned)
        return fault_say(fault, ESRCH, "the process has ended");
    if (run->left)
        return fault_say(fault, ESRCH, "the program has ended");
    if (!run->alive || number == 0 || number == SIGCONT || number == SIGHUP)
        return 0;
    if (run->place != RUN_MAIN) {
        target->killed = true;
        fake_run_end(target, KILLED(number), run->plan.kill_time);
        return 0;
    }
    fake_check_reverse(fake_owner(run->sandbox));
    if (run->sandbox->frozen)
        fake_break("it is asked to stop while it is frozen", fake_owner(run->sandbox));
    if (number == SIGKILL)
        fake_run_end(target, KILLED(SIGKILL), run->plan.kill_time);
    else if (run->plan.stop_time != NEVER)
        fake_run_end(target, run->plan.stop_status, run->plan.stop_time);
    return 0;
}

void run_free(struct run *run) {
    if (!run)
        return;
    fake_fd_close(run->report_fd);
    if (run->status_fd >= 0)
        fake_fd_close(run->status_fd);
    if (run->program_fd >= 0)
        fake_fd_close(run->program_fd);
    run->report_fd = run->status_fd = run->program_fd = -1;
    run->pidfd = close_fd(run->pidfd);
    if (!fake_dead)
        timers_cancel(&fake_timers, &run->report);
    bool ends = run->alive || run->reaped.slot || run->known.slot;
    if (!ends)
        fake_run_dispose(run);
}
