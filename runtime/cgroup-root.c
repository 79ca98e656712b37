#include "runtime/cgroup-root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>

#include "runtime/cgroup-tree.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/mountinfo.h"
#include "units/base/number.h"

#define PLACE_DIRECTORY "place"
#define PROC_FILE_MOST (4 * 1024 * 1024) /* mountinfo of a host with many containers */
#define CLEAN_USEC (5 * USEC_PER_SEC)

static const char *const controller_items[] = {
    [CONTROLLER_CPU] = "cpu",   [CONTROLLER_CPUSET] = "cpuset",
    [CONTROLLER_IO] = "io",     [CONTROLLER_MEMORY] = "memory",
    [CONTROLLER_PIDS] = "pids", [CONTROLLER_HUGETLB] = "hugetlb",
};
const struct names controller_names = NAMES(controller_items);
_Static_assert(ELEMENTS(controller_items) == CONTROLLERS, "a name for every controller");

static uint64_t now_usec(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

/* ---- where cgroup v2 is ---- */

/* A mount of cgroup v2: where, and which directory of the tree it shows ("" for the top). */
struct mount {
    char point[PATH_MAX], root[PATH_MAX];
};

/* Whether the path is that of the directory, or lies below it. */
static bool is_inside(const char *path, const char *directory) {
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || !path[length]);
}

/* Fields 4 and 5 of a line of mountinfo (proc(5)). */
static bool read_mount(char *line, struct mount *ret_mount) {
    const char *type = strstr(line, " - ");
    char *root = NULL, *point = NULL;
    if (!type || strncmp(type + 3, "cgroup2 ", 8) != 0)
        return false;
    for (int i = 0; i < 5 && line; i++) {
        root = point;
        point = strsep(&line, " ");
    }
    if (!root || !point)
        return false;
    mountinfo_unescape(point);
    mountinfo_unescape(root);
    if (strcmp(root, "/") == 0)
        *root = '\0';
    return (size_t)snprintf(ret_mount->point, PATH_MAX, "%s", point) < PATH_MAX &&
           (size_t)snprintf(ret_mount->root, PATH_MAX, "%s", root) < PATH_MAX;
}

/* The tree: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside cgroup v1. With a path the mount that
 * the path lies in, which may show a part of the tree. */
static int find_mount(const char *path, struct mount *ret_mount, struct fault *fault) {
    scoped_free char *data = NULL;
    bool found = false;
    int error = file_read(AT_FDCWD, "/proc/self/mountinfo", PROC_FILE_MOST, &data, NULL, fault);
    if (error)
        return error;
    for (char *rest = data, *line; (line = strsep(&rest, "\n"));) {
        struct mount mount;
        if (!read_mount(line, &mount))
            continue;
        bool fits = path ? is_inside(path, mount.point) &&
                               (!found || strlen(mount.point) >= strlen(ret_mount->point))
                         : !found && !*mount.root;
        if (fits)
            *ret_mount = mount;
        found = found || fits;
    }
    if (found)
        return 0;
    if (path)
        return fault_say(fault, -ENODEV, "\"%s\" is not inside a cgroup v2 tree", path);
    return fault_say(fault, -ENODEV,
                     "no cgroup v2 tree is mounted: mount one on /sys/fs/cgroup "
                     "(mount -t cgroup2 none /sys/fs/cgroup)");
}

/* The caller's cgroup below the mount point; "" for the root of the tree. */
static void find_own(char *ret_path, size_t size) {
    scoped_free char *data = NULL;
    ret_path[0] = '\0';
    if (file_read(AT_FDCWD, "/proc/self/cgroup", PROC_FILE_MOST, &data, NULL, NULL) < 0)
        return;
    for (char *rest = data, *line; (line = strsep(&rest, "\n"));) {
        /* "/.." is shown where it lies outside of our cgroup namespace. */
        if (strncmp(line, "0::/", 4) != 0 || !line[4] || strncmp(line + 4, "..", 2) == 0)
            continue;
        if ((size_t)snprintf(ret_path, size, "%s", line + 3) >= size)
            ret_path[0] = '\0';
    }
}

static int open_directory(const char *path, struct fault *fault) {
    scoped_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open cgroup \"%s\"", path);
    struct statfs status;
    if (fstatfs(fd, &status) < 0)
        return fault_set(fault, errno, "cannot look at cgroup \"%s\"", path);
    if (status.f_type != CGROUP2_SUPER_MAGIC)
        return fault_say(fault, -ENODEV, "\"%s\" is not inside a cgroup v2 tree", path);
    return take_fd(&fd);
}

/* ---- controllers ---- */

