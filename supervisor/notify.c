#include "supervisor/notify.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/membership.h"
#include "supervisor/world.h"
#include "units/base/file.h"
#include "units/base/number.h"

#define MESSAGE_MAX 4096     /* bytes; what libsystemd sends at most */
#define MESSAGES_AT_ONCE 128 /* so that a flood keeps nobody else waiting */
#define DESCRIPTORS_MAX 253  /* in one message, by the kernel (SCM_MAX_FD) */

struct notify {
    struct service *service;
    char *directory;
    int fd;
    struct watch *watch;
    bool refused; /* somebody else was told of once */
};

/* ---- one message ---- */

static void set_main_pid(struct notify *notify, const char *text, pid_t sender,
                         struct notification *notification) {
    struct service *service = notify->service;
    uint64_t number;
    if (number_parse(text, &number) < 0 || number == 0 || number > INT32_MAX)
        return;
    int error = membership_translate(sandbox_cgroup(service->sandbox), sender, (pid_t)number,
                                     &notification->main_pid, &notification->main_pidfd);
    if (error < 0)
        log_line(LEVEL_WARNING, "%s: its main process cannot be %s: it is none of the unit's own",
                 service->name, text);
}

static void read_line(struct notify *notify, char *line, pid_t sender,
                      struct notification *notification) {
    if (strcmp(line, "READY=1") == 0)
        notification->ready = true;
    else if (strcmp(line, "STOPPING=1") == 0)
        notification->stopping = true;
    else if (strncmp(line, "STATUS=", 7) == 0)
        notification->status = line + 7;
    else if (strncmp(line, "MAINPID=", 8) == 0 && notification->main_pid == 0)
        set_main_pid(notify, line + 8, sender, notification);
}

/* The socket is reached through the unit's own directory alone. A sender that has ended already
 * cannot be looked up any more, and is believed for what concerns nobody but the unit. */
static bool is_ours(struct notify *notify, pid_t sender) {
    struct service *service = notify->service;
    int member = service->sandbox && sender > 0
                     ? membership_of(sandbox_cgroup(service->sandbox), sender)
                     : 0;
    if (member == -ESRCH || member > 0)
        return true;
    if (!notify->refused)
        log_line(LEVEL_WARNING,
                 "%s: a notification from process %d, which is not the unit's, is "
                 "not believed",
                 service->name, (int)sender);
    notify->refused = true;
    return false;
}

static void take_message(struct notify *notify, char *message, pid_t sender) {
    struct notification notification = {.main_pidfd = -1};
    char *rest = message;
    for (char *line; (line = strsep(&rest, "\n"));)
        read_line(notify, line, sender, &notification);
    service_notified(notify->service, &notification);
}

static pid_t read_control(struct msghdr *header) {
    pid_t sender = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET)
            continue;
        if (part->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(part), sizeof(credentials));
            sender = credentials.pid;
        } else if (part->cmsg_type == SCM_RIGHTS) {
            /* Nobody asked for them; a barrier is answered by closing its pipe. */
            size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < count; i++) {
                int fd;
                memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
                close_fd(fd);
            }
        }
    }
    return sender;
}

static bool receive_one(struct notify *notify) {
    char message[MESSAGE_MAX + 1];
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
    } control;
    struct iovec part = {message, MESSAGE_MAX};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(notify->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0)
        return errno == EINTR;
    pid_t sender = read_control(&header);
    if ((header.msg_flags & MSG_TRUNC) || memchr(message, '\0', (size_t)length))
        return true;
    message[length] = '\0';
    if (is_ours(notify, sender))
        take_message(notify, message, sender);
    return true;
}

void notify_receive(struct notify *notify) {
    if (!notify)
        return;
    struct service *service = notify->service;
    /* What is said may end the unit, and this socket with it. */
    for (int i = 0; i < MESSAGES_AT_ONCE && service->private->notify == notify; i++)
        if (!receive_one(notify))
            return;
}

static void arrived(void *context) {
    struct notify *notify = context;
    struct manager *manager = notify->service->manager;
    notify_receive(notify);
    manager_event_ended(manager);
}

/* ---- the socket ---- */

/* Bound through the directory's descriptor: the path itself may be too long for a sun_path. */
static int bind_socket(int fd, int directory) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/notify", directory);
    if (unlinkat(directory, "notify", 0) < 0 && errno != ENOENT)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        fchmodat(directory, "notify", 0666, 0) < 0)
        return -errno;
    return 0;
}

static int open_socket(struct notify *notify, struct fault *fault) {
    int error = directory_make(AT_FDCWD, notify->directory, 0755, fault);
    if (error < 0)
        return error;
    scoped_fd int directory = open(notify->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || fchmod(directory, 0755) < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", notify->directory);
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify->fd < 0)
        return fault_set(fault, errno, "cannot make a notify socket");
    int yes = 1;
    if (setsockopt(notify->fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
        return fault_set(fault, errno, "cannot ask for credentials on the notify socket");
    error = bind_socket(notify->fd, directory);
    return error < 0 ? fault_set(fault, error, "cannot bind \"%s/notify\"", notify->directory) : 0;
}

int notify_open(struct service *service, struct notify **ret_notify, struct fault *fault) {
    struct manager *manager = service->manager;
    struct notify *notify = calloc(1, sizeof(*notify));
    if (!notify)
        return fault_set(fault, ENOMEM, "cannot make a notify socket");
    *notify = (struct notify){.service = service, .fd = -1};
    if (asprintf(&notify->directory, "%s/notify/%s", manager->options.runtime_directory,
                 service->name) < 0)
        notify->directory = NULL;
    int error = notify->directory ? open_socket(notify, fault)
                                  : fault_set(fault, ENOMEM, "cannot make a notify socket");
    if (error >= 0) {
        error =
            watch_open(manager, notify->fd, EPOLLIN, WATCH_NOTIFY, arrived, notify, &notify->watch);
        if (error < 0)
            fault_set(fault, error, "cannot watch the notify socket");
    }
    if (error < 0) {
        notify_close(notify);
        return error;
    }
    *ret_notify = notify;
    return 0;
}

const char *notify_directory(const struct notify *notify) {
    return notify->directory;
}

void notify_close(struct notify *notify) {
    if (!notify)
        return;
    struct fault fault;
    watch_close(notify->watch);
    close_fd(notify->fd);
    if (notify->directory && directory_remove(AT_FDCWD, notify->directory, &fault) < 0)
        log_line(LEVEL_WARNING, "%s: %s", notify->service->name, fault.text);
    free(notify->directory);
    free(notify);
}
