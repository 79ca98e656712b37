#pragma once
/* What an earlier manager left, found again: facts (state.h), sandboxes and processes
 * (runtime/adopt.h), what ringfenced kept for us and whose ends it saw (keeping.h). main.c calls it
 * once, before anybody can ask for anything.
 *
 * Each service goes on where it was: with its process, its counters, its deadlines. What was under
 * way is finished, also a launch: it waits for its facts before its last step, and who has read
 * them and its report gives the word. A build, and a launch of which no fact or no report is left,
 * are ended and begun again, which counts as no restart. What cannot be found again is ended with
 * its cgroup, and started anew if it was to be up; a line says why.
 *
 * What an earlier manager of a newer version has written in a form of its own is left alone, and so
 * is all that runs: we fail, the keeper says so and tries again, until that version is back.
 *
 * Where what is in the way may pass (no descriptor is free, no memory), nobody is ended: we fail
 * before anything has moved, and whoever starts the next manager has it tried again. Only what is
 * in the way of so many managers in a row is there to stay. */

#include <stdbool.h>
#include <stddef.h>

#include "runtime/adopt.h"
#include "supervisor/children.h"
#include "units/base/list.h"

struct fault;
struct manager;
struct run;
struct service;
struct watch;

#define ADOPT_TRIES 8
/* A program that was held up while nobody read what it says has this much time to go on, whatever
 * deadline has passed. */
#define ADOPT_GRACE 1000000 /* microseconds */

struct lost {
    char *unit, *why;
    int wanted; /* as of facts_file_is_wanted */
};

struct adoption {
    bool resumed;   /* an earlier manager of this boot was here, */
    bool newer;     /* and has written what only it can read */
    unsigned tries; /* managers in a row that could not find all again for now */
    size_t found;   /* units that are as they were */
    struct lost *lost;
    size_t lost_count;
    struct watch *exits;   /* of what ringfenced tells; NULL: nobody tells anything */
    struct list witnesses; /* of struct witness.link */
};

/* After manager_apply_set. 1: it goes on, 0: nothing was there: it boots. Services that run go on
 * where this fails, and the manager is to end at once without freeing anything. */
int manager_adopt(struct manager *manager, struct fault *fault);
/* For the control door. */
const struct adoption *manager_adoption(const struct manager *manager);
void adoption_free(struct adoption *adoption);

/* A run of an earlier manager's, also one that has ended meanwhile. Its process is claimed as a
 * child of ours would be: `ended` is called with the status that ringfenced saw, or with
 * WAIT_UNSEEN (restart.h). ended NULL: that was told before. Consumes the descriptors. */
int adopt_run(struct service *service, const char *words, struct run_saved saved, child_ended ended,
              void *context, struct run **ret_run, struct fault *fault);

/* Reads what ringfenced has to tell of ends of processes; whenever keeping_exits_fd is readable. */
void manager_read_exits(struct manager *manager);