/* Bits of the controllers in a file such as cgroup.controllers. */
static unsigned read_controllers(int directory, const char *file) {
    scoped_free char *data = NULL;
    unsigned found = 0;
    if (file_read(directory, file, PATH_MAX, &data, NULL, NULL) < 0)
        return 0;
    for (unsigned i = 0; i < CONTROLLERS; i++)
        if (cgroup_tree_has_word(data, controller_items[i]))
            found |= 1u << i;
    return found;
}

unsigned cgroup_hand_down(int directory, unsigned wanted) {
    unsigned now = read_controllers(directory, "cgroup.subtree_control");
    unsigned missing = wanted & ~now & read_controllers(directory, "cgroup.controllers");
    for (unsigned i = 0; i < CONTROLLERS; i++) {
        char word[32];
        snprintf(word, sizeof word, "+%s", controller_items[i]);
        /* One at a time: a write with several is refused as a whole. */
        if ((missing & 1u << i) &&
            cgroup_tree_write(directory, "cgroup.subtree_control", word) == 0)
            now |= 1u << i;
    }
    return now;
}

/* Whether /proc/cgroups has the controller in a hierarchy of its own, which is always version 1. */
static bool is_on_v1(const char *table, const char *name) {
    const char *line = table;
    size_t length = strlen(name);
    while (line && *line) {
        if (strncmp(line, name, length) == 0 && line[length] == '\t')
            return line[length + 1] != '0';
        line = strchr(line, '\n');
        line += line ? 1 : 0;
    }
    return false;
}

static void judge_controllers(struct cgroup_root *root, unsigned in_tree, unsigned usable) {
    scoped_free char *table = NULL;
    if (file_read(AT_FDCWD, "/proc/cgroups", PATH_MAX, &table, NULL, NULL) < 0)
        table = NULL;
    for (unsigned i = 0; i < CONTROLLERS; i++) {
        const char *v1_name = i == CONTROLLER_IO ? "blkio" : controller_items[i];
        enum controller_state *state = &root->controllers.states[i];
        if (usable & 1u << i)
            *state = CONTROLLER_USABLE;
        else if (in_tree & 1u << i)
            *state = CONTROLLER_NOT_OURS;
        else
            *state = table && is_on_v1(table, v1_name) ? CONTROLLER_ON_V1 : CONTROLLER_ABSENT;
    }
}

