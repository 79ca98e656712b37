#include "supervisor/job.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/log.h"
#include "supervisor/world.h"
#include "units/base/number.h"
#include "units/base/text.h"

/* ---- walks: breadth first over edges of some kinds, each service once ---- */

static void walk_begin(struct service *service, struct list *worklist) {
    struct manager_private *manager = service->manager->private;
    graph_refresh(service->manager);
    list_init(worklist);
    service->private->mark = ++manager->mark;
    list_append(worklist, &service->private->visit);
}

static struct service *walk_next(struct list *worklist) {
    struct service_private *next = list_first(worklist, struct service_private, visit);
    if (!next)
        return NULL;
    list_remove(&next->visit);
    return next->service;
}

static void walk_into(const struct edges *edges, unsigned kinds, struct list *worklist) {
    for (size_t i = 0; i < edges->count; i++) {
        struct service *other = edges->items[i].other;
        if (!other || !(edges->items[i].kinds & kinds))
            continue;
        unsigned mark = other->manager->private->mark;
        if (other->private->mark == mark)
            continue;
        other->private->mark = mark;
        list_append(worklist, &other->private->visit);
    }
}

void job_touch(struct service *service) {
    if (list_is_empty(&service->private->dirty))
        list_append(&service->manager->private->dirty, &service->private->dirty);
}

static void touch_all(const struct edges *edges) {
    for (size_t i = 0; i < edges->count; i++)
        if (edges->items[i].other)
            job_touch(edges->items[i].other);
}

static void set_goal(struct service *service, enum goal goal) {
    if (service->private->goal == goal)
        return;
    service->private->goal = goal;
    if (goal != GOAL_NONE)
        service->private->succeeded = false;
    job_touch(service);
    touch_all(&service->private->needs);
    touch_all(&service->private->needed_by);
}

static void set_cycle(struct service *service, bool by_person) {
    service->private->cycle_by_person = by_person;
    set_goal(service, GOAL_CYCLE);
}

/* ---- goals ---- */

static bool going_down(const struct service *service) {
    return service->private->goal == GOAL_DOWN || service->private->goal == GOAL_CYCLE;
}

/* Whether what this one needs is to be looked at too. `asked`: it was named itself, and not reached
 * as something that another one needs. */
static bool raise_goal(struct service *service, bool by_person, bool asked) {
    struct service_private *own = service->private;
    const struct state_traits *traits = state_traits(service->state);

    if (own->refused || (traits->down && !traits->idle && !traits->gated))
        return false; /* invalid */
    if (going_down(service)) {
        if (by_person)
            set_cycle(service, true);
        return by_person;
    }
    if (traits->gated) {
        if (by_person)
            service_forgive(service);
        set_goal(service, GOAL_UP);
        return true;
    }
    if (!traits->idle)
        return false; /* up, or on its way */
    /* One that failed, or waits for its delay, is not hurried because another one needs it. */
    bool waits = !traits->down || traits->failed;
    if (waits && !by_person && !asked)
        return false;
    if (by_person)
        service_forgive(service);
    own->recover = false;
    set_goal(service, GOAL_UP);
    return true;
}

void job_start(struct service *service, bool by_person) {
    struct list worklist;
    if (service->manager->stopping)
        return;
    walk_begin(service, &worklist);
    bool asked = true;
    for (struct service *next; (next = walk_next(&worklist)); asked = false)
        if (raise_goal(next, by_person, asked))
            walk_into(&next->private->needs, EDGE_REQUIRES | EDGE_WANTS, &worklist);
}

void job_stop(struct service *service) {
    struct list worklist;
    walk_begin(service, &worklist);
    service_forgive(service);
    service->private->recover = false;
    for (struct service *next; (next = walk_next(&worklist));) {
        if (next == service || !state_traits(next->state)->down || next->private->goal != GOAL_NONE)
            set_goal(next, GOAL_DOWN);
        walk_into(&next->private->needed_by, EDGE_REQUIRES, &worklist);
    }
}

void job_restart(struct service *service, bool by_person) {
    struct list worklist;
    if (service->manager->stopping)
        return;
    if (state_traits(service->state)->down) {
        job_start(service, by_person);
        return;
    }
    walk_begin(service, &worklist);
    if (by_person)
        service_forgive(service);
    for (struct service *next; (next = walk_next(&worklist));) {
        bool override = by_person && next == service;
        if (!state_traits(next->state)->down && (next->private->goal != GOAL_DOWN || override))
            set_cycle(next, by_person);
        walk_into(&next->private->needed_by, EDGE_REQUIRES, &worklist);
    }
}

