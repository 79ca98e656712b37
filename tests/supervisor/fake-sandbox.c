/* Sandboxes: what is in them lives, is frozen and ends by a plan. */

#include "tests/supervisor/fake-sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t fake_sandboxes;

struct list fake_all = LIST(fake_all);

static void built(struct deadline *deadline) {
    fake_fd_fire(list_entry(deadline, struct sandbox, built)->report_fd);
}

void fake_sandbox_lose(struct sandbox *sandbox, unsigned count) {
    if (count > sandbox->processes)
        fake_break("more processes end than there are", fake_owner(sandbox));
    sandbox->processes -= count;
    fake_processes -= count;
    if (count > 0 && sandbox->processes == 0)
        fake_fd_fire(sandbox->events_fd);
}

static void orphans_end(struct deadline *deadline) {
    struct sandbox *sandbox = list_entry(deadline, struct sandbox, orphans);
    bool alive = sandbox->run && sandbox->run->alive;
    if (sandbox->frozen && !sandbox->killed) {
        sandbox->waiting = true;
        return;
    }
    fake_sandbox_lose(sandbox, sandbox->processes - alive);
    if (alive && sandbox->run->left) /* the init has nobody to wait for */
        fake_happen(&sandbox->run->exits, 0);
}

int sandbox_build(struct runtime *runtime, const struct container *container,
                  struct sandbox *const joined[NAMESPACE_KINDS], const char *notify_directory,
                  struct sandbox **ret_sandbox, struct fault *fault) {
    (void)runtime, (void)joined, (void)notify_directory;
    struct service *service = manager_lookup(fake_manager, container->name);
    struct fake_plan plan = fake_plan_for(container->name);
    if (service->sandbox)
        fake_break("it has two sandboxes", service);
    fake_check_requirements(service);
    if (plan.fails_at_once)
        return fault_say(fault, EIO, "cannot make the cgroup");
    struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
    if (!sandbox)
        return -ENOMEM;
    static unsigned serial;
    serial++;
    *sandbox = (struct sandbox){
        .serial = serial,
        .held = true,
        .plan = plan,
        .report_fd = fake_fd_open(),
        .events_fd = fake_fd_open(),
        .built.passed = built,
        .orphans.passed = orphans_end,
    };
    snprintf(sandbox->name, sizeof(sandbox->name), "%s", container->name);
    list_init(&sandbox->side);
    list_append(&fake_all, &sandbox->link);
    fake_happen(&sandbox->built, plan.build_time);
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
    if (fake_dead)
        return -EBUSY;
    if (sandbox->processes > 0 || !list_is_empty(&sandbox->side)) {
        sandbox_kill(sandbox, NULL);
        return -EBUSY;
    }
    if (sandbox->plan.busy_removals > 0) {
        sandbox->plan.busy_removals--;
        return -EBUSY;
    }
    fake_sandbox_destroy(sandbox);
    return 0;
}

void fake_sandbox_destroy(struct sandbox *sandbox) {
    if (sandbox->run) {
        timers_cancel(&fake_timers, &sandbox->run->known);
        timers_cancel(&fake_timers, &sandbox->run->execed);
        sandbox->run->sandbox = NULL;
    }
    timers_cancel(&fake_timers, &sandbox->built);
    timers_cancel(&fake_timers, &sandbox->orphans);
    fake_fd_close(sandbox->report_fd);
    fake_fd_close(sandbox->events_fd);
    list_remove(&sandbox->link);
    fake_sandboxes--;
    free(sandbox);
}

int sandbox_events_fd(const struct sandbox *sandbox) {
    return sandbox->events_fd;
}

int sandbox_is_populated(struct sandbox *sandbox) {
    return sandbox->processes > 0;
}

void sandbox_oom_describe(const struct sandbox *sandbox, struct text *text) {
    if (sandbox->oom_kills > 0)
        text_add(text, "dd, process 123");
}

uint64_t sandbox_oom_kills(struct sandbox *sandbox) {
    return sandbox->oom_kills;
}

/* A helper that is killed reports nothing but its end. */
void fake_sandbox_kill_side(struct sandbox *sandbox, bool beside_only) {
    struct run *run;
    list_for_each(run, &sandbox->side, link) {
        if (beside_only && run->place != RUN_BESIDE)
            continue;
        run->killed = true;
        if (run->alive)
            fake_run_end(run, KILLED(SIGKILL), run->plan.kill_time);
        else if (run->known.slot)
            run->plan.command_missing = true;
    }
}

int sandbox_kill(struct sandbox *sandbox, struct fault *fault) {
    struct run *run = sandbox->run;
    if (fake_owner(sandbox))
        fake_check_reverse(fake_owner(sandbox));
    if (sandbox->plan.vain_kills > 0) {
        sandbox->plan.vain_kills--;
        return fault_say(fault, EIO, "cannot kill the cgroup");
    }
    sandbox->killed = true;
    fake_sandbox_kill_side(sandbox, false);
    if (run && run->known.slot) { /* the helper dies */
        run->failed = true;
        timers_cancel(&fake_timers, &run->known);
        timers_cancel(&fake_timers, &run->execed);
        fake_happen(&sandbox->orphans, run->plan.kill_time);
        return 0;
    }
    if (run && run->alive && !run->killed) {
        run->killed = true;
        fake_run_end(run, KILLED(SIGKILL), run->plan.kill_time);
    }
    if (sandbox->processes > (run && run->alive))
        fake_happen(&sandbox->orphans, sandbox->plan.kill_time);
    return 0;
}

int sandbox_signal_all(struct sandbox *sandbox, int number, struct fault *fault) {
    struct run *run = sandbox->run;
    if (sandbox->frozen && number != SIGCONT)
        fake_break("it is asked to stop while it is frozen", fake_owner(sandbox));
    if (run && run->alive && !run->left)
        run_signal(run, number, fault);
    if (number != SIGCONT && sandbox->plan.child_time != NEVER &&
        sandbox->processes > (run && run->alive))
        fake_happen(&sandbox->orphans, sandbox->plan.child_time);
    return 0;
}

/* What was to happen meanwhile happens then. */
static void thaw_run(struct run *run) {
    if (run->waiting)
        fake_happen(&run->exits, 0);
    if (run->muted && run->alive)
        fake_happen(&run->ready, 0);
    run->waiting = run->muted = false;
}

int sandbox_freeze(struct sandbox *sandbox, bool freeze, struct fault *fault) {
    struct run *run;
    (void)fault;
    sandbox->frozen = freeze;
    if (freeze)
        return 0;
    if (sandbox->waiting)
        fake_happen(&sandbox->orphans, 0);
    sandbox->waiting = false;
    if (sandbox->run)
        thaw_run(sandbox->run);
    list_for_each(run, &sandbox->side, link) {
        thaw_run(run);
    }
    return 0;
}

int sandbox_is_frozen(const struct sandbox *sandbox) {
    return sandbox->frozen;
}