unsigned cgroup_root_hand_down(const struct cgroup_root *root, unsigned wanted) {
    scoped_fd int parent = openat(root->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs status;
    if (parent >= 0 && fstatfs(parent, &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC)
        cgroup_hand_down(parent, wanted);
    return cgroup_hand_down(root->fd, wanted);
}

/* What the tree has, what our parent gives us, what we can give on. The rarer controllers cost
 * every cgroup below something: they are handed down when a unit asks. */
static void open_controllers(struct cgroup_root *root, const char *mount) {
    scoped_fd int top = open_directory(mount, NULL);
    unsigned in_tree = top >= 0 ? read_controllers(top, "cgroup.controllers") : 0;
    unsigned usable = cgroup_root_hand_down(root, CGROUP_ALWAYS);
    unsigned held = read_controllers(root->fd, "cgroup.controllers");
    scoped_fd int parent = openat(root->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0)
        held |= read_controllers(parent, "cgroup.controllers");
    judge_controllers(root, in_tree, usable | (held & ~CGROUP_ALWAYS));
}

/* ---- the root ---- */

static bool own_is_fit(const char *own, const char *mount) {
    scoped_fd int own_fd = open_directory(own, NULL);
    scoped_fd int top = open_directory(mount, NULL);
    if (own_fd < 0 || top < 0)
        return false;
    unsigned wanted = read_controllers(top, "cgroup.controllers") & CGROUP_ALWAYS;
    return (cgroup_hand_down(own_fd, wanted) & wanted) == wanted;
}

static bool is_absolute(const char *path) {
    const char *dots = strstr(path, "/..");
    return path[0] == '/' && !(dots && (dots[3] == '/' || !dots[3]));
}

/* "../NAME": beside the cgroup that we are in. */
static bool is_sibling(const char *path) {
    return strncmp(path, "../", 3) == 0 && path[3] && strcmp(path + 3, "..") != 0 &&
           !strchr(path + 3, '/');
}

static int check_path(const char *path, struct fault *fault) {
    if (is_absolute(path) || is_sibling(path))
        return 0;
    return fault_say(
        fault, -EINVAL,
        "cgroup \"%s\": an absolute path without \"..\", or \"../NAME\" for one beside "
        "our own, is wanted",
        path);
}

static int choose_sibling(const char *name, const char *mount, char *ret_path, size_t size,
                          struct fault *fault) {
    char own[PATH_MAX];
    find_own(own, sizeof own);
    char *last = strrchr(own, '/');
    if (!last)
        return fault_say(fault, -EINVAL,
                         "cgroup \"../%s\": we are at the top of the tree, beside which is nothing",
                         name);
    *last = '\0';
    return snprintf(ret_path, size, "%s%s/%s", mount, own, name);
}

/* Where no path is given: below our own cgroup if that hands down its controllers, which it cannot
 * while there are processes in it, else below the top of the tree. */
static int choose_usual(const char *mount, char *ret_path, size_t size) {
    char own[PATH_MAX], parent[PATH_MAX];
    find_own(own, sizeof own);
    int length = snprintf(parent, sizeof parent, "%s%s", mount, own);
    bool fit = length < (int)sizeof parent && own_is_fit(parent, mount);
    return snprintf(ret_path, size, "%s/ringfence", fit ? parent : mount);
}

static int choose_path(const char *given, const char *mount, char *ret_path, size_t size,
                       struct fault *fault) {
    int length = !given              ? choose_usual(mount, ret_path, size)
                 : is_sibling(given) ? choose_sibling(given + 3, mount, ret_path, size, fault)
                                     : snprintf(ret_path, size, "%s", given);
    if (length < 0)
        return length;
    if ((size_t)length >= size)
        return fault_set(fault, ENAMETOOLONG, "cannot name our cgroup");
    while (length > 1 && ret_path[length - 1] == '/')
        ret_path[--length] = '\0';
    return 0;
}

/* That the directory is ours to be removed is written on itself, for the manager that removes it
 * may be a later one. */
static int mark_made(struct cgroup_root *root, struct fault *fault) {
    static const char mark[] = "trusted.ringfence.made";
    if (root->made && fsetxattr(root->fd, mark, "1", 1, 0) < 0 && errno != EPERM &&
        errno != ENOTSUP)
        return fault_set(fault, errno, "cannot mark cgroup \"%s\" as made by us", root->path);
    if (!root->made)
        root->made = fgetxattr(root->fd, mark, NULL, 0) == 1;
    return 0;
}

/* Held as long as we live: another manager would kill our units as leftovers. A helper that hangs,
 * or was born into a frozen cgroup, does not keep the next manager out. It goes when any descriptor
 * of the file is closed, so it is on one that nobody needs. */
static int lock(struct cgroup_root *root, struct fault *fault) {
    root->lock = openat(root->fd, "cgroup.max.depth", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    int error = root->lock < 0 ? -errno : file_lock(root->lock);
    if (error >= 0)
        return 0;
    if (error == -EBUSY)
        return fault_say(
            fault, -EBUSY,
            "cgroup \"%s\" is in use by another ringfence: --cgroup gives this one its own",
            root->path);
    return fault_set(fault, error, "cannot lock cgroup \"%s\"", root->path);
}

/* The directory above is looked at first, so that nothing is made in other file systems. */
static int make_root(struct cgroup_root *root, struct fault *fault) {
    root->fd = open_directory(root->path, NULL);
    if (root->fd < 0) {
        char parent[PATH_MAX];
        snprintf(parent, sizeof parent, "%s", root->path);
        char *slash = strrchr(parent, '/');
        slash[slash == parent ? 1 : 0] = '\0';
        scoped_fd int above = open_directory(parent, fault);
        if (above < 0)
            return above;
        root->made = mkdir(root->path, 0755) == 0;
        if (!root->made && errno != EEXIST)
            return fault_set(fault, errno, "cannot make cgroup \"%s\"", root->path);
        root->fd = open_directory(root->path, fault);
        if (root->fd < 0)
            return root->fd;
    }
    int error = mark_made(root, fault);
    if (error)
        return error;
    error = lock(root, fault);
    if (error)
        root->made = false;
    return error;
}

/* A service manager that gave us this cgroup may have a process in it that keeps the place, which
 * keeps the cgroup from handing its controllers down: it goes one level down itself. */
static int clear_root(const struct cgroup_root *root, struct fault *fault) {
    scoped_free char *pids = NULL;
    int error = file_read(root->fd, "cgroup.procs", PROC_FILE_MOST, &pids, NULL, fault);
    scoped_fd int place = -EBADF;
    for (char *rest = pids, *pid; error >= 0 && (pid = strsep(&rest, "\n"));) {
        if (!*pid)
            continue;
        if (place < 0)
            place = cgroup_tree_make(root->fd, PLACE_DIRECTORY);
        error = place < 0 ? place : cgroup_tree_write(place, "cgroup.procs", pid);
        if (error == -ESRCH) /* it has ended */
            error = 0;
        else if (error < 0)
            fault_set(fault, error, "cannot move process %s to \"%s/" PLACE_DIRECTORY "\"", pid,
                      root->path);
    }
    return error;
}

int cgroup_root_open(const char *path, struct cgroup_root **ret_root, struct fault *fault) {
    struct mount mount;
    int error = path ? check_path(path, fault) : 0;
    if (!error)
        error = find_mount(path && is_absolute(path) ? path : NULL, &mount, fault);
    if (error)
        return error;
    scoped(cgroup_root_close) struct cgroup_root *root = calloc(1, sizeof *root);
    if (!root)
        return fault_set(fault, ENOMEM, "cannot open our cgroup");
    root->fd = root->lock = -EBADF;
    error = choose_path(path, mount.point, root->path, sizeof root->path, fault);
    if (!error)
        error = make_root(root, fault);
    if (error)
        return error;
    if ((size_t)snprintf(root->tree, sizeof root->tree, "%s%s", mount.root,
                         root->path + strlen(mount.point)) >= sizeof root->tree)
        return fault_set(fault, ENAMETOOLONG, "cannot name our cgroup");
    error = clear_root(root, fault);
    if (error)
        return error;
    open_controllers(root, mount.point);
    *ret_root = take(root);
    return 0;
}

void cgroup_root_close(struct cgroup_root *root) {
    if (!root)
        return;
    if (root->made)
        rmdir(root->path);
    close_fd(root->fd);
    close_fd(root->lock);
    free(root);
}

const char *cgroup_root_path(const struct cgroup_root *root) {
    return root->path;
}

int cgroup_root_fd(const struct cgroup_root *root) {
    return root->fd;
}

const struct controllers *cgroup_root_controllers(const struct cgroup_root *root) {
    return &root->controllers;
}

/* ---- what an earlier manager left ---- */

/* Kills, then removes one directory as soon as it is empty. */
static int clean_one(int root, const char *name, uint64_t deadline) {
    scoped_fd int fd = cgroup_tree_open(root, name);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    int error = cgroup_tree_write(fd, "cgroup.kill", "1");
    if (error)
        return error;
    scoped_fd int events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
    for (;;) {
        char data[256];
        if (events >= 0 && pread(events, data, sizeof data, 0) < 0)
            return -errno;
        error = cgroup_tree_clear(fd);
        if (!error && unlinkat(root, name, AT_REMOVEDIR) < 0)
            error = -errno;
        uint64_t now = now_usec();
        if (error != -EBUSY || now >= deadline)
            return error;
        /* A wake-up may be lost between the read and the removal: never sleep for long. */
        struct pollfd waiting = {.fd = events, .events = POLLPRI};
        poll(&waiting, 1, 50);
    }
}

struct cleaning {
    struct cgroup_root *root;
    cgroup_owned is_owned;
    const void *context;
    uint64_t deadline;
};

static bool has_prefix(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Below the root, or below a slice that some units stay in. path: relative to the root, with a
 * slash at its end, or "". */
static int clean_below(const struct cleaning *cleaning, const char *path, int depth,
                       struct fault *fault) {
    const struct cgroup_root *root = cleaning->root;
    scoped_fd int fd = cgroup_tree_open(root->fd, *path ? path : ".");
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries)
        return fault_set(fault, fd < 0 ? fd : errno, "cannot list cgroup \"%s/%s\"", root->path,
                         path);
    take_fd(&fd);
    const struct dirent *entry;
    int error = 0, more = 1;
    while (!error && (more = directory_next(entries, &entry)) > 0) {
        char below[PATH_MAX];
        bool slice = has_prefix(entry->d_name, CGROUP_SLICE_PREFIX);
        if (!slice && !has_prefix(entry->d_name, CGROUP_UNIT_PREFIX))
            continue;
        snprintf(below, sizeof below, "%.3000s%s", path, entry->d_name);
        if (!cleaning->is_owned || !cleaning->is_owned(cleaning->context, below)) {
            error = clean_one(root->fd, below, cleaning->deadline);
            if (error)
                fault_set(fault, error, "cannot remove the leftover cgroup \"%s/%s\"", root->path,
                          below);
        } else if (slice && depth < SLICES_DEEP) {
            strcat(below, "/");
            error = clean_below(cleaning, below, depth + 1, fault);
        }
    }
    closedir(entries);
    return more < 0 ? fault_set(fault, more, "cannot list cgroup \"%s/%s\"", root->path, path)
                    : error;
}

int cgroup_root_clean(struct cgroup_root *root, cgroup_owned is_owned, const void *context,
                      struct fault *fault) {
    const struct cleaning cleaning = {root, is_owned, context, now_usec() + CLEAN_USEC};
    return clean_below(&cleaning, "", 0, fault);
}
