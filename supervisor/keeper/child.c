#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"
#include "units/base/scoped.h"

enum {
    DELAY_LEAST = 100,
    DELAY_MOST = 10000,
    LIFE_THAT_RESETS = 1000,
    EXIT_NOT_RUN = 127 /* as a shell has it */
};

int child_find(struct child *child) {
    char self[PATH_MAX] = "", path[PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = length > 0 ? strrchr(self, '/') : NULL;
    if (slash)
        *slash = '\0';
    const char *const places[] = {self, RINGFENCE_LIBEXEC};
    for (size_t i = slash ? 0 : 1; i < ELEMENTS(places); i++) {
        int written = snprintf(path, sizeof path, "%s/%s", places[i], child->name);
        if ((size_t)written < sizeof child->path && access(path, X_OK) == 0) {
            memcpy(child->path, path, (size_t)written + 1);
            return 0;
        }
    }
    say("cannot find the program %s, neither in \"%s\" nor in \"%s\"", child->name, self,
        RINGFENCE_LIBEXEC);
    return -ENOENT;
}

/* ---- in the child, between fork and exec ---- */

/* What the manager alone gets: all that its predecessor stored. */
static int equip_manager(const struct keeper *keeper) {
    char period[32];
    fcntl(KEEPER_EXITS, F_SETFD, 0);
    fcntl(KEEPER_NAMES, F_SETFD, 0);
    store_hand_over(&keeper->store, true);
    snprintf(period, sizeof period, "%llu", (unsigned long long)keeper->watchdog * 1000);
    int error = setenv("RINGFENCE_KEEPER", "1", 1);
    if (!error && keeper->watchdog)
        error = setenv("RINGFENCE_WATCHDOG_USEC", period, 1);
    return error;
}

/* From a read-only mount of its own, so that nobody who finds it in /proc/PID/exe from within a
 * container can write to the program (CVE-2019-5736). A manager that was not begun so begins itself
 * anew, and its libraries are linked once more. Returns where that cannot be. */
static void exec_sealed(const struct child *child) {
    struct mount_attr sealed = {.attr_set = MOUNT_ATTR_RDONLY};
    long tree = syscall(SYS_open_tree, AT_FDCWD, child->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree >= 0 &&
        syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &sealed, sizeof sealed) == 0)
        syscall(SYS_execveat, tree, "", child->arguments, environ, AT_EMPTY_PATH);
}

/* A session of its own keeps Ctrl-C on the terminal from children: only the keeper is told, and
 * tells them in the right order. The signals that both read stay blocked: what they are told before
 * they read is not lost, nor their death. */
static _Noreturn void become(const struct keeper *keeper, const struct child *child, pid_t parent) {
    sigset_t read;
    signals_restore();
    sigemptyset(&read);
    sigaddset(&read, SIGCHLD);
    sigaddset(&read, SIGTERM);
    sigaddset(&read, SIGINT);
    sigaddset(&read, SIGHUP);
    sigprocmask(SIG_SETMASK, &read, NULL);
    setsid();
    prctl(PR_SET_PDEATHSIG, child->death_signal);
    if (getppid() != parent)
        _exit(EXIT_FAILURE); /* the keeper died before the prctl */
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    int error = setenv("NOTIFY_SOCKET", keeper->address.sun_path, 1);
    if (!error && child == &keeper->manager) {
        error = equip_manager(keeper);
        if (!error)
            exec_sealed(child);
    }
    if (!error)
        execv(child->path, child->arguments);
    say("cannot run \"%s\": %s", child->path, strerror(errno));
    _exit(EXIT_NOT_RUN);
}

/* ---- its life ---- */

/* The next time to try; the delay grows until a life lasted long enough. */
static void schedule(struct child *child) {
    uint64_t lived = now() - child->started;
    if (lived >= LIFE_THAT_RESETS || child->delay == 0)
        child->delay = DELAY_LEAST;
    else
        child->delay = child->delay * 2 < DELAY_MOST ? child->delay * 2 : DELAY_MOST;
    child->due = now() + child->delay;
}

/* Anew for each manager: what it finds there does not change while it lives. */
static int write_names(const struct keeper *keeper) {
    if (ftruncate(KEEPER_NAMES, 0) < 0 || lseek(KEEPER_NAMES, 0, SEEK_SET) < 0)
        return -errno;
    return store_write(&keeper->store, KEEPER_NAMES, "");
}

/* fork(2) that has the kernel note the pid before either of the two goes on: a keeper that crashes
 * right then would start another. */
static int fork_noted(struct keeper *keeper, struct child *child) {
    struct clone_args arguments = {
        .flags = CLONE_PARENT_SETTID, .parent_tid = (uintptr_t)&child->pid, .exit_signal = SIGCHLD};
    pid_t parent = getpid();
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0)
        become(keeper, child, parent);
    return pid < 0 ? -errno : 0;
}

/* Its path was found when the keeper began, and is looked for again where nothing could be run: PID
 * 1 itself does not look at a disk without need, for it might not answer. */
void child_start(struct keeper *keeper, struct child *child) {
    int error = *child->path ? 0 : child_find(child);
    child->started = now();
    child->starts++;
    child->asked = child->killed = false;
    child->limit = NEVER;
    if (!error && child == &keeper->manager)
        error = write_names(keeper);
    if (!error)
        error = fork_noted(keeper, child);
    if (!error)
        return;
    schedule(child);
    say("cannot start %s: %s; trying again in %u ms", child->name, strerror(-error), child->delay);
}

void child_limit(struct child *child, unsigned milliseconds) {
    child->patience = milliseconds;
    child->limit = now() + milliseconds;
}

void child_signal(const struct child *child, int signal) {
    if (child->pid > 0)
        kill(child->pid, signal);
}

void child_ended(struct child *child, int wait_status, bool again) {
    char how[64];
    pid_t pid = child->pid;
    status_describe(wait_status, how, sizeof how);
    child->pid = 0;
    child->limit = NEVER;
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_NOT_RUN)
        *child->path = '\0'; /* it may be elsewhere by now */
    if (again && child->asked) {
        child->due = 0;
    } else if (again) {
        schedule(child);
        say("%s (pid %d) ended by itself: %s; starting it again in %u ms", child->name, (int)pid,
            how, child->delay);
    } else if (wait_status != 0 && !child->killed) {
        say("%s (pid %d) ended: %s", child->name, (int)pid, how);
    }
}
