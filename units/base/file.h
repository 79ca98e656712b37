#pragma once
/* Small files, read and written whole. Paths are relative to a held directory (or AT_FDCWD). */

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct fault;

/* Reads a file of at most `most` bytes into a new NUL-terminated buffer. Anything but a regular
 * file is refused unless it lies in a kernel file system (/proc, /sys, cgroup), whose files say
 * that they are regular; a symlink as the last component is refused; a FIFO does not block.
 * -EFBIG where it is longer, -EISDIR, -ELOOP, or the error of open(2) or read(2). */
int file_read(int directory, const char *path, size_t most, char **ret_data, size_t *ret_length,
              struct fault *fault);

/* The same, but symlinks are followed: what an administrator made of the host's own files. */
int file_read_linked(const char *path, size_t most, char **ret_data, size_t *ret_length,
                     struct fault *fault);

/* Locks it for this process alone (fcntl(2)): no child that hangs has the lock too. It goes when
 * the process ends, or closes any descriptor of the file. A child that shares its descriptors
 * (foreign_close) keeps it all the same, as that of a process that has ended: then it is none, and
 * 0 as well. -EBUSY. */
int file_lock(int fd);

/* read(2) until `size` bytes or the end: how many came. */
ssize_t file_read_all(int fd, char *data, size_t size);

/* One write(2) to a file that exists: what cgroup and sysctl files ask for. */
int file_write(int directory, const char *path, const char *value, struct fault *fault);

/* A new file in the place of the old one, or the old one unchanged: a temporary file beside it,
 * then rename. Where it is `durable` a power cut after its return finds the new one. */
int file_replace(int directory, const char *path, const char *data, size_t length, mode_t mode,
                 bool durable, struct fault *fault);

/* The next of a listing, without "." and "..": 1, 0 at its end (also where the directory is gone),
 * or the error of getdents(2), which readdir(3) does not tell from the end. */
int directory_next(DIR *listing, const struct dirent **ret_entry);

/* mkdir -p. Every component that is made gets the mode; those that are there are left alone. */
int directory_make(int directory, const char *path, mode_t mode, struct fault *fault);

/* fsync(2) of a directory: which names are in it, new ones and removed ones, outlives a power cut.
 */
int directory_sync(int directory, const char *path, struct fault *fault);

/* rm -rf that never follows a symlink nor crosses into another file system; absent is success. */
int directory_remove(int directory, const char *path, struct fault *fault);
