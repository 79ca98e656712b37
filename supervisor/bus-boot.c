#include "supervisor/boot.h"
#include "supervisor/bus-client.h"

static int append_steps(sd_bus_message *reply, const struct boot_times *times) {
    int error = sd_bus_message_open_container(reply, 'a', "(" BUS_BOOT_STEP ")");
    for (size_t i = 0; i < times->count && error >= 0; i++) {
        const struct boot_step *step = &times->steps[i];
        error = sd_bus_message_open_container(reply, 'r', BUS_BOOT_STEP);
        if (error >= 0)
            error = bus_append_clean(reply, step->name);
        if (error >= 0)
            error = sd_bus_message_append(reply, "tts", step->begun, step->ended,
                                          boot_outcome_word(step->outcome));
        if (error >= 0)
            error = bus_append_clean(reply, step->words);
        if (error >= 0)
            error = sd_bus_message_close_container(reply);
    }
    return error < 0 ? error : sd_bus_message_close_container(reply);
}

static int append_units(sd_bus_message *reply, const struct manager *manager) {
    const struct service *service;
    int error = sd_bus_message_open_container(reply, 'a', "(" BUS_BOOT_UNIT ")");
    list_for_each(service, &manager->services, link) {
        const struct milestones *milestones = &service->milestones;
        if (error >= 0 && milestones->at_boot)
            error = sd_bus_message_append(
                reply, "(" BUS_BOOT_UNIT ")", service->name, milestones->waiting,
                milestones->building, milestones->starting, milestones->ready, milestones->failed);
    }
    return error < 0 ? error : sd_bus_message_close_container(reply);
}

int bus_boot(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    const struct bus_client *client = userdata;
    const struct manager *manager = client->bus->manager;
    const struct boot_times times = boot_times(manager->boot);
    (void)unused;

    int error = sd_bus_message_new_method_return(message, &reply);
    if (error >= 0)
        error = sd_bus_message_append(reply, "bttt", (int)times.machine, times.ringfenced,
                                      times.manager, times.units);
    if (error >= 0)
        error = append_steps(reply, &times);
    if (error >= 0)
        error = append_units(reply, manager);
    return error < 0 ? error : sd_bus_send(NULL, reply, NULL);
}
