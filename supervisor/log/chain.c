#include "supervisor/log/chain.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

enum {
    BLOCK = 65536,        /* bytes of one read */
    LINE_MOST = 17 << 20, /* a longer line (there is none in a sound file) is given in pieces */
    TRIES = 100           /* to catch a moment between two rotations */
};

struct indices {
    unsigned *items;
    size_t count, capacity;
};

void chain_init(struct chain *chain) {
    *chain = (struct chain){.directory = -EBADF};
}

static void close_files(int *files, size_t count) {
    for (size_t i = 0; i < count; i++)
        close_fd(files[i]);
    free(files);
}

void chain_free(struct chain *chain) {
    close_files(chain->files, chain->count);
    free(chain->buffer);
    chain_init(chain);
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* ---- which files there are ---- */

static int compare_descending(const void *a, const void *b) {
    const unsigned *first = a, *second = b;
    return (*first < *second) - (*first > *second);
}

static int add_index(struct indices *indices, const char *name) {
    uint64_t index;
    if (strncmp(name, "current.", strlen("current.")) != 0 ||
        number_parse(name + strlen("current."), &index) < 0 || index == 0 || index > UINT32_MAX)
        return 0;
    if (indices->count == indices->capacity) {
        size_t capacity = indices->capacity ? indices->capacity * 2 : 8;
        unsigned *items = realloc(indices->items, capacity * sizeof *items);
        if (!items)
            return -ENOMEM;
        indices->items = items;
        indices->capacity = capacity;
    }
    indices->items[indices->count++] = (unsigned)index;
    return 0;
}

/* The N of all files current.N, the oldest (the highest) first. */
static int list_rotated(int directory, struct indices *indices) {
    int error = 0, fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        error = -errno;
        close_fd(fd);
        return error;
    }
    const struct dirent *entry;
    int more = 0;
    while (!error && (more = directory_next(listing, &entry)) > 0)
        error = add_index(indices, entry->d_name);
    if (!error && more < 0)
        error = more;
    closedir(listing);
    if (indices->count > 1)
        qsort(indices->items, indices->count, sizeof *indices->items, compare_descending);
    return error;
}

static int open_file(int directory, const char *name, int *ret_fd) {
    struct stat status;
    scoped_fd int fd =
        openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    *ret_fd = take_fd(&fd);
    return 0;
}

/* One try. -EAGAIN: the files were rotated under our hands. */
static int open_once(int directory, int **ret_files, size_t *ret_count) {
    struct indices indices = {0};
    struct stat before = {0}, after = {0};
    fstatat(directory, "current", &before, AT_SYMLINK_NOFOLLOW);
    int error = list_rotated(directory, &indices);
    int *files = error ? NULL : calloc(indices.count + 1, sizeof *files);
    size_t count = 0;
    if (!error && !files)
        error = -ENOMEM;
    for (size_t i = 0; i < indices.count && !error; i++) {
        char name[32];
        snprintf(name, sizeof name, "current.%u", indices.items[i]);
        error = open_file(directory, name, &files[count]);
        count += !error;
        error = error == -ENOENT ? -EAGAIN : error;
    }
    if (!error) {
        error = open_file(directory, "current", &files[count]);
        count += !error;
        error = error == -ENOENT ? 0 : error;
    }
    fstatat(directory, "current", &after, AT_SYMLINK_NOFOLLOW);
    if (!error && !same_file(&before, &after))
        error = -EAGAIN;
    free(indices.items);
    if (error) {
        close_files(files, count);
        return error;
    }
    *ret_files = files;
    *ret_count = count;
    return 0;
}

static int open_all(int directory, int **ret_files, size_t *ret_count, struct fault *fault) {
    int error = -EAGAIN;
    for (int i = 0; i < TRIES && error == -EAGAIN; i++)
        error = open_once(directory, ret_files, ret_count);
    return error ? fault_set(fault, error, "cannot open the log files") : 0;
}

/* Forgets the first `count` files. */
static void leave_files(struct chain *chain, size_t count) {
    for (size_t i = 0; i < count; i++)
        close_fd(chain->files[i]);
    chain->count -= count;
    if (chain->count > 0)
        memmove(chain->files, chain->files + count, chain->count * sizeof *chain->files);
    chain->at = chain->at > count ? chain->at - count : 0;
}

int chain_open(struct chain *chain, uint64_t since, struct fault *fault) {
    int error = open_all(chain->directory, &chain->files, &chain->count, fault);
    if (error)
        return error;
    size_t old = 0;
    for (struct stat status; old + 1 < chain->count; old++)
        if (fstat(chain->files[old], &status) < 0 ||
            (uint64_t)status.st_mtim.tv_sec + 1 >= since / USEC_PER_SEC)
            break;
    leave_files(chain, old);
    return 0;
}

/* Whether the last file is no longer `current`, or there was none so far. */
static bool is_left_behind(const struct chain *chain) {
    struct stat own, current;
    return chain->directory >= 0 &&
           fstatat(chain->directory, "current", &current, AT_SYMLINK_NOFOLLOW) == 0 &&
           (chain->count == 0 ||
            (fstat(chain->files[chain->at], &own) == 0 && !same_file(&own, &current)));
}

