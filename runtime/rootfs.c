/* The unit's root, put together in the build helper's mount namespace: the host's own, a directory,
 * or layers under an overlay. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "runtime/build.h"
#include "runtime/hostroot.h"
#include "runtime/image.h"
#include "runtime/path.h"
#include "runtime/private.h"
#include "runtime/tree.h"
#include "units/base/fault.h"

#define UPPER "upper"
#define WORK "work"
#define LAYERS_MOST 500 /* the kernel's OVL_MAX_STACK */

/* A directory of the scratch file system; returns an O_PATH descriptor. */
static int scratch_directory(const struct build *build, const char *name, struct fault *fault) {
    if (mkdirat(build->scratch, name, 0700) < 0)
        return fault_set(fault, errno, "cannot make directory \"%s\"", name);
    int fd = openat(build->scratch, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? fault_set(fault, errno, "cannot open directory \"%s\"", name) : fd;
}

static int scratch_make(struct build *build, struct fault *fault) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", build->runtime->runtime_directory, SCRATCH_DIRECTORY);
    scoped_fd int place = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", path);
    scoped_fd int tree =
        tree_new("tmpfs", "mode=0700", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, fault);
    if (tree < 0)
        return tree;
    int error = tree_attach(tree, place, "the scratch file system", fault);
    if (error)
        return error;
    build->scratch = take_fd(&tree);
    return 0;
}

/* The ids of a detached mount become the unit's. Where its file system cannot do that, a root that
 * is only read is taken as it is, which a note says. */
static int map_ids(struct build *build, int tree, const char *path, struct fault *fault) {
    if (build->user < 0 || build->ids.base == 0)
        return 0;
    int error = tree_map_ids(tree, build->user);
    if (error == -EOPNOTSUPP && build->container->rootfs.readonly) {
        build_note(build,
                   "the file system of \"%s\" cannot map ids: its files show as owned by "
                   "nobody, and only what everybody may read can be read",
                   path);
        return 0;
    }
    if (error == -EOPNOTSUPP)
        return fault_say(fault, error,
                         "the file system of \"%s\" cannot map ids: make the root read-only, "
                         "or use the host's user namespace",
                         path);
    return error ? fault_set(fault, error, "cannot map the ids of \"%s\"", path) : 0;
}

/* A directory, or a file that holds a file system: a detached mount whose ids are the unit's. */
static int open_layer(struct build *build, const char *path, struct fault *fault) {
    struct stat status;
    if (stat(path, &status) < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", path);
    scoped_fd int tree = S_ISDIR(status.st_mode)
                             ? tree_clone(AT_FDCWD, path, false, MOUNT_ATTR_NODEV, fault)
                             : image_mount(path, fault);
    if (tree < 0)
        return tree;
    int error = map_ids(build, tree, path, fault);
    return error ? error : take_fd(&tree);
}

/* ---- layers ---- */

/* Each layer is attached before the overlay takes it: a detached id-mapped one is EINVAL on 6.1
 * and EPERM on 6.18. */
static int attach_layers(struct build *build, struct fault *fault) {
    const struct strings *layers = &build->container->rootfs.layers;
    for (size_t i = 0; i < layers->count; i++) {
        char name[24];
        snprintf(name, sizeof name, "%zu", i);
        scoped_fd int tree = open_layer(build, layers->items[i], fault);
        if (tree < 0)
            return tree;
        scoped_fd int place = scratch_directory(build, name, fault);
        if (place < 0)
            return place;
        int error = tree_attach(tree, place, layers->items[i], fault);
        if (error)
            return error;
    }
    return 0;
}

/* A new directory of the upper's file system, owned by the unit's root. */
static int make_owned(const struct build *build, int directory, const char *name, mode_t mode,
                      struct fault *fault) {
    uid_t owner = build_host_id(build, 0);
    if (mkdirat(directory, name, mode) < 0) {
        if (errno == EEXIST)
            return 0;
        return fault_set(fault, errno, "cannot make directory \"%s\" of the upper layer", name);
    }
    if (fchownat(directory, name, owner, owner, AT_SYMLINK_NOFOLLOW) < 0)
        return fault_set(fault, errno, "cannot give \"%s\" to the unit's root", name);
    return 0;
}

/* The lowest layer's root decides how the merged root looks when the upper one is new. */
static mode_t root_mode(const struct build *build) {
    struct stat status;
    return fstatat(build->scratch, "0", &status, 0) == 0 ? status.st_mode & 07777 : 0755;
}

/* The directory that holds upper and work, as a mount: a tmpfs, or one of the state directory that
 * only the host's root may enter (a set-uid file copied up must be out of everybody's reach). */
static int open_upper(struct build *build, struct fault *fault) {
    const struct rootfs *rootfs = &build->container->rootfs;
    if (rootfs->upper == UPPER_VOLATILE) {
        char options[64];
        snprintf(options, sizeof options, "mode=0700,size=%llu",
                 (unsigned long long)rootfs->upper_size);
        return tree_new("tmpfs", options, MOUNT_ATTR_NODEV, fault);
    }
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/uppers/%s", build->runtime->state_directory,
             build->container->name);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return fault_set(fault, errno, "cannot make directory \"%s\"", path);
    return tree_clone(AT_FDCWD, path, false, MOUNT_ATTR_NODEV, fault);
}

