#include "runtime/namespaces.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080 /* 5.6 */
#endif

const unsigned namespace_flags[NAMESPACE_KINDS] = {
    [NAMESPACE_USER] = CLONE_NEWUSER,     [NAMESPACE_MOUNT] = CLONE_NEWNS,
    [NAMESPACE_PID] = CLONE_NEWPID,       [NAMESPACE_NETWORK] = CLONE_NEWNET,
    [NAMESPACE_IPC] = CLONE_NEWIPC,       [NAMESPACE_UTS] = CLONE_NEWUTS,
    [NAMESPACE_CGROUP] = CLONE_NEWCGROUP, [NAMESPACE_TIME] = CLONE_NEWTIME,
};

const char *const namespace_files[NAMESPACE_KINDS] = {
    [NAMESPACE_USER] = "user",     [NAMESPACE_MOUNT] = "mnt", [NAMESPACE_PID] = "pid",
    [NAMESPACE_NETWORK] = "net",   [NAMESPACE_IPC] = "ipc",   [NAMESPACE_UTS] = "uts",
    [NAMESPACE_CGROUP] = "cgroup", [NAMESPACE_TIME] = "time",
};
static_assert(NAMESPACE_KINDS == 8, "a namespace without flag and file");

int namespace_check(enum namespace_kind kind, int fd) {
    int type = ioctl(fd, NS_GET_NSTYPE);
    if (type < 0 && errno != ENOTTY)
        return -errno;
    return type >= 0 && (unsigned)type == namespace_flags[kind] ? 0 : -EINVAL;
}

int namespace_open(enum namespace_kind kind, const char *path, struct fault *fault) {
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open %s namespace \"%s\"", namespace_files[kind],
                         path);
    if (namespace_check(kind, fd) < 0)
        return fault_say(fault, -EINVAL, "\"%s\" is no %s namespace", path, namespace_files[kind]);
    return take_fd(&fd);
}

int namespace_identify(int fd, uint64_t *ret_inode) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    *ret_inode = status.st_ino;
    return 0;
}

uint64_t namespace_inode(int fd) {
    uint64_t inode = 0;
    return fd >= 0 && namespace_identify(fd, &inode) == 0 ? inode : 0;
}
