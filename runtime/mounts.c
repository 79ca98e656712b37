/* What a unit asks to be mounted in its root: binds, tmpfs, volumes; outer targets first. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "runtime/build.h"
#include "runtime/credentials.h"
#include "runtime/hostroot.h"
#include "runtime/path.h"
#include "runtime/private.h"
#include "runtime/tree.h"
#include "units/base/fault.h"

#define VOLUMES "volumes"

/* One of the two; the other is NULL. */
struct entry {
    const struct mount *mount;
    const struct volume *volume;
    const char *target;
    size_t depth, position; /* names in the target; place in the file */
    bool make;              /* the target, where it is missing */
};

static int compare_entries(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    size_t x = a->depth == b->depth ? a->position : a->depth;
    size_t y = a->depth == b->depth ? b->position : b->depth;
    return x < y ? -1 : x > y;
}

static size_t count_names(const char *path) {
    size_t names = 0;
    for (const char *at = path; *at; at++)
        names += *at != '/' && (at == path || at[-1] == '/');
    return names;
}

/* Ids inside the unit. NULL: the user of its process. */
static int find_owner(const struct build *build, const char *owner, uid_t *ret_uid, gid_t *ret_gid,
                      struct fault *fault) {
    static const struct strings none;
    struct credentials credentials = {0};
    const struct process *process = &build->container->process;
    int error =
        owner ? credentials_owner(build->root, owner, &credentials.uid, &credentials.gid, fault)
              : credentials_resolve(build->root, process->user, process->group, &none, &credentials,
                                    fault);
    if (error)
        return error;
    uint32_t most = credentials.uid > credentials.gid ? credentials.uid : credentials.gid;
    if (build->ids.count && most >= build->ids.count)
        return fault_say(fault, -ERANGE, "owner %u lies beyond the unit's %u ids", most,
                         build->ids.count);
    *ret_uid = credentials.uid;
    *ret_gid = credentials.gid;
    return 0;
}

static uint64_t attributes(bool readonly) {
    return MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (readonly ? MOUNT_ATTR_RDONLY : 0);
}

/* ---- tmpfs ---- */

static mode_t tmpfs_mode(const struct mount *mount) {
    if (mount->mode != MODE_UNSET)
        return mount->mode;
    bool shared = strcmp(mount->target, "/tmp") == 0 || strcmp(mount->target, "/var/tmp") == 0;
    return shared ? 01777 : 0755;
}

static int apply_tmpfs(struct build *build, const struct mount *mount, bool make,
                       struct fault *fault) {
    uid_t uid;
    gid_t gid;
    int error = find_owner(build, mount->owner, &uid, &gid, fault);
    if (error)
        return fault_prefix(fault, error, "\"%s\"", mount->target);
    scoped_fd int target = path_target(build->root, mount->target, PATH_DIRECTORY, make, fault);
    if (target < 0)
        return target;
    char options[128];
    snprintf(options, sizeof options, "mode=%04o,size=%llu,uid=%u,gid=%u", tmpfs_mode(mount),
             (unsigned long long)mount->size, build_host_id(build, uid), build_host_id(build, gid));
    scoped_fd int tree = tree_new("tmpfs", options, attributes(mount->readonly), fault);
    return tree < 0 ? tree : tree_attach(tree, target, mount->target, fault);
}

/* ---- binds ---- */

static int apply_bind(struct build *build, const struct mount *mount, bool make,
                      struct fault *fault) {
    struct stat status;
    if (stat(mount->source, &status) < 0) {
        if (mount->optional && (errno == ENOENT || errno == ENOTDIR))
            return 0;
        return fault_set(fault, errno, "cannot bind \"%s\" to \"%s\"", mount->source,
                         mount->target);
    }
    scoped_fd int tree =
        tree_clone(AT_FDCWD, mount->source, mount->recursive, attributes(mount->readonly), fault);
    if (tree < 0)
        return tree;
    scoped_fd int target =
        path_target(build->root, mount->target,
                    S_ISDIR(status.st_mode) ? PATH_DIRECTORY : PATH_FILE, make, fault);
    if (target < 0)
        return fault_prefix(fault, target, "cannot bind \"%s\"", mount->source);
    return tree_attach(tree, target, mount->target, fault);
}

