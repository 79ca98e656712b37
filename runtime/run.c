#include "runtime/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "runtime/devices.h"
#include "runtime/environment.h"
#include "runtime/init.h"
#include "runtime/private.h"
#include "runtime/report.h"
#include "runtime/rlimits.h"
#include "runtime/scheduling.h"
#include "runtime/stage.h"
#include "runtime/tree.h"
#include "units/base/fault.h"
#include "units/base/file.h"

struct run {
    struct sandbox *sandbox;
    enum run_place place;
    int report;
    pid_t pid; /* 0: not known yet */
    int pidfd;
    bool has_init;
    pid_t program; /* with an init: its child; 0: not known yet */
    int program_pidfd;
    int terminal; /* the master */
    int status;   /* of the init, until it told */
    bool program_ended;
    int wait_status;       /* of the program, once it has ended */
    bool found;            /* the file */
    struct report failure; /* of a step; kind is REPORT_FAULT once there is one */
};

static bool is_beside(enum run_place place) {
    return place == RUN_BESIDE || place == RUN_PROBE;
}

/* ---- the helper: from the host's namespaces into the unit's, then the payload ---- */

struct helper {
    struct sandbox *sandbox;
    const struct run_request *request;
    int main; /* pidfd of the process to be put beside; -EBADF: none */
    int report;
    struct stage stage;
};

/* A mount of the terminal, after a look that it is one of a devpts. */
static int open_console(int terminal, struct fault *fault) {
    struct statfs status;
    if (fstatfs(terminal, &status) < 0 || status.f_type != DEVPTS_SUPER_MAGIC)
        return fault_say(fault, -ENOTTY, "standard input is not a pseudo-terminal");
    return tree_clone(terminal, "", false, fault);
}

/* Of the manager's descriptors those that the run is about. */
static int helper_close(struct helper *helper, struct fault *fault) {
    const struct run_request *request = helper->request;
    int kept[NAMESPACE_KINDS + 8 + RUN_LISTEN_MAX];
    size_t count = NAMESPACE_KINDS + 8;
    memcpy(kept, helper->sandbox->namespaces, sizeof helper->sandbox->namespaces);
    memcpy(kept + NAMESPACE_KINDS, request->standard, sizeof request->standard);
    kept[NAMESPACE_KINDS + 3] = request->ready_fd;
    kept[NAMESPACE_KINDS + 4] = helper->main;
    kept[NAMESPACE_KINDS + 5] = helper->report;
    kept[NAMESPACE_KINDS + 6] = helper->stage.init;
    kept[NAMESPACE_KINDS + 7] = helper->stage.status;
    for (size_t i = 0; i < request->listen_count; i++)
        kept[count++] = request->listen[i];
    return streams_keep(STDERR_FILENO + 1, kept, count, fault);
}

/* What takes the host's view. */
static int helper_prepare(struct helper *helper, struct fault *fault) {
    struct stage *stage = &helper->stage;
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return fault_set(fault, errno, "cannot become undumpable");
    int null = devices_open_null(O_RDWR, fault);
    if (null < 0)
        return null;
    for (int i = 0; i < 3; i++) {
        int fd = helper->request->standard[i];
        struct stat status;
        if (fd >= 0 && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode))
            return fault_say(fault, -EISDIR, /* and ".." of it is, and so on (CVE-2024-21626) */
                             "descriptor %d is a directory, through which the host is reached", i);
        stage->streams.standard[i] = fd < 0 ? null : fd;
    }
    if (stage->own_mounts) {
        stage->null = tree_clone(null, "", false, fault);
        if (stage->null < 0)
            return stage->null;
    }
    if (stage->own_mounts && stage->terminal && !stage->own_terminal) {
        stage->console = open_console(stage->streams.standard[0], fault);
        if (stage->console < 0)
            return stage->console;
    }
    return 0;
}

/* What takes the host's power. */
static int helper_limit(struct helper *helper, struct fault *fault) {
    const struct process *process = &helper->sandbox->container->process;
    scoped_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = oom_score_apply(proc, process->oom_score_adjust, fault);
    if (!error)
        error = nice_apply(process->nice, fault);
    if (!error)
        error = scheduling_apply(process->cpu_scheduling, fault);
    if (!error)
        error = io_priority_apply(process->io_priority, fault);
    return error ? error : rlimits_apply(&process->rlimits, fault);
}

static int join(const struct sandbox *sandbox, enum namespace_kind kind, struct fault *fault) {
    if (sandbox->namespaces[kind] >= 0 &&
        setns(sandbox->namespaces[kind], (int)namespace_flags[kind]) < 0)
        return fault_set(fault, errno, "cannot join the %s namespace", namespace_files[kind]);
    return 0;
}

