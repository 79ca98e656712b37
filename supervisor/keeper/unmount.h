#pragma once
/* Takes all file systems out of use, so that they are clean when the power goes. */

/* Swap off, unmount, loop devices back, and what cannot be unmounted read-only, round after round
 * until nothing changes any more. It may hang on hardware that does not answer: to be called in a
 * process that may be given up. How many stayed writable; each is said. */
unsigned unmount_all(void);
