#include "supervisor/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/sockets-private.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/file.h"
#include "units/base/text.h"

#define KEPT "socket"

/* ---- addresses ---- */

static socklen_t unix_address(const struct port_socket *place, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, place->path, strlen(place->path));
    return sizeof(*address);
}

/* An address in brackets has a colon; none at all means every one of both kinds. */
static int family_of(const struct port_socket *place) {
    const char *address = place->endpoint.address;
    return *address && !strchr(address, ':') ? AF_INET : AF_INET6;
}

static socklen_t inet_address(const struct port_socket *place, int family,
                              struct sockaddr_storage *address) {
    const char *text = place->endpoint.address;
    in_port_t port = htons(place->endpoint.first);
    if (family == AF_INET) {
        struct sockaddr_in *four = (struct sockaddr_in *)address;
        *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
        inet_pton(AF_INET, *text ? text : "0.0.0.0", &four->sin_addr);
        return sizeof(*four);
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    inet_pton(AF_INET6, *text ? text : "::", &six->sin6_addr);
    return sizeof(*six);
}

static void print_place(const struct port_socket *place, struct text *text) {
    const char *address = place->endpoint.address;
    if (*place->path)
        text_format(text, "unix %s", place->path);
    else
        text_format(text, strchr(address, ':') ? "%s [%s]:%u" : "%s %s:%u",
                    place->udp ? "udp" : "tcp", *address ? address : "*", place->endpoint.first);
}

/* ---- tcp and udp ---- */

/* SO_REUSEADDR on TCP passes over what waits in TIME_WAIT; on UDP it would let two programs have
 * the same port, of which one would get nothing. */
static int bind_inet(const struct port_socket *place, int family, int *ret_fd) {
    const int yes = 1, six_only = *place->endpoint.address != '\0';
    struct sockaddr_storage address;
    socklen_t length = inet_address(place, family, &address);
    scoped_fd int fd = socket(family, (place->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &six_only, sizeof(six_only)) < 0)
        return -errno;
    if (!place->udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, length) < 0)
        return -errno;
    if (!place->udp && listen(fd, SOMAXCONN) < 0)
        return -errno;
    *ret_fd = take_fd(&fd);
    return 0;
}

/* A kernel without IPv6 has IPv4 still. */
static int open_inet(struct socket *socket) {
    const struct port_socket *place = &socket->place;
    int family = family_of(place);
    int error = bind_inet(place, family, &socket->fd);
    if (family == AF_INET6 && !*place->endpoint.address &&
        (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL))
        error = bind_inet(place, AF_INET, &socket->fd);
    return error;
}

/* ---- unix ---- */

/* What a predecessor left behind: a socket that nobody has open any more. */
static bool is_stale(const struct port_socket *place) {
    struct sockaddr_un address;
    struct stat file;
    socklen_t length = unix_address(place, &address);
    scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && lstat(place->path, &file) == 0 && S_ISSOCK(file.st_mode) &&
           connect(fd, (struct sockaddr *)&address, length) < 0 && errno == ECONNREFUSED;
}

static int make_parent(const char *path, struct fault *fault) {
    const char *slash = strrchr(path, '/');
    char parent[sizeof(((struct port_socket *)0)->path)];
    if (slash == path)
        return 0;
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    return directory_make(AT_FDCWD, parent, 0755, fault);
}

/* Mode 0666 from its first moment: a path that was changed afterwards might be another's by then.
 */
static int bind_unix(int fd, const struct port_socket *place) {
    struct sockaddr_un address;
    socklen_t length = unix_address(place, &address);
    if (fchmod(fd, 0666) < 0)
        return -errno;
    mode_t before = umask(0);
    int error = bind(fd, (struct sockaddr *)&address, length) < 0 ? -errno : 0;
    umask(before);
    return error;
}

static int open_unix(struct socket *unix_socket, struct fault *fault) {
    const struct port_socket *place = &unix_socket->place;
    struct stat file;
    int error = make_parent(place->path, fault);
    if (error < 0)
        return error;
    scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    error = bind_unix(fd, place);
    if (error == -EADDRINUSE && is_stale(place) && unlink(place->path) == 0)
        error = bind_unix(fd, place);
    if (error == -EADDRINUSE && lstat(place->path, &file) == 0 && !S_ISSOCK(file.st_mode))
        return fault_say(fault, EEXIST, "cannot listen on unix %s: it is there, and is no socket",
                         place->path);
    if (error < 0)
        return error;
    if (listen(fd, SOMAXCONN) < 0)
        return -errno;
    if (lstat(place->path, &file) == 0) {
        unix_socket->device = file.st_dev;
        unix_socket->inode = file.st_ino;
    }
    unix_socket->fd = take_fd(&fd);
    return 0;
}

