#include "supervisor/shutdown.h"

#include "supervisor/manager-private.h"
#include "supervisor/world.h"
#include "units/base/text.h"

#define SECOND 1000000ULL
/* For this long the keeper believes a manager that stops everything and says nothing. */
#define PATIENCE (15 * SECOND)

enum { NAMES_SHOWN = 4 };

static bool is_stopping(const struct service *service) {
    const struct state_traits *traits = state_traits(service->state);
    return (traits->running || traits->lingers) && !traits->up && !traits->rising;
}

/* ---- the limit ---- */

uint64_t shutdown_bound(const struct manager *manager, uint64_t deadline) {
    uint64_t limit = manager->private->shutdown.limit;
    return manager->stopping && limit < deadline ? limit : deadline;
}

/* Those that were stopping already have a deadline that does not know of the limit. */
static void hasten(struct manager *manager) {
    struct service *service;
    list_for_each(service, &manager->services, link) {
        struct deadline *deadline = &service->private->deadline;
        if (!is_stopping(service) || state_traits(service->state)->lingers)
            continue;
        uint64_t at = deadline->slot ? deadline->at : NEVER;
        if (shutdown_bound(manager, at) != at)
            timers_set(&manager->private->timers, deadline, shutdown_bound(manager, at));
    }
}

/* ---- who is waited for ---- */

static void add_name(struct text *text, const struct service *service, uint64_t now) {
    const struct deadline *deadline = &service->private->deadline;
    text_add(text, service->name);
    if (!deadline->slot || deadline->at <= now || state_traits(service->state)->lingers)
        return;
    unsigned long long left = (deadline->at - now + SECOND - 1) / SECOND;
    text_format(text,
                state_traits(service->state)->doomed ? " (killed in %llu s)" : " (%llu s left)",
                left);
}

void shutdown_describe(struct manager *manager, struct text *text) {
    struct service *service;
    size_t stopping = 0;
    text_add(text, "stopping all units");
    list_for_each(service, &manager->services, link) {
        if (!is_stopping(service) || stopping++ >= NAMES_SHOWN)
            continue;
        text_add(text, stopping > 1 ? ", " : ": waiting for ");
        add_name(text, service, world_now(manager));
    }
    if (stopping > NAMES_SHOWN)
        text_format(text, " and %zu more", stopping - NAMES_SHOWN);
}

/* Every second: a person sees that it goes on, and the keeper that we do not hang. */
static void passed(struct deadline *deadline) {
    struct shutdown *shutdown = list_entry(deadline, struct shutdown, tick);
    struct manager *manager = shutdown->manager;
    scoped_text struct text text = {0}, who = {0};
    shutdown_describe(manager, &who);
    if (!who.failed)
        text_format(&text, "EXTEND_TIMEOUT_USEC=%llu\nSTATUS=%s\nCONSOLE=%s", PATIENCE, who.data,
                    who.data);
    if (text.length && !text.failed)
        world_tell_keeper(manager, text.data);
    timers_set(&manager->private->timers, deadline, later(world_now(manager), SECOND));
}

/* A second word to stop does not make it longer. */
void shutdown_begin(struct manager *manager) {
    struct shutdown *shutdown = &manager->private->shutdown;
    uint64_t now = world_now(manager), timeout = 0;
    if (shutdown->manager)
        return;
    if (manager->set)
        timeout = manager->set->settings.shutdown_timeout;
    *shutdown = (struct shutdown){
        .manager = manager, .tick.passed = passed, .limit = timeout ? later(now, timeout) : NEVER};
    hasten(manager);
    timers_set(&manager->private->timers, &shutdown->tick, later(now, SECOND));
}
