#pragma once
/* How far a service's first start since ringfence came up has got, and when; `ringfence boot` tells
 * it. Kept over restarts, of the service and of the manager. */

#include <stdbool.h>
#include <stdint.h>

struct manager;
struct service;

/* Microseconds of CLOCK_BOOTTIME; 0: not reached. */
struct milestones {
    bool at_boot;      /* it was asked for when ringfence came up; else nothing is noted */
    uint64_t waiting;  /* for what it needs */
    uint64_t building; /* all of that was there: its sandbox is made */
    uint64_t starting; /* the first process of it was launched */
    uint64_t ready;    /* what needs it may start */
    uint64_t failed;   /* it was given up, or stopped, before it was ready */
};

/* All that is to come up at this moment is part of the boot. */
void milestones_begin(struct manager *manager);
/* Told of every transition. */
void milestones_pass(struct service *service);
