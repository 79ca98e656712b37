#pragma once
/* What it takes to bring what runs to what the unit files say: a row for every unit, made from two
 * sets of files and the states of the services, without touching any. apply.c does it. */

#include <stdbool.h>
#include <stddef.h>

struct manager;
struct service;
struct unit;
struct unit_entry;
struct unit_set;

/*   - a unit that runs is restarted where a key changed that the process or its sandbox was made
 *     from; where only policy changed (KEY_LIVE) it is updated and goes on;
 *   - a unit that does not run is started where it is new or newly wanted at boot, or failed and
 *     has changed; what a person stopped stays stopped;
 *   - what is gone, masked, or wanted at boot no more, is stopped;
 *   - what follows from that by requires, wants, part_of, conflicts is in the plan too. */
enum plan_action {
    PLAN_UNCHANGED,
    PLAN_LOAD, /* a file for a start to come */
    PLAN_START,
    PLAN_STOP,
    PLAN_RESTART,
    PLAN_UPDATE,  /* takes its new file as it is */
    PLAN_REMOVE,  /* it does not run, and its file is gone */
    PLAN_INVALID, /* a file that cannot be used; what runs of it goes on */
    PLAN_ACTIONS
};
const char *plan_action_word(enum plan_action action);

struct plan_row {
    char *name; /* "" for the host's own file */
    enum plan_action action;
    char *why;                       /* "" where there is nothing to say */
    char *failure;                   /* of what was done; NULL: none */
    struct service *service;         /* NULL: not there yet */
    const struct unit *now, *before; /* in the new and in the old files; NULL */
    const struct unit_entry *entry;  /* of the new ones */
    bool engaged;                    /* runs, or is on its way */
    bool raised;                     /* it waits to start, or stops, and a start asks for it */
    bool wanted_now, wanted_before;  /* at boot */
    /* What becomes of those that follow it where its own action does not say: PLAN_UNCHANGED where
     * nothing does. */
    enum plan_action passed_on;
    void *owner; /* apply.c's */
};

/* Sorted by name. */
struct plan {
    struct plan_row *rows;
    size_t count;
    bool invalid; /* a row is */
    bool failed;  /* memory ended */
};

/* -ENOMEM. */
int plan_make(struct manager *manager, const struct unit_set *set, struct plan *ret_plan);
void plan_free(struct plan *plan);
