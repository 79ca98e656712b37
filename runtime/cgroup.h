#pragma once
/* Control groups, version 2: the root that is ours, a directory for each unit below it. Called by
 * the sandbox; all work goes through held directory descriptors, and nothing here waits.
 *
 *     ROOT/[slice-NAME/...]unit-NAME/{main,aux,probe}
 *
 * Limits lie on unit-NAME. The life of a unit is main; helpers are in aux; probe is made with the
 * first health probe, so that all that one left can be ended without anything else. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "units/base/names.h"
#include "units/base/scoped.h"

struct fault;
struct oom_victim;

/* ---- controllers ---- */

enum controller {
    CONTROLLER_CPU,
    CONTROLLER_CPUSET,
    CONTROLLER_IO,
    CONTROLLER_MEMORY,
    CONTROLLER_PIDS,
    CONTROLLER_HUGETLB,
    CONTROLLERS
};
extern const struct names controller_names;

enum controller_state {
    CONTROLLER_ABSENT,   /* not in this kernel, or disabled on its command line */
    CONTROLLER_ON_V1,    /* the host has bound it to cgroup v1 */
    CONTROLLER_NOT_OURS, /* cgroup v2 has it, but our parent does not hand it down */
    CONTROLLER_USABLE
};

struct controllers {
    enum controller_state states[CONTROLLERS];
};

/* ---- the root ---- */

struct cgroup_root;

/* path: absolute, inside a mounted cgroup v2 tree, or "../NAME" for one beside the caller's own;
 * made if absent. NULL: "ringfence" below the caller's own cgroup, or below the root of the tree
 * where the caller's own cannot hand controllers down (a cgroup that holds processes cannot).
 * -ENODEV where no cgroup v2 is mounted. */
int cgroup_root_open(const char *path, struct cgroup_root **ret_root, struct fault *fault);
/* Whether that unit, or a unit in that slice, is somebody's; path: relative to the root. */
typedef bool (*cgroup_owned)(const void *context, const char *path);
/* Kills and removes all units and slices but those that are somebody's: what an earlier manager
 * left. Waits for the killed processes, 5 seconds at most: -EBUSY then. */
int cgroup_root_clean(struct cgroup_root *root, cgroup_owned is_owned, const void *context,
                      struct fault *fault);
/* Removes the directory if cgroup_root_open made it and it is empty. Accepts NULL. */
void cgroup_root_close(struct cgroup_root *root);
SCOPED(cgroup_root_close, struct cgroup_root *)

const char *cgroup_root_path(const struct cgroup_root *root);
int cgroup_root_fd(const struct cgroup_root *root);
const struct controllers *cgroup_root_controllers(const struct cgroup_root *root);

/* ---- a unit's cgroup ---- */

struct cgroup;

enum cgroup_part { CGROUP_UNIT, CGROUP_MAIN, CGROUP_AUX, CGROUP_PROBE, CGROUP_PARTS };

/* Makes the directories; what an earlier sandbox of that name left is killed and removed first
 * (-EBUSY while it is still dying). slice may be NULL, or "a/b" of [A-Za-z0-9_+-][A-Za-z0-9_+.-]*
 * each. `controllers` (bits of enum controller, see limits_controllers) are handed down to the unit
 * as far as they are usable; cpu, io, memory and pids always are, for the figures. */
int cgroup_make(struct cgroup_root *root, const char *slice, const char *unit, unsigned controllers,
                struct cgroup **ret_cgroup, struct fault *fault);
/* Takes over the directories that an earlier manager made. id, kills: as its cgroup_id and
 * cgroup_kills told. -ESTALE where they are gone, or are not the same ones. */
int cgroup_adopt(struct cgroup_root *root, const char *slice, const char *unit, uint64_t id,
                 const unsigned kills[CGROUP_PARTS], struct cgroup **ret_cgroup,
                 struct fault *fault);
