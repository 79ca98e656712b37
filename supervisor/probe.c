#include "supervisor/probe.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/probe-private.h"
#include "supervisor/service.h"

void probe_keep(struct probe *probe, const char *bytes, size_t length) {
    size_t room = sizeof(probe->output) - probe->length;
    if (length > room)
        length = room;
    memcpy(probe->output + probe->length, bytes, length);
    probe->length += length;
}

void probe_answer(struct probe *probe, int code, const char *error) {
    const struct probe_answer answer = {
        .healthy = error[0] == '\0',
        .code = code,
        .error = error,
        .output = probe->output,
        .length = probe->length,
    };
    probe->done(probe->context, &answer);
}

int probe_open(struct service *service, probe_done done, void *context, struct probe **ret_probe,
               struct fault *fault) {
    const struct health *health = &service->unit->health;
    struct probe *probe = calloc(1, sizeof(*probe));
    if (!probe)
        return fault_set(fault, ENOMEM, "cannot probe %s", service->name);
    *probe = (struct probe){.service = service, .done = done, .context = context};
    int error =
        health->http || health->tcp ? probe_net_open(probe, fault) : probe_exec_open(probe, fault);
    if (error < 0) {
        free(probe);
        return error;
    }
    *ret_probe = probe;
    return 0;
}

size_t probe_output(const struct probe *probe, char *buffer, size_t size) {
    size_t length = probe->length < size ? probe->length : size;
    memcpy(buffer, probe->output, length);
    return length;
}

void probe_close(struct probe *probe) {
    if (!probe)
        return;
    probe_exec_close(probe->exec);
    probe_net_close(probe->net);
    free(probe);
}
