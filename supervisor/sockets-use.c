#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "supervisor/service-private.h"
#include "supervisor/sockets-private.h"
#include "units/base/file.h"

/* The kernel counts no connections of a listening socket, and the accepted end of a unix(7) one
 * belongs to the network namespace of who connected: no table of ours has it. So the descriptors of
 * the unit's own processes are looked at, with copies by pidfd_getfd(2) (5.6). An idle unit has
 * few; the first connection that is found ends the search. */

#define DESCRIPTORS_MAX 4096 /* of one look; a unit with more is taken to be busy */
#define PROCS_MAX ((size_t)64 * 1024)

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    struct sockaddr_un path;
};

static bool address_of(int fd, union address *address) {
    socklen_t length = sizeof(*address);
    memset(address, 0, sizeof(*address));
    return getsockname(fd, &address->any, &length) == 0;
}

/* Whether an accepted socket's own address is that of a listening one, which may be a wildcard. */
static bool came_in(const union address *accepted, const union address *listening) {
    static const struct in6_addr any = IN6ADDR_ANY_INIT;
    if (accepted->any.sa_family != listening->any.sa_family)
        return false;
    switch (accepted->any.sa_family) {
    case AF_UNIX:
        return *accepted->path.sun_path &&
               strcmp(accepted->path.sun_path, listening->path.sun_path) == 0;
    case AF_INET:
        return accepted->four.sin_port == listening->four.sin_port &&
               (listening->four.sin_addr.s_addr == INADDR_ANY ||
                listening->four.sin_addr.s_addr == accepted->four.sin_addr.s_addr);
    case AF_INET6:
        return accepted->six.sin6_port == listening->six.sin6_port &&
               (memcmp(&listening->six.sin6_addr, &any, sizeof(any)) == 0 ||
                memcmp(&listening->six.sin6_addr, &accepted->six.sin6_addr, sizeof(any)) == 0);
    default:
        return false;
    }
}

static bool is_connection(const struct sockets *sockets, int fd) {
    union address own, listening;
    int listens = 0, type = 0;
    socklen_t length = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0 || listens)
        return false;
    length = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_STREAM ||
        !address_of(fd, &own))
        return false;
    for (size_t i = 0; i < sockets->count; i++)
        if (!sockets->items[i].place.udp && address_of(sockets->items[i].fd, &listening) &&
            came_in(&own, &listening))
            return true;
    return false;
}

static bool is_socket(int directory, const char *name) {
    char target[16] = "";
    return readlinkat(directory, name, target, sizeof(target) - 1) > 0 &&
           strncmp(target, "socket:", 7) == 0;
}

/* What cannot be looked at counts as a connection; who has ended meanwhile has none. */
static bool holds_connection(const struct sockets *sockets, pid_t pid, unsigned *looked_at) {
    char path[32];
    scoped_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return errno != ESRCH;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    if (!directory)
        return errno != ENOENT && errno != ESRCH;
    const struct dirent *entry;
    bool found = false;
    int more = 1;
    while (!found && (more = directory_next(directory, &entry)) > 0) {
        if (!is_socket(dirfd(directory), entry->d_name))
            continue;
        scoped_fd int copy =
            (int)syscall(SYS_pidfd_getfd, pidfd, (int)strtol(entry->d_name, NULL, 10), 0);
        if (copy >= 0)
            found = is_connection(sockets, copy);
        else
            found = errno != EBADF && errno != ESRCH;
        found = found || ++*looked_at > DESCRIPTORS_MAX;
    }
    closedir(directory);
    return found || (more < 0 && more != -ESRCH);
}

static bool unit_holds_connection(const struct sockets *sockets) {
    const struct service *service = sockets->service;
    scoped_free char *path = NULL, *data = NULL;
    unsigned looked_at = 0;
    if (!service->sandbox)
        return false;
    if (asprintf(&path, "%s/main/cgroup.procs", sandbox_cgroup(service->sandbox)) < 0) {
        path = NULL;
        return true;
    }
    if (file_read(AT_FDCWD, path, PROCS_MAX, &data, NULL, NULL) < 0)
        return true;
    char *rest = data;
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        pid_t pid = (pid_t)strtol(line, NULL, 10);
        if (pid > 0 && holds_connection(sockets, pid, &looked_at))
            return true;
    }
    return false;
}

/* ---- datagrams ---- */

/* The kernel keeps when a program last took a datagram from the socket (SIOCGSTAMPNS, socket(7)),
 * unless that program asked for such stamps itself: then nothing is known. */
static bool has_taken(struct socket *socket) {
    static const int options[] = {SO_TIMESTAMP_OLD,   SO_TIMESTAMP_NEW,    SO_TIMESTAMPNS_OLD,
                                  SO_TIMESTAMPNS_NEW, SO_TIMESTAMPING_OLD, SO_TIMESTAMPING_NEW};
    for (size_t i = 0; i < ELEMENTS(options); i++) {
        int value[4] = {0};
        socklen_t length = sizeof(value);
        if (getsockopt(socket->fd, SOL_SOCKET, options[i], value, &length) == 0 && value[0])
            return true;
    }
    struct timespec stamp;
    if (ioctl(socket->fd, SIOCGSTAMPNS, &stamp) < 0)
        return errno != ENOENT; /* none yet */
    uint64_t at = (uint64_t)stamp.tv_sec * 1000000000 + (uint64_t)stamp.tv_nsec;
    bool later = at != socket->taken_at;
    socket->taken_at = at;
    return later;
}

bool sockets_are_busy(struct sockets *sockets) {
    struct pollfd waits[SOCKETS_MAX];
    bool busy = false, streams = false;
    for (size_t i = 0; i < sockets->count; i++) {
        struct socket *socket = &sockets->items[i];
        waits[i] = (struct pollfd){socket->fd, POLLIN, 0};
        streams |= !socket->place.udp;
        if (socket->place.udp && has_taken(socket)) /* each notes its stamp */
            busy = true;
    }
    if (poll(waits, (nfds_t)sockets->count, 0) != 0)
        return true;
    return busy || (streams && unit_holds_connection(sockets));
}
