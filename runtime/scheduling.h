#pragma once
/* Who is served first, by the processor and by the disks: applied in the helper of a run, while the
 * host's power is there. */

struct fault;

/* "other", "batch", "idle", "fifo:PRIORITY", "rr:PRIORITY" (sched(7)); NULL: as the manager's. */
int scheduling_apply(const char *policy, struct fault *fault);

/* "idle", "best-effort:LEVEL", "realtime:LEVEL" (ioprio_set(2)); NULL: as the manager's. */
int io_priority_apply(const char *priority, struct fault *fault);
