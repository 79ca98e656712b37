#pragma once
/* A profile becomes a filter program: libseccomp knows the numbers and compiles the rules about
 * arguments, a tree over ranges of numbers answers all else. Called by seccomp.c, in a process that
 * may fail. */

#include "runtime/seccomp-tree.h"
#include "units/spec.h"

struct fault;

/* capabilities: what the unit's root may have. -EINVAL with the nearest name where a call or a
 * @group is unknown, -E2BIG where the program is too long, or an error of libseccomp. */
int seccomp_compile(const struct security *security, uint64_t capabilities,
                    struct seccomp_code *ret_code, struct fault *fault);