/* Unless somebody else put another in its place meanwhile. */
static void remove_path(const struct socket *socket) {
    struct stat file;
    if (*socket->place.path && lstat(socket->place.path, &file) == 0 &&
        file.st_dev == socket->device && file.st_ino == socket->inode)
        unlink(socket->place.path);
}

/* ---- one socket ---- */

static int open_socket(struct socket *socket, struct service *service, struct fault *fault) {
    scoped_text struct text place = {0}, holder = {0};
    fault->text[0] = '\0';
    int error = *socket->place.path ? open_unix(socket, fault) : open_inet(socket);
    if (error >= 0 || fault->text[0])
        return error;
    print_place(&socket->place, &place);
    if (error == -EADDRINUSE)
        sockets_name_holder(service, &socket->place, &holder);
    return fault_say(fault, error, "cannot listen on %s: %s%s", place.data ? place.data : "?",
                     strerror(-error), holder.data ? holder.data : "");
}

static void close_socket(struct socket *socket) {
    watch_close(socket->watch);
    if (socket->fd >= 0)
        remove_path(socket);
    socket->fd = close_fd(socket->fd);
}

bool sockets_same_place(const struct port_socket *one, const struct port_socket *other) {
    return strcmp(one->path, other->path) == 0 && one->udp == other->udp &&
           strcmp(one->endpoint.address, other->endpoint.address) == 0 &&
           one->endpoint.first == other->endpoint.first;
}

/* ---- all of a unit ---- */

static void sockets_free(struct sockets *sockets) {
    if (!sockets)
        return;
    for (size_t i = 0; i < sockets->count; i++)
        close_socket(&sockets->items[i]);
    text_free(&sockets->names);
    unit_unref(sockets->unit);
    free(sockets);
}

static struct socket *find(struct sockets *sockets, const struct port_socket *place) {
    for (size_t i = 0; sockets && i < sockets->count; i++)
        if (sockets->items[i].fd >= 0 && sockets_same_place(&sockets->items[i].place, place))
            return &sockets->items[i];
    return NULL;
}

/* Nothing is open yet. */
static int read_unit(struct service *service, struct sockets **ret_sockets, struct fault *fault) {
    const struct strings *texts = &service->unit->container.network.sockets;
    struct sockets *sockets =
        calloc(1, sizeof(*sockets) + texts->count * sizeof(sockets->items[0]));
    if (!sockets)
        return fault_set(fault, ENOMEM, "cannot listen");
    sockets->service = service;
    for (size_t i = 0; i < texts->count; i++) {
        struct socket *socket = &sockets->items[sockets->count++];
        *socket = (struct socket){.fd = -1};
        int error = port_socket_parse(texts->items[i], &socket->place, fault);
        if (error < 0) {
            sockets_free(sockets);
            return error;
        }
        text_format(&sockets->names, "%s%s", i ? ":" : "",
                    *socket->place.name ? socket->place.name : "unknown");
    }
    if (sockets->names.failed) {
        sockets_free(sockets);
        return fault_set(fault, ENOMEM, "cannot listen");
    }
    *ret_sockets = sockets;
    return 0;
}

/* What the unit does not name any more may be in the way of what it names now. */
static void close_unnamed(struct sockets *before, struct sockets *now) {
    for (size_t i = 0; before && i < before->count; i++) {
        bool named = false;
        for (size_t k = 0; k < now->count && !named; k++)
            named = sockets_same_place(&before->items[i].place, &now->items[k].place);
        if (!named)
            close_socket(&before->items[i]);
    }
}

int sockets_open(struct service *service, struct sockets **sockets, struct fault *fault) {
    struct sockets *before = *sockets, *now = NULL;
    if (service->unit->container.network.sockets.count == 0) {
        sockets_close(before);
        *sockets = NULL;
        return 0;
    }
    if (before && before->unit == service->unit)
        return 0;
    int error = read_unit(service, &now, fault);
    if (error < 0)
        return error;
    close_unnamed(before, now);
    for (size_t i = 0; i < now->count && error >= 0; i++)
        if (!find(before, &now->items[i].place))
            error = open_socket(&now->items[i], service, fault);
    if (error < 0) {
        sockets_free(now);
        return error;
    }
    for (size_t i = 0; i < now->count; i++) {
        struct socket *socket = &now->items[i], *same = find(before, &socket->place);
        if (same) {
            socket->fd = take_fd(&same->fd);
            socket->device = same->device;
            socket->inode = same->inode;
        }
        now->descriptors[i] = socket->fd;
    }
    now->unit = unit_ref(service->unit);
    sockets_close(before);
    state_hold(service, KEPT, now->descriptors, now->count);
    *sockets = now;
    return 0;
}

