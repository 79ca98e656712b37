#pragma once
/* Waiting for block devices without looking again and again, as the kernel and udev tell of them:
 * libc alone, so that the keeper (root=) and the manager (boot.mounts) both link it. */

/* A descriptor, to be opened before the first look; -errno. */
int uevents_open(void);

/* Until a block device came or changed, or the time is over; less than 0: there is none. One who
 * hears nothing, for want of a descriptor, is to look again every second. */
void uevents_await(int fd, int milliseconds);
