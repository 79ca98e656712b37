#pragma once
/* The descriptors that a payload starts with: 0, 1, 2, perhaps one to say that it is ready, and no
 * other. Called by the run's stage. */

#include <stdbool.h>

struct fault;

struct streams {
    int standard[3];
    int ready, ready_number; /* -1: none */
    int report;              /* kept until execve(2) closes it */
};

/* Puts each where it belongs; report gets a new number if it was in the way. */
int streams_place(struct streams *streams, struct fault *fault);

/* Makes standard input the controlling terminal. */
int streams_take_terminal(struct fault *fault);

/* Closes all but these. */
int streams_close_others(const struct streams *streams, struct fault *fault);
