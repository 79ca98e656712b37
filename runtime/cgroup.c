#include "runtime/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cgroup-root.h"
#include "runtime/cgroup-tree.h"
#include "runtime/oom.h"
#include "units/base/fault.h"
#include "units/base/file.h"

#define PIDS_MOST (4 * 1024 * 1024)        /* PID_MAX_LIMIT of a 64-bit kernel */
#define PROCS_MOST (8 * (size_t)PIDS_MOST) /* bytes of the longest cgroup.procs */
#define SIGNAL_PASSES 8
#define PROC_CGROUP_MOST (64 * 1024) /* a line for each hierarchy of version 1 */

struct cgroup {
    const struct cgroup_root *root;
    char *path;                     /* of the unit's directory, absolute */
    const char *relative;           /* the part of it that lies below the root */
    int fd, events_fd;              /* the unit's directory; cgroup.events of main */
    uint64_t id;                    /* the directory's inode */
    unsigned renewed[CGROUP_PARTS]; /* how often something was killed there */
    bool adopted[CGROUP_PARTS];     /* or more often than that: nothing was born there since */
    bool protects;                  /* what lies above has to count its memory.low and memory.min */
};

static const char *const part_names[] = {
    [CGROUP_UNIT] = ".",
    [CGROUP_MAIN] = "main",
    [CGROUP_AUX] = "aux",
    [CGROUP_PROBE] = "probe",
};

/* ---- make ---- */

/* A name from a file becomes a directory of a kernel file system. The prefix keeps it apart from
 * the kernel's own files, this from all that could lead elsewhere. */
static bool is_name(const char *name, size_t length) {
    if (length == 0 || length > 192 || name[0] == '.')
        return false;
    for (size_t i = 0; i < length; i++) {
        char byte = name[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!letter && !(byte >= '0' && byte <= '9') && (!byte || !strchr("_+-.:@", byte)))
            return false;
    }
    return true;
}

/* The path of the unit's directory below the root: "slice-a/slice-b/unit-NAME". */
static int print_path(const char *slice, const char *unit, char *ret_path, size_t size,
                      struct fault *fault) {
    size_t written = 0;
    if (!is_name(unit, strlen(unit)))
        return fault_say(fault, -EINVAL, "unit \"%s\" cannot have a cgroup of that name", unit);
    for (int depth = 0; slice && *slice; depth++) {
        size_t length = strcspn(slice, "/");
        if (!is_name(slice, length) || depth == SLICES_DEEP)
            return fault_say(fault, -EINVAL,
                             "slice \"%s\": names of letters, digits and \"_+-.:@\" are wanted, at "
                             "most %d, with \"/\" between them",
                             slice, SLICES_DEEP);
        int added = snprintf(ret_path + written, size - written, CGROUP_SLICE_PREFIX "%.*s/",
                             (int)length, slice);
        if (added < 0 || (size_t)added >= size - written)
            return fault_set(fault, ENAMETOOLONG, "cannot make slice \"%s\"", slice);
        written += (size_t)added;
        slice += length + (slice[length] == '/');
    }
    snprintf(ret_path + written, size - written, CGROUP_UNIT_PREFIX "%s", unit);
    return 0;
}

/* Opens the directory that the unit's lies in: each slice made if absent, controllers handed down
 * all the way. */
static int make_slices(struct cgroup_root *root, const char *path, unsigned controllers,
                       struct fault *fault) {
    scoped_fd int here = cgroup_tree_open(root->fd, ".");
    if (here < 0)
        return fault_set(fault, here, "cannot open cgroup \"%s\"", root->path);
    if (controllers & ~CGROUP_ALWAYS)
        cgroup_root_hand_down(root, controllers);
    for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
        int next = cgroup_tree_make(here, name);
        if (next < 0)
            return fault_set(fault, next, "cannot make cgroup \"%s/%s\"", root->path, name);
        close_fd(here);
        here = next;
        cgroup_hand_down(here, CGROUP_ALWAYS | controllers);
    }
    return take_fd(&here);
}

