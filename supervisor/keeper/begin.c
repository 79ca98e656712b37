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
    EXITS_BYTES = 4 * 1048576, /* in the kernel, of some 5,000 records that nobody has read yet */
    DESCRIPTORS = STORE_MOST + 256 /* as many as may be open */
};

void begin_blank(struct keeper *keeper, const struct options *options) {
    keeper->foreground = options->foreground;
    keeper->may_end = keeper->machine.place < PLACE_NAMESPACE;
    keeper->runtime_directory = options->runtime_directory;
    keeper->upward = getenv("NOTIFY_SOCKET");
    keeper->arguments = options->again;
    keeper->notifications = keeper->signals = keeper->lock = keeper->exits = -EBADF;
    keeper->deadline = keeper->untold_from = NEVER;
    keeper->manager = (struct child){.name = "ringfence-manager",
                                     .arguments = options->passed_on,
                                     .death_signal = SIGKILL,
                                     .limit = NEVER};
    keeper->logd = (struct child){.name = "ringfence-logd",
                                  .arguments = options->logd,
                                  .death_signal = SIGTERM,
                                  .limit = NEVER};
    if (readlink("/proc/self/exe", keeper->self, sizeof keeper->self - 1) < 0)
        say("cannot tell my own path: %s", strerror(errno));
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

/* The standard ones exist from here on, whoever started us. */
static void open_streams(void) {
    int null = open("/dev/null", O_RDWR);
    while (null >= 0 && null <= STDERR_FILENO)
        null = dup(null);
    close_fd(null);
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

static int raise_number(int fd) {
    int high = fcntl(fd, F_DUPFD_CLOEXEC, KEEPER_STATE + 1);
    close_fd(fd);
    return high;
}

/* To its fixed number; by way of one that is nobody's, for a standard stream may be missing. */
static int place(int fd, int number) {
    int high = raise_number(fd), error = high < 0 || dup3(high, number, O_CLOEXEC) < 0 ? -errno : 0;
    close_fd(high);
    return error;
}

/* What we were started with beside the standard streams is nobody's. Both ends of the stream of
 * exits are ours: what is in it outlives every manager. */
static int open_handed_over(struct keeper *keeper) {
    const int bytes = EXITS_BYTES;
    int pair[2], error;
    syscall(SYS_close_range, KEEPER_EXITS, UINT_MAX, 0);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    keeper->exits = raise_number(pair[1]);
    if (keeper->exits < 0)
        return -errno;
    if ((error = place(pair[0], KEEPER_EXITS)) < 0 ||
        (error = place(memfd_create("names", MFD_CLOEXEC), KEEPER_NAMES)) < 0 ||
        (error = place(memfd_create("state", MFD_CLOEXEC), KEEPER_STATE)) < 0)
        return error;
    if (setsockopt(keeper->exits, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(keeper->exits, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes); /* what we may */
    return 0;
}

int begin_process(struct keeper *keeper) {
    open_streams();
    int error = keeper->lock >= 0 ? 0 : open_handed_over(keeper);
    if (error)
        say("cannot open what the manager is to be given: %s", strerror(-error));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* The out-of-memory killer shall not come for those who restart what it killed. The children
     * inherit it; a run sets its own. Lowering it takes CAP_SYS_RESOURCE. */
    write_text("/proc/self/oom_score_adj", "-900");
    raise_descriptor_limit();
    return error ? error : open_signals(keeper);
}

/* ---- the place ---- */

static int lock_directory(struct keeper *keeper, const char *absolute) {
    keeper->lock = open(absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (keeper->lock >= 0 && flock(keeper->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int error = -errno;
    if (error == -EWOULDBLOCK)
        say("another ringfenced serves \"%s\"; --runtime-dir names another place", absolute);
    else
        say("cannot lock \"%s\": %s", absolute, strerror(-error));
    return error;
}

/* Root's alone, like all that is said there. */
static int open_notifications(struct keeper *keeper) {
    const struct sockaddr_un *address = &keeper->address;
    const int one = 1;
    unlink(address->sun_path); /* of a keeper that was killed */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    keeper->notifications = fd;
    mode_t mask = umask(0177);
    int error = bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
    umask(mask);
    if (!error && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) < 0)
        error = -errno;
    if (error)
        say("cannot make the socket \"%s\": %s", address->sun_path, strerror(-error));
    return error;
}

static int open_place(struct keeper *keeper) {
    const char *directory = keeper->runtime_directory;
    size_t most = sizeof keeper->address.sun_path;
    char absolute[PATH_MAX];
    int error = make_directories(directory); /* everybody may see who owns the sockets in it */
    if (!error && !realpath(directory, absolute))
        error = -errno;
    if (error) {
        say("cannot make directory \"%s\": %s", directory, strerror(-error));
        return error;
    }
    error = lock_directory(keeper, absolute);
    if (error)
        return error;
    keeper->address.sun_family = AF_UNIX;
    if ((size_t)snprintf(keeper->address.sun_path, most, "%s/keeper", absolute) >= most) {
        say("the runtime directory \"%s\" has too long a name: a socket in it may have %zu bytes",
            absolute, most - 1);
        return -ENAMETOOLONG;
    }
    return open_notifications(keeper);
}

/* ---- all of it ---- */

static int try_to_begin(struct keeper *keeper) {
    int error = child_find(&keeper->manager);
    if (!error)
        error = child_find(&keeper->logd);
    if (!error)
        error = open_place(keeper);
    if (error) {
        keeper->lock = close_fd(keeper->lock);
        keeper->notifications = close_fd(keeper->notifications);
    }
    return error;
}

uint64_t begin(struct keeper *keeper) {
    if (keeper->phase > PHASE_KEEPING) {
        keeper->phase = PHASE_ENDED; /* there is nothing to stop */
    } else if (now() >= keeper->manager.due) {
        if (try_to_begin(keeper) == 0)
            return 0;
        if (!keeper->may_end)
            return machine_cannot_begin(keeper);
        keeper->phase = PHASE_ENDED;
        keeper->exit_code = EXIT_FAILURE;
    }
    return keeper->manager.due;
}
