#include "supervisor/adopt.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "runtime/adopt.h"
#include "supervisor/adopt-private.h"
#include "supervisor/facts-file.h"
#include "supervisor/job.h"
#include "supervisor/keeping.h"
#include "supervisor/log.h"
#include "supervisor/notify.h"
#include "supervisor/passing.h"
#include "supervisor/restart.h"
#include "supervisor/schedule.h"
#include "supervisor/sockets.h"
#include "supervisor/state-table.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/text.h"

/* ---- who was lost ---- */

void adopt_lose(struct manager *manager, const char *unit, const char *why) {
    struct adoption *adoption = &manager->private->adoption;
    log_line(LEVEL_WARNING, "%s: cannot be found again: %s", unit, why);
    struct lost *longer =
        reallocarray(adoption->lost, adoption->lost_count + 1, sizeof(*adoption->lost));
    if (!longer)
        return;
    adoption->lost = longer;
    struct lost lost = {strdup(unit), strdup(why), facts_file_is_wanted(manager, unit)};
    if (lost.unit && lost.why) {
        longer[adoption->lost_count++] = lost;
        return;
    }
    free(lost.unit);
    free(lost.why);
}

void adoption_free(struct adoption *adoption) {
    for (size_t i = 0; i < adoption->lost_count; i++) {
        free(adoption->lost[i].unit);
        free(adoption->lost[i].why);
    }
    free(adoption->lost);
    watch_close(adoption->exits);
}

/* ---- ends that ringfenced saw ---- */

void manager_read_exits(struct manager *manager) {
    struct manager_private *own = manager->private;
    struct keeper_exit exit;
    while (keeping_peek_exit(own->keeping, &exit) > 0) {
        children_end_adopted(&own->children, exit.pid, exit.start_time, exit.wait_status);
        manager_event_ended(manager); /* what follows from it is written down before it is gone */
        keeping_consume_exit(own->keeping);
    }
}

static void exits_came(void *context) {
    struct manager *manager = context;
    struct keeper_exit exit;
    if (keeping_peek_exit(manager->private->keeping, &exit) < 0) /* ringfenced itself is gone */
        watch_close(take(manager->private->adoption.exits));
    else
        manager_read_exits(manager);
}

static int listen_to_keeper(struct manager *manager, struct fault *fault) {
    struct manager_private *own = manager->private;
    int fd = keeping_exits_fd(own->keeping), error = 0;
    if (fd >= 0)
        error = watch_open(manager, fd, EPOLLIN, WATCH_CHILDREN, exits_came, manager,
                           &own->adoption.exits);
    return error < 0 ? fault_set(fault, error, "cannot listen to ringfenced, which tells what ends")
                     : 0;
}

/* Those that had ended before we came, and of which ringfenced had nothing to tell. */
static void tell_unseen(struct manager *manager) {
    struct children *children = &manager->private->children;
    struct child *child;
    while ((child = children_find_gone(children)))
        children_end_adopted(children, child->pid, child->start_time, WAIT_UNSEEN);
}

/* ---- all services at once ---- */

/* Nothing moves before all are there. */
static void resume_all(struct manager *manager) {
    struct service *service;
    graph_refresh(manager);
    list_for_each(service, &manager->services, link) {
        const struct state_traits *traits = state_traits(service->state);
        if (!service->private->adopted || !traits->resume)
            continue;
        enum service_state next = traits->resume(service);
        state_touch(service);
        if (next != service->state)
            service_enter(service, next);
    }
}

/* What it says in this time may be what the deadline waited for: it may have waited itself, with
 * its word, for room in a socket that nobody read. That prolongs a lifetime, too
 * (EXTEND_TIMEOUT_USEC=). */
static void grant_grace(struct manager *manager) {
    uint64_t least = world_now(manager) + ADOPT_GRACE;
    struct service *service;
    list_for_each(service, &manager->services, link) {
        struct service_private *own = service->private;
        struct deadline *const deadlines[] = {&own->deadline, &own->lifetime, &own->watchdog};
        if (!own->adopted || !service->main)
            continue;
        for (size_t i = 0; i < ELEMENTS(deadlines); i++)
            if (deadlines[i]->slot && deadlines[i]->at < least)
                timers_set(&manager->private->timers, deadlines[i], least);
    }
}

/* What a program said while nobody listened counts before its end and before its deadlines. */
static void listen_to_all(struct manager *manager) {
    struct service *service;
    list_for_each(service, &manager->services, link) {
        if (service->private->adopted)
            notify_receive(service->private->notify);
        if (service->private->adopted)
            ready_pipe_receive(service->private->ready_pipe);
    }
}

/* The program had ended before, and what MAINPID= named in its place is gone too: others are left.
 */
static bool has_lost_main(const struct service *service) {
    const struct service_private *own = service->private;
    const struct state_traits *traits = state_traits(service->state);
    return traits->up && traits->running && service->main && own->ended && own->main_pidfd < 0;
}

/* No event tells of a cgroup that became empty before we watched it. */
static void look_at_all(struct manager *manager) {
    struct service *service;
    list_for_each(service, &manager->services, link) {
        bool adopted = service->private->adopted;
        service->private->adopted = false;
        job_touch(service);
        if (adopted)
            service_look_for_program(service);
        if (adopted && has_lost_main(service))
            service_handle(service, EVENT_ENDED);
        if (adopted && service->sandbox && service->private->built &&
            sandbox_is_populated(service->sandbox) == 0)
            service_handle(service, EVENT_EMPTY);
    }
}

