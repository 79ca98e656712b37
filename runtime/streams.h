#pragma once
/* The descriptors that a payload starts with: 0, 1, 2, its listening sockets from 3 on, perhaps one
 * to say that it is ready, and no other. Called by the run's stage. */

#include <stddef.h>

#include "runtime/run.h"

struct fault;

struct streams {
    int standard[3];
    int listen[RUN_LISTEN_MAX];
    size_t listen_count;
    int ready, ready_number; /* -1: none */
    int report;              /* kept until execve(2) closes it */
};

/* Makes 0, 1 and 2; the report gets a number that is in nobody's way. */
int streams_place(struct streams *streams, struct fault *fault);

/* Closes all descriptors from `from` on but these (those that are negative do not count). A process
 * of the manager's own has thousands; with few, the next one that it opens has a low number. */
int streams_keep(unsigned from, const int *kept, size_t count, struct fault *fault);

/* Makes standard input the controlling terminal. */
int streams_take_terminal(struct fault *fault);

/* Makes the sockets and the ready one, whose number anything else may have had until now, and
 * closes all but these. */
int streams_finish(const struct streams *streams, struct fault *fault);
