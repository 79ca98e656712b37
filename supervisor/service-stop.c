#include <signal.h>
#include <string.h>

#include "supervisor/health.h"
#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/notify.h"
#include "supervisor/output.h"
#include "supervisor/seeded.h"
#include "supervisor/service-actions.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/number.h"
#include "units/base/text.h"

/* Microseconds between tries to remove: not all that the kernel tears down is told by an event. */
#define RETRY_FIRST 4000ULL
#define RETRY_LAST 1000000ULL
#define KILL_AGAIN 64000ULL /* the first time; then each time later, up to RETRY_LAST */

static void warn(const struct service *service, const struct fault *fault) {
    log_line(LEVEL_WARNING, "%s: %s", service->name, fault->text);
}

/* ---- ending the process ---- */

static void thaw(struct service *service) {
    struct fault fault = {{0}};
    if (!service->paused)
        return;
    service->paused = false;
    if (sandbox_freeze(service->sandbox, false, &fault) < 0)
        warn(service, &fault);
}

/* A run that was killed before its pid was told has no end that we would hear of. */
static bool is_over(const struct service *service) {
    const struct service_private *own = service->private;
    return !service->main || own->reaped || !own->run_pid;
}

static enum service_state finish(struct service *service);

enum service_state kill_all(struct service *service) {
    struct fault fault = {{0}};
    service_commands_stop(service);
    service->private->spared = false;
    if (!service->private->executed) /* it is not asked any more how far it came */
        service_unwatch_report(service);
    if (sandbox_kill(service->sandbox, &fault) < 0)
        warn(service, &fault);
    /* Its processes may have ended before: then no event tells of it any more. */
    if (is_over(service) && sandbox_is_populated(service->sandbox) == 0)
        return settle(service);
    return SERVICE_KILLING;
}

static bool is_stop(int signal) {
    return signal == SIGKILL || signal == SIGSTOP || signal == SIGCONT;
}

/* Nothing of the payload runs yet, or the kernel would drop the signal that a PID 1 of its own
 * namespace does not handle: then waiting for it would be in vain. */
static bool must_kill(const struct service *service) {
    const struct service_private *own = service->private;
    const struct service_settings *settings = &service->unit->service;
    return !own->executed || settings->stop_timeout == 0 ||
           (own->main_pidfd < 0 && run_would_drop(service->main, settings->stop_signal));
}

/* Whether the kernel lets other processes of the unit live on without the program. */
static bool may_outlive(const struct service *service) {
    const struct container *container = &service->unit->container;
    return container->process.init ||
           container->namespaces.choices[NAMESPACE_PID].mode != NAMESPACE_PRIVATE;
}

/* To the program; in the usual kill mode to all others too, where they would outlive it. */
static int signal_as_told(struct service *service, int number, struct fault *fault) {
    bool all = service->unit->service.kill_mode == KILL_CONTROL_GROUP && may_outlive(service);
    return all ? sandbox_signal_all(service->sandbox, number, fault)
               : service_signal_main(service, number, fault);
}

static enum service_state send_stop(struct service *service, int number) {
    struct fault fault = {{0}};
    int error = signal_as_told(service, number, &fault);
    if (error >= 0 && !is_stop(number)) /* one that was stopped from outside hears it too */
        error = signal_as_told(service, SIGCONT, &fault);
    if (error < 0 && error != -ESRCH) {
        warn(service, &fault);
        return kill_all(service);
    }
    return SERVICE_STOPPING;
}

/* After the commands that ask it to end, or without. */
static enum service_state end_process(struct service *service) {
    struct service_private *own = service->private;
    if (!service->main) /* a oneshot that ended */
        return finish(service);
    if (own->main_pidfd < 0 && (own->ended || own->left)) /* and MAINPID= named no other */
        return clear_up(service);
    if (must_kill(service))
        return kill_all(service);
    return send_stop(service, service->unit->service.stop_signal);
}

