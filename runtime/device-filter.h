#pragma once
/* Which devices may be opened or made in a cgroup: the usual ones of a private /dev, those that the
 * unit was given, and no other. Called by the sandbox for units that were given some, and for those
 * in the host's user namespace, where a node that root makes is the device itself; elsewhere the
 * kernel honours no node that comes from inside. */

#include <stddef.h>

struct device_node;
struct fault;

/* The program (BPF_PROG_TYPE_CGROUP_DEVICE). A descriptor or -errno. */
int device_filter_load(const struct device_node *given, size_t count, struct fault *fault);
/* To a cgroup and all below it, whose program it stays as long as the cgroup is there. Programs of
 * those above, and below, have their say beside it. */
int device_filter_attach(int program, int cgroup, struct fault *fault);
