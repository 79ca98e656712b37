#include "supervisor/adopt.h"
#include "supervisor/bus-client.h"
#include "supervisor/reexec.h"

/* Answered before it begins: the connection ends with this manager. */
int bus_reexec(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct bus_client *client = userdata;
    struct fault fault = {""};
    (void)unused;
    return bus_reply_result(message, reexec_begin(client->bus->manager, &fault), &fault);
}

int bus_get_found(sd_bus *connection, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const struct bus_client *client = userdata;
    (void)connection, (void)path, (void)interface, (void)property, (void)error;
    return sd_bus_message_append(reply, "t",
                                 (uint64_t)manager_adoption(client->bus->manager)->found);
}

int bus_get_lost(sd_bus *connection, const char *path, const char *interface, const char *property,
                 sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const struct bus_client *client = userdata;
    const struct adoption *adoption = manager_adoption(client->bus->manager);
    int result = sd_bus_message_open_container(reply, 'a', "(ss)");
    (void)connection, (void)path, (void)interface, (void)property, (void)error;
    for (size_t i = 0; i < adoption->lost_count && result >= 0; i++) {
        if ((result = sd_bus_message_open_container(reply, 'r', "ss")) < 0 ||
            (result = bus_append_clean(reply, adoption->lost[i].unit)) < 0 ||
            (result = bus_append_clean(reply, adoption->lost[i].why)) < 0)
            return result;
        result = sd_bus_message_close_container(reply);
    }
    return result < 0 ? result : sd_bus_message_close_container(reply);
}
