#pragma once
/* Which block device a person means by "LABEL=data", and what lies on it: libc alone, so that the
 * keeper (root=) and the manager (boot.mounts) both link it. */

#include <stddef.h>

/* What a file system, or swap space, says of itself. "" where it has none. */
struct superblock {
    const char *type; /* as mount(2) wants it; "swap" */
    char label[257];
    char uuid[37]; /* lower case; "1234-ABCD" of a FAT */
};

/* -ENODATA: none that is known. */
int superblock_read(int fd, struct superblock *ret_superblock);

/* "/dev/vda1", "LABEL=...", "UUID=...", "PARTUUID=..." or "PARTLABEL=..." to the device's path. Of
 * several that bear the same name it is the first by path. -ENODEV: it is not there (yet).
 * -EINVAL: it is no such name. -EMEDIUMTYPE: the path is there and is no block device. */
int block_find(const char *name, char *ret_path, size_t size);

/* Another one that bears the same name and comes after `path`, the first; -ENODEV: there is none.
 */
int block_find_other(const char *name, const char *path, char *ret_path, size_t size);

/* The path of a device number, as of stat(2) of what is mounted from it. -ENODEV. */
int block_path(unsigned device_major, unsigned device_minor, char *ret_path, size_t size);
