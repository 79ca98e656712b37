#include "runtime/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/capabilities.h"
#include "runtime/credentials.h"
#include "runtime/environment.h"
#include "runtime/masks.h"
#include "runtime/path.h"
#include "runtime/private.h"
#include "runtime/report.h"
#include "runtime/rlimits.h"
#include "runtime/seccomp.h"
#include "runtime/tree.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"

#define EXIT_STEP_FAILED 125
#define PID_SIZE sizeof "WATCHDOG_PID=2147483647"
#define HOME_SIZE (CREDENTIALS_HOME + sizeof "HOME=")

/* What the steps find out for each other. */
struct progress {
    const struct stage *stage;
    struct streams streams;
    pid_t program;         /* in the init: its child, which is the program; else 0 */
    atomic_int *locked_up; /* shared by init and program: the init has no privileges left */
    int root;
    int console; /* a detached mount of the terminal; -EBADF: none */
    struct credentials credentials;
    char home[HOME_SIZE];
    char pids[ENVIRONMENT_PIDS][PID_SIZE];
};

/* ---- steps ---- */

/* The manager blocks signals and ignores some; a program expects neither. */
static int reset_signals(struct progress *progress, struct fault *fault) {
    (void)progress;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* refused for two of them, which cannot be ignored anyway */
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return fault_set(fault, errno, "cannot unblock signals");
    return 0;
}

/* Joining a user namespace does not change who one is: as yet an id that is nobody inside. */
static int become_root_inside(struct progress *progress, struct fault *fault) {
    if (progress->stage->user_private) {
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
            return fault_set(fault, errno, "cannot become root inside");
        /* A change of ids sets it to fs.suid_dumpable, which an administrator may have set to 1. */
        if (prctl(PR_SET_DUMPABLE, 0) < 0)
            return fault_set(fault, errno, "cannot become undumpable");
    }
    progress->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return progress->root < 0 ? fault_set(fault, errno, "cannot open \"/\"") : 0;
}

