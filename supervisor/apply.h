#pragma once
/* Brings what runs to what the files say: makes a plan (plan.h) and does it as ordinary commands,
 * whose order and rules are job.h's. The control door calls it for `ringfence apply`. */

#include "supervisor/plan.h"

struct fault;

/* Called once, when all of the plan has been done; failures stand in its rows. May be called before
 * manager_apply returns. */
typedef void (*apply_done)(void *context, const struct plan *plan);

#define APPLY_DRY_RUN 1u    /* the plan alone */
#define APPLY_KEEP_GOING 2u /* what is invalid is left alone, all else is done */

/* -ENOEXEC: a file is invalid and nothing was done; -ESHUTDOWN; -ENOMEM, or what reading the
 * directories said. Then done is not called. */
int manager_apply(struct manager *manager, unsigned flags, apply_done done, void *context,
                  struct fault *fault);
/* The caller went away: the plan is done all the same. */
void manager_apply_withdraw(struct manager *manager, void *context);
