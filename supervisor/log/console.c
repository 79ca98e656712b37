#include "supervisor/log/console.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "supervisor/log/output.h"
#include "units/base/scoped.h"

enum {
    VIEWERS_MAX = 32,
    VIEWER_BUFFER =
        1 << 20, /* bytes that one who pauses may be behind, as far as the kernel lets */
    PART = 4096  /* bytes of one read: as many as a FIFO that is writable takes as a whole */
};

struct viewer {
    int fd;
    size_t missed; /* bytes since the last that it got */
};

struct console {
    struct readable readable; /* the connection to the manager */
    struct readable output_readable;
    struct output *output;
    int manager;
    int terminal; /* the master of the present run */
    char part[PART];
    size_t length; /* bytes of part that are still to go into the FIFO */
    struct viewer viewers[VIEWERS_MAX];
    size_t count;
};

/* ---- those who are attached ---- */

static void drop(struct console *console, size_t number) {
    close_fd(console->viewers[number].fd);
    console->viewers[number] = console->viewers[--console->count];
}

/* Nobody tells that one has gone; it is seen when there is something to show, or no room left. */
static void drop_gone(struct console *console) {
    for (size_t i = console->count; i > 0; i--) {
        struct pollfd viewer = {.fd = console->viewers[i - 1].fd};
        if (poll(&viewer, 1, 0) > 0 && viewer.revents & (POLLHUP | POLLERR))
            drop(console, i - 1);
    }
}

static void add_viewer(struct console *console, int fd) {
    const int size = VIEWER_BUFFER;
    if (console->count == VIEWERS_MAX)
        drop_gone(console);
    if (console->count == VIEWERS_MAX || console->terminal < 0) {
        close_fd(fd);
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    console->viewers[console->count++] = (struct viewer){.fd = fd};
}

/* False: it has gone. */
static bool send_to(struct viewer *viewer, const char *bytes, size_t length) {
    if (viewer->missed > 0) {
        char note[96];
        int size = snprintf(note, sizeof note, "\r\n[ringfence: %zu bytes were skipped]\r\n",
                            viewer->missed);
        ssize_t sent = send(viewer->fd, note, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent < 0) {
            viewer->missed += length;
            return true;
        }
        viewer->missed = 0;
    }
    ssize_t sent = send(viewer->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
        return false;
    viewer->missed = length - (sent < 0 ? 0 : (size_t)sent);
    return true;
}

static size_t without_returns(char *bytes, size_t length) {
    size_t kept = 0;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != '\r' || (i + 1 < length && bytes[i + 1] != '\n'))
            bytes[kept++] = bytes[i];
    return kept;
}

static void show(struct console *console, const char *bytes, size_t length) {
    for (size_t i = console->count; i > 0; i--)
        if (!send_to(&console->viewers[i - 1], bytes, length))
            drop(console, i - 1);
}

/* ---- the terminal ---- */

/* False: the FIFO takes no more for now. */
static bool pass_on(struct console *console) {
    int fifo = console->output->streams[LOG_OUT].fd;
    struct pollfd room = {.fd = fifo, .events = POLLOUT};
    if (console->length > 0 && write(fifo, console->part, console->length) > 0)
        console->length = 0;
    return console->length == 0 && poll(&room, 1, 0) > 0 && room.revents & POLLOUT;
}

static void close_terminal(struct console *console) {
    if (console->terminal >= 0)
        epoll_ctl(console->output->logger->epoll, EPOLL_CTL_DEL, console->terminal, NULL);
    console->terminal = close_fd(console->terminal);
}

/* The run is over: so it is for those who are attached. */
static void end(struct console *console) {
    close_terminal(console);
    while (console->count > 0)
        drop(console, console->count - 1);
}

size_t console_read(struct console *console) {
    if (!console || console->terminal < 0 || !pass_on(console))
        return 0;
    ssize_t length = read(console->terminal, console->part, sizeof console->part);
    if (length == 0 || (length < 0 && errno == EIO))
        end(console);
    if (length <= 0)
        return 0;
    show(console, console->part, (size_t)length);
    console->length = without_returns(console->part, (size_t)length);
    pass_on(console);
    return (size_t)length;
}

static void take_output(struct readable *readable) {
    struct console *console = list_entry(readable, struct console, output_readable);
    if (console->output->listening)
        console_read(console);
}

void console_listen(struct console *console, bool listening) {
    if (!console || console->terminal < 0)
        return;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &console->output_readable};
    if (epoll_ctl(console->output->logger->epoll, listening ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
                  console->terminal, &event) < 0 &&
        listening)
        logger_say("output of %s: cannot read its terminal: %s", console->output->unit,
                   strerror(errno));
}

/* What is left of the run before goes first. */
static void begin(struct console *console, int terminal) {
    while (console_read(console) > 0)
        stream_take(&console->output->streams[LOG_OUT], false);
    stream_drain(&console->output->streams[LOG_OUT]);
    end(console);
    console->terminal = terminal;
    if (console->output->listening)
        console_listen(console, true);
}

/* ---- the manager ---- */

static void hang_up(struct console *console) {
    if (console->manager >= 0)
        epoll_ctl(console->output->logger->epoll, EPOLL_CTL_DEL, console->manager, NULL);
    console->manager = close_fd(console->manager);
}

/* -errno; 0 at the end. */
static ssize_t receive(int socket, char *ret_kind, int *ret_fd) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {ret_kind, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    const struct cmsghdr *rights = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    *ret_fd = -EBADF;
    if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(rights), sizeof(int));
    return length < 0 ? -errno : length;
}

/* A new master ends what is left of the run before; a viewer comes after the master that it is to
 * see. */
static void take_message(struct readable *readable) {
    struct console *console = (struct console *)readable;
    char kind;
    int fd;
    if (console->manager < 0)
        return;
    ssize_t length = receive(console->manager, &kind, &fd);
    if (length == -EAGAIN || length == -EINTR)
        return;
    if (length <= 0) {
        hang_up(console);
        console_refresh(console->output); /* perhaps it only let go of us */
    } else if (fd >= 0 && kind == 'T') {
        begin(console, fd);
    } else if (fd >= 0 && kind == 'A') {
        add_viewer(console, fd);
    } else {
        close_fd(fd);
    }
}

static int call(struct console *console) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &console->readable};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" CONSOLE_SOCKET,
             console->output->directory);
    scoped_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        epoll_ctl(console->output->logger->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    console->manager = take_fd(&fd);
    return 0;
}

void console_refresh(struct output *output) {
    struct console *console = output->console;
    struct stat status;
    if ((console && console->manager >= 0) ||
        fstatat(output->directory, CONSOLE_SOCKET, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISSOCK(status.st_mode))
        return;
    if (!console) {
        console = calloc(1, sizeof *console);
        if (!console) {
            logger_say("out of memory: the terminal of %s is not read", output->unit);
            return;
        }
        *console = (struct console){.readable.turn = take_message,
                                    .output_readable.turn = take_output,
                                    .output = output,
                                    .manager = -EBADF,
                                    .terminal = -EBADF};
        output->console = console;
    }
    int error = call(console);
    /* A socket that a dead manager left: the next one makes another, of which we hear. */
    if (error && error != -ECONNREFUSED && error != -ENOENT)
        logger_say("cannot ask for the terminal of %s: %s", output->unit, strerror(-error));
}

void console_free(struct console *console) {
    if (!console)
        return;
    hang_up(console);
    end(console);
    free(console);
}
