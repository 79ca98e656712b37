#include "supervisor/condition.h"
#include "supervisor/console.h"
#include "supervisor/health.h"
#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/notify.h"
#include "supervisor/output.h"
#include "supervisor/schedule.h"
#include "supervisor/service-actions.h"
#include "supervisor/sockets.h"
#include "supervisor/world.h"
#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/text.h"

/* ---- cells that only name the next state ---- */

enum service_state stay(struct service *service) {
    return service->state;
}

enum service_state to_loaded(struct service *service) {
    (void)service;
    return SERVICE_LOADED;
}

enum service_state to_waiting(struct service *service) {
    service->private->begun = world_now(service->manager);
    service->private->awakened = false;
    return SERVICE_WAITING;
}

enum service_state to_created(struct service *service) {
    service->private->built = true;
    return SERVICE_CREATED;
}

enum service_state to_created_or_waiting(struct service *service) {
    to_waiting(service);
    return service->sandbox ? SERVICE_CREATED : SERVICE_WAITING;
}

enum service_state to_ready(struct service *service) {
    (void)service;
    return SERVICE_READY;
}

enum service_state to_ready_if_healthy(struct service *service) {
    if (!health_gates(service))
        return SERVICE_READY;
    health_begin(service);
    return service->state;
}

enum service_state to_stopping(struct service *service) {
    (void)service;
    return SERVICE_STOPPING;
}

enum service_state to_stopped(struct service *service) {
    (void)service;
    return SERVICE_STOPPED;
}

enum service_state to_invalid(struct service *service) {
    unit_unref(service->unit);
    service->unit = NULL;
    schedule_follow(service);
    graph_spoil(service->manager);
    return SERVICE_INVALID;
}

/* The delay is over: like a start by command, but nothing that was stopped is overruled. */
enum service_state ask_for_start(struct service *service) {
    if (service->private->refused)
        service_fail(service, "its file is invalid");
    else if (job_start(service, false))
        return service->state;
    service->result = RESULT_DEPENDENCY;
    return remove_sandbox(service, SERVICE_FAILED);
}

/* ---- the sandbox ---- */

static void attempt_begins(struct service *service) {
    struct service_private *own = service->private;
    own->executed = own->reaped = own->ended = own->signalled = own->was_ready = own->expected =
        own->idled = false;
    own->cause = RESULT_NONE;
    own->ending = (struct ending){0};
    if (service->result == RESULT_DEPENDENCY || service->result == RESULT_CONDITION)
        service_fail(service, NULL);
    service->result = RESULT_NONE;
}

static void find_shared(struct service *service, struct sandbox *joined[NAMESPACE_KINDS]) {
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        const struct namespace_choice *choice = &service->unit->container.namespaces.choices[kind];
        struct service *owner = choice->mode == NAMESPACE_UNIT && choice->name
                                    ? manager_lookup(service->manager, choice->name)
                                    : NULL;
        joined[kind] = owner ? owner->sandbox : NULL;
    }
}

static int prepare_console(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    bool wanted = service->unit->container.process.tty;
    if (wanted && !own->console)
        return console_open(service, &own->console, fault);
    if (!wanted) {
        console_close(own->console);
        own->console = NULL;
    }
    return 0;
}

static int prepare(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    struct sandbox *joined[NAMESPACE_KINDS];
    int error = 0;
    if (!own->notify)
        error = notify_open(service, &own->notify, fault);
    if (error >= 0 && !own->output && service->unit->logging.driver == LOG_FILE)
        error = output_open(service, &own->output, fault);
    if (error >= 0)
        error = prepare_console(service, fault);
    if (error < 0)
        return error;
    find_shared(service, joined);
    unit_unref(own->built_from);
    own->built_from = unit_ref(service->unit);
    error = sandbox_build(service->manager->runtime, &service->unit->container, joined,
                          notify_directory(own->notify), &service->sandbox, fault);
    return error < 0 ? error : service_watch_build(service, fault);
}

enum service_state fail_to_build(struct service *service) {
    service->private->cause = RESULT_LAUNCH;
    return settle(service);
}

enum service_state build(struct service *service) {
    struct fault fault = {{0}};
    attempt_begins(service);
    if (!conditions_hold(service))
        return SERVICE_SKIPPED;
    if (service->unit->service.type == SERVICE_GROUP)
        return SERVICE_READY;
    int listens = service_listen(service, &fault);
    if (listens > 0)
        return SERVICE_LISTENING;
    if (listens < 0 || prepare(service, &fault) < 0) {
        service_fail(service, "%s", fault.text);
        return fail_to_build(service);
    }
    return SERVICE_BUILDING;
}

/* ---- the run ---- */

static void run_begins(struct service *service) {
    struct service_private *own = service->private;
    attempt_begins(service);
    own->oom_kills = sandbox_oom_kills(service->sandbox);
    free(service->status_text);
    service->status_text = NULL;
    service->started_at = world_date(service->manager);
    service->ready_at = 0;
}

