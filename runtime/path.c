#include "runtime/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

#define SYMLINKS_MOST 40 /* as the kernel's own limit */

static int open_in(int root, const char *path, uint64_t flags, uint64_t resolve) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
    int fd;
    do /* EAGAIN: something was renamed meanwhile, and the kernel could not tell the way */
        fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    return fd < 0 ? -errno : fd;
}

int path_open(int root, const char *path, uint64_t flags) {
    return open_in(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

#define PLAIN (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)

int path_open_plain(int root, const char *path) {
    return open_in(root, path, O_PATH, PLAIN);
}

struct walk {
    char done[PATH_MAX]; /* absolute, without symlinks or dots; "" is the root */
    char rest[PATH_MAX];
    size_t beyond; /* length of the rest that no symlink wrote */
    unsigned symlinks;
};

static int walk_up(struct walk *walk) {
    char *slash = strrchr(walk->done, '/');
    if (!slash)
        return -EXDEV;
    *slash = '\0';
    return 0;
}

/* The symlink's text comes before what is left to walk. */
static int walk_symlink(struct walk *walk, int link) {
    char text[PATH_MAX], rest[PATH_MAX];
    ssize_t length = readlinkat(link, "", text, sizeof text - 1);
    if (length < 0)
        return -errno;
    text[length] = '\0';
    if (++walk->symlinks > SYMLINKS_MOST)
        return -ELOOP;
    size_t length_beyond = strlen(walk->rest);
    memcpy(rest, walk->rest, length_beyond + 1);
    if (length_beyond < walk->beyond)
        walk->beyond = length_beyond;
    size_t needed = (size_t)snprintf(walk->rest, sizeof walk->rest, "%s/%s", text, rest);
    if (needed >= sizeof walk->rest)
        return -ENAMETOOLONG;
    return 0;
}

/* One name: appended where it is no symlink or not there, replaced by its text where it is. */
static int walk_name(struct walk *walk, int root, const char *name) {
    size_t length = strlen(walk->done);
    if ((size_t)snprintf(walk->done + length, sizeof walk->done - length, "/%s", name) >=
        sizeof walk->done - length)
        return -ENAMETOOLONG;
    scoped_fd int fd =
        open_in(root, walk->done, O_PATH | O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd == -ENOENT)
        return strlen(walk->rest) > walk->beyond ? -ENOLINK : 0;
    if (fd < 0)
        return fd;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISLNK(status.st_mode))
        return 0;
    walk->done[length] = '\0';
    int error = walk_symlink(walk, fd);
    if (!error && walk->rest[0] == '/')
        walk->done[0] = '\0';
    return error;
}

/* Writes the path without its symlinks. -EXDEV: it climbs over the root; -ENOLINK: a symlink leads
 * nowhere. What it finds may change at once; therefore the result is opened without symlinks. */
static int walk_plain(struct walk *walk, int root, const char *path) {
    walk->done[0] = '\0';
    walk->symlinks = 0;
    walk->beyond = strlen(path);
    if (strlen(path) >= sizeof walk->rest)
        return -ENAMETOOLONG;
    strcpy(walk->rest, path);
    for (;;) {
        size_t slashes = strspn(walk->rest, "/");
        size_t length = strcspn(walk->rest + slashes, "/");
        if (length == 0)
            return 0;
        if (length > NAME_MAX)
            return -ENAMETOOLONG;
        char name[NAME_MAX + 1];
        memcpy(name, walk->rest + slashes, length);
        name[length] = '\0';
        char *after = walk->rest + slashes + length;
        memmove(walk->rest, after, strlen(after) + 1);

        int error = 0;
        if (strcmp(name, "..") == 0)
            error = walk_up(walk);
        else if (strcmp(name, ".") != 0)
            error = walk_name(walk, root, name);
        if (error)
            return error;
    }
}

/* Component by component, each by a descriptor of the one above. */
static int make_path(int root, const char *path, enum path_kind kind) {
    scoped_fd int above = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (above < 0)
        return -errno;
    for (const char *at = path + 1;;) {
        size_t length = strcspn(at, "/");
        char name[NAME_MAX + 1];
        memcpy(name, at, length);
        name[length] = '\0';
        bool last = at[length] == '\0';
        bool file = last && kind == PATH_FILE;
        int made = file ? mknodat(above, name, S_IFREG | 0644, 0) : mkdirat(above, name, 0755);
        if (made < 0 && errno != EEXIST)
            return -errno;
        int fd = open_in(above, name, O_PATH | O_NOFOLLOW | (file ? 0 : O_DIRECTORY), PLAIN);
        if (fd < 0)
            return fd;
        if (last)
            return fd;
        close_fd(above);
        above = fd;
        at += length + 1;
    }
}

static bool lies_in(const char *path, const char *directory) {
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || !path[length]);
}

int path_target(int root, const char *target, enum path_kind kind, bool make, struct fault *fault) {
    struct walk walk;
    int error = walk_plain(&walk, root, target);
    if (error == -EXDEV)
        return fault_say(fault, error, "target \"%s\" leaves the root through a symlink or \"..\"",
                         target);
    if (error == -ENOLINK)
        return fault_say(
            fault, error,
            "target \"%s\" leads through a symlink to \"%s\", which does not exist inside "
            "the root",
            target, walk.done);
    if (error)
        return fault_set(fault, error, "cannot resolve target \"%s\"", target);
    if (!walk.done[0])
        return fault_say(fault, -EINVAL, "target \"%s\" is the root itself", target);
    if (lies_in(walk.done, "/proc") || lies_in(walk.done, "/sys"))
        return fault_say(fault, -EINVAL,
                         "target \"%s\" lies in /proc or /sys, where nothing can be mounted",
                         target);

    int fd = open_in(root, walk.done, O_PATH, PLAIN);
    if (fd == -ENOENT && make)
        fd = make_path(root, walk.done, kind);
    else if (fd == -ENOENT)
        return fault_say(fault, fd,
                         "target \"%s\" does not exist and cannot be made: the root is read-only; "
                         "a tmpfs above it would do, or a layer that has it",
                         target);
    if (fd < 0)
        return fault_set(fault, fd, "cannot open target \"%s\"", target);
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) != (kind == PATH_DIRECTORY)) {
        close_fd(fd);
        return fault_say(fault, -ENOTDIR, "target \"%s\" is %s directory, the source is %s", target,
                         kind == PATH_FILE ? "a" : "no", kind == PATH_FILE ? "none" : "one");
    }
    return fd;
}

int path_real_directory(int root, const char *name, bool make, struct fault *fault) {
    int fd = open_in(root, name, O_PATH | O_DIRECTORY, PLAIN);
    if (fd == -ENOENT && make)
        fd = make_path(root, name, PATH_DIRECTORY);
    if (fd == -ELOOP || fd == -ENOTDIR)
        return fault_say(fault, fd, "\"%s\" of the root is not a real directory", name);
    if (fd == -ENOENT)
        return fault_say(fault, fd,
                         "\"%s\" does not exist in the root and cannot be made: it is read-only",
                         name);
    if (fd < 0)
        return fault_set(fault, fd, "cannot open \"%s\" of the root", name);
    return fd;
}