/* mkdir, after what was left there is gone. */
static int make_unit(int parent, const char *name) {
    if (mkdirat(parent, name, 0755) < 0) {
        if (errno != EEXIST)
            return -errno;
        scoped_fd int old = cgroup_tree_open(parent, name);
        if (old < 0)
            return old;
        int error = cgroup_tree_write(old, "cgroup.kill", "1");
        if (!error)
            error = cgroup_tree_clear(old);
        if (!error && unlinkat(parent, name, AT_REMOVEDIR) < 0)
            error = -errno;
        if (!error && mkdirat(parent, name, 0755) < 0)
            error = -errno;
        if (error)
            return error;
    }
    int fd = cgroup_tree_open(parent, name);
    if (fd < 0)
        unlinkat(parent, name, AT_REMOVEDIR);
    return fd;
}

static int open_events(struct cgroup *cgroup) {
    cgroup->events_fd = openat(cgroup->fd, "main/cgroup.events", O_RDONLY | O_CLOEXEC);
    return cgroup->events_fd < 0 ? -errno : 0;
}

static int identify(struct cgroup *cgroup) {
    struct stat status;
    if (fstat(cgroup->fd, &status) < 0)
        return -errno;
    cgroup->id = status.st_ino;
    return 0;
}

static int make_main(struct cgroup *cgroup) {
    if (mkdirat(cgroup->fd, part_names[CGROUP_MAIN], 0755) < 0)
        return -errno;
    return open_events(cgroup);
}

/* Without its directory. */
static int allocate(const struct cgroup_root *root, const char *slice, const char *unit,
                    struct cgroup **ret_cgroup, struct fault *fault) {
    char path[PATH_MAX];
    int error = print_path(slice, unit, path, sizeof path, fault);
    if (error)
        return error;
    scoped(cgroup_free) struct cgroup *cgroup = calloc(1, sizeof *cgroup);
    if (!cgroup || asprintf(&cgroup->path, "%s/%s", root->path, path) < 0) {
        if (cgroup)
            cgroup->path = NULL;
        fault_set(fault, ENOMEM, "cannot make the cgroup of \"%s\"", unit);
        return -ENOMEM;
    }
    cgroup->fd = cgroup->events_fd = -EBADF;
    cgroup->root = root;
    cgroup->relative = cgroup->path + strlen(root->path) + 1;
    *ret_cgroup = take(cgroup);
    return 0;
}

int cgroup_make(struct cgroup_root *root, const char *slice, const char *unit, unsigned controllers,
                struct cgroup **ret_cgroup, struct fault *fault) {
    scoped(cgroup_free) struct cgroup *cgroup = NULL;
    int error = allocate(root, slice, unit, &cgroup, fault);
    if (error)
        return error;
    scoped_fd int parent = make_slices(root, cgroup->relative, controllers, fault);
    if (parent < 0)
        return parent;
    const char *slash = strrchr(cgroup->relative, '/');
    const char *name = slash ? slash + 1 : cgroup->relative;
    cgroup->fd = make_unit(parent, name);
    if (cgroup->fd < 0)
        return fault_set(fault, cgroup->fd, "cannot make cgroup \"%s\"", cgroup->path);
    error = identify(cgroup);
    if (!error)
        error = make_main(cgroup);
    if (error) {
        cgroup_tree_clear(cgroup->fd);
        unlinkat(parent, name, AT_REMOVEDIR);
        return fault_set(fault, error, "cannot make the main part of cgroup \"%s\"", cgroup->path);
    }
    *ret_cgroup = take(cgroup);
    return 0;
}

/* ---- protection ---- */

static bool has_protection(int directory) {
    uint64_t low = 0, min = 0;
    cgroup_tree_value(directory, "memory.low", NULL, &low);
    cgroup_tree_value(directory, "memory.min", NULL, &min);
    return low > 0 || min > 0;
}

/* From the directory above the unit's up to the root. */
static int protect_above(const struct cgroup *cgroup) {
    char path[4096];
    int error = 0;
    snprintf(path, sizeof path, "./%s", cgroup->relative);
    for (char *slash; !error && (slash = strrchr(path, '/'));) {
        *slash = '\0';
        scoped_fd int fd = openat(cgroup->root->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) /* a slice may have gone with its last unit */
            error = cgroup_tree_protect(fd);
    }
    return error;
}

int cgroup_protect(struct cgroup *cgroup, struct fault *fault) {
    cgroup->protects = has_protection(cgroup->fd);
    if (!cgroup->protects)
        return 0;
    int error = protect_above(cgroup);
    return error ? fault_set(fault, error, "cannot protect the memory of \"%s\"", cgroup->path) : 0;
}

