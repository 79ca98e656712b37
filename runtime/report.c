#include "runtime/report.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "units/base/scoped.h"

#define TRIES 100
#define TRY_PAUSE 10 /* milliseconds */

/* The message's head; the text follows, without its NUL. */
struct head {
    uint32_t kind;
    int32_t error;
    uint32_t value;
    uint32_t text_length;
};

union control {
    char bytes[CMSG_SPACE(sizeof(int) * REPORT_DESCRIPTORS) + CMSG_SPACE(sizeof(struct ucred))];
    struct cmsghdr align;
};

int report_open(int ret_ends[2], struct fault *fault) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_ends) < 0)
        return fault_set(fault, errno, "cannot open a report channel");
    const int on = 1;
    if (setsockopt(ret_ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) {
        int error = fault_set(fault, errno, "cannot open a report channel");
        close(ret_ends[0]);
        close(ret_ends[1]);
        return error;
    }
    return 0;
}

/* What the kernel lacks now it may have soon: nothing else tells the manager what happened here. */
static bool may_send_later(int tries) {
    if (errno != EAGAIN && errno != ENOMEM && errno != ENOBUFS)
        return errno == EINTR;
    poll(NULL, 0, TRY_PAUSE);
    return tries < TRIES;
}

int report_send(int fd, const struct report *report) {
    struct head head = {.kind = report->kind,
                        .error = report->error,
                        .value = report->value,
                        .text_length = (uint32_t)strnlen(report->text, sizeof report->text)};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)report->text, head.text_length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    union control control;
    if (report->descriptor_count) {
        size_t size = sizeof(int) * report->descriptor_count;
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(size);
        memset(&control, 0, sizeof control);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(rights), report->descriptors, size);
    }
    for (int tries = 0; sendmsg(fd, &message, MSG_NOSIGNAL) < 0; tries++)
        if (!may_send_later(tries))
            return -errno;
    return 0;
}

void report_send_fault(int fd, const char *step, int error, uint32_t value,
                       const struct fault *fault) {
    struct report report = {.kind = REPORT_FAULT, .error = error, .value = value};
    int length = snprintf(report.text, sizeof report.text, "%s: ", step);
    snprintf(report.text + length, sizeof report.text - (size_t)length, "%.*s",
             FAULT_SIZE - length - 1, fault->text);
    report_send(fd, &report);
}

bool report_has_reader(int fd) {
    struct pollfd end = {.fd = fd};
    return poll(&end, 1, 0) <= 0 || !(end.revents & (POLLHUP | POLLERR));
}

bool report_await(int fd) {
    struct pollfd word = {.fd = fd, .events = POLLIN};
    char byte;
    ssize_t length;
    do {
        poll(&word, 1, -1);
        length = recv(fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
    } while (length < 0 && (errno == EINTR || errno == EAGAIN));
    return length > 0;
}

int report_go(int fd) {
    ssize_t sent;
    do
        sent = send(fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 && errno != EPIPE && errno != ECONNRESET ? -errno : 0;
}

static void take_control(struct msghdr *message, struct report *report) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        struct ucred sender;
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&sender, CMSG_DATA(part), sizeof sender);
            report->sender = sender.pid;
        }
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (count > REPORT_DESCRIPTORS)
            count = REPORT_DESCRIPTORS; /* cannot be: the control buffer has no room for more */
        memcpy(report->descriptors, CMSG_DATA(part), count * sizeof(int));
        report->descriptor_count = count;
    }
}

/* A holder of the other end that closes it with report_go unread resets the connection: the kernel
 * tells that once, before what was sent. */
static ssize_t receive(int fd, struct msghdr *message, int flags) {
    ssize_t length;
    do
        length = recvmsg(fd, message, flags | MSG_DONTWAIT);
    while (length < 0 && (errno == EINTR || errno == ECONNRESET));
    return length;
}

bool report_find_fault(int fd, struct report *ret_report) {
    struct head head;
    struct report report = {.kind = REPORT_FAULT};
    struct iovec parts[2] = {{&head, sizeof head}, {report.text, sizeof report.text - 1}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t length = receive(fd, &message, MSG_PEEK);
    if (length < (ssize_t)sizeof head || head.kind != REPORT_FAULT)
        return false;
    report.error = head.error;
    report.value = head.value;
    *ret_report = report;
    return true;
}

int report_receive(int fd, struct report *ret_report) {
    struct head head;
    struct report report = {0};
    struct iovec parts[2] = {{&head, sizeof head}, {report.text, sizeof report.text - 1}};
    union control control;
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t length = receive(fd, &message, MSG_CMSG_CLOEXEC);
    if (length <= 0)
        return length < 0 ? -errno : 0;

    take_control(&message, &report);
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || (size_t)length < sizeof head ||
        (size_t)length - sizeof head != head.text_length || head.kind >= REPORT_KINDS) {
        for (size_t i = 0; i < report.descriptor_count; i++)
            close_fd(report.descriptors[i]);
        return -EBADMSG;
    }
    report.kind = (enum report_kind)head.kind;
    report.error = head.error;
    report.value = head.value;
    *ret_report = report;
    return 1;
}
