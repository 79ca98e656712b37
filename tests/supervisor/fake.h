#pragma once
/* A world without a kernel for the policy: services that behave as a test says, a clock that jumps
 * from event to event, chance from a seed. One per process. */

#include <signal.h>

#include "supervisor/job.h"
#include "supervisor/manager-private.h"
#include "supervisor/world.h"

#define MSEC 1000ULL
#define SEC 1000000ULL

/* What one attempt to start a service will be like. Times are microseconds after the step before.
 */
struct fake_plan {
    uint64_t build_time, launch_time;
    const char *build_error, *launch_error; /* NULL: it succeeds */
    uint64_t report_delay;                  /* between execve and our hearing of it */
    uint64_t ready_after;                   /* NEVER: it says nothing */
    uint64_t exit_after;                    /* NEVER: it runs until it is ended */
    int exit_status;                        /* as of waitpid(2) */
    bool out_of_memory;                     /* the kernel's killer was seen when it ended */
    bool deaf;                              /* it never accepts a connection */
    bool drops_signal;                      /* it has no handler for its stop signal */
    uint64_t stop_time;                     /* from the stop signal to its end; NEVER: ignores it */
    int stop_status;
    unsigned children; /* that outlive it by child_time unless they are killed */
    uint64_t child_time;
    uint64_t kill_time;     /* from SIGKILL to the end */
    unsigned busy_removals; /* the kernel is not ready so often */
    unsigned vain_kills;    /* and fails to kill all so often */
    bool fails_at_once;     /* sandbox_build itself fails */
    /* Of a command beside the program: */
    uint64_t command_time; /* NEVER: it hangs */
    int command_status;
    bool command_missing; /* it cannot be executed */
};

/* What one probe will be like. */
struct fake_probe_plan {
    bool healthy, fails_at_once;
    uint64_t after; /* NEVER: it hangs */
};

/* The default is a probe that succeeds after a millisecond. */
extern void (*fake_choose_probe)(const char *name, struct fake_probe_plan *plan);
/* Called by the fake about every change of health. */
extern void (*fake_observe_health)(struct service *service, enum health_state before);

/* Chosen by the test for each attempt; the default is a service that starts at once and stays. */
extern void (*fake_choose)(const char *name, struct fake_plan *plan);
/* Called by the fake about every transition, after it. */
extern void (*fake_observe)(struct service *service, enum service_state before);
/* Of conditions; without it no path does. */
extern bool (*fake_path_exists)(const char *path);
/* A rule was broken; the default prints it and ends the test. */
extern void (*fake_broken)(const char *rule);

extern struct manager *fake_manager;
extern uint64_t fake_now;
extern size_t fake_sandboxes, fake_runs, fake_processes, fake_watches, fake_sockets, fake_outputs,
    fake_probes;
extern size_t fake_listeners; /* units whose listening sockets are open */
extern bool fake_finished;
extern char fake_told[512];       /* the last message to the keeper */
extern bool fake_machine_is_ours; /* ringfence is the first process */

void fake_open(uint64_t seed);
void fake_close(void);
uint64_t fake_random(uint64_t below);

/* The manager is killed, and all that it has not written down is lost; another one comes, which
 * finds what there is. In between time may pass (fake_run). With forgetful nobody remembers how
 * processes ended while it was away. */
void fake_die(void);
void fake_lose_keeper(void); /* which is killed too: between the two */
void fake_revive(bool forgetful);
int fake_try_revive(struct fault *fault);            /* what manager_adopt says */
extern int fake_facts_error;                         /* why the facts of no unit can be read; 0 */
void fake_damage(const char *name);                  /* what is written of it */
void fake_set_version(const char *name, char digit); /* of that; NULL: of the manager's own */
extern bool fake_full;          /* the runtime directory: nothing can be written there */
extern bool fake_kernel_is_old; /* it does not tell how other's children ended */
/* What is written of this service is what it is. */
void fake_check_saved(struct service *service);
/* Nothing is left of this one that was removed. */
void fake_check_removed(const char *name);
const char *fake_kept(void); /* the name of something that the keeper holds; NULL */

/* One event, or false where none will ever come. */
bool fake_step(void);
void fake_run(uint64_t duration);  /* all events of so much time */
void fake_set_date(uint64_t date); /* CLOCK_REALTIME, microseconds */

/* What the timer of a unit keeps; 0: nothing. It outlives fake_close. */
#define FAKE_BAD_STAMP UINT64_MAX
void fake_set_stamp(const char *name, uint64_t date);
uint64_t fake_stamp(const char *name);

/* ---- units made by hand, with the defaults of the language ---- */
struct unit *fake_unit(const char *name, enum service_type type);
void fake_add(struct strings *list, const char *word);
void fake_add_command(struct commands *commands, const char *program);
/* Enters it into the set, or replaces what is there; takes over the reference. */
void fake_set(struct unit *unit);
void fake_refuse(const char *name); /* its file is invalid now */
void fake_drop(const char *name);   /* its file is gone */
void fake_apply(void);              /* as a reload does */
/* From now on fake_set and its kin change files that the manager, or one that comes after it, reads
 * only when it is told to apply them, which it can be once. */
void fake_files(void);
void fake_keep_files(void); /* and once more */
bool fake_has_file(const char *name);
const struct unit *fake_file(const char *name); /* what it says; NULL */
struct unit *fake_copy(const struct unit *unit);

struct service *fake_service(const char *name);
/* The service says so through its notify socket. */
void fake_notify(const char *name, bool ready, bool stopping, const char *status);
void fake_say(const char *name, const struct notification *notification);
/* A program has asked for more time so seldom that it will end. */
bool fake_may_ask_for_time(const struct service *service);
/* Its process ends of its own. */
void fake_exit(const char *name, int wait_status);
/* One of its children becomes its main process (MAINPID=), where it has one. */
void fake_move_main(const char *name);
void fake_end_moved(const char *name); /* that one does, and the others go on */

/* ---- listening sockets ---- */
extern const char *fake_bind_error;         /* nothing can be bound, for this reason; NULL */
extern bool (*fake_busy)(const char *name); /* somebody is connected; NULL: nobody ever */
bool fake_connect(const char *name);        /* false: refused */
void fake_sockets_check(const struct service *service); /* rules that hold after every event */

/* wait statuses */
#define EXITED(code) ((code) << 8)
#define KILLED(signal) (signal)
