#pragma once
/* How a run ended and whether another follows: the pure part of the restart policy. */

#include "supervisor/service.h"

struct ending {
    enum service_result result;
    int exit_code;   /* 0 where it was ended by a signal */
    int exit_signal; /* 0 where it exited */
};

/* In the place of a status, where a process ended and nobody saw how. */
#define WAIT_UNSEEN (-1)

/* What a status of waitpid(2) means for this unit. Clean is 0, what the unit calls a success, and
 * for all but a oneshot an end by HUP, INT, TERM or PIPE. out_of_memory: the kernel's killer was
 * seen in its cgroup during the run. */
struct ending ending_of(const struct unit *unit, int wait_status, bool out_of_memory);

/* The same of a command beside the program: clean is 0 alone. */
struct ending ending_of_command(int wait_status);

/* An exit status that prevents wins over one that forces, and that over the policy's table. One
 * that its health check stopped stays so if the check says so. */
bool restart_is_wanted(const struct unit *unit, const struct ending *ending);

/* delay x backoff^step, within the jitter, never above max_delay. */
uint64_t restart_delay(const struct restart *restart, unsigned step, uint64_t random);

/* "exited with code 1", "was ended by SIGSEGV (core dumped)". */
void ending_describe(const struct ending *ending, struct text *text);

/* Whether a list of exit codes and signal names ("3", "SIGTERM", "TERM") holds this ending. */
bool ending_is_listed(const struct strings *list, const struct ending *ending);
