#include <assert.h>

#include "units/base/names.h"
#include "units/keys.h"
#include "units/kinds.h"

#define AT(member) offsetof(struct unit, member)
#define CHOICE(kind) offsetof(struct unit, container.namespaces.choices[kind])
#define IN_LANDLOCK(member) offsetof(struct landlock_rule, member)

static const char *const action_words[] = {
    [SECCOMP_ENFORCE] = "enforce",
    [SECCOMP_LOG] = "log",
    [SECCOMP_KILL] = "kill",
};
static_assert(ELEMENTS(action_words) == SECCOMP_KILL + 1, "a word for every action");
static const struct names actions = NAMES(action_words);

static const char *const keyring_words[] = {
    [KEYRING_PRIVATE] = "private",
    [KEYRING_INHERIT] = "inherit",
};
static_assert(ELEMENTS(keyring_words) == KEYRING_INHERIT + 1, "a word for every keyring");
static const struct names keyrings = NAMES(keyring_words);

const struct key namespace_keys[NAMESPACE_KEYS] = {
    {"user", &kind_user_namespace, CHOICE(NAMESPACE_USER), .fallback = "private", .since = "0.1",
     .doc = "Whose user ids: a range of 65,536 host ids of the unit's own (private), the host's "
            "(host), a range of one's choice (\"BASE:COUNT\"), or those of another unit "
            "(\"unit:NAME\", implied by sharing its network or ipc namespace)."},
    {"pid", &kind_namespace, CHOICE(NAMESPACE_PID), .fallback = "private", .since = "0.1",
     .doc = "Which processes are seen: \"private\", \"host\", \"unit:NAME\" or \"path:FILE\"."},
    {"mount", &kind_namespace, CHOICE(NAMESPACE_MOUNT), .fallback = "private", .since = "0.1",
     .doc = "Which mounts are seen; the same choices."},
    {"uts", &kind_namespace, CHOICE(NAMESPACE_UTS), .fallback = "private", .since = "0.1",
     .doc = "Whose host name; the same choices."},
    {"ipc", &kind_namespace, CHOICE(NAMESPACE_IPC), .fallback = "private", .since = "0.1",
     .doc = "Whose System V and POSIX message queues and shared memory; the same choices."},
    {"cgroup", &kind_namespace, CHOICE(NAMESPACE_CGROUP), .fallback = "private", .since = "0.1",
     .doc = "Which cgroup looks like the root; the same choices."},
    {"time", &kind_time_namespace, CHOICE(NAMESPACE_TIME), .fallback = "host", .since = "0.1",
     .doc = "Whose boot and monotonic clocks: \"host\" or \"private\"."},
    {"boot_offset", &kind_offset, AT(container.namespaces.boot_offset), .fallback = "0",
     .since = "0.1",
     .doc = "With a private time namespace: added to CLOCK_BOOTTIME; may be negative."},
    {"monotonic_offset", &kind_offset, AT(container.namespaces.monotonic_offset), .fallback = "0",
     .since = "0.1",
     .doc = "With a private time namespace: added to CLOCK_MONOTONIC; may be negative."},
};

