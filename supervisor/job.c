#include "supervisor/job.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/gate.h"
#include "supervisor/log.h"
#include "supervisor/seeded.h"
#include "supervisor/state.h"
#include "supervisor/transaction.h"
#include "supervisor/world.h"
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
    state_touch(service);
    if (goal != GOAL_NONE)
        service->private->succeeded = false;
    job_touch(service);
    touch_all(&service->private->needs);
    touch_all(&service->private->needed_by);
    touch_all(&service->private->ties);
}

static void set_cycle(struct service *service, bool by_person) {
    service->private->cycle_by_person = by_person;
    state_touch(service);
    set_goal(service, GOAL_CYCLE);
}

/* Those that stop and restart with this one. */
static void walk_into_followers(const struct service *service, struct list *worklist) {
    walk_into(&service->private->needed_by, EDGE_REQUIRES, worklist);
    if (!SEEDED(APART))
        walk_into(&service->private->ties, EDGE_FOLLOWS, worklist);
}

/* ---- goals ---- */

/* A member of a transaction that a start does something to. */
static void raise_goal(struct service *service, bool by_person) {
    if (by_person)
        service_forgive(service);
    if (gate_is_going_down(service)) {
        set_cycle(service, true);
        return;
    }
    state_touch(service);
    service->private->recover = false;
    set_goal(service, GOAL_UP);
}

/* A service and those that go with it. recovers: they start again once what they need is there. */
static void stop_tree(struct service *service, bool recovers) {
    struct list worklist;
    walk_begin(service, &worklist);
    for (struct service *next; (next = walk_next(&worklist));) {
        state_touch(next);
        if (gate_is_active(next) && recovers && next->private->goal != GOAL_DOWN)
            next->private->recover = true;
        if (next == service || gate_is_active(next))
            set_goal(next, GOAL_DOWN);
        walk_into_followers(next, &worklist);
    }
}

static void stop_conflicting(const struct service *service) {
    const struct edges *ties = &service->private->ties;
    for (size_t i = 0; i < ties->count; i++) {
        struct service *other = ties->items[i].other;
        if (!(ties->items[i].kinds & EDGE_CONFLICTS))
            continue;
        state_touch(other);
        other->private->recover = false;
        if (gate_is_active(other) && other->private->goal != GOAL_DOWN)
            stop_tree(other, false);
    }
}

/* Stops first: what is in the transaction, and goes with one that stops, is started after that. */
static void carry_out(struct transaction *transaction) {
    struct service_private *own;
    list_for_each(own, &transaction->members, planned) {
        if (transaction_raises(transaction, own->service))
            stop_conflicting(own->service);
    }
    list_for_each(own, &transaction->members, planned) {
        if (transaction_raises(transaction, own->service))
            raise_goal(own->service, transaction->by_person);
    }
}

static int start(struct service *service, bool by_person, bool resumed, struct fault *fault) {
    struct transaction transaction;
    if (service->manager->stopping)
        return 0;
    graph_refresh(service->manager);
    transaction_begin(&transaction, service->manager, by_person);
    transaction.resumed = resumed;
    transaction_add_root(&transaction, service, PART_SURE);
    int error = transaction_make(&transaction, fault);
    if (error >= 0)
        carry_out(&transaction);
    transaction_end(&transaction);
    return error;
}

int job_try_start(struct service *service, bool by_person, struct fault *fault) {
    return start(service, by_person, false, fault);
}

static bool accepted(struct service *service, int error, const struct fault *fault) {
    if (error >= 0)
        return true;
    state_touch(service);
    log_line(LEVEL_ERROR, "%s: is not started: %s", service->name, fault->text);
    service_fail(service, "%s", fault->text);
    return false;
}

bool job_start(struct service *service, bool by_person) {
    struct fault fault = {{0}};
    return accepted(service, job_try_start(service, by_person, &fault), &fault);
}

static void resume(struct service *service, bool by_person) {
    struct fault fault = {{0}};
    accepted(service, start(service, by_person, true, &fault), &fault);
}

bool job_restart(struct service *service, bool by_person) {
    struct fault fault = {{0}};
    return accepted(service, job_try_restart(service, by_person, &fault), &fault);
}

void job_boot(struct manager *manager, bool (*is_wanted)(const struct service *service)) {
    struct service *service;
    struct transaction transaction;
    struct fault fault = {{0}};
    if (manager->stopping)
        return;
    graph_refresh(manager);
    transaction_begin(&transaction, manager, true);
    list_for_each(service, &manager->services, link) {
        if (is_wanted(service))
            transaction_add_root(&transaction, service, PART_WANTED);
    }
    if (transaction_make(&transaction, &fault) >= 0)
        carry_out(&transaction);
    transaction_end(&transaction);
}

void job_stop(struct service *service) {
    service_forgive(service);
    graph_refresh(service->manager);
    stop_tree(service, false);
}

