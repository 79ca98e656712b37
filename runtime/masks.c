#include "runtime/masks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "runtime/path.h"
#include "runtime/tree.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"
#include "units/spec.h"

/* What the OCI engines cover: places that tell about the host, or reach it. */
static const char *const hidden_paths[] = {
    "/proc/acpi",        "/proc/asound",        "/proc/interrupts",
    "/proc/kcore",       "/proc/keys",          "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi",          "/proc/timer_list",
    "/proc/timer_stats", "/sys/firmware",       "/sys/devices/virtual/powercap",
    "/sys/kernel/debug", "/sys/kernel/tracing",
};

static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

struct masks {
    int root;
    int null;  /* borrowed */
    int empty; /* made when the first directory is met */
    bool null_attached, empty_attached;
};

/* A detached mount can be attached once; afterwards it is there to be cloned. */
static int attach_again(int source, bool *attached, int target, const char *path,
                        struct fault *fault) {
    if (!*attached) {
        int error = tree_attach(source, target, path, fault);
        *attached = !error;
        return error;
    }
    scoped_fd int tree = tree_clone(source, "", false, 0, fault);
    return tree < 0 ? tree : tree_attach(tree, target, path, fault);
}

static int hide(struct masks *masks, int target, const char *path, struct fault *fault) {
    struct stat status;
    if (fstat(target, &status) < 0)
        return fault_set(fault, errno, "cannot stat \"%s\"", path);
    if (!S_ISDIR(status.st_mode))
        return attach_again(masks->null, &masks->null_attached, target, path, fault);
    if (masks->empty < 0)
        masks->empty = tree_new(
            "tmpfs", "mode=0555,nr_inodes=1",
            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, fault);
    if (masks->empty < 0)
        return masks->empty;
    return attach_again(masks->empty, &masks->empty_attached, target, path, fault);
}

static int freeze(struct masks *masks, int target, const char *path, struct fault *fault) {
    (void)masks;
    scoped_fd int tree = tree_clone(target, "", true, MOUNT_ATTR_RDONLY, fault);
    return tree < 0 ? tree : tree_attach(tree, target, path, fault);
}

typedef int cover(struct masks *masks, int target, const char *path, struct fault *fault);

static int cover_one(struct masks *masks, enum masks_part part, cover *how, const char *path,
                     struct fault *fault) {
    bool in_proc = strncmp(path, "/proc/", strlen("/proc/")) == 0;
    if (in_proc != (part == MASKS_PROC))
        return 0;
    scoped_fd int target = path_open(masks->root, path, O_PATH);
    if (target == -ENOENT || target == -ENOTDIR)
        return 0;
    if (target < 0)
        return fault_set(fault, target, "cannot open \"%s\"", path);
    return how(masks, target, path, fault);
}

static int cover_all(struct masks *masks, enum masks_part part, cover *how,
                     const char *const *fixed, size_t count, const struct strings *own,
                     struct fault *fault) {
    int error = 0;
    for (size_t i = 0; i < count && !error; i++)
        error = cover_one(masks, part, how, fixed[i], fault);
    for (size_t i = 0; i < own->count && !error; i++)
        error = cover_one(masks, part, how, own->items[i], fault);
    return error;
}

int masks_apply(int root, enum masks_part part, const struct security *security, int null,
                struct fault *fault) {
    struct masks masks = {.root = root, .null = null, .empty = -EBADF};
    int error = cover_all(&masks, part, freeze, readonly_paths, ELEMENTS(readonly_paths),
                          &security->readonly_paths, fault);
    if (!error)
        error = cover_all(&masks, part, hide, hidden_paths, ELEMENTS(hidden_paths),
                          &security->masked_paths, fault);
    close_fd(masks.empty);
    return error;
}
