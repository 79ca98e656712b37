#pragma once
/* What timers keep in files: how far a persistent one has come, over a restart of all, and that
 * on_boot has come, over a restart of the manager. Called by schedule.c; the simulation has its
 * own.
 */

#include <stdbool.h>
#include <stdint.h>

struct fault;
struct manager;

/* CLOCK_REALTIME, microseconds. */
struct stamp {
    uint64_t done; /* up to when every instant was run or skipped */
    uint64_t last; /* of the last run; 0: none */
};

/* STATE_DIR/timers/NAME holds both in decimal, with a blank between them; where a person wrote one
 * number it stands for both. -ENOENT where there is none or it is empty, -EINVAL where it is
 * something else. */
int stamp_read(const struct manager *manager, const char *name, struct stamp *ret_stamp,
               struct fault *fault);
/* Replaced at once, not yet on the disk: after a loss of power a run may come again. */
int stamp_write(const struct manager *manager, const char *name, const struct stamp *stamp,
                struct fault *fault);
int stamp_remove(const struct manager *manager, const char *name, struct fault *fault);

/* RUNTIME_DIR/timers/NAME holds the id of the boot, lest it be believed after another. */
bool stamp_has_booted(const struct manager *manager, const char *name);
int stamp_set_booted(const struct manager *manager, const char *name, struct fault *fault);
/* ringfence ends: when it comes up again it boots again. */
void stamp_forget_boot(const struct manager *manager);
