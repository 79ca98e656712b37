#include "supervisor/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/console.h"
#include "supervisor/fd-store.h"
#include "supervisor/health.h"
#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/notify.h"
#include "supervisor/output.h"
#include "supervisor/schedule.h"
#include "supervisor/sockets.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/number.h"
#include "units/base/text.h"
#include "units/complain.h"

/* ---- deadlines, as events ---- */

#define OWNER(deadline_, member) list_entry(deadline_, struct service_private, member)

static void end_event(struct service *service) {
    manager_event_ended(service->manager);
}

static void deadline_passed(struct deadline *deadline) {
    struct service *service = OWNER(deadline, deadline)->service;
    service_handle(service, EVENT_DEADLINE);
    end_event(service);
}

static void lifetime_passed(struct deadline *deadline) {
    struct service *service = OWNER(deadline, lifetime)->service;
    service_handle(service, EVENT_LIFETIME);
    end_event(service);
}

static void idle_passed(struct deadline *deadline) {
    struct service *service = OWNER(deadline, idle)->service;
    service_look_for_use(service);
    end_event(service);
}

/* It has been ready long enough: the next crash is a first one. */
static void steady_passed(struct deadline *deadline) {
    struct service_private *own = OWNER(deadline, steady);
    own->step = 0;
    service_fail(own->service, NULL);
    state_touch(own->service);
    end_event(own->service);
}

static void watchdog_passed(struct deadline *deadline) {
    struct service *service = OWNER(deadline, watchdog)->service;
    scoped_text struct text time = {0};
    duration_print(&time, service->private->watchdog_period);
    service_fail(service, "did not say WATCHDOG=1 within %s", time.data ? time.data : "its time");
    service_handle(service, EVENT_WATCHDOG);
    end_event(service);
}

/* ---- life ---- */

int service_new(struct manager *manager, const char *name, struct service **ret_service) {
    struct whole {
        struct service service;
        struct service_private private;
    } *whole = calloc(1, sizeof(*whole));
    char *copy = strdup(name);
    struct complaints *complaints = calloc(1, sizeof(*complaints));
    if (!whole || !copy || !complaints) {
        free(whole);
        free(copy);
        free(complaints);
        return -ENOMEM;
    }
    struct service *service = &whole->service;
    struct service_private *own = &whole->private;
    *service = (struct service){
        .manager = manager,
        .name = copy,
        .complaints = complaints,
        .state = SERVICE_LOADED,
        .state_since = world_date(manager),
        .private = own,
    };
    *own = (struct service_private){
        .service = service,
        .main_pidfd = -1,
        .deadline.passed = deadline_passed,
        .lifetime.passed = lifetime_passed,
        .steady.passed = steady_passed,
        .idle.passed = idle_passed,
        .watchdog.passed = watchdog_passed,
        .watchdog_period = NEVER,
    };
    list_init(&service->link);
    list_init(&own->unsaved);
    list_init(&own->dirty);
    list_init(&own->visit);
    list_init(&own->planned);
    list_init(&own->requests);
    *ret_service = service;
    return 0;
}

void service_free(struct service *service) {
    if (!service)
        return;
    struct service_private *own = service->private;
    struct timers *timers = &service->manager->private->timers;
    struct request *request, *following;
    service_commands_stop(service);
    health_free(service);
    service_drop_run(service);
    watch_close(own->cgroup_watch);
    fd_store_free(own->fd_store);
    notify_close(own->notify);
    console_close(own->console); /* which lies in the output */
    output_close(own->output);
    timers_cancel(timers, &own->deadline);
    timers_cancel(timers, &own->lifetime);
    timers_cancel(timers, &own->steady);
    timers_cancel(timers, &own->idle);
    sockets_close(own->sockets);
    schedule_free(own->schedule);
    timers_cancel(timers, &own->watchdog);
    list_for_each_safe(request, following, &own->requests, link) {
        free(request->failure);
        free(request);
    }
    edges_free(&own->needs);
    edges_free(&own->needed_by);
    edges_free(&own->ties);
    list_remove(&service->link);
    state_free(service);
    list_remove(&own->dirty);
    list_remove(&own->visit);
    list_remove(&own->planned);
    complaints_free(service->complaints);
    free(service->complaints);
    unit_unref(service->unit);
    unit_unref(service->next_unit);
    unit_unref(own->built_from);
    free(service->failure);
    free(service->status_text);
    free(service->status_error);
    free(own->commands.failure);
    free(own->reload_failure);
    free(own->orders);
    free(service->path);
    free(service->name);
    free(service); /* and private, which lies behind it */
}

/* ---- transitions ---- */

/* What was to come up is up by then, or will not come. What is asked for while the sandbox goes is
 * of the next attempt, unless it listens again at once. */
static bool ends_attempt(enum service_state before, enum service_state state) {
    const struct state_traits *traits = state_traits(state);
    return traits->lingers || (traits->settled && (traits->up || !state_traits(before)->lingers));
}

void service_enter(struct service *service, enum service_state state) {
    struct service_private *own = service->private;
    struct manager *manager = service->manager;
    enum service_state before = service->state;

    state_touch(service);
    manager->private->up -= !state_traits(before)->down;
    manager->private->up += !state_traits(state)->down;
    timers_cancel(&manager->private->timers, &own->deadline);
    service->state = state;
    service->state_since = service_date(service);
    if (own->goal == GOAL_UP && ends_attempt(before, state))
        own->goal = GOAL_NONE;
    if (!state_traits(state)->probed)
        health_end(service);
    if (state_traits(state)->enter)
        state_traits(state)->enter(service);
    milestones_pass(service);
    schedule_state_changed(service);
    if (manager->bus)
        bus_service_changed(manager->bus, service, before);
    job_state_changed(service);
}

void service_handle(struct service *service, enum service_event event) {
    service_action action = service_cell(service->state, event);
    if (!action) {
        service->manager->private->surprises++;
        log_line(LEVEL_ERROR, "%s: did not expect \"%s\" while %s", service->name,
                 service_event_word(event), service_state_word(service->state));
        return;
    }
    state_touch(service);
    enum service_state next = action(service);
    if (next != service->state)
        service_enter(service, next);
}

void service_forgive(struct service *service) {
    struct service_private *own = service->private;
    state_touch(service);
    own->step = 0;
    own->triggers = 0;
    own->limit_count = 0;
    own->attempt_failed = false;
    own->recover = false;
    own->for_failure = false;
    service->restarts = 0;
}

void service_take_next_unit(struct service *service) {
    if (!service->next_unit)
        return;
    state_touch(service);
    unit_unref(service->unit);
    service->unit = take(service->next_unit);
    service->file_changed = false;
    graph_spoil(service->manager);
    schedule_follow(service);
}

int service_tell_output(struct service *service, struct fault *fault) {
    struct output *output = service->private->output;
    return output ? output_update(output, service, service->main_pid, fault) : 0;
}

void service_fail(struct service *service, const char *format, ...) {
    char *text = NULL;
    if (format) {
        va_list arguments;
        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
            text = NULL;
        va_end(arguments);
    }
    free(service->failure);
    service->failure = text;
}

/* ---- questions ---- */

bool service_is_active(const struct service *service) {
    return state_traits(service->state)->running;
}

bool service_can_pause(const struct service *service) {
    return state_traits(service->state)->up && service->main;
}

bool service_is_up(const struct service *service) {
    const struct service_private *own = service->private;
    return state_traits(service->state)->up || own->succeeded || own->listens;
}
