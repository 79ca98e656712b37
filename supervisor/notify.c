#include "supervisor/notify.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "supervisor/fd-store.h"
#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/membership.h"
#include "supervisor/notify-message.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/file.h"
#include "units/base/foreign.h"
#include "units/base/number.h"
#include "units/base/text.h"

#define KEPT "notify"
#define MESSAGE_MAX 4096     /* bytes; what libsystemd sends at most */
#define MESSAGES_AT_ONCE 128 /* so that a flood keeps nobody else waiting */
#define WITH_DESCRIPTORS 32  /* messages that one with descriptors costs as much as */
#define DESCRIPTORS_MAX 253  /* in one message, by the kernel (SCM_MAX_FD) */

struct notify {
    struct service *service;
    char *directory;
    int fd;
    struct watch *watch;
    bool refused, full; /* told of once */
    struct list
        heard;        /* manager_private.heard: something was handled, and is in the socket still */
    size_t count;     /* of those messages, without empty ones */
    size_t length;    /* of all of them, bytes */
    int *descriptors; /* ours of what came with them */
    size_t descriptor_count;
};

/* ---- one message ---- */

/* What came with it: all is closed in the end but what was taken. They are copies: those in the
 * socket go with their message. */
struct delivery {
    pid_t sender;
    uid_t user; /* on the host */
    int descriptors[DESCRIPTORS_MAX];
    size_t count;
};

/* Kept open for longer than the socket has them: so that it never closes any for the last time, for
 * which it might have to wait (foreign.h). */
static void delivery_clear(struct delivery *delivery, struct notify *notify) {
    size_t count = delivery->count;
    int *more = NULL;
    if (notify && count > 0)
        more = reallocarray(notify->descriptors, notify->descriptor_count + count, sizeof(int));
    if (!more) {
        foreign_close(delivery->descriptors, count);
        return;
    }
    notify->descriptors = more;
    memcpy(more + notify->descriptor_count, delivery->descriptors, count * sizeof(int));
    notify->descriptor_count += count;
}

static void refuse_main(const struct notify *notify, const char *what) {
    log_line(LEVEL_WARNING, "%s: its main process cannot be %s: it is none of the unit's own",
             notify->service->name, what);
}

static void find_main_pid(struct notify *notify, const char *text, pid_t sender,
                          struct notification *said) {
    const char *cgroup = sandbox_cgroup(notify->service->sandbox);
    uint64_t number;
    if (number_parse(text, &number) < 0 || number == 0 || number > INT32_MAX)
        return;
    if (membership_translate(cgroup, sender, (pid_t)number, &said->main_pid, &said->main_pidfd) < 0)
        refuse_main(notify, text);
}

/* The number that a pid namespace has given it does not matter here. */
static void take_main_pidfd(struct notify *notify, struct delivery *delivery,
                            struct notification *said) {
    if (delivery->count != 1)
        return;
    pid_t pid = membership_of_pidfd(delivery->descriptors[0]);
    if (pid <= 0 || membership_of(sandbox_cgroup(notify->service->sandbox), pid) != 1) {
        refuse_main(notify, "what came with it");
        return;
    }
    said->main_pid = pid;
    said->main_pidfd = delivery->descriptors[0];
    delivery->count = 0;
}

static void store(struct notify *notify, const struct notify_message *message,
                  struct delivery *delivery) {
    struct service *service = notify->service;
    size_t left = 0;
    for (size_t i = 0; i < delivery->count; i++) {
        int fd = delivery->descriptors[i];
        int error = fd_store_add(&service->private->fd_store, service, fd,
                                 message->fd_name ? message->fd_name : "stored", message->poll);
        if (error <= 0)
            delivery->descriptors[left++] = fd;
        if (error < 0 && !notify->full)
            log_line(LEVEL_WARNING, "%s: cannot keep a descriptor for it: %s", service->name,
                     error == -E2BIG ? "its store is full"
                     : error == -ENOTSUP
                         ? "it is a file; a socket, a pipe, a memfd or a device may "
                           "be kept, a file be opened again"
                         : strerror(-error));
        notify->full |= error < 0;
    }
    delivery->count = left;
}

