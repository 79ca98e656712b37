#pragma once
/* Changes of units as they happen, for the verbs that wait for them; also over the end of a
 * manager, whose successor they follow then. */

#include "supervisor/ctl/view.h"

/* One UnitChanged, whose strings are the message's. */
struct change {
    const char *unit, *before, *after, *result, *failure;
    int32_t exit_code, exit_signal;
    uint32_t pid;
    uint64_t restarts, time;
};
int change_read(sd_bus_message *message, struct change *change);

/* Has the handler called with each from now on. */
int changes_subscribe(sd_bus *bus, sd_bus_message_handler_t handler, void *context,
                      struct fault *fault);
/* Handles them until *done, an error, or the deadline (client_now(), 0: none): -ETIMEDOUT. */
int changes_follow(sd_bus *bus, const bool *done, uint64_t deadline);
