#pragma once
/* What a unit uses, read from its cgroup. Called by the sandbox. */

#include "runtime/sandbox.h"

/* directory: the unit's cgroup. LIMIT_UNSET where the kernel does not tell, SIZE_NONE for "max". */
void stats_read(int directory, struct sandbox_stats *ret_stats);
