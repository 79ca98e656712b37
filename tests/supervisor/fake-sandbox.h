#pragma once
/* What a sandbox and a run are in a world without a kernel: shared by fake-sandbox.c and
 * fake-runtime.c, where they live, and fake-adopt.c, where a later manager finds them. */

#include "tests/supervisor/fake-runtime.h"

struct sandbox {
    struct list link; /* fake_all */
    char name[UNIT_NAME_MAX];
    bool held;     /* by the present manager */
    bool occupied; /* the present manager has its run, or knows of its end */
    unsigned serial;
    pid_t named; /* the last main process that a manager knew of */
    pid_t moved; /* the process that MAINPID= named last */
    struct fake_plan plan;
    int report_fd, events_fd;
    struct deadline built, orphans; /* orphans: the children that main left behind end */
    bool whole, frozen;
    bool killed;        /* what is in it, or will be before the next run */
    bool waiting;       /* its orphans would have ended, and are frozen */
    unsigned processes; /* main and its children */
    uint64_t oom_kills;
    struct run *run;  /* alive, or not yet reaped */
    struct list side; /* of struct run.link: commands that are not yet gone */
};

struct run {
    struct sandbox *sandbox; /* NULL: the sandbox was removed before the run was freed */
    struct list link;        /* sandbox.side; alone in main's */
    enum run_place place;
    struct fake_plan plan;
    int report_fd;
    int status_fd;  /* where its init tells how the program ended; -1: nobody holds it */
    int program_fd; /* readable once the program has ended; -1: nobody holds it */
    bool lingers;   /* its init waits for the children of the program, */
    bool left;      /* which has ended */
    bool told_left;
    int left_status;
    struct deadline tells_left;
    pid_t pid;
    pid_t learned;    /* the same, once its report was read; 0 */
    unsigned manager; /* whose child it is */
    bool held;        /* by the present manager */
    bool unrecorded;  /* it was let go where nothing could be written */
    bool stranger;    /* ringfenced was killed since it began */
    int pidfd;        /* of a stranger that is held; -1 */
    struct list all;  /* fake_all_runs */
    struct deadline known, execed, report, ready, exits, reaped;
    bool waits;    /* for run_release, before it executes, */
    bool arrived;  /* and is there */
    bool waiting;  /* it would have ended, and is frozen */
    bool muted;    /* it would have said that it is ready, and is frozen */
    bool released; /* or need not wait any more */
    bool executed, failed, alive, told, killed;
    bool concluded; /* the report has ended, */
    bool heard;     /* and a manager has read that */
    int exit_status;
    unsigned requests; /* for more time */
};

extern struct list fake_all;      /* of struct sandbox.link */
extern struct list fake_all_runs; /* of struct run.all */
extern unsigned fake_managers;    /* that have been, the present one included */

/* NULL while there is no manager. */
struct service *fake_owner(const struct sandbox *sandbox);
/* After so much time by the fake's clock. */
void fake_happen(struct deadline *deadline, uint64_t after);
pid_t fake_new_pid(void);
struct fake_plan fake_plan_for(const char *name);
void fake_run_end(struct run *run, int wait_status, uint64_t after); /* nothing where it has */
void fake_run_dispose(struct run *run);
void fake_reported(struct deadline *deadline); /* passed, of struct run.report */
/* It could not be executed, and ended while no manager was there: its report says so. */
void fake_note_failed(pid_t pid);
/* What lies in the pipe of its init is heard by whoever watches it by then. */
void fake_run_tell_left(struct run *run);
/* So many of its processes end. */
void fake_sandbox_lose(struct sandbox *sandbox, unsigned count);
/* Its commands; beside_only: those that go with the main process. */
void fake_sandbox_kill_side(struct sandbox *sandbox, bool beside_only);
/* Nothing is left in it. */
void fake_sandbox_destroy(struct sandbox *sandbox);
