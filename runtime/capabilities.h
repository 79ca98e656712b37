#pragma once
/* Capability sets: worked out before the clone, applied in the child in two moments around the
 * change of user. Called by the sandbox and by the run's stage. */

#include "units/spec.h"

struct fault;

/* A bit per capability number. permitted and effective are the same set. For root, exec(2) keeps
 * what is in the bounding set; for others only what is ambient survives exec. */
struct capability_sets {
    uint64_t bounding, permitted, inheritable, ambient;
};

struct capabilities {
    unsigned last;                      /* the kernel's highest capability number */
    struct capability_sets root, other; /* for user id 0 inside, and for any other */
};

/* What root has when the file says nothing (UNITS.md, "Safe when empty"). */
extern const uint64_t capabilities_root_default;

/* -EINVAL where a capability is unknown to the kernel, or ambient but not in the set. ambient
 * capabilities are added to the default set, but never to an exact one. */
int capabilities_prepare(const struct security *security, struct capabilities *ret_capabilities,
                         struct fault *fault);

/* What the user gets. */
const struct capability_sets *capabilities_for(const struct capabilities *capabilities, uid_t uid);

/* In the child, before setresuid(2): lowers the bounding set, asks to keep the permitted set over
 * the change of user. Needs CAP_SETPCAP. */
int capabilities_lower(const struct capabilities *capabilities, const struct capability_sets *sets,
                       struct fault *fault);
/* In the child, after setresuid(2): permitted, effective, inheritable and ambient. */
int capabilities_apply(const struct capability_sets *sets, struct fault *fault);
