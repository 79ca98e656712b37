#pragma once
/* The environment of a payload, put together before the clone. Called by the run. */

#include "units/spec.h"

struct fault;

/* NULL-terminated, of "K=V"; the last one of a name wins. ret_home: the place for "HOME=...", which
 * only the root's own passwd tells and the child fills in; NULL where the unit says it itself.
 * pids: likewise for "LISTEN_PID=..." and "WATCHDOG_PID=...", which only the process itself knows;
 * NULL where it gets no sockets, or has no watchdog. */
#define ENVIRONMENT_PIDS 2
struct environment {
    char **items;
    char **home;
    char **pids[ENVIRONMENT_PIDS];
};

struct run_request;

/* PATH, HOME, container, RINGFENCE_UNIT; then the unit's files and its own list; then what the
 * request adds, and what sd_listen_fds(3) and sd_watchdog_enabled(3) read. */
int environment_prepare(const struct container *container, const struct run_request *request,
                        struct environment *ret_environment, struct fault *fault);
void environment_free(struct environment *environment);
