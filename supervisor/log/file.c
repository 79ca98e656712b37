#include "supervisor/log/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/log/mend.h"
#include "units/base/fault.h"
#include "units/base/file.h"
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
    int error = log_mend(fd, path, fault);
    if (error)
        return error;
    file->fd = take_fd(&fd);
    return 0;
}

/* current may have been removed or emptied by a person: then its size says so. */
static int open_if_needed(struct log_file *file, struct stat *ret_status, struct fault *fault) {
    if (file->fd >= 0 && fstat(file->fd, ret_status) == 0 && ret_status->st_nlink == 0)
        log_file_close(file);
    if (file->fd < 0) {
        int error = open_current(file, fault);
        if (error)
            return error;
    }
    if (fstat(file->fd, ret_status) < 0)
        return fault_set(fault, errno, "cannot stat the log of %s", file->unit);
    return 0;
}

unsigned log_rotated_index(const char *name) {
    uint64_t index;
    if (strncmp(name, "current.", strlen("current.")) != 0 ||
        number_parse(name + strlen("current."), &index) < 0 || index > UINT32_MAX)
        return 0;
    return (unsigned)index;
}

/* Removes rotated files from index `least` on. */
static void remove_rotated(const struct log_file *file, unsigned least) {
    int fd = openat(file->root, file->unit, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        close_fd(fd);
        return;
    }
    const struct dirent *entry;
    while (directory_next(directory, &entry) > 0) /* what cannot be seen now goes the next time */
        if (log_rotated_index(entry->d_name) >= least)
            unlinkat(fd, entry->d_name, 0);
    closedir(directory);
}

int log_file_mend(const struct log_file *file, struct fault *fault) {
    int error = 0,
        fd = openat(file->root, file->unit, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        close_fd(fd);
        return 0; /* nothing has been logged yet */
    }
    const struct dirent *entry;
    int more = 0;
    while (!error && (more = directory_next(directory, &entry)) > 0) {
        if (strcmp(entry->d_name, "current") != 0 && log_rotated_index(entry->d_name) == 0)
            continue;
        scoped_fd int log = openat(
            fd, entry->d_name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        struct stat status;
        if (log >= 0 && fstat(log, &status) == 0 && S_ISREG(status.st_mode))
            error = log_mend(log, entry->d_name, fault);
    }
    if (!error && more < 0)
        error = fault_set(fault, more, "cannot list its files");
    closedir(directory);
    return error ? fault_prefix(fault, error, "log of %s", file->unit) : 0;
}

/* The files that are there move up by one; what would be one too many goes. */
static int rotate(struct log_file *file, const struct log_limits *limits, struct fault *fault) {
    char from[PATH_MOST], to[PATH_MOST];
    remove_rotated(file, limits->max_files);
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

void log_marks_set(struct log_marks *marks, const struct log_mark *mark) {
    uint32_t other = !marks->current;
    marks->marks[other] = *mark;
    __atomic_store_n(&marks->current, other, __ATOMIC_RELEASE);
}

static void mark_written(struct log_marks *marks, size_t offset) {
    log_marks_set(marks, &(struct log_mark){.offset = offset});
}

/* The end of the last whole record. */
static size_t whole(const char *data, size_t length) {
    const char *newline = length > 0 ? memrchr(data, '\n', length) : NULL;
    return newline ? (size_t)(newline - data) + 1 : 0;
}

/* One write, or one rotation. *at moves on over what is written, on failure, too. */
static int step(struct log_file *file, const struct log_limits *limits, struct log_marks *marks,
                const char *data, size_t length, size_t *at, struct fault *fault) {
    struct stat status;
    int error = open_if_needed(file, &status, fault);
    if (error)
        return error;
    uint64_t size = (uint64_t)status.st_size;
    size_t chunk = fitting(limits, size, data + *at, length - *at);
    if (chunk == 0) {
        mark_written(marks, *at);
        return rotate(file, limits, fault);
    }
    log_marks_set(marks, &(struct log_mark){status.st_dev, status.st_ino, size, *at});
    ssize_t written = write(file->fd, data + *at, chunk);
    if (written == (ssize_t)chunk) {
        *at += chunk;
        return 0;
    }
    error = written < 0 ? errno : ENOSPC;
    /* The disk is full within a record: its beginning goes again, so that a file never ends in one
     * and may be rotated. */
    size_t kept = written > 0 ? whole(data + *at, (size_t)written) : 0;
    if (written > 0 && ftruncate(file->fd, (off_t)(size + kept)) < 0)
        error = errno;
    *at += kept;
    return fault_set(fault, error, "cannot write the log of %s", file->unit);
}

int log_file_append(struct log_file *file, const struct log_limits *limits, struct log_marks *marks,
                    const char *data, size_t length, size_t from, size_t *ret_written,
                    struct fault *fault) {
    int error = 0;
    while (from < length && !error) {
        error = step(file, limits, marks, data, length, &from, fault);
        if (error == -EINTR)
            error = 0;
    }
    mark_written(marks, from);
    *ret_written = from;
    return error;
}

/* How much of the data lies in the file from `size` on, which may end before. */
static size_t compare(int fd, uint64_t size, const char *data, size_t length) {
    char block[4096];
    size_t same = 0;
    while (same < length) {
        size_t most = length - same < sizeof block ? length - same : sizeof block;
        ssize_t count = pread(fd, block, most, (off_t)(size + same));
        if (count <= 0 || memcmp(block, data + same, (size_t)count) != 0)
            break;
        same += (size_t)count;
    }
    return same;
}

size_t log_file_resume(struct log_file *file, struct log_marks *marks, const char *data,
                       size_t length) {
    const struct log_mark mark = marks->marks[marks->current & 1];
    char path[PATH_MOST];
    struct stat status;
    size_t offset = mark.offset < length ? (size_t)mark.offset : length;
    if (mark.inode == 0)
        return offset;
    file_path(file, 0, path);
    scoped_fd int fd = openat(file->root, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_ino != mark.inode ||
        status.st_dev != mark.device || (uint64_t)status.st_size < mark.size)
        return offset; /* a person took it away: what was written is gone with it */
    size_t written = compare(fd, mark.size, data + offset, length - offset);
    size_t kept = whole(data + offset, written);
    if (kept < written && ftruncate(fd, (off_t)(mark.size + kept)) < 0)
        return offset + kept; /* it is mended when the file is opened */
    return offset + kept;
}
