/* The build's helper: an array of named steps, from the host's namespaces into the unit's. */

#include "runtime/build.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "runtime/devices.h"
#include "runtime/private.h"
#include "runtime/procfs.h"
#include "runtime/report.h"
#include "runtime/streams.h"
#include "runtime/tree.h"
#include "units/base/fault.h"

uid_t build_host_id(const struct build *build, uid_t id) {
    return id < build->ids.count ? build->ids.base + id : build->ids.count ? build->ids.base : id;
}

void build_note(const struct build *build, const char *format, ...) {
    struct report report = {.kind = REPORT_NOTE};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report.text, sizeof report.text, format, arguments);
    va_end(arguments);
    report_send(build->report, &report);
}

static bool has_own_root(const struct build *build) {
    return build->modes[NAMESPACE_MOUNT] == NAMESPACE_PRIVATE;
}

/* ---- steps ---- */

/* Of the manager's descriptors those that the build is about: where it hangs, on a file system that
 * does not answer, it holds nothing that others wait for. */
static int close_others(struct build *build, struct fault *fault) {
    int kept[NAMESPACE_KINDS + 3];
    memcpy(kept, build->joined, sizeof build->joined);
    kept[NAMESPACE_KINDS] = build->ipc_mounts;
    kept[NAMESPACE_KINDS + 1] = build->report;
    kept[NAMESPACE_KINDS + 2] = build->notify;
    return streams_keep(STDERR_FILENO + 1, kept, ELEMENTS(kept), fault);
}

/* Nothing inside may reach the manager's executable through this process: it is not dumpable, as
 * the manager it was cloned from is not (prctl(2)), but a kernel may have been told otherwise. */
static int prepare(struct build *build, struct fault *fault) {
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return fault_set(fault, errno, "cannot become undumpable");
    umask(0);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fault_set(fault, errno, "cannot make the mount namespace private");
    build->proc = procfs_new(fault);
    if (build->proc < 0)
        return build->proc;
    scoped_fd int null = devices_open_null(O_PATH, fault);
    if (null < 0)
        return null;
    build->null = tree_clone(null, "", false, 0, fault);
    return build->null < 0 ? build->null : 0;
}

static int make_user_namespace(struct build *build, struct fault *fault) {
    switch (build->modes[NAMESPACE_USER]) {
    case NAMESPACE_PRIVATE:
    case NAMESPACE_RANGE:
        build->user = userns_make(build->proc, build->ids, fault);
        return build->user < 0 ? build->user : 0;
    case NAMESPACE_PATH:
        build->user = build->joined[NAMESPACE_USER];
        return userns_range(build->proc, build->user, &build->ids, fault);
    case NAMESPACE_UNIT:
        build->user = build->joined[NAMESPACE_USER];
        return 0;
    default:
        return 0;
    }
}

/* Before the user namespace is entered: from inside it, others' namespaces cannot be joined. */
static int join_others(struct build *build, struct fault *fault) {
    static const enum namespace_kind kinds[] = {NAMESPACE_NETWORK, NAMESPACE_IPC, NAMESPACE_UTS,
                                                NAMESPACE_CGROUP};
    for (size_t i = 0; i < ELEMENTS(kinds); i++)
        if (build->joined[kinds[i]] >= 0 &&
            setns(build->joined[kinds[i]], (int)namespace_flags[kinds[i]]) < 0)
            return fault_set(fault, errno, "cannot join the %s namespace of \"%s\"",
                             namespace_files[kinds[i]],
                             build->container->namespaces.choices[kinds[i]].name);
    return 0;
}

/* What is made from here on belongs to the unit's root, with the power of the host's. */
static int become_owner(struct build *build, struct fault *fault) {
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0)
        return fault_set(fault, errno, "cannot keep capabilities over a change of user");
    uid_t root = build_host_id(build, 0);
    setfsgid(root);
    setfsuid(root);
    return 0;
}

/* "boottime SECONDS NANOSECONDS", the latter never negative (time_namespaces(7)). */
static void print_offset(struct text *text, const char *clock, int64_t offset) {
    int64_t seconds = offset / 1000000, rest = offset % 1000000;
    if (rest < 0) {
        seconds--;
        rest += 1000000;
    }
    text_format(text, "%s %" PRId64 " %" PRId64 "\n", clock, seconds, rest * 1000);
}

