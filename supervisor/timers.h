#pragma once
/* Deadlines in one heap: the policy sets them, the world (world.h) says when the first is due. */

#include <stddef.h>
#include <stdint.h>

#define NEVER UINT64_MAX

/* Lives in what it is about; zero-initialised is unset. */
struct deadline {
    uint64_t at;                       /* by the clock of its heap, microseconds */
    size_t slot;                       /* in the heap, from 1; 0: not set */
    void (*passed)(struct deadline *); /* it is unset by then, and may set itself again */
};

/* So long after a time; a duration that is off, or ends with the clock, never passes. */
static inline uint64_t later(uint64_t time, uint64_t duration) {
    return duration >= NEVER - time ? NEVER : time + duration;
}

struct timers {
    struct deadline **heap; /* heap[1] is the first to pass */
    size_t count, capacity;
    uint64_t running; /* until when timers_run is running; what is set meanwhile passes later */
};

/* Makes room for this many deadlines, so that setting one never fails. */
int timers_reserve(struct timers *timers, size_t count);
void timers_free(struct timers *timers);

void timers_set(struct timers *timers, struct deadline *deadline, uint64_t at); /* NEVER: cancels */
void timers_cancel(struct timers *timers, struct deadline *deadline);
uint64_t timers_next(const struct timers *timers); /* NEVER where none is set */
/* Calls all that are due at `now`. */
void timers_run(struct timers *timers, uint64_t now);
