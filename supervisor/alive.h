#pragma once
/* Signs of life for the keeper, which kills a manager that hangs. main.c begins them where the
 * host's file (manager.watchdog) or the kernel's command line asks for it: an idle manager sleeps
 * otherwise. */

#include "supervisor/timers.h"

struct manager;

struct alive { /* manager_private.alive */
    struct manager *manager;
    struct deadline tick;
    uint64_t pause; /* microseconds between two signs */
};

/* `wanted` is what the host's file says, `told` what the keeper expects already, microseconds;
 * DURATION_OFF and 0: nothing. */
void alive_begin(struct manager *manager, uint64_t wanted, uint64_t told);
