#include "runtime/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "runtime/build.h"
#include "runtime/device-filter.h"
#include "runtime/devices.h"
#include "runtime/limits.h"
#include "runtime/oom.h"
#include "runtime/private.h"
#include "runtime/report.h"
#include "runtime/stats.h"
#include "runtime/tree.h"
#include "units/base/fault.h"
#include "units/base/text.h"

/* ---- namespaces that somebody else made ---- */

/* Another unit's: of its pid namespaces the one that its main process is in now. */
static int borrow(const struct sandbox *owner, enum namespace_kind kind, struct fault *fault) {
    if (kind != NAMESPACE_PID)
        return fcntl(owner->namespaces[kind], F_DUPFD_CLOEXEC, 0);
    if (owner->main_pidfd < 0)
        return fault_say(fault, -ESRCH,
                         "unit \"%s\" does not run: it has no pid namespace to share",
                         owner->container->name);
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/ns/pid", owner->main.pid);
    scoped_fd int fd = namespace_open(kind, path, fault);
    /* Not reaped even now: then the number was its own as it was looked at. */
    if (fd >= 0 && pidfd_send_signal(owner->main_pidfd, 0, NULL, 0) < 0)
        return fault_say(fault, -ESRCH, "unit \"%s\" has ended: its pid namespace went with it",
                         owner->container->name);
    return take_fd(&fd);
}

static bool is_hosts(const struct sandbox *owner, enum namespace_kind kind) {
    return owner->modes[kind] == NAMESPACE_HOST;
}

static int join_unit(struct sandbox *sandbox, enum namespace_kind kind, const struct sandbox *owner,
                     struct fault *fault) {
    const char *name = sandbox->container->namespaces.choices[kind].name;
    if (!owner || !owner->created)
        return fault_say(fault, -ESRCH, "the %s namespace of unit \"%s\" is not there to be shared",
                         namespace_files[kind], name ? name : "");
    if (kind == NAMESPACE_USER)
        sandbox->ids = owner->ids;
    if (is_hosts(owner, kind)) {
        sandbox->modes[kind] = NAMESPACE_HOST;
        return 0;
    }
    sandbox->modes[kind] = NAMESPACE_UNIT;
    int fd = borrow(owner, kind, fault);
    if (fd < 0)
        return fd;
    sandbox->namespaces[kind] = fd;
    sandbox->joined[kind] = true;
    return 0;
}

/* Sharing a unit's network, ipc or pid namespace is sharing its user namespace: the kernel demands
 * it (for a /proc of that pid namespace, too); sharing its mounts is sharing the owners of files.
 */
static const struct sandbox *user_owner(struct sandbox *const joined[NAMESPACE_KINDS],
                                        const struct container *container) {
    static const enum namespace_kind kinds[] = {NAMESPACE_USER, NAMESPACE_NETWORK, NAMESPACE_IPC,
                                                NAMESPACE_PID, NAMESPACE_MOUNT};
    const struct namespace_choice *choices = container->namespaces.choices;
    if (choices[NAMESPACE_USER].mode != NAMESPACE_UNIT &&
        choices[NAMESPACE_USER].mode != NAMESPACE_PRIVATE)
        return NULL;
    for (size_t i = 0; i < ELEMENTS(kinds); i++)
        if (choices[kinds[i]].mode == NAMESPACE_UNIT && joined[kinds[i]])
            return joined[kinds[i]];
    return NULL;
}

static int choose_ids(struct sandbox *sandbox, struct fault *fault) {
    const struct namespace_choice *choice = &sandbox->container->namespaces.choices[NAMESPACE_USER];
    if (sandbox->modes[NAMESPACE_USER] == NAMESPACE_RANGE)
        sandbox->ids = (struct id_range){choice->base, choice->count};
    if (sandbox->modes[NAMESPACE_USER] != NAMESPACE_PRIVATE)
        return 0;
    if (!sandbox->runtime->ranges)
        return fault_say(fault, -ENOSPC, "no host ids are set aside for private user namespaces");
    return id_ranges_take(sandbox->runtime->ranges, sandbox->container->name, &sandbox->ids, fault);
}

