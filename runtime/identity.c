#include "runtime/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "runtime/words.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446 /* 6.9 */
#endif

#define START_TIME 22 /* the number of the field, the first after the name being 3 */

/* A file of /proc as text. */
static int read_proc(const char *path, char *ret_text, size_t size) {
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, ret_text, size - 1);
    if (length < 0)
        return -errno;
    ret_text[length] = '\0';
    return 0;
}

static int read_start_time(pid_t pid, uint64_t *ret_start_time) {
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int error = read_proc(path, text, sizeof text);
    if (error)
        return error == -ENOENT ? -ESRCH : error;
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at && field < START_TIME; field++)
        at = strchr(at + 1, ' ');
    return at && sscanf(at, "%" SCNu64, ret_start_time) == 1 ? 0 : -EINVAL;
}

/* Before pidfs all pidfds had one inode. */
static uint64_t read_inode(int pidfd) {
    struct statfs system;
    struct stat status;
    if (fstatfs(pidfd, &system) < 0 || system.f_type != PID_FS_MAGIC || fstat(pidfd, &status) < 0)
        return 0;
    return status.st_ino;
}

int identity_read(pid_t pid, int pidfd, struct identity *ret_identity) {
    struct identity identity = {.pid = pid, .inode = read_inode(pidfd)};
    int error = read_start_time(pid, &identity.start_time);
    if (error)
        return error;
    *ret_identity = identity;
    return 0;
}

int identity_open(const struct identity *identity) {
    struct identity found;
    if (identity->pid <= 0)
        return -ESRCH;
    scoped_fd int pidfd = pidfd_open(identity->pid, 0);
    if (pidfd < 0)
        return errno == EINVAL ? -ESRCH : -errno; /* EINVAL: a thread has the number now */
    int error = identity_read(identity->pid, pidfd, &found);
    if (error)
        return error;
    if (found.start_time != identity->start_time ||
        (identity->inode && found.inode && found.inode != identity->inode))
        return -ESRCH;
    /* The start time was that of the process behind the descriptor if it is not reaped even now. */
    return pidfd_send_signal(pidfd, 0, NULL, 0) < 0 ? -errno : take_fd(&pidfd);
}

int identity_boot(char ret_boot[IDENTITY_BOOT_SIZE]) {
    int error = read_proc("/proc/sys/kernel/random/boot_id", ret_boot, IDENTITY_BOOT_SIZE);
    return error ? error : strlen(ret_boot) + 1 == IDENTITY_BOOT_SIZE ? 0 : -EINVAL;
}

void identity_print(struct text *words, const char *name, const struct identity *identity) {
    text_format(words, " %s=%d:%" PRIu64 ":%" PRIu64, name, identity->pid, identity->start_time,
                identity->inode);
}

int identity_parse(const char *words, const char *name, struct identity *ret_identity) {
    struct identity identity;
    char text[64], rest;
    int error = words_find(words, name, text, sizeof text);
    if (error)
        return error;
    if (sscanf(text, "%d:%" SCNu64 ":%" SCNu64 "%c", &identity.pid, &identity.start_time,
               &identity.inode, &rest) != 3 ||
        identity.pid < 0)
        return -EINVAL;
    *ret_identity = identity;
    return 0;
}
