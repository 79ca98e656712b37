#pragma once
/* Early boot: what a machine needs before any unit starts, as ordered steps, where ringfenced is
 * its PID 1 or manager.early_boot asks for it; and the times of the boot, which `ringfence boot`
 * draws. main.c runs it between reading the settings and opening the runtime.
 *
 * Each step is a process of its own, so that a disk or a driver that hangs never blocks the loop:
 * it writes lines into a pipe, its end is an event. What is done is recorded, and not done again by
 * a manager that comes after this one has died. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units/base/scoped.h"

struct boot;
struct fault;
struct manager;

enum boot_outcome { BOOT_DONE, BOOT_SKIPPED, BOOT_FAILED };
const char *boot_outcome_word(enum boot_outcome outcome);

/* All times are microseconds of CLOCK_BOOTTIME. */
struct boot_step {
    char *name;
    uint64_t begun, ended;
    enum boot_outcome outcome;
    char *words; /* why it was skipped or has failed, what was repaired; "" */
};

struct boot_times {
    bool machine;        /* ringfenced is PID 1 of a machine: what came before is the kernel's */
    uint64_t ringfenced; /* it began */
    uint64_t manager;    /* the first one began */
    uint64_t units;      /* the first unit was asked for; 0: not yet */
    const struct boot_step *steps;
    size_t count;
};

/* Reads the host's own file, and what a manager before this one recorded in the runtime directory.
 */
int boot_open(struct manager *manager, struct boot **ret_boot, struct fault *fault);
/* Runs what is still to be done, and the loop meanwhile. 0: units may start; a step that failed was
 * logged. 1: the manager is to end. -errno: a mount that is required failed, or could not be tried.
 */
int boot_run(struct boot *boot, struct fault *fault);
/* Units are asked for now. False: a manager before this one did so. */
bool boot_units_begin(struct boot *boot);
/* All is stopped: what the next boot reads is saved, and the record of this one removed. */
void boot_end(struct boot *boot);
void boot_free(struct boot *boot); /* accepts NULL */
SCOPED(boot_free, struct boot *)

struct boot_times boot_times(const struct boot *boot);
