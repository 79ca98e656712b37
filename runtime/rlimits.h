#pragma once
/* Resource limits, nice value and out-of-memory score of the calling process. Called by the run's
 * helper, before it joins a user namespace: the kernel asks for the host's capabilities here. */

#include "units/spec.h"

struct fault;

/* prlimit(2) on the caller. -EINVAL where soft exceeds hard. The limit of open files is only
 * raised here, not lowered: the caller still has the manager's many descriptors, and gets new ones
 * above them. */
int rlimits_apply(const struct resource_limits *limits, struct fault *fault);

/* The limit of open files, once the others' descriptors are closed. Where the unit does not say:
 * the usual soft limit instead of the manager's raised one, for programs that use select(2) or
 * close all that they might have. Needs no capability. */
int rlimits_apply_files(const struct resource_limits *limits, struct fault *fault);

/* INTEGER_UNSET: nothing is done. -20..19 */
int nice_apply(int64_t nice, struct fault *fault);

/* -1000..1000; INTEGER_UNSET: the caller's own, but not one that protects it (below 0: then 0).
 * proc: a directory descriptor of a procfs in which "self" is the caller; -EINVAL where it is no
 * procfs. */
int oom_score_apply(int proc, int64_t score, struct fault *fault);
