#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "runtime/adopt.h"
#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/text.h"

/* A process beside a running unit. Its client may go away first; it may outlive the unit's main
 * process by a moment, and then its sandbox is gone: it is held by its run alone. */
struct exec {
    struct list link; /* manager_private.execs */
    struct manager *manager;
    struct service *service;       /* NULL: its sandbox is gone */
    const struct sandbox *sandbox; /* the same */
    enum run_place place;
    struct run *run;
    struct watch *watch; /* of the report; NULL once executed */
    pid_t pid;           /* claimed; 0: not known yet */
    exec_done done;      /* NULL once abandoned */
    void *context;
};

static void conclude(struct exec *exec, int error, int wait_status, const struct fault *fault) {
    struct manager *manager = exec->manager;
    exec_done done = exec->done;
    void *context = exec->context;
    watch_close(exec->watch);
    if (!exec->pid)
        manager->private->without_pid--;
    else if (error < 0)
        children_remove(&manager->private->children, exec->pid);
    list_remove(&exec->link);
    if (exec->service)
        state_touch(exec->service);
    run_free(exec->run);
    free(exec);
    if (done)
        done(context, error, wait_status, fault);
}

static void finish(struct exec *exec, int error, int wait_status, const struct fault *fault) {
    struct manager *manager = exec->manager;
    conclude(exec, error, wait_status, fault);
    manager_event_ended(manager);
}

static void ended(void *context, int wait_status) {
    struct fault fault = {{0}};
    struct exec *exec = context;
    /* Where the program could not be executed, the report says so and the status does not. */
    int progress = exec->watch ? run_advance(exec->run, &fault) : RUN_EXECUTED;
    finish(exec, progress < 0 ? progress : 0, wait_status, &fault);
}

static void progressed(void *context) {
    struct exec *exec = context;
    struct fault fault = {{0}};
    int wait_status = 0, early = 0;
    int progress = run_advance(exec->run, &fault);
    pid_t pid = run_pid(exec->run);
    if (!exec->pid && pid > 0) {
        struct children *children = &exec->manager->private->children;
        early = children_add(children, pid, ended, exec, &wait_status);
        if (early == 1 && run_signal(exec->run, 0, NULL) != -ESRCH)
            early = children_add(children, pid, ended, exec, &wait_status);
        exec->pid = pid;
        exec->manager->private->without_pid--;
    }
    if (early == 1 && progress == RUN_PREPARING) /* all that it had to say is there by now */
        progress = run_advance(exec->run, &fault);
    if (exec->pid && !exec->done) /* abandoned before there was anything to kill */
        run_signal(exec->run, SIGKILL, NULL);
    if (progress < 0) {
        finish(exec, progress, 0, &fault);
    } else if (early == 1 || (progress == RUN_EXECUTED && !exec->pid)) {
        finish(exec, 0, wait_status, &fault);
    } else {
        if (progress == RUN_EXECUTED)
            watch_close(take(exec->watch));
        if (exec->service)
            state_touch(exec->service);
        manager_event_ended(exec->manager);
    }
}

static int watch_launch(struct exec *exec, struct fault *fault) {
    int error = watch_open(exec->manager, run_report_fd(exec->run), EPOLLIN, WATCH_REPORT,
                           progressed, exec, &exec->watch);
    return error < 0
               ? fault_set(fault, error, "cannot watch the launch beside %s", exec->service->name)
               : 0;
}

int exec_begin(struct service *service, const struct run_request *request, exec_done done,
               void *context, struct fault *fault) {
    struct manager *manager = service->manager;
    const char *name = service->name;
    struct exec *exec = calloc(1, sizeof(*exec));
    if (!exec)
        return fault_set(fault, ENOMEM, "cannot run beside %s", name);
    *exec = (struct exec){.manager = manager,
                          .service = service,
                          .sandbox = service->sandbox,
                          .place = request->place,
                          .done = done,
                          .context = context};
    list_init(&exec->link);

    struct run_request moved = *request;
    moved.beside = service->private->main_pidfd; /* of whoever MAINPID= named */
    int error = run_start(service->sandbox, &moved, service->main, &exec->run, fault);
    if (error >= 0)
        error = watch_launch(exec, fault);
    if (error < 0) {
        run_free(exec->run);
        free(exec);
        return error;
    }
    manager->private->without_pid++;
    list_append(&manager->private->execs, &exec->link);
    return 0;
}

