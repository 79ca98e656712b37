#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adopt.h"
#include "supervisor/adopt-private.h"
#include "supervisor/console.h"
#include "supervisor/facts-file.h"
#include "supervisor/fd-store.h"
#include "supervisor/health.h"
#include "supervisor/log.h"
#include "supervisor/notify.h"
#include "supervisor/output.h"
#include "supervisor/passing.h"
#include "supervisor/schedule.h"
#include "supervisor/seeded.h"
#include "supervisor/service-actions.h"
#include "supervisor/sockets.h"
#include "supervisor/state-table.h"
#include "supervisor/state.h"
#include "supervisor/witness.h"
#include "supervisor/world.h"
#include "units/base/text.h"
#include "units/resolved.h"

/* ---- processes ---- */

static int copy(int fd) {
    return fd < 0 ? -EBADF : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static int copy_both(struct run_saved saved, struct run_saved *ret_copies, struct fault *fault) {
    scoped_fd int status = copy(saved.status);
    scoped_fd int report = status < 0 && saved.status >= 0 ? -1 : copy(saved.report);
    if ((saved.status >= 0 && status < 0) || (saved.report >= 0 && report < 0))
        return fault_set(fault, errno, "cannot hold what its process has left");
    *ret_copies = (struct run_saved){take_fd(&status), take_fd(&report)};
    return 0;
}

int adopt_run(struct service *service, const char *words, struct run_saved saved, child_ended ended,
              void *context, struct run **ret_run, struct fault *fault) {
    struct manager *manager = service->manager;
    struct run *run = NULL;
    pid_t pid;
    uint64_t start_time;
    struct run_saved copies = {-EBADF, -EBADF};
    int error = copy_both(saved, &copies, fault);
    if (error >= 0)
        error = run_adopt(service->sandbox, words, copies, &run, fault);
    bool gone = error == -ESRCH;
    if (gone) {
        error = run_adopt_gone(service->sandbox, words, saved, &run, fault);
    } else {
        close_fd(saved.status);
        close_fd(saved.report);
    }
    if (error >= 0 && (error = run_saved_process(words, &pid, &start_time)) < 0)
        fault_set(fault, error, "the words of its process cannot be read");
    if (error >= 0 && ended) {
        error = children_adopt(&manager->private->children, pid, start_time, gone, ended, context);
        if (error >= 0 && !gone && !world_is_sibling(pid))
            error = witness_open(manager, pid, start_time, run_pidfd(run));
        if (error < 0)
            fault_set(fault, error, "cannot wait for process %d", (int)pid);
    }
    if (error < 0)
        run_free(run);
    else
        *ret_run = run;
    return error;
}

/* One that has ended is not there to be held: what it leaves is told by its cgroup. */
static int adopt_moved_main(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    if (!own->held.main_began)
        return 0;
    own->main_pidfd = world_open_process(service->main_pid, own->held.main_began);
    if (own->main_pidfd >= 0)
        return 0;
    if (error_may_pass(own->main_pidfd))
        return fault_set(fault, own->main_pidfd, "cannot open process %d", (int)service->main_pid);
    own->held.main_began = 0;
    service->main_pid = 0;
    return 0;
}

/* Those of a client that is gone, as is the manager that it had asked. Where nothing beside the
 * program is to go on, runtime_settle ends all that is there. */
static void end_execs(struct service *service) {
    scoped_free char *lines = take(service->private->held.execs);
    struct fault fault = {{0}};
    for (char *rest = lines, *line; rest && *(line = strsep(&rest, "\n"));) {
        struct run *run = NULL;
        if (run_adopt(service->sandbox, line, RUN_SAVED_NONE, &run, &fault) >= 0)
            run_signal(run, SIGKILL, &fault);
        run_free(run);
    }
}

/* ---- what it holds ---- */

static int adopt_sandbox(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    int fds[SANDBOX_SAVED_MAX];
    if (!own->held.sandbox) {
        own->built = false;
        return 0;
    }
    size_t count = state_take_held(service, HELD_SANDBOX, STATE_SANDBOX, fds, ELEMENTS(fds));
    int error = sandbox_adopt(service->manager->runtime, &service->unit->container,
                              own->held.sandbox, fds, count, &service->sandbox, fault);
    if (error < 0)
        return error;
    own->built = true;
    own->built_from = unit_ref(service->unit);
    return service_watch_cgroup(service, fault);
}

/* One that was on its way without anybody who could tell how far is as good as never begun: what is
 * left of it ends, and service-resume.c begins it again. */
static int adopt_main(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    if (!service->sandbox)
        return own->held.run ? fault_say(fault, ESTALE, "it ran in no sandbox") : 0;
    if (own->held.run) {
        int error = service_resume_run(service, own->held.run, fault);
        if (error >= 0)
            error = adopt_moved_main(service, fault);
        if (error < 0 && error != -ENOLINK)
            return error;
    }
    int beside = service_commands_adopt(service, fault);
    if (beside > 0)
        end_execs(service);
    return beside < 0 ? beside : 0;
}

/* Whether it can be had by and by; a service runs on without it else, and is told of. */
static int do_without(const struct service *service, int error, const struct fault *fault) {
    if (error >= 0 || error_may_pass(error))
        return error;
    log_line(LEVEL_WARNING, "%s: %s", service->name, fault->text);
    return 0;
}

/* The kernel knows whether somebody has paused it, though the manager who did may have died before
 * it wrote that down. What cannot be paused is thawed: nothing would start in there, or end. */
static void adopt_pause(struct service *service) {
    struct fault fault = {{0}};
    bool frozen = service->sandbox && sandbox_is_frozen(service->sandbox) > 0;
    if (frozen && !service_can_pause(service)) {
        if (sandbox_freeze(service->sandbox, false, &fault) < 0)
            log_line(LEVEL_WARNING, "%s: %s", service->name, fault.text);
        frozen = false;
    }
    if (frozen == service->paused)
        return;
    service->paused = frozen;
    service->private->guarded = !frozen && state_traits(service->state)->up;
    health_pause(service, frozen);
}

/* Its notify socket, its FIFOs, its terminal. */
static int adopt_ears(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    int error = notify_open(service, &own->notify, fault);
    if (error >= 0 && service->unit->logging.driver != LOG_NONE)
        error = output_resume(service, service->main_pid, &own->output, fault);
    if (error >= 0 && service->unit->container.process.tty)
        error = console_open(service, &own->console, fault);
    if (error >= 0 && service->main)
        error = ready_pipe_resume(service, &own->ready_pipe, fault);
    if (own->console && service->main)
        console_resume(own->console);
    return do_without(service, error, fault);
}

/* A unit that is down has its FIFOs still, until it goes. */
static int adopt_output(struct service *service, struct fault *fault) {
    scoped_free char *path = NULL;
    int error = 0;
    if (asprintf(&path, "%s/output/%s", service->manager->options.runtime_directory,
                 service->name) < 0) {
        path = NULL;
        return fault_set(fault, ENOMEM, "cannot look for its FIFOs");
    }
    if (world_path_exists(path))
        error = output_resume(service, 0, &service->private->output, fault);
    return do_without(service, error, fault);
}

/* They do not depend on its sandbox, and are needed still where that is gone. */
static int adopt_descriptors(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    int fds[FD_STORE_MAX];
    int error = service->unit ? sockets_resume(service, &own->sockets, fault) : 0;
    size_t count = fd_store_take(service, fds);
    if (count > 0)
        fd_store_restore(&own->fd_store, service, own->held.descriptors, fds, count);
    return do_without(service, error, fault);
}

static void miss_sockets(struct service *service) {
    struct service_private *own = service->private;
    if (!service->main || own->sockets || service->unit->container.network.sockets.count == 0)
        return;
    log_line(LEVEL_WARNING,
             "%s: its sockets were not kept: only its program has them, and it is not stopped when "
             "nobody uses them",
             service->name);
    timers_cancel(&service->manager->private->timers, &own->idle);
}

/* ---- the unit ---- */

static bool needs_unit(const struct service *service) {
    return !state_traits(service->state)->down || state_traits(service->state)->gated;
}

/* The one that it was started from, if its file says something else by now, or nothing. *ret_same:
 * the service has that unit; one that is down has what its file says. */
static int find_unit(struct service *service, bool *ret_same, struct fault *fault) {
    struct service_private *own = service->private;
    struct unit *present = service->unit, *saved = NULL;
    scoped_free char *data = NULL;
    scoped_text struct text now = {0};
    int error = facts_file_read(service->manager, service->name, FACTS_UNIT_FILE, &data, fault);
    if (error < 0)
        return error;
    if (present)
        unit_print(present, &now);
    *ret_same = present && (strcmp(now.data ? now.data : "", data) == 0 || SEEDED(OUTDATED));
    if (*ret_same)
        own->held.unit = unit_ref(present);
    if (*ret_same || !needs_unit(service))
        return 0;
    const char *path = own->held.unit_path ? own->held.unit_path : "";
    error = unit_read(service->name, path, data, strlen(data), &saved, fault);
    if (error < 0)
        return error;
    own->held.unit = unit_ref(saved);
    service->next_unit = present;
    service->file_changed = present != NULL;
    service->unit = saved;
    *ret_same = true;
    schedule_follow(service);
    return 0;
}

/* One of which no file is left goes when it is down. */
static struct service *find_service(struct manager *manager, const char *name) {
    struct service *service = manager_find(manager, name);
    if (service && strcmp(service->name, name) == 0)
        return service;
    if (manager_add(manager, name, &service) < 0)
        return NULL;
    service->private->gone = manager->private->sweep = true;
    return service;
}

/* ---- one service ---- */

static int read_facts(struct service *service, const char *text, struct fault *fault) {
    struct manager_private *manager = service->manager->private;
    bool was_invalid = service->state == SERVICE_INVALID;
    bool down = state_traits(service->state)->down;
    int error = facts_read(text, &service_facts, service, NULL, fault);
    if (error >= 0)
        error = facts_read(text, &private_facts, service->private, &manager->timers, fault);
    if (error >= 0)
        error = facts_read(text, &held_facts, service->private, NULL, fault);
    if (error >= 0 && service->state == SERVICE_INVALID)
        service->state = SERVICE_LOADED;
    if (was_invalid && state_traits(service->state)->down && !state_traits(service->state)->gated)
        service->state = SERVICE_INVALID;
    manager->up += down && !state_traits(service->state)->down;
    return error;
}

static int adopt_service(struct service *service, const char *text, struct fault *fault) {
    bool same = false;
    int error = find_unit(service, &same, fault);
    if (error < 0 && !needs_unit(service)) /* its file is all it needs */
        error = 0;
    if (error >= 0)
        error = health_restore(service, text, fault);
    if (error >= 0 && same)
        error = schedule_restore(service, text, fault);
    if (error >= 0)
        error = adopt_descriptors(service, fault);
    if (error >= 0)
        error = adopt_sandbox(service, fault);
    if (error >= 0)
        error = adopt_main(service, fault);
    if (error >= 0) {
        adopt_pause(service);
        miss_sockets(service);
    }
    if (error >= 0 && service->sandbox)
        error = adopt_ears(service, fault);
    else if (error >= 0 && service->unit)
        error = adopt_output(service, fault);
    return error;
}

static void end_as(struct service *service, enum service_state outcome) {
    struct service_private *own = service->private;
    struct manager_private *manager = service->manager->private;
    struct deadline *const deadlines[] = {&own->deadline, &own->lifetime, &own->idle, &own->steady,
                                          &own->watchdog};
    struct fault fault = {{0}};
    for (size_t i = 0; i < ELEMENTS(deadlines); i++)
        timers_cancel(&manager->timers, deadlines[i]);
    health_free(service);
    service_drop_run(service);
    own->commands.running = false;
    own->built = service->paused = false;
    if (service->unit && adopt_ears(service, &fault) < 0) /* what is there is to go with it */
        log_line(LEVEL_WARNING, "%s: %s", service->name, fault.text);
    own->outcome = outcome;
    own->begun = world_now(service->manager); /* where it begins again, it does so now */
    manager->up -= !state_traits(service->state)->down;
    service->state = SERVICE_REMOVING;
    manager->up += !state_traits(service->state)->down;
}

/* What is left of it goes with its cgroup; it is started anew if it was to be up. */
static void give_up(struct service *service, const char *why) {
    bool rises = service->private->goal != GOAL_DOWN && needs_unit(service) && service->unit;
    adopt_lose(service->manager, service->name, why);
    end_as(service, rises ? SERVICE_WAITING : SERVICE_STOPPED);
    service_fail(service, "could not be found again: %s", why);
}

/* A oneshot that has done its work has no process by which its namespaces could be found. */
static bool is_done(const struct service *service) {
    const struct service_private *own = service->private;
    return service->state == SERVICE_READY && !own->held.run &&
           service->unit->service.type == SERVICE_ONESHOT;
}

static void make_again(struct service *service, const char *why) {
    log_line(LEVEL_NOTICE, "%s: its work stays done, its sandbox is made again: %s", service->name,
             why);
    end_as(service, SERVICE_WAITING);
    service->private->done = true;
    service->manager->private->adoption.found++;
}

/* The earlier manager was about to remove its sandbox, and did not live to write down what
 * followed; or the sandbox was to go and is gone. */
static bool was_going(const struct service *service, int error) {
    const struct service_private *own = service->private;
    bool removing = service->state == SERVICE_REMOVING;
    if (error >= 0)
        return own->going && !removing;
    return error == -ESTALE &&
           (own->going || removing || own->goal == GOAL_DOWN || own->goal == GOAL_CYCLE);
}

/* They are of no use to any later manager either. */
static void forget_facts(struct manager *manager, const char *name) {
    struct service *service = manager_lookup(manager, name);
    if (!service) {
        facts_file_remove(manager, name);
        return;
    }
    state_set_saved(service, "");
    state_touch(service);
}

/* What it has turned out to be: as it was, or not to be had. */
static void conclude_unit(struct service *service, int error, const char *why) {
    struct service_private *own = service->private;
    bool removing = own->going || service->state == SERVICE_REMOVING;
    if (was_going(service, error))
        end_as(service, removing ? own->outcome : SERVICE_STOPPED);
    else if (error == -ESTALE && is_done(service))
        make_again(service, why);
    else if (error < 0)
        give_up(service, why);
    else
        service->manager->private->adoption.found += needs_unit(service);
    own->adopted = true;
    state_touch(service);
}

static int read_unit(struct manager *manager, const char *name, char **ret_text,
                     struct service **ret_service, struct fault *fault) {
    int error = facts_file_read(manager, name, FACTS_FILE, ret_text, fault);
    if (error >= 0)
        error = facts_check(*ret_text, facts_file_boot(manager), fault);
    if (error < 0)
        return error;
    struct service *service = find_service(manager, name);
    if (!service)
        return fault_set(fault, ENOMEM, "cannot make the unit");
    *ret_service = service;
    return read_facts(service, *ret_text, fault);
}

int adopt_unit(struct manager *manager, const char *name, struct fault *fault) {
    scoped_free char *text = NULL;
    struct service *service = NULL;
    if (!unit_name_is_valid(name)) {
        adopt_lose(manager, name, "no unit has such a name");
        return 0;
    }
    int error = read_unit(manager, name, &text, &service, fault);
    if (error == -ENOENT || error == -ESTALE) {
        facts_file_remove(manager, name);
        return 0;
    }
    if (error == -EPROTO)
        return adopt_leave(manager, name, fault);
    bool readable = error >= 0;
    if (readable)
        error = adopt_service(service, text, fault);
    if (error_may_pass(error) && manager->private->adoption.tries < ADOPT_TRIES)
        return fault_prefix(fault, error, "%s", name);
    if (readable) {
        state_set_saved(service, text);
        conclude_unit(service, error, fault->text);
    } else {
        adopt_lose(manager, name, fault->text);
        forget_facts(manager, name);
    }
    return 0;
}
