#pragma once
/* What the two files of adopt.h tell each other: adopt.c finds all services, adopt-unit.c one. */

#include "supervisor/manager-private.h"

/* One unit that an earlier manager wrote facts of: as it was, or lost. Fails where it would be lost
 * for a reason that may pass. */
int adopt_unit(struct manager *manager, const char *name, struct fault *fault);
void adopt_lose(struct manager *manager, const char *unit, const char *why);
