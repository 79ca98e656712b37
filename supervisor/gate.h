#pragma once
/* What a service waits for: whether it may start, whether it may stop, what it has lost. Asked by
 * job.c of every service that something may have changed for. */

#include "supervisor/service-private.h"

enum verdict {
    VERDICT_GO,
    VERDICT_WAIT,
    VERDICT_DOOMED, /* what it requires cannot come of its own */
};

/* *ret_edge: what it waits for, or what dooms it. */
enum verdict gate_judge(const struct service *service, const struct edge **ret_edge);
/* Those that need it, and go down too, are down. */
bool gate_may_stop(const struct service *service);
/* The first that it requires (and is bound to, where kinds says so) and that is not up; NULL. */
const struct edge *gate_find_lost(const struct service *service, unsigned kinds);
/* It waits for one whose attempt failed, or for one that is stalled. */
bool gate_is_stalled(const struct service *service);

bool gate_is_going_down(const struct service *service); /* by a goal */
/* It has come down, and nothing is to follow. */
bool gate_is_out(const struct service *service);
/* It runs, holds a sandbox, waits, or is to do so: what is not up may still come up without
 * anybody's doing. */
bool gate_is_active(const struct service *service);
