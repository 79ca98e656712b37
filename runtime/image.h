#pragma once
/* Files with a file system in them (.squashfs, .erofs, .ext4), mounted read-only to be layers of a
 * root. Called by rootfs, in the helper of a build. */

struct fault;

/* A detached mount of what the file holds, or -errno. The name tells which file system it is to be,
 * and the file's superblock must agree: no other driver of the kernel gets to see it. The mount
 * holds the file; a loop device that it needs goes with it. */
int image_mount(const char *path, struct fault *fault);
