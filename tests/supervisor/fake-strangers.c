/* Processes whose parent is nobody of ours: ringfenced, which would have told of their ends, was
 * killed too. A file stands for each, whose inode is in every copy of its descriptor; the kernel
 * tells by it that the process has ended, and some kernels tell how. */

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/supervisor/fake-sandbox.h"

bool fake_kernel_is_old;

struct stranger {
    struct list link;
    ino_t inode;
    pid_t pid;
    bool ended, waited;
    int status;
    watch_ready ready; /* NULL: nobody watches it */
    void *context;
};
static struct list strangers = LIST(strangers);

static ino_t inode_of(int fd) {
    struct stat file;
    return fstat(fd, &file) < 0 ? 0 : file.st_ino;
}

static struct stranger *find(int fd) {
    ino_t inode = inode_of(fd);
    struct stranger *stranger;
    list_for_each(stranger, &strangers, link) {
        if (stranger->inode == inode)
            return stranger;
    }
    return NULL;
}

int fake_stranger_open(pid_t pid) {
    struct stranger *stranger = calloc(1, sizeof(*stranger));
    int fd = memfd_create("process", MFD_CLOEXEC);
    if (!stranger || fd < 0)
        abort();
    *stranger = (struct stranger){.inode = inode_of(fd), .pid = pid};
    list_append(&strangers, &stranger->link);
    return fd;
}

static struct stranger *find_process(pid_t pid) {
    struct stranger *stranger;
    list_for_each(stranger, &strangers, link) {
        if (stranger->pid == pid)
            return stranger;
    }
    return NULL;
}

void fake_stranger_ends(pid_t pid, int status) {
    struct stranger *stranger = find_process(pid);
    if (!stranger)
        return;
    stranger->ended = true;
    stranger->status = status;
    if (stranger->ready)
        stranger->ready(stranger->context);
}

void fake_stranger_is_waited_for(pid_t pid, int status) {
    struct stranger *stranger = find_process(pid);
    if (!stranger)
        return;
    stranger->ended = stranger->waited = true;
    stranger->status = status;
    if (stranger->ready)
        stranger->ready(stranger->context);
}

void fake_strangers_forget(void) {
    struct stranger *stranger, *following;
    list_for_each_safe(stranger, following, &strangers, link) {
        list_remove(&stranger->link);
        free(stranger);
    }
}

void fake_stranger_watch(int fd, watch_ready ready, void *context) {
    struct stranger *stranger = find(fd);
    if (!stranger)
        abort();
    if (ready && stranger->ready)
        fake_broken("a process was watched twice");
    stranger->ready = ready;
    stranger->context = context;
}

/* Since 6.15 the status is there once the process was waited for. */
int world_exit_status(int pidfd, int *ret_wait_status) {
    const struct stranger *stranger = find(pidfd);
    if (fake_kernel_is_old)
        return -EOPNOTSUPP;
    if (!stranger || !stranger->waited)
        return -EAGAIN;
    *ret_wait_status = stranger->status;
    return 0;
}

bool world_is_sibling(pid_t pid) {
    const struct run *run;
    list_for_each(run, &fake_all_runs, all) {
        if (run->pid == pid)
            return !run->stranger;
    }
    return true;
}
