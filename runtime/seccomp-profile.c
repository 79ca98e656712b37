#include "runtime/seccomp-profile.h"

#include <linux/capability.h>
#include <string.h>

#include "units/base/scoped.h"

/* ---- groups ---- */

enum group {
    AIO,
    BASIC_IO,
    CLOCK,
    DEBUG,
    FILE_SYSTEM,
    IO_EVENT,
    IO_URING,
    IPC,
    KEYRING,
    MEMORY,
    MODULE,
    MOUNT,
    NAMESPACE,
    NETWORK,
    OBSOLETE,
    PRIVILEGED,
    PROCESS,
    RAW_IO,
    REBOOT,
    RESOURCES,
    SANDBOX,
    SETUID,
    SIGNAL,
    SWAP,
    SYNC,
    TIMER,
    GROUPS
};

const char *const seccomp_groups[] = {
    [AIO] = "aio",
    [BASIC_IO] = "basic-io",
    [CLOCK] = "clock",
    [DEBUG] = "debug",
    [FILE_SYSTEM] = "file-system",
    [IO_EVENT] = "io-event",
    [IO_URING] = "io-uring",
    [IPC] = "ipc",
    [KEYRING] = "keyring",
    [MEMORY] = "memory",
    [MODULE] = "module",
    [MOUNT] = "mount",
    [NAMESPACE] = "namespace",
    [NETWORK] = "network",
    [OBSOLETE] = "obsolete",
    [PRIVILEGED] = "privileged",
    [PROCESS] = "process",
    [RAW_IO] = "raw-io",
    [REBOOT] = "reboot",
    [RESOURCES] = "resources",
    [SANDBOX] = "sandbox",
    [SETUID] = "setuid",
    [SIGNAL] = "signal",
    [SWAP] = "swap",
    [SYNC] = "sync",
    [TIMER] = "timer",
};
const size_t seccomp_group_count = ELEMENTS(seccomp_groups);
_Static_assert(ELEMENTS(seccomp_groups) == GROUPS, "a name for every group");
_Static_assert(GROUPS <= 32, "a bit for every group");

#define IN(group) (UINT32_C(1) << (group))
#define CAP(name) (UINT64_C(1) << CAP_##name)

/* ---- the profile ---- */

