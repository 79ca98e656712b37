#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "supervisor/console.h"
#include "supervisor/health.h"
#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/notify.h"
#include "supervisor/output.h"
#include "supervisor/state.h"
#include "supervisor/world.h"

static void end_event(struct service *service) {
    manager_event_ended(service->manager);
}

void service_unwatch_report(struct service *service) {
    struct service_private *own = service->private;
    watch_close(own->report_watch);
    own->report_watch = NULL;
    if (own->awaits_pid) {
        own->awaits_pid = false;
        service->manager->private->without_pid--;
    }
}

/* ---- the sandbox ---- */

static void build_progressed(void *context) {
    struct service *service = context;
    struct fault fault = {{0}};
    int progress = sandbox_advance(service->sandbox, &fault);
    if (progress == SANDBOX_BUILDING)
        return;
    service_unwatch_report(service);
    if (progress >= 0)
        progress = service_watch_cgroup(service, &fault);
    if (progress < 0)
        service_fail(service, "%s", fault.text);
    service_handle(service, progress < 0 ? EVENT_BUILD_FAILED : EVENT_BUILT);
    end_event(service);
}

int service_watch_build(struct service *service, struct fault *fault) {
    int error =
        watch_open(service->manager, sandbox_report_fd(service->sandbox), EPOLLIN, WATCH_REPORT,
                   build_progressed, service, &service->private->report_watch);
    return error < 0 ? fault_set(fault, error, "cannot watch the sandbox of %s", service->name) : 0;
}

static void cgroup_changed(void *context) {
    struct service *service = context;
    if (sandbox_is_populated(service->sandbox) != 0)
        return;
    service_handle(service, EVENT_EMPTY);
    end_event(service);
}

int service_watch_cgroup(struct service *service, struct fault *fault) {
    int error = watch_open(service->manager, sandbox_events_fd(service->sandbox), EPOLLPRI,
                           WATCH_CGROUP, cgroup_changed, service, &service->private->cgroup_watch);
    return error < 0 ? fault_set(fault, error, "cannot watch the cgroup of %s", service->name) : 0;
}

/* ---- the run ---- */

static void main_ended(void *context, int wait_status);

/* 1: it ended before we knew its pid, *ret_wait_status says how. */
static int claim(struct service *service, int *ret_wait_status) {
    struct service_private *own = service->private;
    struct manager_private *manager = service->manager->private;
    pid_t pid = run_pid(service->main);
    if (own->run_pid || pid <= 0)
        return 0;
    state_touch(service);
    own->run_pid = pid;
    service->main_pid = run_program_pid(service->main);
    if (own->awaits_pid) {
        own->awaits_pid = false;
        manager->without_pid--;
    }
    int early = children_add(&manager->children, pid, main_ended, service, ret_wait_status);
    /* What was remembered may be about a helper that had the same pid before. */
    if (early == 1 && run_signal(service->main, 0, NULL) != -ESRCH)
        early = children_add(&manager->children, pid, main_ended, service, ret_wait_status);
    if (early < 0)
        log_line(LEVEL_ERROR, "%s: cannot claim process %d: %s", service->name, (int)pid,
                 strerror(-early));
    return early;
}

static void note_end(struct service *service, int wait_status) {
    struct service_private *own = service->private;
    state_touch(service);
    own->reaped = true;
    watch_close(own->status_watch);
    own->status_watch = NULL;
    run_program_ended(service->main, &wait_status); /* an init's own is only like it */
    own->ending =
        ending_of(service->unit, wait_status, sandbox_oom_kills(service->sandbox) > own->oom_kills);
    if (own->main_pidfd < 0)
        service->main_pid = 0;
}

/* What was said before the end counts before it. */
static void tell_end(struct service *service) {
    struct service_private *own = service->private;
    notify_receive(own->notify);
    ready_pipe_receive(own->ready_pipe);
    if (!service->main || own->ended)
        return;
    own->ended = true;
    service_handle(service, EVENT_ENDED);
}

