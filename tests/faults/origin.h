#pragma once
/* Where a system call that waits for our answer comes from, as a number: two calls through the same
 * functions have the same one. Used by the injector, so that what is the same is tried once. */

#include <stdint.h>
#include <sys/types.h>

/* Of the call that this process is in. 0: it is gone, or does not wait. */
uint64_t origin_of(pid_t pid);
