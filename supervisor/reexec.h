#pragma once
/* All programs replaced by those on disk (`ringfence reexec`): the control door asks, main.c does
 * it when the event is over. It is a crash on purpose: what the next manager needs is saved anyway.
 */

struct fault;
struct manager;

/* -EOPNOTSUPP: nobody would start the next one; -ESHUTDOWN: everything is being stopped. */
int reexec_begin(struct manager *manager, struct fault *fault);
