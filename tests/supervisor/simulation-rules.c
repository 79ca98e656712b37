#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/gate.h"
#include "tests/supervisor/simulation.h"
#include "units/base/text.h"

/* What gate.c answers for the engine is found out here again in other ways: from states and goals
 * alone. */

static void print_edges(struct text *text, const char *word, const struct edges *edges) {
    for (size_t i = 0; i < edges->count; i++) {
        const struct service *other = edges->items[i].other;
        text_format(text, "; %s %s (%s, goal %d, kinds %u)", word, edges->items[i].name,
                    other ? service_state_word(other->state) : "missing",
                    other ? (int)other->private->goal : 0, edges->items[i].kinds);
    }
}

void rules_break(const char *rule, const struct service *service) {
    const struct service_private *own = service->private;
    scoped_text struct text text = {0};
    text_format(&text, "%s (%s, goal %d): %s", service->name, service_state_word(service->state),
                (int)own->goal, rule);
    print_edges(&text, "needs", &own->needs);
    print_edges(&text, "is needed by", &own->needed_by);
    print_edges(&text, "is tied to", &own->ties);
    fake_broken(text.data);
}

static bool goes_down(const struct service *service) {
    return service->private->goal == GOAL_DOWN || service->private->goal == GOAL_CYCLE;
}

static bool is_down(const struct service *service) {
    return state_traits(service->state)->down;
}

/* ---- one service ---- */

static void check_conflicts(const struct service *service) {
    const struct edges *ties = &service->private->ties;
    for (size_t i = 0; i < ties->count && !is_down(service); i++)
        if ((ties->items[i].kinds & EDGE_CONFLICTS) && !is_down(ties->items[i].other))
            rules_break("it is there beside one that it conflicts with", service);
}

static void check_bound(const struct service *service) {
    const struct edges *needs = &service->private->needs;
    if (!state_traits(service->state)->running || goes_down(service))
        return;
    for (size_t i = 0; i < needs->count; i++)
        if ((needs->items[i].kinds & EDGE_BINDS) &&
            !(needs->items[i].other && service_is_up(needs->items[i].other)))
            rules_break("it goes on without what it is bound to", service);
}

/* Whoever waits for a stop waits for one that is under way. */
static void check_requests(const struct service *service) {
    const struct request *request;
    list_for_each(request, &service->private->requests, link) {
        if (request->command == COMMAND_STOP && !goes_down(service))
            rules_break("a stop is waited for, and nothing stops it", service);
    }
}

static void check_goal(const struct service *service) {
    const struct service_private *own = service->private;
    const struct state_traits *traits = state_traits(service->state);
    if (traits->down && goes_down(service))
        rules_break("it is down, and still to go down", service);
    if (traits->idle && own->goal == GOAL_UP)
        rules_break("it is to come up, and nobody pulls it", service);
    if (service->main && !service->sandbox)
        rules_break("it runs without a sandbox", service);
    if (service->paused && !traits->up && service->state != SERVICE_KILLING)
        rules_break("it is to end, and nobody can thaw it", service);
    if (service->state == SERVICE_RESTARTING && own->goal == GOAL_NONE && !own->deadline.slot)
        rules_break("it waits for no end of its delay", service);
    if (!list_is_empty(&own->dirty))
        rules_break("it was not looked at", service);
}

/* What comes later of a boot is noted later, and nothing of what is no part of it. */
static void check_milestones(const struct service *service) {
    const struct milestones *passed = &service->milestones;
    const uint64_t times[] = {passed->waiting, passed->building, passed->starting, passed->ready};
    uint64_t last = 0;
    for (size_t i = 0; i < ELEMENTS(times); i++) {
        if (times[i] && (times[i] < last || times[i] > fake_now || !passed->at_boot))
            rules_break("a milestone of its boot is out of order", service);
        last = times[i] ? times[i] : last;
    }
    if (passed->at_boot && !passed->ready && service_is_up(service))
        rules_break("it is up, and its boot has not ended", service);
}

static void check_one(const struct service *service,
                      void (*check_more)(const struct service *service)) {
    check_goal(service);
    check_milestones(service);
    check_requests(service);
    check_conflicts(service);
    check_bound(service);
    if (check_more)
        check_more(service);
}

/* ---- those that changed ---- */

/* By name: a service whose file is gone is freed within the event. */
struct change {
    char name[32];
    bool down; /* it was by then */
};
static struct change *changed;
static size_t changed_count, changed_capacity;

void rules_note(struct service *service, enum service_state before) {
    (void)before;
    if (changed_count > 100 + 100 * services)
        rules_break("one event never ends", service);
    if (changed_count == changed_capacity) {
        changed_capacity = changed_capacity ? changed_capacity * 2 : 64;
        void *larger = realloc(changed, changed_capacity * sizeof(*changed));
        if (!larger)
            abort();
        changed = larger;
    }
    struct change *change = &changed[changed_count++];
    change->down = is_down(service);
    snprintf(change->name, sizeof(change->name), "%s", service->name);
}

static void check_neighbours(const struct edges *edges,
                             void (*check_more)(const struct service *service)) {
    for (size_t i = 0; i < edges->count; i++)
        if (edges->items[i].other)
            check_one(edges->items[i].other, check_more);
}

