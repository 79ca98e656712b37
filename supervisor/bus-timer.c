#include "supervisor/bus-client.h"
#include "supervisor/schedule.h"

static int append_timer(sd_bus_message *reply, const struct service *service) {
    struct schedule_facts facts;

    if (!schedule_tell(service, &facts))
        return 0;
    return sd_bus_message_append(reply, "(sttt)", service->name, facts.next, facts.last,
                                 facts.skipped);
}

int bus_append_timers(sd_bus_message *reply, const struct manager *manager) {
    const struct service *service;
    int error = sd_bus_message_open_container(reply, 'a', "(sttt)");

    list_for_each(service, &manager->services, link) {
        if (error < 0)
            return error;
        error = append_timer(reply, service);
    }
    return error < 0 ? error : sd_bus_message_close_container(reply);
}

/* The properties Timed, NextRun, LastRun and SkippedRuns; 0 without a timer. */
int bus_get_timer(sd_bus *connection, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct schedule_facts facts = {0};
    bool timed = schedule_tell(userdata, &facts);
    (void)connection, (void)path, (void)interface, (void)error;

    switch (property[0]) {
    case 'T':
        return sd_bus_message_append(reply, "b", (int)timed);
    case 'N':
        return sd_bus_message_append(reply, "t", facts.next);
    case 'L':
        return sd_bus_message_append(reply, "t", facts.last);
    default:
        return sd_bus_message_append(reply, "t", facts.skipped);
    }
}
