#pragma once
/* The helper that builds a sandbox, seen by its steps. It is root, a process of its own, in a mount
 * and a pid namespace that nobody else sees, until it enters the unit's user namespace. */

#include <stdbool.h>

#include "runtime/userns.h"
#include "units/spec.h"

struct fault;
struct runtime;
struct device_node;

struct build {
    const struct runtime *runtime;
    const struct container *container;
    enum namespace_mode modes[NAMESPACE_KINDS]; /* as sandbox.modes */
    struct id_range ids;                        /* count 0: the host's */
    const struct device_node *devices;          /* container.devices, as they are on the host */
    int user;                                   /* the user namespace; -EBADF: the host's */
    int joined[NAMESPACE_KINDS];
    int ipc_mounts; /* mount namespace of the unit whose ipc is shared; -EBADF: none */
    int report;
    int notify; /* the mount that becomes SANDBOX_NOTIFY_DIRECTORY; -EBADF: none */
    int proc;   /* procfs of this helper's own pid namespace: empty once the helper is gone */
    int null;   /* a detached mount of a verified /dev/null, to cover files with */
    int cgroup; /* a detached mount of the host's cgroups, where the unit sees those */

    int scratch;     /* a tmpfs: what a root is put together from lies there */
    int root;        /* the unit's root, attached; -EBADF: the host's mount namespace is used */
    bool extendable; /* missing mount targets can be made */
    bool seal_root;  /* made writable for the targets; read-only once they are there */
};

/* Runs the steps, reports and ends. */
_Noreturn void build_run(struct build *build);

/* A line a person should know. */
void build_note(const struct build *build, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An id inside as the host sees it; that of root inside for one that is beyond the range. */
uid_t build_host_id(const struct build *build, uid_t id);

/* Steps, each in the file of its subject. */
int rootfs_assemble(struct build *build, struct fault *fault);
int rootfs_seal(struct build *build, struct fault *fault);
int rootfs_enter(struct build *build, struct fault *fault);
int devices_mount(struct build *build, struct fault *fault);
int kernel_mount_references(struct build *build, struct fault *fault);
int kernel_mount(struct build *build, struct fault *fault);
int mounts_apply(struct build *build, struct fault *fault);
int network_apply(struct build *build, struct fault *fault);
