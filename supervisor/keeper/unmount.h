#pragma once
/* Takes all file systems out of use, so that they are clean when the power goes. */

/* Swap off, unmount, loop devices back, and what cannot be unmounted read-only, round after round
 * until nothing changes any more; what stays writable is told on the console. It may hang on
 * hardware that does not answer, and allocates: to be called in a process that may be given up. */
void unmount_all(void);