static int choose_namespaces(struct sandbox *sandbox, struct sandbox *const joined[NAMESPACE_KINDS],
                             struct fault *fault) {
    const struct container *container = sandbox->container;
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
        sandbox->modes[kind] = container->namespaces.choices[kind].mode;
    const struct sandbox *owner = user_owner(joined, container);
    if (owner)
        sandbox->modes[NAMESPACE_USER] = NAMESPACE_UNIT;
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        int error = 0;
        if (sandbox->modes[kind] == NAMESPACE_UNIT) {
            error = join_unit(sandbox, (enum namespace_kind)kind,
                              kind == NAMESPACE_USER ? owner : joined[kind], fault);
        } else if (sandbox->modes[kind] == NAMESPACE_PATH) {
            int fd = namespace_open((enum namespace_kind)kind,
                                    container->namespaces.choices[kind].name, fault);
            sandbox->namespaces[kind] = fd;
            sandbox->joined[kind] = true;
            error = fd < 0 ? fd : 0;
        } else if (sandbox->modes[kind] == NAMESPACE_BRIDGE) {
            error = fault_say(fault, -EOPNOTSUPP, "bridges are not supported by this version");
        }
        if (error)
            return error;
    }
    return choose_ids(sandbox, fault);
}

/* ---- build ---- */

struct sandbox *sandbox_new(struct runtime *runtime, const struct container *container) {
    struct sandbox *sandbox = calloc(1, sizeof *sandbox);
    if (!sandbox)
        return NULL;
    list_append(&runtime->sandboxes, &sandbox->link);
    sandbox->runtime = runtime;
    sandbox->container = container;
    sandbox->report = sandbox->main_pidfd = -EBADF;
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
        sandbox->namespaces[kind] = -EBADF;
    return sandbox;
}

void sandbox_free(struct sandbox *sandbox) {
    if (!sandbox)
        return;
    list_remove(&sandbox->link);
    cgroup_free(sandbox->cgroup);
    seccomp_unref(sandbox->filter);
    text_free(&sandbox->notes);
    free(sandbox->devices);
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
        close_fd(sandbox->namespaces[kind]);
    close_fd(sandbox->report);
    close_fd(sandbox->main_pidfd);
    free(sandbox);
}

/* One helper, born in the unit's cgroup, which becomes the root of its cgroup namespace. */
static int start_builder(struct sandbox *sandbox, const char *notify_directory, int ipc_mounts,
                         struct fault *fault) {
    scoped_fd int notify = -EBADF;
    if (notify_directory) {
        notify = tree_clone(
            AT_FDCWD, notify_directory, false,
            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, fault);
        if (notify < 0)
            return notify;
    }
    int ends[2];
    int error = report_open(ends, fault);
    if (error)
        return error;
    sandbox->report = ends[0];
    scoped_fd int report = ends[1];
    scoped_fd int cgroup = cgroup_open(sandbox->cgroup, CGROUP_UNIT, fault);
    if (cgroup < 0)
        return cgroup;
    struct clone_args arguments = {.flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD};
    pid_t pid = process_clone_into(sandbox->runtime, &arguments, cgroup);
    if (pid < 0)
        return fault_set(fault, pid, "cannot start the helper that builds");
    if (pid == 0) {
        struct build build = {.runtime = sandbox->runtime,
                              .container = sandbox->container,
                              .ids = sandbox->ids,
                              .devices = sandbox->devices,
                              .user = -EBADF,
                              .ipc_mounts = ipc_mounts,
                              .report = report,
                              .notify = notify,
                              .proc = -EBADF,
                              .null = -EBADF,
                              .cgroup = -EBADF,
                              .scratch = -EBADF,
                              .root = -EBADF};
        memcpy(build.modes, sandbox->modes, sizeof build.modes);
        memcpy(build.joined, sandbox->namespaces, sizeof build.joined);
        build_run(&build);
    }
    return 0;
}

