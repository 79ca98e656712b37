#pragma once
/* Conditions of a unit on the host's files: where one does not hold when the unit's turn has come,
 * the unit is skipped, which is no failure. Asked by the cells that build and launch. */

#include "supervisor/service-private.h"

/* False: result and failure say which does not. */
bool conditions_hold(struct service *service);
