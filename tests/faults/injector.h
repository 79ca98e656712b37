#pragma once
/* Fails one system call of a chosen process, and lets all others through: a filter of seccomp(2)
 * tells of each before the kernel does it. Used by faults.c. */

#include <stdint.h>
#include <sys/types.h>

#include "tests/faults/calls.h"

/* Whose calls: the manager's own, or those of its children until they execute another program. */
enum whose { WHOSE_MANAGER, WHOSE_CHILDREN, WHOSE_COUNT };

struct point {
    enum whose whose;
    const struct call *call;
    unsigned ordinal; /* from 1, in the scenario */
    int error;
};

struct injector;

/* Runs the keeper under the filter, with its messages at the end of that file, armed with `point`
 * (NULL: not). -ENOSYS where the kernel has no such filter. */
int injector_start(char *const arguments[], const char *log, const struct point *point,
                   struct injector **ret_injector, pid_t *ret_keeper);
void injector_close(struct injector *injector); /* after the keeper */
/* Counts anew, and fails that call when it comes. NULL: none, and notes where each comes from. */
void injector_arm(struct injector *injector, const struct point *point);
/* Fails no more. True: it has, and `ret_words` tell where (with `size` bytes of room). */
bool injector_disarm(struct injector *injector, char *ret_words, size_t size);
/* Where each came from (origin.h), in their order, since it was armed with NULL. */
const uint64_t *injector_origins(const struct injector *injector, enum whose whose,
                                 const struct call *call, unsigned *ret_count);
/* Of the keeper's; 0: there is none at this moment. */
pid_t injector_manager(const struct injector *injector);
