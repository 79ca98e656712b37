#pragma once
/* What only the engine knows of a service: its goal, its edges, its deadlines, its descriptors. */

#include "supervisor/graph.h"
#include "supervisor/restart.h"
#include "supervisor/service.h"
#include "supervisor/timers.h"

struct watch;
struct notify;
struct ready_pipe;
struct health_monitor;
struct output;
struct sockets;
struct schedule;
struct console;
struct manager_private;

/* What is to become of a service, beside what goes on of its own (job.h has the rules). */
enum goal {
    GOAL_NONE,
    GOAL_UP,    /* until it is ready, or the attempt has failed */
    GOAL_DOWN,  /* until nothing of it is left */
    GOAL_CYCLE, /* down, then up */
};

enum service_event {
    EVENT_PULL, /* is to come up: joins those who wait for what they need */
    EVENT_GO,   /* all that it waits for is there */
    EVENT_DEPENDENCY_FAILED,
    EVENT_DEPENDENCY_LOST, /* something that it requires is not up any more */
    EVENT_BUILT,           /* its sandbox */
    EVENT_BUILD_FAILED,
    EVENT_EXECUTED, /* execve of its main process succeeded */
    EVENT_LAUNCH_FAILED,
    EVENT_SAID_READY,
    EVENT_SAID_STOPPING,
    EVENT_ENDED,          /* its main process */
    EVENT_EMPTY,          /* its cgroup holds no process */
    EVENT_DEADLINE,       /* of the present state */
    EVENT_LIFETIME,       /* it has run as long as it may */
    EVENT_HEALTHY,        /* the first probe of this run that succeeded */
    EVENT_UNHEALTHY,      /* so many probes failed in a row that it is to be acted on */
    EVENT_CONNECTION,     /* or a datagram waits */
    EVENT_IDLE,           /* nobody has used its sockets for so long */
    EVENT_COMMANDS_DONE,  /* all that were to run beside the main process */
    EVENT_COMMAND_FAILED, /* one of them; the others do not run */
    EVENT_RELOAD,         /* a person wants it to read its configuration again */
    EVENT_SAID_RELOADING,
    EVENT_WATCHDOG, /* it does not live any more, as it said or did not say */
    EVENT_LEFT,     /* its main process ended, its init waits for the others */
    EVENT_STOP,     /* is to go down, and those who need it are */
    EVENT_REFUSED,  /* its file became invalid */
    EVENT_ACCEPTED, /* its file is valid again */
    SERVICE_EVENTS
};

/* The commands that run one after the other in the present state. */
struct commands_run {
    const struct strings *items; /* the unit's own */
    size_t count, next;
    bool beside; /* the main process; else in the sandbox alone */
    bool running;
    struct ending ending; /* of the one that failed */
    char *failure;        /* which one and how; NULL */
};

/* Who may say what of sd_notify: NOTIFYACCESS=. */
enum notify_access { ACCESS_UNSAID, ACCESS_ALL, ACCESS_EXEC, ACCESS_MAIN, ACCESS_NONE };

/* What the keeper has of a service for a later manager, beside what is in the care of others
 * (output, sockets, terminal, store): the report of a launch until it is over. */
enum held_kind { HELD_SANDBOX, HELD_RUN, HELD_LAUNCH, HELD_COMMAND, HELD_KINDS };

/* By what a later manager finds again what the service holds (state.c): words of the runtime, which
 * has the meaning of them, and names of what the keeper has. */
struct held {
    char *sandbox, *run, *command, *execs; /* NULL: none */
    char *descriptors;                     /* of the store, by name */
    char *unit_path;
    /* Whose descriptors the keeper has of late, whose the present words need, and whose the facts
     * name that were written: pids, 0: nobody's. */
    pid_t stored[HELD_KINDS], needed[HELD_KINDS], named[HELD_KINDS];
    uint64_t main_began; /* start time of the process that MAINPID= named */
    struct unit *unit;   /* that lies beside the facts; owned reference */
    bool wanted;         /* and the word that it is to be up */
};

struct service_private {
    struct service *service;
    struct list unsaved; /* manager_private.unsaved */
    uint64_t saved;      /* digest of the facts as they were last written; 0: never */
    struct held held;
    struct list dirty;         /* manager_private.dirty: to be looked at by job_drain */
    struct list visit;         /* worklists of walks over the edges */
    unsigned mark;             /* the last walk that met it */
    size_t place;              /* of graph.c: in a list of edges; edges that are left */
    struct service *came_from; /* of graph.c: the step of a search that led here */
    bool circular;             /* lies on a circle of dependencies, or needs what does */
    struct list planned;       /* struct transaction.members */
    unsigned char part;        /* of enum transaction_part, in the transaction at hand */
    unsigned char root;        /* of enum transaction_part, where it was named there itself */
    struct list requests;      /* of struct request.link: commands that wait for it */
    struct edges needs;        /* what it waits for before it starts */
    struct edges needed_by;
    struct edges ties; /* what is bound to it without an order */