void rules_check_changed(void (*check_more)(const struct service *service)) {
    if (fake_manager->private->graph_stale)
        fake_broken("edges may lead to what is gone");
    for (size_t i = 0; i < changed_count; i++) {
        const struct service *service = manager_lookup(fake_manager, changed[i].name);
        if (!service)
            continue;
        check_one(service, check_more);
        check_neighbours(&service->private->needs, check_more);
        check_neighbours(&service->private->needed_by, check_more);
        check_neighbours(&service->private->ties, check_more);
    }
    changed_count = 0;
    if (fake_manager->private->surprises)
        fake_broken("an event came where it cannot");
}

/* ---- all: nothing waits in vain ---- */

static bool waits_to_start(const struct service *service) {
    return state_traits(service->state)->gated && !goes_down(service);
}

static bool waits_to_stop(const struct service *service) {
    bool begun = strcmp(service_state_word(service->state), "stopping") == 0;
    return goes_down(service) && !is_down(service) && !begun;
}

/* A process, the kernel or a deadline takes it further, if nobody else does. */
static bool moves(const struct service *service) {
    return !is_down(service) && !waits_to_start(service) && !waits_to_stop(service) &&
           !state_traits(service->state)->up;
}

static bool comes(const struct service *other, unsigned mark) {
    return other && (moves(other) || other->private->mark == mark);
}

/* One of those that it waits for moves, or waits for one that does. */
static bool finds_reason(const struct service *service, unsigned mark) {
    const struct service_private *own = service->private;
    if (waits_to_stop(service)) {
        for (size_t i = 0; i < own->needed_by.count; i++)
            if (goes_down(own->needed_by.items[i].other) &&
                comes(own->needed_by.items[i].other, mark))
                return true;
        return false;
    }
    for (size_t i = 0; i < own->needs.count; i++)
        if (comes(own->needs.items[i].other, mark))
            return true;
    for (size_t i = 0; i < own->ties.count; i++)
        if ((own->ties.items[i].kinds & EDGE_CONFLICTS) && comes(own->ties.items[i].other, mark))
            return true;
    return false;
}

static void check_waiting(void) {
    unsigned mark = ++fake_manager->private->mark;
    struct service *service;
    bool more = true;
    while (more) {
        more = false;
        list_for_each(service, &fake_manager->services, link) {
            if (service->private->mark == mark ||
                (!waits_to_start(service) && !waits_to_stop(service)) ||
                !finds_reason(service, mark))
                continue;
            service->private->mark = mark;
            more = true;
        }
    }
    list_for_each(service, &fake_manager->services, link) {
        if (service->private->mark != mark && (waits_to_start(service) || waits_to_stop(service)))
            rules_break("it waits in vain", service);
    }
}

void rules_check_all(void) {
    struct service *service;
    size_t up = 0;
    list_for_each(service, &fake_manager->services, link) {
        up += !is_down(service);
        check_one(service, NULL);
    }
    if (up != fake_manager->private->up)
        fake_broken("the number of services that are up is wrong");
    check_waiting();
}

/* ---- commands ---- */

/* By name; a file that changed may make others of them within the event. */
static char (*followers)[32];
static size_t follower_count;
static size_t changed_before; /* the command */

static void note_followers(const struct edges *edges, unsigned kind) {
    for (size_t i = 0; i < edges->count; i++) {
        if (!(edges->items[i].kinds & kind) || is_down(edges->items[i].other))
            continue;
        followers = reallocarray(followers, follower_count + 1, sizeof(*followers));
        if (!followers)
            abort();
        snprintf(followers[follower_count++], sizeof(*followers), "%s",
                 edges->items[i].other->name);
    }
}

void rules_before_command(const struct service *service) {
    follower_count = 0;
    changed_before = changed_count;
    if (!service)
        return;
    note_followers(&service->private->needed_by, EDGE_REQUIRES);
    note_followers(&service->private->ties, EDGE_FOLLOWS);
}

static bool went_down(const char *name) {
    for (size_t i = changed_before; i < changed_count; i++)
        if (changed[i].down && strcmp(changed[i].name, name) == 0)
            return true;
    return false;
}

/* A group is down at once, and what is started within the same event may bring it up again. */
static void check_followers(const char *rule) {
    for (size_t i = 0; i < follower_count; i++) {
        const struct service *service = manager_lookup(fake_manager, followers[i]);
        if (service && !is_down(service) && !goes_down(service) && !went_down(followers[i]))
            rules_break(rule, service);
    }
}

void rules_check_command(enum command command, const struct service *service) {
    const struct edges *ties = &service->private->ties;
    if (command == COMMAND_STOP)
        check_followers("it goes on though what it belongs to is stopped");
    bool starts = command != COMMAND_STOP && service->private->goal == GOAL_UP;
    for (size_t i = 0; i < ties->count && starts; i++)
        if ((ties->items[i].kinds & EDGE_CONFLICTS) && !is_down(ties->items[i].other) &&
            ties->items[i].other->private->goal != GOAL_DOWN)
            rules_break("it goes on beside the start of one that it conflicts with",
                        ties->items[i].other);
}
