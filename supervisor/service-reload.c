/* The configuration read again: by a command beside the program, by a signal to it, or because it
 * says so itself. */

#include <stdlib.h>
#include <string.h>

#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/service-actions.h"
#include "supervisor/world.h"
#include "units/base/number.h"
#include "units/base/text.h"

static void reload_fails(struct service *service, char *why) {
    struct service_private *own = service->private;
    free(own->reload_failure);
    own->reload_failure = why;
    log_line(LEVEL_WARNING, "%s: did not reload: %s", service->name, why ? why : "out of memory");
}

static char *copy(const char *text) {
    return text ? strdup(text) : NULL;
}

/* Whether the program has the last word: one of type notify that is asked by a signal. */
static bool answers(const struct service *service) {
    return service->unit->service.type == SERVICE_NOTIFY;
}

enum service_state begin_reload(struct service *service) {
    struct service_private *own = service->private;
    const struct service_settings *settings = &service->unit->service;
    struct fault fault = {{0}};

    free(own->reload_failure);
    own->reload_failure = NULL;
    own->reload_again = own->reload_acknowledged = false;
    own->reload_asked = world_monotonic(service->manager);
    own->reload_by_word = settings->exec_reload.count == 0 && answers(service);
    if (service->paused) { /* since it was asked */
        reload_fails(service, copy("it is paused"));
        return SERVICE_READY;
    }
    log_line(LEVEL_INFO, "%s: reloads", service->name);
    if (settings->exec_reload.count > 0) {
        if (service_commands_start(service, &settings->exec_reload, 1, true) >= 0)
            return SERVICE_RELOADING;
        reload_fails(service, copy(own->commands.failure));
        return SERVICE_READY;
    }
    if (service_signal_main(service, settings->reload_signal, &fault) < 0)
        reload_fails(service, copy(fault.text));
    else if (own->reload_by_word)
        return SERVICE_RELOADING;
    return SERVICE_READY;
}

/* What it reads now may be older than what it was asked for: once more, afterwards. */
enum service_state reload_again(struct service *service) {
    service->private->reload_again = true;
    return service->state;
}

static enum service_state reload_ends(struct service *service) {
    struct service_private *own = service->private;
    own->reload_asked = 0;
    job_end_reload(service);
    if (!own->reload_again)
        return SERVICE_READY;
    enum service_state next = begin_reload(service);
    if (next == service->state) /* the second one has a time of its own */
        enter_reloading(service);
    return next;
}

enum service_state note_reloading(struct service *service) {
    struct service_private *own = service->private;
    own->reload_acknowledged = true;
    return SERVICE_RELOADING;
}

enum service_state end_reload_by_word(struct service *service) {
    struct service_private *own = service->private;
    if (!own->reload_acknowledged) /* it speaks of the time before */
        return service->state;
    own->reload_acknowledged = own->reload_by_word = false;
    return own->commands.running ? service->state : reload_ends(service);
}

enum service_state end_reload_command(struct service *service) {
    return service->private->reload_acknowledged ? service->state : reload_ends(service);
}

enum service_state fail_to_reload(struct service *service) {
    reload_fails(service, copy(service->private->commands.failure));
    return end_reload_command(service);
}

enum service_state time_out_reloading(struct service *service) {
    struct service_private *own = service->private;
    uint64_t most = service->unit->service.start_timeout;
    scoped_text struct text words = {0};
    if (own->commands.running) {
        service_commands_time_out(service, most);
        reload_fails(service, copy(own->commands.failure));
    } else {
        text_add(&words, "it did not say within ");
        duration_print(&words, most);
        text_add(&words, " that it had");
        reload_fails(service, copy(words.data));
    }
    own->reload_acknowledged = false;
    return reload_ends(service);
}

void enter_reloading(struct service *service) {
    uint64_t now = world_now(service->manager), most = service->unit->service.start_timeout;
    timers_set(&service->manager->private->timers, &service->private->deadline,
               most >= NEVER - now ? NEVER : now + most);
}
