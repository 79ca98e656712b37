#pragma once
/* What the files of this floor know of a runtime and a sandbox; nobody else includes it. */

#include <sys/types.h>

#include "runtime/capabilities.h"
#include "runtime/cgroup.h"
#include "runtime/identity.h"
#include "runtime/namespaces.h"
#include "runtime/report.h"
#include "runtime/run.h"
#include "runtime/sandbox.h"
#include "runtime/seccomp.h"
#include "runtime/userns.h"
#include "units/base/list.h"
#include "units/base/text.h"

struct runtime {
    char *runtime_directory, *state_directory; /* absolute */
    struct strings hidden;                     /* runtime_options.hidden */
    int state;                                 /* state_directory */
    struct cgroup_root *cgroups;
    struct seccomp_cache *filters;
    struct id_ranges *ranges;
    int init;          /* the image of the init; -EBADF: not needed yet */
    int device_filter; /* without a device that one unit is given; likewise */
    struct list sandboxes;
    char boot[IDENTITY_BOOT_SIZE];
    bool missing_controllers_warn;
    bool killed_at_birth; /* what is cloned into a fresh cgroup is, here */
};

struct sandbox {
    struct list link; /* runtime.sandboxes */
    struct runtime *runtime;
    const struct container *container;
    struct cgroup *cgroup;
    /* What came of the choices: one that names a unit whose namespace is the host's is HOST. */
    enum namespace_mode modes[NAMESPACE_KINDS];
    struct id_range ids; /* count 0: the host's */
    struct capabilities capabilities;
    struct seccomp_program *filter; /* NULL: unconfined */
    struct device_node *devices;    /* until it is built: those that it is given */
    struct text notes;
    /* Held; -EBADF: the host's. NAMESPACE_PID only where it is another unit's or a path's. */
    int namespaces[NAMESPACE_KINDS];
    bool joined[NAMESPACE_KINDS]; /* somebody else's, and joined before the own user namespace */
    bool created;
    int report;           /* while building, else -EBADF */
    struct identity main; /* the last main process; valid while main_pidfd is not -EBADF */
    int main_pidfd;
    bool adopted; /* from an earlier manager, and runtime_settle was not called since */
    bool occupied[CGROUP_PARTS]; /* then: in this part a run was adopted */
};

/* One without anything in it yet. */
struct sandbox *sandbox_new(struct runtime *runtime, const struct container *container);
/* What its processes may: capabilities and filter. */
int sandbox_confine(struct sandbox *sandbox, struct fault *fault);
/* Lets go of it; what lies in the kernel's hands stays. Accepts NULL. */
void sandbox_free(struct sandbox *sandbox);
SCOPED(sandbox_free, struct sandbox *)

/* The part of the unit's cgroup where a run's processes are born. */
extern const enum cgroup_part run_parts[];

struct run {
    struct sandbox *sandbox;
    enum run_place place;
    int report;
    struct identity payload; /* pid 0: not known yet */
    int pidfd;
    bool has_init;
    struct identity program; /* with an init: its child; pid 0: not known yet */
    int program_pidfd;
    bool has_terminal, told_terminal;
    int terminal; /* the master */
    int status;   /* of the init, until it told */
    bool program_ended;
    int wait_status;      /* of the program, once it has ended */
    bool found;           /* the file */
    bool waits, released; /* for run_release; then it was called */
    int unreleased;       /* -errno where that failed */
};

struct run *run_new(struct sandbox *sandbox, enum run_place place);
/* Makes it the main process that others are put beside. */
void run_become_main(struct run *run);

/* clone3(2) without sharing memory: 0 in the child, which must end in _exit(2) or execve(2). */
struct clone_args;
pid_t process_clone(struct clone_args *arguments);
/* The same, born in a cgroup: a directory's descriptor. */
pid_t process_clone_into(const struct runtime *runtime, struct clone_args *arguments, int cgroup);

/* The names that become files below the state directory: letters, digits and "_.:@-", none that
 * leads elsewhere. */
int name_check(const char *name, struct fault *fault);

/* Where the helpers of a build put the parts of a root together, in their own mount namespace. */
#define SCRATCH_DIRECTORY "sandbox"