/* ---- found again ---- */

uint64_t cgroup_id(const struct cgroup *cgroup) {
    return cgroup->id;
}

const unsigned *cgroup_kills(const struct cgroup *cgroup) {
    return cgroup->renewed;
}

int cgroup_adopt(struct cgroup_root *root, const char *slice, const char *unit, uint64_t id,
                 const unsigned kills[CGROUP_PARTS], struct cgroup **ret_cgroup,
                 struct fault *fault) {
    scoped(cgroup_free) struct cgroup *cgroup = NULL;
    int error = allocate(root, slice, unit, &cgroup, fault);
    if (error)
        return error;
    cgroup->fd = openat(root->fd, cgroup->relative, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cgroup->fd < 0 && errno == ENOENT)
        return fault_say(fault, -ESTALE, "cgroup \"%s\" is gone", cgroup->path);
    if (cgroup->fd < 0)
        return fault_set(fault, errno, "cannot open cgroup \"%s\"", cgroup->path);
    error = identify(cgroup);
    if (error)
        return fault_set(fault, error, "cannot look at cgroup \"%s\"", cgroup->path);
    if (cgroup->id != id)
        return fault_say(fault, -ESTALE, "cgroup \"%s\" is another one of that name", cgroup->path);
    error = open_events(cgroup);
    if (error == -ENOENT) /* who removed it did not live to remove the rest */
        return fault_say(fault, -ESTALE, "the main part of cgroup \"%s\" is gone", cgroup->path);
    if (error)
        return fault_set(fault, error, "cannot open the main part of cgroup \"%s\"", cgroup->path);
    memcpy(cgroup->renewed, kills, sizeof cgroup->renewed);
    for (int part = 0; part < CGROUP_PARTS; part++)
        cgroup->adopted[part] = true;
    cgroup->protects = has_protection(cgroup->fd);
    *ret_cgroup = take(cgroup);
    return 0;
}

/* Its line in /proc/PID/cgroup: "0::PATH", with " (deleted)" after it where that is so. */
int cgroup_holds(const struct cgroup *cgroup, enum cgroup_part part, pid_t pid) {
    char file[32], place[PATH_MAX];
    scoped_free char *data = NULL;
    snprintf(file, sizeof file, "/proc/%d/cgroup", pid);
    int error = file_read(AT_FDCWD, file, PROC_CGROUP_MOST, &data, NULL, NULL);
    if (error)
        return error == -ENOENT ? -ESRCH : error;
    int length = snprintf(place, sizeof place, "0::%s/%s/%s", cgroup->root->tree, cgroup->relative,
                          part_names[part]);
    const char *line = data;
    while (line && strncmp(line, "0::", 3) != 0) {
        line = strchr(line, '\n');
        line += line ? 1 : 0;
    }
    return line && strncmp(line, place, (size_t)length) == 0 &&
           strchr("/\n ", line[length]) != NULL;
}

/* ---- remove ---- */

int cgroup_remove(struct cgroup *cgroup, struct fault *fault) {
    /* The parts go last: whoever polls the events of one that is gone is told so without end. */
    bool busy = cgroup_is_populated(cgroup, CGROUP_UNIT) > 0;
    int error = busy ? -EBUSY : cgroup_tree_clear(cgroup->fd);
    /* Relative to the root's descriptor: the names are ours, and cgroupfs has no links. */
    if (!error && unlinkat(cgroup->root->fd, cgroup->relative, AT_REMOVEDIR) < 0 && errno != ENOENT)
        error = -errno;
    if (error == -EBUSY)
        return fault_say(fault, error, "cgroup \"%s\" still has processes", cgroup->path);
    if (error)
        return fault_set(fault, error, "cannot remove cgroup \"%s\"", cgroup->path);
    /* A slice goes with its last unit. */
    char slice[4096];
    snprintf(slice, sizeof slice, "%s", cgroup->relative);
    for (char *slash; (slash = strrchr(slice, '/'));) {
        *slash = '\0';
        if (unlinkat(cgroup->root->fd, slice, AT_REMOVEDIR) < 0)
            break;
    }
    if (cgroup->protects)
        protect_above(cgroup);
    cgroup_free(cgroup);
    return 0;
}

