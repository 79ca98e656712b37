#pragma once
/* Power off, reboot, halt: where ringfence is the first process (PID 1), through the keeper. */

#include <stdbool.h>

#include "units/base/fault.h"

enum machine_end { MACHINE_POWEROFF, MACHINE_REBOOT, MACHINE_HALT };

/* Whether the machine, or the container, begins and ends with us. */
bool machine_is_ours(void);

/* Asks the keeper, who then has us stop everything, as a signal from outside would; by force every
 * process is killed instead. -EOPNOTSUPP: the machine is not ours; the sentence names who may be
 * asked. */
int machine_end(enum machine_end end, bool force, struct fault *fault);
