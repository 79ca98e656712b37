#pragma once
/* Descriptors that came from a service, which may have laid something into them: for the manager,
 * and for ringfenced with another libc. */

#include <stdbool.h>
#include <stddef.h>

/* It has a place in a file system, whose server (of FUSE, of NFS) may be asked whenever a copy of
 * it is closed, be it by exec(2), and keeps whoever does so waiting. Nobody is asked here. */
bool foreign_is_file(int fd);

/* Closes them, in any order, waits for nobody, and leaves the list in disorder. Whoever closes a
 * socket with SO_LINGER, or one that has such a one in its queue, for the last time, waits for as
 * long as its owner has set: so a child closes it for the last time, as it is killed, since then
 * the kernel does not linger. Files are closed by another child, soon. */
void foreign_close(int *descriptors, size_t count);