void job_stop_all(struct manager *manager) {
    struct service *service;
    graph_refresh(manager);
    list_for_each(service, &manager->services, link) {
        service->private->recover = false;
        set_goal(service, GOAL_DOWN);
    }
}

bool job_release_sharers(struct service *service) {
    const struct edges *edges = &service->private->needed_by;
    bool held = false;
    graph_refresh(service->manager);
    for (size_t i = 0; i < edges->count; i++) {
        struct service *sharer = edges->items[i].other;
        if (!(edges->items[i].kinds & EDGE_SHARES) || !sharer->sandbox)
            continue;
        held = true;
        if (!going_down(sharer))
            job_restart(sharer, false);
    }
    return held;
}

void job_state_changed(struct service *service) {
    const struct edges *edges = &service->private->needed_by;
    graph_refresh(service->manager);
    job_touch(service);
    touch_all(&service->private->needs);
    touch_all(edges);
    if (!service_is_up(service))
        return;
    for (size_t i = 0; i < edges->count; i++)
        if ((edges->items[i].kinds & EDGE_REQUIRES) && edges->items[i].other->private->recover)
            job_start(edges->items[i].other, false);
}

/* ---- what a service waits for ---- */

enum verdict { VERDICT_WAIT, VERDICT_GO, VERDICT_DOOMED };

/* Still to come up by the goal it has, and not known to have trouble with it. */
static bool in_progress(const struct service *service) {
    const struct service_private *own = service->private;
    if (own->attempt_failed || own->stalled)
        return false;
    return own->goal == GOAL_UP || own->goal == GOAL_CYCLE || state_traits(service->state)->rising;
}

static bool satisfied(const struct service *service) {
    return service_is_up(service) && !going_down(service);
}

/* May it still come up without anybody's doing? */
static bool hopeful(const struct service *service) {
    return service->private->goal != GOAL_NONE || !state_traits(service->state)->down ||
           state_traits(service->state)->gated;
}

/* *ret_edge: what it waits for, or what dooms it. */
static enum verdict judge(const struct service *service, const struct edge **ret_edge) {
    const struct edges *needs = &service->private->needs;
    enum verdict verdict = VERDICT_GO;
    for (size_t i = 0; i < needs->count; i++) {
        const struct edge *edge = &needs->items[i];
        if (edge->kinds & EDGE_REQUIRES) {
            if (edge->other && satisfied(edge->other))
                continue;
            if (!edge->other || !hopeful(edge->other)) {
                *ret_edge = edge;
                return VERDICT_DOOMED;
            }
        } else if (!edge->other || !in_progress(edge->other)) {
            continue;
        }
        if (verdict == VERDICT_GO)
            *ret_edge = edge;
        verdict = VERDICT_WAIT;
    }
    return verdict;
}

/* It stops when those that need it and are going down too are down. */
static bool may_stop(const struct service *service) {
    const struct edges *edges = &service->private->needed_by;
    for (size_t i = 0; i < edges->count; i++)
        if (going_down(edges->items[i].other) && !state_traits(edges->items[i].other->state)->down)
            return false;
    return true;
}

static bool has_lost(const struct service *service) {
    const struct edges *needs = &service->private->needs;
    for (size_t i = 0; i < needs->count; i++)
        if ((needs->items[i].kinds & EDGE_REQUIRES) &&
            !(needs->items[i].other && satisfied(needs->items[i].other)))
            return true;
    return false;
}

static bool has_stalled(const struct service *service) {
    const struct edges *needs = &service->private->needs;
    if (!state_traits(service->state)->gated)
        return false;
    for (size_t i = 0; i < needs->count; i++) {
        const struct service *other = needs->items[i].other;
        if (other && (needs->items[i].kinds & EDGE_REQUIRES) && !satisfied(other) &&
            (other->private->attempt_failed || other->private->stalled))
            return true;
    }
    return false;
}

void service_explain_waiting(const struct service *service, struct text *text) {
    const struct edge *edge = NULL;
    if (!state_traits(service->state)->gated || judge(service, &edge) != VERDICT_WAIT)
        return;
    const struct service *other = edge->other;
    text_format(text, "waits for %s (%s", edge->name, service_state_word(other->state));
    uint64_t now = world_date(service->manager);
    if (other->restart_at > now) {
        text_add(text, " in ");
        duration_print(text, (other->restart_at - now + 999) / 1000 * 1000);
    }
    text_add(text, ")");
}

/* ---- requests ---- */