int manager_exec(struct manager *manager, const char *name, const struct run_request *request,
                 exec_done done, void *context, struct fault *fault) {
    struct service *service = manager_find(manager, name);
    if (!service)
        return fault_say(fault, ENOENT, "there is no unit \"%s\"", name);
    if (!service->private->executed || !service_has_main(service))
        return fault_say(fault, ESRCH, "%s is not running", name);
    return exec_begin(service, request, done, context, fault);
}

static struct exec *find(struct manager *manager, const void *context) {
    struct exec *exec;
    list_for_each(exec, &manager->private->execs, link) {
        if (exec->context == context && exec->done)
            return exec;
    }
    return NULL;
}

int manager_exec_signal(struct manager *manager, void *context, int signal, struct fault *fault) {
    struct exec *exec = find(manager, context);
    if (!exec || !exec->pid)
        return fault_say(fault, ESRCH, "the process has ended, or has not begun");
    return run_signal(exec->run, signal, fault);
}

void manager_exec_abandon(struct manager *manager, void *context) {
    struct exec *exec = find(manager, context);
    struct fault fault;
    if (!exec)
        return;
    exec->done = NULL;
    if (exec->pid && run_signal(exec->run, SIGKILL, &fault) < 0)
        log_line(LEVEL_WARNING, "%s", fault.text);
}

void manager_execs_lose(struct manager *manager, const struct sandbox *sandbox) {
    struct exec *exec, *following;
    const struct fault fault = {"the unit ended before the process began"};
    list_for_each_safe(exec, following, &manager->private->execs, link) {
        if (exec->sandbox != sandbox)
            continue;
        exec->sandbox = NULL;
        exec->service = NULL;
        if (!exec->pid)
            conclude(exec, -ESRCH, 0, &fault);
    }
}

void execs_free(struct manager *manager) {
    struct exec *exec, *following;
    list_for_each_safe(exec, following, &manager->private->execs, link) {
        watch_close(exec->watch);
        run_free(exec->run);
        free(exec);
    }
}

/* ---- over a change of managers ---- */

/* A client's that has not executed yet is not known to anybody: its sandbox is cleared of it. A
 * probe is ended, and made again. What was abandoned has been killed. */
int execs_save(const struct service *service, const void *context, struct text *command,
               pid_t *ret_pid, struct text *others) {
    const struct exec *exec;
    int report = -EBADF;
    list_for_each(exec, &service->manager->private->execs, link) {
        struct run_saved saved;
        if (exec->service != service || exec->place == RUN_PROBE || !exec->done)
            continue;
        bool is_command = exec->context == context;
        struct text *text = is_command ? command : others;
        if (run_save(exec->run, text, &saved) < 0)
            continue;
        if (is_command) {
            report = saved.report;
            *ret_pid = exec->pid;
        } else {
            text_add(text, "\n");
        }
    }
    return report;
}

void execs_release(struct service *service) {
    struct exec *exec;
    list_for_each(exec, &service->manager->private->execs, link) {
        if (exec->service == service && exec->done && exec->watch)
            run_release(exec->run);
    }
}

int exec_adopt(struct service *service, const char *words, exec_done done, void *context,
               struct fault *fault) {
    struct manager *manager = service->manager;
    struct run_saved saved = RUN_SAVED_NONE;
    uint64_t start_time;
    pid_t pid;
    int error = run_saved_process(words, &pid, &start_time);
    if (error < 0)
        return fault_set(fault, error, "the words of a command of %s cannot be read",
                         service->name);
    struct exec *exec = calloc(1, sizeof(*exec));
    if (!exec)
        return fault_set(fault, ENOMEM, "cannot hold what runs beside %s", service->name);
    *exec = (struct exec){.manager = manager,
                          .service = service,
                          .sandbox = service->sandbox,
                          .place = RUN_BESIDE,
                          .done = done,
                          .context = context};
    list_init(&exec->link);
    state_take_held(service, HELD_COMMAND, pid, &saved.report, 1);
    error = adopt_run(service, words, saved, ended, exec, &exec->run, fault);
    if (error < 0) {
        free(exec);
        return error;
    }
    exec->pid = pid;
    list_append(&manager->private->execs, &exec->link);
    return run_report_fd(exec->run) < 0 ? 0 : watch_launch(exec, fault);
}
