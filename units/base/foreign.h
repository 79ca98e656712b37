#pragma once
/* Descriptors that came from a service, which may have laid something into them: for the manager,
 * and for ringfenced with another libc. */

#include <stddef.h>

/* Closes them, and waits for none that lingers. Whoever closes a socket with SO_LINGER, or one that
 * has such a one in its queue, for the last time, waits for as long as its owner has set: so a
 * child closes it for the last time, as it is killed, since then the kernel does not linger. */
void foreign_close(const int *descriptors, size_t count);
