#include "runtime/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "runtime/environment.h"
#include "runtime/helper.h"
#include "runtime/init.h"
#include "runtime/private.h"
#include "units/base/fault.h"
#include "units/base/file.h"

/* ---- start ---- */

static bool wants_init(const struct sandbox *sandbox, const struct run_request *request) {
    return sandbox->container->process.init && request->place == RUN_MAIN;
}

static bool has_terminal(const struct sandbox *sandbox, const struct run_request *request) {
    return sandbox->container->process.tty && request->place == RUN_MAIN;
}

static void fill_stage(struct stage *stage, const struct sandbox *sandbox,
                       const struct run_request *request, const struct environment *environment,
                       int report) {
    const struct process *process = &sandbox->container->process;
    bool fresh = !helper_is_beside(request->place);
    *stage = (struct stage){
        .container = sandbox->container,
        .exec = request->exec,
        .user = request->user ? request->user : process->user,
        .group = request->user || request->group ? request->group : process->group,
        .working_directory =
            request->working_directory ? request->working_directory : process->working_directory,
        .environment = environment,
        .capabilities = &sandbox->capabilities,
        .filter = sandbox->filter,
        .streams = {.ready = request->ready_fd,
                    .ready_number = request->ready_fd < 0 ? -1 : request->ready_fd_number,
                    .report = report},
        .waits = request->waits,
        .terminal = request->tty || has_terminal(sandbox, request),
        .own_terminal = has_terminal(sandbox, request),
        .user_private = sandbox->modes[NAMESPACE_USER] != NAMESPACE_HOST,
        .own_mounts = fresh && sandbox->modes[NAMESPACE_MOUNT] != NAMESPACE_HOST,
        .fresh_proc = fresh && sandbox->modes[NAMESPACE_PID] != NAMESPACE_HOST,
        .init = wants_init(sandbox, request) ? sandbox->runtime->init : -EBADF,
        .status = -EBADF,
        .init_lingers = request->init_lingers,
        .null = -EBADF,
        .console = -EBADF,
    };
    for (size_t i = 0; i < request->listen_count; i++)
        stage->streams.listen[i] = request->listen[i];
    stage->streams.listen_count = request->listen_count;
    if (!stage->working_directory)
        stage->working_directory = "/";
}

const enum cgroup_part run_parts[] = {
    [RUN_MAIN] = CGROUP_MAIN,
    [RUN_ALONE] = CGROUP_AUX,
    [RUN_BESIDE] = CGROUP_AUX,
    [RUN_PROBE] = CGROUP_PROBE,
};

static int start_helper(struct sandbox *sandbox, const struct run_request *request, int main,
                        int init_status, int *ret_report, struct fault *fault) {
    struct environment environment;
    int ends[2];
    scoped_fd int cgroup =
        cgroup_open_birthplace(sandbox->cgroup, run_parts[request->place], fault);
    if (cgroup < 0)
        return cgroup;
    int error = environment_prepare(sandbox->container, request, &environment, fault);
    if (error)
        return fault_prefix(fault, error, "environment");
    error = report_open(ends, fault);
    if (error) {
        environment_free(&environment);
        return error;
    }
    scoped_fd int receiver = ends[0], sender = ends[1];
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    pid_t pid = process_clone_into(sandbox->runtime, &arguments, cgroup);
    if (pid == 0) {
        struct helper helper = {
            .sandbox = sandbox, .request = request, .main = main, .report = sender};
        fill_stage(&helper.stage, sandbox, request, &environment, sender);
        helper.stage.status = init_status;
        helper_run(&helper);
    }
    environment_free(&environment);
    if (pid < 0)
        return fault_set(fault, pid, "cannot start the helper of a run");
    *ret_report = take_fd(&receiver);
    return 0;
}

/* Its image, and a channel for how the program ended: sockets, in which a word can be seen and
 * stays for a later manager. */
static int prepare_init(struct sandbox *sandbox, int *ret_status, int *ret_init_status,
                        struct fault *fault) {
    int ends[2];
    if (sandbox->modes[NAMESPACE_PID] != NAMESPACE_PRIVATE)
        return fault_say(fault, -EINVAL,
                         "an init is PID 1 of a pid namespace of its own, and there is none");
    int error = init_open(&sandbox->runtime->init, fault);
    if (error)
        return error;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return fault_set(fault, errno, "cannot make the channel of an init");
    *ret_status = ends[0];
    *ret_init_status = ends[1];
    return 0;
}

struct run *run_new(struct sandbox *sandbox, enum run_place place) {
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->sandbox = sandbox;
    run->place = place;
    run->report = run->pidfd = run->program_pidfd = run->terminal = run->status = -EBADF;
    return run;
}

