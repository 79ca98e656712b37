#include "supervisor/bus-client.h"

/* One row for each reason why one unit waits for another. */
struct rows {
    sd_bus_message *reply;
    int error;
};

static void append_row(void *context, const char *unit, const char *kind, const char *other) {
    struct rows *rows = context;
    if (rows->error >= 0)
        rows->error = sd_bus_message_append(rows->reply, "(sss)", unit, kind, other);
}

int bus_list_dependencies(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    struct bus_client *client = userdata;
    (void)unused;

    int error = sd_bus_message_new_method_return(message, &reply);
    if (error >= 0)
        error = sd_bus_message_open_container(reply, 'a', "(sss)");
    struct rows rows = {reply, error};
    if (error >= 0)
        manager_visit_dependencies(client->bus->manager, append_row, &rows);
    if (rows.error >= 0)
        rows.error = sd_bus_message_close_container(reply);
    return rows.error < 0 ? rows.error : sd_bus_send(NULL, reply, NULL);
}
