#pragma once
/* Which of our children is whose: the reaper (world.c) asks it about every child that ended. What
 * nobody claimed (helpers, orphans) is remembered for a while: a process may end before the report
 * that told its pid was read. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* wait_status as of waitpid(2). The child is out of the table by then. */
typedef void (*child_ended)(void *context, int wait_status);

struct child {
    pid_t pid; /* 0: the place is free */
    int wait_status;
    uint64_t start_time; /* of an earlier manager's, which the keeper reaps; 0: ours */
    bool gone;           /* one of those that had ended before we came */
    child_ended ended;   /* NULL: it ended unclaimed */
    void *context;
};

/* Open addressing with linear probing; zero-initialised is empty. */
struct children {
    struct child *places;
    size_t count, capacity; /* capacity is a power of two */
    size_t unclaimed;
};

/* Claims a child. 1: it ended already, *ret_wait_status says how, and `ended` will not be called.
 */
int children_add(struct children *children, pid_t pid, child_ended ended, void *context,
                 int *ret_wait_status);
/* The same of a child of an earlier manager's. -EEXIST: it is claimed already. */
int children_adopt(struct children *children, pid_t pid, uint64_t start_time, bool gone,
                   child_ended ended, void *context);
/* One of those that are gone; NULL: the end of each was told. */
struct child *children_find_gone(struct children *children);
/* Told of one that the keeper reaped; one that nobody has adopted is nobody's. */
void children_end_adopted(struct children *children, pid_t pid, uint64_t start_time,
                          int wait_status);
/* Nobody cares for this pid any more. */
void children_remove(struct children *children, pid_t pid);
/* Told by the reaper. */
void children_end(struct children *children, pid_t pid, int wait_status);
/* No run is without its pid now: what ended unclaimed was nobody's. */
void children_forget_unclaimed(struct children *children);
void children_free(struct children *children);