static int check_names(const struct container *container, struct fault *fault) {
    int error = name_check(container->name, fault);
    for (size_t i = 0; i < container->volumes.count && !error; i++)
        error = name_check(container->volumes.items[i].name, fault);
    return error;
}

int sandbox_confine(struct sandbox *sandbox, struct fault *fault) {
    const struct security *security = &sandbox->container->security;
    int error = capabilities_prepare(security, &sandbox->capabilities, fault);
    if (error)
        return fault_prefix(fault, error, "capabilities");
    error = seccomp_get(sandbox->runtime->filters, security, sandbox->capabilities.root.bounding,
                        &sandbox->filter, fault);
    return error ? fault_prefix(fault, error, "seccomp") : 0;
}

static int prepare(struct sandbox *sandbox, struct sandbox *const joined[NAMESPACE_KINDS],
                   struct fault *fault) {
    struct runtime *runtime = sandbox->runtime;
    const struct container *container = sandbox->container;
    int error = check_names(container, fault);
    if (error)
        return fault_prefix(fault, error, "sandbox");
    error = choose_namespaces(sandbox, joined, fault);
    if (error)
        return fault_prefix(fault, error, "namespaces");
    error = devices_find(container, &sandbox->devices, fault);
    if (error)
        return fault_prefix(fault, error, "devices");
    error = sandbox_confine(sandbox, fault);
    if (error)
        return error;
    error = cgroup_make(runtime->cgroups, container->resources.slice, container->name,
                        limits_controllers(&container->resources), &sandbox->cgroup, fault);
    return error ? fault_prefix(fault, error, "cgroup") : 0;
}

static int start(struct sandbox *sandbox, struct sandbox *const joined[NAMESPACE_KINDS],
                 const char *notify_directory, struct fault *fault) {
    struct runtime *runtime = sandbox->runtime;
    bool shares_ipc = sandbox->modes[NAMESPACE_IPC] == NAMESPACE_UNIT;
    int ipc_mounts = shares_ipc ? joined[NAMESPACE_IPC]->namespaces[NAMESPACE_MOUNT] : -EBADF;
    int error = limits_apply(cgroup_fd(sandbox->cgroup), cgroup_root_controllers(runtime->cgroups),
                             &sandbox->container->resources, runtime->missing_controllers_warn,
                             &sandbox->notes, fault);
    if (!error)
        error = cgroup_protect(sandbox->cgroup, fault);
    if (error)
        return fault_prefix(fault, error, "limits");
    error = start_builder(sandbox, notify_directory, ipc_mounts, fault);
    return error ? fault_prefix(fault, error, "sandbox") : 0;
}

int sandbox_build(struct runtime *runtime, const struct container *container,
                  struct sandbox *const joined[NAMESPACE_KINDS], const char *notify_directory,
                  struct sandbox **ret_sandbox, struct fault *fault) {
    scoped(sandbox_free) struct sandbox *sandbox = sandbox_new(runtime, container);
    if (!sandbox)
        return fault_set(fault, ENOMEM, "cannot build a sandbox");
    int error = prepare(sandbox, joined, fault);
    if (error)
        return error;
    error = start(sandbox, joined, notify_directory, fault);
    if (error) {
        if (cgroup_remove(sandbox->cgroup, NULL) == 0)
            sandbox->cgroup = NULL;
        return error;
    }
    *ret_sandbox = take(sandbox);
    return 0;
}

int sandbox_report_fd(const struct sandbox *sandbox) {
    return sandbox->report;
}

static int keep_namespaces(struct sandbox *sandbox, const struct report *report) {
    size_t next = 0;
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        if (!(report->value & 1u << kind))
            continue;
        if (next == report->descriptor_count)
            return -EBADMSG;
        close_fd(sandbox->namespaces[kind]);
        sandbox->namespaces[kind] = report->descriptors[next++];
    }
    sandbox->created = true;
    return 0;
}

/* Whoever was given devices, or has the host's user namespace and a /dev of its own. One that has
 * the host's mounts has the host's devices, as it says. */
