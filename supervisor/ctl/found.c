#include "supervisor/ctl/found.h"

#include <string.h>

static int read_lost(sd_bus_message *reply, struct found *found) {
    const char *unit, *why;
    int result = sd_bus_message_enter_container(reply, 'a', "(ss)");

    while (result >= 0 && (result = sd_bus_message_read(reply, "(ss)", &unit, &why)) > 0) {
        struct lost_unit *longer =
            reallocarray(found->lost, found->lost_count + 1, sizeof(*found->lost));
        if (!longer)
            return -ENOMEM;
        found->lost = longer;
        longer[found->lost_count] = (struct lost_unit){strdup(unit), strdup(why)};
        const struct lost_unit *lost = &longer[found->lost_count++];
        if (!lost->unit || !lost->why)
            return -ENOMEM;
    }
    return result;
}

int found_read(sd_bus *bus, struct found *found, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    sd_bus_error answer = SD_BUS_ERROR_NULL;
    int error = sd_bus_get_property_trivial(bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "Found",
                                            &answer, 't', &found->count);

    if (error >= 0)
        error = sd_bus_get_property(bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "Lost", &answer,
                                    &reply, "a(ss)");
    if (error >= 0)
        error = read_lost(reply, found);
    int code = error < 0 ? client_error(&answer, error, fault) : EXIT_OK;
    sd_bus_error_free(&answer);
    return code;
}

void found_json(const struct found *found, struct text *text) {
    json_unsigned(text, "found", found->count);
    json_open(text, "lost", '[');
    for (size_t i = 0; i < found->lost_count; i++) {
        json_open(text, NULL, '{');
        json_string(text, "unit", found->lost[i].unit);
        json_string(text, "why", found->lost[i].why);
        json_close(text, '}');
    }
    json_close(text, ']');
}

void found_free(struct found *found) {
    for (size_t i = 0; i < found->lost_count; i++) {
        free(found->lost[i].unit);
        free(found->lost[i].why);
    }
    free(found->lost);
}
