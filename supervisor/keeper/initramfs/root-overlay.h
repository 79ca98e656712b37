#pragma once
/* A writable root out of one that nobody writes to: what is written lies on a file system of its
 * own, or in memory. Called by switch-root.c in the initramfs. */

/* Below /run, which moves to the new root with all that is mounted in it. */
#define OVERLAY_PLACE "/run/overlay"
#define OVERLAY_LOWER "/run/overlay/lower" /* the root as it is on its device */
#define OVERLAY_DATA "/run/overlay/data"   /* where what is written to it goes */

struct command_line;

/* Lays a writable layer over OVERLAY_LOWER and mounts both together on the target. Where the device
 * does not come or cannot be used the layer is in memory, and the console tells why. -errno, having
 * said it: nothing is mounted on the target. */
int overlay_make(const struct command_line *line, const char *target);