void cgroup_free(struct cgroup *cgroup) {
    if (!cgroup)
        return;
    close_fd(cgroup->fd);
    close_fd(cgroup->events_fd);
    free(cgroup->path);
    free(cgroup);
}

/* ---- look ---- */

const char *cgroup_path(const struct cgroup *cgroup) {
    return cgroup->path;
}

const char *cgroup_relative(const struct cgroup *cgroup) {
    return cgroup->relative;
}

int cgroup_fd(const struct cgroup *cgroup) {
    return cgroup->fd;
}

int cgroup_open(const struct cgroup *cgroup, enum cgroup_part part, struct fault *fault) {
    int fd = cgroup_tree_open(cgroup->fd, part_names[part]);
    if (fd < 0)
        return fault_set(fault, fd, "cannot open cgroup \"%s/%s\"", cgroup->path, part_names[part]);
    return fd;
}

/* A manager may have died between killing there and writing down that it had. */
static void find_unused(struct cgroup *cgroup, enum cgroup_part part, int directory) {
    char name[16];
    do
        snprintf(name, sizeof name, "%u", ++cgroup->renewed[part]);
    while (faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    cgroup->adopted[part] = false;
}

int cgroup_open_birthplace(struct cgroup *cgroup, enum cgroup_part part, struct fault *fault) {
    /* What lies beside the main part is made with the first process that is born there. */
    if (part != CGROUP_MAIN && mkdirat(cgroup->fd, part_names[part], 0755) < 0 && errno != EEXIST)
        return fault_set(fault, errno, "cannot make cgroup \"%s/%s\"", cgroup->path,
                         part_names[part]);
    scoped_fd int fd = cgroup_open(cgroup, part, fault);
    if (fd < 0)
        return fd;
    if (cgroup->adopted[part])
        find_unused(cgroup, part, fd);
    if (cgroup->renewed[part] == 0)
        return take_fd(&fd);
    char name[16];
    snprintf(name, sizeof name, "%u", cgroup->renewed[part]);
    int fresh = cgroup_tree_open(fd, name);
    if (fresh == -ENOENT) {
        cgroup_tree_clear(fd); /* earlier ones, as far as they are empty */
        fresh = cgroup_tree_make(fd, name);
    }
    if (fresh < 0)
        return fault_set(fault, fresh, "cannot make cgroup \"%s/%s/%s\"", cgroup->path,
                         part_names[part], name);
    return fresh;
}

void cgroup_renew(struct cgroup *cgroup) {
    for (int part = 0; part < CGROUP_PARTS; part++)
        cgroup->renewed[part]++;
}

int cgroup_events_fd(const struct cgroup *cgroup) {
    return cgroup->events_fd;
}

static int part_file(enum cgroup_part part, const char *file, char *ret_path, size_t size) {
    int length = snprintf(ret_path, size, "%s/%s", part_names[part], file);
    return (size_t)length < size ? 0 : -ENAMETOOLONG;
}

int cgroup_open_events(const struct cgroup *cgroup, enum cgroup_part part, struct fault *fault) {
    char file[64];
    part_file(part, "cgroup.events", file, sizeof file);
    int fd = openat(cgroup->fd, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open \"%s/%s\"", cgroup->path, file);
    return fd;
}

static int read_event(const struct cgroup *cgroup, enum cgroup_part part, const char *key) {
    char file[64];
    uint64_t value;
    part_file(part, "cgroup.events", file, sizeof file);
    int error = cgroup_tree_value(cgroup->fd, file, key, &value);
    return error ? error : value != 0;
}

int cgroup_is_populated(const struct cgroup *cgroup, enum cgroup_part part) {
    if (part == CGROUP_MAIN) {
        /* Reading it also arms the descriptor's next EPOLLPRI. */
        char data[256];
        ssize_t length = pread(cgroup->events_fd, data, sizeof data - 1, 0);
        if (length < 0)
            return -errno;
        data[length] = '\0';
        return strstr(data, "populated 1") != NULL;
    }
    return read_event(cgroup, part, "populated");
}

int cgroup_is_frozen(const struct cgroup *cgroup) {
    return read_event(cgroup, CGROUP_MAIN, "frozen");
}

uint64_t cgroup_oom_kills(const struct cgroup *cgroup) {
    uint64_t kills;
    return cgroup_tree_value(cgroup->fd, "memory.events", "oom_kill", &kills) ? 0 : kills;
}

bool cgroup_oom_victim(const struct cgroup *cgroup, struct oom_victim *ret_victim) {
    char place[PATH_MAX];
    int length = snprintf(place, sizeof place, "%s/%s", cgroup->root->tree, cgroup->relative);
    return (size_t)length < sizeof place && oom_find(place, ret_victim);
}

/* ---- act ---- */

static int write_part(const struct cgroup *cgroup, enum cgroup_part part, const char *file,
                      const char *value, struct fault *fault) {
    char path[64];
    part_file(part, file, path, sizeof path);
    int error = cgroup_tree_write(cgroup->fd, path, value);
    if (error)
        return fault_set(fault, error, "cannot write \"%s\" to \"%s/%s\"", value, cgroup->path,
                         path);
    return 0;
}

int cgroup_kill(struct cgroup *cgroup, enum cgroup_part part, struct fault *fault) {
    if (part == CGROUP_UNIT)
        cgroup_renew(cgroup);
    else
        cgroup->renewed[part]++;
    return write_part(cgroup, part, "cgroup.kill", "1", fault);
}

int cgroup_enter(int directory, struct fault *fault) {
    scoped_fd int procs = openat(directory, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (procs < 0 || write(procs, "0", 1) != 1)
        return fault_set(fault, errno, "cannot enter the unit's cgroup");
    return 0;
}

int cgroup_freeze(const struct cgroup *cgroup, bool freeze, struct fault *fault) {
    return write_part(cgroup, CGROUP_MAIN, "cgroup.freeze", freeze ? "1" : "0", fault);
}

int cgroup_freezes(const struct cgroup *cgroup) {
    scoped_free char *data = NULL;
    char path[64];
    part_file(CGROUP_MAIN, "cgroup.freeze", path, sizeof path);
    int error = file_read(cgroup->fd, path, sizeof path, &data, NULL, NULL);
    return error ? error : data[0] == '1';
}

struct signalling {
    int signal, error;
    unsigned char *seen; /* a bit per pid */
    size_t fresh;        /* processes that this pass met first */
};

static int signal_one(void *context, int directory) {
    struct signalling *signalling = context;
    scoped_free char *data = NULL;
    int error = file_read(directory, "cgroup.procs", PROCS_MOST, &data, NULL, NULL);
    if (error) /* a threaded cgroup does not list its processes, a removed one has none */
        return error == -EOPNOTSUPP || error == -ENODEV || error == -ENOENT ? 0 : error;
    for (char *rest = data, *line; (line = strsep(&rest, "\n"));) {
        long pid = strtol(line, NULL, 10);
        if (pid <= 0 || pid >= PIDS_MOST) /* 0: a process outside of our pid namespace */
            continue;
        unsigned char bit = (unsigned char)(1u << (pid % 8));
        if (signalling->seen[pid / 8] & bit)
            continue;
        signalling->seen[pid / 8] |= bit;
        signalling->fresh++;
        if (kill((pid_t)pid, signalling->signal) < 0 && errno != ESRCH)
            signalling->error = -errno;
    }
    return 0;
}

/* Processes that were forked meanwhile may have missed it: again, until there is nobody new. */
int cgroup_signal_all(const struct cgroup *cgroup, int signal, pid_t spared, struct fault *fault) {
    scoped_fd int main_fd = cgroup_open(cgroup, CGROUP_MAIN, fault);
    if (main_fd < 0)
        return main_fd;
    scoped_free unsigned char *seen = calloc(1, PIDS_MOST / 8);
    if (!seen)
        return fault_set(fault, ENOMEM, "cannot signal \"%s\"", cgroup->path);
    struct signalling signalling = {.signal = signal, .seen = seen};
    if (spared > 0 && spared < PIDS_MOST)
        seen[spared / 8] = (unsigned char)(1u << (spared % 8));
    int error = 0;
    for (int pass = 0; pass < SIGNAL_PASSES; pass++) {
        signalling.fresh = 0;
        error = cgroup_tree_walk(main_fd, signal_one, &signalling);
        if (error || signalling.fresh == 0)
            break;
    }
    if (!error)
        error = signalling.error;
    return error ? fault_set(fault, error, "cannot signal the processes of \"%s\"", cgroup->path)
                 : 0;
}
