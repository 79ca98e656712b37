#pragma once
/* The loop, the set of services, and the commands that a person may give. main.c makes it, the
 * control door (bus*.c) calls it. */

#include <systemd/sd-event.h>

#include "supervisor/health.h"
#include "supervisor/service.h"
#include "units/set.h"

struct manager_options {
    const char *const *unit_directories; /* NULL-terminated; NULL: the standard path */
    const char *runtime_directory, *state_directory, *log_directory;
    const char *cgroup;      /* NULL: chosen by runtime_open */
    const char *host_file;   /* --config */
    const char *boot_target; /* instead of what the host's file says; NULL */
    int log_level;
    bool foreground;
};

struct manager {
    sd_event *event;
    struct manager_options options;
    struct runtime *runtime;
    struct unit_set *set;
    struct list services;            /* of struct service.link, sorted by name */
    struct bus *bus;                 /* the control door; NULL in tests */
    struct boot *boot;               /* early boot, and its times; NULL in tests */
    bool continues;                  /* another manager booted before this one */
    bool stopping;                   /* everything is being stopped; no new start is taken */
    struct manager_private *private; /* the engine's own */
};

int manager_new(const struct manager_options *options, struct runtime *runtime, sd_event *event,
                struct manager **ret_manager);
/* Nothing runs any more. Accepts NULL. */
void manager_free(struct manager *manager);
SCOPED(manager_free, struct manager *)
/* Starts what the boot target wants, in one transaction. */
void manager_boot(struct manager *manager);

/* The service of that name or second name; NULL where there is none. */
struct service *manager_lookup(struct manager *manager, const char *name);
/* The same; an instance of a template is loaded on the way. */
struct service *manager_find(struct manager *manager, const char *name);

/* Calls for every reason why a unit waits for another, unit by unit; the rows of a pair follow each
 * other. kind: requires, binds-to, wants, after, shares. */
typedef void (*dependency_visitor)(void *context, const char *unit, const char *kind,
                                   const char *other);
void manager_visit_dependencies(struct manager *manager, dependency_visitor visitor, void *context);

/* ---- commands: a person's word; each clears restart counters of what it names ---- */

enum command { COMMAND_START, COMMAND_STOP, COMMAND_RESTART, COMMAND_RELOAD };

/* Called once, when the transaction has ended: error 0 or -errno, with a sentence. */
typedef void (*command_done)(void *context, int error, const struct fault *fault);

/* -ENOENT no such unit, -ENOEXEC the unit is invalid, -ESHUTDOWN the manager is stopping, -EINVAL
 * or -ELOOP what it would start conflicts or goes round in a circle (transaction.h); these come at
 * once and done is not called. done may be NULL. Start is done when the unit is ready; stop when
 * its cgroup is empty. context must outlive the transaction or be withdrawn. */
int manager_command(struct manager *manager, enum command command, const char *name,
                    command_done done, void *context, struct fault *fault);
/* The same of one that may have been given before, to a manager that died: it is done once. token:
 * one of orders.h. */
int manager_order(struct manager *manager, enum command command, const char *name,
                  const char *token, command_done done, void *context, struct fault *fault);
void manager_withdraw(struct manager *manager, void *context); /* the caller went away */

int manager_kill(struct manager *manager, const char *name, int signal, bool all,
                 struct fault *fault);
/* To the terminal of a unit that runs: a copy of its master, to type into and to set the size of,
 * and a stream socket that brings all output from now on and ends with the run. -ENOTTY: the unit
 * has no terminal. */
int manager_attach(struct manager *manager, const char *name, int *ret_terminal, int *ret_output,
                   struct fault *fault);
int manager_pause(struct manager *manager, const char *name, bool pause, struct fault *fault);
/* A stopped unit to removed: upper, id range, logs stay or go as asked. -EBUSY while it runs. */
int manager_remove(struct manager *manager, const char *name, bool volumes, struct fault *fault);
/* The volumes of stopped units, unless a unit that is not named has one of them too: then all stay,
 * -EBUSY. */
int manager_remove_volumes(struct manager *manager, char *const *names, struct fault *fault);
/* Reads all unit files again: running units keep their unit until their next start. */
int manager_reload(struct manager *manager, struct fault *fault);
int manager_stop_all(struct manager *manager); /* in reverse order; the loop ends when done */

/* A process beside a running unit (`ringfence exec`). done gets the wait status (as of waitpid(2))
 * or -errno where it could not be launched. */
typedef void (*exec_done)(void *context, int error, int wait_status, const struct fault *fault);
int manager_exec(struct manager *manager, const char *name, const struct run_request *request,
                 exec_done done, void *context, struct fault *fault);
/* SIGKILL to the exec'ed process whose client went away; done is not called any more. */
void manager_exec_abandon(struct manager *manager, void *context);
int manager_exec_signal(struct manager *manager, void *context, int signal, struct fault *fault);

/* ---- told to the control door ---- */

/* Every transition of every service, for the events verb and property changes. */
void bus_service_changed(struct bus *bus, struct service *service, enum service_state before);
/* Its health became another; before the transition that follows from it. */
void bus_health_changed(struct bus *bus, struct service *service, enum health_state before);
/* All that was told, and all answers, leave now: the facts are written. Accepts NULL. */
void bus_tell(struct bus *bus);
