#include "tests/faults/calls.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

static bool creates(const struct seccomp_data *data) {
    return data->args[2] & O_CREAT;
}

static bool duplicates(const struct seccomp_data *data) {
    return data->args[1] == F_DUPFD || data->args[1] == F_DUPFD_CLOEXEC;
}

static bool adds(const struct seccomp_data *data) {
    return data->args[1] == EPOLL_CTL_ADD;
}

#define CALL(name) SYS_##name, #name
#define NEEDS_DESCRIPTOR EMFILE, ENFILE, ENOMEM
#define WRITES_DIRECTORY ENOSPC, ENOMEM, EIO

/* close(2) is not here: whatever it says, the descriptor is closed. Nor is brk(2), whose kernel
 * side tells a failure by the old break, nor what fails only for a wrong argument. The manual
 * pages, section ERRORS, tell what fits; EINTR is given also to calls that a network or user-space
 * file system can interrupt. */
const struct call calls[] = {
    /* memory */
    {CALL(mmap), NULL, 0, {ENOMEM, EAGAIN}},
    {CALL(mremap), NULL, 0, {ENOMEM}},
    {CALL(mprotect), NULL, 0, {ENOMEM}},
    /* files */
    {CALL(openat), creates, 2, {ENOSPC, EMFILE, ENFILE, ENOMEM, EIO, EINTR}},
    {CALL(openat), NULL, 2, {EMFILE, ENFILE, ENOMEM, EIO, EINTR}},
    {CALL(openat2), NULL, 2, {EMFILE, ENFILE, ENOMEM, EIO, EAGAIN}},
    {CALL(read), NULL, 0, {EIO, EINTR, EAGAIN}},
    {CALL(pread64), NULL, 0, {EIO, EINTR}},
    {CALL(write), NULL, 0, {ENOSPC, EIO, EINTR, EAGAIN}},
    {CALL(writev), NULL, 0, {ENOSPC, EIO, EINTR, EAGAIN}},
    {CALL(pwrite64), NULL, 0, {ENOSPC, EIO, EINTR}},
    {CALL(sendfile), NULL, 0, {EIO, ENOMEM, EAGAIN}},
    {CALL(ftruncate), NULL, 0, {EIO, EINTR}},
    {CALL(fallocate), NULL, 0, {ENOSPC, EIO, EINTR}},
    {CALL(fsync), NULL, 0, {ENOSPC, EIO}},
    {CALL(fdatasync), NULL, 0, {ENOSPC, EIO}},
    {CALL(flock), NULL, 0, {EINTR, ENOMEM}},
    {CALL(getdents64), NULL, 0, {EIO, ENOMEM}},
    {CALL(newfstatat), NULL, 2, {ENOMEM, EIO}},
    {CALL(statx), NULL, 2, {ENOMEM, EIO}},
    {CALL(statfs), NULL, 1, {ENOMEM, EIO, EINTR}},
    {CALL(fstatfs), NULL, 0, {ENOMEM, EIO, EINTR}},
    {CALL(faccessat), NULL, 2, {ENOMEM, EIO}},
    {CALL(faccessat2), NULL, 2, {ENOMEM, EIO}},
    {CALL(readlinkat), NULL, 2, {ENOMEM, EIO}},
    {CALL(mkdirat), NULL, 2, {WRITES_DIRECTORY}},
    {CALL(mknodat), NULL, 2, {WRITES_DIRECTORY}},
    {CALL(symlinkat), NULL, 1, {WRITES_DIRECTORY}},
    {CALL(linkat), NULL, 2, {WRITES_DIRECTORY}},
    {CALL(unlinkat), NULL, 2, {ENOMEM, EIO}},
    {CALL(renameat), NULL, 2, {WRITES_DIRECTORY}},
    {CALL(renameat2), NULL, 2, {WRITES_DIRECTORY}},
    {CALL(fchmod), NULL, 0, {EIO, ENOMEM}},
    {CALL(fchmodat), NULL, 2, {EIO, ENOMEM}},
    {CALL(fchown), NULL, 0, {EIO, ENOMEM}},
    {CALL(fchownat), NULL, 2, {EIO, ENOMEM}},
    {CALL(utimensat), NULL, 2, {EIO, ENOMEM}},
    {CALL(fsetxattr), NULL, 0, {ENOSPC, EIO}},
    {CALL(fgetxattr), NULL, 0, {EIO, ENOMEM}},
    {CALL(fchdir), NULL, 0, {EIO, ENOMEM}},
    {CALL(chdir), NULL, 1, {EIO, ENOMEM}},
    {CALL(chroot), NULL, 1, {EIO, ENOMEM}},
    /* descriptors that are no files */
    {CALL(dup), NULL, 0, {EMFILE}},
    {CALL(dup3), NULL, 0, {EMFILE, EINTR}},
    {CALL(fcntl), duplicates, 0, {EMFILE}},
    {CALL(pipe2), NULL, 0, {NEEDS_DESCRIPTOR}},
    {CALL(eventfd2), NULL, 0, {NEEDS_DESCRIPTOR}},
    {CALL(signalfd4), NULL, 0, {NEEDS_DESCRIPTOR}},
    {CALL(timerfd_create), NULL, 0, {NEEDS_DESCRIPTOR}},
    {CALL(memfd_create), NULL, 1, {NEEDS_DESCRIPTOR}},
    {CALL(inotify_init1), NULL, 0, {NEEDS_DESCRIPTOR}},
    {CALL(inotify_add_watch), NULL, 2, {ENOSPC, ENOMEM}},
    {CALL(epoll_create1), NULL, 0, {NEEDS_DESCRIPTOR}},
    {CALL(epoll_ctl), adds, 0, {ENOSPC, ENOMEM}},
    {CALL(epoll_pwait), NULL, 0, {EINTR}},
    {CALL(epoll_pwait2), NULL, 0, {EINTR}},
    {CALL(ppoll), NULL, 0, {EINTR, ENOMEM}},
    {CALL(pidfd_open), NULL, 0, {NEEDS_DESCRIPTOR}},
    /* sockets */
    {CALL(socket), NULL, 0, {NEEDS_DESCRIPTOR}},
    {CALL(socketpair), NULL, 0, {NEEDS_DESCRIPTOR}},
    {CALL(bind), NULL, 0, {ENOMEM, ENOSPC, EIO}},
    {CALL(connect), NULL, 0, {EINTR, ENOMEM}},
    {CALL(accept4), NULL, 0, {EMFILE, ENFILE, ENOMEM, EINTR, EAGAIN}},
    {CALL(sendmsg), NULL, 0, {ENOMEM, EINTR, EAGAIN}},
    {CALL(sendto), NULL, 0, {ENOMEM, EINTR, EAGAIN}},
    {CALL(recvmsg), NULL, 0, {ENOMEM, EINTR, EAGAIN}},
    {CALL(recvfrom), NULL, 0, {ENOMEM, EINTR, EAGAIN}},
    {CALL(getsockopt), NULL, 0, {ENOMEM}},
    {CALL(setsockopt), NULL, 0, {ENOMEM}},
    /* processes */
    {CALL(clone), NULL, 0, {EAGAIN, ENOMEM, ENOSPC}},
    {CALL(clone3), NULL, 0, {EAGAIN, ENOMEM, ENOSPC}},
    {CALL(execve), NULL, 1, {ENOMEM, EIO, EAGAIN, EMFILE}},
    {CALL(execveat), NULL, 2, {ENOMEM, EIO, EAGAIN, EMFILE}},
    {CALL(waitid), NULL, 0, {EINTR}},
    {CALL(wait4), NULL, 0, {EINTR}},
    {CALL(setns), NULL, 0, {ENOMEM}},
    {CALL(unshare), NULL, 0, {ENOMEM, ENOSPC}},
    {CALL(setresuid), NULL, 0, {EAGAIN, ENOMEM}},
    {CALL(setresgid), NULL, 0, {EAGAIN, ENOMEM}},
    {CALL(setgroups), NULL, 0, {ENOMEM}},
    {CALL(seccomp), NULL, 0, {ENOMEM}},
    {CALL(keyctl), NULL, 0, {ENOMEM, EINTR}},
    {CALL(getrandom), NULL, 0, {EINTR, EAGAIN}},
    /* mounts */
    {CALL(mount), NULL, 2, {ENOMEM, ENOSPC, EIO}},
    {CALL(umount2), NULL, 1, {ENOMEM}},
    {CALL(pivot_root), NULL, 1, {ENOMEM}},
    {CALL(open_tree), NULL, 2, {EMFILE, ENOMEM, EIO}},
    {CALL(move_mount), NULL, 4, {ENOMEM, ENOSPC, EIO}},
    {CALL(mount_setattr), NULL, 2, {ENOMEM, EIO}},
    {CALL(fsopen), NULL, 1, {NEEDS_DESCRIPTOR}},
    {CALL(fsconfig), NULL, 3, {ENOMEM, EIO}},
    {CALL(fsmount), NULL, 0, {EMFILE, ENOMEM, ENOSPC}},
#ifdef SYS_open /* what newer machines no longer have */
    {CALL(open), NULL, 1, {EMFILE, ENFILE, ENOMEM, EIO, EINTR}},
    {CALL(stat), NULL, 1, {ENOMEM, EIO}},
    {CALL(access), NULL, 1, {ENOMEM, EIO}},
    {CALL(readlink), NULL, 1, {ENOMEM, EIO}},
    {CALL(mkdir), NULL, 1, {WRITES_DIRECTORY}},
    {CALL(rmdir), NULL, 1, {ENOMEM, EIO}},
    {CALL(unlink), NULL, 1, {ENOMEM, EIO}},
    {CALL(rename), NULL, 1, {WRITES_DIRECTORY}},
    {CALL(symlink), NULL, 1, {WRITES_DIRECTORY}},
    {CALL(chmod), NULL, 1, {EIO, ENOMEM}},
    {CALL(chown), NULL, 1, {EIO, ENOMEM}},
    {CALL(lchown), NULL, 1, {EIO, ENOMEM}},
    {CALL(dup2), NULL, 0, {EMFILE, EINTR}},
    {CALL(epoll_wait), NULL, 0, {EINTR}},
    {CALL(poll), NULL, 0, {EINTR, ENOMEM}},
#endif
#ifdef SYS_fstat
    {CALL(fstat), NULL, 0, {ENOMEM, EIO}},
#endif
};
const size_t calls_count = sizeof(calls) / sizeof(calls[0]);
static_assert(sizeof(calls) / sizeof(calls[0]) <= CALLS_MAX, "CALLS_MAX is too small");

const struct call *call_find(const struct seccomp_data *data) {
    for (size_t i = 0; i < calls_count; i++)
        if (calls[i].number == data->nr && (!calls[i].applies || calls[i].applies(data)))
            return &calls[i];
    return NULL;
}