/* Others' namespaces, then the user namespace, then those that belong to it: from inside a user
 * namespace those of another one cannot be joined. */
static int join_held(struct helper *helper, struct fault *fault) {
    const struct sandbox *sandbox = helper->sandbox;
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
        if (sandbox->joined[kind] && kind != NAMESPACE_USER) {
            int error = join(sandbox, (enum namespace_kind)kind, fault);
            if (error)
                return error;
        }
    int error = join(sandbox, NAMESPACE_USER, fault);
    for (int kind = 0; kind < NAMESPACE_KINDS && !error; kind++)
        if (!sandbox->joined[kind] && kind != NAMESPACE_USER)
            error = join(sandbox, (enum namespace_kind)kind, fault);
    return error;
}

/* Those of the running main process, by its pidfd (5.8). */
static int join_main(struct helper *helper, struct fault *fault) {
    const struct sandbox *sandbox = helper->sandbox;
    unsigned others = 0, own = 0;
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        if (sandbox->modes[kind] == NAMESPACE_HOST)
            continue;
        if (sandbox->joined[kind] && kind != NAMESPACE_USER)
            others |= namespace_flags[kind];
        else
            own |= namespace_flags[kind];
    }
    if ((others && setns(helper->main, (int)others) < 0) ||
        (own && setns(helper->main, (int)own) < 0))
        return errno == ESRCH ? fault_say(fault, -ESRCH, "the main process has ended")
                              : fault_set(fault, errno, "cannot join the main process");
    return 0;
}

static int helper_join(struct helper *helper, struct fault *fault) {
    return is_beside(helper->request->place) ? join_main(helper, fault) : join_held(helper, fault);
}

/* Root of the unit's user namespace, in its mount namespace: no path leads out of it. */
static int helper_look(struct helper *helper, struct fault *fault) {
    struct report report = {.kind = REPORT_FOUND};
    struct stat status;
    if (!helper->request->file)
        return 0;
    if (stat(helper->request->file, &status) < 0)
        return fault_set(fault, errno, "\"%s\"", helper->request->file);
    report_send(helper->report, &report);
    _exit(0);
}

/* The payload is the manager's child, not the helper's. */
static int helper_clone(struct helper *helper, struct fault *fault) {
    const struct sandbox *sandbox = helper->sandbox;
    int pidfd = -EBADF;
    uint64_t flags = CLONE_PARENT | CLONE_PIDFD;
    if (!is_beside(helper->request->place)) {
        if (sandbox->modes[NAMESPACE_PID] == NAMESPACE_PRIVATE)
            flags |= CLONE_NEWPID;
        if (helper->stage.own_mounts)
            flags |= CLONE_NEWNS;
    }
    struct clone_args arguments = {.flags = flags, .pidfd = (uint64_t)(uintptr_t)&pidfd};
    pid_t pid = process_clone(&arguments);
    if (pid < 0)
        return fault_set(fault, pid, "cannot start the process");
    if (pid == 0)
        stage_run(&helper->stage);
    struct report report = {.kind = REPORT_PROCESS,
                            .value = (uint32_t)pid,
                            .descriptors = {pidfd},
                            .descriptor_count = 1};
    report_send(helper->report, &report);
    return 0;
}

static const struct step {
    const char *name;
    int (*run)(struct helper *helper, struct fault *fault);
} steps[] = {
    {"descriptors", helper_close}, {"helper", helper_prepare}, {"limits", helper_limit},
    {"namespaces", helper_join},   {"file", helper_look},      {"process", helper_clone},
};

static _Noreturn void helper_run(struct helper *helper) {
    struct fault fault = {0};
    for (size_t i = 0; i < ELEMENTS(steps); i++) {
        int error = steps[i].run(helper, &fault);
        if (error) {
            report_send_fault(helper->report, steps[i].name, error, 0, &fault);
            _exit(1);
        }
    }
    _exit(0);
}

/* ---- the manager's side ---- */

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
    bool fresh = !is_beside(request->place);
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

