#include "supervisor/timers.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

int timers_reserve(struct timers *timers, size_t count) {
    if (count + 1 <= timers->capacity)
        return 0;
    size_t capacity = timers->capacity ? timers->capacity : 64;
    while (capacity < count + 1)
        capacity *= 2;
    struct deadline **heap = realloc(timers->heap, capacity * sizeof(struct deadline *));
    if (!heap)
        return -ENOMEM;
    timers->heap = heap;
    timers->capacity = capacity;
    return 0;
}

void timers_free(struct timers *timers) {
    free(timers->heap);
    *timers = (struct timers){0};
}

static void place(struct timers *timers, struct deadline *deadline, size_t slot) {
    timers->heap[slot] = deadline;
    deadline->slot = slot;
}

static void rise(struct timers *timers, struct deadline *deadline, size_t slot) {
    for (; slot > 1 && timers->heap[slot / 2]->at > deadline->at; slot /= 2)
        place(timers, timers->heap[slot / 2], slot);
    place(timers, deadline, slot);
}

static void sink(struct timers *timers, struct deadline *deadline, size_t slot) {
    for (;;) {
        size_t child = slot * 2;
        if (child > timers->count)
            break;
        if (child < timers->count && timers->heap[child + 1]->at < timers->heap[child]->at)
            child++;
        if (timers->heap[child]->at >= deadline->at)
            break;
        place(timers, timers->heap[child], slot);
        slot = child;
    }
    place(timers, deadline, slot);
}

void timers_cancel(struct timers *timers, struct deadline *deadline) {
    size_t slot = deadline->slot;
    if (!slot)
        return;
    deadline->slot = 0;
    struct deadline *last = timers->heap[timers->count--];
    if (last == deadline)
        return;
    if (slot > 1 && timers->heap[slot / 2]->at > last->at)
        rise(timers, last, slot);
    else
        sink(timers, last, slot);
}

void timers_set(struct timers *timers, struct deadline *deadline, uint64_t at) {
    timers_cancel(timers, deadline);
    if (at == NEVER)
        return;
    assert(timers->count + 1 < timers->capacity);
    deadline->at = at > timers->running ? at : timers->running + 1;
    rise(timers, deadline, ++timers->count);
}

uint64_t timers_next(const struct timers *timers) {
    return timers->count ? timers->heap[1]->at : NEVER;
}

void timers_run(struct timers *timers, uint64_t now) {
    timers->running = now;
    while (timers->count && timers->heap[1]->at <= now) {
        struct deadline *deadline = timers->heap[1];
        timers_cancel(timers, deadline);
        deadline->passed(deadline);
    }
    timers->running = 0;
}
