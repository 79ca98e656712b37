#include "supervisor/log/sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

enum {
    PRIORITY_WARNING = 4, /* what the logger itself has to say */
    PRIORITY_INFO = 6,    /* what a service says */
    FACILITY_DAEMON = 3,
    PRIORITY_BITS = 3
};

void message_init(struct message *message, const struct log_record *record) {
    const char *text = record->text;
    *message =
        (struct message){.record = record,
                         .priority = record->stream == LOG_NOTE ? PRIORITY_WARNING : PRIORITY_INFO,
                         .text = text,
                         .length = record->length};
    if (record->stream == LOG_NOTE || record->length < 3 || text[0] != '<' || text[1] < '0' ||
        text[1] > '7' || text[2] != '>')
        return;
    message->priority = text[1] - '0';
    message->text += 3;
    message->length -= 3;
}

/* ---- sockets ---- */

static int open_socket(const struct sink_kind *kind) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, kind->path, sizeof address.sun_path - 1);
    scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    return take_fd(&fd);
}

static ssize_t send_parts(int fd, struct iovec *parts, size_t count) {
    const struct msghdr header = {.msg_iov = parts, .msg_iovlen = count};
    return sendmsg(fd, &header, MSG_NOSIGNAL);
}

static struct iovec part(const char *bytes, size_t length) {
    return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
}

/* The journal's native protocol: a datagram of lines FIELD=value. Ours have no newline in them. The
 * journal itself adds what it knows of OBJECT_PID, if that is still there. */
static ssize_t send_to_journal(int fd, const struct message *message) {
    const struct log_record *record = message->record;
    scoped_text struct text fields = {0};
    text_format(&fields, "UNIT=%s\nSYSLOG_IDENTIFIER=%s\nSYSLOG_FACILITY=%d\nPRIORITY=%d\n",
                record->unit, record->unit, FACILITY_DAEMON, message->priority);
    if (record->pid > 0)
        text_format(&fields, "PID=%d\nSYSLOG_PID=%d\nOBJECT_PID=%d\n", (int)record->pid,
                    (int)record->pid, (int)record->pid);
    text_format(&fields, "STREAM=%s\n%sMESSAGE=", log_stream_word(record->stream),
                record->partial ? "PARTIAL=1\n" : "");
    if (fields.failed) {
        errno = ENOMEM;
        return -1;
    }
    struct iovec parts[] = {part(fields.data, fields.length), part(message->text, message->length),
                            part("\n", 1)};
    return send_parts(fd, parts, ELEMENTS(parts));
}

static size_t print_tag(const struct message *message, char *ret_text, size_t size) {
    const struct log_record *record = message->record;
    int length = record->pid > 0
                     ? snprintf(ret_text, size, "%s[%d]: ", record->unit, (int)record->pid)
                     : snprintf(ret_text, size, "%s: ", record->unit);
    return (size_t)length;
}

/* RFC 3164 as syslog(3) of the C library writes it: "<30>Nov 21 20:52:19 web[4711]: text". The
 * months have English names whatever the locale is, for the program sets none. */
static ssize_t send_to_syslog(int fd, const struct message *message) {
    char head[LOG_HEADER_MOST];
    struct tm local;
    time_t seconds = (time_t)(message->record->time / 1000000);
    localtime_r(&seconds, &local);
    int length =
        snprintf(head, sizeof head, "<%d>", FACILITY_DAEMON << PRIORITY_BITS | message->priority);
    size_t used = (size_t)length + strftime(head + length, 32, "%b %e %H:%M:%S ", &local);
    used += print_tag(message, head + used, sizeof head - used);
    struct iovec parts[] = {part(head, used), part(message->text, message->length)};
    return send_parts(fd, parts, ELEMENTS(parts));
}

/* ---- devices ---- */

static int open_device(const struct sink_kind *kind) {
    int fd = open(kind->path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* One write(2) is one record; the kernel takes at most 1,024 bytes, and as long as
 * kernel.printk_devkmsg is not "on" it drops what is more than ten in five seconds. */
static ssize_t send_to_kmsg(int fd, const struct message *message) {
    char head[LOG_HEADER_MOST];
    int length =
        snprintf(head, sizeof head, "<%d>", FACILITY_DAEMON << PRIORITY_BITS | message->priority);
    size_t used = (size_t)length + print_tag(message, head + length, sizeof head - (size_t)length);
    struct iovec parts[] = {part(head, used), part(message->text, message->length)};
    return writev(fd, parts, ELEMENTS(parts));
}

/* What steers a terminal is made harmless. One that takes no more within a line gets the whole line
 * again when it does. */
static ssize_t send_to_console(int fd, const struct message *message) {
    char head[LOG_HEADER_MOST];
    scoped_text struct text line = {0};
    text_append(&line, head, print_tag(message, head, sizeof head));
    text_add_clean_bytes(&line, message->text, message->length);
    text_add(&line, "\n");
    if (line.failed) {
        errno = ENOMEM;
        return -1;
    }
    ssize_t written = write(fd, line.data, line.length);
    if (written >= 0 && (size_t)written < line.length) {
        errno = EAGAIN;
        return -1;
    }
    return written;
}

/* ---- all of them ---- */

const struct sink_kind sink_kinds[] = {
    [SINK_JOURNAL] = {"journal", "/run/systemd/journal/socket", "the journal", 48 << 10,
                      open_socket, send_to_journal},
    [SINK_SYSLOG] = {"syslog", "/dev/log", "syslog", 8000, open_socket, send_to_syslog},
    [SINK_KMSG] = {"kmsg", "/dev/kmsg", "the kernel's log", 800, open_device, send_to_kmsg},
    [SINK_CONSOLE] = {"console", "/dev/console", "the console", 4000, open_device, send_to_console},
};
static_assert(ELEMENTS(sink_kinds) == SINKS, "a row for every sink");

/* What was open may have been left behind by a daemon that began anew, so that a failure is one
 * only with a fresh descriptor. */
int sink_send(struct sink *sinks, size_t number, const struct log_record *record,
              struct fault *fault) {
    const struct sink_kind *kind = &sink_kinds[number];
    struct sink *sink = &sinks[number];
    struct message message;
    message_init(&message, record);
    for (bool fresh = sink->fd < 0;; fresh = true) {
        if (sink->fd < 0) {
            int fd = kind->open(kind);
            if (fd < 0)
                return fault_set(fault, fd, "cannot send the output of %s to %s: \"%s\"",
                                 record->unit, kind->name, kind->path);
            sink->fd = fd;
        }
        if (kind->send(sink->fd, &message) >= 0)
            return 0;
        int error = errno;
        if (error == EAGAIN)
            return -EAGAIN;
        if (error == EINTR)
            continue;
        sink->fd = close_fd(sink->fd);
        if (fresh)
            return fault_set(fault, error, "cannot send the output of %s to %s: \"%s\"",
                             record->unit, kind->name, kind->path);
    }
}
