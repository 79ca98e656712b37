#pragma once
/* The file systems through which the kernel talks, mounted by PID 1 before anything else. */

/* Mounts what is not there yet and makes the usual links in /dev. What cannot be is said, and the
 * boot goes on; what a kernel lacks is passed over. */
void mounts_make(void);

/* What is mounted from now on is seen by all that look through our root, units included. A root
 * whose mounts are shared cannot be moved any more. */
void mounts_share(void);