/* ---- volumes ---- */

/* Made with its owner and mode when it is not there yet; what is there keeps its own. On disk the
 * ids are those inside the unit: another unit may have the volume next, under another range. */
static int make_volume(struct build *build, const struct volume *volume, const char *path,
                       struct fault *fault) {
    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ? 0 : fault_set(fault, errno, "cannot make volume \"%s\"", path);
    uid_t uid;
    gid_t gid;
    int error = find_owner(build, volume->owner, &uid, &gid, fault);
    if (!error && (chown(path, uid, gid) < 0 || chmod(path, volume->mode) < 0))
        error = fault_set(fault, errno, "cannot set the owner and mode of volume \"%s\"", path);
    if (error)
        rmdir(path);
    return error;
}

static int apply_volume(struct build *build, const struct volume *volume, bool make,
                        struct fault *fault) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/" VOLUMES "/%s", build->runtime->state_directory, volume->name);
    int error = make_volume(build, volume, path, fault);
    if (error)
        return error;
    scoped_fd int tree = tree_clone(AT_FDCWD, path, false, attributes(volume->readonly), fault);
    if (tree < 0)
        return tree;
    if (build->user >= 0 && build->ids.base != 0) {
        error = tree_map_ids(tree, build->user);
        if (error == -EOPNOTSUPP)
            return fault_say(fault, error,
                             "the file system of \"%s\" cannot map ids: keep volumes on one that "
                             "can, or use the host's user namespace",
                             path);
        if (error)
            return fault_set(fault, error, "cannot map the ids of \"%s\"", path);
    }
    scoped_fd int target = path_target(build->root, volume->target, PATH_DIRECTORY, make, fault);
    return target < 0 ? target : tree_attach(tree, target, volume->target, fault);
}

/* ---- all ---- */

static bool lies_below(const char *path, const char *directory) {
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && path[length] == '/';
}

/* Nobody else sees what is made in a tmpfs of the unit's own: there it is made under any root.
 * earlier: what is mounted by then, outer targets first. */
static bool can_make(const struct build *build, const struct entry *earlier, size_t count,
                     const char *target) {
    if (build->extendable)
        return true;
    while (count > 0 && !lies_below(target, earlier[count - 1].target))
        count--;
    if (count == 0)
        return hostroot_is_private(build->container, target);
    const struct mount *above = earlier[count - 1].mount;
    return above && above->type == MOUNT_TMPFS && !above->readonly;
}

static int apply_entry(struct build *build, const struct entry *entry, struct fault *fault) {
    if (entry->volume) {
        int error = apply_volume(build, entry->volume, entry->make, fault);
        return error ? fault_prefix(fault, error, "volume \"%s\"", entry->volume->name) : 0;
    }
    switch (entry->mount->type) {
    case MOUNT_BIND:
        return apply_bind(build, entry->mount, entry->make, fault);
    case MOUNT_TMPFS:
        return apply_tmpfs(build, entry->mount, entry->make, fault);
    case MOUNT_OVERLAY:
        break;
    }
    return fault_say(fault, -EOPNOTSUPP, "\"%s\": overlay mounts are not supported by this version",
                     entry->target);
}

int mounts_apply(struct build *build, struct fault *fault) {
    const struct container *container = build->container;
    size_t count = container->mounts.count + container->volumes.count, filled = 0;
    scoped_free struct entry *entries = calloc(count ? count : 1, sizeof *entries);
    if (!entries)
        return fault_set(fault, ENOMEM, "cannot sort the mounts");
    for (size_t i = 0; i < container->mounts.count; i++)
        entries[filled++] = (struct entry){.mount = &container->mounts.items[i],
                                           .target = container->mounts.items[i].target};
    for (size_t i = 0; i < container->volumes.count; i++)
        entries[filled++] = (struct entry){.volume = &container->volumes.items[i],
                                           .target = container->volumes.items[i].target};
    for (size_t i = 0; i < count; i++) {
        entries[i].depth = count_names(entries[i].target);
        entries[i].position = i;
    }
    qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 0; i < count; i++) {
        entries[i].make = can_make(build, entries, i, entries[i].target);
        int error = apply_entry(build, &entries[i], fault);
        if (error)
            return error;
    }
    return 0;
}