int run_start(struct sandbox *sandbox, const struct run_request *request, const struct run *main,
              struct run **ret_run, struct fault *fault) {
    scoped_fd int status = -1, init_status = -1;
    int error = 0;
    bool beside = helper_is_beside(request->place);
    if (!sandbox->created)
        return fault_say(fault, -EINVAL, "the sandbox is not there");
    if (!request->file && (!request->exec || request->exec->count == 0))
        return fault_say(fault, -EINVAL, "there is no program to execute");
    if (request->listen_count > RUN_LISTEN_MAX)
        return fault_say(fault, -EINVAL, "there are more than %d sockets", RUN_LISTEN_MAX);
    if (wants_init(sandbox, request))
        error = prepare_init(sandbox, &status, &init_status, fault);
    if (error)
        return error;
    int neighbour = !beside               ? -EBADF
                    : request->beside > 0 ? request->beside
                    : main                ? main->pidfd
                                          : -1;
    if (beside && neighbour < 0)
        return fault_say(fault, -ESRCH, "the unit has no main process");
    scoped(run_free) struct run *run = run_new(sandbox, request->place);
    if (!run)
        return fault_set(fault, ENOMEM, "cannot start a run");
    run->has_init = wants_init(sandbox, request);
    run->has_terminal = has_terminal(sandbox, request);
    run->waits = request->waits;
    error = start_helper(sandbox, request, neighbour, init_status, &run->report, fault);
    if (error)
        return error;
    run->status = take_fd(&status);
    *ret_run = take(run);
    return 0;
}

int run_report_fd(const struct run *run) {
    return run->report;
}

/* ---- what the helper tells ---- */

/* A process knows its number as its own namespace counts; the descriptor tells ours. */
static int pid_of(int pidfd, pid_t *ret_pid) {
    scoped_free char *info = NULL;
    char path[48];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    int error = file_read(AT_FDCWD, path, 4096, &info, NULL, NULL);
    if (error < 0)
        return error;
    const char *line = strstr(info, "\nPid:");
    *ret_pid = line && sscanf(line, "\nPid:%d", &pid) == 1 && pid > 0 ? pid : 0; /* it has ended */
    return 0;
}

/* It may be gone, where it is no child of ours; then nobody will look for it either. Else no later
 * manager would find what cannot be identified: it does not begin. */
static int identify(struct identity *identity, pid_t pid, int pidfd) {
    int error = pid > 0 ? identity_read(pid, pidfd, identity) : 0;
    if (error)
        *identity = (struct identity){.pid = pid};
    return error == -ESRCH ? 0 : error;
}

static int keep_program(struct run *run, const struct report *report) {
    pid_t pid = 0;
    if (report->descriptor_count != 1)
        return 0;
    run->program_pidfd = report->descriptors[0];
    int error = pid_of(run->program_pidfd, &pid);
    return error ? error : identify(&run->program, pid, run->program_pidfd);
}

void run_become_main(struct run *run) {
    struct sandbox *sandbox = run->sandbox;
    close_fd(sandbox->main_pidfd);
    sandbox->main = run->payload;
    sandbox->main_pidfd = fcntl(run->pidfd, F_DUPFD_CLOEXEC, 0);
}

static int keep_process(struct run *run, const struct report *report) {
    if (report->descriptor_count != 1)
        return 0;
    run->pidfd = report->descriptors[0];
    int error = identify(&run->payload, report->sender, run->pidfd);
    if (run->place == RUN_MAIN)
        run_become_main(run);
    return error;
}

static void keep_terminal(struct run *run, const struct report *report) {
    if (report->descriptor_count != 1 || run->told_terminal)
        return;
    run->terminal = report->descriptors[0];
    run->told_terminal = true;
}

/* Helper and payload both hold the channel: its end comes when the one is gone and the other has
 * executed, or both are gone. */
static int conclude(struct run *run, struct fault *fault) {
    run->report = close_fd(run->report);
    if (run->unreleased)
        return fault_say(fault, -ECANCELED, "process: cannot be told to go on: %s",
                         strerror(-run->unreleased));
    if (run->found)
        return RUN_EXECUTED;
    if (run->payload.pid == 0) {
        cgroup_renew(run->sandbox->cgroup);
        return fault_say(fault, -ECANCELED, "process: the helper that starts it was killed");
    }
    return RUN_EXECUTED;
}

/* What happens to it would not be known: it does not go on. One that has not executed yet sees that
 * nobody listens any more (report_has_reader). */
static int lose(struct run *run, int error, struct fault *fault) {
    run->report = close_fd(run->report);
    if (run->pidfd >= 0)
        pidfd_send_signal(run->pidfd, SIGKILL, NULL, 0);
    return fault_say(fault, -ECANCELED, "process: cannot hear how its launch goes on: %s",
                     strerror(-error));
}

