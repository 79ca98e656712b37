#pragma once
/* Device nodes that are trusted by their number, never by their name alone. Called by the helpers
 * of builds and runs. */

struct fault;

/* /dev/null of the host: a character device 1:3, or an error. flags as of open(2). */
int devices_open_null(int flags, struct fault *fault);
