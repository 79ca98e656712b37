#include "supervisor/transaction.h"

#include <string.h>

#include "supervisor/gate.h"
#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/seeded.h"
#include "units/base/text.h"

/* ---- who is reached ---- */

enum reach {
    REACH_NOT,   /* what needs it has to see how it gets on without it */
    REACH_AS_IS, /* it is up, or on its way */
    REACH_RAISE,
};

static enum reach reach(const struct transaction *transaction, const struct service *service) {
    const struct state_traits *traits = state_traits(service->state);
    bool by_person = transaction->by_person;
    if (service->private->refused || (traits->down && !traits->idle && !traits->gated))
        return REACH_NOT; /* invalid */
    bool ends = gate_is_going_down(service);
    if (!service->unit || (service->private->gone && (ends || traits->down)))
        return REACH_NOT; /* its file is gone, and so will it be */
    if (ends)
        return (by_person && !transaction->resumed) || SEEDED(REVIVES) ? REACH_RAISE : REACH_NOT;
    if (traits->gated)
        return REACH_RAISE;
    if (!traits->idle && !traits->lingers)
        return REACH_AS_IS;
    /* One that failed, or waits for its delay, is not hurried because another one needs it. */
    bool waits = !traits->down || traits->failed;
    bool named = service->private->root != PART_NONE;
    return waits && !by_person && !named ? REACH_NOT : REACH_RAISE;
}

bool transaction_raises(const struct transaction *transaction, const struct service *service) {
    return service->private->part > PART_LEFT_OUT && reach(transaction, service) == REACH_RAISE;
}

void transaction_begin(struct transaction *transaction, struct manager *manager, bool by_person) {
    *transaction = (struct transaction){.manager = manager, .by_person = by_person};
    list_init(&transaction->members);
}

static void add(struct transaction *transaction, struct service *service,
                enum transaction_part part) {
    struct service_private *own = service->private;
    if (own->part != PART_NONE)
        return;
    own->part = (unsigned char)part;
    list_append(&transaction->members, &own->planned);
}

void transaction_add_root(struct transaction *transaction, struct service *service,
                          enum transaction_part part) {
    service->private->root = (unsigned char)part;
    add(transaction, service, part);
}

void transaction_end(struct transaction *transaction) {
    struct service_private *own, *following;
    list_for_each_safe(own, following, &transaction->members, planned) {
        list_remove(&own->planned);
        own->part = own->root = PART_NONE;
    }
}

/* One that goes down to begin with another file will not need what that does not name. */
static bool is_needed_no_more(const struct service *service, const struct service *other) {
    return service->next_unit && gate_is_going_down(service) &&
           !graph_is_pulled(service->next_unit, other);
}

/* What the members of one kind need joins behind them, and is walked in turn. */
static void spread(struct transaction *transaction, unsigned kinds, enum transaction_part part) {
    struct service_private *own;
    list_for_each(own, &transaction->members, planned) {
        if (own->part < part || !transaction_raises(transaction, own->service))
            continue;
        for (size_t i = 0; i < own->needs.count; i++) {
            const struct edge *edge = &own->needs.items[i];
            if (edge->other && (edge->kinds & kinds) &&
                reach(transaction, edge->other) != REACH_NOT &&
                !is_needed_no_more(own->service, edge->other))
                add(transaction, edge->other, part);
        }
    }
}

static void spread_all(struct transaction *transaction) {
    spread(transaction, EDGE_REQUIRES, PART_SURE);
    spread(transaction, EDGE_REQUIRES | EDGE_WANTS, PART_WANTED);
}

/* Once more without those that were left out, and so without what only they need. */
static void spread_again(struct transaction *transaction) {
    struct service_private *own, *following;
    list_for_each_safe(own, following, &transaction->members, planned) {
        if (own->part == PART_LEFT_OUT)
            continue;
        own->part = own->root;
        if (!own->root)
            list_remove(&own->planned);
    }
    spread_all(transaction);
}

/* ---- what cannot be ---- */

