#include "supervisor/log/reclaim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/log/file.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

struct consumer {
    char unit[NAME_MAX + 1];
    unsigned oldest;      /* N of current.N; 0: nothing was rotated */
    unsigned long blocks; /* of 512 bytes, of all that was rotated */
};

static DIR *open_listing(int root, const char *path) {
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory)
        close_fd(fd);
    return directory;
}

static void measure(int root, struct consumer *consumer) {
    struct stat status;
    DIR *directory = open_listing(root, consumer->unit);
    const struct dirent *entry;
    int more;
    if (!directory)
        return;
    while ((more = directory_next(directory, &entry)) > 0) {
        unsigned index = log_rotated_index(entry->d_name);
        if (index == 0 ||
            fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        consumer->oldest = index > consumer->oldest ? index : consumer->oldest;
        consumer->blocks += (unsigned long)status.st_blocks;
    }
    if (more < 0) /* the oldest may be among those that were not seen */
        consumer->oldest = 0;
    closedir(directory);
}

int log_reclaim(int root, char *ret_name, size_t size) {
    char path[NAME_MAX + 32];
    struct consumer most = {0};
    DIR *directory = open_listing(root, ".");
    const struct dirent *entry;
    if (!directory)
        return 0;
    while (directory_next(directory, &entry) > 0) { /* of those that can be seen, where not all */
        struct consumer consumer = {0};
        if (*entry->d_name == '.')
            continue;
        memcpy(consumer.unit, entry->d_name, strlen(entry->d_name) + 1);
        measure(root, &consumer);
        if (consumer.oldest > 0 && (most.oldest == 0 || consumer.blocks > most.blocks))
            most = consumer;
    }
    closedir(directory);
    if (most.oldest == 0)
        return 0;
    snprintf(path, sizeof path, "%s/current.%u", most.unit, most.oldest);
    if (unlinkat(root, path, 0) < 0)
        return 0;
    snprintf(ret_name, size, "%s", path);
    return 1;
}
