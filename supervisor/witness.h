#pragma once
/* How a process ended that is neither our child nor ringfenced's: an earlier ringfenced was killed,
 * or there is none. Called by adopt-unit.c for what it finds running; from Linux 6.15 on the kernel
 * tells, before that nobody can. */

#include <stdint.h>
#include <sys/types.h>

struct manager;

/* Its end is told by children_end_adopted. The pidfd stays the caller's. */
int witness_open(struct manager *manager, pid_t pid, uint64_t start_time, int pidfd);
void witnesses_free(struct manager *manager);
