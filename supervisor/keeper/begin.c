#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"
#include "units/base/scoped.h"

enum {
    EXITS_BYTES = 4 * 1048576,     /* in the kernel, of records that nobody has read yet */
    DESCRIPTORS = STORE_MOST + 256 /* as many as may be open */
};                                 /* in the kernel, of records that are not read yet: some 5,000 */

/* ---- the place ---- */

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

int begin_place(struct keeper *keeper, const char *directory) {
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

/* ---- the process ---- */

/* What would end us and means nothing. Fatal faults are resume.c's; SIGQUIT is left to a person at
 * the terminal who wants out at once. */
static void ignore_the_rest(const sigset_t *read) {
    static const int meaningless[] = {SIGPIPE, SIGUSR1,   SIGUSR2, SIGALRM, SIGPWR,   SIGIO,
                                      SIGXCPU, SIGVTALRM, SIGPROF, SIGXFSZ, SIGSTKFLT};
    for (size_t i = 0; i < ELEMENTS(meaningless); i++)
        if (!sigismember(read, meaningless[i]))
            signal(meaningless[i], SIG_IGN);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        if (!sigismember(read, number))
            signal(number, SIG_IGN);
}

static int open_signals(struct keeper *keeper) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    machine_add_signals(&keeper->machine, &set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    ignore_the_rest(&set);
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

/* For a full store. PID 1 of a machine begins with 4,096; raising that takes CAP_SYS_RESOURCE. The
 * manager raises its own anyway, and a run gets the usual one. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    rlim_t hard = limit.rlim_max > DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    struct rlimit wanted = {hard, hard}, allowed = {limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &wanted) < 0 && setrlimit(RLIMIT_NOFILE, &allowed) < 0)
        say("cannot raise the limit of open files: %s", strerror(errno));
}

/* To its fixed number, which was reserved. */
static int place(int fd, int number) {
    int error = fd < 0 || dup3(fd, number, O_CLOEXEC) < 0 ? -errno : 0;
    close_fd(fd);
    return error;
}

/* What we were started with beside the standard streams is nobody's. Both ends of the stream of
 * exits are ours: what is in it outlives every manager. */
static int open_handed_over(struct keeper *keeper) {
    const int bytes = EXITS_BYTES;
    int pair[2] = {-EBADF, -EBADF};
    syscall(SYS_close_range, STDERR_FILENO + 1, UINT_MAX, 0);
    for (int number = KEEPER_EXITS; number <= KEEPER_STATE; number++)
        if (dup3(STDERR_FILENO, number, O_CLOEXEC) < 0)
            return -errno;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    keeper->exits = pair[1];
    if (setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes); /* as much as we may */
    int error = place(pair[0], KEEPER_EXITS);
    if (!error)
        error = place(memfd_create("names", MFD_CLOEXEC), KEEPER_NAMES);
    if (!error)
        error = place(memfd_create("state", MFD_CLOEXEC), KEEPER_STATE);
    return error;
}

int begin_process(struct keeper *keeper, bool kernel_log, bool resumed) {
    open_streams(kernel_log);
    int error = resumed ? 0 : open_handed_over(keeper);
    if (error)
        say("cannot open what the manager is to be given: %s", strerror(-error));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    protect();
    raise_descriptor_limit();
    return error ? error : open_signals(keeper);
}
