#pragma once
/* What only the engine knows of the manager. */

#include "supervisor/adopt.h"
#include "supervisor/alive.h"
#include "supervisor/children.h"
#include "supervisor/logger.h"
#include "supervisor/manager.h"
#include "supervisor/output.h"
#include "supervisor/service-private.h"
#include "supervisor/shutdown.h"
#include "supervisor/timers.h"
#include "units/base/text.h"

/* Instances of templates come into being as they are named; this many services are enough. */
#define SERVICES_MAX 65536
#define MANAGER_DEADLINES 4 /* beside services': of life, shutdown, outputs, the logger */

struct alias {
    const char *name; /* the unit's own string */
    struct service *service;
};

struct manager_private {
    struct unit_sources sources;
    struct service **index; /* all services, sorted by name */
    size_t count, capacity;
    size_t up;             /* services that are not down */
    struct alias *aliases; /* sorted by name (graph.c) */
    size_t alias_count;
    bool aliases_stale;
    bool graph_stale;     /* units came, went or changed since the edges were made */
    bool circular;        /* some dependencies go round in a circle */
    bool check_circles;   /* and those that wait were not looked at since */
    bool sweep;           /* files are gone */
    bool draining;        /* job_drain is at work */
    bool booting;         /* not all that is wanted at boot is written down yet */
    unsigned mark;        /* of the last walk over the edges */
    struct list dirty;    /* of service_private.dirty */
    struct list execs;    /* of struct exec.link (exec.c) */
    struct list applies;  /* of struct apply.link (apply.c) */
    struct timers timers; /* CLOCK_BOOTTIME */
    struct timers dates;  /* CLOCK_REALTIME; schedule.c's */
    uint64_t came_up;     /* CLOCK_BOOTTIME */
    struct children children;
    struct alive alive;
    struct shutdown shutdown;
    size_t without_pid;  /* runs whose pid is not known yet */
    uint64_t surprises;  /* events that came where they cannot; a bug each */
    struct world *world; /* world.c's own */

    struct keeping *keeping;    /* what ringfenced holds for us */
    struct list unsaved;        /* of service_private.unsaved (state.c) */
    struct list heard;          /* of struct notify.heard (notify.c) */
    bool own_unsaved;           /* and the manager's own facts */
    struct text facts;          /* the text at hand */
    struct fault unsaved_fault; /* why the first of them is not saved; "": it will be */
    struct adoption adoption;   /* what was found when we came */
    struct leaving leaving;     /* output.c's own */
    struct logger logger;
};

int manager_add(struct manager *manager, const char *name, struct service **ret_service);
/* Services for all entries; what is there already takes its new unit as soon as it may. Nothing
 * follows from that before the next job_drain: whoever has more to say says it first. */
int manager_apply_set(struct manager *manager);
/* The first set; no service is made of it yet. */
int manager_load(struct manager *manager, struct fault *fault);
/* Reads all files, with the instances of templates that are there, and what is wrong with the
 * host's own. */
int manager_read_files(struct manager *manager, struct unit_set **ret_set, struct fault *fault);
/* The new set in the place of the old one, with a line for each mistake in the host's file;
 * consumes it. */
int manager_take_set(struct manager *manager, struct unit_set *set);
void applies_free(struct manager *manager);
/* The boot target, and what is enabled for it. */
bool manager_wants_at_boot(const struct service *service);
/* Goes on with a boot in which an earlier manager died. */
void manager_resume_boot(struct manager *manager);
/* Frees services that are down and whose file is gone. */
void manager_sweep(struct manager *manager);

/* This sandbox is gone, and with it what was to begin there: a run asks its sandbox until then. */
void manager_execs_lose(struct manager *manager, const struct sandbox *sandbox);
/* Nothing is told any more. */
void execs_free(struct manager *manager);
/* A process put beside a unit's main one, or into its sandbox while none is there; as manager_exec.
 */
int exec_begin(struct service *service, const struct run_request *request, exec_done done,
               void *context, struct fault *fault);

/* The words of what was put beside a unit's program: of the one with this context, with its pid and
 * the report of its launch (negative: none), and of all others, a line each. */
int execs_save(const struct service *service, const void *context, struct text *command,
               pid_t *ret_pid, struct text *others);
/* That is written: those that wait for it go on. */
void execs_release(struct service *service);
/* Holds again what an earlier manager has put there, as if it had begun here. */
int exec_adopt(struct service *service, const char *words, exec_done done, void *context,
               struct fault *fault);

/* Told by the reaper about every child, which it reaps afterwards. */
void manager_child_ended(struct manager *manager, pid_t pid, int wait_status);
/* Told when the time of world_alarm has come. */
void manager_alarm(struct manager *manager);
/* Told when that of world_date_alarm has, and when the clock was set meanwhile. */
void manager_dates(struct manager *manager);
/* Of all that a unit says: equal for equal units. */
uint64_t unit_digest(const struct unit *unit);
/* The alarm follows the first deadline; at the end of every event. */
void manager_event_ended(struct manager *manager);
