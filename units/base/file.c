#include "units/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

#define DEEPEST 32 /* directories held open at once by directory_remove */

ssize_t file_read_all(int fd, char *data, size_t size) {
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, data + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

static int write_all(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        data += written;
        length -= (size_t)written;
    }
    return 0;
}

static int read_regular(int directory, const char *path, int flags, size_t most, char **ret_data,
                        size_t *ret_length, struct fault *fault) {
    scoped_fd int fd =
        openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", path);
    struct stat status;
    if (fstat(fd, &status) < 0)
        return fault_set(fault, errno, "cannot stat \"%s\"", path);
    if (S_ISDIR(status.st_mode))
        return fault_say(fault, -EISDIR, "\"%s\" is a directory, not a file", path);
    if (!S_ISREG(status.st_mode))
        return fault_say(fault, -EINVAL, "\"%s\" is not a regular file", path);
    if (status.st_size > (off_t)most)
        return fault_say(fault, -EFBIG, "\"%s\" has more than %zu bytes", path, most);
    scoped_free char *data = malloc(most + 1);
    if (!data)
        return fault_set(fault, ENOMEM, "cannot read \"%s\"", path);
    ssize_t length = file_read_all(fd, data, most + 1);
    if (length < 0)
        return fault_set(fault, (int)length, "cannot read \"%s\"", path);
    if ((size_t)length > most)
        return fault_say(fault, -EFBIG, "\"%s\" has more than %zu bytes", path, most);
    data[length] = '\0';
    char *fitted = realloc(data, (size_t)length + 1);
    *ret_data = fitted ? fitted : data;
    data = NULL;
    if (ret_length)
        *ret_length = (size_t)length;
    return 0;
}

int file_read(int directory, const char *path, size_t most, char **ret_data, size_t *ret_length,
              struct fault *fault) {
    return read_regular(directory, path, O_NOFOLLOW, most, ret_data, ret_length, fault);
}

int file_read_linked(const char *path, size_t most, char **ret_data, size_t *ret_length,
                     struct fault *fault) {
    return read_regular(AT_FDCWD, path, 0, most, ret_data, ret_length, fault);
}

int file_write(int directory, const char *path, const char *value, struct fault *fault) {
    scoped_fd int fd = openat(directory, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", path);
    if (write(fd, value, strlen(value)) < 0)
        return fault_set(fault, errno, "cannot write \"%s\" to \"%s\"", value, path);
    return 0;
}

int directory_sync(int directory, const char *path, struct fault *fault) {
    scoped_fd int fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return fault_set(fault, errno, "cannot write the directory \"%s\" to its disk", path);
    return 0;
}

/* The rename itself is in the directory, not in the file. */
static int sync_parent(int directory, const char *path, struct fault *fault) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    return directory_sync(directory, *parent ? parent : "/", fault);
}

int file_lock(int fd) {
    struct flock lock = {.l_type = F_WRLCK};
    if (fcntl(fd, F_SETLK, &lock) == 0)
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return -errno;
    lock = (struct flock){.l_type = F_WRLCK};
    bool has_ended = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0 &&
                     kill(lock.l_pid, 0) < 0 && errno == ESRCH;
    return has_ended ? 0 : -EBUSY;
}

int file_replace(int directory, const char *path, const char *data, size_t length, mode_t mode,
                 bool durable, struct fault *fault) {
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return fault_set(fault, ENAMETOOLONG, "cannot replace \"%s\"", path);

    scoped_fd int fd =
        openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return fault_set(fault, errno, "cannot create \"%s\"", temporary);
    int error = write_all(fd, data, length);
    if (!error && durable && fsync(fd) < 0)
        error = -errno;
    if (!error && renameat(directory, temporary, directory, path) < 0)
        error = -errno;
    if (error) {
        unlinkat(directory, temporary, 0);
        return fault_set(fault, error, "cannot replace \"%s\"", path);
    }
    return durable ? sync_parent(directory, path, fault) : 0;
}

int directory_make(int directory, const char *path, mode_t mode, struct fault *fault) {
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof part)
        return fault_set(fault, ENAMETOOLONG, "cannot make directory \"%s\"", path);
    memcpy(part, path, length + 1);

    for (char *at = part + 1;; at++) {
        if (*at && *at != '/')
            continue;
        char end = *at;
        *at = '\0';
        if (mkdirat(directory, part, mode) < 0 && errno != EEXIST)
            return fault_set(fault, errno, "cannot make directory \"%s\"", part);
        if (!end)
            break;
        *at = end;
    }
    return 0;
}

int directory_next(DIR *listing, const struct dirent **ret_entry) {
    const struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(listing);
    } while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    if (!entry)
        return errno == ENOENT ? 0 : -errno;
    *ret_entry = entry;
    return 1;
}

struct removal {
    DIR *levels[DEEPEST];
    char names[DEEPEST][NAME_MAX + 1]; /* of each level, in the one above */
    size_t depth;
    unsigned moved; /* directories that lay too deep and were moved to the top */
};

static int push_level(struct removal *removal, int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *level = fdopendir(fd);
    if (!level) {
        close_fd(fd);
        return -ENOMEM;
    }
    removal->levels[removal->depth] = level;
    snprintf(removal->names[removal->depth], sizeof removal->names[0], "%s", name);
    removal->depth++;
    return 0;
}

/* A directory that lies too deep goes to the top, where the walk meets it again. */
static int move_up(struct removal *removal, int parent, const char *name) {
    char flat[64];
    snprintf(flat, sizeof flat, ".removed.%u", removal->moved++);
    rewinddir(removal->levels[0]);
    return renameat(parent, name, dirfd(removal->levels[0]), flat) < 0 ? -errno : 0;
}

/* One entry of the innermost level: removed, entered or moved up. */
static int remove_entry(struct removal *removal, const char *name) {
    int parent = dirfd(removal->levels[removal->depth - 1]);
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return -errno;
    return removal->depth == DEEPEST ? move_up(removal, parent, name)
                                     : push_level(removal, parent, name);
}

static int pop_level(struct removal *removal, int outside) {
    size_t level = --removal->depth;
    closedir(removal->levels[level]);
    int parent = level > 0 ? dirfd(removal->levels[level - 1]) : outside;
    return unlinkat(parent, removal->names[level], AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int empty_levels(struct removal *removal, int outside) {
    while (removal->depth > 0) {
        const struct dirent *entry;
        int error = directory_next(removal->levels[removal->depth - 1], &entry);
        if (error > 0)
            error = remove_entry(removal, entry->d_name);
        else if (error == 0)
            error = pop_level(removal, outside);
        if (error < 0)
            return error;
    }
    return 0;
}

int directory_remove(int directory, const char *path, struct fault *fault) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char above[PATH_MAX];
    snprintf(above, sizeof above, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    scoped_fd int outside =
        openat(directory, *above ? above : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (outside < 0)
        return errno == ENOENT ? 0 : fault_set(fault, errno, "cannot open \"%s\"", above);

    scoped_free struct removal *removal = calloc(1, sizeof *removal);
    if (!removal)
        return fault_set(fault, ENOMEM, "cannot remove \"%s\"", path);
    int error = push_level(removal, outside, name);
    if (error == -ENOENT)
        return 0;
    if (!error)
        error = empty_levels(removal, outside);
    while (removal->depth > 0)
        closedir(removal->levels[--removal->depth]);
    return error ? fault_set(fault, error, "cannot remove \"%s\"", path) : 0;
}