/* A program that has begun is told to end; one that has not is killed. */
static void stop_begins(struct service *service) {
    struct service_private *own = service->private;
    service_catch_up(service);
    own->signalled = true;
    own->expected = service->main != NULL;
    timers_cancel(&service->manager->private->timers, &own->lifetime);
    service_unguard(service);
    service_commands_stop(service);
    if (service->sandbox)
        thaw(service);
}

/* Those that ask it to end are for what was ready: a start that failed is not asked. */
enum service_state stop_process(struct service *service) {
    struct service_private *own = service->private;
    const struct commands *ask = &service->unit->service.exec_stop;
    bool beside = service->main != NULL;
    stop_begins(service);
    if (service->unit->service.type == SERVICE_GROUP)
        return remove_sandbox(service, SERVICE_STOPPED);
    if (ask->count == 0 || !own->was_ready || (beside && !own->executed))
        return end_process(service);
    if (service_commands_start(service, ask->items, ask->count, beside) < 0)
        return end_asking(service);
    return SERVICE_ASKING;
}

/* Nothing of the program ran. */
enum service_state stop_prepared(struct service *service) {
    stop_begins(service);
    return clear_up(service);
}

/* It ends by its own will, and has as long as if it had been told to. One that was frozen just
 * after it said so could not. */
enum service_state obey_stopping(struct service *service) {
    service_commands_stop(service);
    service_unguard(service);
    thaw(service);
    return SERVICE_STOPPING;
}

static void note_command(struct service *service) {
    struct service_private *own = service->private;
    if (own->commands.ending.result == RESULT_NONE ||
        own->commands.ending.result == RESULT_SUCCESS || own->cause != RESULT_NONE)
        return;
    own->cause = own->commands.ending.result;
    service_fail(service, "%s",
                 own->commands.failure ? own->commands.failure : "a command of its stop failed");
}

enum service_state end_asking(struct service *service) {
    /* Those beside a program that ended end with its pid namespace, which is no failure. */
    if (!service->main || !(service->private->ended || service->private->left))
        note_command(service);
    return end_process(service);
}

enum service_state time_out_asking(struct service *service) {
    service_commands_time_out(service, service->unit->service.stop_timeout);
    return end_asking(service);
}

/* What it leaves behind is ended when its commands are through, or at once where none is left. */
enum service_state end_if_asked(struct service *service) {
    return service->private->commands.running ? service->state : end_process(service);
}

/* The watchdog's signal, so that a core tells where it hung. */
enum service_state abort_process(struct service *service) {
    struct service_private *own = service->private;
    own->cause = RESULT_WATCHDOG;
    stop_begins(service);
    if (!own->executed || (own->main_pidfd < 0 && run_would_drop(service->main, SIGABRT)))
        return kill_all(service);
    return send_stop(service, SIGABRT);
}

enum service_state stop_process_once(struct service *service) {
    return service->private->signalled ? service->state : stop_process(service);
}

/* Only the program is killed; what it started is given its time. */
static enum service_state kill_program(struct service *service) {
    struct fault fault = {{0}};
    int error = service_signal_main(service, SIGKILL, &fault);
    if (error < 0 && error != -ESRCH) {
        warn(service, &fault);
        return kill_all(service);
    }
    service->private->spared = true;
    return SERVICE_KILLING;
}

static void set_retry(struct service *service) {
    struct manager *manager = service->manager;
    timers_set(&manager->private->timers, &service->private->deadline,
               world_now(manager) + service->private->retry);
}

static void delay_retry(struct service *service) {
    if (service->private->retry < RETRY_LAST)
        service->private->retry *= 2;
    set_retry(service);
}

void enter_killing(struct service *service) {
    service->private->retry = KILL_AGAIN;
    set_retry(service);
}

/* The kill may have failed, or the event of its success could not be read. */
enum service_state kill_again(struct service *service) {
    enum service_state next = service->private->spared ? kill_program(service) : kill_all(service);
    if (next == SERVICE_KILLING)
        delay_retry(service);
    return next;
}