int job_wait(struct service *service, enum command command, command_done done, void *context) {
    struct request *request = malloc(sizeof(*request));
    if (!request)
        return -ENOMEM;
    *request = (struct request){.command = command, .done = done, .context = context};
    list_append(&service->private->requests, &request->link);
    job_touch(service);
    return 0;
}

/* 1: it goes on; 0: ended well; -errno with the sentence. */
static int judge_request(const struct service *service, const struct request *request,
                         struct fault *fault) {
    const struct service_private *own = service->private;
    const struct edge *edge = NULL;

    if (request->command == COMMAND_STOP)
        return state_traits(service->state)->down && own->goal == GOAL_NONE ? 0 : 1;
    if (own->goal == GOAL_DOWN || service->manager->stopping)
        return fault_say(fault, ECANCELED, "%s: stopped by another command", service->name);
    if (own->goal == GOAL_CYCLE)
        return 1;
    if (service_is_up(service))
        return 0;
    if (own->stalled && judge(service, &edge) != VERDICT_GO)
        return fault_say(fault, EIO, "%s waits for %s, which could not start yet%s%s",
                         service->name, edge->name, edge->other && edge->other->failure ? ": " : "",
                         edge->other && edge->other->failure ? edge->other->failure : "");
    if (own->goal == GOAL_UP && !own->attempt_failed)
        return 1;
    if (state_traits(service->state)->rising && !own->attempt_failed)
        return 1;
    return fault_say(fault, EIO, "%s: %s", service->name,
                     service->failure ? service->failure : service_state_word(service->state));
}

static struct request *ended_request(struct service *service, int *ret_error, struct fault *fault) {
    struct request *request;
    list_for_each(request, &service->private->requests, link) {
        *ret_error = judge_request(service, request, fault);
        if (*ret_error != 1)
            return request;
    }
    return NULL;
}

/* The callee may give new commands and withdraw others: each time from the beginning. */
static void end_requests(struct service *service) {
    struct request *request;
    int error;
    if (list_is_empty(&service->private->requests))
        return;
    struct fault fault = {{0}};
    while ((request = ended_request(service, &error, &fault))) {
        list_remove(&request->link);
        if (request->done)
            request->done(request->context, error, &fault);
        free(request);
        fault.text[0] = '\0';
    }
}

/* ---- the drain ---- */

static void reach_down(struct service *service) {
    struct service_private *own = service->private;
    if (!state_traits(service->state)->down) {
        if (may_stop(service))
            service_handle(service, EVENT_STOP);
        return;
    }
    if (own->goal == GOAL_CYCLE) {
        set_goal(service, GOAL_NONE);
        job_start(service, own->cycle_by_person);
        return;
    }
    service_handle(service, EVENT_STOP);
    if (state_traits(service->state)->down)
        set_goal(service, GOAL_NONE);
}

static void look_at(struct service *service) {
    struct service_private *own = service->private;
    const struct edge *edge = NULL;

    bool stalled = has_stalled(service);
    if (stalled != own->stalled) {
        own->stalled = stalled;
        touch_all(&own->needed_by);
    }
    if (own->refused && state_traits(service->state)->down)
        service_handle(service, EVENT_REFUSED);
    if (going_down(service))
        reach_down(service);
    else if (state_traits(service->state)->lingers)
        service_handle(service, EVENT_EMPTY);
    if (own->goal == GOAL_UP && state_traits(service->state)->idle)
        service_handle(service, EVENT_PULL);
    if (state_traits(service->state)->gated && !going_down(service)) {
        enum verdict verdict = judge(service, &edge);
        if (verdict == VERDICT_GO) {
            service_handle(service, EVENT_GO);
        } else if (verdict == VERDICT_DOOMED) {
            service_fail(service, "requires %s, %s", edge->name,
                         edge->other ? "which is not up" : "and there is no such unit");
            service_handle(service, EVENT_DEPENDENCY_FAILED);
        }
    } else if (state_traits(service->state)->up && has_lost(service)) {
        service_handle(service, EVENT_DEPENDENCY_LOST);
    }
    end_requests(service);
}

void job_drain(struct manager *manager) {
    struct manager_private *own = manager->private;
    if (own->draining)
        return;
    own->draining = true;
    graph_refresh(manager);
    struct service_private *next;
    while ((next = list_first(&own->dirty, struct service_private, dirty))) {
        list_remove(&next->dirty);
        look_at(next->service);
        graph_refresh(manager);
    }
    own->draining = false;
    manager_sweep(manager);
}
