#pragma once
/* Paths of the kernel's file systems that a unit must not see or change. Called by the build for
 * what stays, and by each run's stage for its own /proc. */

struct fault;
struct security;

enum masks_part {
    MASKS_PROC, /* below /proc */
    MASKS_REST, /* everywhere else */
};

/* Covers the built-in set and the unit's own: files by `null`, a mount of a verified /dev/null
 * that is attached nowhere yet (-EBADF: the part has no file to cover), directories by an empty
 * read-only file system. A path that does not exist is left out; one that cannot be covered is an
 * error. root: "/" of the mount namespace of the caller. */
int masks_apply(int root, enum masks_part part, const struct security *security, int null,
                struct fault *fault);