/* Those whose facts cannot be read: started if they were to be up, or, where nobody can tell that
 * either, if they are at boot. */
static void restart_lost(struct manager *manager) {
    const struct adoption *adoption = &manager->private->adoption;
    struct fault fault = {{0}};
    for (size_t i = 0; i < adoption->lost_count; i++) {
        const struct lost *lost = &adoption->lost[i];
        struct service *service = manager_find(manager, lost->unit);
        if (!service || !state_traits(service->state)->idle)
            continue;
        if (lost->wanted < 0 ? !manager_wants_at_boot(service) : !lost->wanted) {
            service_fail(service, "could not be found again: %s", lost->why);
            continue;
        }
        if (sockets_resume(service, &service->private->sockets, &fault) < 0) /* who waits stays */
            log_line(LEVEL_WARNING, "%s: %s", service->name, fault.text);
        job_start(service, false);
    }
}

/* ---- what only a newer version can read ---- */

int adopt_leave(struct manager *manager, const char *unit, struct fault *fault) {
    manager->private->adoption.resumed = manager->private->adoption.newer = true;
    return fault_prefix(fault, -EAGAIN,
                        "what runs goes on, and is left to the newer ringfence that has begun it, "
                        "which is to be installed again: what is known of %s",
                        unit ? unit : "all units together");
}

/* ---- the whole ---- */

/* 1: it is there, 0: there is none, or it is of another boot. What is damaged has lost its word on
 * whether everything was being stopped, and no more. */
static int read_manager(struct manager *manager, struct fault *fault) {
    struct manager_private *own = manager->private;
    scoped_free char *text = NULL;
    int error = facts_file_read(manager, NULL, FACTS_FILE, &text, fault);
    if (error == -ENOENT)
        return 0;
    if (error_may_pass(error))
        return error;
    if (error >= 0)
        error = facts_check(text, facts_file_boot(manager), fault);
    if (error == -EPROTO)
        return adopt_leave(manager, NULL, fault);
    if (error == -ESTALE)
        return 0;
    if (error >= 0)
        error = facts_read(text, &manager_facts, manager, NULL, fault);
    if (error >= 0)
        error = facts_read(text, &manager_private_facts, own, NULL, fault);
    if (error < 0)
        log_line(LEVEL_WARNING, "the facts of the manager are not believed: %s", fault->text);
    return 1;
}

static int find_all(struct manager *manager, struct fault *fault) {
    char **names = NULL;
    size_t count = 0;
    int error = facts_file_list(manager, &names, &count, fault);
    for (size_t i = 0; i < count; i++) {
        if (error >= 0)
            error = adopt_unit(manager, names[i], fault);
        free(names[i]);
    }
    free(names);
    return error;
}

/* The next manager knows how often it was tried; whether that can be written down or not. */
static int fail_for_now(struct manager *manager, int error, struct fault *fault) {
    struct adoption *adoption = &manager->private->adoption;
    struct fault unsaved;
    if (adoption->newer)
        return error;
    adoption->tries++;
    state_touch_manager(manager);
    state_save_manager(manager, &unsaved);
    return fault_prefix(fault, error, "what runs goes on, and could not be found again (%u of %d)",
                        adoption->tries, ADOPT_TRIES);
}

/* In this order: while nothing moves, what is there is found, what is nobody's is ended; then what
 * was said and what has ended meanwhile are told as the events that they are. */
static int go_on(struct manager *manager, struct fault *fault) {
    struct manager_private *own = manager->private;
    own->adoption.resumed = true;
    own->draining = true;
    int error = find_all(manager, fault);
    if (error >= 0)
        error = runtime_settle(manager->runtime, fault);
    if (error < 0)
        return fail_for_now(manager, error, fault);
    own->adoption.tries = 0;
    graph_spoil(manager);
    schedules_heed_clock(manager); /* it may have been set while nobody looked on */
    resume_all(manager);
    grant_grace(manager);
    listen_to_all(manager);
    own->draining = false;
    manager_read_exits(manager);
    tell_unseen(manager);
    look_at_all(manager);
    restart_lost(manager);
    if (manager->stopping)
        job_stop_all(manager);
    return 0;
}

int manager_adopt(struct manager *manager, struct fault *fault) {
    struct manager_private *own = manager->private;
    if (!*facts_file_boot(
            manager)) /* all facts would be those of another boot: it is tried again */
        return fault_say(fault, EAGAIN, "cannot read the id of this boot of the machine");
    int error = 0, resumed = read_manager(manager, fault);
    if (resumed < 0)
        return resumed;
    if (resumed) {
        error = go_on(manager, fault);
    } else {
        facts_file_remove(manager, NULL);
        error = runtime_settle(manager->runtime, fault);
    }
    if (error < 0)
        return error;
    outputs_resume(manager);
    keeping_settle(own->keeping);
    error = listen_to_keeper(manager, fault);
    if (resumed)
        manager_resume_boot(manager);
    if (resumed) /* else manager_boot does: one that dies before it is followed by one that boots */
        state_touch_manager(manager);
    manager_event_ended(manager);
    if (resumed)
        log_line(LEVEL_NOTICE, "units found again: %zu, lost: %zu", own->adoption.found,
                 own->adoption.lost_count);
    return error < 0 ? error : resumed;
}

const struct adoption *manager_adoption(const struct manager *manager) {
    return &manager->private->adoption;
}
