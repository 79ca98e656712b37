#include "supervisor/alive.h"

#include <inttypes.h>
#include <stdio.h>

#include "supervisor/manager-private.h"
#include "supervisor/world.h"
#include "units/base/number.h"

static void passed(struct deadline *deadline) {
    struct alive *alive = list_entry(deadline, struct alive, tick);
    struct manager *manager = alive->manager;
    world_tell_keeper(manager, "WATCHDOG=1");
    timers_set(&manager->private->timers, deadline, later(world_now(manager), alive->pause));
}

void alive_begin(struct manager *manager, uint64_t wanted, uint64_t told) {
    struct alive *alive = &manager->private->alive;
    uint64_t period = wanted == DURATION_OFF || wanted == 0 ? told : wanted;
    char message[64];
    if (period == 0)
        return;
    if (period != told) {
        snprintf(message, sizeof(message), "WATCHDOG_USEC=%" PRIu64, period);
        world_tell_keeper(manager, message);
    }
    /* Twice as often as it must be, as sd_watchdog_enabled(3) advises. */
    *alive = (struct alive){.manager = manager, .tick.passed = passed, .pause = period / 2};
    passed(&alive->tick);
}
