#pragma once
/* A transaction before it begins: all that a start would bring up, and whether that can be. job.c
 * makes one for each start, and for the boot one of all that it starts.
 *
 *   - What is named, and what that requires, is in it for sure; what is wanted, and what that
 *     requires, is in it if it can be. At boot everything is only wanted.
 *   - Of two in it that conflict, or round a circle of dependencies, one that is only wanted is
 *     left out, with what requires it: the one that is not up yet; of two, the later by name.
 *   - Where both are in it for sure, the start is refused, and nothing of it begins. */

#include "supervisor/service-private.h"

enum transaction_part {
    PART_NONE,
    PART_LEFT_OUT, /* it was only wanted, and gave way */
    PART_WANTED,
    PART_SURE,
};

struct transaction {
    struct manager *manager;
    struct list members; /* of service_private.planned */
    bool by_person;
    bool resumed;  /* the second half of a restart: a stop that was asked for meanwhile wins */
    bool left_out; /* somebody was */
};

/* Empty before its first root. One at a time. */
void transaction_begin(struct transaction *transaction, struct manager *manager, bool by_person);
void transaction_add_root(struct transaction *transaction, struct service *service,
                          enum transaction_part part);
/* Reaches everything. -EINVAL, -ELOOP with the sentence where it cannot be. */
int transaction_make(struct transaction *transaction, struct fault *fault);
void transaction_end(struct transaction *transaction);

/* Whether a start does something to a member: it is not on its way or up already. */
bool transaction_raises(const struct transaction *transaction, const struct service *service);
