#include "runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/private.h"
#include "units/base/fault.h"
#include "units/base/file.h"

#define BIRTH_DIRECTORY "birth"
#define PLAIN_NAME "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@-"

pid_t process_clone(struct clone_args *arguments) {
    long pid = syscall(SYS_clone3, arguments, sizeof *arguments);
    return pid < 0 ? -errno : (pid_t)pid;
}

pid_t process_clone_into(const struct runtime *runtime, struct clone_args *arguments, int cgroup) {
    if (!runtime->killed_at_birth) {
        arguments->flags |= CLONE_INTO_CGROUP;
        arguments->cgroup = (unsigned)cgroup;
        return process_clone(arguments);
    }
    pid_t pid = process_clone(arguments);
    if (pid == 0 && cgroup_enter(cgroup, NULL) < 0)
        _exit(1);
    return pid;
}

/* As the manager's own cgroup may have been killed before (a service manager that starts a service
 * again may keep it), a fresh one may be deadly too: see cgroup_open_birthplace. Such a manager
 * moves its helpers, which is slower. */
static int try_birth(struct runtime *runtime, struct fault *fault) {
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    int root = cgroup_root_fd(runtime->cgroups), status = 0;
    /* A leaf: one that hands controllers down takes no process. */
    if (mkdirat(root, BIRTH_DIRECTORY, 0755) < 0 && errno != EEXIST)
        return fault_set(fault, errno, "cannot make cgroup \"%s\"", BIRTH_DIRECTORY);
    scoped_fd int leaf = openat(root, BIRTH_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pid_t pid = leaf < 0 ? -errno : process_clone_into(runtime, &arguments, leaf);
    if (pid == 0)
        _exit(0);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    unlinkat(root, BIRTH_DIRECTORY, AT_REMOVEDIR);
    if (pid < 0)
        return fault_set(fault, pid, "cannot start a process in cgroup \"%s/%s\"",
                         cgroup_root_path(runtime->cgroups), BIRTH_DIRECTORY);
    runtime->killed_at_birth = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    return 0;
}

int name_check(const char *name, struct fault *fault) {
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX || *name == '.' || *name == '-' ||
        strspn(name, PLAIN_NAME) != length)
        return fault_say(fault, -EINVAL, "\"%s\" is no name of a unit or a volume", name);
    return 0;
}

/* A directory of our own, with all that leads to it. */
static int own_directory(const char *path, mode_t mode, char **ret_path, struct fault *fault) {
    if (*path != '/')
        return fault_say(fault, -EINVAL, "\"%s\" is not an absolute path", path);
    int error = directory_make(AT_FDCWD, path, 0755, fault);
    if (error)
        return error;
    scoped_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", path);
    if (status.st_uid != geteuid()) /* who could put things there, and take ours away */
        return fault_say(fault, -EPERM, "\"%s\" belongs to user %u: it must be root's", path,
                         status.st_uid);
    if (fchmod(fd, mode) < 0)
        return fault_set(fault, errno, "cannot set the mode of \"%s\"", path);
    scoped_free char *real = realpath(path, NULL);
    if (!real)
        return fault_set(fault, errno, "cannot resolve \"%s\"", path);
    *ret_path = take(real);
    return 0;
}

/* As they are named from "/", so that they are found in a root that looks the same. */
static int keep_hidden(struct runtime *runtime, const char *const *hidden, struct fault *fault) {
    struct strings *kept = &runtime->hidden;
    size_t count = 0;
    while (hidden && hidden[count])
        count++;
    kept->items = calloc(count + 1, sizeof *kept->items);
    for (; kept->items && kept->count < count; kept->count++) {
        const char *path = hidden[kept->count];
        char *real = realpath(path, NULL); /* one that is not there yet may come later */
        kept->items[kept->count] = real ? real : strdup(path);
        if (!kept->items[kept->count])
            break;
    }
    return kept->items && kept->count == count
               ? 0
               : fault_set(fault, ENOMEM, "cannot open the runtime");
}

