#pragma once
/* System call filters: compiled once for each distinct profile, kept in memory and on disk, and
 * installed by the child. Called by the runtime, the sandbox and the run's stage. */

#include <linux/filter.h>

#include "units/base/scoped.h"
#include "units/spec.h"

struct fault;
struct seccomp_cache;

/* Immutable, shared by reference. */
struct seccomp_program {
    struct sock_fprog filter;
};

/* directory: RUNTIME_DIR/seccomp, made if absent (0700). Without it nothing is kept on disk. */
int seccomp_cache_open(const char *directory, struct seccomp_cache **ret_cache,
                       struct fault *fault);
/* Programs that are still referenced stay valid. Accepts NULL. */
void seccomp_cache_close(struct seccomp_cache *cache);
SCOPED(seccomp_cache_close, struct seccomp_cache *)

/* The program for a unit, NULL for an unconfined one. capabilities: the bounding set of its root
 * (capabilities.h); those that matter let more calls through. A profile that was never seen is
 * compiled by a helper process, which takes some milliseconds. -EINVAL with the nearest name where
 * a call or @group is unknown; -ETIMEDOUT or -EPROTO where the helper fails. */
int seccomp_get(struct seccomp_cache *cache, const struct security *security, uint64_t capabilities,
                struct seccomp_program **ret_program, struct fault *fault);
/* Accepts NULL. */
void seccomp_unref(struct seccomp_program *program);
SCOPED(seccomp_unref, struct seccomp_program *)

/* In the child: one system call. Wants no_new_privs, or CAP_SYS_ADMIN in the user namespace: with
 * no_new_privs last of all, without it before the capabilities are dropped. NULL: nothing. 0 or
 * -errno. */
int seccomp_install(const struct seccomp_program *program);