const struct key network_keys[NETWORK_KEYS] = {
    {"mode", &kind_network_mode, CHOICE(NAMESPACE_NETWORK), .fallback = "none",
     .later_values = 1u << NAMESPACE_BRIDGE, .since = "0.1",
     .doc =
         "Which network: loopback alone in a namespace of its own (none), the host's (host), the "
         "host's default network (bridge), that of another unit (\"unit:NAME\", which implies "
         "requires), or a namespace by its file (\"netns:FILE\")."},
    {"network", &kind_file_name, AT(container.network.name), .flags = KEY_LATER, .since = "0.1",
     .doc = "With mode bridge: the name of the network."},
    {"publish", &kind_publish, AT(container.network.publish), .flags = KEY_LATER, .since = "0.1",
     .doc = "Ports of the host that lead into the container: \"[ADDRESS:]HOST:CONTAINER[/udp]\"; "
            "ranges as \"8000-8009:80-89\"."},
    {"sockets", &kind_sockets, AT(container.network.sockets), .since = "0.1",
     .doc =
         "Sockets that the supervisor binds on the host and hands over, in order from descriptor "
         "3 on (sd_listen_fds(3)): \"[NAME=][ADDRESS:]PORT\", \"[NAME=]/path.sock\", "
         "\"[NAME=]udp:[ADDRESS:]PORT\". A port without an address is that of all IPv6 and IPv4 "
         "addresses, an address in brackets that of IPv6 alone. A path is made with mode 0666. "
         "They are open before the process, stay open over its restarts, so that who connects "
         "then waits and is not refused, and are closed when the unit stops or has failed for "
         "good. They are the host's whatever the network mode is: the way to a port below 1024."},
    {"sockets_lazy", &kind_bool, AT(container.network.sockets_lazy), .fallback = "false",
     .since = "0.1",
     .doc =
         "Whether the process is started only by a connection or a datagram. Until then the unit "
         "listens, and counts as ready for what requires it. It listens again when the process "
         "has ended well, and after the delay of a restart."},
    {"idle_stop", &kind_duration, AT(container.network.idle_stop), .fallback = "off", .least = 1,
     .most = INT64_MAX, .flags = KEY_OFF, .since = "0.1",
     .doc = "With sockets_lazy: the process is stopped again, and the unit listens, after so long "
            "without an open connection or a datagram. It is looked for ten times in this time, at "
            "least every ten seconds: a connection that was there only between two looks does not "
            "count."},
    {"address", &kind_address, AT(container.network.address), .flags = KEY_LATER, .since = "0.1",
     .doc = "With mode bridge: a fixed address."},
    {"dns", &kind_addresses, AT(container.network.dns), .flags = KEY_LATER, .since = "0.1",
     .doc = "Addresses of name servers for the container's resolv.conf."},
    {"hosts", &kind_hosts, AT(container.network.hosts), .flags = KEY_LATER, .since = "0.1",
     .doc = "Entries for the container's hosts file, as \"NAME:ADDRESS\"."},
    {"sysctl", &kind_sysctl, AT(container.network.sysctl), .since = "0.1",
     .doc = "Kernel settings of the unit's own namespaces, as \"net.core.somaxconn=1024\": net.* "
            "with a network namespace of its own; kernel.msg*, kernel.shm*, kernel.sem and "
            "fs.mqueue.* with an ipc namespace of its own."},
};

const struct key resource_keys[RESOURCE_KEYS] = {
    {"memory_max", &kind_size, AT(container.resources.memory_max), .flags = KEY_OFF, .least = 4096,
     .most = INT64_MAX, .since = "0.1",
     .doc = "The most memory; above it the out-of-memory killer ends the unit."},
    {"memory_high", &kind_size, AT(container.resources.memory_high), .flags = KEY_OFF,
     .least = 4096, .most = INT64_MAX, .since = "0.1",
     .doc = "Above it the unit is slowed down and its memory reclaimed."},
    {"memory_low", &kind_size, AT(container.resources.memory_low), .flags = KEY_OFF, .since = "0.1",
     .doc = "Memory that is reclaimed only where others have none left to give."},
    {"memory_min", &kind_size, AT(container.resources.memory_min), .flags = KEY_OFF, .since = "0.1",
     .doc = "Memory that is never reclaimed."},
    {"swap_max", &kind_size, AT(container.resources.swap_max), .flags = KEY_OFF, .since = "0.1",
     .doc = "The most swap; \"0\": none."},
    {"cpu_max", &kind_cpu_max, AT(container.resources.cpu_quota), .since = "0.1",
     .doc = "The most processor time: \"50%\" is half a processor, \"200%\" are two, \"max\" is no "
            "limit."},
    {"cpu_weight", &kind_integer, AT(container.resources.cpu_weight), .least = 1, .most = 10000,
     .otherwise = "100, the kernel's own", .since = "0.1",
     .doc = "The share of processor time where units compete."},
    {"cpuset_cpus", &kind_cpu_list, AT(container.resources.cpuset_cpus), .since = "0.1",
     .doc = "The processors that may be used, as \"0-3,6\"."},
    {"cpuset_mems", &kind_cpu_list, AT(container.resources.cpuset_mems), .since = "0.1",
     .doc = "The memory nodes that may be used, as \"0-1\"."},
    {"io_weight", &kind_integer, AT(container.resources.io_weight), .least = 1, .most = 10000,
     .otherwise = "100, the kernel's own", .since = "0.1",
     .doc = "The share of disk time where units compete."},
    {"io_max", &kind_io_max, AT(container.resources.io_max), .since = "0.1",
     .doc = "Limits of a block device, as \"/dev/sda rbps=10M wbps=1M riops=100 wiops=max\"."},
    {"pids_max", &kind_pids, AT(container.resources.pids_max), .fallback = "512", .most = 4194304,
     .least = 1, .since = "0.1", .doc = "The most processes and threads, or \"max\"."},
    {"hugetlb_max", &kind_hugetlb, AT(container.resources.hugetlb_max), .since = "0.1",
     .doc = "The most memory in huge pages, for each page size: \"2MB=64M\"."},
    {"oom_group", &kind_bool, AT(container.resources.oom_group), .fallback = "true", .since = "0.1",
     .doc = "Whether an out-of-memory kill ends the whole unit."},
    {"slice", &kind_slice, AT(container.resources.slice), .since = "0.1",
     .otherwise = "directly below ringfence's own cgroup",
     .doc = "The parent cgroup, so that several units share one budget: \"shop\" or \"shop/web\"."},
};