/* The program is gone, and its init waits for the others. */
static void note_left(struct service *service) {
    struct service_private *own = service->private;
    if (own->main_pidfd < 0)
        service->main_pid = 0;
    notify_receive(own->notify);
    ready_pipe_receive(own->ready_pipe);
    if (!service->main || own->ended)
        return;
    own->left = true;
    service_handle(service, EVENT_LEFT);
}

static void program_ended(void *context) {
    struct service *service = context;
    struct service_private *own = service->private;
    int wait_status;
    state_touch(service);
    watch_close(own->status_watch); /* before the descriptor goes */
    own->status_watch = NULL;
    if (run_program_ended(service->main, &wait_status) == 0 && run_status_fd(service->main) >= 0)
        return; /* the init was killed before it could tell: its own end will be told */
    note_left(service);
    end_event(service);
}

/* Whether its init goes on without it; else the end of the init is all there is to see. */
static bool may_be_left(const struct service *service) {
    return service->unit->container.process.init && service->unit->service.kill_mode != KILL_MIXED;
}

/* Where ringfenced was gone too, nobody has kept what the init tells: then how the program ended is
 * what the init's own end tells, and that it ended what its pidfd does. */
static void watch_program(struct service *service) {
    struct service_private *own = service->private;
    int fd = run_status_fd(service->main);
    if (fd < 0)
        fd = run_program_pidfd(service->main);
    if (fd < 0 || own->left || own->main_pidfd >= 0 || !may_be_left(service))
        return;
    int error = watch_open(service->manager, fd, EPOLLIN, WATCH_CHILDREN, program_ended, service,
                           &own->status_watch);
    if (error < 0)
        log_line(LEVEL_ERROR, "%s: cannot watch its program: %s", service->name, strerror(-error));
}

/* The logger is told whose words it reads before there are any: a manager that dies meanwhile
 * leaves none that are nobody's. */
static void tell_writer(struct service *service, pid_t program) {
    struct output *output = service->private->output;
    struct fault fault;
    if (output && output_update(output, service, program, &fault) < 0)
        log_line(LEVEL_WARNING, "%s: %s", service->name, fault.text);
}

/* All is known that a later manager needs to go on with this launch: when that is written, it goes
 * on (state.c). */
static void prepare_release(struct service *service) {
    pid_t program = run_program_pid(service->main); /* under an init it is not there yet */
    if (program > 0)
        tell_writer(service, program);
    int terminal = run_take_terminal(service->main);
    if (terminal >= 0 && service->private->console)
        console_begin(service->private->console, terminal);
    else
        close_fd(terminal); /* nobody could be let in when it was found again (adopt-unit.c) */
    state_touch(service);
}

static void note_begun(struct service *service) {
    struct service_private *own = service->private;
    own->executed = true;
    if (own->main_pidfd < 0 && !own->reaped)
        service->main_pid = run_program_pid(service->main);
    if (!own->reaped)
        watch_program(service);
    tell_writer(service, service->main_pid);
}

/* What the report says by now, as of run_advance(). */
static int hear(struct service *service, struct fault *fault) {
    int wait_status = 0, progress = run_advance(service->main, fault);
    if (claim(service, &wait_status) == 1)
        note_end(service, wait_status);
    if (run_waits(service->main))
        prepare_release(service);
    if (progress == RUN_PREPARING)
        return progress;
    service_unwatch_report(service);
    if (progress == RUN_EXECUTED)
        note_begun(service);
    return progress;
}

void service_poll_run(struct service *service) {
    struct service_private *own = service->private;
    struct fault fault = {{0}};
    if (!service->main || !own->report_watch)
        return;
    int progress = hear(service, &fault);
    if (progress == RUN_PREPARING)
        return;
    if (progress < 0) {
        service_fail(service, "%s", fault.text);
        service_handle(service, EVENT_LAUNCH_FAILED);
    } else {
        service_handle(service, EVENT_EXECUTED);
    }
    if (service->main && own->reaped)
        tell_end(service);
}

