#include "supervisor/ctl/changes.h"

int change_read(sd_bus_message *message, struct change *change) {
    return sd_bus_message_read(message, "ssssiiutts", &change->unit, &change->before,
                               &change->after, &change->result, &change->exit_code,
                               &change->exit_signal, &change->pid, &change->restarts, &change->time,
                               &change->failure);
}

int changes_follow(sd_bus *bus, const bool *done, uint64_t deadline) {
    while (!*done) {
        uint64_t now = client_now();
        int result = sd_bus_process(bus, NULL);
        if (result == 0) {
            if (deadline && now >= deadline)
                return -ETIMEDOUT;
            result = sd_bus_wait(bus, deadline ? deadline - now : UINT64_MAX);
        }
        if (result < 0 && result != -EINTR)
            return result;
    }
    return 0;
}

int changes_subscribe(sd_bus *bus, sd_bus_message_handler_t handler, void *context,
                      struct fault *fault) {
    int error = sd_bus_match_signal(bus, NULL, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "UnitChanged",
                                    handler, context);

    return error < 0 ? client_broken(error, fault)
                     : client_call(bus, "Subscribe", NULL, fault, NULL);
}
