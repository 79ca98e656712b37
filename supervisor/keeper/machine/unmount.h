#pragma once
/* Takes all file systems out of use, so that they are clean when the power goes: for shutdown.c,
 * which watches the process that does it. */

#include <limits.h>

enum { STUCK_MOST = 8 };

/* Shared memory of the two. */
struct unmounting {
    unsigned steps;                   /* begun so far: as long as they grow, it goes on */
    char at[PATH_MAX];                /* the file system, swap space or loop device at hand; "" */
    char stuck[STUCK_MOST][PATH_MAX]; /* that an earlier process never came back from */
    unsigned stuck_count;
};

/* Swap off, unmount, loop devices back, and what cannot be unmounted read-only, round after round
 * until nothing changes any more; what stays writable is told on the console. It may hang on
 * hardware that does not answer, and allocates: to be called in a process that may be given up. */
void unmount_all(struct unmounting *unmounting);