enum service_state kill_after_timeout(struct service *service) {
    struct service_private *own = service->private;
    bool gone = own->ended || own->left;
    scoped_text struct text time = {0};
    duration_print(&time, service->unit->service.stop_timeout);
    if (own->cause == RESULT_NONE && !gone) {
        own->cause = RESULT_TIMEOUT;
        service_fail(service, "did not stop within %s and was killed", time.data ? time.data : "?");
    }
    log_line(LEVEL_WARNING, "%s: %s within %s: killed", service->name,
             gone ? "what it left behind did not end" : "did not stop",
             time.data ? time.data : "?");
    /* The end of one that MAINPID= named would not be told. */
    bool spares = service->unit->service.kill_mode == KILL_PROCESS && !gone && own->executed &&
                  own->main_pidfd < 0;
    return spares ? kill_program(service) : kill_all(service);
}

static void set_stop_deadline(struct service *service, uint64_t at) {
    timers_set(&service->manager->private->timers, &service->private->deadline, at);
}

static uint64_t stop_time(const struct service *service) {
    uint64_t now = world_now(service->manager);
    return shutdown_bound(service->manager, later(now, service->unit->service.stop_timeout));
}

void enter_asking(struct service *service) {
    set_stop_deadline(service, stop_time(service));
}

void enter_stopping(struct service *service) {
    service->private->stop_by = stop_time(service);
    set_stop_deadline(service, service->private->stop_by);
}

/* What was told to end together with the program has no more time than it; what was not told has
 * its own. */
void enter_ending(struct service *service) {
    uint64_t at = stop_time(service);
    bool told = service->unit->service.kill_mode == KILL_CONTROL_GROUP;
    if (told && service->private->stop_by < at)
        at = service->private->stop_by;
    set_stop_deadline(service, at);
}

void enter_finishing(struct service *service) {
    set_stop_deadline(service, stop_time(service));
}

/* ---- after the process ---- */

/* What the program left behind, as the kill mode says. */
static enum service_state end_rest(struct service *service) {
    struct service_private *own = service->private;
    enum kill_mode mode = service->unit->service.kill_mode;
    service_commands_stop(service);
    service_unguard(service);
    if (mode == KILL_MIXED || !own->executed || !may_outlive(service))
        return kill_all(service);
    thaw(service); /* of what is frozen only the program could end, by SIGKILL */
    if (mode == KILL_CONTROL_GROUP && !own->signalled &&
        send_stop(service, service->unit->service.stop_signal) == SERVICE_KILLING)
        return SERVICE_KILLING;
    return SERVICE_ENDING;
}

/* Unless MAINPID= made something of it the main process. */
enum service_state clear_up(struct service *service) {
    service_commands_stop(service);
    if (sandbox_is_populated(service->sandbox) <= 0 || SEEDED(TWICE))
        return settle(service);
    if (service->private->main_pidfd >= 0)
        return service->state;
    return end_rest(service);
}

enum service_state leave_rest(struct service *service) {
    return service->private->main_pidfd >= 0 ? service->state : end_rest(service);
}

enum service_state leave_rest_if_spared(struct service *service) {
    if (sandbox_is_populated(service->sandbox) <= 0)
        return is_over(service) ? settle(service) : service->state;
    return service->private->spared ? SERVICE_ENDING : service->state;
}

enum service_state settle_if_empty(struct service *service) {
    return sandbox_is_populated(service->sandbox) > 0 ? service->state : settle(service);
}

enum service_state settle_if_ended(struct service *service) {
    return service->main && service->private->ended ? settle(service) : service->state;
}

enum service_state settle_if_over(struct service *service) {
    return is_over(service) ? settle(service) : service->state;
}

/* ---- what follows ---- */

static void name_victim(const struct service *service, struct text *words) {
    scoped_text struct text victim = {0};
    sandbox_oom_describe(service->sandbox, &victim);
    if (victim.data)
        text_format(words, " (%s)", victim.data);
}