static int fail(struct run *run, const struct report *failure, struct fault *fault) {
    run->report = close_fd(run->report);
    fault_say(fault, failure->error, "%s", failure->text);
    return failure->value == STAGE_EXECUTING ? failure->error : -ECANCELED;
}

int run_advance(struct run *run, struct fault *fault) {
    for (;;) {
        struct report report;
        if (report_find_fault(run->report, &report))
            return fail(run, &report, fault);
        int got = report_receive(run->report, &report);
        if (got == -EAGAIN)
            return RUN_PREPARING;
        if (got < 0)
            return lose(run, got, fault);
        if (got == 0)
            return conclude(run, fault);
        if (report.kind == REPORT_FAULT) /* it could not be looked at before */
            return fail(run, &report, fault);
        if (report.kind == REPORT_PROCESS)
            got = keep_process(run, &report);
        else if (report.kind == REPORT_PROGRAM)
            got = keep_program(run, &report);
        else if (report.kind == REPORT_FOUND)
            run->found = true;
        else if (report.kind == REPORT_TERMINAL)
            keep_terminal(run, &report);
        if (got < 0)
            return lose(run, got, fault);
    }
}

bool run_waits(const struct run *run) {
    return run->waits && run->report >= 0 && run->payload.pid > 0 &&
           (!run->has_init || run->program.pid > 0) && (!run->has_terminal || run->told_terminal);
}

void run_release(struct run *run) {
    if (!run_waits(run))
        return;
    run->waits = false;
    run->released = true;
    run->unreleased = report_go(run->report);
    if (run->unreleased) /* it would wait for ever */
        pidfd_send_signal(run->pidfd, SIGKILL, NULL, 0);
}

pid_t run_pid(const struct run *run) {
    return run->payload.pid;
}

uint64_t run_start_time(const struct run *run) {
    return run->payload.start_time;
}

int run_pidfd(const struct run *run) {
    return run->pidfd;
}

pid_t run_program_pid(const struct run *run) {
    return run->has_init ? run->program.pid : run->payload.pid;
}

int run_status_fd(const struct run *run) {
    return run->status;
}

int run_program_pidfd(const struct run *run) {
    return run->program_pidfd;
}

int run_program_ended(struct run *run, int *ret_wait_status) {
    int wait_status;
    if (!run->program_ended && run->status >= 0 &&
        recv(run->status, &wait_status, sizeof wait_status, MSG_PEEK) ==
            (ssize_t)sizeof wait_status) {
        run->program_ended = true;
        run->wait_status = wait_status;
        run->status = close_fd(run->status);
    }
    if (!run->program_ended)
        return 0;
    *ret_wait_status = run->wait_status;
    return 1;
}

int run_signal(const struct run *run, int number, struct fault *fault) {
    int pidfd = run->has_init ? run->program_pidfd : run->pidfd;
    if (pidfd < 0)
        return fault_say(fault, -ESRCH, "the process is not there");
    if (pidfd_send_signal(pidfd, number, NULL, 0) < 0)
        return fault_set(fault, errno, "cannot send signal %d to process %d", number,
                         run_program_pid(run));
    return 0;
}

/* A line of /proc/PID/status: "NAME:\tHEX". */
static uint64_t status_mask(const char *status, const char *name) {
    const char *line = strstr(status, name);
    uint64_t mask = 0;
    return line && sscanf(line + strlen(name), "%" SCNx64, &mask) == 1 ? mask : 0;
}

bool run_would_drop(const struct run *run, int number) {
    char path[32];
    scoped_free char *status = NULL;
    pid_t pid = run_program_pid(run);
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    if (pid == 0 || number < 1 || number > 64 || number == SIGKILL || number == SIGSTOP ||
        file_read(AT_FDCWD, path, 65536, &status, NULL, NULL) < 0)
        return false;
    const char *pids = strstr(status, "\nNSpid:");
    const char *last = pids ? pids + 1 + strcspn(pids + 1, "\n") : NULL;
    bool first = last && last - pids > 2 && last[-1] == '1' && last[-2] == '\t';
    uint64_t bit = 1ULL << (number - 1);
    return first && !(status_mask(status, "\nSigCgt:") & bit) &&
           !(status_mask(status, "\nSigIgn:") & bit);
}

int run_take_terminal(struct run *run) {
    return take_fd(&run->terminal);
}

void run_free(struct run *run) {
    if (!run)
        return;
    close_fd(run->report);
    close_fd(run->pidfd);
    close_fd(run->program_pidfd);
    close_fd(run->status);
    close_fd(run->terminal);
    free(run);
}
