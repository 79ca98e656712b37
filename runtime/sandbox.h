#pragma once
/* THE door: a unit's namespaces, root and cgroup, held by descriptors, with or without a process
 * in them. The supervisor builds one, runs processes in it (runtime/run.h), stops and removes it.
 * No call here blocks: a build goes on in a helper process, its end is an event on a descriptor. */

#include <stddef.h>

#include "runtime/runtime.h"
#include "units/spec.h"

struct sandbox;
struct text;

/* ---- build and remove ---- */

/* Where the host directory given to sandbox_build as `notify_directory` is seen inside (read-only):
 * the supervisor keeps the unit's notify socket there. It lies in /dev because that is always
 * ours, whatever the root is. */
#define SANDBOX_NOTIFY_DIRECTORY "/dev/ringfence"

/* Starts to build. notify_directory may be NULL. The container must stay valid until
 * sandbox_remove. joined[kind] is the sandbox whose namespace is shared, where the choice is
 * NAMESPACE_UNIT, else NULL. Fails at once, with a sentence, where the cgroup or its limits cannot
 * be made. */
int sandbox_build(struct runtime *runtime, const struct container *container,
                  struct sandbox *const joined[NAMESPACE_KINDS], const char *notify_directory,
                  struct sandbox **ret_sandbox, struct fault *fault);

enum sandbox_progress { SANDBOX_CREATED, SANDBOX_BUILDING };

/* Readable (EPOLLIN) when sandbox_advance has something to do; valid while building. */
int sandbox_report_fd(const struct sandbox *sandbox);
/* SANDBOX_CREATED, SANDBOX_BUILDING (call again when the descriptor is readable), or -errno with
 * "step: object: why"; then only sandbox_remove is left to call. */
int sandbox_advance(struct sandbox *sandbox, struct fault *fault);

/* Things a person should know though the unit runs: "pids_max is not enforced: ...". Lines. */
const char *sandbox_notes(const struct sandbox *sandbox);

/* Kills what is left in it, removes the cgroup, lets the namespaces and the volatile upper go.
 * 0, or -EBUSY while killed processes are still dying: call again when sandbox_events_fd says so,
 * and after some milliseconds in any case, since it tells nothing of those that were put beside.
 * Frees the sandbox on 0. */
int sandbox_remove(struct sandbox *sandbox, struct fault *fault);

/* ---- what goes on in it ---- */

/* cgroup.events, for EPOLLPRI: populated, frozen or out-of-memory changed. */
int sandbox_events_fd(const struct sandbox *sandbox);
/* 1: the unit's own processes (not those that were put beside them) exist, 0: none, -errno. */
int sandbox_is_populated(struct sandbox *sandbox);
/* Number of processes that the kernel's out-of-memory killer ended here since the build. */
uint64_t sandbox_oom_kills(struct sandbox *sandbox);
/* "dd, process 123": whom the kernel killed last for want of memory, as its log tells. Nothing
 * where that cannot be read. */
void sandbox_oom_describe(const struct sandbox *sandbox, struct text *text);

/* All of the unit's own processes but its init. */
int sandbox_signal_all(struct sandbox *sandbox, int number, struct fault *fault);
int sandbox_kill(struct sandbox *sandbox, struct fault *fault); /* cgroup.kill: everything, now */
int sandbox_freeze(struct sandbox *sandbox, bool freeze, struct fault *fault);
/* Whether it was frozen last, and not let go: 1, 0, -errno. */
int sandbox_is_frozen(const struct sandbox *sandbox);

/* Ends the run of RUN_PROBE and whatever it began, and nothing else. */
int sandbox_kill_probe(struct sandbox *sandbox, struct fault *fault);
/* socket(2) in the unit's network namespace, non-blocking, closed on exec. No process is needed for
 * it; the caller has one thread. */
int sandbox_socket(const struct sandbox *sandbox, int family, int type, struct fault *fault);

/* LIMIT_UNSET (units/spec.h) where the kernel does not tell. */
struct sandbox_stats {
    uint64_t memory_current, memory_peak, memory_max; /* bytes */
    uint64_t swap_current;
    uint64_t cpu_usec, cpu_user_usec, cpu_system_usec, cpu_throttled_usec;
    uint64_t pids_current, pids_peak, pids_max;
    uint64_t io_read_bytes, io_written_bytes;
};
void sandbox_stats(struct sandbox *sandbox, struct sandbox_stats *ret_stats);

/* ---- facts, for inspect and ns ---- */

const char *sandbox_cgroup(const struct sandbox *sandbox); /* absolute path */
/* The inode of a namespace, 0 where it is the host's or unknown; pid: of the running main process.
 */
uint64_t sandbox_namespace_inode(const struct sandbox *sandbox, enum namespace_kind kind);
/* First host id and number of ids of the private user namespace; false where there is none. */
bool sandbox_id_range(const struct sandbox *sandbox, uint32_t *ret_base, uint32_t *ret_count);
