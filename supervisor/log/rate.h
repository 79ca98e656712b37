#pragma once
/* How many lines a unit may write in a time, and how many were dropped because it wrote more; for
 * ringfence-logd. Times are milliseconds of CLOCK_MONOTONIC. */

#include <stdbool.h>
#include <stdint.h>

struct text;

/* What was dropped is said at the end of the window at the latest, and every ten seconds. */
#define RATE_SAY 10000

struct rate {
    uint64_t most;     /* lines a window; 0: there is no limit */
    uint64_t interval; /* the length of a window */
    uint64_t end;      /* of the present window; 0: none was begun */
    uint64_t passed;   /* lines of this window */
    uint64_t dropped;  /* lines of which nothing was said yet */
    uint64_t say;      /* when it is to be said; of meaning while dropped > 0 */
    uint64_t now;
};

/* Before lines of this moment: begins a window where the last one is over. */
void rate_tick(struct rate *rate, uint64_t now);
/* One line; false: it is one too many. */
bool rate_pass(struct rate *rate);
/* Whether it is time to say what was dropped. */
bool rate_has_to_say(const struct rate *rate);
/* "5 lines were dropped: there were more than 1000 in 1s", and nothing is left to be said. */
void rate_say(struct rate *rate, struct text *text);
