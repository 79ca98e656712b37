/* ringfenced: PID 1, or the subreaper anywhere else. It keeps ringfence-manager and ringfence-logd
 * running, reaps what they leave behind, and can do almost nothing else, so that almost nothing
 * can make it fail. It never allocates once it runs. */

#include "supervisor/keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "units/base/scoped.h"

enum {
    MESSAGE_MOST = 4096,   /* bytes of one notification; sd_notify(3) messages are far smaller */
    MESSAGES_A_TURN = 64,  /* so that a child that never stops talking delays nothing else */
    DESCRIPTORS_MOST = 16, /* taken with one message; the kernel closes what is more */
    LAST_WORDS = 10000     /* ms that logd has for draining, and killed processes for dying */
};

enum phase {
    PHASE_KEEPING,  /* what dies is started again */
    PHASE_STOPPING, /* the manager stops all services */
    PHASE_KILLING,  /* the manager died while doing so: what it left gets SIGKILL */
    PHASE_DRAINING, /* logd writes the last lines */
    PHASE_ENDED
};

struct keeper {
    enum phase phase;
    bool foreground, may_end; /* PID 1 of a machine may not: the kernel panics */
    bool manager_was_ready, manager_stops;
    int exit_code;
    uint64_t deadline;                /* of PHASE_KILLING and PHASE_DRAINING */
    int signals, notifications, lock; /* descriptors */
    const char *upward;               /* NOTIFY_SOCKET that we were started with, or NULL */
    struct child manager, logd;
    struct sockaddr_un address; /* of the notifications */
};

/* ---- notifications: upward to whoever started us, and from below ---- */

/* What systemd may be told in our name; all else in a message is between manager and keeper. */
static const char *const passed_upward[] = {
    "READY=1", "STATUS=", "STOPPING=1", "RELOADING=1", "MONOTONIC_USEC=", "EXTEND_TIMEOUT_USEC=",
};

/* One datagram as in sd_notify(3); a leading @ names an abstract socket. Best effort. */
static void tell_upward(const struct keeper *keeper, const char *message) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = keeper->upward ? strlen(keeper->upward) : 0;
    if (length < 2 || length >= sizeof address.sun_path || !strchr("/@", *keeper->upward))
        return;
    memcpy(address.sun_path, keeper->upward, length);
    if (*keeper->upward == '@')
        address.sun_path[0] = '\0';
    scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        sendto(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT,
               (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* The manager's words, line by line. The message is taken apart in place. */
static void heed(struct keeper *keeper, char *message) {
    char told[MESSAGE_MOST + 1];
    size_t length = 0;
    char *rest = message;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (strcmp(line, "READY=1") == 0)
            keeper->manager_was_ready = true;
        else if (strcmp(line, "STOPPING=1") == 0)
            keeper->manager_stops = true;
        for (size_t i = 0; i < ELEMENTS(passed_upward); i++)
            if (starts_with(line, passed_upward[i]) && length + strlen(line) + 2 <= sizeof told)
                length += (size_t)snprintf(told + length, sizeof told - length, "%s%s",
                                           length ? "\n" : "", line);
    }
    if (length > 0)
        tell_upward(keeper, told);
}

/* The sender's pid as the kernel vouches for it, 0 where it does not. Descriptors are not kept. */
static pid_t message_sender(struct msghdr *header) {
    pid_t sender = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET)
            continue;
        if (part->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
            sender = credentials.pid;
        } else if (part->cmsg_type == SCM_RIGHTS) {
            for (size_t at = 0; at + CMSG_LEN(sizeof(int)) <= part->cmsg_len; at += sizeof(int)) {
                int fd;
                memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
                close_fd(fd);
            }
        }
    }
    return sender;
}

static void receive(struct keeper *keeper) {
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        char message[MESSAGE_MOST + 1];
        _Alignas(struct cmsghdr) char
            control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(DESCRIPTORS_MOST * sizeof(int))];
        struct iovec data = {message, MESSAGE_MOST};
        struct msghdr header = {.msg_iov = &data,
                                .msg_iovlen = 1,
                                .msg_control = control,
                                .msg_controllen = sizeof control};
        ssize_t length = recvmsg(keeper->notifications, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (length < 0)
            return;
        message[length] = '\0';
        pid_t sender = message_sender(&header);
        bool from_manager = sender > 0 && sender == keeper->manager.pid;
        if (!from_manager && (sender <= 0 || sender != keeper->logd.pid))
            say("a notification from process %d is ignored: it is not my child", (int)sender);
        else if (header.msg_flags & MSG_TRUNC)
            say("a notification of more than %d bytes is ignored", MESSAGE_MOST);
        else if (from_manager)
            heed(keeper, message);
    }
}

/* ---- the order of the end ---- */

static void begin_draining(struct keeper *keeper) {
    keeper->phase = PHASE_DRAINING;
    keeper->deadline = now() + LAST_WORDS;
    child_signal(&keeper->logd, SIGTERM);
}