/* After the limits are written: gives the slices and the root as much memory.low and memory.min as
 * their units have together, without which the unit's own would protect nothing. */
int cgroup_protect(struct cgroup *cgroup, struct fault *fault);
/* Removes the directories, and the slices that nobody uses any more. -EBUSY while processes are in
 * it: nothing is freed then. Frees it on 0. */
int cgroup_remove(struct cgroup *cgroup, struct fault *fault);
/* Forgets it without removing it. Accepts NULL. */
void cgroup_free(struct cgroup *cgroup);
SCOPED(cgroup_free, struct cgroup *)

const char *cgroup_path(const struct cgroup *cgroup);     /* absolute, of the unit's directory */
const char *cgroup_relative(const struct cgroup *cgroup); /* the same, relative to the root */
int cgroup_fd(const struct cgroup *cgroup);               /* the unit's directory; borrowed */
/* The kernel's number of the directory, which no other has until the next boot. */
uint64_t cgroup_id(const struct cgroup *cgroup);
/* How often something was killed in each part: where the next one is born depends on it. */
const unsigned *cgroup_kills(const struct cgroup *cgroup);
/* A new descriptor of one directory; the caller closes it. */
int cgroup_open(const struct cgroup *cgroup, enum cgroup_part part, struct fault *fault);
/* A new descriptor of the directory that a process of a part is to be cloned into
 * (CLONE_INTO_CGROUP); the caller closes it. The part itself, until something was killed there;
 * then a fresh one below it: since the kernel looks for forks that race with cgroup.kill (6.14, and
 * the stable kernels of early 2025), it compares a count of kills of the parent's cgroup with that
 * of the new one, and where they differ the child is killed at birth. */
int cgroup_open_birthplace(struct cgroup *cgroup, enum cgroup_part part, struct fault *fault);
/* Processes are to be born in fresh directories from now on: one was killed at birth. */
void cgroup_renew(struct cgroup *cgroup);

/* cgroup.events of main, for EPOLLPRI: main became empty or not; borrowed. */
int cgroup_events_fd(const struct cgroup *cgroup);
/* A new descriptor of cgroup.events of any part; the caller closes it. */
int cgroup_open_events(const struct cgroup *cgroup, enum cgroup_part part, struct fault *fault);

/* 1: there are processes in that part, 0: none, -errno. */
int cgroup_is_populated(const struct cgroup *cgroup, enum cgroup_part part);
/* 1: the process, perhaps a zombie, is in that part; 0: elsewhere; -ESRCH: nowhere; -errno. */
int cgroup_holds(const struct cgroup *cgroup, enum cgroup_part part, pid_t pid);
/* How many processes the out-of-memory killer ended in the unit; 0 without memory controller. */
uint64_t cgroup_oom_kills(const struct cgroup *cgroup);
/* The last of them, where the kernel's log tells it. */
bool cgroup_oom_victim(const struct cgroup *cgroup, struct oom_victim *ret_victim);

/* SIGKILL to everything in that part, atomically, frozen or not (cgroup.kill, 5.14). */
int cgroup_kill(struct cgroup *cgroup, enum cgroup_part part, struct fault *fault);
/* Moves the calling process into a directory that was opened. Blocks for some 10 ms. */
int cgroup_enter(int directory, struct fault *fault);
/* Stops or lets go all processes of main. It is done when cgroup.events says `frozen 1`. */
int cgroup_freeze(const struct cgroup *cgroup, bool freeze, struct fault *fault);
/* Whether that was asked for last, by whomever: 1, 0, -errno. */
int cgroup_freezes(const struct cgroup *cgroup);
/* 1: main is frozen, 0: not (yet), -errno. */
int cgroup_is_frozen(const struct cgroup *cgroup);
/* The signal once to each process of main and of what it made below. */
int cgroup_signal_all(const struct cgroup *cgroup, int signal, pid_t spared, struct fault *fault);