static const enum cgroup_part cgroup_parts[] = {
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
        cgroup_open_birthplace(sandbox->cgroup, cgroup_parts[request->place], fault);
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

/* Its image, and a pipe for how the program ended. */
static int prepare_init(struct sandbox *sandbox, int *ret_status, int *ret_init_status,
                        struct fault *fault) {
    int ends[2];
    if (sandbox->modes[NAMESPACE_PID] != NAMESPACE_PRIVATE)
        return fault_say(fault, -EINVAL,
                         "an init is PID 1 of a pid namespace of its own, and there is none");
    int error = init_open(&sandbox->runtime->init, fault);
    if (error)
        return error;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return fault_set(fault, errno, "cannot make the channel of an init");
    *ret_status = ends[0];
    *ret_init_status = ends[1];
    return 0;
}

int run_start(struct sandbox *sandbox, const struct run_request *request, const struct run *main,
              struct run **ret_run, struct fault *fault) {
    scoped_fd int status = -1, init_status = -1;
    int error = 0;
    bool beside = is_beside(request->place);
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
    if (beside && (!main || main->pidfd < 0))
        return fault_say(fault, -ESRCH, "the unit has no main process");
    scoped(run_free) struct run *run = calloc(1, sizeof *run);
    if (!run)
        return fault_set(fault, ENOMEM, "cannot start a run");
    run->sandbox = sandbox;
    run->place = request->place;
    run->report = run->pidfd = run->program_pidfd = run->terminal = -EBADF;
    run->has_init = wants_init(sandbox, request);
    error = start_helper(sandbox, request, beside ? main->pidfd : -EBADF, init_status, &run->report,
                         fault);
    if (error)
        return error;
    run->status = take_fd(&status);
    *ret_run = take(run);
    return 0;
}

int run_report_fd(const struct run *run) {
    return run->report;
}

/* It told its number as its own namespace counts; the descriptor tells ours. */
static void keep_program(struct run *run, const struct report *report) {
    scoped_free char *info = NULL;
    char path[48];
    if (report->descriptor_count != 1)
        return;
    run->program_pidfd = report->descriptors[0];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", run->program_pidfd);
    int pid = 0;
    if (file_read(AT_FDCWD, path, 4096, &info, NULL, NULL) == 0) {
        const char *line = strstr(info, "\nPid:");
        if (line && sscanf(line, "\nPid:%d", &pid) == 1 && pid > 0)
            run->program = pid;
    }
}

static void keep_process(struct run *run, const struct report *report) {
    if (report->descriptor_count != 1)
        return;
    run->pid = (pid_t)report->value;
    run->pidfd = report->descriptors[0];
    if (run->place != RUN_MAIN)
        return;
    close_fd(run->sandbox->main_pidfd);
    run->sandbox->main_pid = run->pid;
    run->sandbox->main_pidfd = fcntl(run->pidfd, F_DUPFD_CLOEXEC, 0);
}

static void keep_terminal(struct run *run, const struct report *report) {
    if (report->descriptor_count == 1 && run->terminal < 0)
        run->terminal = report->descriptors[0];
}

/* Helper and payload both hold the channel: its end comes when the one is gone and the other has
 * executed, or both are gone. */
static int conclude(struct run *run, struct fault *fault) {
    run->report = close_fd(run->report);
    if (run->failure.kind == REPORT_FAULT && run->failure.error) {
        fault_say(fault, run->failure.error, "%s", run->failure.text);
        return run->failure.value == STAGE_EXECUTING ? run->failure.error : -ECANCELED;
    }
    if (run->found)
        return RUN_EXECUTED;
    if (run->pid == 0) {
        cgroup_renew(run->sandbox->cgroup);
        return fault_say(fault, -ECANCELED, "process: the helper that starts it was killed");
    }
    return RUN_EXECUTED;
}

int run_advance(struct run *run, struct fault *fault) {
    for (;;) {
        struct report report;
        int got = report_receive(run->report, &report);
        if (got == -EAGAIN)
            return RUN_PREPARING;
        if (got <= 0)
            return conclude(run, fault);
        if (report.kind == REPORT_PROCESS)
            keep_process(run, &report);
        else if (report.kind == REPORT_PROGRAM)
            keep_program(run, &report);
        else if (report.kind == REPORT_FOUND)
            run->found = true;
        else if (report.kind == REPORT_TERMINAL)
            keep_terminal(run, &report);
        else if (report.kind == REPORT_FAULT)
            run->failure = report;
    }
}

pid_t run_pid(const struct run *run) {
    return run->pid;
}

int run_pidfd(const struct run *run) {
    return run->pidfd;
}

pid_t run_program_pid(const struct run *run) {
    return run->has_init ? run->program : run->pid;
}

int run_status_fd(const struct run *run) {
    return run->status;
}

int run_program_ended(struct run *run, int *ret_wait_status) {
    int wait_status;
    if (!run->program_ended && run->status >= 0 &&
        read(run->status, &wait_status, sizeof wait_status) == (ssize_t)sizeof wait_status) {
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