static int mount_proc(struct progress *progress, struct fault *fault) {
    const struct stage *stage = progress->stage;
    if (!stage->own_mounts)
        return 0;
    if (stage->fresh_proc) {
        scoped_fd int target = path_real_directory(progress->root, "/proc", false, fault);
        if (target < 0)
            return target;
        scoped_fd int tree =
            tree_new("proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, fault);
        int error = tree < 0 ? tree : tree_attach(tree, target, "/proc", fault);
        if (error)
            return error;
    }
    return masks_apply(progress->root, MASKS_PROC, &stage->container->security, stage->null, fault);
}

/* A terminal of the unit's own devpts, so that its name is right inside and the host's are not used
 * up. The other side comes from the master itself and not by a name that the unit could have put
 * there, and is looked at before anything is written to it. */
static int make_terminal(struct progress *progress, struct fault *fault) {
    const struct stage *stage = progress->stage;
    const struct winsize size = {.ws_row = 24, .ws_col = 80}; /* until somebody attaches */
    struct statfs status;
    int locked = 0;
    if (!stage->own_terminal)
        return 0;
    const char *path = stage->own_mounts ? "/dev/pts/ptmx" : "/dev/ptmx";
    scoped_fd int master =
        path_open(progress->root, path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (master < 0)
        return fault_set(fault, master, "cannot open %s", path);
    scoped_fd int terminal = ioctl(master, TIOCSPTLCK, &locked) < 0
                                 ? -EBADF
                                 : ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0)
        return fault_set(fault, errno, "cannot make a terminal of %s", path);
    if (fstatfs(terminal, &status) < 0 || status.f_type != DEVPTS_SUPER_MAGIC)
        return fault_say(fault, -ENOTTY, "what %s makes is no pseudo-terminal", path);
    if (ioctl(terminal, TIOCSWINSZ, &size) < 0)
        return fault_set(fault, errno, "cannot set the size of a terminal");
    if (stage->own_mounts) {
        progress->console = tree_clone(terminal, "", false, 0, fault);
        if (progress->console < 0)
            return progress->console;
    }
    struct report report = {
        .kind = REPORT_TERMINAL, .descriptors = {master}, .descriptor_count = 1};
    int error = report_send(progress->streams.report, &report);
    if (error)
        return fault_set(fault, error, "cannot hand over a terminal");
    for (int i = 0; i < 3; i++)
        progress->streams.standard[i] = terminal;
    take_fd(&terminal);
    return 0;
}

static int place_streams(struct progress *progress, struct fault *fault) {
    return streams_place(&progress->streams, fault);
}

/* Where the unit wants an init, PID 1 becomes that, and the program its child. Both go through the
 * steps that follow: the init is locked up like the program. */
static int divide(struct progress *progress, struct fault *fault) {
    if (progress->stage->init < 0)
        return 0;
    int pidfd = -EBADF;
    progress->locked_up = mmap(NULL, sizeof(*progress->locked_up), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress->locked_up == MAP_FAILED)
        return fault_set(fault, errno, "cannot share memory between program and init");
    struct clone_args arguments = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    pid_t pid = process_clone(&arguments);
    if (pid < 0)
        return fault_set(fault, pid, "cannot start the program beside its init");
    if (pid == 0)
        return 0;
    progress->program = pid;
    struct report report = {.kind = REPORT_PROGRAM, .descriptors = {pidfd}, .descriptor_count = 1};
    int error = report_send(progress->streams.report, &report);
    return error ? fault_set(fault, error, "cannot tell which process the program is") : 0;
}

static int start_session(struct progress *progress, struct fault *fault) {
    if (setsid() < 0)
        return fault_set(fault, errno, "cannot start a session");
    if (!progress->stage->terminal || progress->program)
        return 0;
    int error = streams_take_terminal(fault);
    if (error || progress->console < 0)
        return error;
    scoped_fd int target = path_open(progress->root, "/dev/console", O_PATH | O_NOFOLLOW);
    if (target < 0)
        return fault_set(fault, target, "cannot open /dev/console");
    return tree_attach(progress->console, target, "/dev/console", fault);
}

static int find_user(struct progress *progress, struct fault *fault) {
    const struct stage *stage = progress->stage;
    int error = credentials_resolve(progress->root, stage->user, stage->group,
                                    &stage->container->process.supplementary_groups,
                                    &progress->credentials, fault);
    if (error)
        return error;
    /* As login(1) does, so that a program that is not root may open its /dev/tty anew; the host's
     * devpts, whose group may not be known inside, does not let everybody. */
    if (stage->own_terminal && fchown(STDIN_FILENO, progress->credentials.uid, (gid_t)-1) < 0 &&
        stage->own_mounts)
        return fault_set(fault, errno, "cannot give the terminal to the user");
    if (stage->environment->home) {
        snprintf(progress->home, sizeof progress->home, "HOME=%s", progress->credentials.home);
        *stage->environment->home = progress->home;
    }
    return 0;
}

/* An absolute path from getcwd(2) proves that it lies below the root. */
static int change_directory(struct progress *progress, struct fault *fault) {
    const char *path = progress->stage->working_directory;
    char real[PATH_MAX];
    if (chdir(path) < 0)
        return fault_set(fault, errno, "cannot change to \"%s\"", path);
    if (syscall(SYS_getcwd, real, sizeof real) < 0 || *real != '/')
        return fault_say(fault, -EXDEV, "\"%s\" lies outside of the root", path);
    umask(progress->stage->container->process.umask);
    return 0;
}

static int join_keyring(struct progress *progress, struct fault *fault) {
    if (progress->stage->container->security.keyring == KEYRING_INHERIT)
        return 0;
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
        return fault_set(fault, errno, "cannot make a session keyring");
    return 0;
}

static int finish_streams(struct progress *progress, struct fault *fault) {
    if (!progress->program)
        return streams_finish(&progress->streams, fault);
    const int kept[] = {progress->streams.report, progress->stage->init, progress->stage->status};
    return streams_keep(STDERR_FILENO + 1, kept, ELEMENTS(kept), fault);
}

static int limit_files(struct progress *progress, struct fault *fault) {
    return rlimits_apply_files(&progress->stage->container->process.rlimits, fault);
}

/* What a manager left half done must not go on behind the back of the next one. */
static int follow_manager(struct progress *progress, struct fault *fault) {
    int report = progress->streams.report;
    bool goes = progress->stage->waits ? report_await(report) : report_has_reader(report);
    return goes ? 0 : fault_say(fault, -ECANCELED, "the manager has ended");
}

static int install_filter(struct progress *progress, struct fault *fault) {
    int error = seccomp_install(progress->stage->filter);
    return error ? fault_set(fault, error, "cannot install the system call filter") : 0;
}

/* Without no_new_privs it takes a capability that the next steps drop; with it, it comes last. */
static int install_filter_early(struct progress *progress, struct fault *fault) {
    bool early = !progress->stage->container->security.no_new_privileges;
    return early ? install_filter(progress, fault) : 0;
}

static int install_filter_late(struct progress *progress, struct fault *fault) {
    bool late = progress->stage->container->security.no_new_privileges;
    return late ? install_filter(progress, fault) : 0;
}

static const struct capability_sets *sets_of(const struct progress *progress) {
    return capabilities_for(progress->stage->capabilities, progress->credentials.uid);
}

static int lower_capabilities(struct progress *progress, struct fault *fault) {
    return capabilities_lower(progress->stage->capabilities, sets_of(progress), fault);
}

static int change_user(struct progress *progress, struct fault *fault) {
    return credentials_apply(&progress->credentials, fault);
}

static int apply_capabilities(struct progress *progress, struct fault *fault) {
    int error = capabilities_apply(sets_of(progress), fault);
    if (!error && prctl(PR_SET_DUMPABLE, 0) < 0)
        error = fault_set(fault, errno, "cannot become undumpable");
    return error;
}

static int forbid_privileges(struct progress *progress, struct fault *fault) {
    if (!progress->stage->container->security.no_new_privileges)
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fault_set(fault, errno, "cannot give up new privileges");
    return 0;
}

/* What sd_listen_fds(3) and sd_watchdog_enabled(3) compare with getpid(2): in a pid namespace of
 * its own, 1, or its init's first child. */
static int name_pid(struct progress *progress, struct fault *fault) {
    (void)fault;
    for (size_t i = 0; i < ENVIRONMENT_PIDS; i++) {
        char **place = progress->stage->environment->pids[i];
        if (!place)
            continue;
        snprintf(progress->pids[i], PID_SIZE, "%s%d", *place, getpid());
        *place = progress->pids[i];
    }
    return 0;
}

/* ---- execve ---- */

static const char *search_path(char *const *environment) {
    for (; *environment; environment++)
        if (strncmp(*environment, "PATH=", strlen("PATH=")) == 0)
            return *environment + strlen("PATH=");
    return "";
}

static int execution_failed(const char *program, int error, struct fault *fault) {
    if (error == ENOENT && access(program, F_OK) == 0)
        return fault_say(
            fault, -ENOENT,
            "cannot execute \"%s\": the interpreter or loader it asks for is not there", program);
    return fault_set(fault, error, "cannot execute \"%s\"", program);
}

/* As execvp(3): the first place that has it, and EACCES only where no place let it run. */
static int execute_found(const struct stage *stage, const char *name, struct fault *fault) {
    char program[PATH_MAX];
    int kept = ENOENT;
    const char *path = search_path(stage->environment->items);
    while (*path) {
        size_t length = strcspn(path, ":");
        if ((size_t)snprintf(program, sizeof program, "%.*s/%s", (int)length, path, name) <
            sizeof program) {
            execve(program, stage->exec->items, stage->environment->items);
            if (errno == EACCES)
                kept = errno;
            else if (errno != ENOENT && errno != ENOTDIR)
                return execution_failed(program, errno, fault);
        }
        path += length + (path[length] == ':');
    }
    return fault_set(fault, kept, "cannot execute \"%s\", looked for in %s", name,
                     search_path(stage->environment->items));
}

/* The image lies in no file system. The status is the one descriptor that the init keeps. */
static int execute_init(const struct progress *progress, struct fault *fault) {
    const struct stage *stage = progress->stage;
    char program[16], status[16];
    snprintf(program, sizeof program, "%d", progress->program);
    snprintf(status, sizeof status, "%d", stage->status);
    char name[] = "ringfence-init";
    char wait[] = "wait";
    char *const arguments[] = {name, program, status, stage->init_lingers ? wait : NULL, NULL};
    char *const environment[] = {NULL};
    if (fcntl(stage->status, F_SETFD, 0) < 0)
        return fault_set(fault, errno, "cannot keep the channel of the init");
    atomic_store(progress->locked_up, 1);
    syscall(SYS_futex, progress->locked_up, FUTEX_WAKE, 1, NULL, NULL, 0);
    syscall(SYS_execveat, stage->init, "", arguments, environment, AT_EMPTY_PATH);
    return fault_say(fault, -ECANCELED, "cannot execute the init: %s", strerror(errno));
}

static int execute(struct progress *progress, struct fault *fault) {
    const struct stage *stage = progress->stage;
    if (progress->program)
        return execute_init(progress, fault);
    /* The program never meets an init that may do more than it. If the init fails, all ends. */
    while (progress->locked_up && !atomic_load(progress->locked_up))
        syscall(SYS_futex, progress->locked_up, FUTEX_WAIT, 0, NULL, NULL, 0);
    const char *program = stage->exec->items[0];
    if (!strchr(program, '/'))
        return execute_found(stage, program, fault);
    execve(program, stage->exec->items, stage->environment->items);
    return execution_failed(program, errno, fault);
}

/* ---- all of them ---- */

static const struct step {
    const char *name;
    int (*run)(struct progress *progress, struct fault *fault);
} steps[] = {
    {"signals", reset_signals},
    {"user namespace", become_root_inside},
    {"proc", mount_proc},
    {"terminal", make_terminal},
    {"streams", place_streams},
    {"init", divide},
    {"session", start_session},
    {"credentials", find_user},
    {"working directory", change_directory},
    {"keyring", join_keyring},
    {"descriptors", finish_streams},
    {"limits", limit_files},
    {"manager", follow_manager},
    {"seccomp", install_filter_early},
    {"capabilities", lower_capabilities},
    {"credentials", change_user},
    {"capabilities", apply_capabilities},
    {"privileges", forbid_privileges},
    {"seccomp", install_filter_late},
    {"environment", name_pid},
    {"exec", execute},
};

_Noreturn void stage_run(struct stage *stage) {
    struct progress progress = {
        .stage = stage, .streams = stage->streams, .root = -EBADF, .console = stage->console};
    struct fault fault = {0};
    for (size_t i = 0; i < ELEMENTS(steps); i++) {
        int error = steps[i].run(&progress, &fault);
        if (!error)
            continue;
        report_send_fault(progress.streams.report, steps[i].name, error,
                          i + 1 == ELEMENTS(steps) ? STAGE_EXECUTING : 0, &fault);
        break;
    }
    _exit(EXIT_STEP_FAILED);
}
