#include "runtime/hostroot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "runtime/build.h"
#include "runtime/path.h"
#include "runtime/private.h"
#include "runtime/tree.h"
#include "units/base/fault.h"
#include "units/base/mountinfo.h"

#define HOST_ATTRIBUTES (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV)

/* File systems through which the kernel talks, and those that mount on demand. */
static const char *const kernel_types[] = {
    "autofs",  "binfmt_misc", "bpf",        "cgroup",    "cgroup2", "configfs",
    "debugfs", "devpts",      "devtmpfs",   "efivarfs",  "fusectl", "mqueue",
    "proc",    "pstore",      "securityfs", "selinuxfs", "sysfs",   "tracefs",
};

/* Where a unit has its own, or an empty one. */
static const char *const own_places[] = {"/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp"};
static const char *const private_places[] = {"/run", "/tmp", "/var/tmp"};

static bool lies_in_any(const char *path, const char *const *places, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(places[i]);
        if (strncmp(path, places[i], length) == 0 && (path[length] == '/' || !path[length]))
            return true;
    }
    return false;
}

static bool is_kernel_type(const char *type) {
    for (size_t i = 0; i < ELEMENTS(kernel_types); i++)
        if (strcmp(type, kernel_types[i]) == 0)
            return true;
    return false;
}

/* One mount of the host below its root. A place that is gone or hidden by another mount is left
 * out, as is one that the unit has itself. A mount point has no symlinks in it: one that is met
 * was put there meanwhile, by a user who would like his own mount at another place. */
static int attach_mount(int host, int place, const char *path, struct fault *fault) {
    scoped_fd int target = path_open_plain(place, path);
    scoped_fd int source = path_open_plain(host, path);
    if (target < 0 || source < 0)
        return 0;
    scoped_fd int tree = tree_clone(source, "", false, HOST_ATTRIBUTES, fault);
    if (tree == -ENOENT || tree == -EACCES)
        return 0;
    return tree < 0 ? tree : tree_attach(tree, target, path, fault);
}

/* Lines of mountinfo: id parent major:minor root MOUNTPOINT options [tags] - TYPE source options.
 * A mount that another one covers at the same place is the same path twice, one after the other. */
static int attach_mounts(const struct build *build, int place, struct fault *fault) {
    const char *const ours = build->runtime->runtime_directory;
    scoped_fd int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    scoped_file FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (host < 0 || !mounts)
        return fault_set(fault, errno, "cannot read /proc/self/mountinfo");
    scoped_free char *line = NULL;
    scoped_free char *last = NULL;
    size_t size = 0;
    while (getline(&line, &size, mounts) > 0) {
        char *path = NULL, type[64];
        const char *tail = strstr(line, " - ");
        if (!tail || sscanf(tail, " - %63s", type) != 1 ||
            sscanf(line, "%*s %*s %*s %*s %ms", &path) != 1)
            continue;
        mountinfo_unescape(path);
        int error = 0;
        if (strcmp(path, "/") != 0 && !is_kernel_type(type) &&
            !lies_in_any(path, own_places, ELEMENTS(own_places)) && !lies_in_any(path, &ours, 1) &&
            !(last && strcmp(last, path) == 0))
            error = attach_mount(host, place, path, fault);
        free(last);
        last = path;
        if (error)
            return error;
    }
    return 0;
}

/* Over what a symlink leads to, where the path is one. What cannot be covered is not left open. */
static int attach_tmpfs(int root, const char *path, const char *options, uint64_t attributes,
                        struct fault *fault) {
    scoped_fd int target = path_open(root, path, O_PATH | O_DIRECTORY);
    if (target == -ENOENT)
        return 0; /* the host has no such directory, or an outer one is covered */
    if (target < 0)
        return fault_set(fault, target, "cannot cover \"%s\"", path);
    scoped_fd int tree =
        tree_new("tmpfs", options, attributes | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, fault);
    return tree < 0 ? tree : tree_attach(tree, target, path, fault);
}

static int attach_private(const struct build *build, int root, struct fault *fault) {
    for (size_t i = 0; i < ELEMENTS(private_places); i++) {
        char options[96];
        snprintf(options, sizeof options, "mode=%s,size=%llu,uid=%u,gid=%u",
                 strstr(private_places[i], "tmp") ? "1777" : "0755",
                 (unsigned long long)build->container->rootfs.upper_size, build_host_id(build, 0),
                 build_host_id(build, 0));
        int error = attach_tmpfs(root, private_places[i], options, 0, fault);
        if (error)
            return error;
    }
    return 0;
}

static int cover(int root, const char *path, struct fault *fault) {
    return attach_tmpfs(root, path, "mode=0555,nr_inodes=1", MOUNT_ATTR_RDONLY, fault);
}

static int hide_own(const struct build *build, int root, struct fault *fault) {
    const struct runtime *runtime = build->runtime;
    int error = cover(root, runtime->runtime_directory, fault);
    if (!error)
        error = cover(root, runtime->state_directory, fault);
    for (size_t i = 0; i < runtime->hidden.count && !error; i++)
        error = cover(root, runtime->hidden.items[i], fault);
    return error;
}

bool hostroot_is_private(const struct container *container, const char *path) {
    const struct rootfs *rootfs = &container->rootfs;
    return rootfs->layers.count == 0 && !rootfs->path &&
           lies_in_any(path, private_places, ELEMENTS(private_places));
}

int hostroot_assemble(struct build *build, int place, struct fault *fault) {
    scoped_fd int tree = tree_clone(AT_FDCWD, "/", false, HOST_ATTRIBUTES, fault);
    if (tree < 0)
        return tree;
    int error = tree_attach(tree, place, "the host's root", fault);
    if (!error)
        error = attach_mounts(build, tree, fault);
    if (!error)
        error = attach_private(build, tree, fault);
    if (!error)
        error = hide_own(build, tree, fault);
    return error;
}