/* The socket is reached through the unit's own directory alone. A sender that has ended already
 * cannot be looked up any more, and is believed where its user is one of the unit's range: what it
 * says concerns nobody else. */
static bool has_range_user(const struct service *service, uid_t user) {
    uint32_t base, count;
    return !sandbox_id_range(service->sandbox, &base, &count) ||
           (user >= base && user - base < count);
}

static bool is_ours(struct notify *notify, const struct delivery *delivery) {
    struct service *service = notify->service;
    int member = service->sandbox && delivery->sender > 0
                     ? membership_of(sandbox_cgroup(service->sandbox), delivery->sender)
                     : 0;
    if (member > 0 || (member == -ESRCH && has_range_user(service, delivery->user)))
        return true;
    if (!notify->refused)
        log_line(LEVEL_WARNING,
                 "%s: a notification from process %d, which is not the unit's, is "
                 "not believed",
                 service->name, (int)delivery->sender);
    notify->refused = true;
    return false;
}

/* As far as the program itself let others speak for it (NOTIFYACCESS=). */
static bool may_speak(const struct notify *notify, pid_t sender) {
    const struct service *service = notify->service;
    scoped_free char *beside = NULL;
    switch (service->private->access) {
    case ACCESS_UNSAID:
    case ACCESS_ALL:
        return true;
    case ACCESS_EXEC:
        if (asprintf(&beside, "%s/aux", sandbox_cgroup(service->sandbox)) < 0)
            beside = NULL;
        return sender == service->main_pid || (beside && membership_of(beside, sender) == 1);
    case ACCESS_MAIN:
        return sender == service->main_pid;
    case ACCESS_NONE:
        break;
    }
    return false;
}

static void take_message(struct notify *notify, char *text, struct delivery *delivery) {
    struct service *service = notify->service;
    struct notify_message message;
    scoped_text struct text status = {0}, bus_error = {0};
    notify_message_parse(text, &message);
    if (message.barrier) /* all before it is done: closing its descriptor says so */
        return;
    if (message.said.status) {
        text_add_clean(&status, message.said.status);
        message.said.status = status.data ? status.data : "";
    }
    if (message.said.bus_error) {
        text_add_clean(&bus_error, message.said.bus_error);
        message.said.bus_error = bus_error.data;
    }
    if (service->sandbox && message.main_pidfd)
        take_main_pidfd(notify, delivery, &message.said);
    else if (service->sandbox && message.main_pid)
        find_main_pid(notify, message.main_pid, delivery->sender, &message.said);
    if (message.remove && message.fd_name)
        fd_store_remove(service->private->fd_store, message.fd_name);
    else if (message.store && service->sandbox)
        store(notify, &message, delivery);
    service_notified(service, &message.said);
}

static void read_control(struct msghdr *header, struct delivery *delivery) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET)
            continue;
        if (part->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(part), sizeof(credentials));
            delivery->sender = credentials.pid;
            delivery->user = credentials.uid;
        } else if (part->cmsg_type == SCM_RIGHTS) {
            delivery->count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(delivery->descriptors, CMSG_DATA(part), delivery->count * sizeof(int));
        }
    }
}

/* Shows the next one, which stays where it is until notify_consume. The place (SO_PEEK_OFF) is set
 * each time: of its own it moves by what a reader had room for. Without a place the first one is
 * shown also where it is empty and was shown before, which is passed over otherwise. */
static ssize_t peek(struct notify *notify, struct msghdr *header) {
    int place = list_is_empty(&notify->heard) ? -1 : (int)notify->length;
    if (setsockopt(notify->fd, SOL_SOCKET, SO_PEEK_OFF, &place, sizeof(place)) < 0)
        return -1;
    ssize_t length =
        recvmsg(notify->fd, header, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0)
        return length;
    if (list_is_empty(&notify->heard))
        list_append(&notify->service->manager->private->heard, &notify->heard);
    notify->count += length > 0;
    notify->length += (size_t)length;
    return length;
}

