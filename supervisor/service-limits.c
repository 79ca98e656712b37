/* What ends a unit that does not do as its file says: it is late, runs too long, or is not well. */

#include "supervisor/health.h"
#include "supervisor/log.h"
#include "supervisor/service-actions.h"
#include "supervisor/world.h"
#include "units/base/number.h"
#include "units/base/text.h"

enum service_state time_out_starting(struct service *service) {
    scoped_text struct text time = {0};
    duration_print(&time, service->unit->service.start_timeout);
    service->private->cause = RESULT_TIMEOUT;
    const char *unhealthy = health_complaint(service);
    service_fail(service, "was not ready within %s%s%s", time.data ? time.data : "?",
                 unhealthy ? ": " : "", unhealthy ? unhealthy : "");
    return stop_process(service);
}

enum service_state time_out_running(struct service *service) {
    scoped_text struct text time = {0};
    duration_print(&time, service->unit->service.runtime_max);
    service->private->cause = RESULT_TIMEOUT;
    service_fail(service, "ran for the %s that it may", time.data ? time.data : "?");
    return stop_process(service);
}

void service_reboot(struct service *service) {
    log_line(LEVEL_ERROR, "%s: the machine is rebooted: %s", service->name,
             service->failure ? service->failure : "as its file says");
    world_tell_keeper(service->manager, "REBOOT=1");
}

/* The process may hang: it gets its stop signal all the same, and its stop_timeout. */
enum service_state act_on_health(struct service *service) {
    const char *complaint = health_complaint(service);
    if (service->unit->health.on_failure == HEALTH_NONE)
        return service->state;
    service->private->cause = RESULT_UNHEALTHY;
    service_fail(service, "unhealthy: %s", complaint ? complaint : "its probes failed");
    if (service->unit->health.on_failure == HEALTH_REBOOT)
        service_reboot(service);
    return stop_process(service);
}
