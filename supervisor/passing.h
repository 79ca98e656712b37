#pragma once
/* Which failures are worth another try by and by, as it is: asked by whoever would give something
 * up otherwise. */

#include <stdbool.h>

/* What the machine lacks now (memory, descriptors, room) it may have soon. Of -errno. */
bool error_may_pass(int error);
