#include "runtime/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "runtime/build.h"
#include "runtime/path.h"
#include "runtime/tree.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

#define TTY_GROUP 5      /* the group of terminals, in every distribution's etc/group */
#define DEV_SIZE "65536" /* bytes: nodes and links need none */
#define SHM_SIZE "64M"
#define SHM_ATTRIBUTES (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static const struct node {
    const char *name;
    unsigned major, minor; /* admin-guide/devices.txt of the kernel's documentation */
} nodes[] = {
    {"null", 1, 3},    {"zero", 1, 5}, {"full", 1, 7},    {"random", 1, 8},
    {"urandom", 1, 9}, {"tty", 5, 0},  {"console", 1, 3}, /* a terminal is bound over it */
};

static const struct link {
    const char *name, *text;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
};

static const char *const directories[] = {"pts", "shm", "mqueue", "ringfence"};

int devices_open_null(int flags, struct fault *fault) {
    scoped_fd int fd = open("/dev/null", flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return fault_set(fault, errno, "cannot open /dev/null");
    if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3))
        return fault_say(fault, -ENODEV, "/dev/null of the host is not the null device");
    return take_fd(&fd);
}

int devices_find(const struct container *container, struct device_node **ret_nodes,
                 struct fault *fault) {
    size_t count = container->devices.count;
    scoped_free struct device_node *found = count ? calloc(count, sizeof *found) : NULL;
    if (count && !found)
        return fault_set(fault, ENOMEM, "cannot look for devices");
    for (size_t i = 0; i < count; i++) {
        const struct device *device = &container->devices.items[i];
        struct stat *status = &found[i].status;
        if (strncmp(device->path, "/dev/", strlen("/dev/")) != 0)
            return fault_say(fault, -EINVAL, "\"%s\" is not below /dev", device->path);
        if (stat(device->path, status) < 0)
            return fault_set(fault, errno, "cannot find device \"%s\"", device->path);
        if (!S_ISCHR(status->st_mode) && !S_ISBLK(status->st_mode))
            return fault_say(fault, -ENODEV, "\"%s\" is not a device", device->path);
        found[i].path = device->path;
        found[i].read = strchr(device->access, 'r') != NULL;
        found[i].write = strchr(device->access, 'w') != NULL;
        found[i].make = strchr(device->access, 'm') != NULL;
    }
    *ret_nodes = take(found);
    return 0;
}

/* Those that the unit is given beside, at the same place. */
static int make_given(const struct build *build, int dev, struct fault *fault) {
    for (size_t i = 0; i < build->container->devices.count; i++) {
        const struct device_node *node = &build->devices[i];
        char name[PATH_MAX];
        snprintf(name, sizeof name, "%s", node->path + strlen("/dev/"));
        char *slash = strrchr(name, '/');
        if (slash) {
            *slash = '\0';
            int error = directory_make(dev, name, 0755, fault);
            if (error)
                return fault_prefix(fault, error, "/dev");
            *slash = '/';
        }
        if (mknodat(dev, name, node->status.st_mode, node->status.st_rdev) < 0 ||
            fchownat(dev, name, build_host_id(build, node->status.st_uid),
                     build_host_id(build, node->status.st_gid), AT_SYMLINK_NOFOLLOW) < 0)
            return fault_set(fault, errno, "cannot make \"%s\"", node->path);
    }
    return 0;
}

static int make_entries(int dev, struct fault *fault) {
    for (size_t i = 0; i < ELEMENTS(nodes); i++)
        if (mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) <
            0)
            return fault_set(fault, errno, "cannot make /dev/%s", nodes[i].name);
    for (size_t i = 0; i < ELEMENTS(links); i++)
        if (symlinkat(links[i].text, dev, links[i].name) < 0)
            return fault_set(fault, errno, "cannot make /dev/%s", links[i].name);
    for (size_t i = 0; i < ELEMENTS(directories); i++)
        if (mkdirat(dev, directories[i], 0755) < 0)
            return fault_set(fault, errno, "cannot make /dev/%s", directories[i]);
    return 0;
}

/* Consumes the tree. */
static int attach(int dev, const char *name, int source, struct fault *fault) {
    scoped_fd int tree = source;
    if (tree < 0)
        return tree;
    scoped_fd int target = openat(dev, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0)
        return fault_set(fault, errno, "cannot open /dev/%s", name);
    return tree_attach(tree, target, name, fault);
}

static int attach_terminals(const struct build *build, int dev, struct fault *fault) {
    char options[64];
    snprintf(options, sizeof options, "newinstance,ptmxmode=0666,mode=0620,gid=%u",
             build_host_id(build, TTY_GROUP));
    return attach(dev, "pts",
                  tree_new("devpts", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, fault), fault);
}

/* A clone of /dev/shm as another unit has it, taken from within its mount namespace. */
static int clone_shared_memory(const struct build *build, struct fault *fault) {
    scoped_fd int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (own < 0 || setns(build->ipc_mounts, CLONE_NEWNS) < 0)
        return fault_set(fault, errno, "cannot enter the mounts of the unit whose ipc is shared");
    int tree = tree_clone(AT_FDCWD, "/dev/shm", false, SHM_ATTRIBUTES, fault);
    if (setns(own, CLONE_NEWNS) < 0) {
        close_fd(tree);
        return fault_set(fault, errno, "cannot leave the mounts of another unit");
    }
    return tree;
}

/* Shared memory goes with the ipc namespace: a new one, the host's or the other unit's. */
static int attach_shared_memory(const struct build *build, int dev, struct fault *fault) {
    bool hosts = build->modes[NAMESPACE_IPC] == NAMESPACE_HOST;
    if (!hosts && build->ipc_mounts < 0)
        return attach(dev, "shm",
                      tree_new("tmpfs", "mode=1777,size=" SHM_SIZE, SHM_ATTRIBUTES, fault), fault);
    int tree = hosts ? tree_clone(AT_FDCWD, "/dev/shm", false, SHM_ATTRIBUTES, fault)
                     : clone_shared_memory(build, fault);
    return attach(dev, "shm", tree, fault);
}

/* Mounted here, where root is the host's: a file system of a user namespace honours no nodes. */
int devices_mount(struct build *build, struct fault *fault) {
    scoped_fd int target = path_real_directory(build->root, "/dev", build->extendable, fault);
    if (target < 0)
        return target;
    char options[96];
    snprintf(options, sizeof options, "mode=0755,size=" DEV_SIZE ",uid=%u,gid=%u",
             build_host_id(build, 0), build_host_id(build, 0));
    scoped_fd int dev = tree_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, fault);
    if (dev < 0)
        return dev;
    int error = tree_attach(dev, target, "/dev", fault);
    if (!error)
        error = make_entries(dev, fault);
    if (!error)
        error = make_given(build, dev, fault);
    if (!error)
        error = attach_terminals(build, dev, fault);
    if (!error)
        error = attach_shared_memory(build, dev, fault);
    if (!error && build->notify >= 0)
        error = attach(dev, "ringfence", take_fd(&build->notify), fault);
    return error;
}