static void begin_stopping(struct keeper *keeper) {
    keeper->phase = PHASE_STOPPING;
    tell_upward(keeper, "STOPPING=1");
    if (keeper->manager.pid > 0) {
        child_signal(&keeper->manager, SIGTERM);
        return;
    }
    keeper->phase = PHASE_KILLING; /* it crashed, and its successor was not started yet */
    keeper->deadline = now() + LAST_WORDS;
}

static void manager_ended(struct keeper *keeper, int wait_status) {
    bool clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
    bool refused = WIFEXITED(wait_status) && (WEXITSTATUS(wait_status) == EXIT_USAGE ||
                                              WEXITSTATUS(wait_status) == EXIT_CONFIG);
    bool first = keeper->manager.starts == 1 && !keeper->manager_was_ready;

    if (keeper->phase == PHASE_KEEPING && keeper->manager_stops) {
        keeper->phase = PHASE_STOPPING;
    } else if (keeper->phase == PHASE_KEEPING && refused && first && keeper->may_end) {
        keeper->phase = PHASE_STOPPING;
        keeper->exit_code = WEXITSTATUS(wait_status);
    }
    child_ended(&keeper->manager, wait_status, keeper->phase == PHASE_KEEPING);
    if (keeper->phase == PHASE_KEEPING) {
        char how[64], status[128];
        child_describe_status(wait_status, how, sizeof how);
        snprintf(status, sizeof status,
                 "STATUS=the manager ended by itself (%s), starting it again", how);
        tell_upward(keeper, status);
    } else if (clean || keeper->exit_code) {
        begin_draining(keeper);
    } else {
        /* One that was not ready may have had no time to heed SIGTERM. */
        bool early = first && WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGTERM;
        keeper->exit_code = early ? 0 : EXIT_FAILURE;
        keeper->phase = PHASE_KILLING;
        keeper->deadline = now() + LAST_WORDS;
    }
}

static void reap(struct keeper *keeper) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == keeper->manager.pid)
            manager_ended(keeper, status);
        else if (pid == keeper->logd.pid)
            child_ended(&keeper->logd, status, keeper->phase < PHASE_DRAINING);
    }
}

/* ---- the loop ---- */

static void heed_signal(struct keeper *keeper, const struct signalfd_siginfo *signal) {
    int number = (int)signal->ssi_signo;
    bool hung_up = number == SIGHUP && signal->ssi_code == SI_KERNEL && keeper->foreground;

    if (number == SIGCHLD) {
        receive(keeper); /* a child's last words come before its end */
        reap(keeper);
    } else if (number == SIGHUP && !hung_up) {
        child_signal(&keeper->manager, SIGHUP);
    } else if (keeper->phase == PHASE_KEEPING) {
        begin_stopping(keeper);
    } else {
        child_signal(&keeper->manager, hung_up ? SIGTERM : number);
    }
}

/* Starts what is due; returns when the next is, or UINT64_MAX. */
static uint64_t keep(struct child *child) {
    if (child->pid == 0 && now() >= child->due)
        child_start(child);
    return child->pid == 0 ? child->due : UINT64_MAX;
}

static uint64_t drain(struct keeper *keeper) {
    if (keeper->logd.pid == 0) {
        keeper->phase = PHASE_ENDED;
        return UINT64_MAX;
    }
    if (now() >= keeper->deadline) {
        say("ringfence-logd has not ended in %d s and is killed", LAST_WORDS / 1000);
        child_signal(&keeper->logd, SIGKILL);
        keeper->deadline = UINT64_MAX;
    }
    return keeper->deadline;
}

/* Does what is due. Returns when to be called again at the latest, UINT64_MAX: after an event. */
static uint64_t advance(struct keeper *keeper) {
    uint64_t logd, manager;
    switch (keeper->phase) {
    case PHASE_KEEPING:
        logd = keep(&keeper->logd);
        manager = keep(&keeper->manager);
        return logd < manager ? logd : manager;
    case PHASE_STOPPING:
        return keep(&keeper->logd);
    case PHASE_KILLING:
        if (children_kill(keeper->logd.pid) > 0 && now() < keeper->deadline)
            return keeper->deadline;
        begin_draining(keeper);
        return drain(keeper);
    case PHASE_DRAINING:
        return drain(keeper);
    case PHASE_ENDED:
        break;
    }
    return UINT64_MAX;
}

static void run(struct keeper *keeper) {
    for (;;) {
        uint64_t next = advance(keeper), time = now();
        if (keeper->phase == PHASE_ENDED && keeper->may_end)
            return;
        int timeout = next == UINT64_MAX ? -1 : next <= time ? 0 : (int)(next - time);
        struct pollfd polled[] = {{keeper->notifications, POLLIN, 0}, {keeper->signals, POLLIN, 0}};
        if (poll(polled, ELEMENTS(polled), timeout) <= 0)
            continue;
        if (polled[0].revents)
            receive(keeper);
        struct signalfd_siginfo signal;
        while (read(keeper->signals, &signal, sizeof signal) == (ssize_t)sizeof signal)
            heed_signal(keeper, &signal);
    }
}

/* ---- beginning ---- */

