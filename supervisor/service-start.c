#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "supervisor/condition.h"
#include "supervisor/console.h"
#include "supervisor/fd-store.h"
#include "supervisor/health.h"
#include "supervisor/host-terminal.h"
#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/notify.h"
#include "supervisor/output.h"
#include "supervisor/schedule.h"
#include "supervisor/service-actions.h"
#include "supervisor/sockets.h"
#include "supervisor/state.h"
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
        own->idled = own->settled = own->left = own->spared = own->reload_acknowledged = false;
    own->access = ACCESS_UNSAID;
    own->watchdog_period = service->unit->service.watchdog;
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

/* What another driver than before is to get, the settings tell the logger. */
static int prepare_output(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    if (service->unit->logging.driver == LOG_NONE) {
        console_close(own->console); /* which lies in the output */
        own->console = NULL;
        output_close(own->output);
        own->output = NULL;
        return 0;
    }
    return own->output ? output_update(own->output, service, 0, fault)
                       : output_open(service, &own->output, fault);
}

static int prepare(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    struct sandbox *joined[NAMESPACE_KINDS];
    int error = 0;
    if (!own->notify)
        error = notify_open(service, &own->notify, fault);
    if (error >= 0)
        error = prepare_output(service, fault);
    if (error >= 0)
        error = prepare_console(service, fault);
    if (error < 0)
        return error;
    find_shared(service, joined);
    state_renew_sandbox(service);
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

/* What was written could not be done when it comes to it: it is said before. */
static bool may_reboot(struct service *service) {
    const struct unit *unit = service->unit;
    bool health = unit->health.on_failure == HEALTH_REBOOT;
    if ((!health && !unit->restart.on_limit.reboot) || world_machine_is_ours())
        return true;
    service_fail(service,
                 "its file has the machine rebooted %s, which ringfence can only as the machine's "
                 "first process; choose another action",
                 health ? "when it is unhealthy" : "at the limit of its restarts");
    return false;
}

enum service_state build(struct service *service) {
    struct fault fault = {{0}};
    attempt_begins(service);
    if (!conditions_hold(service))
        return SERVICE_SKIPPED;
    if (service->unit->service.type == SERVICE_GROUP)
        return SERVICE_READY;
    if (!may_reboot(service)) {
        service->result = RESULT_LAUNCH; /* and not tried again: it is the file that is to change */
        return remove_sandbox(service, SERVICE_FAILED);
    }
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
    free(service->status_error);
    service->status_text = service->status_error = NULL;
    own->start_by = later(world_now(service->manager), service->unit->service.start_timeout);
    own->stop_by = NEVER;
    service->started_at = service_date(service);
    service->ready_at = 0;
}

/* Its sockets, and after them what it stored with us. */
static int hand_over(struct service *service, struct run_request *request, int listen[],
                     struct text *names) {
    const struct service_private *own = service->private;
    size_t sockets = 0, stored = fd_store_count(own->fd_store);
    const int *descriptors = sockets_descriptors(own->sockets, &sockets);
    if (sockets + stored == 0)
        return 0;
    if (sockets > 0) {
        memcpy(listen, descriptors, sockets * sizeof(*descriptors));
        text_add(names, sockets_names(own->sockets));
    }
    for (size_t i = 0; i < stored; i++) {
        const char *name;
        listen[sockets + i] = fd_store_at(own->fd_store, i, &name);
        text_format(names, "%s%s", sockets + i > 0 ? ":" : "", name);
    }
    request->listen = listen;
    request->listen_count = sockets + stored;
    request->listen_names = names->data;
    return names->failed ? -ENOMEM : 0;
}

static void close_streams(int (*streams)[3]) {
    for (size_t i = 0; i < ELEMENTS(*streams); i++)
        close_fd((*streams)[i]);
}
#define scoped_streams __attribute__((cleanup(close_streams)))

/* -1: /dev/null, or a terminal that is made inside. */
static int open_streams(struct service *service, int ret_streams[3], struct fault *fault) {
    const char *terminal = service->unit->service.tty_path;
    const struct output *output = service->private->output;
    if (!terminal)
        return output ? output_streams(output, &ret_streams[1], &ret_streams[2], fault) : 0;
    int error = host_terminal_open(terminal, &ret_streams[0], fault);
    for (int i = 1; i < 3 && error >= 0; i++) {
        ret_streams[i] = fcntl(ret_streams[0], F_DUPFD_CLOEXEC, 3);
        if (ret_streams[i] < 0)
            error = fault_set(fault, errno, "cannot copy the terminal \"%s\"", terminal);
    }
    return error;
}

static int start_main(struct service *service, struct fault *fault) {
    static char notify_socket[] = "NOTIFY_SOCKET=" SANDBOX_NOTIFY_DIRECTORY "/notify";
    char *variables[] = {notify_socket, NULL};
    const struct strings environment = {variables, 1};
    const struct unit *unit = service->unit;
    struct service_private *own = service->private;
    scoped_streams int streams[3] = {-1, -1, -1};
    scoped_fd int ready = -1;
    scoped_text struct text names = {0};
    int listen[RUN_LISTEN_MAX];

    struct run_request request = {
        .place = RUN_MAIN,
        .exec = &unit->container.process.exec,
        .environment = &environment,
        .ready_fd = -1,
        .standard = {-1, -1, -1},
        .watchdog = unit->service.watchdog == DURATION_OFF ? 0 : unit->service.watchdog,
        .init_lingers = unit->service.kill_mode != KILL_MIXED,
        .waits = true,
    };
    int error = 0;
    error = hand_over(service, &request, listen, &names);
    if (error < 0)
        return fault_set(fault, error, "cannot hand sockets to %s", service->name);
    error = open_streams(service, streams, fault);
    if (error >= 0 && unit->service.type == SERVICE_FD) {
        error = ready_pipe_open(service, &own->ready_pipe, &ready, fault);
        request.ready_fd_number = (int)unit->service.ready_fd;
    }
    if (error < 0)
        return error;
    memcpy(request.standard, streams, sizeof(streams));
    request.tty = unit->service.tty_path;
    request.ready_fd = ready;
    error = run_start(service->sandbox, &request, NULL, &service->main, fault);
    return error < 0 ? error : service_watch_run(service, fault);
}

/* Whatever the helper left is killed; nothing of the payload ran. */
enum service_state fail_to_launch(struct service *service) {
    service->private->cause = RESULT_LAUNCH;
    service_drop_run(service);
    return clear_up(service);
}

enum service_state launch_prepared(struct service *service) {
    struct fault fault = {{0}};
    if (start_main(service, &fault) < 0) {
        service_fail(service, "%s", fault.text);
        return fail_to_launch(service);
    }
    return SERVICE_STARTING;
}

/* What a command before the program did is what the run came to. */
enum service_state fail_to_prepare(struct service *service) {
    struct service_private *own = service->private;
    own->cause = own->commands.ending.result;
    own->ending = own->commands.ending;
    service_fail(service, "%s",
                 own->commands.failure ? own->commands.failure : "a command before it failed");
    return clear_up(service);
}

enum service_state time_out_preparing(struct service *service) {
    service_commands_time_out(service, service->unit->service.start_timeout);
    return fail_to_prepare(service);
}

/* Its work was done before its sandbox was lost (adopt-unit.c). */
static enum service_state skip_to_ready(struct service *service) {
    struct service_private *own = service->private;
    own->done = false;
    own->was_ready = true;
    own->ending.result = service->result = RESULT_SUCCESS;
    return SERVICE_READY;
}

enum service_state launch(struct service *service) {
    const struct commands *before = &service->unit->service.exec_pre;
    struct fault fault = {{0}};
    if (service->private->done)
        return skip_to_ready(service);
    int listens = service_listen(service, &fault);
    if (listens > 0)
        return SERVICE_LISTENING;
    run_begins(service);
    if (!conditions_hold(service))
        return remove_sandbox(service, SERVICE_SKIPPED);
    if (listens < 0) {
        service_fail(service, "%s", fault.text);
        return fail_to_launch(service);
    }
    if (before->count == 0)
        return launch_prepared(service);
    if (service_commands_start(service, before->items, before->count, false) < 0)
        return fail_to_prepare(service);
    return SERVICE_PREPARING;
}

void enter_preparing(struct service *service) {
    struct service_private *own = service->private;
    timers_set(&service->manager->private->timers, &own->deadline, own->start_by);
}

void enter_starting(struct service *service) {
    struct service_private *own = service->private;
    struct timers *timers = &service->manager->private->timers;
    const struct service_settings *settings = &service->unit->service;
    uint64_t now = world_now(service->manager);
    timers_set(timers, &own->deadline, own->start_by);
    timers_set(timers, &own->lifetime, later(now, settings->runtime_max));
}

enum service_state to_ready_if_exec(struct service *service) {
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

    service_guard(service);
    if (own->was_ready)
        return; /* it has reloaded */
    own->was_ready = true;
    own->attempt_failed = false;
    own->recover = false;
    service->restart_at = 0;
    service->ready_at = service_date(service);
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

void enter_down(struct service *service) {
    struct service_private *own = service->private;
    own->listens = own->done = false;
    service->restart_at = 0;
    fd_store_free(own->fd_store);
    own->fd_store = NULL;
    if (state_traits(service->state)->failed)
        log_line(LEVEL_ERROR, "%s: failed: %s", service->name,
                 service->failure ? service->failure : service_result_word(service->result));
    else
        log_line(LEVEL_INFO, "%s: stopped", service->name);
    service_take_next_unit(service);
}

/* A person before the machine, who sees errors alone, hears of a service that never comes up
 * without being told each time: of the first failure in a row, the second, the fourth, the eighth.
 */
static bool is_worth_telling(const struct service *service) {
    const struct service_private *own = service->private;
    return own->ending.result != RESULT_SUCCESS && (own->step & (own->step - 1)) == 0;
}

void enter_restarting(struct service *service) {
    struct service_private *own = service->private;
    struct manager *manager = service->manager;
    scoped_text struct text delay = {0};

    service->restart_at = service_date(service) + service->restart_delay;
    timers_set(&manager->private->timers, &own->deadline,
               later(world_now(manager), service->restart_delay));
    duration_print(&delay, (service->restart_delay + 500) / 1000 * 1000);
    log_line(is_worth_telling(service) ? LEVEL_ERROR : LEVEL_NOTICE, "%s: %s; restart %llu in %s",
             service->name, service->failure ? service->failure : "ended",
             (unsigned long long)service->restarts, delay.data ? delay.data : "a while");
}
