#pragma once
/* The host's own root as a unit's: read-only, ids as they are. Called by rootfs. */

#include <stdbool.h>

struct build;
struct container;
struct fault;

/* Attaches to `place` (O_PATH): the host's root and the file systems mounted on it, without the
 * kernel's own, with empty /tmp, /var/tmp and /run, and ringfence's directories hidden. */
int hostroot_assemble(struct build *build, int place, struct fault *fault);

/* Whether the unit has the host's root, and the path is or lies in what is empty there. */
bool hostroot_is_private(const struct container *container, const char *path);
