#pragma once
/* What cgroup.c and cgroup-root.c share: the inside of the root, and handing controllers down. */

#include <limits.h>

#include "runtime/cgroup.h"

#define CGROUP_UNIT_PREFIX "unit-"
#define CGROUP_SLICE_PREFIX "slice-"
#define SLICES_DEEP 8

#define CGROUP_ALL ((1u << CONTROLLERS) - 1)
/* The ones that also measure: every unit has them. */
#define CGROUP_ALWAYS                                                                              \
    (1u << CONTROLLER_CPU | 1u << CONTROLLER_IO | 1u << CONTROLLER_MEMORY | 1u << CONTROLLER_PIDS)

struct cgroup_root {
    char path[PATH_MAX];
    char tree[PATH_MAX]; /* the same as /proc/PID/cgroup tells it; "" for the top of the tree */
    int fd, lock;
    bool made; /* by us or by an earlier manager of ours */
    struct controllers controllers;
};

/* Enables the controllers (bits) for the children of a directory, as far as it has them. Returns
 * the bits of all that are enabled. */
unsigned cgroup_hand_down(int directory, unsigned wanted);
/* The same from our parent down to the children of the root. */
unsigned cgroup_root_hand_down(const struct cgroup_root *root, unsigned wanted);