static bool needs_device_filter(const struct sandbox *sandbox) {
    return sandbox->container->devices.count > 0 ||
           (sandbox->modes[NAMESPACE_USER] == NAMESPACE_HOST &&
            sandbox->modes[NAMESPACE_MOUNT] != NAMESPACE_HOST);
}

/* Where none was given, and without one of these, no device comes into being but those of our
 * /dev. */
static bool can_have_devices(const struct sandbox *sandbox) {
    uint64_t makers = 1ULL << CAP_MKNOD | 1ULL << CAP_SYS_ADMIN;
    return sandbox->container->devices.count > 0 ||
           (sandbox->capabilities.root.bounding | sandbox->capabilities.other.bounding) & makers;
}

static int attach_device_filter(struct sandbox *sandbox, struct fault *fault) {
    size_t count = sandbox->container->devices.count;
    int *common = &sandbox->runtime->device_filter;
    if (count == 0 && *common < 0)
        *common = device_filter_load(NULL, 0, fault);
    scoped_fd int own = count ? device_filter_load(sandbox->devices, count, fault) : -EBADF;
    int program = count ? own : *common;
    return program < 0 ? program : device_filter_attach(program, cgroup_fd(sandbox->cgroup), fault);
}

/* After the build, whose helper needs devices that the unit does not get. */
static int filter_devices(struct sandbox *sandbox, struct fault *fault) {
    struct fault why = {0};
    int error = needs_device_filter(sandbox) ? attach_device_filter(sandbox, &why) : 0;
    if (error < 0 && can_have_devices(sandbox))
        return fault_say(fault, error, "devices: %s", why.text);
    if (error < 0)
        text_format(&sandbox->notes, "devices are not filtered: %s\n", why.text);
    return 0;
}

int sandbox_advance(struct sandbox *sandbox, struct fault *fault) {
    for (;;) {
        struct report report;
        int got = report_receive(sandbox->report, &report);
        if (got == -EAGAIN)
            return SANDBOX_BUILDING;
        if (got > 0 && report.kind == REPORT_NOTE) {
            text_format(&sandbox->notes, "%s\n", report.text);
            continue;
        }
        if (got > 0 && report.kind == REPORT_NAMESPACES) {
            got = keep_namespaces(sandbox, &report);
            if (got == 0)
                continue;
        }
        if (got == 0 && sandbox->created) {
            sandbox->report = close_fd(sandbox->report);
            int error = filter_devices(sandbox, fault);
            return error ? error : SANDBOX_CREATED;
        }
        if (got > 0 && report.kind == REPORT_FAULT)
            return fault_say(fault, report.error, "%s", report.text);
        return fault_say(fault, -ECHILD, "sandbox: the helper that builds was killed");
    }
}

const char *sandbox_notes(const struct sandbox *sandbox) {
    return sandbox->notes.data ? sandbox->notes.data : "";
}

int sandbox_remove(struct sandbox *sandbox, struct fault *fault) {
    int populated = cgroup_is_populated(sandbox->cgroup, CGROUP_UNIT);
    if (populated > 0) {
        int error = cgroup_kill(sandbox->cgroup, CGROUP_UNIT, fault);
        if (error)
            return error;
    }
    int error = cgroup_remove(sandbox->cgroup, fault);
    if (error)
        return error;
    sandbox->cgroup = NULL;
    sandbox_free(sandbox);
    return 0;
}

/* ---- what goes on in it ---- */

int sandbox_events_fd(const struct sandbox *sandbox) {
    return cgroup_events_fd(sandbox->cgroup);
}

int sandbox_is_populated(struct sandbox *sandbox) {
    return cgroup_is_populated(sandbox->cgroup, CGROUP_MAIN);
}

uint64_t sandbox_oom_kills(struct sandbox *sandbox) {
    return cgroup_oom_kills(sandbox->cgroup);
}

void sandbox_oom_describe(const struct sandbox *sandbox, struct text *text) {
    struct oom_victim victim;
    if (cgroup_oom_victim(sandbox->cgroup, &victim))
        text_format(text, "%s, process %d", victim.name, (int)victim.pid);
}

