#include "units/base/foreign.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "units/base/scoped.h"

enum { HOLDS = 10 }; /* s, at most */

bool foreign_is_file(int fd) {
    char link[32], first; /* what has no place is told as "pipe:[3]" or "anon_inode:[eventfd]" */
    if (fd < 0 || fcntl(fd, F_GET_SEALS) >= 0)
        return false; /* none, or memory */
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, &first, 1) < 1 || first == '/';
}

static bool is_socket(int fd) {
    int type;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

/* Has a copy of each till it is killed, or nobody is there to do so. */
static pid_t hold(void) {
    pid_t holder = fork();
    if (holder == 0) {
        sleep(HOLDS);
        _exit(0);
    }
    return holder;
}

/* The child shares our descriptors: each is gone from them before its file is waited for. */
static void close_files(const int *files, size_t count) {
    long child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    for (size_t i = 0; i < count && child <= 0; i++)
        close_fd(files[i]);
    if (child == 0)
        _exit(0);
}

void foreign_close(int *descriptors, size_t count) {
    size_t files = 0; /* they come first */
    pid_t holder = 0;
    for (size_t i = 0; i < count; i++) {
        int fd = descriptors[i];
        if (foreign_is_file(fd)) {
            descriptors[i] = descriptors[files];
            descriptors[files++] = fd;
        } else if (holder == 0 && is_socket(fd)) {
            holder = hold();
        }
    }
    for (size_t i = files; i < count; i++)
        close_fd(descriptors[i]);
    if (files > 0)
        close_files(descriptors, files);
    if (holder > 0) /* whoever reaps knows it for one of which nobody wants to hear */
        kill(holder, SIGKILL);
}