/* What it cost, in messages; 0: there was none.
 *
 * A manager that dies before notify_consume is followed by one that handles the same again. Said
 * twice, nearly all means what it means once: states, texts and times, also RESTART_RESET=1 and
 * MAINPID=. FDSTORE=1 does not: a second copy of a descriptor that is there already is known by
 * kcmp(2), and one that no fact names goes when its manager does (fd_store_restore). */
static int receive_one(struct notify *notify) {
    char message[MESSAGE_MAX + 1];
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
    } control;
    struct delivery delivery = {0};
    struct iovec part = {message, MESSAGE_MAX};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
    struct service *service = notify->service;
    ssize_t length = peek(notify, &header);
    if (length < 0)
        return errno == EINTR ? 1 : 0;
    read_control(&header, &delivery);
    int cost = delivery.count ? WITH_DESCRIPTORS : 1;
    bool whole = length <= MESSAGE_MAX && !memchr(message, '\0', (size_t)length);
    message[whole ? length : 0] = '\0';
    if (whole && is_ours(notify, &delivery) && may_speak(notify, delivery.sender))
        take_message(notify, message, &delivery);
    delivery_clear(&delivery, service->private->notify == notify ? notify : NULL);
    return cost;
}

void notify_receive(struct notify *notify) {
    if (!notify)
        return;
    struct service *service = notify->service;
    /* What is said may end the unit, and this socket with it. */
    for (int left = MESSAGES_AT_ONCE; left > 0 && service->private->notify == notify;) {
        int cost = receive_one(notify);
        if (cost == 0)
            return;
        left -= cost;
    }
}

/* Empty ones, which may or may not have been shown, go on the way to the last that was not. */
static void take_out(struct notify *notify) {
    ssize_t length;
    do {
        length = recv(notify->fd, NULL, 0, MSG_TRUNC | MSG_DONTWAIT);
        notify->count -= length > 0;
    } while (notify->count > 0 && (length >= 0 || errno == EINTR));
    notify->count = notify->length = 0;
    foreign_close(notify->descriptors, notify->descriptor_count);
    free(take(notify->descriptors));
    notify->descriptor_count = 0;
}

void notify_consume(struct manager *manager) {
    struct notify *notify;
    while ((notify = list_first(&manager->private->heard, struct notify, heard))) {
        list_remove(&notify->heard);
        take_out(notify);
    }
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

/* What was sent to an earlier manager, and not read, is in it still. */
static int open_socket(struct notify *notify, struct fault *fault) {
    if (state_take(notify->service, KEPT, &notify->fd, 1) > 0)
        return 0;
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
    if (error < 0)
        return fault_set(fault, error, "cannot bind \"%s/notify\"", notify->directory);
    state_hold(notify->service, KEPT, &notify->fd, 1);
    return 0;
}

int notify_open(struct service *service, struct notify **ret_notify, struct fault *fault) {
    struct manager *manager = service->manager;
    struct notify *notify = calloc(1, sizeof(*notify));
    if (!notify)
        return fault_set(fault, ENOMEM, "cannot make a notify socket");
    *notify = (struct notify){.service = service, .fd = -1};
    list_init(&notify->heard);
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
    state_release(notify->service, KEPT);
    watch_close(notify->watch);
    list_remove(&notify->heard);
    char byte; /* what was not read may have descriptors with it, which go with the socket */
    if (notify->fd >= 0 && recv(notify->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
        foreign_close(&notify->fd, 1);
    else
        close_fd(notify->fd);
    foreign_close(notify->descriptors, notify->descriptor_count);
    free(notify->descriptors);
    if (notify->directory && directory_remove(AT_FDCWD, notify->directory, &fault) < 0)
        log_line(LEVEL_WARNING, "%s: %s", notify->service->name, fault.text);
    free(notify->directory);
    free(notify);
}
