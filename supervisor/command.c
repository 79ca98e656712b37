#include <stdlib.h>
#include <string.h>

#include "supervisor/console.h"
#include "supervisor/gate.h"
#include "supervisor/health.h"
#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/orders.h"
#include "supervisor/output.h"
#include "supervisor/stamp.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/complain.h"

/* NULL, and the sentence of -ENOENT, where there is none. */
static struct service *find(struct manager *manager, const char *name, struct fault *fault) {
    struct service *service = unit_name_is_valid(name) ? manager_find(manager, name) : NULL;
    if (service)
        return service;
    struct unit_entry *entry = manager->set ? unit_set_find(manager->set, name) : NULL;
    if (entry && entry->condition == UNIT_MASKED)
        fault_say(fault, ENOENT, "%s is masked by %s", name, entry->path);
    else
        fault_say(fault, ENOENT, "there is no unit \"%s\"", name);
    return NULL;
}

static int refuse_invalid(const struct service *service, struct fault *fault) {
    const struct complaints *complaints = service->complaints;
    if (service->unit && !service->private->refused)
        return 0;
    if (complaints->count == 0)
        return fault_say(fault, ENOEXEC, "%s is invalid", service->name);
    return fault_say(fault, ENOEXEC, "%s is invalid: %s:%d: %s%s", service->name,
                     complaints->items[0].file, complaints->items[0].line,
                     complaints->items[0].text, complaints->count > 1 ? " (and more)" : "");
}

/* ---- start, stop, restart, reload ---- */

static int reload_service(struct service *service, struct fault *fault) {
    const struct service_settings *settings = &service->unit->service;
    if (!state_traits(service->state)->up || !service->main || !service->private->executed)
        return fault_say(fault, ESRCH, "%s is not running", service->name);
    if (settings->reload_signal == 0 && settings->exec_reload.count == 0)
        return fault_say(fault, EOPNOTSUPP, "%s has no signal that makes it reload", service->name);
    if (service->paused)
        return fault_say(fault, EBUSY, "%s is paused", service->name);
    service_handle(service, EVENT_RELOAD);
    return 0;
}

static int begin(struct service *service, enum command command, struct fault *fault) {
    int error = command == COMMAND_STOP ? 0 : refuse_invalid(service, fault);
    if (error < 0)
        return error;
    if (command != COMMAND_STOP && service->manager->stopping)
        return fault_say(fault, ESHUTDOWN, "everything is being stopped");
    switch (command) {
    case COMMAND_START:
        return job_try_start(service, true, fault);
    case COMMAND_STOP:
        job_stop(service);
        return 0;
    case COMMAND_RESTART:
        return job_try_restart(service, true, fault);
    case COMMAND_RELOAD:
        return reload_service(service, fault);
    }
    return 0;
}

/* What is to become of all whom it concerns is written before anything of that happens, and that it
 * was taken is written last: a manager that dies on the way is followed by one that is asked again.
 * A restart is noted first: what restarts with it follows of its own, and would do so twice. */
static int begin_once(struct service *service, enum command command, const char *token,
                      struct fault *fault) {
    struct service_private *own = service->private;
    char *orders = orders_with(own->orders, token);
    if (!orders)
        return fault_set(fault, ENOMEM, "cannot take an order for %s", service->name);
    int error = begin(service, command, fault);
    if (error < 0) {
        free(orders);
        return error;
    }
    free(own->orders);
    own->orders = orders;
    if (command != COMMAND_RESTART)
        list_remove(&own->unsaved); /* to be the last */
    state_touch(service);
    state_flush(service->manager);
    return 0;
}

/* Another command has followed it since. */
static bool is_history(const struct service *service, enum command command) {
    return command == COMMAND_STOP && !state_traits(service->state)->down &&
           !gate_is_going_down(service);
}

int manager_order(struct manager *manager, enum command command, const char *name,
                  const char *token, command_done done, void *context, struct fault *fault) {
    struct service *service = find(manager, name, fault);
    if (!service)
        return -ENOENT;
    bool taken = token && orders_have(service->private->orders, token);
    int error = taken   ? 0
                : token ? begin_once(service, command, token, fault)
                        : begin(service, command, fault);
    if (taken && is_history(service, command)) {
        if (done)
            done(context, 0, NULL);
    } else if (error >= 0 && (error = job_wait(service, command, done, context)) < 0) {
        fault_set(fault, error, "cannot wait for %s", name);
    }
    manager_event_ended(manager); /* also where it is refused: an instance may have come to be */
    return error < 0 ? error : 0;
}

