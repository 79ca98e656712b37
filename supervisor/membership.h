#pragma once
/* Which processes are a unit's own, by the kernel's word. Called by notify.c about senders and
 * about what they name. */

#include <sys/types.h>

/* cgroup: the unit's directory (sandbox_cgroup). 1: the process lives in it, 0: it does not,
 * -ESRCH: it has ended, or another -errno. */
int membership_of(const char *cgroup, pid_t pid);

/* Its pid in the innermost pid namespace that it is in; 0 where it has ended. */
pid_t membership_inside(pid_t pid);

/* The process that a pidfd is of; 0 where it has ended, or is none that we see. */
pid_t membership_of_pidfd(int pidfd);

/* A pid as the sender sees it, to ours, and a pidfd of it. -ESRCH where no process of the unit has
 * that number in the sender's pid namespace. */
int membership_translate(const char *cgroup, pid_t sender, pid_t theirs, pid_t *ret_pid,
                         int *ret_pidfd);
