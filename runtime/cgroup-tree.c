#include "runtime/cgroup-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "units/base/file.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

#define DEEPEST 32      /* directories held open at once by a walk */
#define REMOVALS 100000 /* directories that one clear removes at most */
#define FLAT_SIZE 8192  /* memory.stat, the longest that is read here, has some 2 KiB */

SCOPED(closedir, DIR *)

int cgroup_tree_open(int directory, const char *name) {
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int cgroup_tree_make(int directory, const char *name) {
    if (mkdirat(directory, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    return cgroup_tree_open(directory, name);
}

/* ---- files ---- */

static ssize_t read_flat(int directory, const char *file, char *data) {
    scoped_fd int fd = openat(directory, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    ssize_t length = file_read_all(fd, data, FLAT_SIZE - 1);
    if (length >= 0)
        data[length] = '\0';
    return length;
}

int cgroup_tree_value(int directory, const char *file, const char *key, uint64_t *ret_value) {
    char data[FLAT_SIZE];
    ssize_t length = read_flat(directory, file, data);
    if (length < 0)
        return (int)length;
    size_t key_length = key ? strlen(key) : 0;
    for (char *rest = data, *line; (line = strsep(&rest, "\n"));) {
        if (key && (strncmp(line, key, key_length) != 0 || line[key_length] != ' '))
            continue;
        const char *value = key ? line + key_length + 1 : line;
        if (strcmp(value, "max") == 0) {
            *ret_value = SIZE_NONE;
            return 0;
        }
        return number_parse(value, ret_value);
    }
    return -ENOENT;
}

bool cgroup_tree_has_word(const char *words, const char *word) {
    size_t length = strlen(word);
    while (*words) {
        words += strspn(words, " \n");
        size_t here = strcspn(words, " \n");
        if (here == length && strncmp(words, word, length) == 0)
            return true;
        words += here;
    }
    return false;
}

int cgroup_tree_write(int directory, const char *file, const char *value) {
    scoped_fd int fd = openat(directory, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/* ---- directories ---- */

static DIR *list(int directory) {
    scoped_fd int fd = cgroup_tree_open(directory, ".");
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries)
        take_fd(&fd);
    return entries;
}

/* The next directory in a listing: 1, 0 where there is none, or an error. The kernel tells the type
 * of all that it lists here. */
static int next_directory(DIR *entries, const char **ret_name) {
    const struct dirent *entry;
    int more;
    while ((more = directory_next(entries, &entry)) > 0)
        if (entry->d_type == DT_DIR) {
            *ret_name = entry->d_name;
            return 1;
        }
    return more;
}

/* One step of a clear in *here: removes what is empty there, else goes down into the first that is
 * not, else, with nothing left, up. 1 while there is more to do. */
static int clear_step(int *here, size_t *depth) {
    scoped(closedir) DIR *entries = list(*here);
    if (!entries)
        return -errno;
    const char *name;
    int to, more = next_directory(entries, &name);
    if (more < 0)
        return more;
    if (more == 0) {
        if (*depth == 0)
            return 0;
        to = openat(*here, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (to < 0)
            return -errno;
        *depth -= 1;
    } else {
        if (unlinkat(*here, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 1;
        if (errno != EBUSY && errno != ENOTEMPTY)
            return -errno;
        to = cgroup_tree_open(*here, name);
        if (to < 0)
            return to;
        scoped(closedir) DIR *below = list(to);
        more = below ? next_directory(below, &name) : -errno;
        if (more <= 0) {
            close_fd(to);
            return more < 0 ? more : -EBUSY; /* no directories: then it is processes */
        }
        *depth += 1;
    }
    close_fd(*here);
    *here = to;
    return 1;
}

int cgroup_tree_clear(int directory) {
    scoped_fd int here = cgroup_tree_open(directory, ".");
    if (here < 0)
        return here;
    size_t depth = 0;
    int more = 1;
    for (int i = 0; more > 0 && i < REMOVALS; i++)
        more = clear_step(&here, &depth);
    return more > 0 ? -EBUSY : more;
}

/* A sum that reaches the top is "max". */
static uint64_t add(uint64_t left, uint64_t right) {
    return left > SIZE_NONE - right ? SIZE_NONE : left + right;
}

int cgroup_tree_protect(int directory) {
    static const char *const files[] = {"memory.low", "memory.min"};
    int error = 0;
    for (size_t i = 0; !error && i < ELEMENTS(files); i++) {
        scoped(closedir) DIR *entries = list(directory);
        if (!entries)
            return -errno;
        uint64_t sum = 0, one, now;
        const char *name;
        int more;
        while ((more = next_directory(entries, &name)) > 0) {
            char path[NAME_MAX + 16];
            snprintf(path, sizeof path, "%s/%s", name, files[i]);
            if (cgroup_tree_value(directory, path, NULL, &one) == 0)
                sum = add(sum, one);
        }
        if (more < 0)
            return more;
        if (cgroup_tree_value(directory, files[i], NULL, &now) < 0 || now == sum)
            continue;
        char text[32];
        snprintf(text, sizeof text, "%" PRIu64, sum);
        error = cgroup_tree_write(directory, files[i], sum == SIZE_NONE ? "max" : text);
    }
    return error;
}

int cgroup_tree_walk(int directory, cgroup_visitor visitor, void *context) {
    DIR *levels[DEEPEST];
    size_t depth = 0;
    int error = visitor(context, directory);
    if (!error && (levels[0] = list(directory)))
        depth = 1;
    else if (!error && errno != ENOENT)
        error = -errno;
    while (depth > 0) {
        const char *name;
        int more = error ? 0 : next_directory(levels[depth - 1], &name);
        if (more <= 0) {
            closedir(levels[--depth]);
            error = more < 0 ? more : error;
            continue;
        }
        scoped_fd int fd = cgroup_tree_open(dirfd(levels[depth - 1]), name);
        if (fd == -ENOENT || fd == -ENODEV)
            continue; /* it went away meanwhile */
        error = fd < 0 ? fd : visitor(context, fd);
        if (!error && depth == DEEPEST)
            error = -ELOOP;
        if (!error && !(levels[depth] = fdopendir(fd)))
            error = -errno;
        if (!error) {
            take_fd(&fd);
            depth++;
        }
    }
    return error;
}