    enum goal goal;
    bool cycle_by_person; /* GOAL_CYCLE is a person's word */
    char *orders;         /* the last that it has taken (orders.h); NULL: none had a token */
    bool attempt_failed;  /* the last attempt to get ready; false again when one succeeds */
    bool stalled;         /* waits for one whose attempt failed, or for one that is stalled */
    bool recover;         /* failed or stopped for a dependency: started when that one is ready */
    bool for_failure;     /* was started because another one failed */
    bool gone;            /* its file is gone: it goes too when it is down */
    bool refused;         /* its file became invalid while it runs */

    struct unit *built_from;   /* the unit whose container the sandbox is made of; NULL: none */
    bool built;                /* the sandbox is whole */
    bool executed;             /* of the present run */
    bool reaped;               /* its process */
    bool ended;                /* and that was told, after all that it had said before */
    bool signalled;            /* it was asked to stop */
    pid_t run_pid;             /* of the present run, claimed from the reaper; 0: not known */
    bool awaits_pid;           /* counted in manager_private.without_pid */
    bool was_ready;            /* the present run */
    bool succeeded;            /* a oneshot that need not remain: what requires it may start */
    bool expected;             /* we ended it with its stop signal, or with SIGKILL at once */
    enum service_result cause; /* why we ended it; RESULT_NONE: it did so itself */
    struct ending ending;
    uint64_t oom_kills; /* of the sandbox when the run began */
    int main_pidfd;     /* of a process that MAINPID= named; -1: the run's own */
    uint64_t begun;     /* CLOCK_BOOTTIME, of the present attempt */

    enum service_state outcome; /* where REMOVING leads */
    uint64_t retry;             /* microseconds, of the next try to kill or remove */
    unsigned step;              /* of the backoff */
    uint64_t limit_begun;       /* CLOCK_BOOTTIME, of the interval of the limit */
    int64_t limit_count;

    bool listens;            /* lazy: up since it first listened, whatever its process does */
    bool awakened;           /* a connection has come, for which the process is to start */
    bool idled;              /* the present run was ended since nobody used it */
    uint64_t busy_at;        /* CLOCK_BOOTTIME, when its sockets were last seen in use */
    unsigned triggers;       /* connections that started it */
    uint64_t triggers_begun; /* CLOCK_BOOTTIME, of the interval in which they are counted */

    struct commands_run commands;
    bool settled;      /* the ending is known: what follows are its consequences */
    bool left;         /* the main process is gone, its init is not */
    bool spared;       /* it alone was killed: what it started is waited for */
    bool again;        /* what was under way is ended, to begin again: no manager saw how far */
    bool going;        /* its sandbox is being removed, after which it is what `outcome` says */
    bool done;         /* a oneshot's work is: its sandbox is made again, its program is not run */
    uint64_t start_by; /* CLOCK_BOOTTIME, of the present attempt; NEVER */
    uint64_t stop_by;  /* of the present stop; NEVER */

    uint64_t reload_asked;     /* CLOCK_MONOTONIC; 0: it reloads of its own */
    bool reload_acknowledged;  /* it said RELOADING=1, and not yet READY=1 */
    bool reload_again;         /* asked for while it reloads */
    bool reload_by_word;       /* it is over when it says so */
    char *reload_failure;      /* of the last one; NULL */
    enum notify_access access; /* of the present run */
    struct fd_store *fd_store;

    uint64_t watchdog_period; /* microseconds; NEVER: none */
    bool adopted;             /* from an earlier manager, and not gone on yet */
    bool guarded;             /* when the facts were written the watchdog was set, */
    bool launching;           /* and a run had begun of which nothing was known yet */
    struct deadline watchdog;
    struct deadline deadline; /* of the present state */
    struct deadline lifetime; /* how long a run may last */
    struct deadline idle;     /* the next look for use of its sockets */
    struct deadline steady;   /* ready for so long that the backoff starts anew */

    struct watch *report_watch, *cgroup_watch, *status_watch;
    struct notify *notify;
    struct ready_pipe *ready_pipe;
    struct output *output;
    struct schedule *schedule;     /* NULL: no timer is armed */
    struct health_monitor *health; /* NULL: it was never probed */
    struct sockets *sockets;       /* open; NULL: none */
    struct console *console;       /* of a unit that has a terminal */
};
#define SERVICE_DEADLINES 9 /* with those of its health, its timer and a witness (witness.h) */

/* The next state; the present one where nothing changes. */
typedef enum service_state (*service_action)(struct service *service);

/* What a state means to those who look at it from outside. */
struct state_traits {
    const char *word;
    bool running; /* a process of it exists, or its cgroup is not empty yet */
    bool down;    /* no process, no sandbox */
    bool up;      /* what requires it may start */
    bool idle;    /* may be pulled up */
    bool doomed;  /* what is left when its deadline comes is killed */
    bool lingers; /* goes as soon as the kernel and its sharers let it */
    bool failed;  /* for good, unless somebody asks again */
    bool gated;   /* waits for what it needs */
    bool rising;  /* on the way up */
    bool probed;  /* its health may be looked at */
    bool reloading;
    bool settled; /* a goal to come up has ended here, well or badly */
    void (*enter)(struct service *service);
    service_action resume; /* an earlier manager was in it, and has died; NULL: it waits on */
};
const struct state_traits *state_traits(enum service_state state);