/* In one write: the kernel takes no second one. */
static int write_time_offsets(const struct build *build, int fd, struct fault *fault) {
    const struct namespaces *namespaces = &build->container->namespaces;
    scoped_text struct text offsets = {0};
    print_offset(&offsets, "monotonic", namespaces->monotonic_offset);
    print_offset(&offsets, "boottime", namespaces->boot_offset);
    if (offsets.failed || write(fd, offsets.data, offsets.length) < 0)
        return fault_set(fault, offsets.failed ? ENOMEM : errno,
                         "cannot set the offsets of the clocks");
    return 0;
}

static int enter(struct build *build, struct fault *fault) {
    static const enum namespace_kind kinds[] = {NAMESPACE_MOUNT, NAMESPACE_NETWORK, NAMESPACE_IPC,
                                                NAMESPACE_UTS,   NAMESPACE_CGROUP,  NAMESPACE_TIME};
    char path[32];
    snprintf(path, sizeof path, "%d/timens_offsets", getpid());
    /* Opened as the host's root, which the file belongs to. */
    bool own_time = build->modes[NAMESPACE_TIME] == NAMESPACE_PRIVATE;
    scoped_fd int offsets = own_time ? procfs_open(build->proc, path, O_WRONLY) : -EBADF;
    if (own_time && offsets < 0)
        return fault_set(fault, offsets, "cannot open /proc/%s", path);
    if (build->user >= 0 && setns(build->user, CLONE_NEWUSER) < 0)
        return fault_set(fault, errno, "cannot enter the user namespace");
    /* Where the last of a mount namespace goes, the kernel waits for all processors (6.18): that
     * of the helper is held until the helper ends, which nobody waits for. */
    (void)openat(build->proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
    unsigned flags = 0;
    for (size_t i = 0; i < ELEMENTS(kinds); i++)
        if (build->modes[kinds[i]] == NAMESPACE_PRIVATE)
            flags |= namespace_flags[kinds[i]];
    if (unshare((int)flags) < 0)
        return fault_set(fault, errno, "cannot make namespaces");
    return own_time ? write_time_offsets(build, offsets, fault) : 0;
}

/* Descriptors of what was made here, in the order of enum namespace_kind. */
static int hand_over(struct build *build, struct fault *fault) {
    struct report report = {.kind = REPORT_NAMESPACES};
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        enum namespace_mode chosen = build->modes[kind];
        bool made = chosen == NAMESPACE_PRIVATE || chosen == NAMESPACE_RANGE;
        if (!made || kind == NAMESPACE_PID)
            continue;
        int fd = build->user;
        if (kind != NAMESPACE_USER) {
            char path[48];
            snprintf(path, sizeof path, "%d/ns/%s%s", getpid(), namespace_files[kind],
                     kind == NAMESPACE_TIME ? "_for_children" : "");
            fd = openat(build->proc, path, O_RDONLY | O_CLOEXEC);
            if (fd < 0)
                return fault_set(fault, errno, "cannot open /proc/%s", path);
        }
        report.value |= 1u << kind;
        report.descriptors[report.descriptor_count++] = fd;
    }
    int error = report_send(build->report, &report);
    return error ? fault_set(fault, error, "cannot hand over the namespaces") : 0;
}

/* ---- all of them ---- */

static const struct step {
    const char *name;
    int (*run)(struct build *build, struct fault *fault);
    bool own_root; /* only for a unit that has a mount namespace of its own */
} steps[] = {
    {"descriptors", close_others, false},
    {"helper", prepare, false},
    {"user namespace", make_user_namespace, false},
    {"namespaces", join_others, false},
    {"rootfs", rootfs_assemble, true},
    {"rootfs", become_owner, true},
    {"devices", devices_mount, true},
    {"kernel file systems", kernel_mount_references, true},
    {"mounts", mounts_apply, true},
    {"rootfs", rootfs_seal, true},
    {"rootfs", rootfs_enter, true},
    {"namespaces", enter, false},
    {"network", network_apply, false},
    {"kernel file systems", kernel_mount, true},
    {"namespaces", hand_over, false},
};

_Noreturn void build_run(struct build *build) {
    struct fault fault = {0};
    for (size_t i = 0; i < ELEMENTS(steps); i++) {
        if (steps[i].own_root && !has_own_root(build))
            continue;
        int error = steps[i].run(build, &fault);
        if (error) {
            report_send_fault(build->report, steps[i].name, error, 0, &fault);
            _exit(1);
        }
    }
    close(build->report); /* which the manager waits for; to end takes a while */
    _exit(0);
}
