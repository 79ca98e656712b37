#pragma once
/* What must outlive the manager, written down whenever it has changed: a manager that is killed, or
 * replaced, is followed by one that goes on (adopt.h). At the end of every event the facts of the
 * services that it touched are written, before any answer leaves us.
 *
 * A directory that is full stops nobody: what could not be written is written when it can be, and
 * status says so until then. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/service-private.h"

struct fault;
struct manager;
struct service;
struct text;

/* Something that state-table.c names may have changed. */
void state_touch(struct service *service);
void state_touch_manager(struct manager *manager);
/* Writes this one at once, before something that cannot be taken back. */
void state_save(struct service *service);
/* Writes what was touched; at the end of every event. */
void state_flush(struct manager *manager);
/* What is the manager's own, where it was touched. */
int state_save_manager(struct manager *manager, struct fault *fault);
/* All of it, for a successor that is to start at once. Fails where anything could not be written.
 */
int state_save_all(struct manager *manager, struct fault *fault);

/* The facts of a service as they would be written now, and the digest of them. */
uint64_t state_print(struct service *service, struct text *text);
/* Whether nobody would have anything to go on with: it has never been asked for. */
bool state_is_pristine(const struct service *service);
/* For status: why the facts of this one are not up to date; NULL where they are. */
const char *state_complaint(const struct service *service);

/* Descriptors that must outlive us too: ringfenced keeps copies as UNIT/KIND, behind those that it
 * has of that name. state_take: those that a predecessor stored; their count, the caller's. */
void state_hold(struct service *service, const char *kind, const int *fds, size_t count);
void state_release(struct service *service, const char *kind);
size_t state_take(struct service *service, const char *kind, int *ret_fds, size_t room);
/* The same for what goes with the words of a sandbox or a run, which stays stored until the facts
 * need it no more. owner: the run's process. */
size_t state_take_held(struct service *service, enum held_kind kind, pid_t owner, int *ret_fds,
                       size_t room);
#define STATE_SANDBOX 1 /* the owner of its own descriptors */

/* Before another sandbox takes the place of one whose end may not be written yet: what is kept of
 * the old one is no use to the new one. */
void state_renew_sandbox(struct service *service);

/* What is written now is what a predecessor has written. */
void state_set_saved(struct service *service, const char *text);
/* Nothing of it is left, and nothing need be known until it is asked for again. */
void state_forget(struct service *service);
void state_free(struct service *service);
