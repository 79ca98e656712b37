#include "supervisor/apply.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/seeded.h"
#include "units/complain.h"

/* A plan that is being done. */
struct apply {
    struct list link; /* manager_private.applies */
    struct manager *manager;
    struct plan plan;
    size_t left;     /* rows that have not ended */
    apply_done done; /* NULL once withdrawn */
    void *context;
};

static void finish(struct apply *apply) {
    if (apply->left > 0)
        return;
    list_remove(&apply->link);
    if (apply->done)
        apply->done(apply->context, &apply->plan);
    plan_free(&apply->plan);
    free(apply);
}

static void row_ended(void *context, int error, const struct fault *fault) {
    struct plan_row *row = context;
    struct apply *apply = row->owner;
    if (error < 0)
        row->failure = strdup(fault && fault->text[0] ? fault->text : strerror(-error));
    apply->left--;
    finish(apply);
}

/* What the supervisor alone reads takes effect at once; its sandbox keeps the unit that it was made
 * from. */
static void update(struct service *service) {
    struct fault fault;
    if (!service->next_unit)
        return;
    service_take_next_unit(service);
    if (service_tell_output(service, &fault) < 0)
        log_line(LEVEL_WARNING, "%s: %s", service->name, fault.text);
    log_line(LEVEL_INFO, "%s: took its changed file as it runs", service->name);
    job_touch(service);
    if (SEEDED(MEDDLES))
        job_restart(service, true);
    if (service->manager->bus)
        bus_service_changed(service->manager->bus, service, service->state);
}

static void command(struct apply *apply, struct plan_row *row, enum command command) {
    row->owner = apply;
    apply->left++;
    if (job_wait(row->service, command, row_ended, row) < 0)
        row_ended(row, -ENOMEM, NULL);
}

/* What contradicts itself, as a start of what another start has stopped, is a failure of its row.
 */
static void note_refusal(struct plan_row *row, int error, const struct fault *fault) {
    if (error < 0)
        row->failure = strdup(fault->text[0] ? fault->text : strerror(-error));
}

static void act_on(struct plan_row *row) {
    struct fault fault = {{0}};
    switch (row->action) {
    case PLAN_UPDATE:
        update(row->service);
        break;
    case PLAN_STOP:
        job_stop(row->service);
        break;
    case PLAN_RESTART:
        note_refusal(row, job_try_restart(row->service, true, &fault), &fault);
        break;
    case PLAN_START:
        note_refusal(row, job_try_start(row->service, true, &fault), &fault);
        break;
    default:
        break;
    }
}

/* Goals for all rows first, so that what goes and what comes is ordered as one transaction. What is
 * updated before all else, since they follow its edges; what goes before what comes, which may need
 * it no more, and would be stopped with it. */
static void act(struct apply *apply) {
    static const enum plan_action order[] = {PLAN_UPDATE, PLAN_STOP, PLAN_RESTART, PLAN_START};
    struct plan *plan = &apply->plan;
    for (size_t step = 0; step < ELEMENTS(order); step++)
        for (size_t i = 0; i < plan->count; i++)
            if (plan->rows[i].service && plan->rows[i].action == order[step])
                act_on(&plan->rows[i]);
    for (size_t i = 0; i < plan->count; i++) {
        struct plan_row *row = &plan->rows[i];
        if (!row->service || row->failure)
            continue;
        if (row->action == PLAN_STOP)
            command(apply, row, COMMAND_STOP);
        else if (row->action == PLAN_START || row->action == PLAN_RESTART)
            command(apply, row, row->action == PLAN_START ? COMMAND_START : COMMAND_RESTART);
    }
}

/* The plan was made against sets of which one is gone now, and services of which some are new. */
static void bind_rows(struct apply *apply) {
    for (size_t i = 0; i < apply->plan.count; i++) {
        struct plan_row *row = &apply->plan.rows[i];
        row->now = row->before = NULL;
        row->entry = NULL;
        row->service = row->action == PLAN_REMOVE || !*row->name
                           ? NULL
                           : manager_lookup(apply->manager, row->name);
    }
}

static int refuse(const struct plan *plan, struct fault *fault) {
    for (size_t i = 0; i < plan->count; i++)
        if (plan->rows[i].action == PLAN_INVALID)
            return fault_say(fault, ENOEXEC, "nothing was done, since %s%sinvalid: %s",
                             plan->rows[i].name, *plan->rows[i].name ? " is " : "",
                             plan->rows[i].why);
    return 0;
}

static int apply_set(struct apply *apply, unsigned flags, struct unit_set *set,
                     struct fault *fault) {
    struct manager *manager = apply->manager;
    int error = plan_make(manager, set, &apply->plan);
    if (error < 0)
        fault_set(fault, error, "cannot make a plan");
    else if (!(flags & (APPLY_DRY_RUN | APPLY_KEEP_GOING)))
        error = refuse(&apply->plan, fault);
    if (error < 0 || flags & APPLY_DRY_RUN) {
        unit_set_free(set);
        return error;
    }
    error = manager_take_set(manager, set);
    if (error < 0)
        return fault_set(fault, error, "cannot take the new units");
    bind_rows(apply);
    act(apply);
    return 0;
}

static struct apply *apply_new(struct manager *manager, apply_done done, void *context) {
    struct apply *apply = calloc(1, sizeof(*apply));
    if (!apply)
        return NULL;
    /* One row more, so that it does not end before it has begun. */
    *apply = (struct apply){.manager = manager, .left = 1, .done = done, .context = context};
    list_append(&manager->private->applies, &apply->link);
    return apply;
}

int manager_apply(struct manager *manager, unsigned flags, apply_done done, void *context,
                  struct fault *fault) {
    struct unit_set *set = NULL;
    if (manager->stopping)
        return fault_say(fault, ESHUTDOWN, "everything is being stopped");
    struct apply *apply = apply_new(manager, done, context);
    int error = apply ? manager_read_files(manager, &set, fault)
                      : fault_set(fault, ENOMEM, "cannot apply the files");
    if (error >= 0)
        error = apply_set(apply, flags, set, fault);
    if (!apply)
        return error;
    if (error < 0)
        apply->done = NULL;
    apply->left--;
    finish(apply);
    manager_event_ended(manager);
    return error;
}

void manager_apply_withdraw(struct manager *manager, void *context) {
    struct apply *apply;
    list_for_each(apply, &manager->private->applies, link) {
        if (apply->context == context)
            apply->done = NULL;
    }
}

void applies_free(struct manager *manager) {
    struct apply *apply, *following;
    list_for_each_safe(apply, following, &manager->private->applies, link) {
        plan_free(&apply->plan);
        free(apply);
    }
}
