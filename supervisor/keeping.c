#include "supervisor/keeping.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/log.h"
#include "units/base/fault.h"

enum { PATIENCE = 10 }; /* seconds that a message may wait for the keeper to read others */

/* A descriptor that came; taken ones have the number -EBADF. */
struct kept {
    const char *name; /* in keeping.text */
    int fd;
    size_t place; /* in the order of storing */
};

struct keeping {
    int exits, notify; /* -EBADF: there is no keeper */
    char *text;        /* of KEEPER_NAMES, cut into lines */
    struct kept *kept; /* sorted by name, then by place */
    size_t count;
};

/* ---- what came ---- */

static int by_name_and_place(const void *one, const void *other) {
    const struct kept *left = one, *right = other;
    int order = strcmp(left->name, right->name);
    return order ? order : (left->place > right->place) - (left->place < right->place);
}

/* The first of that name, or count. */
static size_t find(const struct keeping *keeping, const char *name) {
    size_t low = 0, high = keeping->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(keeping->kept[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t end_of(const struct keeping *keeping, size_t first) {
    size_t end = first;
    while (end < keeping->count && strcmp(keeping->kept[end].name, keeping->kept[first].name) == 0)
        end++;
    return end;
}

/* The keeper's file, whole: it is written anew for each manager and does not change meanwhile. */
static int read_names(struct keeping *keeping, struct fault *fault) {
    struct stat file;
    if (fstat(KEEPER_NAMES, &file) < 0)
        return fault_set(fault, errno, "cannot read the names of descriptors");
    if (!S_ISREG(file.st_mode))
        return fault_say(fault, EBADF, "ringfenced handed over no names of descriptors");
    size_t size = (size_t)file.st_size, length = 0;
    keeping->text = malloc(size + 1);
    if (!keeping->text)
        return fault_set(fault, ENOMEM, "cannot read the names of descriptors");
    while (length < size) {
        ssize_t more = pread(KEEPER_NAMES, keeping->text + length, size - length, (off_t)length);
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            return fault_set(fault, more < 0 ? errno : EIO, "cannot read the names of descriptors");
        length += (size_t)more;
    }
    keeping->text[size] = '\0';
    return 0;
}

/* One line: a number, a blank, a name. The descriptor is ours from here on, and no child's. */
static int take_line(struct keeping *keeping, char *line, struct fault *fault) {
    char *name = NULL;
    long fd = strtol(line, &name, 10);
    if (name == line || *name != ' ' || fd <= KEEPER_NAMES || fd > INT32_MAX)
        return fault_say(fault, EINVAL, "ringfenced named a descriptor \"%s\"", line);
    if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
        return fault_set(fault, errno, "ringfenced did not hand over \"%s\"", name + 1);
    keeping->kept[keeping->count] =
        (struct kept){.name = name + 1, .fd = (int)fd, .place = keeping->count};
    keeping->count++;
    return 0;
}

static int take_all(struct keeping *keeping, struct fault *fault) {
    size_t lines = 0;
    int error = read_names(keeping, fault);
    for (const char *at = keeping->text; error >= 0 && (at = strchr(at, '\n')); at++)
        lines++;
    if (error >= 0 && lines > 0) {
        keeping->kept = calloc(lines, sizeof(struct kept));
        if (!keeping->kept)
            error = fault_set(fault, ENOMEM, "cannot take over %zu descriptors", lines);
    }
    if (error < 0)
        return error;
    char *rest = keeping->text;
    for (size_t i = 0; i < lines; i++) {
        struct fault odd;
        if (take_line(keeping, strsep(&rest, "\n"), &odd) < 0)
            log_line(LEVEL_WARNING, "%s", odd.text); /* all others are there */
    }
    if (keeping->count > 0)
        qsort(keeping->kept, keeping->count, sizeof(struct kept), by_name_and_place);
    return 0;
}

static int connect_to_keeper(struct keeping *keeping, struct fault *fault) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = PATIENCE};
    const char *path = getenv("NOTIFY_SOCKET");
    if (!path || *path != '/' || strlen(path) >= sizeof(address.sun_path))
        return fault_say(fault, EINVAL, "ringfenced named no socket to talk to");
    memcpy(address.sun_path, path, strlen(path));
    keeping->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (keeping->notify < 0 ||
        connect(keeping->notify, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        setsockopt(keeping->notify, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
        return fault_set(fault, errno, "cannot talk to ringfenced on \"%s\"", path);
    return 0;
}

int keeping_open(struct keeping **ret_keeping, struct fault *fault) {
    scoped(keeping_close) struct keeping *keeping = calloc(1, sizeof(*keeping));
    if (!keeping)
        return fault_set(fault, ENOMEM, "cannot talk to ringfenced");
    keeping->exits = keeping->notify = -EBADF;
    if (getenv("RINGFENCE_KEEPER")) {
        int error = connect_to_keeper(keeping, fault);
        if (error >= 0)
            error = take_all(keeping, fault);
        if (error < 0)
            return error;
        close(KEEPER_NAMES);
        if (fcntl(KEEPER_EXITS, F_SETFD, FD_CLOEXEC) < 0)
            return fault_set(fault, errno, "ringfenced handed over no stream of exits");
        keeping->exits = KEEPER_EXITS;
    }
    *ret_keeping = take(keeping);
    return 0;
}

void keeping_close(struct keeping *keeping) {
    if (!keeping)
        return;
    for (size_t i = 0; i < keeping->count; i++)
        close_fd(keeping->kept[i].fd);
    close_fd(keeping->exits);
    close_fd(keeping->notify);
    free(keeping->kept);
    free(keeping->text);
    free(keeping);
}

int keeping_take(struct keeping *keeping, const char *name, int *ret_fds, size_t room) {
    size_t first = find(keeping, name), count = 0;
    if (first == keeping->count || strcmp(keeping->kept[first].name, name) != 0 ||
        keeping->kept[first].fd < 0)
        return 0;
    size_t end = end_of(keeping, first);
    if (end - first > room)
        return -E2BIG;
    for (size_t i = first; i < end; i++)
        ret_fds[count++] = take_fd(&keeping->kept[i].fd);
    return (int)count;
}

const char *keeping_untaken(struct keeping *keeping, size_t index) {
    for (size_t i = 0; i < keeping->count; i = end_of(keeping, i))
        if (keeping->kept[i].fd >= 0 && index-- == 0)
            return keeping->kept[i].name;
    return NULL;
}

int keeping_settle(struct keeping *keeping) {
    int dropped = 0;
    for (size_t i = 0, end; i < keeping->count; i = end) {
        end = end_of(keeping, i);
        if (keeping->kept[i].fd < 0)
            continue;
        for (size_t j = i; j < end; j++)
            keeping->kept[j].fd = close_fd(keeping->kept[j].fd);
        keeping_drop(keeping, keeping->kept[i].name);
        dropped++;
    }
    free(take(keeping->kept));
    free(take(keeping->text));
    keeping->count = 0;
    return dropped;
}

/* ---- what is told ---- */

static int send_message(const struct keeping *keeping, const char *text, const int *fds,
                        size_t count) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(KEEPER_MESSAGE_FDS * sizeof(int))];
    } control = {0};
    struct iovec data = {(char *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS,
                                          .cmsg_len = CMSG_LEN(count * sizeof(int))};
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    }
    ssize_t sent;
    while ((sent = sendmsg(keeping->notify, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR)
        ;
    return sent < 0 ? -errno : 0;
}

static bool can_be_kept(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length <= KEEPER_NAME_MAX && !strchr(name, '\n') &&
           name[length - 1] != '*';
}

int keeping_store(struct keeping *keeping, const char *name, const int *fds, size_t count,
                  struct fault *fault) {
    char text[sizeof("FDSTORE=1\nFDNAME=") + KEEPER_NAME_MAX];
    if (!can_be_kept(name))
        return fault_say(fault, EINVAL, "no descriptor can be stored as \"%s\"", name);
    if (keeping->notify < 0)
        return 0;
    snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
    for (size_t at = 0; at < count; at += KEEPER_MESSAGE_FDS) {
        size_t part = count - at < KEEPER_MESSAGE_FDS ? count - at : KEEPER_MESSAGE_FDS;
        int error = send_message(keeping, text, fds + at, part);
        if (error < 0)
            return fault_set(fault, error, "cannot hand \"%s\" to ringfenced", name);
    }
    return 0;
}

void keeping_drop(struct keeping *keeping, const char *name) {
    char text[sizeof("FDSTOREREMOVE=1\nFDNAME=") + KEEPER_NAME_MAX + 1];
    if (keeping->notify < 0 || strlen(name) > KEEPER_NAME_MAX)
        return;
    snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
    send_message(keeping, text, NULL, 0); /* a keeper that is gone holds nothing any more */
}

/* ---- exits ---- */

int keeping_exits_fd(const struct keeping *keeping) {
    return keeping->exits;
}

int keeping_peek_exit(struct keeping *keeping, struct keeper_exit *ret_exit) {
    struct keeper_exit one;
    if (keeping->exits < 0)
        return 0;
    ssize_t length = recv(keeping->exits, &one, sizeof(one), MSG_PEEK | MSG_DONTWAIT);
    if (length == 0)
        return -EPIPE;
    if (length != (ssize_t)sizeof(one)) /* for now: it is readable as long as there is more */
        return 0;
    *ret_exit = one;
    return 1;
}

void keeping_consume_exit(struct keeping *keeping) {
    struct keeper_exit one;
    if (keeping->exits >= 0 && recv(keeping->exits, &one, sizeof(one), MSG_DONTWAIT) < 0)
        return; /* there was none */
}
