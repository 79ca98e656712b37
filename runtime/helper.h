#pragma once
/* The helper of a run: an array of named steps, from the host's namespaces into the unit's, where
 * it clones the payload. Called by the run. */

#include <stdbool.h>

#include "runtime/run.h"
#include "runtime/stage.h"

/* Everything is prepared before the clone; the helper allocates nothing. */
struct helper {
    struct sandbox *sandbox;
    const struct run_request *request;
    int main; /* pidfd of the process to be put beside; -EBADF: none */
    int report;
    struct stage stage;
};

/* In the clone: reports and ends. */
_Noreturn void helper_run(struct helper *helper);

/* Whether such a run joins the pid and mount namespace of the main process. */
bool helper_is_beside(enum run_place place);
