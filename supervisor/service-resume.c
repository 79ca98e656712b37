/* What each state does when another manager takes it over: processes, sockets and deadlines are
 * there again by then (adopt.c), and nothing has happened yet. Where the earlier manager died in
 * the middle of something of which only it knew, that is ended and begun again. */

#include "supervisor/gate.h"
#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/notify.h"
#include "supervisor/service-actions.h"
#include "supervisor/world.h"

/* It was started by nobody that we know: ended, and begun again from a created sandbox. */
static enum service_state begin_again(struct service *service) {
    log_line(LEVEL_NOTICE, "%s: what was under way is begun again", service->name);
    service->private->again = true;
    return kill_all(service);
}

/* The builder died with its manager, or will be ended with what it has built. */
enum service_state resume_building(struct service *service) {
    (void)service;
    return SERVICE_WAITING;
}

/* A launch that no fact tells of. */
enum service_state resume_delayed(struct service *service) {
    if (service->sandbox && sandbox_is_populated(service->sandbox) > 0)
        return begin_again(service);
    return service->state;
}

enum service_state resume_preparing(struct service *service) {
    const struct commands *before = &service->unit->service.exec_pre;
    enum service_state next = resume_delayed(service);
    if (next != service->state)
        return next;
    if (service_commands_resume(service, before->items, before->count) < 0)
        return begin_again(service);
    return service->state;
}

/* What ought to run and is not held has been launched, or not even that. */
static bool is_unknown(const struct service *service) {
    return service->private->launching && !service->main;
}

enum service_state resume_running(struct service *service) {
    if (is_unknown(service))
        return begin_again(service);
    /* As long as it still had; facts from before 0.1.0 do not say how long that was. */
    if (service->private->guarded && !service->private->watchdog.slot)
        service_guard(service);
    return service->state;
}

/* Its program has not begun, since no fact tells of it (state.c): the commands before it, which
 * have, need not run again. */
enum service_state resume_starting(struct service *service) {
    struct service_private *own = service->private;
    struct fault fault;
    if (!is_unknown(service))
        return resume_running(service);
    if (gate_find_lost(service, EDGE_REQUIRES)) /* it waits for that as it did at first */
        return begin_again(service);
    log_line(LEVEL_NOTICE, "%s: its launch is begun again", service->name);
    if (ready_pipe_resume(service, &own->ready_pipe, &fault) >= 0)
        ready_pipe_close(take(own->ready_pipe)); /* the next one has another */
    return launch_prepared(service);
}

enum service_state resume_reloading(struct service *service) {
    const struct strings *reload = &service->unit->service.exec_reload;
    enum service_state next = resume_running(service);
    if (next == service->state && service_commands_resume(service, reload, 1) < 0)
        return fail_to_reload(service);
    return next;
}

enum service_state resume_asking(struct service *service) {
    const struct commands *ask = &service->unit->service.exec_stop;
    if (is_unknown(service))
        return kill_all(service);
    if (service_commands_resume(service, ask->items, ask->count) < 0)
        return end_asking(service);
    return service->state;
}

enum service_state resume_stopping(struct service *service) {
    return is_unknown(service) ? kill_all(service) : service->state;
}

enum service_state resume_finishing(struct service *service) {
    const struct commands *after = &service->unit->service.exec_post;
    if (service_commands_resume(service, after->items, after->count) < 0)
        return conclude(service);
    return service->state;
}
