#include "supervisor/console.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/state.h"
#include "supervisor/world.h"

#define NAME "terminal"
#define KEPT "terminal"
#define WAITING_MAX 16 /* who attach while the logger is away */

struct console {
    struct service *service;
    int directory; /* RUNTIME_DIR/output/NAME */
    int listener;
    int logger; /* the connection; -EBADF: it has not called */
    struct watch *listening;
    int master, slave; /* of the present run; the slave keeps it from hanging up in between */
    int waiting[WAITING_MAX];
    size_t waiting_count;
};

/* ---- to the logger ---- */

static int send_descriptor(int socket, char kind, int fd) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {&kind, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &fd, sizeof(int));
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* One that does not listen is let go: it calls again when it has seen that. */
static int tell(struct console *console, char kind, int fd) {
    if (console->logger < 0)
        return -ENOTCONN;
    int error = send_descriptor(console->logger, kind, fd);
    if (error < 0)
        console->logger = close_fd(console->logger);
    return error;
}

static void catch_up(struct console *console) {
    if (console->master >= 0)
        tell(console, 'T', console->master);
    for (size_t i = 0; i < console->waiting_count; i++) {
        tell(console, 'A', console->waiting[i]);
        close_fd(console->waiting[i]);
    }
    console->waiting_count = 0;
}

static void called(void *context) {
    struct console *console = context;
    int logger = accept4(console->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (logger < 0)
        return;
    close_fd(console->logger); /* there is one logger; the last that called is it */
    console->logger = logger;
    catch_up(console);
    manager_event_ended(console->service->manager);
}

/* ---- life ---- */

/* It gets its name when it can be called, since the logger calls when it sees the name. By way of
 * /proc, since the path of a runtime directory may be longer than an address holds. */
static int listen_on(struct console *console) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    console->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (console->listener < 0)
        return -errno;
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/." NAME,
             console->directory);
    unlinkat(console->directory, "." NAME, 0);
    if (bind(console->listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        fchmodat(console->directory, "." NAME, 0600, 0) < 0 || listen(console->listener, 4) < 0 ||
        renameat(console->directory, "." NAME, console->directory, NAME) < 0)
        return -errno;
    return watch_open(console->service->manager, console->listener, EPOLLIN, WATCH_NOTIFY, called,
                      console, &console->listening);
}

int console_open(struct service *service, struct console **ret_console, struct fault *fault) {
    char *path = NULL;
    struct console *console = calloc(1, sizeof(*console));
    if (!console || asprintf(&path, "%s/output/%s", service->manager->options.runtime_directory,
                             service->name) < 0) {
        free(console);
        return fault_set(fault, ENOMEM, "cannot make the terminal of %s", service->name);
    }
    *console = (struct console){
        .service = service, .listener = -1, .logger = -1, .master = -1, .slave = -1};
    console->directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int error = console->directory < 0 ? -errno : listen_on(console);
    if (error < 0) {
        console_close(console);
        fault_set(fault, error, "cannot listen on \"%s/" NAME "\"", path);
    } else {
        *ret_console = console;
    }
    free(path);
    return error;
}

static void begin(struct console *console, int master) {
    console->master = master;
    console->slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (console->slave < 0)
        log_line(LEVEL_WARNING, "%s: cannot hold its terminal: %s", console->service->name,
                 strerror(errno));
    tell(console, 'T', master);
}

void console_begin(struct console *console, int master) {
    console_end(console);
    if (master < 0)
        return;
    state_hold(console->service, KEPT, &master, 1);
    begin(console, master);
}

void console_resume(struct console *console) {
    int master;
    if (state_take(console->service, KEPT, &master, 1) > 0)
        begin(console, master);
}

void console_end(struct console *console) {
    if (console->master >= 0)
        state_release(console->service, KEPT);
    console->slave = close_fd(console->slave);
    console->master = close_fd(console->master);
}

int console_attach(struct console *console, int *ret_master, int *ret_output, struct fault *fault) {
    int ends[2];
    const char *name = console->service->name;
    if (console->master < 0)
        return fault_say(fault, ESRCH, "%s is not running", name);
    if (console->logger < 0 && console->waiting_count == WAITING_MAX)
        return fault_say(fault, EBUSY, "%s: ringfence-logd, which reads the terminal, is away",
                         name);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return fault_set(fault, errno, "cannot attach to %s", name);
    scoped_fd int output = ends[0], sender = ends[1];
    scoped_fd int master = fcntl(console->master, F_DUPFD_CLOEXEC, 0);
    if (master < 0)
        return fault_set(fault, errno, "cannot attach to %s", name);
    if (tell(console, 'A', sender) < 0) {
        if (console->waiting_count == WAITING_MAX)
            return fault_say(fault, EBUSY, "%s: ringfence-logd, which reads the terminal, is away",
                             name);
        console->waiting[console->waiting_count++] = take_fd(&sender);
    }
    *ret_master = take_fd(&master);
    *ret_output = take_fd(&output);
    return 0;
}

void console_close(struct console *console) {
    if (!console)
        return;
    console_end(console);
    for (size_t i = 0; i < console->waiting_count; i++)
        close_fd(console->waiting[i]);
    watch_close(console->listening);
    if (console->directory >= 0)
        unlinkat(console->directory, NAME, 0);
    close_fd(console->logger);
    close_fd(console->listener);
    close_fd(console->directory);
    free(console);
}
