#pragma once
/* The environment of a payload, put together before the clone. Called by the run. */

#include "units/spec.h"

struct fault;

/* NULL-terminated, of "K=V"; the last one of a name wins. ret_home: the place for "HOME=...", which
 * only the root's own passwd tells and the child fills in; NULL where the unit says it itself. */
struct environment {
    char **items;
    char **home;
};

/* PATH, HOME, container, RINGFENCE_UNIT; then the unit's files and its own list; then `added`. */
int environment_prepare(const struct container *container, const struct strings *added,
                        struct environment *ret_environment, struct fault *fault);
void environment_free(struct environment *environment);