static int attach_upper(struct build *build, struct fault *fault) {
    scoped_fd int place = scratch_directory(build, "u", fault);
    if (place < 0)
        return place;
    scoped_fd int tree = open_upper(build, fault);
    if (tree < 0)
        return tree;
    int error = tree_attach(tree, place, "the upper layer", fault);
    if (!error)
        error = make_owned(build, tree, UPPER, root_mode(build), fault);
    if (!error && mkdirat(tree, WORK, 0700) < 0 && errno != EEXIST)
        error = fault_set(fault, errno, "cannot make the work directory of the upper layer");
    return error;
}

/* mount(2) with names relative to the scratch directory: fsconfig(2) takes at most 255 bytes for a
 * value, and had no way to add one lower directory at a time before 6.7. */
static int mount_overlay(struct build *build, bool upper, struct fault *fault) {
    scoped_text struct text options = {0};
    text_add(&options, "index=off,metacopy=off,lowerdir=");
    for (size_t i = build->container->rootfs.layers.count; i-- > 0;)
        text_format(&options, i ? "%zu:" : "%zu", i);
    if (upper)
        text_add(&options, ",upperdir=u/" UPPER ",workdir=u/" WORK);
    if (options.failed)
        return fault_set(fault, ENOMEM, "cannot mount the layers");
    if (fchdir(build->scratch) < 0)
        return fault_set(fault, errno, "cannot enter the scratch file system");
    if (mount("overlay", "root", "overlay", MS_NODEV | (upper ? 0 : MS_RDONLY), options.data) < 0)
        return fault_set(fault, errno, "cannot mount an overlay of %zu layers%s",
                         build->container->rootfs.layers.count, upper ? " and an upper one" : "");
    return 0;
}

/* A lone layer without an upper one is no overlay: the kernel wants two. */
static int single_layer(struct build *build, struct fault *fault) {
    scoped_fd int layer = openat(build->scratch, "0", O_PATH | O_DIRECTORY | O_CLOEXEC);
    scoped_fd int root = openat(build->scratch, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    scoped_fd int tree = tree_clone(layer, "", false, MOUNT_ATTR_RDONLY, fault);
    return tree < 0 ? tree : tree_attach(tree, root, "the layer", fault);
}

static int assemble_layers(struct build *build, struct fault *fault) {
    const struct rootfs *rootfs = &build->container->rootfs;
    bool upper = rootfs->upper != UPPER_NONE;
    if (rootfs->layers.count > LAYERS_MOST)
        return fault_say(fault, -E2BIG, "%zu layers, the kernel takes at most %d",
                         rootfs->layers.count, LAYERS_MOST);
    int error = attach_layers(build, fault);
    if (!error && upper)
        error = attach_upper(build, fault);
    if (error)
        return error;
    build->extendable = upper;
    build->seal_root = upper && rootfs->readonly;
    if (!upper && rootfs->layers.count == 1)
        return single_layer(build, fault);
    return mount_overlay(build, upper, fault);
}

/* ---- a directory ---- */

static bool is_accepted(const struct security *security, const char *finding) {
    for (size_t i = 0; i < security->accept.count; i++)
        if (strcmp(security->accept.items[i], finding) == 0)
            return true;
    return false;
}

/* Whether others than the host's root may enter it, and all that leads to it. */
static bool is_open_to_all(const char *directory) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", directory);
    for (;;) {
        struct stat status;
        if (stat(path, &status) == 0 && !(status.st_mode & S_IXOTH))
            return false;
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
            return true;
        *slash = '\0';
    }
}

