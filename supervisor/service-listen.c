#include "supervisor/health.h"
#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/seeded.h"
#include "supervisor/service-actions.h"
#include "supervisor/sockets.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/number.h"
#include "units/base/text.h"

/* A unit that names sockets has them from before its first process until it is at rest. A lazy one
 * listens in between: it is up for those who require it, since whoever connects waits in the
 * kernel's queue. */

/* A process that is started again and again, and ends without taking what woke it. */
#define TRIGGERS_MAX 20
#define TRIGGERS_TIME (2 * USEC_PER_SEC)

#define LOOKS 10 /* for connections, within the time that idle_stop gives */
#define LOOK_FIRST 10000ULL
#define LOOK_LAST (10 * USEC_PER_SEC)
#define WATCH_AGAIN USEC_PER_SEC

static const struct network *network_of(const struct service *service) {
    return &service->unit->container.network;
}

static bool goes_down(const struct service *service) {
    enum goal goal = service->private->goal;
    return goal == GOAL_DOWN || goal == GOAL_CYCLE;
}

/* ---- before the process ---- */

int service_listen(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    int error = sockets_open(service, &own->sockets, fault);
    if (error < 0)
        return error;
    if (!own->sockets || !network_of(service)->sockets_lazy) /* by a file that changed meanwhile */
        own->listens = false;
    return network_of(service)->sockets_lazy && !own->awakened;
}

static void watch(struct service *service) {
    struct service_private *own = service->private;
    struct manager *manager = service->manager;
    struct fault fault = {{0}};
    /* They are not open where ringfenced was killed while its program had them. */
    int error = own->sockets ? 0 : sockets_open(service, &own->sockets, &fault);
    if (error >= 0 && sockets_watch(own->sockets, &fault) >= 0)
        return;
    log_line(LEVEL_ERROR, "%s: %s", service->name, fault.text);
    timers_set(&manager->private->timers, &own->deadline, later(world_now(manager), WATCH_AGAIN));
}

void enter_listening(struct service *service) {
    struct service_private *own = service->private;
    scoped_text struct text places = {0};
    own->listens = true;
    own->attempt_failed = false;
    own->recover = false;
    service->restart_at = 0;
    sockets_describe(own->sockets, &places);
    log_line(LEVEL_INFO, "%s: listens on %s", service->name, places.data ? places.data : "?");
    watch(service);
}

/* What was not kept is bound anew; that may take a while, as at a start. */
enum service_state resume_listening(struct service *service) {
    struct fault fault = {{0}};
    enum service_state next = resume_delayed(service);
    if (next != service->state)
        return next;
    if (sockets_open(service, &service->private->sockets, &fault) < 0) {
        service_fail(service, "%s", fault.text);
        service->private->cause = RESULT_LAUNCH;
        return remove_sandbox(service, SERVICE_FAILED);
    }
    watch(service);
    return next;
}

enum service_state watch_again(struct service *service) {
    watch(service);
    return service->state;
}

enum service_state stop_listening(struct service *service) {
    if (service->private->sockets)
        sockets_unwatch(service->private->sockets);
    return remove_stopped(service);
}

/* ---- the first connection ---- */

static bool trigger_limit_is_hit(struct service *service) {
    struct service_private *own = service->private;
    uint64_t now = world_now(service->manager);
    if (own->triggers == 0 || now - own->triggers_begun > TRIGGERS_TIME) {
        own->triggers_begun = now;
        own->triggers = 0;
    }
    return ++own->triggers > TRIGGERS_MAX;
}

enum service_state awaken(struct service *service) {
    struct service_private *own = service->private;
    sockets_unwatch(own->sockets);
    if (goes_down(service) && !SEEDED(AWAKES)) /* as soon as those who need it are down */
        return service->state;
    if (trigger_limit_is_hit(service)) {
        service->result = RESULT_LIMIT;
        service_fail(service,
                     "was started by a connection %d times within 2s, and ended without taking it",
                     TRIGGERS_MAX);
        return remove_sandbox(service, SERVICE_FAILED);
    }
    log_line(LEVEL_INFO, "%s: a connection came", service->name);
    enum service_state next = to_created_or_waiting(service);
    own->awakened = true;
    return next;
}

/* ---- idle ---- */

static uint64_t next_look(const struct service *service, uint64_t now) {
    uint64_t whole = network_of(service)->idle_stop, pause = whole / LOOKS;
    uint64_t end = later(service->private->busy_at, whole);
    if (pause < LOOK_FIRST)
        pause = LOOK_FIRST;
    if (pause > LOOK_LAST)
        pause = LOOK_LAST;
    return end > now && end - now < pause ? end : later(now, pause);
}

void service_await_idle(struct service *service) {
    struct service_private *own = service->private;
    struct manager *manager = service->manager;
    if (!own->sockets || network_of(service)->idle_stop == DURATION_OFF)
        return;
    sockets_are_busy(own->sockets); /* what was before does not count */
    own->busy_at = world_now(manager);
    timers_set(&manager->private->timers, &own->idle, next_look(service, own->busy_at));
}

void service_look_for_use(struct service *service) {
    struct service_private *own = service->private;
    struct manager *manager = service->manager;
    uint64_t now = world_now(manager);
    state_touch(service);
    if (health_is_connected(service)) { /* what is open may be ours: nothing can be said yet */
        timers_set(&manager->private->timers, &own->idle, later(now, LOOK_FIRST));
        return;
    }
    if (service->paused || sockets_are_busy(own->sockets))
        own->busy_at = now;
    if (now - own->busy_at >= network_of(service)->idle_stop)
        service_handle(service, EVENT_IDLE);
    else
        timers_set(&manager->private->timers, &own->idle, next_look(service, now));
}

enum service_state stop_idle(struct service *service) {
    scoped_text struct text time = {0};
    if (goes_down(service))
        return service->state;
    duration_print(&time, network_of(service)->idle_stop);
    log_line(LEVEL_INFO, "%s: no connection for %s", service->name, time.data ? time.data : "?");
    service->private->idled = true;
    return stop_process(service);
}

/* ---- afterwards ---- */

bool service_listens_again(const struct service *service) {
    const struct service_private *own = service->private;
    return own->listens && (own->idled || own->ending.result == RESULT_SUCCESS);
}

void service_rest(struct service *service) {
    struct service_private *own = service->private;
    state_touch(service);
    own->listens = own->awakened = false;
    sockets_close(own->sockets);
    own->sockets = NULL;
}

void service_describe_sockets(const struct service *service, struct text *text) {
    sockets_describe(service->private->sockets, text);
}
