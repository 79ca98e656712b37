#pragma once
/* When a unit is started by the clock: its timer section, from the unit being taken to the start
 * that follows (job.h). Told by service.c what becomes of the unit, and asked by the control door.
 *
 *   - A unit with a timer is not started at boot: while it is enabled its timer is armed.
 *   - An instant starts the unit as a command does that nobody waits for. There is no second
 *     instance: where it runs, waits or is about to be restarted, the instant is skipped.
 *   - The schedule goes by the wall clock. What came while the machine slept is run on waking,
 * once. A clock set by less than three hours leaves the instant that is next the next one: it comes
 *     at once where it was set past, and nothing is repeated where it was set back. A greater step
 *     is a correction: the next instant is the first after the new time, and only a persistent
 *     timer runs at once for what was set past. So does cron(8).
 *   - The interval counts from the end of the last run, of whatever started it, by a clock that
 *     nobody sets; where there was none, from the arming of the timer. on_boot counts from when
 *     ringfence came up, and comes once until it ends: a manager that was killed, or a file that
 *     changed, does not bring it back. Where both are given the first run is that of on_boot.
 *   - randomized_delay is drawn anew for each instant, and for each interval.
 *   - A persistent timer keeps in a file up to when all is done (stamp.h). What came since is made
 *     up once when the timer is armed; the first time there is nothing to make up.
 *   - A stop by a person ends the run and leaves the timer armed; disabling the unit disarms it. */

#include <stdbool.h>
#include <stdint.h>

struct fault;
struct manager;
struct schedule;
struct service;
struct text;

/* The service has another unit now, or none. */
void schedule_follow(struct service *service);
void schedule_state_changed(struct service *service);
void schedule_free(struct schedule *schedule); /* accepts NULL */

/* The clock may have been set: what is planned by dates is planned anew. */
void schedules_heed_clock(struct manager *manager);
/* All files were read again: time zones may have changed too. */
void schedules_reload(struct manager *manager);

struct schedule_facts {
    uint64_t next;    /* CLOCK_REALTIME, microseconds; 0: none to come */
    uint64_t last;    /* of the last run that it started; 0: none known */
    uint64_t skipped; /* instants, since the timer was armed */
};
/* False where the service has no timer that is armed. */
bool schedule_tell(const struct service *service, struct schedule_facts *ret_facts);

/* What is armed, for a later manager and by it (state.h); nothing where the unit has no timer. */
void schedule_save(const struct service *service, struct text *text);
int schedule_restore(struct service *service, const char *text, struct fault *fault);
