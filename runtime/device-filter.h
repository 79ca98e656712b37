#pragma once
/* Which devices may be opened or made in a cgroup: the usual ones of a private /dev, and no other.
 * Called by the sandbox for units that have the host's user namespace, where a node that root makes
 * is the device itself. Elsewhere the kernel honours no node that comes from inside. */

struct fault;

/* The program (BPF_PROG_TYPE_CGROUP_DEVICE); loaded once. A descriptor or -errno. */
int device_filter_load(struct fault *fault);
/* To a cgroup and all below it, whose program it stays as long as the cgroup is there. Programs of
 * those above, and below, have their say beside it. */
int device_filter_attach(int program, int cgroup, struct fault *fault);
