#pragma once
/* The child's side of a run: an array of named steps, from a clone of the manager in the unit's
 * namespaces to execve(2). Called by the run's helper. */

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/streams.h"
#include "units/spec.h"

struct capabilities;
struct environment;
struct seccomp_program;

/* Everything is prepared before the clone; the child allocates nothing. */
struct stage {
    const struct container *container;
    const struct strings *exec;
    const char *user, *group, *working_directory;
    const struct environment *environment;
    const struct capabilities *capabilities;
    const struct seccomp_program *filter; /* NULL: unconfined */
    struct streams streams;
    bool waits;        /* for the manager's word before it executes */
    bool terminal;     /* standard input becomes the controlling terminal */
    bool own_terminal; /* which is made inside; its master goes to the report */
    bool user_private; /* ids 0 inside is not the host's root */
    bool own_mounts;   /* a copy of the mount namespace nobody else sees */
    bool fresh_proc;   /* and a pid namespace that wants its own /proc */
    int init;          /* the init that is PID 1; -EBADF: the program itself is */
    int status;        /* where the init writes how the program ended */
    bool init_lingers; /* until all that the program left behind has ended */
    int null;          /* a detached mount of /dev/null, to cover files of /proc with */
    int console;       /* a detached mount of the terminal; -EBADF: none */
};

/* Ends in execve(2), or in _exit(2) after a report. */
_Noreturn void stage_run(struct stage *stage);

/* value of the report of a failure in the last step, where the error is the program's own. */
#define STAGE_EXECUTING 1u
