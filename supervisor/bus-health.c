#include "supervisor/bus-client.h"
#include "supervisor/health.h"

/* The lines of HTTP end with CR LF; a CR elsewhere is the service's own. */
static int append_output(sd_bus_message *message, const struct health_result *result) {
    char lines[sizeof(result->output)];
    size_t length = 0;
    for (const char *at = result->output; *at; at++)
        if (at[0] != '\r' || at[1] != '\n')
            lines[length++] = *at;
    lines[length] = '\0';
    return bus_append_clean(message, lines);
}

static int append_result(sd_bus_message *message, const struct health_result *result) {
    int error = sd_bus_message_open_container(message, 'r', "ttbiss");
    if (error >= 0)
        error = sd_bus_message_append(message, "ttbi", result->at, result->took,
                                      (int)result->healthy, result->code);
    if (error >= 0)
        error = bus_append_clean(message, result->error);
    if (error >= 0)
        error = append_output(message, result);
    return error < 0 ? error : sd_bus_message_close_container(message);
}

int bus_append_health_results(sd_bus_message *message, const struct service *service) {
    const struct health_record *record = service_health(service);
    int error = sd_bus_message_open_container(message, 'a', "(ttbiss)");
    for (size_t i = 0; error >= 0 && record && i < record->count; i++)
        error = append_result(
            message, &record->results[(record->newest + HEALTH_RESULTS - i) % HEALTH_RESULTS]);
    return error < 0 ? error : sd_bus_message_close_container(message);
}

/* ---- told to those who asked ---- */

static int write_change(sd_bus_message *message, const struct service *service, int before) {
    const struct health_record *record = service_health(service);
    const char *complaint = health_complaint(service);
    int error = sd_bus_message_append(message, "sss", service->name,
                                      health_state_word((enum health_state)before),
                                      health_state_word(record->state));
    if (error >= 0)
        error = sd_bus_message_append(message, "t", record->since);
    return error < 0 ? error : bus_append_clean(message, complaint ? complaint : "");
}

void bus_health_changed(struct bus *bus, struct service *service, enum health_state before) {
    bus_send_signal(bus, "HealthChanged", write_change, service, (int)before);
}
