#pragma once
/* What may fail in a scenario, and which of it is tried. Used by faults.c.
 *
 * A point is a system call of the manager or of its children, by its place among the calls of that
 * name, and an error that this call can give. Calls that come the same way (origin.h) run the same
 * code when they fail, with more or less done before: the first of them (nothing to undo yet) and
 * the last (all the others done) are tried, those between are repeats. So is what came the same way
 * in a scenario before. */

#include <stddef.h>
#include <stdint.h>

#include "tests/faults/injector.h"

struct points {
    struct point *items;
    size_t count;
    size_t distinct, all; /* without the repeats, and with them */
};

/* What was in the scenarios before. */
struct history {
    bool is_sampled[WHOSE_COUNT][CALLS_MAX]; /* a point of that call was in a sample */
    uint64_t *origins[WHOSE_COUNT][CALLS_MAX];
    size_t counts[WHOSE_COUNT][CALLS_MAX];
};

/* Those of the calls that the injector has noted, in order; with `repeats`, or without. */
void points_list(struct points *points, const struct injector *injector,
                 const struct history *history, bool repeats);
void points_free(struct points *points);

/* Mixes them by this seed, and keeps so many: more where each call that no sample had yet needs
 * one. The same seed chooses the same of the same. */
void points_sample(struct points *points, size_t wanted, uint64_t seed, struct history *history);
/* Keeps that one alone. False: it is none of them. */
bool points_keep(struct points *points, const struct point *point);

void history_add(struct history *history, const struct injector *injector);
void history_free(struct history *history);