/* mkdir -p; RUNTIME_DIR is 0755, for everybody may see who owns the sockets in it. */
static int make_directory(const char *path) {
    char part[PATH_MAX];
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return -ENAMETOOLONG;
    for (char *at = part + 1; *at; at++)
        if (*at == '/') {
            *at = '\0';
            if (mkdir(part, 0755) < 0 && errno != EEXIST)
                return -errno;
            *at = '/';
        }
    return mkdir(part, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* RUNTIME_DIR, which is ours alone as long as we hold its lock, and the socket in it. */
static int open_runtime(struct keeper *keeper, const char *directory) {
    char absolute[PATH_MAX];
    const int one = 1;
    int error = make_directory(directory);
    if (error || !realpath(directory, absolute)) {
        error = error ? error : -errno;
        say("cannot make directory \"%s\": %s", directory, strerror(-error));
        return error;
    }
    keeper->lock = open(absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (keeper->lock < 0 || flock(keeper->lock, LOCK_EX | LOCK_NB) < 0) {
        error = -errno;
        if (error == -EWOULDBLOCK)
            say("another ringfenced serves \"%s\"; --runtime-dir names another place", absolute);
        else
            say("cannot lock \"%s\": %s", absolute, strerror(-error));
        return error;
    }
    size_t most = sizeof keeper->address.sun_path;
    keeper->address.sun_family = AF_UNIX;
    if ((size_t)snprintf(keeper->address.sun_path, most, "%s/keeper", absolute) >= most) {
        say("the runtime directory \"%s\" has too long a name: a socket in it may have %zu bytes",
            absolute, most - 1);
        return -ENAMETOOLONG;
    }
    unlink(keeper->address.sun_path); /* of a keeper that was killed */
    keeper->notifications = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    error = keeper->notifications < 0 ||
                    bind(keeper->notifications, (const struct sockaddr *)&keeper->address,
                         sizeof keeper->address) < 0 ||
                    setsockopt(keeper->notifications, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) < 0
                ? -errno
                : 0;
    umask(mask);
    if (error)
        say("cannot make the socket \"%s\": %s", keeper->address.sun_path, strerror(-error));
    return error;
}

static int open_signals(struct keeper *keeper) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    keeper->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (keeper->signals < 0) {
        say("cannot receive signals: %s", strerror(errno));
        return -errno;
    }
    return 0;
}

/* Standard descriptors exist; PID 1 speaks to the kernel log, which a serial console shows. */
static void open_streams(bool kernel_log) {
    int null = open("/dev/null", O_RDWR);
    while (null >= 0 && null <= STDERR_FILENO)
        null = dup(null);
    close_fd(null);
    int log = kernel_log ? open("/dev/kmsg", O_WRONLY | O_CLOEXEC) : -1;
    if (log >= 0) {
        dup2(log, STDERR_FILENO);
        close_fd(log);
    }
}

/* The out-of-memory killer shall not come for those who restart what it killed. The children
 * inherit it; a run sets its own. Lowering it takes CAP_SYS_RESOURCE. */
static void protect(void) {
    scoped_fd int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "-900", 4) < 0)
        return;
}

static int prepare(struct keeper *keeper, const char *runtime_directory) {
    int error = child_find(&keeper->manager);
    if (!error)
        error = child_find(&keeper->logd);
    if (!error)
        error = open_runtime(keeper, runtime_directory);
    if (error) {
        keeper->lock = close_fd(keeper->lock);
        keeper->notifications = close_fd(keeper->notifications);
    }
    return error;
}

int main(int argc, char **argv) {
    static struct keeper keeper = {.notifications = -EBADF, .signals = -EBADF, .lock = -EBADF};
    bool first = getpid() == 1;
    struct options options;
    int result = options_parse(argc, argv, first, &options);
    if (result)
        return result < 0 ? EXIT_USAGE : fflush(stdout) ? EXIT_FAILURE : 0;

    char *log_arguments[] = {"ringfence-logd", "--runtime-dir",       options.runtime_directory,
                             "--log-dir",      options.log_directory, NULL};
    keeper.foreground = options.foreground;
    keeper.may_end = !first || getenv("container");
    keeper.upward = getenv("NOTIFY_SOCKET");
    keeper.manager = (struct child){.name = "ringfence-manager",
                                    .arguments = options.passed_on,
                                    .notify_socket = keeper.address.sun_path,
                                    .death_signal = SIGKILL};
    keeper.logd = (struct child){.name = "ringfence-logd",
                                 .arguments = log_arguments,
                                 .notify_socket = keeper.address.sun_path,
                                 .death_signal = SIGTERM};
    open_streams(first && !options.foreground);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    protect();
    if (open_signals(&keeper) < 0 && keeper.may_end)
        return EXIT_FAILURE;
    while (prepare(&keeper, options.runtime_directory) < 0) {
        if (keeper.may_end)
            return EXIT_FAILURE;
        reap(&keeper);
        sleep(1); /* PID 1 of a machine has no better place to go */
    }
    run(&keeper);
    unlink(keeper.address.sun_path);
    return keeper.exit_code;
}
