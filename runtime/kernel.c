/* The kernel's own file systems in a unit's root: /proc, /sys, the cgroups, message queues. */

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "runtime/build.h"
#include "runtime/masks.h"
#include "runtime/path.h"
#include "runtime/tree.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"

#define PLAIN (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define PLAIN_READONLY (PLAIN | MOUNT_ATTR_RDONLY)

/* The host's processes, where the unit shares their pid namespace: read-only when its user
 * namespace is its own. Else an instance for the helper's pid namespace, empty once that is gone:
 * a fresh one can only be mounted in a user namespace where one is there already, in full view. */
static int open_proc(struct build *build, struct fault *fault) {
    if (build->modes[NAMESPACE_PID] != NAMESPACE_HOST)
        return fcntl(build->proc, F_DUPFD_CLOEXEC, 0);
    return tree_clone(AT_FDCWD, "/proc", false, build->user >= 0 ? PLAIN_READONLY : PLAIN, fault);
}

/* Consumes the tree. */
static int attach_directory(struct build *build, const char *name, int source,
                            struct fault *fault) {
    scoped_fd int tree = source;
    if (tree < 0)
        return tree;
    scoped_fd int target = path_real_directory(build->root, name, build->extendable, fault);
    return target < 0 ? target : tree_attach(tree, target, name, fault);
}

int kernel_mount_references(struct build *build, struct fault *fault) {
    int error = attach_directory(build, "/proc", open_proc(build, fault), fault);
    if (!error)
        error =
            attach_directory(build, "/sys", tree_new("sysfs", NULL, PLAIN_READONLY, fault), fault);
    if (!error && build->modes[NAMESPACE_IPC] == NAMESPACE_HOST)
        error = attach_directory(
            build, "/dev/mqueue",
            tree_new("mqueue", NULL, build->user >= 0 ? PLAIN_READONLY : PLAIN, fault), fault);
    if (!error && build->modes[NAMESPACE_CGROUP] == NAMESPACE_HOST) {
        build->cgroup = tree_new("cgroup2", NULL, PLAIN_READONLY, fault);
        error = build->cgroup < 0 ? build->cgroup : 0;
    }
    return error;
}

/* Consumes the tree. A place that the kernel does not offer is left out. */
static int attach_if_there(int root, const char *path, int source, struct fault *fault) {
    scoped_fd int tree = source;
    if (tree < 0)
        return tree;
    scoped_fd int target = path_open(root, path, O_PATH | O_DIRECTORY);
    if (target == -ENOENT)
        return 0;
    if (target < 0)
        return fault_set(fault, target, "cannot open \"%s\"", path);
    return tree_attach(tree, target, path, fault);
}

/* Inside all namespaces of the unit. */
int kernel_mount(struct build *build, struct fault *fault) {
    scoped_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fault_set(fault, errno, "cannot open \"/\"");
    int error = 0;
    enum namespace_mode network = build->modes[NAMESPACE_NETWORK];
    if (network == NAMESPACE_PRIVATE || network == NAMESPACE_UNIT)
        error =
            attach_if_there(root, "/sys", tree_new("sysfs", NULL, PLAIN_READONLY, fault), fault);
    if (!error)
        error =
            attach_if_there(root, "/sys/fs/cgroup",
                            build->cgroup >= 0 ? take_fd(&build->cgroup)
                                               : tree_new("cgroup2", NULL, PLAIN_READONLY, fault),
                            fault);
    if (!error && build->modes[NAMESPACE_IPC] != NAMESPACE_HOST)
        error = attach_if_there(root, "/dev/mqueue", tree_new("mqueue", NULL, PLAIN, fault), fault);
    if (!error)
        error = masks_apply(root, MASKS_REST, &build->container->security, build->null, fault);
    return error;
}