const struct key security_keys[SECURITY_KEYS] = {
    {"capabilities", &kind_capability_set, AT(container.security.capabilities), .since = "0.1",
     .otherwise = "none; for root CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETUID, SETGID, "
                  "NET_BIND_SERVICE",
     .doc = "The exact capabilities (capabilities(7)), inside the unit's own user namespace; with "
            "or without \"CAP_\"; \"all\" are all."},
    {"capabilities_add", &kind_capabilities, AT(container.security.capabilities_add),
     .since = "0.1", .doc = "Capabilities added to the default set."},
    {"capabilities_drop", &kind_capabilities, AT(container.security.capabilities_drop),
     .since = "0.1", .doc = "Capabilities taken from the default set."},
    {"ambient", &kind_capabilities, AT(container.security.ambient), .since = "0.1",
     .doc = "Capabilities that a user other than root keeps over execve; each must be in the set."},
    {"no_new_privileges", &kind_bool, AT(container.security.no_new_privileges), .fallback = "true",
     .since = "0.1", .doc = "Whether set-user-id programs and file capabilities give nothing."},
    {"seccomp", &kind_seccomp, AT(container.security.seccomp), .fallback = "default",
     .later_values = 1u << SECCOMP_STRICT | 1u << SECCOMP_FILE, .since = "0.1",
     .doc = "The system calls that are allowed: the built-in list (default), a shorter one "
            "(strict), all (unconfined), or a file in OCI's JSON form."},
    {"seccomp_allow", &kind_system_calls, AT(container.security.seccomp_allow), .since = "0.1",
     .doc = "System calls added to the list, or groups as \"@network\"."},
    {"seccomp_deny", &kind_system_calls, AT(container.security.seccomp_deny), .since = "0.1",
     .doc = "System calls taken from the list, or groups."},
    {"seccomp_mode", &kind_enum, AT(container.security.seccomp_mode), .fallback = "enforce",
     .names = &actions, .since = "0.1",
     .doc = "What happens on a call that is not allowed: it fails (enforce), it is logged and goes "
            "through (log), or it ends the program (kill)."},
    {"apparmor", &kind_string, AT(container.security.apparmor), .flags = KEY_LATER, .since = "0.1",
     .doc = "The AppArmor profile."},
    {"selinux", &kind_string, AT(container.security.selinux), .flags = KEY_LATER, .since = "0.1",
     .doc = "The SELinux label."},
    {"masked_paths", &kind_paths, AT(container.security.masked_paths), .since = "0.1",
     .doc = "Paths inside that are hidden, beside the built-in ones of /proc and /sys."},
    {"readonly_paths", &kind_paths, AT(container.security.readonly_paths), .since = "0.1",
     .doc = "Paths inside that cannot be written to, beside the built-in ones."},
    {"keyring", &kind_enum, AT(container.security.keyring), .fallback = "private",
     .names = &keyrings, .since = "0.1",
     .doc = "Whether the program gets a session keyring of its own (keyrings(7))."},
    {"accept", &kind_findings, AT(container.security.accept), .since = "0.1",
     .doc = "Findings for which the unit would be refused and that are waived; a note in `status` "
            "keeps telling of each. \"" FINDING_OPEN_ROOT "\": every user of the host can enter a "
            "writable rootfs.path, where the unit's root can make programs that run as the host's "
            "root."},
};

const struct key landlock_keys[LANDLOCK_KEYS] = {
    {"path", &kind_path, IN_LANDLOCK(path), .flags = KEY_REQUIRED | KEY_IDENTITY | KEY_LATER,
     .since = "0.1", .doc = "A path inside that stays accessible."},
    {"access", &kind_access, IN_LANDLOCK(access), .fallback = "r", .flags = KEY_LATER,
     .since = "0.1", .doc = "How: letters of \"r\" (read), \"w\" (write) and \"m\" (make)."},
};