/* What requires one that is left out is left out too; those in it for sure require none such. */
static void leave_out(struct transaction *transaction, struct service *service) {
    struct list worklist;
    transaction->left_out = true;
    struct service_private *next;
    list_init(&worklist);
    service->private->part = PART_LEFT_OUT;
    list_append(&worklist, &service->private->visit);
    while ((next = list_first(&worklist, struct service_private, visit))) {
        list_remove(&next->visit);
        for (size_t i = 0; i < next->needed_by.count; i++) {
            struct service_private *other = next->needed_by.items[i].other->private;
            if (!(next->needed_by.items[i].kinds & EDGE_REQUIRES) || other->part != PART_WANTED)
                continue;
            other->part = PART_LEFT_OUT;
            list_append(&worklist, &other->visit);
        }
    }
}

/* Which of two gives way; NULL: none can. */
static struct service *weaker_of(const struct transaction *transaction, struct service *one,
                                 struct service *other) {
    bool one_may = one->private->part == PART_WANTED,
         other_may = other->private->part == PART_WANTED;
    if (!one_may || !other_may)
        return one_may ? one : other_may ? other : NULL;
    bool one_comes = transaction_raises(transaction, one),
         other_comes = transaction_raises(transaction, other);
    if (one_comes != other_comes)
        return one_comes ? one : other;
    return strcmp(one->name, other->name) < 0 ? other : one;
}

static int settle_conflict(struct transaction *transaction, struct service *one,
                           struct service *other, struct fault *fault) {
    struct service *weaker = weaker_of(transaction, one, other);
    if (!weaker) {
        bool in_order = strcmp(one->name, other->name) < 0;
        return fault_say(fault, EINVAL, "it would start both %s and %s, which conflict",
                         in_order ? one->name : other->name, in_order ? other->name : one->name);
    }
    log_line(LEVEL_WARNING, "%s: is not started: it conflicts with %s", weaker->name,
             weaker == one ? other->name : one->name);
    leave_out(transaction, weaker);
    return 0;
}

static int settle_conflicts(struct transaction *transaction, struct service *service,
                            struct fault *fault) {
    const struct edges *ties = &service->private->ties;
    for (size_t i = 0; i < ties->count; i++) {
        struct service *other = ties->items[i].other;
        if (!(ties->items[i].kinds & EDGE_CONFLICTS) || other->private->part <= PART_LEFT_OUT ||
            service->private->part <= PART_LEFT_OUT)
            continue;
        if (!transaction_raises(transaction, service) && !transaction_raises(transaction, other))
            continue; /* both are as they were */
        int error = settle_conflict(transaction, service, other, fault);
        if (error < 0)
            return error;
    }
    return 0;
}

static bool takes_part(const struct service *service) {
    return gate_is_active(service) || service->private->part > PART_LEFT_OUT;
}

/* One that is on the circle by a file that has changed since. */
static const struct service *find_outdated(const struct transaction *transaction) {
    const struct service *service;
    list_for_each(service, &transaction->manager->services, link) {
        if (service->private->circular && service->next_unit)
            return service;
    }
    return NULL;
}

static int refuse_circle(const struct transaction *transaction, const char *circle,
                         struct fault *fault) {
    const struct service *outdated = find_outdated(transaction);
    if (!outdated)
        return fault_say(fault, ELOOP, "dependencies go round in a circle: %s", circle);
    return fault_say(
        fault, ELOOP,
        "dependencies go round in a circle: %s; %s runs by its file as it was: restart "
        "it first",
        circle, outdated->name);
}

static int settle_circle(struct transaction *transaction, struct service *service,
                         struct fault *fault) {
    scoped_text struct text circle = {0};
    if (!service->private->circular || !transaction_raises(transaction, service) ||
        !graph_print_circle(service, takes_part, &circle))
        return 0;
    if (service->private->part == PART_SURE)
        return refuse_circle(transaction, circle.data, fault);
    log_line(LEVEL_ERROR, "%s: is not started: dependencies go round in a circle: %s",
             service->name, circle.data);
    leave_out(transaction, service);
    return 0;
}

int transaction_make(struct transaction *transaction, struct fault *fault) {
    struct service_private *own;
    int error = 0;
    spread_all(transaction);
    list_for_each(own, &transaction->members, planned) {
        if (error >= 0)
            error = settle_conflicts(transaction, own->service, fault);
    }
    list_for_each(own, &transaction->members, planned) {
        if (error >= 0 && transaction->manager->private->circular)
            error = settle_circle(transaction, own->service, fault);
    }
    if (error >= 0 && transaction->left_out)
        spread_again(transaction);
    return error;
}
