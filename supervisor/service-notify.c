/* What a program says of itself by sd_notify(3), as events and facts. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/output.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/number.h"
#include "units/base/text.h"

/* ---- the watchdog ---- */

void service_guard(struct service *service) {
    struct service_private *own = service->private;
    uint64_t now = world_now(service->manager);
    if (service->main && !service->paused && own->watchdog_period < NEVER - now)
        timers_set(&service->manager->private->timers, &own->watchdog, now + own->watchdog_period);
}

void service_unguard(struct service *service) {
    timers_cancel(&service->manager->private->timers, &service->private->watchdog);
}

/* It counts from when the unit is ready. */
static void note_watchdog(struct service *service, const struct notification *notification) {
    struct service_private *own = service->private;
    bool guarded = own->watchdog.slot != 0 || (state_traits(service->state)->up && service->main);
    if (notification->watchdog)
        own->watchdog_period = notification->watchdog;
    if ((notification->watchdog || notification->ping) && guarded)
        service_guard(service);
    if (notification->trigger) {
        service_fail(service, "said WATCHDOG=trigger");
        service_handle(service, EVENT_WATCHDOG);
    }
}

/* ---- more time: never less than it had ---- */

static void extend(struct timers *timers, struct deadline *deadline, uint64_t at) {
    if (deadline->slot && deadline->at < at)
        timers_set(timers, deadline, at);
}

static void note_extension(struct service *service, uint64_t duration) {
    struct timers *timers = &service->manager->private->timers;
    uint64_t now = world_now(service->manager);
    if (duration == 0 || duration >= NEVER - now)
        return;
    extend(timers, &service->private->deadline, now + duration);
    extend(timers, &service->private->lifetime, now + duration);
}

/* ---- facts ---- */

static void note_text(char **place, const char *text) {
    char *copy = text ? strdup(text) : NULL;
    if (!copy)
        return;
    free(*place);
    *place = copy;
}

static void note_error(struct service *service, const struct notification *notification) {
    scoped_text struct text words = {0};
    uint64_t number;
    if (notification->bus_error)
        text_add(&words, notification->bus_error);
    else if (notification->errno_text && number_parse(notification->errno_text, &number) >= 0 &&
             number > 0 && number < 4096)
        text_format(&words, "%s (%d)", strerror((int)number), (int)number);
    else if (notification->exit_status && number_parse(notification->exit_status, &number) >= 0 &&
             number < 256)
        text_format(&words, "exit status %d", (int)number);
    note_text(&service->status_error, words.data);
}

static void move_main(struct service *service, pid_t pid, int pidfd) {
    struct service_private *own = service->private;
    struct fault fault;
    close_fd(own->main_pidfd);
    own->main_pidfd = pid == run_program_pid(service->main) ? close_fd(pidfd) : pidfd;
    service->main_pid = pid;
    own->held.main_began = own->main_pidfd >= 0 ? world_start_time(pid) : 0;
    log_line(LEVEL_INFO, "%s: main process is %d now", service->name, (int)pid);
    if (own->output && output_update(own->output, service, pid, &fault) < 0)
        log_line(LEVEL_WARNING, "%s: %s", service->name, fault.text);
}

/* ---- events ---- */

/* One that was asked to reload answers with a time after that; what it says of an earlier reload is
 * no answer. Its clock may be set off against ours by a time namespace. */
static bool is_answer(const struct service *service, uint64_t monotonic) {
    const struct service_private *own = service->private;
    const struct namespaces *namespaces = &service->unit->container.namespaces;
    if (!state_traits(service->state)->reloading || own->reload_asked == 0)
        return true;
    if (monotonic == 0)
        return !own->reload_by_word;
    int64_t asked = (int64_t)own->reload_asked;
    if (namespaces->choices[NAMESPACE_TIME].mode == NAMESPACE_PRIVATE)
        asked += namespaces->monotonic_offset;
    return (int64_t)monotonic >= asked;
}

void service_notified(struct service *service, const struct notification *notification) {
    service_poll_run(service);
    state_touch(service);
    note_text(&service->status_text, notification->status);
    note_error(service, notification);
    if (notification->restart_reset)
        service->private->step = 0;
    if (!service_has_main(service)) {
        if (notification->main_pidfd >= 0)
            close_fd(notification->main_pidfd);
        return; /* nobody of this unit runs any more */
    }
    if (notification->access != ACCESS_UNSAID)
        service->private->access = notification->access;
    if (notification->main_pid > 0)
        move_main(service, notification->main_pid, notification->main_pidfd);
    note_extension(service, notification->extend);
    /* Where several are in one message, each beats those after it. */
    if (notification->stopping)
        service_handle(service, EVENT_SAID_STOPPING);
    else if (notification->ready && (service->unit->service.type == SERVICE_NOTIFY ||
                                     state_traits(service->state)->reloading))
        service_handle(service, EVENT_SAID_READY);
    else if (notification->reloading && is_answer(service, notification->monotonic))
        service_handle(service, EVENT_SAID_RELOADING);
    if (service->main)
        note_watchdog(service, notification);
}