int sandbox_signal_all(struct sandbox *sandbox, int number, struct fault *fault) {
    /* The init would hand it on to the program, which has it already. */
    pid_t init =
        sandbox->container->process.init && sandbox->main_pidfd >= 0 ? sandbox->main.pid : 0;
    return cgroup_signal_all(sandbox->cgroup, number, init, fault);
}

int sandbox_kill(struct sandbox *sandbox, struct fault *fault) {
    return cgroup_kill(sandbox->cgroup, CGROUP_UNIT, fault);
}

int sandbox_kill_probe(struct sandbox *sandbox, struct fault *fault) {
    if (cgroup_is_populated(sandbox->cgroup, CGROUP_PROBE) <= 0)
        return 0; /* nobody, or none was ever made */
    return cgroup_kill(sandbox->cgroup, CGROUP_PROBE, fault);
}

struct asked {
    int network, family, type;
    bool entered;
    int result; /* a descriptor, or -errno */
};

static int make_socket(void *context) {
    struct asked *asked = context;
    asked->entered = asked->network < 0 || setns(asked->network, CLONE_NEWNET) == 0;
    asked->result =
        asked->entered ? socket(asked->family, asked->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (asked->result < 0)
        asked->result = -errno;
    return 0;
}

/* In a process that shares our memory and descriptors and ends at once: the way back out of the
 * unit's network might be shut (ENOMEM), and there is no going on within it. */
static int make_socket_there(struct asked *asked) {
    char stack[16 * 1024] __attribute__((aligned(16)));
    pid_t pid =
        clone(make_socket, stack + sizeof stack, CLONE_VM | CLONE_FILES | CLONE_VFORK, asked);
    if (pid < 0)
        return -errno;
    while (waitpid(pid, NULL, (int)__WCLONE) < 0 && errno == EINTR)
        ;
    return asked->result;
}

int sandbox_socket(const struct sandbox *sandbox, int family, int type, struct fault *fault) {
    struct asked asked = {sandbox->namespaces[NAMESPACE_NETWORK], family, type, false, -EIO};
    if (asked.network < 0)
        make_socket(&asked);
    else
        asked.result = make_socket_there(&asked);
    if (asked.result >= 0)
        return asked.result;
    return fault_set(fault, asked.result, "cannot %s the network of \"%s\"",
                     asked.entered ? "make a socket in" : "enter", sandbox->container->name);
}

int sandbox_freeze(struct sandbox *sandbox, bool freeze, struct fault *fault) {
    return cgroup_freeze(sandbox->cgroup, freeze, fault);
}

int sandbox_is_frozen(const struct sandbox *sandbox) {
    return cgroup_freezes(sandbox->cgroup);
}

void sandbox_stats(struct sandbox *sandbox, struct sandbox_stats *ret_stats) {
    stats_read(cgroup_fd(sandbox->cgroup), ret_stats);
}

/* ---- facts ---- */

const char *sandbox_cgroup(const struct sandbox *sandbox) {
    return cgroup_path(sandbox->cgroup);
}

/* Each run has a pid namespace and a copy of the mount namespace of its own. */
uint64_t sandbox_namespace_inode(const struct sandbox *sandbox, enum namespace_kind kind) {
    if (sandbox->modes[kind] == NAMESPACE_HOST)
        return 0;
    if ((kind == NAMESPACE_PID || kind == NAMESPACE_MOUNT) && sandbox->main_pidfd >= 0) {
        char path[48];
        snprintf(path, sizeof path, "/proc/%d/ns/%s", sandbox->main.pid, namespace_files[kind]);
        scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            return namespace_inode(fd);
    }
    return namespace_inode(sandbox->namespaces[kind]);
}

bool sandbox_id_range(const struct sandbox *sandbox, uint32_t *ret_base, uint32_t *ret_count) {
    if (sandbox->ids.count == 0)
        return false;
    *ret_base = sandbox->ids.base;
    *ret_count = sandbox->ids.count;
    return true;
}
