#include "tests/faults/points.h"

#include <stdlib.h>
#include <string.h>

static void add(struct points *points, const struct point *point) {
    if ((points->count & (points->count - 1)) == 0) {
        size_t capacity = points->count ? 2 * points->count : 1;
        points->items = realloc(points->items, capacity * sizeof(*points->items));
        if (!points->items)
            abort();
    }
    points->items[points->count++] = *point;
}

static bool is_among(const uint64_t *origins, size_t count, uint64_t origin) {
    for (size_t i = 0; i < count; i++)
        if (origins[i] == origin)
            return true;
    return false;
}

/* Each error of one call. */
static void add_errors(struct points *points, enum whose whose, const struct call *call,
                       unsigned ordinal) {
    for (size_t i = 0; i < ERRORS_MAX && call->errors[i]; i++) {
        struct point point;
        memset(&point, 0, sizeof(point)); /* compared as a whole */
        point.whose = whose;
        point.call = call;
        point.ordinal = ordinal;
        point.error = call->errors[i];
        add(points, &point);
    }
}

static unsigned count_errors(const struct call *call) {
    unsigned count = 0;
    while (count < ERRORS_MAX && call->errors[count])
        count++;
    return count;
}

void points_list(struct points *points, const struct injector *injector,
                 const struct history *history, bool repeats) {
    *points = (struct points){0};
    for (enum whose whose = 0; whose < WHOSE_COUNT; whose++)
        for (size_t row = 0; row < calls_count; row++) {
            unsigned count, errors = count_errors(&calls[row]);
            const uint64_t *origins = injector_origins(injector, whose, &calls[row], &count);
            for (unsigned i = 0; i < count; i++) {
                bool repeat =
                    (is_among(origins, i, origins[i]) &&
                     is_among(origins + i + 1, count - i - 1, origins[i])) ||
                    is_among(history->origins[whose][row], history->counts[whose][row], origins[i]);
                points->all += errors;
                points->distinct += repeat ? 0 : errors;
                if (!repeat || repeats)
                    add_errors(points, whose, &calls[row], i + 1);
            }
        }
}

void points_free(struct points *points) {
    free(points->items);
    *points = (struct points){0};
}

static uint64_t draw(uint64_t *state) { /* xorshift64* */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

static void swap(struct points *points, size_t first, size_t second) {
    struct point point = points->items[first];
    points->items[first] = points->items[second];
    points->items[second] = point;
}

void points_sample(struct points *points, size_t wanted, uint64_t seed, struct history *history) {
    uint64_t state = seed * 2654435769U | 1;
    size_t chosen = 0;
    for (size_t i = points->count; i > 1; i--)
        swap(points, i - 1, draw(&state) % i);
    for (size_t i = 0; i < points->count; i++) {
        const struct point *point = &points->items[i];
        bool *is_sampled = &history->is_sampled[point->whose][point->call - calls];
        if (!*is_sampled)
            swap(points, chosen++, i);
        *is_sampled = true;
    }
    if (chosen < wanted)
        chosen = wanted;
    if (chosen < points->count)
        points->count = chosen;
}

bool points_keep(struct points *points, const struct point *point) {
    for (size_t i = 0; i < points->count; i++)
        if (memcmp(&points->items[i], point, sizeof(*point)) == 0) {
            swap(points, 0, i);
            points->count = 1;
            return true;
        }
    return false;
}

void history_add(struct history *history, const struct injector *injector) {
    for (enum whose whose = 0; whose < WHOSE_COUNT; whose++)
        for (size_t row = 0; row < calls_count; row++) {
            unsigned count;
            const uint64_t *origins = injector_origins(injector, whose, &calls[row], &count);
            uint64_t **all = &history->origins[whose][row];
            size_t *number = &history->counts[whose][row];
            if (count == 0)
                continue;
            uint64_t *grown = realloc(*all, (*number + count) * sizeof(*grown));
            if (!grown)
                abort();
            memcpy(grown + *number, origins, count * sizeof(*grown));
            *all = grown;
            *number += count;
        }
}

void history_free(struct history *history) {
    for (enum whose whose = 0; whose < WHOSE_COUNT; whose++)
        for (size_t row = 0; row < calls_count; row++)
            free(history->origins[whose][row]);
    *history = (struct history){0};
}