void sockets_close(struct sockets *sockets) {
    if (!sockets)
        return;
    state_release(sockets->service, KEPT);
    sockets_free(sockets);
}

/* ---- those of an earlier manager ---- */

static bool is_bound_to(int fd, const struct port_socket *place) {
    struct sockaddr_storage bound = {0}, wanted = {0};
    socklen_t length = sizeof(bound), size = sizeof(int);
    int type = 0;
    if (getsockname(fd, (struct sockaddr *)&bound, &length) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return false;
    if (*place->path)
        return bound.ss_family == AF_UNIX &&
               strcmp(((const struct sockaddr_un *)&bound)->sun_path, place->path) == 0;
    if (type != (place->udp ? SOCK_DGRAM : SOCK_STREAM) ||
        (bound.ss_family != AF_INET && bound.ss_family != AF_INET6))
        return false;
    size = inet_address(place, bound.ss_family, &wanted);
    return length == size && memcmp(&bound, &wanted, size) == 0;
}

static bool resume_socket(struct socket *socket, int fds[], size_t count) {
    struct stat file;
    for (size_t i = 0; i < count && socket->fd < 0; i++)
        if (fds[i] >= 0 && is_bound_to(fds[i], &socket->place))
            socket->fd = take_fd(&fds[i]);
    if (socket->fd >= 0 && *socket->place.path && lstat(socket->place.path, &file) == 0) {
        socket->device = file.st_dev;
        socket->inode = file.st_ino;
    }
    return socket->fd >= 0;
}

int sockets_resume(struct service *service, struct sockets **sockets, struct fault *fault) {
    int fds[SOCKETS_MAX];
    struct sockets *now = NULL;
    size_t count = state_take(service, KEPT, fds, SOCKETS_MAX);
    if (count == 0)
        return 0;
    int error = read_unit(service, &now, fault);
    bool whole = error >= 0;
    for (size_t i = 0; error >= 0 && i < now->count; i++) {
        whole &= resume_socket(&now->items[i], fds, count);
        now->descriptors[i] = now->items[i].fd;
    }
    for (size_t i = 0; i < count; i++)
        close_fd(fds[i]);
    if (whole)
        now->unit = unit_ref(service->unit);
    *sockets = now;
    return error;
}

/* ---- for who waits ---- */

static void arrived(void *context) {
    struct sockets *sockets = context;
    struct service *service = sockets->service;
    service_handle(service, EVENT_CONNECTION);
    manager_event_ended(service->manager);
}

int sockets_watch(struct sockets *sockets, struct fault *fault) {
    for (size_t i = 0; i < sockets->count; i++) {
        struct socket *socket = &sockets->items[i];
        if (socket->watch)
            continue;
        int error = watch_open(sockets->service->manager, socket->fd, EPOLLIN, WATCH_SOCKET,
                               arrived, sockets, &socket->watch);
        if (error < 0)
            return fault_set(fault, error, "cannot watch the sockets of %s",
                             sockets->service->name);
    }
    return 0;
}

void sockets_unwatch(struct sockets *sockets) {
    for (size_t i = 0; i < sockets->count; i++) {
        watch_close(sockets->items[i].watch);
        sockets->items[i].watch = NULL;
    }
}

/* ---- for the process ---- */

/* O_NONBLOCK belongs to the open socket, which the last process may have left with it. */
const int *sockets_descriptors(struct sockets *sockets, size_t *ret_count) {
    *ret_count = sockets ? sockets->count : 0;
    for (size_t i = 0; i < *ret_count; i++) {
        int flags = fcntl(sockets->items[i].fd, F_GETFL);
        if (flags >= 0 && (flags & O_NONBLOCK))
            fcntl(sockets->items[i].fd, F_SETFL, flags & ~O_NONBLOCK);
    }
    return sockets ? sockets->descriptors : NULL;
}

const char *sockets_names(const struct sockets *sockets) {
    return sockets ? sockets->names.data : NULL;
}

void sockets_describe(const struct sockets *sockets, struct text *text) {
    for (size_t i = 0; sockets && i < sockets->count; i++) {
        const struct port_socket *place = &sockets->items[i].place;
        text_format(text, "%s%s%s", i ? ", " : "", place->name, *place->name ? "=" : "");
        print_place(place, text);
    }
}
