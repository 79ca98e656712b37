#pragma once
/* The `resources` of a unit, written into its cgroup before anything runs there. Called by the
 * sandbox. */

#include "runtime/cgroup.h"
#include "units/spec.h"

struct text;

/* Bits (1u << enum controller) of what these limits need: for cgroup_make. */
unsigned limits_controllers(const struct resources *resources);

/* directory: the unit's cgroup. A limit whose controller cannot be used is an error that names the
 * controller and says what to do; with `missing_warn`, or where only the built-in default asked for
 * it, it is a line in `notes` instead. -EOPNOTSUPP then; -errno of the write otherwise. */
int limits_apply(int directory, const struct controllers *controllers,
                 const struct resources *resources, bool missing_warn, struct text *notes,
                 struct fault *fault);
