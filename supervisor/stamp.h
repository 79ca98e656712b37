#pragma once
/* What timers keep in files: how far a persistent one has come, over a restart of all, and that
 * on_boot has come, over a restart of the manager. Called by schedule.c; the simulation has its
 * own.
 */

#include <stdbool.h>
#include <stdint.h>

struct fault;
struct manager;

/* STATE_DIR/timers/NAME holds microseconds since 1970, in decimal. -ENOENT where there is none,
 * -EINVAL where it is something else. */
int stamp_read(const struct manager *manager, const char *name, uint64_t *ret_date,
               struct fault *fault);
/* Replaced at once, not yet on the disk: after a loss of power a run may come again. */
int stamp_write(const struct manager *manager, const char *name, uint64_t date,
                struct fault *fault);
int stamp_remove(const struct manager *manager, const char *name, struct fault *fault);

/* RUNTIME_DIR/timers/NAME holds the id of the boot, lest it be believed after another. */
bool stamp_has_booted(const struct manager *manager, const char *name);
int stamp_set_booted(const struct manager *manager, const char *name, struct fault *fault);
/* ringfence ends: when it comes up again it boots again. */
void stamp_forget_boot(const struct manager *manager);
