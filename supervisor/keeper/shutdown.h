#pragma once
/* The end of a machine, once its services are stopped: from the last processes to reboot(2). */

#include <stdbool.h>

struct watchdog;

enum ending { ENDING_POWEROFF, ENDING_REBOOT, ENDING_HALT };

/* "poweroff", ... */
const char *ending_word(enum ending ending);

/* SIGTERM, then SIGKILL, to every process but the caller, which reaps them. Bounded, by force even
 * more so. */
void shutdown_processes(bool force, struct watchdog *watchdog);

/* Writes everything to the disks and unmounts them; bounded, also where a disk hangs, by
 * force even more so. */
void shutdown_disks(bool force, struct watchdog *watchdog);

/* reboot(2). In a pid namespace of its own that ends the namespace. Returns where the kernel
 * refuses. */
void shutdown_reboot(enum ending ending, struct watchdog *watchdog);
