#include <errno.h>

#include "supervisor/bus-client.h"
#include "units/base/fault.h"

static void names_free(char **names) {
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}
SCOPED(names_free, char **)

int bus_remove_volumes(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct bus_client *client = userdata;
    scoped(names_free) char **names = NULL;
    struct fault fault = {""};
    (void)unused;

    int error = sd_bus_message_read_strv(message, &names);
    if (error < 0)
        return error;
    for (char **name = names; name && *name; name++)
        if (!bus_find(client->bus, *name)) {
            fault_say(&fault, ENOENT, "there is no unit \"%s\"", *name);
            return bus_reply_fault(message, BUS_NO_SUCH_UNIT, -ENOENT, &fault);
        }
    if (names)
        error = manager_remove_volumes(client->bus->manager, names, &fault);
    return client->gone ? 1 : bus_reply_result(message, error, &fault);
}