/* Goes on with the files that are newer than the one being read; all of them, if it is gone. */
static int follow_rotation(struct chain *chain, struct fault *fault) {
    int *files;
    size_t count, older = 0;
    struct stat own = {0}, status;
    int error = open_all(chain->directory, &files, &count, fault);
    if (error)
        return error;
    if (chain->count > 0)
        fstat(chain->files[chain->at], &own);
    for (size_t i = 0; i < count; i++)
        if (fstat(files[i], &status) == 0 && same_file(&own, &status))
            older = i + 1;
    close_files(chain->files, chain->count);
    chain->files = files;
    chain->count = count;
    chain->at = 0;
    leave_files(chain, older);
    return 0;
}

/* ---- lines ---- */

/* The offset behind the most-th newline from the end (that at the very end not counted), or 0 and
 * *left > 0 where the file has less; *left is how many are missing then. */
static int seek_back(int fd, uint64_t *left, off_t *ret_offset, uint64_t *lines) {
    struct stat status;
    scoped_free char *block = malloc(BLOCK);
    if (!block || fstat(fd, &status) < 0)
        return block ? -errno : -ENOMEM;
    for (off_t end = status.st_size; end > 0;) {
        off_t start = end > BLOCK ? end - BLOCK : 0;
        ssize_t length = pread(fd, block, (size_t)(end - start), start);
        if (length < 0)
            return -errno;
        for (ssize_t i = length - 1; i >= 0; i--) {
            if (block[i] != '\n')
                continue;
            if (*left == 0) {
                *ret_offset = start + i + 1;
                return 0;
            }
            --*left;
            ++*lines;
        }
        end = start;
    }
    *ret_offset = 0;
    return 0;
}

int chain_seek_last(struct chain *chain, uint64_t most, uint64_t *ret_lines, struct fault *fault) {
    uint64_t left = most, lines = 0;
    for (size_t i = chain->count; i > 0; i--) {
        off_t offset = 0;
        int error = seek_back(chain->files[i - 1], &left, &offset, &lines);
        if (error)
            return fault_set(fault, error, "cannot read a log file");
        if (lseek(chain->files[i - 1], offset, SEEK_SET) < 0)
            return fault_set(fault, errno, "cannot read a log file");
        if (offset > 0 || i == 1) {
            chain->at = i - 1;
            break;
        }
    }
    *ret_lines = lines;
    return 0;
}

/* Reads a block more. 0: the end of this file. */
static ssize_t fill(struct chain *chain) {
    if (chain->count == 0)
        return 0;
    if (chain->from > 0) {
        chain->length -= chain->from;
        memmove(chain->buffer, chain->buffer + chain->from, chain->length);
        chain->from = 0;
    }
    if (chain->capacity - chain->length < BLOCK) {
        size_t capacity = chain->capacity ? chain->capacity * 2 : BLOCK;
        char *buffer = realloc(chain->buffer, capacity);
        if (!buffer)
            return -ENOMEM;
        chain->buffer = buffer;
        chain->capacity = capacity;
    }
    ssize_t length = read(chain->files[chain->at], chain->buffer + chain->length,
                          chain->capacity - chain->length);
    if (length < 0)
        return -errno;
    chain->length += (size_t)length;
    return length;
}

/* Gives the first `length` bytes, and passes over `passed`. */
static int give(struct chain *chain, size_t length, size_t passed, const char **ret_line,
                size_t *ret_length) {
    *ret_line = chain->buffer + chain->from;
    *ret_length = length;
    chain->from += passed;
    chain->searched = 0;
    return 1;
}

/* The next newline that was read, or NULL. */
static const char *find_newline(struct chain *chain) {
    size_t there = chain->length - chain->from;
    if (there == chain->searched)
        return NULL;
    const char *start = chain->buffer + chain->from;
    const char *newline = memchr(start + chain->searched, '\n', there - chain->searched);
    chain->searched = there;
    return newline;
}

/* The file being read has ended: goes to the next. 1: there is one. 0: not (yet). */
static int next_file(struct chain *chain, bool follow, struct fault *fault) {
    if (chain->at + 1 < chain->count) {
        chain->at++;
        return 1;
    }
    if (!follow || !is_left_behind(chain))
        return 0;
    ssize_t length = fill(chain); /* the last words before the rotation */
    if (length < 0)
        return fault_set(fault, (int)length, "cannot read a log file");
    if (length > 0)
        return 1;
    int error = follow_rotation(chain, fault);
    return error ? error : chain->count > 0;
}

int chain_next(struct chain *chain, bool follow, const char **ret_line, size_t *ret_length,
               struct fault *fault) {
    for (;;) {
        const char *newline = find_newline(chain);
        if (newline) {
            size_t length = (size_t)(newline - chain->buffer) - chain->from;
            return give(chain, length, length + 1, ret_line, ret_length);
        }
        size_t there = chain->length - chain->from;
        if (there >= LINE_MOST)
            return give(chain, there, there, ret_line, ret_length);

        ssize_t length = fill(chain);
        if (length < 0)
            return fault_set(fault, (int)length, "cannot read a log file");
        if (length > 0)
            continue;
        int moved = next_file(chain, follow, fault);
        if (moved <= 0)
            return moved;
        if (there > 0 && there == chain->length - chain->from) /* it ended within a line */
            return give(chain, there, there, ret_line, ret_length);
    }
}
