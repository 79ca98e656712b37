#include "runtime/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "units/base/fault.h"

#define BIT(capability) (UINT64_C(1) << (capability))

const uint64_t capabilities_root_default = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) |
                                           BIT(CAP_FOWNER) | BIT(CAP_KILL) | BIT(CAP_SETUID) |
                                           BIT(CAP_SETGID) | BIT(CAP_NET_BIND_SERVICE);

static bool is_known(unsigned capability) {
    return prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
}

/* The header that this was built with may know more or fewer capabilities than the kernel. */
static unsigned last_capability(void) {
    unsigned last = CAP_LAST_CAP;
    while (last > 0 && !is_known(last))
        last--;
    while (last < 62 && is_known(last + 1))
        last++;
    return last;
}

/* The name of the lowest capability of a set. */
static void name_lowest(uint64_t set, char *name, size_t size) {
    unsigned number = (unsigned)__builtin_ctzll(set);
    char *known = cap_to_name((cap_value_t)number);
    snprintf(name, size, "%s", known ? known : "?");
    if (known)
        cap_free(known);
    for (char *at = name; *at; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
}

static struct capability_sets sets_from(const struct security *security, uint64_t standard) {
    uint64_t set = security->capabilities != CAPABILITIES_UNSET ? security->capabilities
                                                                : standard | security->ambient;
    set = (set | security->capabilities_add) & ~security->capabilities_drop;
    /* The inheritable set is empty but for what is ambient, which the kernel asks to be in it:
     * what is inheritable could be had again through a file's capabilities. */
    return (struct capability_sets){.bounding = set,
                                    .permitted = set,
                                    .inheritable = security->ambient,
                                    .ambient = security->ambient};
}

int capabilities_prepare(const struct security *security, struct capabilities *ret_capabilities,
                         struct fault *fault) {
    struct capabilities found = {
        .last = last_capability(),
        .root = sets_from(security, capabilities_root_default),
        .other = sets_from(security, 0),
    };
    char name[32];
    uint64_t all = BIT(found.last + 1) - 1;
    uint64_t unknown = (found.root.bounding | found.root.ambient) & ~all;
    if (unknown) {
        name_lowest(unknown, name, sizeof name);
        return fault_say(fault, -EINVAL, "this kernel has no capability %s (number %d)", name,
                         __builtin_ctzll(unknown));
    }
    uint64_t lacking = security->ambient & ~(found.root.bounding & found.other.bounding);
    if (lacking) {
        name_lowest(lacking, name, sizeof name);
        return fault_say(fault, -EINVAL,
                         "%s cannot be ambient: it is not among the unit's capabilities", name);
    }
    *ret_capabilities = found;
    return 0;
}

const struct capability_sets *capabilities_for(const struct capabilities *capabilities, uid_t uid) {
    return uid == 0 ? &capabilities->root : &capabilities->other;
}

int capabilities_lower(const struct capabilities *capabilities, const struct capability_sets *sets,
                       struct fault *fault) {
    for (unsigned i = 0; i <= capabilities->last; i++) {
        if (sets->bounding & BIT(i))
            continue;
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
            return fault_set(fault, errno, "cannot drop capability %u from the bounding set", i);
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return fault_set(fault, errno, "cannot keep capabilities over the change of user");
    return 0;
}

static int set_all(const struct capability_sets *sets) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        data[i] = (struct __user_cap_data_struct){
            .effective = (uint32_t)(sets->permitted >> (32 * i)),
            .permitted = (uint32_t)(sets->permitted >> (32 * i)),
            .inheritable = (uint32_t)(sets->inheritable >> (32 * i)),
        };
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int capabilities_apply(const struct capability_sets *sets, struct fault *fault) {
    int error = set_all(sets);
    if (error == -EPERM)
        return fault_say(fault, error,
                         "cannot set the capabilities: this host's root lacks some of them");
    if (error)
        return fault_set(fault, error, "cannot set the capabilities");
    if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return fault_set(fault, errno, "cannot clear the ambient capabilities");
    for (unsigned i = 0; i < 64; i++)
        if ((sets->ambient & BIT(i)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
            return fault_set(fault, errno, "cannot make capability %u ambient", i);
    return 0;
}
