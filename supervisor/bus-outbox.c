/* What tells a client of a change: posted while the change happens, sent when it is written down.
 * Whoever has seen a state has seen one that the next manager knows of, too. */

#include "supervisor/bus-client.h"
#include "units/base/number.h"

#define POSTED_MAX 2048 /* of one client: one event may bring a thousand units up, or down */
#define UNREAD_MAX 512  /* then the rest waits here, until the client has read some */

struct letter {
    struct list link; /* bus_client.posted */
    sd_bus_message *message;
};

static sd_bus_message *letter_open(struct bus_client *client, struct letter *letter) {
    sd_bus_message *message = letter->message;
    list_remove(&letter->link);
    client->posted_count--;
    free(letter);
    return message;
}

int bus_post(struct bus_client *client, sd_bus_message *message) {
    if (client->gone)
        return 0;
    struct letter *letter = client->posted_count < POSTED_MAX ? malloc(sizeof(*letter)) : NULL;
    if (!letter)
        return -ENOBUFS;
    *letter = (struct letter){.message = sd_bus_message_ref(message)};
    list_append(&client->posted, &letter->link);
    client->posted_count++;
    return 0;
}

void bus_unpost(struct bus_client *client) {
    struct letter *letter;
    while ((letter = list_first(&client->posted, struct letter, link)))
        sd_bus_message_unref(letter_open(client, letter));
}

/* True: some of it waits. */
static bool send_posted(struct bus_client *client) {
    struct letter *letter;
    while ((letter = list_first(&client->posted, struct letter, link))) {
        uint64_t unread = 0;
        if (sd_bus_get_n_queued_write(client->connection, &unread) < 0 || unread >= UNREAD_MAX)
            return true;
        scoped(sd_bus_message_unref) sd_bus_message *message = letter_open(client, letter);
        if (sd_bus_send(client->connection, message, NULL) < 0) {
            bus_client_drop(client);
            return false;
        }
    }
    return false;
}

void bus_tell(struct bus *bus) {
    struct bus_client *client, *following;
    bool waits = false;

    if (!bus)
        return;
    list_for_each_safe(client, following, &bus->clients, link) {
        waits |= send_posted(client);
    }
    sd_event_source_set_enabled(bus->again, waits ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int look_again(sd_event_source *source, void *userdata) {
    (void)source;
    bus_tell(userdata);
    return 0;
}

/* A client that reads makes its socket writable, sd-bus wakes up for that and sends of what it has
 * taken from us: then there is room for more, and nobody need look for it in between. */
int bus_outbox_open(struct bus *bus) {
    int error = sd_event_add_post(bus->manager->event, &bus->again, look_again, bus);
    return error < 0 ? error : sd_event_source_set_enabled(bus->again, SD_EVENT_OFF);
}
