#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/keeper/keeper.h"
#include "units/base/foreign.h"
#include "units/base/scoped.h"

enum { MESSAGE_MOST = 4096 }; /* bytes; sd_notify(3) messages are far smaller */

/* ---- upward ---- */

void tell_upward(const struct keeper *keeper, const char *message) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = keeper->upward ? strlen(keeper->upward) : 0;
    if (length < 2 || length >= sizeof address.sun_path || !strchr("/@", *keeper->upward))
        return;
    memcpy(address.sun_path, keeper->upward, length);
    if (*keeper->upward == '@') /* an abstract socket */
        address.sun_path[0] = '\0';
    scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        sendto(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT,
               (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

/* ---- what the manager may say ---- */

static void alive(struct keeper *keeper, const char *value) {
    (void)value;
    machine_told_alive(keeper);
    keeper_await_sign(keeper);
}

/* A sign of life too: from now on it has the patience for one that is ready. */
static void ready(struct keeper *keeper, const char *value) {
    keeper->ready = true;
    keeper->unready = 0;
    alive(keeper, value);
}

static void stopping(struct keeper *keeper, const char *value) {
    (void)value;
    keeper_stops(keeper);
}

/* Rounded up; what says "never", or so much, is no limit. */
static unsigned milliseconds(const char *value) {
    unsigned long long usec = strtoull(value, NULL, 10);
    return usec / 1000 >= INT_MAX ? 0 : (unsigned)((usec + 999) / 1000);
}

/* Only while it stops: what it takes to start everything is nobody's business. Nor does it count
 * that one which has been killed had asked for more time. */
static void extend(struct keeper *keeper, const char *value) {
    unsigned patience = milliseconds(value);
    if (keeper->phase != PHASE_STOPPING || keeper->manager.killed)
        return;
    if (patience)
        child_limit(&keeper->manager, patience);
    else
        keeper->manager.limit = NEVER;
}

static void watch(struct keeper *keeper, const char *value) {
    keeper->watchdog = machine_told_watchdog(keeper, milliseconds(value));
    if (keeper->phase == PHASE_KEEPING)
        keeper->manager.limit = NEVER;
    alive(keeper, value);
}

/* It may be stopped, or wait for itself; whatever it had under way its successor goes on with. Said
 * again and again of one that waits for a disk: it has been killed already. */
static void logger_hangs(struct keeper *keeper, const char *value) {
    (void)value;
    if (keeper->logd.pid == 0 || keeper->logd.asked)
        return;
    say("%s (pid %d) does not answer and is killed", keeper->logd.name, (int)keeper->logd.pid);
    keeper->logd.asked = true;
    child_signal(&keeper->logd, SIGKILL);
}

/* It has saved all, and ends. */
static void replace(struct keeper *keeper, const char *value) {
    (void)value;
    if (keeper->phase == PHASE_KEEPING)
        keeper->replacing = true;
}

/* A word that ends in "=" takes a value. Some are what systemd may be told in our name. */
static const struct {
    const char *word;
    bool upward;
    void (*heed)(struct keeper *keeper, const char *value);
} words[] = {
    {"READY=1", true, ready},
    {"STATUS=", true, NULL},
    {"STOPPING=1", true, stopping},
    {"RELOADING=1", true, NULL},
    {"MONOTONIC_USEC=", true, NULL},
    {"EXTEND_TIMEOUT_USEC=", true, extend},
    {"CONSOLE=", false, machine_told_person},
    {"FAILURE=", false, machine_told_failure},
    {"WATCHDOG=1", false, alive},
    {"WATCHDOG_USEC=", false, watch},
    {"REEXEC=1", false, replace},
    {"LOGGER=hung", false, logger_hangs},
    {"POWEROFF=", false, machine_told_poweroff},
    {"REBOOT=", false, machine_told_reboot},
    {"HALT=", false, machine_told_halt},
};

/* ---- its descriptors ---- */

struct message {
    char text[MESSAGE_MOST + 1];
    bool cut;  /* words are missing */
    bool lost; /* descriptors are: there were too many, or we have as many as we may */
    pid_t sender;
    int fds[KEEPER_MESSAGE_FDS];
    size_t count;
};

/* The descriptors are the store's, or stay in the message. */
static void keep_descriptors(struct store *store, struct message *message, const char *name) {
    if (strlen(name) > KEEPER_NAME_MAX || !*name) {
        say("%zu descriptors without a proper name are not kept", message->count);
    } else if (!message->lost && store_add(store, name, message->fds, message->count) == 0) {
        message->count = 0;
    } else if (!store->complained) {
        say("no more descriptors can be kept than the %zu that are; \"%s\" is not",
            store_records(store)->count, name);
        store->complained = true;
    }
}

/* What stands behind the word in a line that begins with it; NULL: it does not. */
static const char *find_value(const char *line, const char *word) {
    size_t size = strlen(word);
    bool whole = word[size - 1] != '=' && line[size] != '\0';
    return strncmp(line, word, size) == 0 && !whole ? line + size : NULL;
}

/* The manager's words, line by line. The text is taken apart in place. */
static void heed(struct keeper *keeper, struct message *message) {
    char told[MESSAGE_MOST + 1] = "", *end = told, *rest = message->text;
    const char *name = "", *value;
    bool store = false, drop = false;
    for (char *line; (line = strsep(&rest, "\n"));) {
        store |= find_value(line, "FDSTORE=1") != NULL;
        drop |= find_value(line, "FDSTOREREMOVE=1") != NULL;
        if ((value = find_value(line, "FDNAME=")))
            name = value;
        for (size_t i = 0; i < ELEMENTS(words); i++) {
            if (!(value = find_value(line, words[i].word)))
                continue;
            if (words[i].upward) /* the lines are no longer than the message that they are from */
                end += sprintf(end, "%s%s", end > told ? "\n" : "", line);
            if (words[i].heed)
                words[i].heed(keeper, value);
        }
    }
    if (store && (message->count > 0 || message->lost))
        keep_descriptors(&keeper->store, message, name);
    if (drop && *name)
        store_drop(&keeper->store, name);
    if (end > told)
        tell_upward(keeper, told);
}

/* ---- the socket ---- */

/* The sender's pid is what the kernel vouches for, 0 where it does not. */
static void read_control(struct message *message, struct msghdr *header) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET)
            continue;
        if (part->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
            message->sender = credentials.pid;
        } else if (part->cmsg_type == SCM_RIGHTS) {
            message->count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(message->fds, CMSG_DATA(part), message->count * sizeof(int));
        }
    }
}

static bool read_message(int fd, struct message *message) {
    _Alignas(struct cmsghdr) char
        control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(KEEPER_MESSAGE_FDS * sizeof(int))];
    struct iovec data = {message->text, MESSAGE_MOST};
    struct msghdr header = {.msg_iov = &data,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    ssize_t length = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0)
        return false;
    message->text[length] = '\0';
    message->cut = header.msg_flags & MSG_TRUNC;
    message->lost = header.msg_flags & MSG_CTRUNC;
    message->sender = 0;
    message->count = 0;
    read_control(message, &header);
    return true;
}

void receive(struct keeper *keeper, unsigned most) {
    struct message message;
    while (most-- > 0 && read_message(keeper->notifications, &message)) {
        bool from_manager = message.sender > 0 && message.sender == keeper->manager.pid;
        if (!from_manager && (message.sender <= 0 || message.sender != keeper->logd.pid))
            say("a notification from process %d is ignored: it is not my child",
                (int)message.sender);
        else if (message.cut)
            say("a notification of more than %d bytes is ignored", MESSAGE_MOST);
        else if (from_manager)
            heed(keeper, &message);
        foreign_close(message.fds, message.count); /* they may be */
    }
}