/* ---- service.c ---- */

int service_new(struct manager *manager, const char *name, struct service **ret_service);
void service_free(struct service *service);
SCOPED(service_free, struct service *)

/* One event through the table, and the transition that follows from it. */
void service_handle(struct service *service, enum service_event event);
void service_enter(struct service *service, enum service_state state);
uint64_t service_date(struct service *service); /* CLOCK_REALTIME now, for one of its dates */
/* A person's word: counters start anew. */
void service_forgive(struct service *service);
/* The changed file takes effect; only while nothing of the old one is in use. */
void service_take_next_unit(struct service *service);
/* The logger is told of the settings of the present unit. */
int service_tell_output(struct service *service, struct fault *fault);
void service_fail(struct service *service, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ready as type and settings see it: a oneshot that ended well and need not remain is up too, and
 * so is a lazy service from the time that it listens. */
bool service_is_up(const struct service *service);

/* ---- service-notify.c ---- */

/* What the notify socket brought; the sender was verified. */
struct notification {
    bool ready, stopping, reloading, restart_reset;
    bool ping, trigger;        /* WATCHDOG=1, WATCHDOG=trigger */
    uint64_t monotonic;        /* MONOTONIC_USEC=; 0: none */
    uint64_t watchdog, extend; /* WATCHDOG_USEC=, EXTEND_TIMEOUT_USEC=; 0: none */
    const char *status;        /* NULL: none */
    const char *errno_text, *bus_error, *exit_status; /* NULL: none */
    enum notify_access access;                        /* ACCESS_UNSAID: none */
    pid_t main_pid; /* in our pid namespace, in the unit's cgroup; 0: none */
    int main_pidfd; /* of it, handed over; -1 */
};
void service_notified(struct service *service, const struct notification *notification);
/* From now on it must say WATCHDOG=1; nothing where it need not. */
void service_guard(struct service *service);
/* A process that is stopped from outside cannot say it. */
void service_unguard(struct service *service);

/* ---- service-commands.c ---- */

/* The first of them at once, each other one when the one before ended well; then
 * EVENT_COMMANDS_DONE, or EVENT_COMMAND_FAILED with commands.ending and commands.failure. -errno
 * where the first cannot start: then no event follows. What ran before is stopped. */
int service_commands_start(struct service *service, const struct strings *items, size_t count,
                           bool beside);
/* Holds the command that was under way under an earlier manager: 1; 0 where none was, or nobody
 * knows of it; an error only where that may pass. Then the rest of them goes on, from that one,
 * which is begun again if it is not held.
 */
int service_commands_adopt(struct service *service, struct fault *fault);
int service_commands_resume(struct service *service, const struct strings *items, size_t count);
void service_commands_stop(struct service *service); /* SIGKILL to the one that runs; no event */
/* The same, and it is named in commands.failure. */
void service_commands_time_out(struct service *service, uint64_t time);

/* ---- service-run.c: the descriptors of a build and a run, as events ---- */

int service_watch_build(struct service *service, struct fault *fault);
int service_watch_run(struct service *service, struct fault *fault);
int service_watch_cgroup(struct service *service, struct fault *fault);
/* The run may have made progress that was not read yet. */
void service_poll_run(struct service *service);
/* The same, and no event follows: for one that is being stopped, whatever it has come to. */
void service_catch_up(struct service *service);
void service_unwatch_report(struct service *service);
/* Holds a run that an earlier manager has begun; -ENOLINK: as of run_adopt (runtime/adopt.h). */
int service_resume_run(struct service *service, const char *words, struct fault *fault);
/* A program that ended while nobody kept what its init tells is gone without a word. */
void service_look_for_program(struct service *service);
/* The run is over or given up: its process is claimed no more. */
void service_drop_run(struct service *service);
/* A main process that was not seen to end; where MAINPID= named one, that one. */
bool service_has_main(const struct service *service);
/* To its main process, wherever MAINPID= put it. */
int service_signal_main(struct service *service, int signal, struct fault *fault);

/* ---- service-listen.c ---- */

/* Opens its sockets, where they are not open yet. 1: it is to wait for a connection. */
int service_listen(struct service *service, struct fault *fault);
/* Ready: from now on it is looked for use of its sockets. */
void service_await_idle(struct service *service);
void service_look_for_use(struct service *service);
/* Whether it listens after its process has ended, whatever its policy of restarts says. */
bool service_listens_again(const struct service *service);
/* It is down, and nothing is to become of it: its sockets are closed. */
void service_rest(struct service *service);

/* ---- service-limits.c ---- */

/* As its file asks for; the keeper has us stop everything first. */
void service_reboot(struct service *service);

/* ---- service-table.c ---- */

/* NULL: this event cannot come in this state. */
service_action service_cell(enum service_state state, enum service_event event);
const char *service_event_word(enum service_event event);
