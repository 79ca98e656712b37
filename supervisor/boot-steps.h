#pragma once
/* The steps of early boot, each a function that runs in a process of its own (boot-task.c calls it)
 * and may block. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct boot_mount;
struct boot_settings;
struct fault;

/* What a step may know. */
struct boot_work {
    const struct boot_settings *settings;
    const struct boot_mount *mount; /* of boot_mount_step; else NULL */
    const char *state_directory;
    bool again; /* it failed for a manager before this one, which has waited long enough */
};

/* 0: done. 1: there is nothing to do, or it cannot be had; the sentence, if any, says why.
 * BOOT_STEP_STALE: the root was repaired beneath a kernel that knows it as it was, and nothing may
 * be written to it before a reboot; with a sentence. -errno: it failed, with the sentence. */
#define BOOT_STEP_STALE 2
typedef int boot_step_function(const struct boot_work *work, struct fault *fault);

boot_step_function boot_load_modules;                                 /* boot-modules.c */
boot_step_function boot_set_hostname, boot_raise_loopback;            /* boot-host.c */
boot_step_function boot_set_sysctl, boot_provide_machine_id;          /* boot-host.c */
boot_step_function boot_set_clock, boot_keep_clock, boot_feed_random; /* boot-saved.c */
boot_step_function boot_mount_step;                                   /* boot-mounts.c */

/* For the next boot: the clock, a random seed. */
int boot_save(const char *state_directory, struct fault *fault); /* boot-saved.c */
int boot_save_clock(const char *state_directory, bool sync, struct fault *fault);

/* A line for the log while the step goes on; and for who stands before the machine. */
void boot_note(const char *format, ...) __attribute__((format(printf, 1, 2))); /* boot-task.c */
void boot_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Given up by the manager, whatever the step itself hangs in, unless it calls this again by then;
 * microseconds, NEVER: there is no limit any more. */
void boot_limit(uint64_t time); /* boot-task.c */

/* Of several failures in one step the first is the step's, the others are noted. */
void boot_collect(int error, const struct fault *why, int *result, struct fault *fault);