/* A person wants this one up again, whatever else was asked of it before. */
static void cycle_tree(struct service *service, bool by_person) {
    struct list worklist;
    walk_begin(service, &worklist);
    for (struct service *next; (next = walk_next(&worklist));) {
        bool override = by_person && next == service;
        if (!state_traits(next->state)->down && (next->private->goal != GOAL_DOWN || override))
            set_cycle(next, by_person);
        walk_into_followers(next, &worklist);
    }
}

int job_try_restart(struct service *service, bool by_person, struct fault *fault) {
    if (service->manager->stopping)
        return 0;
    if (state_traits(service->state)->down)
        return job_try_start(service, by_person, fault);
    if (by_person)
        service_forgive(service);
    cycle_tree(service, by_person);
    return 0;
}

void job_stop_all(struct manager *manager) {
    struct service *service;
    graph_refresh(manager);
    list_for_each(service, &manager->services, link) {
        state_touch(service);
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
        if (!gate_is_going_down(sharer) && !state_traits(sharer->state)->down)
            cycle_tree(sharer, false);
    }
    return held;
}

/* ---- what follows of its own ---- */

/* Not before all that it requires is up: it would bring up the rest, and might fail for that. */
static void recover(struct service *service) {
    struct service_private *own = service->private;
    if (own->recover && !gate_find_lost(service, EDGE_REQUIRES) && !job_start(service, false)) {
        state_touch(service);
        own->recover = false;
    }
}

/* One that was started for a failure, and soon fails too, starts none that has failed as well: two
 * that name each other would never end. */
static void start_rescuers(struct service *service) {
    const struct service_private *own = service->private;
    bool soon = own->for_failure &&
                world_now(service->manager) - own->begun < service->unit->restart.reset_after;
    for (size_t i = 0; i < own->ties.count; i++) {
        struct service *other = own->ties.items[i].other;
        const struct state_traits *traits = state_traits(other->state);
        if (!(own->ties.items[i].kinds & EDGE_RESCUES) || !traits->idle || (soon && traits->failed))
            continue;
        log_line(LEVEL_NOTICE, "%s: is started because %s has failed", other->name, service->name);
        job_start(other, false);
        other->private->for_failure = true;
        state_touch(other);
    }
}

/* What it is bound to has died: it stops too, and comes back with it. */
static void follow_bound(struct service *service, const struct edge *edge) {
    bool returns = edge->other && gate_is_active(edge->other);
    log_line(LEVEL_NOTICE, "%s: stops: it is bound to %s, which is not up any more", service->name,
             edge->name);
    if (returns)
        cycle_tree(service, false);
    else
        stop_tree(service, true);
}

void job_state_changed(struct service *service) {
    const struct edges *edges = &service->private->needed_by;
    graph_refresh(service->manager);
    job_touch(service);
    touch_all(&service->private->needs);
    if (!SEEDED(FORGETS))
        touch_all(edges);
    touch_all(&service->private->ties);
    if (state_traits(service->state)->failed)
        start_rescuers(service);
    if (!service_is_up(service))
        return;
    for (size_t i = 0; i < edges->count; i++)
        if (edges->items[i].kinds & EDGE_REQUIRES)
            recover(edges->items[i].other);
}

/* ---- requests ---- */

int job_wait(struct service *service, enum command command, command_done done, void *context) {
    struct request *request = malloc(sizeof(*request));
    if (!request)
        return -ENOMEM;
    *request = (struct request){.command = command,
                                .done = done,
                                .context = context,
                                .late = service->private->reload_again};
    list_append(&service->private->requests, &request->link);
    job_touch(service);
    return 0;
}

/* Whoever asks again and again holds nobody up who asked before. */
void job_end_reload(struct service *service) {
    const char *failure = service->private->reload_failure;
    struct request *request;
    list_for_each(request, &service->private->requests, link) {
        if (request->command != COMMAND_RELOAD || request->reloaded)
            continue;
        request->reloaded = !request->late;
        if (request->reloaded && failure)
            request->failure = strdup(failure);
        request->late = false;
    }
    job_touch(service);
}

static int judge_reload(const struct service *service, const struct request *request,
                        struct fault *fault) {
    const char *failure = request->failure;
    if (!request->reloaded) { /* it never began, or was lost with its process */
        if (state_traits(service->state)->reloading)
            return 1;
        failure = service->private->reload_failure;
    }
    return failure ? fault_say(fault, EIO, "%s did not reload: %s", service->name, failure) : 0;
}

