#pragma once
/* struct container: all that the runtime may know of a unit. Filled by the key table, read by
 * runtime/; the policy of a service (struct unit) is out of its sight. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* items[count] is NULL, so that items is an argument vector. items may be NULL when count is 0. */
struct strings {
    char **items;
    size_t count;
};

/* A list of argument vectors. */
struct commands {
    struct strings *items;
    size_t count;
};

#define INTEGER_UNSET INT64_MIN       /* an integer key that the file did not give */
#define CAPABILITIES_UNSET UINT64_MAX /* a capability set that the file did not give */

/* ---- namespaces ---- */

enum namespace_kind {
    NAMESPACE_USER,
    NAMESPACE_MOUNT,
    NAMESPACE_PID,
    NAMESPACE_NETWORK,
    NAMESPACE_IPC,
    NAMESPACE_UTS,
    NAMESPACE_CGROUP,
    NAMESPACE_TIME,
    NAMESPACE_KINDS
};

enum namespace_mode {
    NAMESPACE_PRIVATE,
    NAMESPACE_HOST,
    NAMESPACE_UNIT,  /* unit:NAME, name is the unit's */
    NAMESPACE_PATH,  /* path:FILE or netns:FILE, name is the file's */
    NAMESPACE_RANGE, /* user only: "BASE:COUNT" */
    NAMESPACE_BRIDGE /* network only */
};

struct namespace_choice {
    enum namespace_mode mode;
    char *name;
    uint32_t base, count; /* NAMESPACE_RANGE: first host id, number of ids */
};

struct namespaces {
    struct namespace_choice choices[NAMESPACE_KINDS]; /* NETWORK is written by network.mode */
    int64_t boot_offset, monotonic_offset; /* microseconds, for a private time namespace */
};

/* ---- root ---- */

enum upper { UPPER_VOLATILE, UPPER_PERSISTENT, UPPER_NONE };

/* None of path, layers, bundle: the host's own root, read-only. */
struct rootfs {
    char *path;            /* absolute */
    struct strings layers; /* lowest first */
    char *bundle;
    bool readonly;
    enum upper upper;
    uint64_t upper_size; /* bytes */
    char *verity;
};

enum mount_type { MOUNT_BIND, MOUNT_TMPFS, MOUNT_OVERLAY };

struct mount {
    enum mount_type type;
    char *source; /* absolute host path; bind only */
    char *target; /* absolute path inside */
    bool readonly;
    bool recursive;
    uint64_t size; /* bytes; tmpfs only */
    mode_t mode;   /* of the root of a tmpfs; MODE_UNSET: 0755, or 1777 for /tmp and /var/tmp */
    char *owner;   /* "user[:group]" of the root of a tmpfs; NULL: service.user */
    struct strings layers;
    bool optional;
    struct strings options;
};
#define MODE_UNSET ((mode_t)-1)

struct volume {
    char *name;
    char *target;
    bool readonly;
    mode_t mode;
    char *owner; /* NULL: service.user */
};

struct secret {
    char *name, *source, *target;
    mode_t mode;
    char *owner;
};

struct device {
    char *path;
    char *access; /* letters of "rwm" */
};

/* ---- network ---- */

#define SOCKETS_MAX 64 /* of one unit */

struct network {
    char *name; /* network.network, for bridge */
    struct strings publish;
    struct strings sockets;
    bool sockets_lazy;
    uint64_t idle_stop;
    char *address;
    struct strings dns, hosts;
    struct strings sysctl; /* "key=value", keys of the network and ipc namespaces only */
};

/* ---- limits; names and meanings of cgroup v2 (kernel documentation, admin-guide/cgroup-v2) ----
 */

struct io_limit {
    char *device;                      /* path of a block device, or "MAJOR:MINOR" */
    uint64_t rbps, wbps, riops, wiops; /* per second; SIZE_NONE: max */
};

struct io_limits {
    struct io_limit *items;
    size_t count;
};

struct resources {
    uint64_t memory_max, memory_high, memory_low, memory_min, swap_max; /* bytes; UNSET below */
    uint64_t cpu_quota; /* microseconds in each 100 ms; LIMIT_UNSET: none asked, SIZE_NONE: max */
    int64_t cpu_weight; /* INTEGER_UNSET, or 1..10000 */
    char *cpuset_cpus, *cpuset_mems;
    int64_t io_weight;
    struct io_limits io_max;
    int64_t pids_max;           /* 0: max */
    bool pids_max_is_default;   /* asked for by the built-in default alone */
    struct strings hugetlb_max; /* "2MB=64M" */
    bool oom_group;
    char *slice; /* NULL: directly below the root of ringfence's cgroups */
};
#define LIMIT_UNSET (UINT64_MAX - 1) /* a limit that the file did not give: nothing is written */

/* ---- security ---- */

enum seccomp_profile { SECCOMP_DEFAULT, SECCOMP_STRICT, SECCOMP_UNCONFINED, SECCOMP_FILE };
enum seccomp_action { SECCOMP_ENFORCE, SECCOMP_LOG, SECCOMP_KILL };
enum keyring { KEYRING_PRIVATE, KEYRING_INHERIT };

struct landlock_rule {
    char *path;
    char *access; /* letters of "rwm" */
};

/* Where others can enter a writable rootfs.path. */
#define FINDING_OPEN_ROOT "open-root"

struct security {
    uint64_t capabilities;      /* exact set, a bit per capability number; CAPABILITIES_UNSET */
    uint64_t capabilities_add;  /* 0 when not given */
    uint64_t capabilities_drop; /* 0 when not given */
    uint64_t ambient;
    bool no_new_privileges;
    enum seccomp_profile seccomp;
    char *seccomp_file;
    struct strings seccomp_allow, seccomp_deny;
    enum seccomp_action seccomp_mode;
    char *apparmor, *selinux;
    struct strings masked_paths, readonly_paths; /* added to the built-in sets */
    enum keyring keyring;
    struct strings accept; /* FINDING_* */
    struct {
        struct landlock_rule *items;
        size_t count;
    } landlock;
};

/* ---- the process ---- */

struct resource_limit {
    int resource;        /* RLIMIT_* */
    uint64_t soft, hard; /* RLIM_INFINITY for "infinity" */
};

struct resource_limits {
    struct resource_limit *items;
    size_t count;
};

enum standard_input { STDIN_NULL };

struct process {
    struct strings exec;
    char *user, *group; /* names are looked up inside the root; digits are ids. group may be NULL */
    struct strings supplementary_groups;
    char *working_directory;
    struct strings environment; /* "K=V" */
    struct strings environment_files;
    mode_t umask;
    char *hostname; /* NULL: the unit's name */
    bool init, tty;
    enum standard_input standard_input;
    int64_t oom_score_adjust, nice; /* INTEGER_UNSET: 0; as the manager's */
    char *cpu_scheduling, *io_priority;
    struct resource_limits rlimits;
};

struct container {
    char *name; /* the unit's: [A-Za-z0-9][A-Za-z0-9_.:-]{0,63}, perhaps with @ARG */
    struct process process;
    struct rootfs rootfs;
    struct {
        struct mount *items;
        size_t count;
    } mounts;
    struct {
        struct volume *items;
        size_t count;
    } volumes;
    struct {
        struct secret *items;
        size_t count;
    } secrets;
    struct {
        struct device *items;
        size_t count;
    } devices;
    struct namespaces namespaces;
    struct network network;
    struct resources resources;
    struct security security;
};