static int open_directories(struct runtime *runtime, const struct runtime_options *options,
                            struct fault *fault) {
    char path[PATH_MAX];
    int error = own_directory(options->runtime_directory, 0755, &runtime->runtime_directory, fault);
    if (!error)
        error = own_directory(options->state_directory, 0700, &runtime->state_directory, fault);
    if (error)
        return error;
    snprintf(path, sizeof path, "%s/" SCRATCH_DIRECTORY, runtime->runtime_directory);
    error = directory_make(AT_FDCWD, path, 0700, fault);
    if (error)
        return error;
    static const char *const kept[] = {"uppers", "volumes"};
    for (size_t i = 0; i < ELEMENTS(kept); i++) {
        snprintf(path, sizeof path, "%s/%s", runtime->state_directory, kept[i]);
        error = directory_make(AT_FDCWD, path, 0700, fault);
        if (error)
            return error;
    }
    error = keep_hidden(runtime, options->hidden, fault);
    if (error)
        return error;
    runtime->state = open(runtime->state_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (runtime->state < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", runtime->state_directory);
    return 0;
}

int runtime_open(const struct runtime_options *options, struct runtime **ret_runtime,
                 struct fault *fault) {
    if (geteuid() != 0)
        return fault_say(fault, -EPERM, "containers need root");
    /* Every helper is a clone of this process: born undumpable, neither its memory nor its
     * executable is within reach of what runs inside, not even for a moment. */
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return fault_set(fault, errno, "cannot become undumpable");

    scoped(runtime_close) struct runtime *runtime = calloc(1, sizeof *runtime);
    if (!runtime)
        return fault_set(fault, ENOMEM, "cannot open the runtime");
    list_init(&runtime->sandboxes);
    runtime->state = runtime->init = runtime->device_filter = -EBADF;
    runtime->missing_controllers_warn = options->missing_controllers_warn;
    int error = identity_boot(runtime->boot);
    if (error)
        return fault_set(fault, error, "cannot tell which boot this is");
    error = open_directories(runtime, options, fault);
    if (!error && options->id_range_count)
        error = id_ranges_open(runtime->state, options->id_range_base, options->id_range_count,
                               &runtime->ranges, fault);
    if (!error) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/seccomp", runtime->runtime_directory);
        error = seccomp_cache_open(path, &runtime->filters, fault);
    }
    if (!error)
        error = cgroup_root_open(options->cgroup, &runtime->cgroups, fault);
    if (!error)
        error = try_birth(runtime, fault);
    if (error)
        return error;
    *ret_runtime = take(runtime);
    return 0;
}

void runtime_close(struct runtime *runtime) {
    if (!runtime)
        return;
    if (runtime->cgroups) /* where it could not be removed before */
        unlinkat(cgroup_root_fd(runtime->cgroups), BIRTH_DIRECTORY, AT_REMOVEDIR);
    cgroup_root_close(runtime->cgroups);
    seccomp_cache_close(runtime->filters);
    id_ranges_close(runtime->ranges);
    close_fd(runtime->init);
    close_fd(runtime->device_filter);
    close_fd(runtime->state);
    free(runtime->runtime_directory);
    free(runtime->state_directory);
    for (size_t i = 0; i < runtime->hidden.count; i++)
        free(runtime->hidden.items[i]);
    free(runtime->hidden.items);
    free(runtime);
}

/* ---- after adoption ---- */

/* One that lies at the path or, where that is a slice, in it. */
static bool is_owned(const void *context, const char *path) {
    const struct runtime *runtime = context;
    const struct sandbox *sandbox;
    size_t length = strlen(path);
    list_for_each(sandbox, &runtime->sandboxes, link) {
        const char *own = cgroup_relative(sandbox->cgroup);
        if (strncmp(own, path, length) == 0 && (own[length] == '/' || !own[length]))
            return true;
    }
    return false;
}

static int end_strays(struct sandbox *sandbox, struct fault *fault) {
    static const enum cgroup_part parts[] = {CGROUP_MAIN, CGROUP_AUX, CGROUP_PROBE};
    for (size_t i = 0; i < ELEMENTS(parts) && sandbox->adopted; i++) {
        if (sandbox->occupied[parts[i]] || cgroup_is_populated(sandbox->cgroup, parts[i]) <= 0)
            continue;
        int error = cgroup_kill(sandbox->cgroup, parts[i], fault);
        if (error)
            return error;
    }
    sandbox->adopted = false;
    return 0;
}

int runtime_settle(struct runtime *runtime, struct fault *fault) {
    struct sandbox *sandbox;
    list_for_each(sandbox, &runtime->sandboxes, link) {
        int error = end_strays(sandbox, fault);
        if (error)
            return error;
    }
    return cgroup_root_clean(runtime->cgroups, is_owned, runtime, fault);
}

const char *runtime_cgroup(const struct runtime *runtime) {
    return cgroup_root_path(runtime->cgroups);
}

int runtime_forget_unit(struct runtime *runtime, const char *unit, struct fault *fault) {
    char path[PATH_MAX];
    int error = name_check(unit, fault);
    if (error)
        return error;
    snprintf(path, sizeof path, "uppers/%s", unit);
    error = directory_remove(runtime->state, path, fault);
    /* The range last: what it owns must be gone before another unit gets it. */
    if (!error && runtime->ranges)
        error = id_ranges_give_back(runtime->ranges, unit, fault);
    return error;
}

int runtime_remove_volume(struct runtime *runtime, const char *volume, struct fault *fault) {
    char path[PATH_MAX];
    int error = name_check(volume, fault);
    if (error)
        return error;
    snprintf(path, sizeof path, "volumes/%s", volume);
    return directory_remove(runtime->state, path, fault);
}
