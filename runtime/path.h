#pragma once
/* Paths inside a unit's root, resolved against a held descriptor of it and never as joined strings,
 * so that no symlink of an image leads to the host. Called by all that touches a root. */

#include <stdbool.h>
#include <stdint.h>

struct fault;

/* open(2) as if root were "/" (openat2, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS). -errno. */
int path_open(int root, const char *path, uint64_t flags);

/* The same for a path that has no symlinks, to an O_PATH descriptor. -ELOOP: it has. */
int path_open_plain(int root, const char *path);

enum path_kind { PATH_DIRECTORY, PATH_FILE };

/* An O_PATH descriptor of a mount target. What is missing is made if `make`, directories with mode
 * 0755, owned by the caller's fsuid. Refused: "/", what lies in /proc or /sys, a path that climbs
 * over the root or leads nowhere through a symlink. */
int path_target(int root, const char *target, enum path_kind kind, bool make, struct fault *fault);

/* The same for a directory of the root itself, as /dev: a symlink is refused wherever it leads. */
int path_real_directory(int root, const char *name, bool make, struct fault *fault);
