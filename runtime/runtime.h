#pragma once
/* What all sandboxes of one manager share: its directories, its cgroup, the host ids it may hand
 * out, the seccomp programs it has compiled. Opened once by the manager. */

#include <stdbool.h>
#include <stdint.h>

#include "units/base/scoped.h"

struct fault;
struct runtime;

struct runtime_options {
    const char *runtime_directory; /* /run/ringfence: sockets, FIFOs, seccomp cache */
    const char *state_directory;   /* /var/lib/ringfence: persistent uppers, volumes, id ranges */
    const char *const *hidden;     /* directories that, as the two above, are not seen where a
                                      unit's root is the host's: logs, unit files. NULL-terminated;
                                      NULL: none */
    const char *cgroup;            /* as of cgroup_root_open (cgroup.h), ours alone;
                                      what was made is removed */
    uint32_t id_range_base, id_range_count; /* host ids for private user namespaces */
    bool missing_controllers_warn; /* a limit without its controller is a note, not an error */
};

/* -EPERM without root; -ENODEV where there is no cgroup v2. What an earlier manager left below our
 * cgroup goes on, to be adopted (runtime/adopt.h). */
int runtime_open(const struct runtime_options *options, struct runtime **ret_runtime,
                 struct fault *fault);
/* Every sandbox is gone before. Removes the cgroup if runtime_open made it. Accepts NULL. */
void runtime_close(struct runtime *runtime);
SCOPED(runtime_close, struct runtime *)

/* Once all is adopted that can be: kills and removes the units' cgroups that no sandbox has, and
 * ends what is left in an adopted one of a part of it (the unit's own life, what was put beside it,
 * probes) where no run was adopted: a run that was on its way as the earlier manager ended. Waits
 * for what was killed, 5 seconds at most: -EBUSY then. */
int runtime_settle(struct runtime *runtime, struct fault *fault);

/* The cgroup's absolute path in the file system. */
const char *runtime_cgroup(const struct runtime *runtime);

/* What a removed unit leaves: its persistent upper, its id range; its volumes too where asked. */
int runtime_forget_unit(struct runtime *runtime, const char *unit, struct fault *fault);
int runtime_remove_volume(struct runtime *runtime, const char *volume, struct fault *fault);
