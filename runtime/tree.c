#include "runtime/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

#define OPTIONS_SIZE 256

/* Each option alone: fsconfig(2) takes no list. */
static int configure(int context, const char *type, const char *options, struct fault *fault) {
    char copy[OPTIONS_SIZE];
    if ((size_t)snprintf(copy, sizeof copy, "%s", options ? options : "") >= sizeof copy)
        return fault_set(fault, ENAMETOOLONG, "cannot set the options of a new %s", type);

    char *rest = copy;
    for (char *option; (option = strsep(&rest, ",")) != NULL;) {
        if (!*option)
            continue;
        char *value = strchr(option, '=');
        if (value)
            *value++ = '\0';
        if (fsconfig(context, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option, value, 0) <
            0)
            return fault_set(fault, errno, "cannot set %s%s%s of a new %s", option,
                             value ? "=" : "", value ? value : "", type);
    }
    return 0;
}

int tree_new(const char *type, const char *options, uint64_t attributes, struct fault *fault) {
    scoped_fd int context = fsopen(type, FSOPEN_CLOEXEC);
    if (context < 0)
        return fault_set(fault, errno, "cannot open file system %s", type);
    int error = configure(context, type, options, fault);
    if (error)
        return error;
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return fault_set(fault, errno, "cannot create a new %s", type);
    int tree = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes);
    if (tree < 0)
        return fault_set(fault, errno, "cannot mount a new %s", type);
    return tree;
}

int tree_clone(int directory, const char *path, bool recursive, uint64_t attributes,
               struct fault *fault) {
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT;
    if (recursive)
        flags |= AT_RECURSIVE;
    if (!*path)
        flags |= AT_EMPTY_PATH;
    scoped_fd int tree = open_tree(directory, path, flags);
    if (tree < 0)
        return fault_set(fault, errno, "cannot clone the mount of \"%s\"", path);

    /* A shared mount would hand what is mounted on it later back to the host. */
    struct mount_attr change = {.attr_set = attributes, .propagation = MS_PRIVATE};
    if (mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &change,
                      sizeof change) < 0)
        return fault_set(fault, errno, "cannot restrict the mount of \"%s\"", path);
    return take_fd(&tree);
}

int tree_restrict(int tree, uint64_t attributes, struct fault *fault) {
    struct mount_attr change = {.attr_set = attributes};
    if (mount_setattr(tree, "", AT_EMPTY_PATH, &change, sizeof change) < 0)
        return fault_set(fault, errno, "cannot restrict a mount");
    return 0;
}

int tree_map_ids(int tree, int user_namespace) {
    struct mount_attr change = {.attr_set = MOUNT_ATTR_IDMAP,
                                .userns_fd = (unsigned)user_namespace};
    if (mount_setattr(tree, "", AT_EMPTY_PATH, &change, sizeof change) == 0)
        return 0;
    return errno == EINVAL ? -EOPNOTSUPP : -errno; /* EINVAL: the file system lacks the flag */
}

int tree_attach(int tree, int target, const char *what, struct fault *fault) {
    if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return fault_set(fault, errno, "cannot attach %s", what);
    return 0;
}