int manager_command(struct manager *manager, enum command command, const char *name,
                    command_done done, void *context, struct fault *fault) {
    return manager_order(manager, command, name, NULL, done, context, fault);
}

void manager_withdraw(struct manager *manager, void *context) {
    struct service *service;
    struct request *request;
    list_for_each(service, &manager->services, link) {
        list_for_each(request, &service->private->requests, link) {
            if (request->context == context)
                request->done = NULL;
        }
    }
}

int manager_stop_all(struct manager *manager) {
    if (!manager->stopping)
        log_line(LEVEL_INFO, "stopping everything");
    manager->stopping = true;
    shutdown_begin(manager);
    state_touch_manager(manager);
    job_stop_all(manager);
    manager_event_ended(manager);
    return 0;
}

/* ---- signals, freezing ---- */

int manager_kill(struct manager *manager, const char *name, int signal, bool all,
                 struct fault *fault) {
    struct service *service = find(manager, name, fault);
    if (!service)
        return -ENOENT;
    if (!state_traits(service->state)->running || !service->main || !service->private->run_pid)
        return fault_say(fault, ESRCH, "%s is not running", name);
    return all ? sandbox_signal_all(service->sandbox, signal, fault)
               : service_signal_main(service, signal, fault);
}

int manager_pause(struct manager *manager, const char *name, bool pause, struct fault *fault) {
    struct service *service = find(manager, name, fault);
    if (!service)
        return -ENOENT;
    if (!service_can_pause(service))
        return fault_say(fault, ESRCH, "%s is not running", name);
    if (service->paused == pause)
        return 0;
    int error = sandbox_freeze(service->sandbox, pause, fault);
    if (error < 0)
        return error;
    service->paused = pause;
    state_touch(service);
    health_pause(service, pause);
    if (pause)
        service_unguard(service);
    else
        service_guard(service);
    log_line(LEVEL_INFO, "%s: %s", name, pause ? "paused" : "resumed");
    if (manager->bus)
        bus_service_changed(manager->bus, service, service->state);
    manager_event_ended(manager);
    return 0;
}

int manager_attach(struct manager *manager, const char *name, int *ret_terminal, int *ret_output,
                   struct fault *fault) {
    struct service *service = find(manager, name, fault);
    if (!service)
        return -ENOENT;
    if (!service->unit || !service->unit->container.process.tty)
        return fault_say(fault, ENOTTY, "%s has no terminal of its own", name);
    if (!service->private->console)
        return fault_say(fault, ESRCH, "%s is not running", name);
    return console_attach(service->private->console, ret_terminal, ret_output, fault);
}

/* ---- rm ---- */

static bool is_among(struct service *service, char *const *names) {
    while (*names && manager_lookup(service->manager, *names) != service)
        names++;
    return *names != NULL;
}

/* A volume may be another unit's too: then it stays, and the person is told. */
static const struct service *other_user(struct manager *manager, const char *volume,
                                        char *const *names) {
    struct service *other;
    list_for_each(other, &manager->services, link) {
        if (!other->unit || is_among(other, names))
            continue;
        for (size_t i = 0; i < other->unit->container.volumes.count; i++)
            if (strcmp(other->unit->container.volumes.items[i].name, volume) == 0)
                return other;
    }
    return NULL;
}

static int volume_remove(struct manager *manager, const char *volume, char *const *names,
                         bool try_only, struct fault *fault) {
    const struct service *other = other_user(manager, volume, names);
    if (other)
        return fault_say(fault, EBUSY, "volume %s belongs to %s too; it goes when both are named",
                         volume, other->name);
    return try_only ? 0 : runtime_remove_volume(manager->runtime, volume, fault);
}

static int check_stopped(const struct service *service, struct fault *fault) {
    if (!state_traits(service->state)->down || service->private->goal != GOAL_NONE)
        return fault_say(fault, EBUSY, "%s is %s: stop it first", service->name,
                         service_state_word(service->state));
    return 0;
}

