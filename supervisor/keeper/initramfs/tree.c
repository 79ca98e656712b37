#include "supervisor/keeper/initramfs/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "units/base/scoped.h"

/* Of a tree that is deeper the outer directories are closed, and found again by "..". */
enum { HELD = 16 };

struct level {
    DIR *listing;               /* NULL: closed */
    const struct dirent *entry; /* that was read last: a directory, while the walk is in it */
};

struct walk {
    struct level levels[HELD]; /* level n is levels[n % HELD] */
    size_t depth;              /* the level that is being emptied */
    const char *const *kept;   /* in level 0 */
    int error;                 /* the first */
    char *left;
    size_t left_size;
};

static struct level *level_at(struct walk *walk, size_t depth) {
    return &walk->levels[depth % HELD];
}

static void close_level(struct level *level) {
    if (level->listing)
        closedir(level->listing);
    *level = (struct level){0};
}

static int open_level(struct level *level, int parent, const char *name) {
    scoped_fd int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing)
        return -errno;
    take_fd(&fd);
    close_level(level);
    level->listing = listing;
    return 0;
}

static void note_failure(struct walk *walk, const struct level *level, const char *name) {
    int error = errno;
    char link[64], directory[PATH_MAX];
    if (walk->error)
        return;
    walk->error = -error;
    snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd(level->listing));
    ssize_t length = readlink(link, directory, sizeof directory);
    bool fits = length > 0 && (size_t)length < sizeof directory;
    snprintf(walk->left, walk->left_size, "%.*s/%s", fits ? (int)length : 3,
             fits ? directory : "...", name);
}

static bool is_kept(const struct walk *walk, const char *name) {
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    for (const char *const *kept = walk->depth == 0 ? walk->kept : NULL; kept && *kept; kept++)
        if (strcmp(*kept, name) == 0)
            return true;
    return false;
}

/* The next one, or NULL at the end. */
static const char *next(struct walk *walk, struct level *level) {
    errno = 0;
    level->entry = readdir(level->listing);
    if (!level->entry && errno)
        note_failure(walk, level, ".");
    return level->entry ? level->entry->d_name : NULL;
}

/* Deleted, or entered. What something is mounted on is EBUSY before it is asked what lies in it. */
static void remove_entry(struct walk *walk, const char *name) {
    const struct level *level = level_at(walk, walk->depth);
    int parent = dirfd(level->listing);
    if (unlinkat(parent, name, 0) == 0 ||
        (errno == EISDIR && unlinkat(parent, name, AT_REMOVEDIR) == 0))
        return;
    bool full = errno == ENOTEMPTY || errno == EEXIST;
    if (full && open_level(level_at(walk, walk->depth + 1), parent, name) == 0)
        walk->depth++;
    else
        note_failure(walk, level, name);
}

/* Opens the directory above again, and reads on to where it had been. */
static int reopen(struct walk *walk, struct level *above, int below) {
    struct stat wanted, status;
    int error = fstat(below, &wanted) < 0 ? -errno : open_level(above, below, "..");
    bool found = false;
    for (const char *name; error == 0 && !found && (name = next(walk, above));)
        found = fstatat(dirfd(above->listing), name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino;
    return error < 0 ? error : found ? 0 : -ENOENT;
}

/* What could be deleted in it is; now itself. */
static int leave(struct walk *walk) {
    struct level *level = level_at(walk, walk->depth);
    struct level *above = level_at(walk, walk->depth - 1);
    int error = above->listing ? 0 : reopen(walk, above, dirfd(level->listing));
    close_level(level);
    walk->depth--;
    if (error == 0 && above->entry &&
        unlinkat(dirfd(above->listing), above->entry->d_name, AT_REMOVEDIR) < 0)
        note_failure(walk, above, above->entry->d_name);
    return error;
}

int tree_empty(const char *path, const char *const *kept, char *ret_left, size_t size) {
    struct walk walk = {.kept = kept, .left = ret_left, .left_size = size};
    int error = open_level(&walk.levels[0], AT_FDCWD, path);
    while (error == 0) {
        const char *name = next(&walk, level_at(&walk, walk.depth));
        if (name && !is_kept(&walk, name))
            remove_entry(&walk, name);
        else if (!name && walk.depth == 0)
            break;
        else if (!name)
            error = leave(&walk);
    }
    for (size_t i = 0; i < HELD; i++)
        close_level(&walk.levels[i]);
    if (error == 0 || walk.error)
        return walk.error;
    snprintf(ret_left, size, "%s", path);
    return error;
}
