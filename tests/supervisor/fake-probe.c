/* Probes that answer as a test says, and the rules for when one may be made. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/probe.h"
#include "tests/supervisor/fake-runtime.h"

size_t fake_probes;

struct probe {
    struct service *service;
    struct fake_probe_plan plan;
    probe_done done;
    void *context;
    struct deadline answers;
    struct list link; /* of `probes` */
};

static struct list probes = LIST(probes);

static void plan_default(const char *name, struct fake_probe_plan *plan) {
    (void)name, (void)plan;
}

void (*fake_choose_probe)(const char *name, struct fake_probe_plan *plan) = plan_default;

static void answer(struct deadline *deadline) {
    struct probe *probe = list_entry(deadline, struct probe, answers);
    const struct probe_answer told = {
        .healthy = probe->plan.healthy,
        .code = probe->plan.healthy ? 0 : 1,
        .error = probe->plan.healthy ? "" : "exited with code 1",
        .output = probe->plan.healthy ? "fine\n" : "broken\n",
        .length = probe->plan.healthy ? 5 : 7,
    };
    probe->done(probe->context, &told);
}

static void broken(const char *rule, const struct service *service) {
    char text[256];
    snprintf(text, sizeof(text), "%s: %s", service->name, rule);
    fake_broken(text);
}

static bool is_probed(const struct service *service) {
    const struct probe *probe;
    list_for_each(probe, &probes, link) {
        if (probe->service == service)
            return true;
    }
    return false;
}

int probe_open(struct service *service, probe_done done, void *context, struct probe **ret_probe,
               struct fault *fault) {
    struct fake_probe_plan plan = {.healthy = true, .after = MSEC};
    fake_choose_probe(service->name, &plan);
    bool ended = service->private->ended && service->private->main_pidfd < 0;
    if (!service->main || !service->private->executed || ended)
        broken("it is probed, and does not run", service);
    if (!state_traits(service->state)->probed)
        broken("it is probed on its way down", service);
    if (service->paused)
        broken("it is probed while it is paused", service);
    if (is_probed(service))
        broken("it is probed twice at a time", service);
    if (plan.fails_at_once)
        return fault_say(fault, EIO, "cannot make a probe");
    struct probe *probe = malloc(sizeof(*probe));
    if (!probe)
        return -ENOMEM;
    *probe = (struct probe){.service = service,
                            .plan = plan,
                            .done = done,
                            .context = context,
                            .answers.passed = answer};
    timers_reserve(&fake_timers, fake_timers.count + 1);
    timers_set(&fake_timers, &probe->answers, plan.after == NEVER ? NEVER : fake_now + plan.after);
    list_append(&probes, &probe->link);
    fake_probes++;
    *ret_probe = probe;
    return 0;
}

size_t probe_output(const struct probe *probe, char *buffer, size_t size) {
    (void)probe;
    return (size_t)snprintf(buffer, size, "so far");
}

void probe_close(struct probe *probe) {
    if (!probe)
        return;
    timers_cancel(&fake_timers, &probe->answers);
    list_remove(&probe->link);
    fake_probes--;
    free(probe);
}
