#include "runtime/userns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime/procfs.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/number.h"

/* ---- what is handed out ---- */

#define RANGES "ranges"

struct id_ranges {
    int directory;
    uint32_t first; /* the lowest base that may be handed out */
    uint32_t count; /* how many ranges */
    bool *taken;
};

/* The base that is remembered for a unit: -ENOENT, or -EINVAL where somebody wrote nonsense. */
static int read_base(int directory, const char *unit, uint32_t *ret_base) {
    char text[16];
    uint64_t base;
    ssize_t length = readlinkat(directory, unit, text, sizeof text - 1);
    if (length < 0)
        return -errno;
    text[length] = '\0';
    if (number_parse(text, &base) < 0 || base % ID_RANGE_COUNT || base == 0 ||
        base > UINT32_MAX - ID_RANGE_COUNT)
        return -EINVAL;
    *ret_base = (uint32_t)base;
    return 0;
}

/* A range outside of what may be handed out now was handed out under another configuration: its
 * unit keeps it, its files are owned by it. */
static void mark(struct id_ranges *ranges, uint32_t base, bool taken) {
    uint32_t index = (base - ranges->first) / ID_RANGE_COUNT;
    if (base >= ranges->first && index < ranges->count)
        ranges->taken[index] = taken;
}

static int mark_all(struct id_ranges *ranges, struct fault *fault) {
    int copy = openat(ranges->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (!entries) {
        close_fd(copy);
        return fault_set(fault, errno, "cannot read directory \"%s\"", RANGES);
    }
    const struct dirent *entry;
    int more;
    while ((more = directory_next(entries, &entry)) > 0) {
        uint32_t base;
        if (entry->d_type == DT_LNK && read_base(ranges->directory, entry->d_name, &base) == 0)
            mark(ranges, base, true);
    }
    closedir(entries);
    return more < 0 ? fault_set(fault, more, "cannot read directory \"%s\"", RANGES) : 0;
}

int id_ranges_open(int state, uint32_t base, uint32_t count, struct id_ranges **ret_ranges,
                   struct fault *fault) {
    uint64_t first = ((uint64_t)base + ID_RANGE_COUNT - 1) / ID_RANGE_COUNT * ID_RANGE_COUNT;
    uint64_t end = (uint64_t)base + count;
    if (first == 0 || first + ID_RANGE_COUNT > end || end > (uint64_t)UINT32_MAX + 1)
        return fault_say(fault, -EINVAL,
                         "the host ids %" PRIu32 " to %" PRIu64 " hold no whole range of %u ids",
                         base, end, ID_RANGE_COUNT);
    if (mkdirat(state, RANGES, 0700) < 0 && errno != EEXIST)
        return fault_set(fault, errno, "cannot make directory \"%s\"", RANGES);

    scoped(id_ranges_close) struct id_ranges *ranges = calloc(1, sizeof *ranges);
    if (!ranges)
        return fault_set(fault, ENOMEM, "cannot remember id ranges");
    ranges->first = (uint32_t)first;
    ranges->count = (uint32_t)((end - first) / ID_RANGE_COUNT);
    ranges->taken = calloc(ranges->count, sizeof *ranges->taken);
    ranges->directory = openat(state, RANGES, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (!ranges->taken || ranges->directory < 0)
        return fault_set(fault, ranges->taken ? errno : ENOMEM, "cannot open \"%s\"", RANGES);
    int error = mark_all(ranges, fault);
    if (error)
        return error;
    *ret_ranges = take(ranges);
    return 0;
}

void id_ranges_close(struct id_ranges *ranges) {
    if (!ranges)
        return;
    close_fd(ranges->directory);
    free(ranges->taken);
    free(ranges);
}

static int remember(struct id_ranges *ranges, const char *unit, uint32_t base,
                    struct fault *fault) {
    char text[16];
    snprintf(text, sizeof text, "%" PRIu32, base);
    if (symlinkat(text, ranges->directory, unit) < 0)
        return fault_set(fault, errno, "cannot remember the id range of unit \"%s\"", unit);
    mark(ranges, base, true);
    return 0;
}

int id_ranges_take(struct id_ranges *ranges, const char *unit, struct id_range *ret_range,
                   struct fault *fault) {
    uint32_t base;
    int error = read_base(ranges->directory, unit, &base);
    if (error && error != -ENOENT)
        return fault_set(fault, error, "cannot read the id range of unit \"%s\"", unit);
    if (error) {
        uint32_t index = 0;
        while (index < ranges->count && ranges->taken[index])
            index++;
        if (index == ranges->count)
            return fault_say(fault, -ENOSPC,
                             "all %" PRIu32 " ranges of host ids are taken: remove units that are "
                             "not needed, or enlarge the host's range",
                             ranges->count);
        base = ranges->first + index * ID_RANGE_COUNT;
        error = remember(ranges, unit, base, fault);
        if (error)
            return error;
    }
    *ret_range = (struct id_range){base, ID_RANGE_COUNT};
    return 0;
}

/* Whether any unit has it; of those out of our bounds, too, that were given under another
 * configuration. */
static int is_taken(const struct id_ranges *ranges, uint32_t base, struct fault *fault) {
    int copy = openat(ranges->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (!entries) {
        close_fd(copy);
        return fault_set(fault, errno, "cannot read directory \"%s\"", RANGES);
    }
    const struct dirent *entry;
    int taken = 0, more = 1;
    while (!taken && (more = directory_next(entries, &entry)) > 0) {
        uint32_t other;
        taken = entry->d_type == DT_LNK &&
                read_base(ranges->directory, entry->d_name, &other) == 0 && other == base;
    }
    closedir(entries);
    return more < 0 ? fault_set(fault, more, "cannot read directory \"%s\"", RANGES) : taken;
}

int id_ranges_keep(struct id_ranges *ranges, const char *unit, struct id_range range,
                   struct fault *fault) {
    uint32_t base;
    int error = read_base(ranges->directory, unit, &base);
    if (error && error != -ENOENT)
        return fault_set(fault, error, "cannot read the id range of unit \"%s\"", unit);
    if (!error && base == range.base && range.count == ID_RANGE_COUNT)
        return 0;
    int taken = error ? is_taken(ranges, range.base, fault) : 1;
    if (taken < 0)
        return taken;
    if (taken || range.base % ID_RANGE_COUNT || range.base == 0 || range.count != ID_RANGE_COUNT)
        return fault_say(fault, -ESTALE,
                         "the host ids from %" PRIu32 " on are not those of unit \"%s\" any more",
                         range.base, unit);
    return remember(ranges, unit, range.base, fault);
}

int id_ranges_give_back(struct id_ranges *ranges, const char *unit, struct fault *fault) {
    uint32_t base;
    int error = read_base(ranges->directory, unit, &base);
    if (error == -ENOENT)
        return 0;
    if (unlinkat(ranges->directory, unit, 0) < 0)
        return fault_set(fault, errno, "cannot give back the id range of unit \"%s\"", unit);
    if (!error)
        mark(ranges, base, false);
    return 0;
}

/* ---- in the build's helper ---- */

static int sleep_in(void *user_namespace) {
    const int *fd = user_namespace;
    if (*fd >= 0) {
        if (setns(*fd, CLONE_NEWUSER) < 0)
            _exit(errno);
        raise(SIGSTOP); /* tells the parent that the child is inside */
    }
    for (;;)
        pause();
}

/* A child that does nothing but be in a user namespace. */
struct sleeper {
    pid_t pid;
    int user_namespace; /* to join; -1: a new one */
    char stack[16 * 1024] __attribute__((aligned(16)));
};

/* A new namespace where `user_namespace` is -1: then the child shares memory and descriptors with
 * the helper that starts it, which saves copying their tables. */
static int sleeper_start(struct sleeper *sleeper, int user_namespace) {
    sleeper->user_namespace = user_namespace;
    int flags = user_namespace < 0 ? CLONE_VM | CLONE_FILES | CLONE_NEWUSER : 0;
    sleeper->pid = clone(sleep_in, sleeper->stack + sizeof sleeper->stack, flags | SIGCHLD,
                         &sleeper->user_namespace);
    if (sleeper->pid < 0)
        return -errno;
    if (user_namespace < 0)
        return 0;
    int status;
    while (waitpid(sleeper->pid, &status, WUNTRACED) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFSTOPPED(status) ? 0 : -WEXITSTATUS(status);
}

/* Nobody waits for its end: the helper is PID 1 of the namespace that it goes with. It runs none of
 * its own code any more, and its stack may go. */
static void sleeper_end(const struct sleeper *sleeper) {
    kill(sleeper->pid, SIGKILL);
}

static int write_maps(int proc, pid_t child, struct id_range range, struct fault *fault) {
    char map[64];
    snprintf(map, sizeof map, "0 %" PRIu32 " %" PRIu32 "\n", range.base, range.count);
    for (int group = 0; group < 2; group++) {
        char path[32];
        snprintf(path, sizeof path, "%d/%s", child, group ? "gid_map" : "uid_map");
        int error = procfs_write(proc, path, map, fault);
        if (error)
            return error;
    }
    return 0;
}

int userns_make(int proc, struct id_range range, struct fault *fault) {
    struct sleeper child;
    int error = sleeper_start(&child, -1);
    if (error)
        return fault_set(fault, error, "cannot make a user namespace");
    int fd = write_maps(proc, child.pid, range, fault);
    if (!fd) {
        char path[32];
        snprintf(path, sizeof path, "%d/ns/user", child.pid);
        fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            fd = fault_set(fault, errno, "cannot open the new user namespace");
    }
    sleeper_end(&child);
    return fd;
}

int userns_range(int proc, int user_namespace, struct id_range *ret_range, struct fault *fault) {
    struct sleeper child;
    int error = sleeper_start(&child, user_namespace);
    if (error)
        return fault_set(fault, error, "cannot join the user namespace");
    char path[32], text[256];
    snprintf(path, sizeof path, "%d/uid_map", child.pid);
    scoped_fd int fd = procfs_open(proc, path, O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    sleeper_end(&child);
    struct id_range range;
    uint32_t inside;
    text[length < 0 ? 0 : length] = '\0';
    if (sscanf(text, "%" SCNu32 "%" SCNu32 "%" SCNu32, &inside, &range.base, &range.count) != 3 ||
        inside != 0)
        return fault_say(fault, -EINVAL, "the user namespace does not map id 0");
    *ret_range = range;
    return 0;
}
