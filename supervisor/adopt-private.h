#pragma once
/* What the two files of adopt.h tell each other: adopt.c finds all services, adopt-unit.c one. */

#include "supervisor/manager-private.h"

/* One unit that an earlier manager wrote facts of: as it was, or lost. Fails where it would be lost
 * for a reason that may pass. */
int adopt_unit(struct manager *manager, const char *name, struct fault *fault);
/* What is written of it (NULL: of the manager) only a newer version can read: nothing is touched,
 * and we are to end. -EAGAIN; the sentence goes on with what was read. */
int adopt_leave(struct manager *manager, const char *unit, struct fault *fault);
void adopt_lose(struct manager *manager, const char *unit, const char *why);
