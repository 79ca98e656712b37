#pragma once
/* What the two files of adopt.h tell each other: adopt.c finds all services, adopt-unit.c one. */

#include "supervisor/manager-private.h"

/* One unit that an earlier manager wrote facts of: as it was, or lost. */
void adopt_unit(struct manager *manager, const char *name);
void adopt_lose(struct manager *manager, const char *unit, const char *why);
