#pragma once
/* A procfs of our own, never looked up by name, so that nothing mounted over /proc can pose as it.
 * Called by the helpers that write below it. */

struct fault;

/* A detached instance for the caller's pid namespace; its descriptor, or -errno. */
int procfs_new(struct fault *fault);

/* Opens a path below it: no symlink, no other file system. -errno. */
int procfs_open(int proc, const char *path, int flags);

/* One write(2). proc is checked to be a procfs. */
int procfs_write(int proc, const char *path, const char *value, struct fault *fault);