static int start_main(struct service *service, struct fault *fault) {
    static char notify_socket[] = "NOTIFY_SOCKET=" SANDBOX_NOTIFY_DIRECTORY "/notify";
    char *variables[] = {notify_socket, NULL};
    const struct strings environment = {variables, 1};
    const struct unit *unit = service->unit;
    struct service_private *own = service->private;
    scoped_fd int out = -1, error_out = -1, ready = -1;

    struct run_request request = {
        .place = RUN_MAIN,
        .exec = &unit->container.process.exec,
        .environment = &environment,
        .ready_fd = -1,
        .listen_names = sockets_names(own->sockets),
        .standard = {-1, -1, -1},
    };
    int error = 0;
    request.listen = sockets_descriptors(own->sockets, &request.listen_count);
    if (own->output)
        error = output_streams(own->output, &out, &error_out, fault);
    if (error >= 0 && unit->service.type == SERVICE_FD) {
        error = ready_pipe_open(service, &own->ready_pipe, &ready, fault);
        request.ready_fd_number = (int)unit->service.ready_fd;
    }
    if (error < 0)
        return error;
    request.standard[1] = out;
    request.standard[2] = error_out;
    request.ready_fd = ready;
    error = run_start(service->sandbox, &request, NULL, &service->main, fault);
    return error < 0 ? error : service_watch_run(service, fault);
}

static uint64_t later(uint64_t now, uint64_t duration) {
    return duration >= NEVER - now ? NEVER : now + duration;
}

/* Whatever the helper left is killed; nothing of the payload ran. */
enum service_state fail_to_launch(struct service *service) {
    service->private->cause = RESULT_LAUNCH;
    service_drop_run(service);
    return clear_up(service);
}

enum service_state launch(struct service *service) {
    struct fault fault = {{0}};
    int listens = service_listen(service, &fault);
    if (listens > 0)
        return SERVICE_LISTENING;
    run_begins(service);
    if (!conditions_hold(service))
        return remove_sandbox(service, SERVICE_SKIPPED);
    if (listens < 0 || start_main(service, &fault) < 0) {
        service_fail(service, "%s", fault.text);
        return fail_to_launch(service);
    }
    return SERVICE_STARTING;
}

void enter_starting(struct service *service) {
    struct service_private *own = service->private;
    struct timers *timers = &service->manager->private->timers;
    const struct service_settings *settings = &service->unit->service;
    uint64_t now = world_now(service->manager);
    timers_set(timers, &own->deadline, later(now, settings->start_timeout));
    timers_set(timers, &own->lifetime, later(now, settings->runtime_max));
}

enum service_state note_executed(struct service *service) {
    struct service_private *own = service->private;
    struct fault fault;
    own->executed = true;
    if (own->console)
        console_begin(own->console, run_take_terminal(service->main));
    if (own->output && output_update(own->output, service, service->main_pid, &fault) < 0)
        log_line(LEVEL_WARNING, "%s: %s", service->name, fault.text);
    return service->unit->service.type == SERVICE_EXEC ? to_ready_if_healthy(service)
                                                       : service->state;
}

/* ---- dependencies ---- */

enum service_state fail_for_dependency(struct service *service) {
    service->result = RESULT_DEPENDENCY;
    service->private->recover = true;
    return remove_sandbox(service, SERVICE_FAILED);
}

/* A group is up while all that it requires is; others go on without what they required. */
enum service_state wait_again_if_group(struct service *service) {
    return service->unit->service.type == SERVICE_GROUP ? to_waiting(service) : service->state;
}

/* ---- on entering a state ---- */

void enter_ready(struct service *service) {
    struct service_private *own = service->private;
    struct manager *manager = service->manager;
    uint64_t now = world_now(manager);
    scoped_text struct text took = {0};

    own->was_ready = true;
    own->attempt_failed = false;
    own->recover = false;
    service->restart_at = 0;
    service->ready_at = world_date(manager);
    health_begin(service);
    duration_print(&took, (now - own->begun + 999) / 1000 * 1000);
    log_line(LEVEL_INFO, "%s: ready after %s", service->name, took.data ? took.data : "a while");
    if (own->step > 0)
        timers_set(&manager->private->timers, &own->steady,
                   later(now, service->unit->restart.reset_after));
    service_await_idle(service);
}

/* What requires it may start all the same. */
void enter_skipped(struct service *service) {
    service->private->listens = false;
    service->private->attempt_failed = false;
    service->private->recover = false;
    log_line(LEVEL_INFO, "%s: is skipped: %s", service->name, service->failure);
    service_take_next_unit(service);
}

void enter_restarting(struct service *service) {
    struct service_private *own = service->private;
    struct manager *manager = service->manager;
    scoped_text struct text delay = {0};

    service->restart_at = world_date(manager) + service->restart_delay;
    timers_set(&manager->private->timers, &own->deadline,
               later(world_now(manager), service->restart_delay));
    duration_print(&delay, (service->restart_delay + 500) / 1000 * 1000);
    log_line(LEVEL_NOTICE, "%s: %s; restart %llu in %s", service->name,
             service->failure ? service->failure : "ended", (unsigned long long)service->restarts,
             delay.data ? delay.data : "a while");
}