const struct call_row seccomp_rows[] = {
    /* What every program does. */
    {CALL_ALLOWED, 0, IN(BASIC_IO),
     "close close_range dup dup2 dup3 lseek pread64 preadv preadv2 pwrite64 pwritev pwritev2 read "
     "readv write writev"},
    {CALL_ALLOWED, 0, IN(FILE_SYSTEM),
     "access chdir chmod chown copy_file_range creat faccessat faccessat2 fadvise64 fallocate "
     "fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fgetxattr flistxattr flock "
     "fremovexattr fsetxattr fstat fstatfs ftruncate futimesat getcwd getdents getdents64 getxattr "
     "getxattrat lchown lgetxattr link linkat listxattr listxattrat listmount llistxattr "
     "lremovexattr lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open "
     "openat openat2 readahead readlink readlinkat removexattr removexattrat rename renameat "
     "renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statmount statx symlink "
     "symlinkat tee truncate umask unlink unlinkat utime utimensat utimes vmsplice cachestat"},
    {CALL_ALLOWED, 0, IN(FILE_SYSTEM) | IN(SYNC),
     "fdatasync fsync msync sync sync_file_range syncfs"},
    {CALL_ALLOWED, 0, IN(IO_EVENT),
     "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
     "epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 "
     "inotify_rm_watch poll ppoll pselect6 select"},
    {CALL_ALLOWED, 0, IN(AIO),
     "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit"},
    {CALL_ALLOWED, 0, IN(MEMORY),
     "brk get_mempolicy madvise map_shadow_stack membarrier memfd_create memfd_secret mincore "
     "mlock "
     "mlock2 mlockall mmap mprotect mremap mseal munlock munlockall munmap pkey_alloc pkey_free "
     "pkey_mprotect process_mrelease remap_file_pages"},
    {CALL_ALLOWED, 0, IN(PROCESS),
     "arch_prctl capget execve execveat exit exit_group fork futex futex_requeue futex_wait "
     "futex_waitv futex_wake get_robust_list get_thread_area getcpu getegid geteuid getgid "
     "getgroups getpgid getpgrp getpid getppid getresgid getresuid getsid gettid getuid kill "
     "pidfd_open pidfd_send_signal pipe pipe2 prctl restart_syscall rseq set_robust_list "
     "set_thread_area set_tid_address setpgid setsid sysinfo tgkill times tkill uname vfork wait4 "
     "waitid"},
    {CALL_CLONE, CAP(SYS_ADMIN), IN(PROCESS), "clone"},
    {CALL_CLONE3, CAP(SYS_ADMIN), IN(PROCESS), "clone3"},
    {CALL_PERSONALITY, 0, IN(PROCESS), "personality"},
    {CALL_ALLOWED, 0, IN(PRIVILEGED) | IN(SETUID),
     "capset setfsgid setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid"},
    {CALL_ALLOWED, 0, IN(RESOURCES),
     "getpriority getrlimit getrusage ioprio_get ioprio_set prlimit64 sched_get_priority_max "
     "sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
     "sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler "
     "sched_yield setpriority setrlimit"},
    {CALL_ALLOWED, 0, IN(SIGNAL),
     "pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
     "rt_sigtimedwait rt_tgsigqueueinfo sigaltstack signalfd signalfd4"},
    {CALL_ALLOWED, 0, IN(TIMER),
     "alarm clock_nanosleep getitimer nanosleep setitimer timer_create timer_delete "
     "timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime"},
    /* Reading the clock, and asking to set it, which the kernel refuses without CAP_SYS_TIME. */
    {CALL_ALLOWED, 0, IN(CLOCK),
     "adjtimex clock_adjtime clock_getres clock_gettime gettimeofday time"},
    {CALL_ALLOWED, 0, IN(IPC),
     "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv "
     "msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget"},
    {CALL_ALLOWED, 0, IN(NETWORK),
     "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg "
     "recvmsg sendmmsg sendmsg sendto setsockopt shutdown socketpair"},
    {CALL_SOCKET, 0, IN(NETWORK), "socket"},
    {CALL_IOCTL, 0, IN(BASIC_IO) | IN(FILE_SYSTEM), "ioctl"},
    {CALL_ALLOWED, 0, IN(SANDBOX),
     "landlock_add_rule landlock_create_ruleset landlock_restrict_self lsm_get_self_attr "
     "lsm_list_modules lsm_set_self_attr seccomp"},
    {CALL_ALLOWED, 0, 0, "getrandom"},

    /* What only the capable can use: others have no business in that part of the kernel. */
    {CALL_CAPABLE, CAP(DAC_READ_SEARCH), IN(FILE_SYSTEM) | IN(PRIVILEGED), "open_by_handle_at"},
    {CALL_CAPABLE, CAP(SYS_ADMIN), IN(MOUNT) | IN(PRIVILEGED),
     "fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree open_tree_attr "
     "pivot_root umount umount2"},
    {CALL_CAPABLE, CAP(SYS_CHROOT), IN(MOUNT) | IN(PRIVILEGED), "chroot"},
    {CALL_CAPABLE, CAP(SYS_ADMIN), IN(NAMESPACE) | IN(PRIVILEGED),
     "setdomainname sethostname setns unshare"},
    {CALL_CAPABLE, CAP(SYS_ADMIN), IN(FILE_SYSTEM) | IN(PRIVILEGED),
     "fanotify_init quotactl quotactl_fd"},
    {CALL_CAPABLE, CAP(SYS_ADMIN) | CAP(BPF), IN(PRIVILEGED), "bpf"},
    {CALL_CAPABLE, CAP(SYS_ADMIN) | CAP(PERFMON), IN(DEBUG), "perf_event_open"},
    {CALL_CAPABLE, CAP(SYS_ADMIN) | CAP(SYSLOG), IN(PRIVILEGED), "syslog"},
    {CALL_CAPABLE, CAP(SYS_PTRACE), IN(DEBUG),
     "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"},
    {CALL_CAPABLE, CAP(SYS_NICE), IN(MEMORY),
     "mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node"},
    {CALL_CAPABLE, CAP(SYS_TIME), IN(CLOCK) | IN(PRIVILEGED), "clock_settime settimeofday stime"},
    {CALL_CAPABLE, CAP(SYS_MODULE), IN(MODULE) | IN(PRIVILEGED),
     "delete_module finit_module init_module"},
    {CALL_CAPABLE, CAP(SYS_RAWIO), IN(RAW_IO) | IN(PRIVILEGED), "ioperm iopl"},
    {CALL_CAPABLE, CAP(SYS_BOOT), IN(REBOOT) | IN(PRIVILEGED), "reboot"},
    {CALL_CAPABLE, CAP(SYS_PACCT), IN(PRIVILEGED), "acct"},
    {CALL_CAPABLE, CAP(SYS_TTY_CONFIG), IN(PRIVILEGED), "vhangup"},

    /* What no service needs, or what has been a way out too often. */
    {CALL_NEVER, 0, IN(KEYRING), "add_key keyctl request_key"},
    {CALL_NEVER, 0, IN(IO_URING), "io_uring_enter io_uring_register io_uring_setup"},
    {CALL_NEVER, 0, IN(DEBUG), "lookup_dcookie userfaultfd"},
    {CALL_NEVER, 0, IN(REBOOT) | IN(PRIVILEGED), "kexec_file_load kexec_load"},
    {CALL_NEVER, 0, IN(SWAP) | IN(PRIVILEGED), "swapoff swapon"},
    {CALL_NEVER, 0, IN(OBSOLETE),
     "_sysctl afs_syscall create_module get_kernel_syms getpmsg modify_ldt nfsservctl putpmsg "
     "query_module security sysfs tuxcall uselib ustat vserver"},
};
const size_t seccomp_row_count = ELEMENTS(seccomp_rows);

/* ---- reading it ---- */

const char *seccomp_next_call(const char *calls, char name[CALL_NAME_SIZE]) {
    calls += strspn(calls, " ");
    size_t length = strcspn(calls, " ");
    if (length == 0 || length >= CALL_NAME_SIZE)
        return NULL;
    memcpy(name, calls, length);
    name[length] = '\0';
    return calls + length;
}

uint64_t seccomp_profile_capabilities(void) {
    uint64_t all = 0;
    for (size_t i = 0; i < seccomp_row_count; i++)
        all |= seccomp_rows[i].capabilities;
    return all;
}

uint64_t seccomp_hash(uint64_t hash, const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t seccomp_profile_fingerprint(void) {
    uint64_t hash = SECCOMP_HASH_START;
    for (size_t i = 0; i < seccomp_row_count; i++) {
        const struct call_row *row = &seccomp_rows[i];
        hash = seccomp_hash(hash, &row->rule, sizeof row->rule);
        hash = seccomp_hash(hash, &row->capabilities, sizeof row->capabilities);
        hash = seccomp_hash(hash, &row->groups, sizeof row->groups);
        hash = seccomp_hash(hash, row->calls, strlen(row->calls) + 1);
    }
    return hash;
}