static void note_result(struct service *service) {
    struct service_private *own = service->private;
    enum service_type type = service->unit->service.type;
    struct ending *ending = &own->ending;
    bool asked = own->signalled && own->expected && own->cause == RESULT_NONE;

    if (own->cause != RESULT_NONE) {
        ending->result = own->cause;
    } else if (asked && (ending->exit_signal == service->unit->service.stop_signal ||
                         ending->exit_signal == SIGKILL)) {
        ending->result = RESULT_SUCCESS;
    } else if (!asked && ending->result == RESULT_SUCCESS && !own->was_ready &&
               (type == SERVICE_NOTIFY || type == SERVICE_FD)) {
        ending->result = RESULT_PROTOCOL;
        service_fail(service, "ended before it said that it was ready");
    }
    service->result = ending->result;
    service->exit_code = ending->exit_code;
    service->exit_signal = ending->exit_signal;
    service->ended_at = service_date(service);
    if (ending->result == RESULT_SUCCESS) {
        service_fail(service, NULL);
    } else if (own->cause == RESULT_NONE && ending->result != RESULT_PROTOCOL) {
        scoped_text struct text words = {0};
        ending_describe(ending, &words);
        if (ending->result == RESULT_OOM_KILL)
            name_victim(service, &words);
        service_fail(service, "%s", words.data ? words.data : "failed");
    }
}

/* More restarts than allowed within the interval, which begins with the first of them. */
static bool limit_is_hit(struct service *service) {
    struct service_private *own = service->private;
    const struct restart *restart = &service->unit->restart;
    uint64_t now = world_now(service->manager);
    if (restart->limit_burst <= 0)
        return false;
    if (own->limit_count == 0 || now - own->limit_begun > restart->limit_interval) {
        own->limit_begun = now;
        own->limit_count = 0;
    }
    return ++own->limit_count > restart->limit_burst;
}

/* With all that it may have anew. */
static enum service_state retry_later(struct service *service) {
    struct service_private *own = service->private;
    own->limit_count = 0;
    own->step = 0;
    service->restarts++;
    service->restart_delay = service->unit->restart.on_limit.pause;
    return SERVICE_RESTARTING;
}

static enum service_state decide(struct service *service) {
    struct service_private *own = service->private;
    bool clean = own->ending.result == RESULT_SUCCESS;
    if (service_listens_again(service) && !service->manager->stopping)
        return SERVICE_LISTENING;
    if (service->manager->stopping || !restart_is_wanted(service->unit, &own->ending))
        return clean ? SERVICE_STOPPED : SERVICE_FAILED;
    if (limit_is_hit(service)) {
        if (service->unit->restart.on_limit.pause > 0)
            return retry_later(service);
        scoped_text struct text last = {0};
        text_add(&last, service->failure ? service->failure : "ended");
        service->result = RESULT_LIMIT;
        service_fail(service, "restarted too often (%lld times): %s",
                     (long long)service->unit->restart.limit_burst,
                     last.data ? last.data : "ended");
        if (service->unit->restart.on_limit.reboot)
            service_reboot(service);
        return SERVICE_FAILED;
    }
    service->restarts++;
    service->restart_delay =
        restart_delay(&service->unit->restart, own->step, world_random(service->manager));
    if (own->step < 1000) /* further ones change nothing: max_delay was reached */
        own->step++;
    return SERVICE_RESTARTING;
}

static void run_ends(struct service *service) {
    struct service_private *own = service->private;
    struct timers *timers = &service->manager->private->timers;
    struct fault fault;
    service_drop_run(service);
    timers_cancel(timers, &own->lifetime);
    timers_cancel(timers, &own->steady);
    timers_cancel(timers, &own->idle);
    service_unguard(service);
    thaw(service); /* what was killed while frozen leaves a frozen cgroup to the next run */
    if (own->output && output_update(own->output, service, 0, &fault) < 0)
        warn(service, &fault);
}

/* A command after the end that failed spoils what had gone well. */
static void note_finish(struct service *service) {
    struct service_private *own = service->private;
    const struct ending *ending = &own->commands.ending;
    if (ending->result == RESULT_NONE || ending->result == RESULT_SUCCESS ||
        own->ending.result != RESULT_SUCCESS)
        return;
    own->ending.result = service->result = ending->result;
    service_fail(service, "%s",
                 own->commands.failure ? own->commands.failure : "a command after it failed");
}

