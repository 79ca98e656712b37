#pragma once
/* The host's own root as a unit's: read-only, ids as they are. Called by rootfs. */

struct build;
struct fault;

/* Attaches to `place` (O_PATH): the host's root and the file systems mounted on it, without the
 * kernel's own, with empty /tmp, /var/tmp and /run, and ringfence's directories hidden. */
int hostroot_assemble(struct build *build, int place, struct fault *fault);
