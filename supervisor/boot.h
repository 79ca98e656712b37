#pragma once
/* Early boot: what a machine needs before any unit starts, as ordered steps, where ringfenced is
 * its PID 1 or manager.early_boot asks for it; and the times of the boot, which `ringfence boot`
 * draws. main.c runs it between reading the settings and opening the runtime.
 *
 * Each step is a process of its own (boot-task.h), so that a disk or a driver that hangs never
 * blocks the loop, and disks that have nothing to do with each other are checked and mounted at the
 * same time. What is done is recorded, and not done again by a manager that comes after this one
 * has died. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units/base/scoped.h"

struct boot;
struct fault;
struct manager;
struct text;

enum boot_outcome {
    BOOT_DONE,
    BOOT_SKIPPED,
    BOOT_FAILED,
    BOOT_STALE, /* the root was repaired beneath the kernel: the machine has to start again */
    BOOT_RUNNING
};
const char *boot_outcome_word(enum boot_outcome outcome);

/* All times are microseconds of CLOCK_BOOTTIME. */
struct boot_step {
    char *name;
    uint64_t begun, ended; /* ended is 0 while it runs */
    enum boot_outcome outcome;
    char *words; /* why it was skipped or has failed, what it waits for; "" */
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
/* Whether there is anything for boot_run to do. */
bool boot_is_pending(const struct boot *boot);
/* Runs what is still to be done, and the loop meanwhile. 0: units may start; a step that failed was
 * logged. 1: the manager is to end, perhaps since it had the machine rebooted. -errno: a mount that
 * is required failed, or could not be tried.
 */
int boot_run(struct boot *boot, struct fault *fault);
bool boot_is_running(const struct boot *boot);
/* What boot_run is at, for people: "early boot: mount /data waits for LABEL=data, at most 10s". */
void boot_describe(const struct boot *boot, struct text *text);
/* manager.watchdog, known before any unit is. */
uint64_t boot_watchdog(const struct boot *boot);
/* Units are asked for now, and from now on the clock is kept for a boot after a power cut. False: a
 * manager before this one did so. */
bool boot_units_begin(struct boot *boot);
/* All is stopped: what the next boot reads is saved, and the record of this one removed. */
void boot_end(struct boot *boot);
void boot_free(struct boot *boot); /* accepts NULL */
SCOPED(boot_free, struct boot *)

struct boot_times boot_times(const struct boot *boot);
