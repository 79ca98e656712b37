#pragma once
/* Commands, boot and recovery as goals of services, and the order in which goals are reached.
 *
 * There is no queue of jobs: a service has a goal (service-private.h), and whenever something
 * changed, those whose edges touch it are looked at again. A service starts the moment the last one
 * it waits for is ready, and stops the moment the last one that needs it is down; all else goes in
 * parallel. The rules where goals meet:
 *
 *   - A stop always wins: it cancels a start that is under way (whose caller is told -ECANCELED),
 *     and nothing automatic (a restart after a crash, a recovery, a dependency of something else
 *     that comes up by itself) starts what is going down.
 *   - A person's start of what is going down does not cut the stop short: it follows the stop.
 *   - A restart of what is up is a stop and then a start; of what is coming up, nothing more; of
 *     what is down, a start.
 *   - A start reaches what it requires and wants; a stop, what requires it, is bound to it or is
 *     part of it; a restart, those of them that are up.
 *   - A start stops what conflicts, with all that goes with it, and waits until it is gone; what
 *     that cannot be is refused, or left out, before anything begins (transaction.h).
 *   - What is bound to one that died of its own stops with it; it comes back when that one does.
 *   - What failed, or was stopped, for a dependency is started when that one is up again.
 *   - While everything is being stopped, nothing starts.
 *   - A start has ended when the service is ready or its first attempt has failed, its own or that
 *     of something it requires; the service itself goes on as its policy says. */

#include "supervisor/manager-private.h"

struct request {
    struct list link; /* service_private.requests */
    enum command command;
    command_done done; /* NULL once withdrawn */
    void *context;
    bool late;     /* a reload that came while another one was at work: the next one is its own */
    bool reloaded; /* its own has ended, whatever follows, */
    char *failure; /* and how, in words; NULL: well */
};

/* -EINVAL, -ELOOP: what it would bring up conflicts, or goes round in a circle; nothing began. */
int job_try_start(struct service *service, bool by_person, struct fault *fault);
int job_try_restart(struct service *service, bool by_person, struct fault *fault);
/* The same where nobody hears it: what is refused is logged, kept as the failure, and false. */
bool job_start(struct service *service, bool by_person);
bool job_restart(struct service *service, bool by_person);
void job_stop(struct service *service);
/* All that is wanted at boot, as one transaction. */
void job_boot(struct manager *manager, bool (*is_wanted)(const struct service *service));
void job_stop_all(struct manager *manager);
/* Those that live in this service's namespaces are cycled; true while any holds a sandbox. */
bool job_release_sharers(struct service *service);

/* done is called from a later job_drain. */
int job_wait(struct service *service, enum command command, command_done done, void *context);

/* The present reload has ended, and perhaps another one follows it. */
void job_end_reload(struct service *service);

/* Told by service_enter: neighbours are looked at, failed dependents recover. */
void job_state_changed(struct service *service);
void job_touch(struct service *service);

/* Moves everything that can move. At the end of every event; a nested call does nothing. */
void job_drain(struct manager *manager);
