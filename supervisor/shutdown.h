#pragma once
/* The end of all units: how long they may take together, and who is told who is waited for. */

#include "supervisor/timers.h"

struct manager;
struct text;

struct shutdown { /* manager_private.shutdown */
    struct manager *manager;
    struct deadline tick;
    uint64_t limit; /* CLOCK_BOOTTIME; NEVER */
};

/* All units are being stopped from now on (job_stop_all). */
void shutdown_begin(struct manager *manager);

/* A deadline of a unit that stops, or that of all where it comes first. */
uint64_t shutdown_bound(const struct manager *manager, uint64_t deadline);

/* "stopping all units: waiting for web (killed in 7 s), db and 3 more" */
void shutdown_describe(struct manager *manager, struct text *text);