static int remove_volumes(struct manager *manager, char *const *names, bool try_only,
                          struct fault *fault) {
    for (char *const *name = names; *name; name++) {
        struct service *service = find(manager, *name, fault);
        int error = service ? check_stopped(service, fault) : -ENOENT;
        if (error < 0)
            return error;
        for (size_t i = 0; service->unit && i < service->unit->container.volumes.count; i++) {
            error = volume_remove(manager, service->unit->container.volumes.items[i].name, names,
                                  try_only, fault);
            if (error < 0)
                return error;
        }
    }
    return 0;
}

int manager_remove_volumes(struct manager *manager, char *const *names, struct fault *fault) {
    int error = remove_volumes(manager, names, true, fault);
    return error < 0 ? error : remove_volumes(manager, names, false, fault);
}

/* As if it had never been asked for. What was skipped is up to those who need it, and stays so. */
static void forget_life(struct service *service) {
    service_forgive(service);
    service_fail(service, NULL);
    service->result = RESULT_NONE;
    service->exit_code = service->exit_signal = 0;
    service->started_at = service->ready_at = service->ended_at = 0;
    if (service->state == SERVICE_STOPPED || service->state == SERVICE_FAILED)
        service_enter(service, SERVICE_LOADED);
}

int manager_remove(struct manager *manager, const char *name, bool volumes, struct fault *fault) {
    struct service *service = find(manager, name, fault);
    if (!service)
        return -ENOENT;
    int error = check_stopped(service, fault);
    if (error < 0)
        return error;
    console_close(service->private->console);
    service->private->console = NULL;
    output_close(service->private->output);
    service->private->output = NULL;
    forget_life(service);
    state_forget(service);
    error = runtime_forget_unit(manager->runtime, name, fault);
    if (error >= 0)
        error = stamp_remove(manager, name, fault);
    if (error >= 0 && volumes)
        error = manager_remove_volumes(manager, (char *const[]){service->name, NULL}, fault);
    state_touch(service); /* its timer goes on */
    manager_event_ended(manager);
    return error;
}

/* ---- reload of all files ---- */

static void print_complaints(const struct complaints *complaints) {
    for (size_t i = 0; i < complaints->count; i++) {
        const struct complaint *one = &complaints->items[i];
        if (one->line > 0)
            log_line(LEVEL_ERROR, "%s:%d: %s", one->file, one->line, one->text);
        else
            log_line(LEVEL_ERROR, "%s: %s", one->file, one->text);
    }
}

static int load(struct manager *manager, struct unit_set **ret_set, struct fault *fault) {
    struct complaints complaints = {0};
    int error = unit_set_load(&manager->private->sources, ret_set, &complaints, fault);
    if (error < 0)
        complaints_free(&complaints);
    else
        (*ret_set)->complaints = complaints;
    return error;
}

int manager_load(struct manager *manager, struct fault *fault) {
    int error = load(manager, &manager->set, fault);
    if (error >= 0)
        print_complaints(&manager->set->complaints);
    return error;
}

int manager_read_files(struct manager *manager, struct unit_set **ret_set, struct fault *fault) {
    struct unit_set *set = NULL;
    int error = load(manager, &set, fault);
    if (error < 0)
        return error;
    /* Instances that exist are in no file of their own: they come from their template anew. */
    struct service *service;
    list_for_each(service, &manager->services, link) {
        struct unit_entry *entry;
        if (strchr(service->name, '@') && !unit_set_find(set, service->name))
            unit_set_instantiate(set, &manager->private->sources, service->name, &entry, NULL);
    }
    *ret_set = set;
    return 0;
}

int manager_take_set(struct manager *manager, struct unit_set *set) {
    struct unit_set *before = manager->set;
    manager->set = set;
    print_complaints(&set->complaints);
    int error = manager_apply_set(manager);
    unit_set_free(before);
    return error;
}

int manager_reload(struct manager *manager, struct fault *fault) {
    struct unit_set *set = NULL;
    int error = manager_read_files(manager, &set, fault);
    if (error < 0)
        return error;
    error = manager_take_set(manager, set);
    manager_event_ended(manager);
    return error < 0 ? fault_set(fault, error, "cannot take the new units") : 0;
}