/* On disk the unit's root is the host's: what it makes set-user-id there is so for everybody, and
 * no mount of ours can change what others see. */
static int check_reach(const struct build *build, const char *path, struct fault *fault) {
    if (build->ids.count == 0 || !is_open_to_all(path))
        return 0;
    if (!is_accepted(&build->container->security, FINDING_OPEN_ROOT))
        return fault_say(fault, -EPERM,
                         "every user of this host can enter \"%s\", where the unit can make a "
                         "program that runs as the host's root: keep it below a directory of mode "
                         "0700, or make it read-only",
                         path);
    build_note(build,
               "every user of this host can enter \"%s\", where the unit can make a program that "
               "runs as the host's root (accepted)",
               path);
    return 0;
}

static int assemble_directory(struct build *build, struct fault *fault) {
    const struct rootfs *rootfs = &build->container->rootfs;
    struct stat status;
    if (stat(rootfs->path, &status) == 0 && !S_ISDIR(status.st_mode))
        return fault_say(fault, -ENOTDIR, "\"%s\" is not a directory", rootfs->path);
    scoped_fd int tree = open_layer(build, rootfs->path, fault);
    if (tree < 0)
        return tree;
    int error = rootfs->readonly ? tree_restrict(tree, MOUNT_ATTR_RDONLY, fault) : 0;
    if (error)
        return error;
    build->extendable = !rootfs->readonly;
    error = rootfs->readonly ? 0 : check_reach(build, rootfs->path, fault);
    if (error)
        return error;
    scoped_fd int place = openat(build->scratch, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return tree_attach(tree, place, rootfs->path, fault);
}

/* ---- the three ---- */

int rootfs_assemble(struct build *build, struct fault *fault) {
    const struct rootfs *rootfs = &build->container->rootfs;
    int error = scratch_make(build, fault);
    if (error)
        return error;
    scoped_fd int place = scratch_directory(build, "root", fault);
    if (place < 0)
        return place;
    if (rootfs->layers.count)
        error = assemble_layers(build, fault);
    else if (rootfs->path)
        error = assemble_directory(build, fault);
    else
        error = hostroot_assemble(build, place, fault);
    if (error)
        return error;
    build->root = openat(build->scratch, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (build->root < 0)
        return fault_set(fault, errno, "cannot open the root");
    return 0;
}

int rootfs_seal(struct build *build, struct fault *fault) {
    return build->seal_root ? tree_restrict(build->root, MOUNT_ATTR_RDONLY, fault) : 0;
}

/* Where "/" is the initramfs itself, pivot_root(2) is EINVAL: the root is moved over it instead.
 * What lies beneath stays out of reach, since the unit's copies of these mounts are locked. */
static int move_root(struct fault *fault) {
    if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
        return fault_set(fault, errno, "cannot move the root to \"/\"");
    if (chroot(".") < 0)
        return fault_set(fault, errno, "cannot change to the root");
    return 0;
}

int rootfs_enter(struct build *build, struct fault *fault) {
    if (fchdir(build->root) < 0)
        return fault_set(fault, errno, "cannot enter the root");
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        /* The old root now lies on top of the new one. */
        if (umount2(".", MNT_DETACH) < 0)
            return fault_set(fault, errno, "cannot let the host's root go");
    } else if (errno == EINVAL) {
        int error = move_root(fault);
        if (error)
            return error;
    } else {
        return fault_set(fault, errno, "cannot change the root");
    }
    if (chdir("/") < 0)
        return fault_set(fault, errno, "cannot enter \"/\"");
    return 0;
}
