#include "runtime/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "runtime/tree.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"

int procfs_new(struct fault *fault) {
    return tree_new("proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, fault);
}

int procfs_open(int proc, const char *path, int flags) {
    struct statfs status;
    if (fstatfs(proc, &status) < 0)
        return -errno;
    if (status.f_type != PROC_SUPER_MAGIC)
        return -ENODEV;
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
    int fd = (int)syscall(SYS_openat2, proc, path, &how, sizeof how);
    return fd < 0 ? -errno : fd;
}

int procfs_write(int proc, const char *path, const char *value, struct fault *fault) {
    scoped_fd int fd = procfs_open(proc, path, O_WRONLY);
    if (fd < 0)
        return fault_set(fault, fd, "cannot open /proc/%s", path);
    if (write(fd, value, strlen(value)) < 0)
        return fault_set(fault, errno, "cannot write \"%s\" to /proc/%s", value, path);
    return 0;
}
