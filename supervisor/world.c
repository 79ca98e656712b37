#include "supervisor/world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/log.h"
#include "supervisor/loop.h"
#include "supervisor/machine.h"
#include "supervisor/manager-private.h"
#include "supervisor/membership.h"
#include "units/base/file.h"

struct world {
    sd_event_source *alarm, *dates, *children, *terminate, *interrupt, *reload;
    int date_fd;   /* a timerfd(2) of CLOCK_REALTIME */
    uint64_t date; /* that it is set to; NEVER */
    bool finished, left;
};

/* ---- clocks, chance, signals ---- */

static uint64_t clock_usec(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t world_now(struct manager *manager) {
    (void)manager;
    return clock_usec(CLOCK_BOOTTIME);
}

uint64_t world_date(struct manager *manager) {
    (void)manager;
    return clock_usec(CLOCK_REALTIME);
}

uint64_t world_monotonic(struct manager *manager) {
    (void)manager;
    return clock_usec(CLOCK_MONOTONIC);
}

uint64_t world_random(struct manager *manager) {
    uint64_t value = 0;
    (void)manager;
    if (getrandom(&value, sizeof(value), GRND_INSECURE) != (ssize_t)sizeof(value))
        value = clock_usec(CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15ULL;
    return value;
}

void world_tell_keeper(struct manager *manager, const char *message) {
    (void)manager;
    sd_notify(false, message);
}

int world_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

/* ---- processes of others ---- */

/* Fields of /proc/PID/stat behind the program's name, which may hold blanks and brackets: the first
 * is number 3. */
static bool read_stat(pid_t pid, unsigned field, uint64_t *ret_value) {
    char path[32];
    scoped_free char *data = NULL;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (file_read(AT_FDCWD, path, 4096, &data, NULL, NULL) < 0)
        return false;
    char *at = strrchr(data, ')');
    for (unsigned i = 2; at && i < field; i++)
        at = strchr(at + 1, ' ');
    if (!at)
        return false;
    *ret_value = strtoull(at, NULL, 10);
    return true;
}

uint64_t world_start_time(pid_t pid) {
    uint64_t start_time = 0;
    return read_stat(pid, 22, &start_time) ? start_time : 0;
}

int world_open_process(pid_t pid, uint64_t start_time) {
    scoped_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return -errno;
    /* Looked at while it is held: what has that start time is what is held. */
    if (world_start_time(pid) != start_time || world_signal(pidfd, 0) < 0)
        return -ESRCH;
    return take_fd(&pidfd);
}

bool world_is_sibling(pid_t pid) {
    uint64_t parent = 0;
    return getenv("RINGFENCE_KEEPER") && read_stat(pid, 4, &parent) && (pid_t)parent == getppid();
}

/* Not in the headers of glibc 2.36; pidfd_info of Linux 6.13, whose exit status came with 6.15. */
struct exit_info {
    uint64_t mask, cgroup;
    uint32_t ids[11];
    int32_t exit_code;
};
#define GET_EXIT_INFO _IOWR(0xff, 11, struct exit_info)
#define HAS_EXIT 8ULL

int world_exit_status(int pidfd, int *ret_wait_status) {
    struct exit_info info = {.mask = HAS_EXIT};
    if (ioctl(pidfd, GET_EXIT_INFO, &info) < 0)
        return errno == ESRCH ? -EAGAIN : -EOPNOTSUPP;
    if (!(info.mask & HAS_EXIT))
        return -EAGAIN;
    *ret_wait_status = info.exit_code;
    return 0;
}

pid_t world_pid_inside(pid_t pid) {
    pid_t inside = membership_inside(pid);
    return inside > 0 ? inside : pid;
}

bool world_machine_is_ours(void) {
    return machine_is_ours();
}

/* ---- descriptors ---- */

struct watch {
    sd_event_source *source;
    watch_ready ready;
    void *context;
    int own_fd; /* -1: the caller's is watched */
};

static int watch_fired(sd_event_source *source, int fd, uint32_t events, void *context) {
    struct watch *watch = context;
    (void)source, (void)fd, (void)events;
    watch->ready(watch->context);
    return 0;
}

/* A report is closed by who reads its end, while we still watch it; epoll forgets a descriptor only
 * when no process has it open any more (epoll(7), Q6), and a clone may: we watch a copy of ours. */
static int add_source(struct manager *manager, struct watch *watch, int fd, uint32_t events,
                      enum watch_order order) {
    if (order == WATCH_REPORT) {
        watch->own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (watch->own_fd < 0)
            return -errno;
        fd = watch->own_fd;
    }
    int error = sd_event_add_io(manager->event, &watch->source, fd, events, watch_fired, watch);
    return error < 0 ? error : sd_event_source_set_priority(watch->source, (int)order);
}

int watch_open(struct manager *manager, int fd, uint32_t events, enum watch_order order,
               watch_ready ready, void *context, struct watch **ret_watch) {
    struct watch *watch = malloc(sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    *watch = (struct watch){.ready = ready, .context = context, .own_fd = -1};
    int error = add_source(manager, watch, fd, events, order);
    if (error < 0) {
        watch_close(watch);
        return error;
    }
    *ret_watch = watch;
    return 0;
}

void watch_close(struct watch *watch) {
    if (!watch)
        return;
    sd_event_source_disable_unref(watch->source);
    close_fd(watch->own_fd);
    free(watch);
}

/* ---- the alarm ---- */

static int alarm_rang(sd_event_source *source, uint64_t at, void *context) {
    (void)source, (void)at;
    manager_alarm(context);
    return 0;
}

void world_alarm(struct manager *manager, uint64_t at) {
    sd_event_source *alarm = manager->private->world->alarm;
    int error = sd_event_source_set_enabled(alarm, at == NEVER ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
    if (error >= 0 && at != NEVER)
        error = sd_event_source_set_time(alarm, at);
    if (error < 0)
        log_line(LEVEL_ERROR, "cannot set the alarm: %s", strerror(-error));
}

bool world_path_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool world_path_is_mount_point(const char *path) {
    struct statx status;
    return statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_TYPE, &status) == 0 &&
           status.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* ---- dates ---- */

static int set_date(int fd, uint64_t date) {
    const struct itimerspec never = {0};
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(date / 1000000), .tv_nsec = (long)(date % 1000000) * 1000}};
    int error = timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
                                date == NEVER ? &never : &when, NULL);
    return error < 0 ? -errno : 0;
}

/* Whether the date has come or the clock was set is for the schedules to see: both may be. */
static int date_came(sd_event_source *source, int fd, uint32_t events, void *context) {
    struct manager *manager = context;
    uint64_t count;
    (void)source, (void)events;
    if (read(fd, &count, sizeof(count)) < 0 && errno != ECANCELED)
        return 0; /* it was set anew since */
    manager->private->world->date = NEVER;
    manager_dates(manager);
    return 0;
}

void world_date_alarm(struct manager *manager, uint64_t date) {
    struct world *world = manager->private->world;
    if (world->date == date)
        return;
    world->date = date;
    int error = set_date(world->date_fd, date);
    if (error == -ECANCELED) /* the clock was set since the last time: it comes at once */
        error = set_date(world->date_fd, 1);
    if (error < 0)
        log_line(LEVEL_ERROR, "cannot set the alarm of the schedules: %s", strerror(-error));
}

static int open_dates(struct manager *manager) {
    struct world *world = manager->private->world;
    world->date = NEVER;
    world->date_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (world->date_fd < 0)
        return -errno;
    return sd_event_add_io(manager->event, &world->dates, world->date_fd, EPOLLIN, date_came,
                           manager);
}

void world_finish(struct manager *manager) {
    manager->private->world->finished = true;
}

/* ---- children ---- */

static int wait_status_of(const siginfo_t *info) {
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return (info->si_status & 0x7f) | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

/* One reaper for services, helpers and orphans. What follows from an end is written down before it
 * is reaped: a successor hears of it again if we die in between, and the pid names no other process
 * while we still think of it as this one. */
static int child_signal(sd_event_source *source, const struct signalfd_siginfo *signal,
                        void *context) {
    struct manager *manager = context;
    (void)source, (void)signal;
    for (;;) {
        siginfo_t info = {0}, reaped = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
            if (errno == EINTR)
                continue;
            break; /* ECHILD: there are none */
        }
        if (info.si_pid == 0)
            break;
        manager_child_ended(manager, info.si_pid, wait_status_of(&info));
        while (waitid(P_PID, (id_t)info.si_pid, &reaped, WEXITED | WNOHANG) < 0 && errno == EINTR)
            ;
    }
    return 0;
}

/* ---- signals to the manager ---- */

static int stop_signal(sd_event_source *source, const struct signalfd_siginfo *signal,
                       void *context) {
    struct manager *manager = context;
    (void)source, (void)signal;
    sd_notify(false, "STOPPING=1\nSTATUS=stopping all units");
    manager_stop_all(manager);
    return 0;
}

static int reload_signal(sd_event_source *source, const struct signalfd_siginfo *signal,
                         void *context) {
    struct manager *manager = context;
    struct fault fault = {{0}};
    (void)source, (void)signal;
    if (!manager->set)
        return 0; /* early boot: the files were not read yet */
    sd_notify(false, "RELOADING=1");
    if (manager_reload(manager, &fault) < 0)
        log_line(LEVEL_ERROR, "cannot reload: %s", fault.text);
    sd_notify(false, "READY=1");
    return 0;
}

/* ---- life ---- */

int loop_block_signals(void) {
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&set, signals[i]);
    signal(SIGPIPE, SIG_IGN);
    return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

bool loop_is_to_stop(void) {
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

int loop_open(struct manager *manager) {
    struct world *world = calloc(1, sizeof(*world));
    sd_event *event = manager->event;
    if (!world)
        return -ENOMEM;
    world->date_fd = -1;
    manager->private->world = world;
    /* To the microsecond (0 would be 250 ms): whatever more it is given it waits for, on average
     * half a millisecond of a restart that takes one. */
    int error = sd_event_add_time(event, &world->alarm, CLOCK_BOOTTIME, 0, 1, alarm_rang, manager);
    if (error >= 0)
        error = sd_event_source_set_enabled(world->alarm, SD_EVENT_OFF);
    if (error >= 0)
        error = open_dates(manager);
    if (error >= 0)
        error = sd_event_add_signal(event, &world->children, SIGCHLD, child_signal, manager);
    if (error >= 0)
        error = sd_event_source_set_priority(world->children, WATCH_CHILDREN);
    if (error >= 0)
        error = sd_event_add_signal(event, &world->terminate, SIGTERM, stop_signal, manager);
    if (error >= 0)
        error = sd_event_add_signal(event, &world->interrupt, SIGINT, stop_signal, manager);
    if (error >= 0)
        error = sd_event_add_signal(event, &world->reload, SIGHUP, reload_signal, manager);
    return error < 0 ? error : 0;
}

void loop_run(struct manager *manager) {
    static const bool never = false;
    loop_run_until(manager, &never);
}

bool loop_run_until(struct manager *manager, const bool *over) {
    struct world *world = manager->private->world;
    while (!world->finished && !*over) {
        int error = sd_event_run(manager->event, UINT64_MAX);
        if (error < 0) {
            log_line(LEVEL_ERROR, "the event loop: %s", strerror(-error));
            struct timespec breath = {.tv_nsec = 10000000}; /* it may say so again at once */
            nanosleep(&breath, NULL);
        }
    }
    return !world->finished;
}

void loop_leave(struct manager *manager) {
    manager->private->world->finished = manager->private->world->left = true;
}

bool loop_is_left(const struct manager *manager) {
    return manager->private->world->left;
}

void loop_close(struct manager *manager) {
    struct world *world = manager->private->world;
    if (!world)
        return;
    sd_event_source_disable_unref(world->alarm);
    sd_event_source_disable_unref(world->dates);
    close_fd(world->date_fd);
    sd_event_source_disable_unref(world->children);
    sd_event_source_disable_unref(world->terminate);
    sd_event_source_disable_unref(world->interrupt);
    sd_event_source_disable_unref(world->reload);
    manager->private->world = NULL;
    free(world);
}