static enum service_state finish(struct service *service) {
    struct service_private *own = service->private;
    const struct commands *after = &service->unit->service.exec_post;
    own->settled = true;
    if (own->cause != RESULT_NONE)
        own->ending.result = service->result = own->cause;
    own->commands.ending = (struct ending){0};
    if (after->count == 0 || !service->sandbox || !own->built ||
        service_commands_start(service, after->items, after->count, false) < 0)
        return conclude(service);
    return SERVICE_FINISHING;
}

enum service_state time_out_finishing(struct service *service) {
    service_commands_time_out(service, service->unit->service.stop_timeout);
    return conclude(service);
}

static bool did_its_work(const struct service *service) {
    const struct service_private *own = service->private;
    return service->unit->service.type == SERVICE_ONESHOT && own->ending.result == RESULT_SUCCESS &&
           !own->signalled;
}

enum service_state settle(struct service *service) {
    if (service->private->again) {
        service->private->again = false;
        run_ends(service);
        return SERVICE_CREATED;
    }
    note_result(service);
    run_ends(service);
    if (did_its_work(service) && service->unit->service.remain_after_exit)
        return SERVICE_READY;
    return finish(service);
}

enum service_state conclude(struct service *service) {
    struct service_private *own = service->private;
    note_finish(service);
    if (did_its_work(service)) {
        own->succeeded = true;
        service_enter(service, SERVICE_READY); /* those who waited for it see it */
        return remove_sandbox(service, SERVICE_STOPPED);
    }
    if (own->goal == GOAL_DOWN || own->goal == GOAL_CYCLE)
        return remove_sandbox(service, SERVICE_STOPPED);
    if (!own->was_ready)
        own->attempt_failed = true;
    enum service_state next = decide(service);
    /* A restart enters the same sandbox again, unless there never was a whole one. */
    if (next == SERVICE_RESTARTING && service->sandbox && own->built)
        return next;
    return remove_sandbox(service, next);
}

/* ---- the sandbox goes ---- */

/* Known before anything of it is gone: a later manager would take it for lost, and start it anew.
 */
enum service_state remove_sandbox(struct service *service, enum service_state outcome) {
    struct service_private *own = service->private;
    own->outcome = outcome;
    own->retry = RETRY_FIRST / 2;
    if (service->sandbox) {
        own->going = true;
        state_save(service);
    }
    return remove_again(service);
}

enum service_state remove_stopped(struct service *service) {
    return remove_sandbox(service, SERVICE_STOPPED);
}

/* Where a goal says down, down it is, whatever was to follow; and who asks for it meanwhile does
 * not wait for the end of a delay. */
static enum service_state after_removal(struct service *service) {
    struct service_private *own = service->private;
    bool down = own->goal == GOAL_DOWN || own->goal == GOAL_CYCLE;
    bool asked = state_traits(service->state)->lingers && own->goal == GOAL_UP;
    own->going = false;
    notify_close(own->notify);
    own->notify = NULL;
    if (down)
        return SERVICE_STOPPED;
    return asked && own->outcome == SERVICE_RESTARTING ? to_waiting(service) : own->outcome;
}

static enum service_state linger(struct service *service) {
    delay_retry(service);
    return SERVICE_REMOVING;
}

enum service_state remove_again(struct service *service) {
    struct service_private *own = service->private;
    struct fault fault = {{0}};
    if (!service->sandbox)
        return after_removal(service);
    service_unwatch_report(service);
    service_commands_stop(service);
    if (job_release_sharers(service)) /* its namespaces are theirs too: they go first */
        return linger(service);
    watch_close(own->cgroup_watch); /* before the descriptor goes */
    own->cgroup_watch = NULL;
    const struct sandbox *sandbox = service->sandbox;
    int error = sandbox_remove(service->sandbox, &fault);
    if (error >= 0) {
        manager_execs_lose(service->manager, sandbox);
        service->sandbox = NULL;
        own->built = false;
        unit_unref(take(own->built_from));
        return after_removal(service);
    }
    if (error != -EBUSY)
        warn(service, &fault);
    if (service_watch_cgroup(service, &fault) < 0)
        warn(service, &fault);
    return linger(service);
}

void enter_removing(struct service *service) {
    set_retry(service);
}
