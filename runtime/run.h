#pragma once
/* One process into a sandbox: the only way in, for a service's first start and for all others.
 * Called by the supervisor; nothing here blocks. */

#include "runtime/sandbox.h"

struct run;

enum run_place {
    RUN_MAIN,   /* the unit's process: a fresh pid namespace, /proc of its own */
    RUN_ALONE,  /* the same, beside the unit's life (exec_pre, exec_post) */
    RUN_BESIDE, /* inside the pid and mount namespace of the running main process (exec) */
    RUN_PROBE,  /* the same, where sandbox_kill_probe ends it with all that it began */
};

/* Sockets, and descriptors that the program stored with us. */
#define RUN_LISTEN_MAX (SOCKETS_MAX + 128)

struct run_request {
    enum run_place place;
    const struct strings *exec;        /* argument vector */
    const char *file;                  /* instead: only whether there is such a file inside */
    const struct strings *environment; /* "K=V" added to the container's own; NULL: none */
    const char *user, *group;          /* NULL: the container's */
    const char *working_directory;     /* NULL: the container's */
    int standard[3];                   /* become 0, 1, 2; -1: /dev/null. Not consumed. */
    int ready_fd; /* source descriptor handed in as ready_fd_number; -1: none */
    int ready_fd_number;
    const int *listen;   /* become 3, 4, ..., with LISTEN_FDS, LISTEN_PID (sd_listen_fds(3)) and */
    size_t listen_count; /* at most RUN_LISTEN_MAX; 0: none of it. Not consumed. */
    const char *listen_names; /* LISTEN_FDNAMES, "web:admin" */
    uint64_t watchdog;        /* microseconds; WATCHDOG_USEC, WATCHDOG_PID; 0: none */
    /* With container->process.init and RUN_MAIN: the init goes on until all that the program left
     * behind has ended; else it ends with the program, and the kernel ends the rest. */
    bool init_lingers;
    int beside; /* RUN_BESIDE, RUN_PROBE: pidfd of a process of the unit, where that of the main run
                 * is not the one to go beside (any more); 0 or less: it is. Not consumed. */
    bool
        waits; /* with its last step for run_release, so that a later manager finds what executes */
    bool tty;  /* standard[0] is a terminal: make it the controlling one. With
                * container->process.tty a RUN_MAIN gets one of its own instead of standard. */
};

/* Starts. The request's strings are copied. main: the running main run, for RUN_BESIDE and
 * RUN_PROBE. A helper looks for a file, since a look-up may hang on a file system of the unit's. */
int run_start(struct sandbox *sandbox, const struct run_request *request, const struct run *main,
              struct run **ret_run, struct fault *fault);

enum run_progress { RUN_EXECUTED, RUN_PREPARING };

int run_report_fd(const struct run *run); /* readable when run_advance has something to do */
/* RUN_EXECUTED once execve succeeded or the file was found (which has no pid), RUN_PREPARING, or a
 * failure with "step: object: why": execve's own -errno (-ENOENT: exit code 127, others: 126),
 * -ECANCELED where an earlier step failed. */
int run_advance(struct run *run, struct fault *fault);

/* One that waits, and all is known of it that a later manager needs (run_save, adopt.h): write that
 * down first. It goes through its steps meanwhile, so that who is quick delays nothing. */
bool run_waits(const struct run *run);
void run_release(struct run *run);

/* The payload's pid in our pid namespace, a child of the caller; 0 until known. It is known at the
 * latest when run_advance returns RUN_EXECUTED. Its end is told by waitid(2) to the caller's
 * reaper; children with other pids are helpers, reaped without notice. With an init it is the
 * init's. */
pid_t run_pid(const struct run *run);
/* When it began: field 22 of /proc/PID/stat, which tells it from others that had its number. */
uint64_t run_start_time(const struct run *run);
int run_pidfd(const struct run *run); /* negative until known; for signalling and polling only */

/* The program's own pid in our pid namespace: with an init, its child's. */
pid_t run_program_pid(const struct run *run);
/* With an init: readable once the program has ended, though its init may go on. Negative without,
 * and once run_program_ended said so. */
int run_status_fd(const struct run *run);
/* Readable once the program has ended, too, and there also where nobody kept the other; negative
 * without an init, and where the program was gone when the run was adopted. */
int run_program_pidfd(const struct run *run);
/* 1: the program has ended, though perhaps not its init; *ret_wait_status as of waitpid(2), which
 * the init's own is not, since a PID 1 cannot end by a signal. 0: as far as the run knows, it has
 * not. */
int run_program_ended(struct run *run, int *ret_wait_status);

/* The master of the terminal that the program was given, non-blocking; the caller's from here on.
 * Known when run_waits, or run_advance returned RUN_EXECUTED; negative where there is none. */
int run_take_terminal(struct run *run);

/* pidfd_send_signal to the program. */
int run_signal(const struct run *run, int number, struct fault *fault);
/* Whether the program has neither handler nor is ignoring the signal and is PID 1 of its
 * namespace: the kernel would drop it (SigCgt, SigIgn of /proc/PID/status). */
bool run_would_drop(const struct run *run, int number);

/* Closes the descriptors; the process, if any, is not touched. Accepts NULL. */
void run_free(struct run *run);
SCOPED(run_free, struct run *)
