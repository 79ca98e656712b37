#include "supervisor/log/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

enum { PATH_MOST = NAME_MAX + 64 }; /* of NAME/current.N, relative to LOG_DIR */

void log_file_init(struct log_file *file, int root, const char *unit) {
    *file = (struct log_file){.root = root, .unit = unit, .fd = -EBADF};
}

void log_file_close(struct log_file *file) {
    file->fd = close_fd(file->fd);
}

/* Index 0 is current itself. */
static void file_path(const struct log_file *file, unsigned index, char ret_path[PATH_MOST]) {
    if (index == 0)
        snprintf(ret_path, PATH_MOST, "%s/current", file->unit);
    else
        snprintf(ret_path, PATH_MOST, "%s/current.%u", file->unit, index);
}

static int open_current(struct log_file *file, struct fault *fault) {
    char path[PATH_MOST];
    file_path(file, 0, path);
    if (mkdirat(file->root, file->unit, 0750) < 0 && errno != EEXIST)
        return fault_set(fault, errno, "cannot make the log directory \"%s\"", file->unit);
    scoped_fd int fd =
        openat(file->root, path,
               O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return fault_set(fault, errno, "cannot open the log file \"%s\"", path);
    if (!S_ISREG(status.st_mode))
        return fault_say(fault, EINVAL, "the log file \"%s\" is not a regular file", path);
    char last = '\n';
    if (status.st_size > 0 && pread(fd, &last, 1, status.st_size - 1) < 0)
        return fault_set(fault, errno, "cannot read the log file \"%s\"", path);
    /* The end of a record that a predecessor of ours could not write is gone for ever. */
    if (last != '\n' && write(fd, "\n", 1) < 0)
        return fault_set(fault, errno, "cannot write the log file \"%s\"", path);
    file->fd = take_fd(&fd);
    return 0;
}

/* current may have been removed or emptied by a person: then its size says so. */
static int current_size(struct log_file *file, uint64_t *ret_size, struct fault *fault) {
    struct stat status;
    if (file->fd >= 0 && fstat(file->fd, &status) == 0 && status.st_nlink == 0)
        log_file_close(file);
    if (file->fd < 0) {
        int error = open_current(file, fault);
        if (error)
            return error;
    }
    if (fstat(file->fd, &status) < 0)
        return fault_set(fault, errno, "cannot stat the log of %s", file->unit);
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

/* N of a name current.N, or 0. */
static unsigned rotated_index(const char *name) {
    uint64_t index;
    if (strncmp(name, "current.", strlen("current.")) != 0 ||
        number_parse(name + strlen("current."), &index) < 0 || index > UINT32_MAX)
        return 0;
    return (unsigned)index;
}

/* Removes rotated files from index `least` on, or only the last of them. How many were removed. */
static unsigned remove_rotated(const struct log_file *file, unsigned least, bool only_last) {
    unsigned last = 0, removed = 0;
    int fd = openat(file->root, file->unit, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        close_fd(fd);
        return 0;
    }
    for (const struct dirent *entry; (entry = readdir(directory));) {
        unsigned index = rotated_index(entry->d_name);
        last = index > last ? index : last;
        if (!only_last && index >= least && index > 0)
            removed += unlinkat(fd, entry->d_name, 0) == 0;
    }
    closedir(directory);
    if (only_last && last >= least && last > 0) {
        char path[PATH_MOST];
        file_path(file, last, path);
        removed += unlinkat(file->root, path, 0) == 0;
    }
    return removed;
}

/* The files that are there move up by one; what would be one too many goes. */
static int rotate(struct log_file *file, const struct log_limits *limits, struct fault *fault) {
    char from[PATH_MOST], to[PATH_MOST];
    remove_rotated(file, limits->max_files, false);
    for (unsigned index = limits->max_files - 1; index > 0; index--) {
        file_path(file, index - 1, from);
        file_path(file, index, to);
        if (renameat(file->root, from, file->root, to) < 0 && errno != ENOENT)
            return fault_set(fault, errno, "cannot rename \"%s\" to \"%s\"", from, to);
    }
    file_path(file, 0, from);
    if (limits->max_files == 1 && unlinkat(file->root, from, 0) < 0 && errno != ENOENT)
        return fault_set(fault, errno, "cannot remove \"%s\"", from);
    log_file_close(file);
    return 0;
}

/* How many bytes of the records go into a file of this size: whole records. 0: time to rotate. */
static size_t fitting(const struct log_limits *limits, uint64_t size, const char *data,
                      size_t length) {
    uint64_t room = size < limits->max_size ? limits->max_size - size : 0;
    if (length <= room)
        return length;
    const char *newline = memrchr(data, '\n', (size_t)room);
    if (!newline && size == 0)
        newline = memchr(data, '\n', length);
    return newline ? (size_t)(newline - data) + 1 : 0;
}

/* One write, or one rotation. *ret_written is set on failure, too. */
static int step(struct log_file *file, const struct log_limits *limits, const char *data,
                size_t length, size_t *ret_written, struct fault *fault) {
    uint64_t size = 0;
    *ret_written = 0;
    int error = current_size(file, &size, fault);
    if (error)
        return error;
    size_t chunk = fitting(limits, size, data, length);
    if (chunk == 0)
        return rotate(file, limits, fault);
    ssize_t written = write(file->fd, data, chunk);
    if (written == (ssize_t)chunk) {
        *ret_written = chunk;
        return 0;
    }
    error = written < 0 ? errno : ENOSPC;
    /* The disk is full within a record: its beginning goes again, so that a file never ends in one
     * and may be rotated. */
    const char *newline = written > 0 ? memrchr(data, '\n', (size_t)written) : NULL;
    size_t kept = newline ? (size_t)(newline - data) + 1 : 0;
    if (written > 0 && ftruncate(file->fd, (off_t)(size + kept)) < 0)
        error = errno;
    *ret_written = kept;
    return fault_set(fault, error, "cannot write the log of %s", file->unit);
}

int log_file_append(struct log_file *file, const struct log_limits *limits, const char *data,
                    size_t length, size_t *ret_written, struct fault *fault) {
    size_t total = 0, written;
    int error = 0;
    while (total < length && !error) {
        error = step(file, limits, data + total, length - total, &written, fault);
        total += written;
        if (error == -EINTR ||
            ((error == -ENOSPC || error == -EDQUOT) && remove_rotated(file, 1, true) > 0))
            error = 0;
    }
    *ret_written = total;
    return error;
}
