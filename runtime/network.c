/* What a unit's own network, ipc and uts namespaces need before anything runs there. */

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/build.h"
#include "runtime/procfs.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"

static bool is_own(const struct build *build, enum namespace_kind kind) {
    return build->modes[kind] == NAMESPACE_PRIVATE;
}

static int loopback_up(struct fault *fault) {
    scoped_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return fault_set(fault, errno, "cannot read the loopback interface");
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return fault_set(fault, errno, "cannot set the loopback interface up");
    return 0;
}

/* Those of the ipc namespace; all others that a unit may set begin with "net.". */
static const char *const ipc_keys[] = {
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
    "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
};

static int namespace_of(const char *key, enum namespace_kind *ret_kind) {
    if (strncmp(key, "net.", strlen("net.")) == 0) {
        *ret_kind = NAMESPACE_NETWORK;
        return 0;
    }
    bool ipc = strncmp(key, "fs.mqueue.", strlen("fs.mqueue.")) == 0;
    for (size_t i = 0; i < ELEMENTS(ipc_keys); i++)
        ipc = ipc || strcmp(key, ipc_keys[i]) == 0;
    *ret_kind = NAMESPACE_IPC;
    return ipc ? 0 : -ENOENT;
}

/* "net.core.somaxconn" to "sys/net/core/somaxconn": names of letters, digits, "_" and "-" alone,
 * so that no key can hold a path of its own. */
static int key_path(const char *key, char *path, size_t size) {
    if ((size_t)snprintf(path, size, "sys/%s", key) >= size)
        return -ENAMETOOLONG;
    char before = '.';
    for (char *at = path + strlen("sys/"); *at; at++) {
        if (*at != '.' && *at != '_' && *at != '-' && !isalnum((unsigned char)*at))
            return -EINVAL;
        if (*at == '.' && before == '.')
            return -EINVAL;
        before = *at;
        if (*at == '.')
            *at = '/';
    }
    return before == '.' ? -EINVAL : 0;
}

static int apply_sysctl(const struct build *build, const char *setting, struct fault *fault) {
    char key[128], path[160];
    const char *equals = strchr(setting, '=');
    if (!equals || (size_t)(equals - setting) >= sizeof key)
        return fault_say(fault, -EINVAL, "\"%s\" is not of the form key=value", setting);
    snprintf(key, sizeof key, "%.*s", (int)(equals - setting), setting);
    enum namespace_kind kind;
    if (namespace_of(key, &kind) < 0)
        return fault_say(fault, -EPERM, "\"%s\" is not of the network or ipc namespace", key);
    if (!is_own(build, kind))
        return fault_say(fault, -EPERM, "\"%s\" needs a private %s namespace", key,
                         kind == NAMESPACE_IPC ? "ipc" : "network");
    if (key_path(key, path, sizeof path) < 0)
        return fault_say(fault, -EINVAL, "\"%s\" is not the name of a setting", key);
    /* Those of the ipc namespace ask for the host's root on 6.1, for its own root since 6.10. */
    int error = procfs_write(build->proc, path, equals + 1, fault);
    if (error == -EACCES && build->user >= 0 && setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
        error = procfs_write(build->proc, path, equals + 1, fault);
    return error;
}

static int apply_hostname(const struct build *build, struct fault *fault) {
    const struct container *container = build->container;
    const char *wanted = container->process.hostname;
    if (!is_own(build, NAMESPACE_UTS))
        return wanted ? fault_say(fault, -EPERM, "host name \"%s\" needs a private uts namespace",
                                  wanted)
                      : 0;
    const char *name = wanted ? wanted : container->name;
    size_t length = strnlen(name, HOST_NAME_MAX); /* a unit's name may be longer: it is cut */
    if (wanted && strlen(wanted) > length)
        return fault_set(fault, ENAMETOOLONG, "cannot set host name \"%s\"", wanted);
    if (sethostname(name, length) < 0)
        return fault_set(fault, errno, "cannot set host name \"%s\"", name);
    return 0;
}

int network_apply(struct build *build, struct fault *fault) {
    int error = apply_hostname(build, fault);
    if (!error && is_own(build, NAMESPACE_NETWORK)) {
        error = loopback_up(fault);
        if (!error)
            error =
                procfs_write(build->proc, "sys/net/ipv4/ip_unprivileged_port_start", "0", fault);
    }
    const struct strings *settings = &build->container->network.sysctl;
    for (size_t i = 0; i < settings->count && !error; i++)
        error = apply_sysctl(build, settings->items[i], fault);
    return error;
}
