#pragma once
/* What a later manager needs to hold sandboxes and runs again: descriptors that somebody keeps, and
 * a line of words for each. Called by the supervisor when it writes down its facts, and when it is
 * started among what an earlier one left.
 *
 * An order: runtime_open, sandbox_adopt of all, run_adopt of each one's main process, then of those
 * beside it, runtime_settle. The directory that was given to sandbox_build as notify_directory is
 * bound inside as the directory that it was: keep it; what lies in it may be made anew. */

#include <errno.h>

#include "runtime/run.h"
#include "runtime/sandbox.h"

struct text;

#define SANDBOX_SAVED_MAX NAMESPACE_KINDS

/* Of a run; -EBADF: there is none. */
struct run_saved {
    int status; /* where its init tells how the program ended: without it no more is learned than
                   the init's exit code */
    int report; /* of a launch under way (run_waits): without it nobody knows how that ended */
};
#define RUN_SAVED_NONE ((struct run_saved){-EBADF, -EBADF})

/* The words are appended; the descriptors stay the sandbox's. -EBUSY while it is being built:
 * that dies with its manager. -ENOMEM. */
int sandbox_save(const struct sandbox *sandbox, struct text *words,
                 int fds[static SANDBOX_SAVED_MAX], size_t *ret_count);

/* container: as it was at the build. Consumes the descriptors, on failure too. Without any (nobody
 * kept them) the namespaces are those of the main process that the words name, if it still runs:
 * they end with it unless this sandbox holds them. -ESTALE where there is nothing left of it, or
 * not the same: of another boot, another cgroup, another range of ids. -EINVAL where the words are
 * none of ours. */
int sandbox_adopt(struct runtime *runtime, const struct container *container, const char *words,
                  const int *fds, size_t count, struct sandbox **ret_sandbox, struct fault *fault);

/* The same of a run that waits, was released, or has executed; -EBUSY before. */
int run_save(const struct run *run, struct text *words, struct run_saved *ret_saved);

/* -ESRCH where the process is gone, be its number another's by now; -EXDEV where it is not in the
 * place that is its own in this sandbox; -ENOLINK where it was on its way and its report is gone. A
 * zombie that is not reaped yet is adopted. One that was on its way is to be watched and released
 * as if it had been started here. Consumes the descriptors, on failure too. */
int run_adopt(struct sandbox *sandbox, const char *words, struct run_saved saved,
              struct run **ret_run, struct fault *fault);

/* The same of one whose process is gone: nothing can be sent to it, and its end is still to be
 * told. What lives in its place is what it has left behind. */
int run_adopt_gone(struct sandbox *sandbox, const char *words, struct run_saved saved,
                   struct run **ret_run, struct fault *fault);

/* The process that the words of a run mean, for those that are gone. 0 or -EINVAL; -ESTALE where it
 * was before this boot. */
int run_saved_process(const char *words, pid_t *ret_pid, uint64_t *ret_start_time);
