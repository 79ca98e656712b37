#pragma once
/* The end of a machine, once its services are stopped: from the last processes to reboot(2). */

#include <stdbool.h>
#include <stdint.h>

struct watchdog;

enum ending { ENDING_POWEROFF, ENDING_REBOOT, ENDING_HALT };

struct shutdown {
    enum ending ending;
    bool force;           /* what does not end soon is killed */
    uint64_t interrupted; /* by the last Ctrl-Alt-Del, ms; 0: there was none */
    struct watchdog *watchdog;
};

/* "poweroff", ... */
const char *ending_word(enum ending ending);

/* Ctrl-Alt-Del was pressed, and before that at *interrupted: whether one follows the other so soon
 * that it is meant. */
bool shutdown_insists(uint64_t *interrupted);

/* Both heed SIGINT, which must be blocked: whoever insists has it done by force from then on. */

/* SIGTERM, then SIGKILL, to every process but the caller, which reaps them. Bounded, by force even
 * more so. */
void shutdown_processes(struct shutdown *shutdown);
/* Writes everything to the disks and unmounts them; bounded, also where a disk hangs, by
 * force even more so. */
void shutdown_disks(struct shutdown *shutdown);

/* reboot(2). In a pid namespace of its own that ends the namespace. Returns where the kernel
 * refuses. */
void shutdown_reboot(const struct shutdown *shutdown);