/* 1: it goes on; 0: ended well; -errno with the sentence. */
static int judge_request(const struct service *service, const struct request *request,
                         struct fault *fault) {
    const struct service_private *own = service->private;
    const struct edge *edge = NULL;

    if (request->command == COMMAND_STOP)
        return state_traits(service->state)->down && own->goal != GOAL_DOWN ? 0 : 1;
    if (own->goal == GOAL_DOWN || service->manager->stopping)
        return fault_say(fault, ECANCELED, "%s: stopped by another command", service->name);
    if (own->goal == GOAL_CYCLE)
        return 1;
    if (request->command == COMMAND_RELOAD && (service_is_up(service) || request->reloaded))
        return judge_reload(service, request, fault);
    if (service_is_up(service))
        return 0;
    if (own->stalled && gate_judge(service, &edge) != VERDICT_GO)
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
        free(request->failure);
        free(request);
        fault.text[0] = '\0';
    }
}

/* ---- the drain ---- */

static void reach_down(struct service *service) {
    struct service_private *own = service->private;
    if (!state_traits(service->state)->down) {
        if (gate_may_stop(service))
            service_handle(service, EVENT_STOP);
        return;
    }
    if (own->goal == GOAL_CYCLE) {
        if (!SEEDED(SILENT))
            end_requests(service); /* a stop that a start followed: now it is down */
        if (own->goal != GOAL_CYCLE)
            return;
        set_goal(service, GOAL_NONE);
        resume(service, own->cycle_by_person);
        return;
    }
    service_handle(service, EVENT_STOP);
    if (!state_traits(service->state)->down)
        return;
    set_goal(service, GOAL_NONE);
    /* What it was stopped for may have come back meanwhile. */
    recover(service);
}

/* Waits for what it needs, or for those that it conflicts with to be gone. */
static void pass_gate(struct service *service) {
    const struct edge *edge = NULL;
    switch (gate_judge(service, &edge)) {
    case VERDICT_GO:
        service_handle(service, EVENT_GO);
        break;
    case VERDICT_WAIT:
        /* Its file, or the other's, says so only now. */
        if ((edge->kinds & EDGE_CONFLICTS) && !gate_is_going_down(edge->other))
            stop_tree(edge->other, false);
        break;
    case VERDICT_DOOMED:
        service_fail(service, "requires %s, %s", edge->name,
                     edge->other ? "which is not up" : "and there is no such unit");
        service_handle(service, EVENT_DEPENDENCY_FAILED);
        break;
    }
}

static bool is_at_rest(const struct service *service) {
    const struct state_traits *traits = state_traits(service->state);
    return traits->down && !traits->gated && service->private->goal == GOAL_NONE;
}

static void look_at(struct service *service) {
    struct service_private *own = service->private;
    const struct edge *edge = NULL;

    bool stalled = gate_is_stalled(service);
    if (stalled != own->stalled) {
        own->stalled = stalled;
        touch_all(&own->needed_by);
    }
    if (own->refused && state_traits(service->state)->down)
        service_handle(service, EVENT_REFUSED);
    if (gate_is_going_down(service))
        reach_down(service);
    else if (state_traits(service->state)->lingers)
        service_handle(service, EVENT_EMPTY);
    if (own->goal == GOAL_UP && state_traits(service->state)->idle)
        service_handle(service, EVENT_PULL);
    const struct state_traits *traits = state_traits(service->state);
    if (traits->running && !gate_is_going_down(service) && !SEEDED(UNBOUND) &&
        (edge = gate_find_lost(service, EDGE_REQUIRES | EDGE_BINDS)))
        follow_bound(service, edge);
    if (traits->gated && !gate_is_going_down(service))
        pass_gate(service);
    else if (traits->up && gate_find_lost(service, EDGE_REQUIRES))
        service_handle(service, EVENT_DEPENDENCY_LOST);
    if (own->sockets && is_at_rest(service))
        service_rest(service);
    end_requests(service);
}

/* A changed file may close a circle through those that wait: they would do so for ever. */
static void break_circles(struct manager *manager) {
    struct service *service;
    manager->private->check_circles = false;
    list_for_each(service, &manager->services, link) {
        scoped_text struct text circle = {0};
        if (!service->private->circular || !state_traits(service->state)->gated ||
            gate_is_going_down(service) || !graph_print_circle(service, gate_is_active, &circle))
            continue;
        service_fail(service, "dependencies go round in a circle: %s", circle.data);
        service_handle(service, EVENT_DEPENDENCY_FAILED);
    }
}

static void drain(struct manager *manager) {
    struct manager_private *own = manager->private;
    struct service_private *next;
    for (;;) {
        graph_refresh(manager);
        if (own->check_circles)
            break_circles(manager);
        if (!(next = list_first(&own->dirty, struct service_private, dirty)))
            return;
        list_remove(&next->dirty);
        look_at(next->service);
    }
}

void job_drain(struct manager *manager) {
    struct manager_private *own = manager->private;
    if (own->draining)
        return;
    own->draining = true;
    do { /* no edge leads to a service that is gone, also between events */
        drain(manager);
        manager_sweep(manager);
    } while (own->graph_stale && !SEEDED(DANGLES));
    own->draining = false;
}
