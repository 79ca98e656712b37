#pragma once
/* One unit as the manager sees it: its state, its processes, its counters. What it does on an event
 * is one cell of the table in service-table.c. The control door reads the fields; only the table's
 * actions and manager.c write them. */

#include <stdint.h>

#include "runtime/run.h"
#include "runtime/sandbox.h"
#include "supervisor/milestones.h"
#include "units/base/fault.h"
#include "units/base/list.h"
#include "units/unit.h"

struct manager;
struct complaints;

/* A unit's life (UNITS.md). */
enum service_state {
    SERVICE_LOADED,
    SERVICE_WAITING,   /* for dependencies */
    SERVICE_BUILDING,  /* its sandbox */
    SERVICE_CREATED,   /* namespaces and cgroup exist, nothing runs */
    SERVICE_PREPARING, /* its commands before the main process run */
    SERVICE_STARTING,  /* a process exists, not yet ready */
    SERVICE_READY,
    SERVICE_LISTENING,  /* its sockets are open, and a connection will start the process */
    SERVICE_RELOADING,  /* ready, and reads its configuration again */
    SERVICE_ASKING,     /* its commands that ask the main process to end run beside it */
    SERVICE_STOPPING,   /* stop_signal sent */
    SERVICE_ENDING,     /* the main process is gone; until what it left behind is too */
    SERVICE_KILLING,    /* cgroup.kill written; until the cgroup is empty */
    SERVICE_FINISHING,  /* its commands after the main process run */
    SERVICE_REMOVING,   /* nothing runs; until its sandbox is gone */
    SERVICE_RESTARTING, /* waits for its delay */
    SERVICE_STOPPED,
    SERVICE_FAILED,
    SERVICE_SKIPPED,
    SERVICE_INVALID,
    SERVICE_STATES
};

/* The public word: "ready" is shown as it is, "building" as "created", "preparing" as "starting",
 * what follows "reloading" as "stopping". */
const char *service_state_word(enum service_state state);

/* How the last run ended, or why it did not begin. */
enum service_result {
    RESULT_NONE,
    RESULT_SUCCESS,
    RESULT_EXIT_CODE,
    RESULT_SIGNAL,
    RESULT_CORE_DUMP,
    RESULT_OOM_KILL,
    RESULT_TIMEOUT,  /* start_timeout or runtime_max */
    RESULT_WATCHDOG, /* it did not say that it lives, or said that it does not */
    RESULT_LAUNCH,   /* a step before execve failed; fault says which */
    RESULT_DEPENDENCY,
    RESULT_CONDITION, /* skipped; failure says which path */
    RESULT_LIMIT,     /* restarted too often */
    RESULT_PROTOCOL,  /* ended well before it said that it was ready */
    RESULT_UNHEALTHY, /* its probes failed, and it was stopped for that */
    RESULT_UNSEEN,    /* it ended while nobody was there to see how */
    SERVICE_RESULTS
};
const char *service_result_word(enum service_result result);

struct service {
    struct list link; /* manager.services, sorted by name */
    struct manager *manager;
    char *name;
    char *path;                    /* of the unit file */
    struct unit *unit;             /* owned reference; NULL while invalid */
    struct unit *next_unit;        /* a changed file, taken at the next start; NULL: unchanged */
    struct complaints *complaints; /* of an invalid unit; else empty */

    enum service_state state;
    uint64_t state_since; /* CLOCK_REALTIME, microseconds */
    enum service_result result;
    int exit_code, exit_signal; /* of the last main process */
    char *failure;              /* the last failure in words; NULL where none */
    char *status_text;          /* STATUS= of sd_notify; NULL */
    char *status_error;         /* ERRNO=, BUSERROR= or EXIT_STATUS= in words; NULL */

    struct sandbox *sandbox;
    struct run *main;
    pid_t main_pid; /* 0: none. MAINPID= may move it */
    bool paused;
    bool file_changed; /* next_unit is set */

    uint64_t started_at, ready_at, ended_at; /* CLOCK_REALTIME, microseconds; 0: never */
    uint64_t restarts;                       /* automatic ones since a person's last command */
    uint64_t restart_at;    /* CLOCK_REALTIME, microseconds: end of the present delay; 0 */
    uint64_t restart_delay; /* microseconds, of the present delay */
    uint64_t dates_lead; /* of CLOCK_REALTIME before CLOCK_BOOTTIME, as the dates above have it */

    struct milestones milestones; /* of the boot */

    struct service_private *private; /* timers, jobs, sockets: service.c's own */
};

/* Moves its dates along where somebody has set the clock since: what has run for a minute has run
 * for a minute. Before they are looked at. */
void service_dates_follow(struct service *service);

bool service_is_active(const struct service *service); /* starting .. ready, stopping, killing */

/* Its program runs, and neither begins nor ends. */
bool service_can_pause(const struct service *service);

/* For status and list: "web=tcp 127.0.0.1:80, unix /run/x.sock", while they are open. */
void service_describe_sockets(const struct service *service, struct text *text);

/* For status: "starting: waits for db (restarting in 3s)"; appends nothing where there is nothing.
 */
void service_explain_waiting(const struct service *service, struct text *text);
