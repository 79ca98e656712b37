#pragma once
/* What ringfenced keeps for the manager while it is away: copies of descriptors, by name, and how
 * processes ended. Whoever has a descriptor that must outlive the manager stores it here; main.c
 * makes it. Without a ringfenced above us nothing is kept, and every call succeeds.
 *
 * Names are UNIT/KIND; several descriptors may have one, and keep their order. */

#include <stdbool.h>
#include <stddef.h>

#include "supervisor/keeper/protocol.h"
#include "units/base/scoped.h"

struct fault;
struct keeping;

/* Takes what the keeper handed over with exec. */
int keeping_open(struct keeping **ret_keeping, struct fault *fault);
void keeping_close(struct keeping *keeping); /* the keeper goes on keeping; accepts NULL */
SCOPED(keeping_close, struct keeping *)

/* ---- what a predecessor stored ---- */

/* All of that name, in the order in which they were stored. They are the caller's to close; the
 * keeper holds its copies until they are dropped. Their count, 0 where there is none, or -E2BIG
 * where there are more than `room`: then all of them stay. */
int keeping_take(struct keeping *keeping, const char *name, int *ret_fds, size_t room);
/* The index-th name of what nobody took, NULL past the last. */
const char *keeping_untaken(struct keeping *keeping, size_t index);
/* Closes what nobody took, here and in the keeper; how many names those were. */
int keeping_settle(struct keeping *keeping);

/* ---- for a successor ---- */

/* The descriptors stay the caller's. What is there of that name already stays too. -EINVAL: no name
 * that can be kept; -EAGAIN: the keeper does not listen. */
int keeping_store(struct keeping *keeping, const char *name, const int *fds, size_t count,
                  struct fault *fault);
/* All of that name; a "*" at its end stands for anything ("web/..." of a unit that is gone). */
void keeping_drop(struct keeping *keeping, const char *name);

/* ---- processes that the keeper reaped ---- */

/* To be polled for reading; negative without a keeper. */
int keeping_exits_fd(const struct keeping *keeping);
/* The oldest one; it stays until it is consumed, for a successor if we die in between. 1: there is
 * one, 0: not now, -EPIPE: the keeper is gone, and none will come. */
int keeping_peek_exit(struct keeping *keeping, struct keeper_exit *ret_exit);
void keeping_consume_exit(struct keeping *keeping);
