#pragma once
/* The environment of a payload, put together before the clone. Called by the run. */

#include "units/spec.h"

struct fault;

/* NULL-terminated, of "K=V"; the last one of a name wins. ret_home: the place for "HOME=...", which
 * only the root's own passwd tells and the child fills in; NULL where the unit says it itself.
 * listen_pid: likewise for "LISTEN_PID=...", which only the process itself knows; NULL where it
 * gets no sockets. */
struct environment {
    char **items;
    char **home, **listen_pid;
};

/* PATH, HOME, container, RINGFENCE_UNIT; then the unit's files and its own list; then `added`; then
 * what sd_listen_fds(3) reads, where there are sockets. */
int environment_prepare(const struct container *container, const struct strings *added,
                        size_t listen_count, const char *listen_names,
                        struct environment *ret_environment, struct fault *fault);
void environment_free(struct environment *environment);
