#include "supervisor/bus-client.h"
#include "supervisor/machine.h"

/* Answered before it begins: what follows ends this manager. */
static int end_machine(sd_bus_message *message, enum machine_end end) {
    struct fault fault = {""};
    int force;
    int error = sd_bus_message_read(message, "b", &force);

    if (error < 0)
        return error;
    return bus_reply_result(message, machine_end(end, force, &fault), &fault);
}

int bus_power_off(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    (void)userdata, (void)unused;
    return end_machine(message, MACHINE_POWEROFF);
}

int bus_reboot(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    (void)userdata, (void)unused;
    return end_machine(message, MACHINE_REBOOT);
}

int bus_halt(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    (void)userdata, (void)unused;
    return end_machine(message, MACHINE_HALT);
}
