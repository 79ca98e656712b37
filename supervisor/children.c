#include "supervisor/children.h"

#include <errno.h>
#include <stdlib.h>

/* Fibonacci hashing: consecutive pids are spread. */
static size_t home(const struct children *children, pid_t pid) {
    return ((uint32_t)pid * 2654435769U) & (children->capacity - 1);
}

static struct child *find(const struct children *children, pid_t pid) {
    if (!children->capacity)
        return NULL;
    size_t at = home(children, pid);
    while (children->places[at].pid) {
        if (children->places[at].pid == pid)
            return &children->places[at];
        at = (at + 1) & (children->capacity - 1);
    }
    return NULL;
}

static void put(struct children *children, struct child child) {
    size_t at = home(children, child.pid);
    while (children->places[at].pid)
        at = (at + 1) & (children->capacity - 1);
    children->places[at] = child;
    children->count++;
    children->unclaimed += !child.ended;
}

static int grow(struct children *children) {
    if (children->capacity && (children->count + 1) * 2 <= children->capacity)
        return 0;
    struct children larger = {.capacity = children->capacity ? children->capacity * 2 : 64};
    larger.places = calloc(larger.capacity, sizeof(*larger.places));
    if (!larger.places)
        return -ENOMEM;
    for (size_t i = 0; i < children->capacity; i++)
        if (children->places[i].pid)
            put(&larger, children->places[i]);
    free(children->places);
    *children = larger;
    return 0;
}

/* Closes the gap, so that no later place in the chain is lost. */
static void drop(struct children *children, struct child *child) {
    size_t mask = children->capacity - 1;
    size_t gap = (size_t)(child - children->places);
    children->count--;
    children->unclaimed -= !child->ended;
    for (size_t at = (gap + 1) & mask; children->places[at].pid; at = (at + 1) & mask) {
        size_t wanted = home(children, children->places[at].pid);
        if (((at - wanted) & mask) >= ((at - gap) & mask)) {
            children->places[gap] = children->places[at];
            gap = at;
        }
    }
    children->places[gap] = (struct child){0};
}

int children_add(struct children *children, pid_t pid, child_ended ended, void *context,
                 int *ret_wait_status) {
    struct child *there = find(children, pid);
    if (there && !there->ended) {
        *ret_wait_status = there->wait_status;
        drop(children, there);
        return 1;
    }
    if (there)
        return -EEXIST;
    int error = grow(children);
    if (error < 0)
        return error;
    put(children, (struct child){.pid = pid, .ended = ended, .context = context});
    return 0;
}

void children_remove(struct children *children, pid_t pid) {
    struct child *child = find(children, pid);
    if (child)
        drop(children, child);
}

void children_end(struct children *children, pid_t pid, int wait_status) {
    struct child *there = find(children, pid);
    if (!there) {
        if (grow(children) == 0)
            put(children, (struct child){.pid = pid, .wait_status = wait_status});
        return;
    }
    if (!there->ended) { /* the number was used again */
        there->wait_status = wait_status;
        return;
    }
    if (there->start_time) /* an earlier manager's is not our child: that was a helper of ours */
        return;
    struct child child = *there;
    drop(children, there);
    child.ended(child.context, wait_status);
}

int children_adopt(struct children *children, pid_t pid, uint64_t start_time, bool gone,
                   child_ended ended, void *context) {
    if (find(children, pid))
        return -EEXIST;
    int error = grow(children);
    if (error >= 0)
        put(children, (struct child){.pid = pid,
                                     .start_time = start_time,
                                     .gone = gone,
                                     .ended = ended,
                                     .context = context});
    return error;
}

struct child *children_find_gone(struct children *children) {
    for (size_t i = 0; i < children->capacity; i++)
        if (children->places[i].pid && children->places[i].gone)
            return &children->places[i];
    return NULL;
}

void children_end_adopted(struct children *children, pid_t pid, uint64_t start_time,
                          int wait_status) {
    struct child *there = find(children, pid);
    if (!there || !there->ended || there->start_time != start_time)
        return;
    struct child child = *there;
    drop(children, there);
    child.ended(child.context, wait_status);
}

void children_forget_unclaimed(struct children *children) {
    if (!children->unclaimed)
        return;
    struct children fewer = {.capacity = children->capacity};
    fewer.places = calloc(fewer.capacity, sizeof(*fewer.places));
    if (!fewer.places)
        return; /* a later call does it */
    for (size_t i = 0; i < children->capacity; i++)
        if (children->places[i].pid && children->places[i].ended)
            put(&fewer, children->places[i]);
    free(children->places);
    *children = fewer;
}

void children_free(struct children *children) {
    free(children->places);
    *children = (struct children){0};
}
