#pragma once
/* Whom the kernel killed for want of memory, as its log tells it. Called by sandbox.c. */

#include <stdbool.h>
#include <sys/types.h>

struct oom_victim {
    char name[16]; /* of the process, as in /proc/PID/comm; what may not be printed is "?" */
    pid_t pid;
};

/* One record of the log (Documentation/ABI/testing/dev-kmsg) about a process in that cgroup or
 * below it; the path is told from the top of the hierarchy. */
bool oom_parse(const char *record, const char *cgroup, struct oom_victim *ret_victim);
/* The last one of the log. False where there is none, or the log is not ours to read. */
bool oom_find(const char *cgroup, struct oom_victim *ret_victim);