void service_catch_up(struct service *service) {
    struct service_private *own = service->private;
    struct fault fault;
    if (service->main && own->report_watch && hear(service, &fault) == RUN_EXECUTED)
        own->ended |= own->reaped;
}

static void run_progressed(void *context) {
    struct service *service = context;
    service_poll_run(service);
    end_event(service);
}

static int watch_report(struct service *service, struct fault *fault) {
    int error = watch_open(service->manager, run_report_fd(service->main), EPOLLIN, WATCH_REPORT,
                           run_progressed, service, &service->private->report_watch);
    return error < 0 ? fault_set(fault, error, "cannot watch the launch of %s", service->name) : 0;
}

int service_watch_run(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    int error = watch_report(service, fault);
    if (error < 0)
        return error;
    own->awaits_pid = true;
    service->manager->private->without_pid++;
    return 0;
}

/* The report may not have ended yet: it alone tells a program that could not be executed from one
 * that ended at once, and it ends soon, since its other holder is a helper that has done its work.
 */
static void main_ended(void *context, int wait_status) {
    struct service *service = context;
    struct service_private *own = service->private;
    note_end(service, wait_status);
    service_poll_run(service);
    if (service->main && !own->report_watch)
        tell_end(service);
    end_event(service);
}

/* A launch that was on its way goes on, unless nobody asks any more how far it came. */
int service_resume_run(struct service *service, const char *words, struct fault *fault) {
    struct service_private *own = service->private;
    struct run_saved saved = RUN_SAVED_NONE;
    uint64_t start_time;
    pid_t pid;
    int error = run_saved_process(words, &pid, &start_time);
    if (error < 0)
        return fault_set(fault, error, "the words of its process cannot be read");
    state_take_held(service, HELD_RUN, pid, &saved.status, 1);
    state_take_held(service, HELD_LAUNCH, pid, &saved.report, 1);
    error = adopt_run(service, words, saved, own->reaped ? NULL : main_ended, service,
                      &service->main, fault);
    if (error < 0)
        return error;
    own->run_pid = pid;
    if (run_report_fd(service->main) >= 0 && service_cell(service->state, EVENT_EXECUTED))
        return watch_report(service, fault);
    if (!own->reaped)
        watch_program(service);
    return 0;
}

void service_look_for_program(struct service *service) {
    const struct service_private *own = service->private;
    if (service->main && own->executed && !own->reaped && !own->left && !own->status_watch &&
        may_be_left(service) && run_signal(service->main, 0, NULL) == -ESRCH)
        note_left(service);
}

void service_drop_run(struct service *service) {
    struct service_private *own = service->private;
    state_touch(service);
    health_end(service); /* what is beside the run goes with it */
    service_unwatch_report(service);
    watch_close(own->status_watch);
    own->status_watch = NULL;
    if (own->run_pid && !own->reaped)
        children_remove(&service->manager->private->children, own->run_pid);
    own->run_pid = service->main_pid = 0;
    own->held.main_began = 0;
    own->main_pidfd = close_fd(own->main_pidfd);
    ready_pipe_close(own->ready_pipe);
    own->ready_pipe = NULL;
    if (own->console)
        console_end(own->console);
    run_free(service->main);
    service->main = NULL;
}

bool service_has_main(const struct service *service) {
    const struct service_private *own = service->private;
    return service->main && (!own->ended || own->main_pidfd >= 0);
}

int service_signal_main(struct service *service, int signal, struct fault *fault) {
    int pidfd = service->private->main_pidfd;
    if (pidfd < 0)
        return run_signal(service->main, signal, fault);
    int error = world_signal(pidfd, signal);
    return error < 0
               ? fault_set(fault, error, "cannot signal the main process of %s", service->name)
               : 0;
}
