#include "tests/faults/injector.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/origin.h"
#include "units/base/scoped.h"

#define MANAGER "ringfence-manager"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* Where each of a call came from, in their order: while none is armed. */
struct record {
    uint64_t *origins;
    unsigned count, capacity;
};

struct injector {
    int listener;
    pid_t keeper;
    pthread_t thread;
    bool ends;
    pthread_mutex_t mutex; /* of all that follows */
    pid_t manager;
    bool armed, recording, fired;
    struct point point;
    unsigned counts[WHOSE_COUNT][CALLS_MAX];
    struct record records[WHOSE_COUNT][CALLS_MAX];
    char words[256];
};

/* ---- the filter ---- */

/* One jump for each call: to the notification, which is the last instruction. */
static int install_filter(void) {
    struct sock_filter code[CALLS_MAX + 8] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    unsigned short length = 1;
    for (size_t i = 0; i < calls_count; i++) {
        unsigned char ahead = (unsigned char)(calls_count - i);
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                      (unsigned)calls[i].number, ahead, 0);
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    const struct sock_fprog program = {.len = length, .filter = code};
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                      &program);
    return fd < 0 ? -errno : (int)fd;
}

/* ---- who calls ---- */

static size_t read_proc(pid_t pid, const char *name, char *ret, size_t size) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, ret, size - 1);
    ret[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

static pid_t parent_of(pid_t pid) {
    char stat[512];
    read_proc(pid, "stat", stat, sizeof(stat));
    const char *behind_name = strrchr(stat, ')');
    return behind_name ? (pid_t)strtol(behind_name + strlen(") S "), NULL, 10) : 0;
}

/* A clone of the manager keeps its arguments until it executes another program. -1: another. */
static int whose_is(struct injector *injector, pid_t pid) {
    char line[256];
    if (pid == injector->manager)
        return WHOSE_MANAGER;
    if (pid == injector->keeper)
        return -1;
    read_proc(pid, "cmdline", line, sizeof(line));
    const char *name = strrchr(line, '/');
    if (strcmp(name ? name + 1 : line, MANAGER) != 0)
        return -1;
    if (parent_of(pid) != injector->keeper ||
        (injector->manager > 0 && kill(injector->manager, 0) == 0))
        return WHOSE_CHILDREN;
    injector->manager = pid;
    return WHOSE_MANAGER;
}

/* For a reader: what the call was about. */
static void describe(struct injector *injector, const struct seccomp_notif *notice,
                     const struct point *point) {
    char path[128] = "";
    char file[64];
    snprintf(file, sizeof(file), "/proc/%u/mem", notice->pid);
    if (point->call->path) {
        scoped_fd int fd = open(file, O_RDONLY | O_CLOEXEC);
        uint64_t address = notice->data.args[point->call->path - 1];
        ssize_t length = fd < 0 || !address ? 0 : pread(fd, path, sizeof(path) - 1, (off_t)address);
        path[length > 0 ? length : 0] = '\0';
    }
    snprintf(injector->words, sizeof(injector->words), "%s's %s no. %u%s%s%s",
             point->whose == WHOSE_MANAGER ? "the manager" : "a child", point->call->name,
             point->ordinal, *path ? " of \"" : "", path, *path ? "\"" : "");
}

static void record_add(struct record *record, uint64_t origin) {
    if (record->count == record->capacity) {
        record->capacity = record->capacity ? 2 * record->capacity : 64;
        record->origins = realloc(record->origins, record->capacity * sizeof(*record->origins));
        if (!record->origins)
            abort();
    }
    record->origins[record->count++] = origin;
}

/* 0: it goes on; else what it is to fail with. */
static int judge(struct injector *injector, const struct seccomp_notif *notice) {
    const struct call *call = call_find(&notice->data);
    if (!call)
        return 0;
    pthread_mutex_lock(&injector->mutex);
    int error = 0, whose = whose_is(injector, (pid_t)notice->pid);
    const struct point *point = &injector->point;
    if (whose >= 0) {
        unsigned count = ++injector->counts[whose][call - calls];
        if (injector->recording)
            record_add(&injector->records[whose][call - calls], origin_of((pid_t)notice->pid));
        if (injector->armed && whose == (int)point->whose && call == point->call &&
            count == point->ordinal) {
            injector->fired = true;
            describe(injector, notice, point);
            error = point->error;
        }
    }
    pthread_mutex_unlock(&injector->mutex);
    return error;
}

/* Until it is told to end, or the last process that has the filter is gone. */
static void *answer(void *context) {
    struct injector *injector = context;
    struct pollfd ready = {.fd = injector->listener, .events = POLLIN};
    while (!__atomic_load_n(&injector->ends, __ATOMIC_SEQ_CST)) {
        struct seccomp_notif notice = {0};
        if (poll(&ready, 1, 100) <= 0)
            continue;
        if (ready.revents & POLLHUP)
            return NULL;
        if (ioctl(injector->listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) < 0)
            continue; /* ENOENT: it was killed meanwhile */
        int error = judge(injector, &notice);
        struct seccomp_notif_resp reply = {
            .id = notice.id,
            .error = -error,
            .flags = error ? 0U : (unsigned)SECCOMP_USER_NOTIF_FLAG_CONTINUE,
        };
        ioctl(injector->listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    }
    return NULL;
}

/* ---- begin ---- */

/* The child cannot send its descriptor: that too is a call which waits for an answer. It leaves
 * its number in shared memory, and its next call waits until we have taken it. */
static _Noreturn void become(char *const arguments[], const char *log, int *shared) {
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        _exit(127);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int listener = install_filter();
    __atomic_store_n(shared, listener, __ATOMIC_SEQ_CST);
    if (listener >= 0)
        execv(arguments[0], arguments);
    _exit(127);
}

static int take_listener(pid_t keeper, int *shared) {
    scoped_fd int pidfd = (int)syscall(SYS_pidfd_open, keeper, 0);
    int number;
    while ((number = __atomic_load_n(shared, __ATOMIC_SEQ_CST)) == 0)
        if (waitpid(keeper, NULL, WNOHANG) != 0)
            return -ECHILD;
    if (number < 0)
        return number == -EINVAL ? -ENOSYS : number;
    long fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
    return fd < 0 ? -errno : (int)fd;
}

int injector_start(char *const arguments[], const char *log, const struct point *point,
                   struct injector **ret_injector, pid_t *ret_keeper) {
    int *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct injector *injector = calloc(1, sizeof(*injector));
    if (!injector || shared == MAP_FAILED)
        return -ENOMEM;
    pthread_mutex_init(&injector->mutex, NULL);
    injector_arm(injector, point);
    injector->keeper = fork();
    if (injector->keeper == 0)
        become(arguments, log, shared);
    injector->listener = injector->keeper < 0 ? -errno : take_listener(injector->keeper, shared);
    munmap(shared, sizeof(*shared));
    if (injector->listener < 0)
        return injector->listener;
    /* It answers on the processor of who asks, where the kernel can (6.6): twice as fast. */
    ioctl(injector->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    int error = pthread_create(&injector->thread, NULL, answer, injector);
    *ret_injector = injector;
    *ret_keeper = injector->keeper;
    return -error;
}

void injector_close(struct injector *injector) {
    if (!injector)
        return;
    __atomic_store_n(&injector->ends, true, __ATOMIC_SEQ_CST);
    pthread_join(injector->thread, NULL);
    close_fd(injector->listener);
    for (enum whose whose = 0; whose < WHOSE_COUNT; whose++)
        for (size_t i = 0; i < calls_count; i++)
            free(injector->records[whose][i].origins);
    free(injector);
}

/* ---- while it goes on ---- */

void injector_arm(struct injector *injector, const struct point *point) {
    pthread_mutex_lock(&injector->mutex);
    memset(injector->counts, 0, sizeof(injector->counts));
    for (enum whose whose = 0; whose < WHOSE_COUNT; whose++)
        for (size_t i = 0; i < calls_count; i++)
            injector->records[whose][i].count = 0;
    injector->armed = point != NULL;
    injector->recording = !point;
    injector->fired = false;
    if (point)
        injector->point = *point;
    pthread_mutex_unlock(&injector->mutex);
}

bool injector_disarm(struct injector *injector, char *ret_words, size_t size) {
    pthread_mutex_lock(&injector->mutex);
    bool fired = injector->fired;
    injector->armed = injector->recording = injector->fired = false;
    snprintf(ret_words, size, "%s", fired ? injector->words : "");
    pthread_mutex_unlock(&injector->mutex);
    return fired;
}

const uint64_t *injector_origins(const struct injector *injector, enum whose whose,
                                 const struct call *call, unsigned *ret_count) {
    const struct record *record = &injector->records[whose][call - calls];
    *ret_count = record->count;
    return record->origins;
}

pid_t injector_manager(const struct injector *injector) {
    return injector->manager;
}
