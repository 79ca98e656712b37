#include "runtime/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/devices.h"
#include "runtime/private.h"
#include "runtime/report.h"
#include "runtime/rlimits.h"
#include "runtime/scheduling.h"
#include "runtime/tree.h"
#include "units/base/fault.h"

#define PAYLOAD_STACK (128 * 1024)

bool helper_is_beside(enum run_place place) {
    return place == RUN_BESIDE || place == RUN_PROBE;
}

/* ---- steps ---- */

/* A mount of the terminal: of a devpts, or a line of the machine itself. */
static int open_console(int terminal, struct fault *fault) {
    if (!isatty(terminal))
        return fault_say(fault, -ENOTTY, "standard input is not a terminal");
    return tree_clone(terminal, "", false, 0, fault);
}

/* Of the manager's descriptors those that the run is about. */
static int close_others(struct helper *helper, struct fault *fault) {
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

/* What a manager left half done must not go on behind the back of the next one. */
static int follow(struct helper *helper, struct fault *fault) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return fault_set(fault, errno, "cannot end with the manager");
    if (!report_has_reader(helper->report))
        return fault_say(fault, -ECANCELED, "the manager has ended");
    return 0;
}

/* What takes the host's view. */
static int prepare(struct helper *helper, struct fault *fault) {
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
        stage->null = tree_clone(null, "", false, 0, fault);
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
static int limit(struct helper *helper, struct fault *fault) {
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

static int join_all(struct helper *helper, struct fault *fault) {
    return helper_is_beside(helper->request->place) ? join_main(helper, fault)
                                                    : join_held(helper, fault);
}

/* Root of the unit's user namespace, in its mount namespace: no path leads out of it. */
static int look(struct helper *helper, struct fault *fault) {
    struct report report = {.kind = REPORT_FOUND};
    struct stat status;
    if (!helper->request->file)
        return 0;
    if (stat(helper->request->file, &status) < 0)
        return fault_set(fault, errno, "\"%s\"", helper->request->file);
    int error = report_send(helper->report, &report);
    if (error)
        return fault_set(fault, error, "cannot tell that \"%s\" is there", helper->request->file);
    _exit(0);
}

/* The first thing it does is to tell who it is: before it has executed the manager knows. */
static int begin_payload(void *argument) {
    struct helper *helper = argument;
    struct fault fault = {0};
    int pidfd = pidfd_open(getpid(), 0);
    int error = pidfd < 0 ? fault_set(&fault, errno, "cannot open the process") : 0;
    struct report report = {.kind = REPORT_PROCESS, .descriptors = {pidfd}, .descriptor_count = 1};
    if (!error && (error = report_send(helper->report, &report)))
        fault_set(&fault, error, "cannot tell which process it is");
    if (error) {
        report_send_fault(helper->report, "process", error, 0, &fault);
        _exit(1);
    }
    close(pidfd);
    stage_run(&helper->stage);
}

/* The payload is the manager's child, not the helper's. Where nobody else is in its pid namespace
 * it has the helper's memory, and the helper sleeps until it has executed: a copy would be made to
 * be thrown away. The manager's own memory is never shared. */
static int clone_payload(struct helper *helper, struct fault *fault) {
    char stack[PAYLOAD_STACK] __attribute__((aligned(16)));
    const struct sandbox *sandbox = helper->sandbox;
    int flags = CLONE_PARENT;
    if (!helper_is_beside(helper->request->place)) {
        if (sandbox->modes[NAMESPACE_PID] == NAMESPACE_PRIVATE)
            flags |= CLONE_NEWPID | CLONE_VM | CLONE_VFORK;
        if (helper->stage.own_mounts)
            flags |= CLONE_NEWNS;
    }
    if (clone(begin_payload, stack + sizeof stack, flags, helper) < 0)
        return fault_set(fault, errno, "cannot start the process");
    return 0;
}

static const struct step {
    const char *name;
    int (*run)(struct helper *helper, struct fault *fault);
} steps[] = {
    {"descriptors", close_others}, {"manager", follow},
    {"helper", prepare},           {"limits", limit},
    {"namespaces", join_all},      {"file", look},
    {"process", clone_payload},
};

/* The unit's limit of the stack is for its program: what is there before is not taken away. */
static void __attribute__((noinline)) reserve_stack(void) {
    volatile char depth[2 * PAYLOAD_STACK];
    (void)(depth[0] = 0);
}

_Noreturn void helper_run(struct helper *helper) {
    struct fault fault = {0};
    reserve_stack();
    for (size_t i = 0; i < ELEMENTS(steps); i++) {
        int error = steps[i].run(helper, &fault);
        if (error) {
            report_send_fault(helper->report, steps[i].name, error, 0, &fault);
            _exit(1);
        }
    }
    close(helper->report); /* which the manager waits for; to end takes a while */
    _exit(0);
}
