/* The floor of a launch and of a restart: what the kernel takes for the steps of a default unit
 * when nothing else is done. The payload's stamps go to standard output.
 *
 *     floor launch CGROUP STAGE MOUNT PAYLOAD [ARGUMENT]...
 *         one launch for each byte on standard input, everything made anew
 *     floor restart ROUNDS CGROUP STAGE MOUNT PAYLOAD [ARGUMENT]...
 *         so many runs one after the other, each as soon as the last has ended, into namespaces
 *         that are kept
 *
 * CGROUP  an existing cgroup v2 directory, one more is made below it
 * STAGE   an empty directory, where the root is assembled in a private mount namespace
 * MOUNT   a mount that is part of the host's root beside "/" itself (the payload lies there)
 *
 * As a service of ringfence: a helper, born in the cgroup, assembles the root where it still has
 * the host's privileges, and its child, the payload, gets all the namespaces, mounts what only it
 * can mount, changes the root, gives up its rights, and executes. Where one of the steps fails the
 * program ends with 1 and says which: a floor with a hole is no floor. */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/seccomp.h"
#include "units/base/fault.h"

#define RANGE_BASE 524288
#define RANGE_COUNT 65536
/* CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID, NET_BIND_SERVICE: the default unit's root. */
#define ROOT_CAPABILITIES (1U << 0 | 1U << 1 | 1U << 3 | 1U << 5 | 1U << 6 | 1U << 7 | 1U << 10)

static const char *cgroup, *stage, *extra_mount;
static const struct seccomp_program *filter;

static _Noreturn void fail(const char *step, const char *object) {
    fprintf(stderr, "floor: %s: %s: %s\n", step, object, strerror(errno));
    _exit(1);
}

static void check(long result, const char *step, const char *object) {
    if (result < 0)
        fail(step, object);
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    check(fd, "open", path);
    check(write(fd, text, strlen(text)), "write", path);
    close(fd);
}

/* A path below the stage; good until the next call. */
static const char *at(const char *path) {
    static char buffer[256];

    snprintf(buffer, sizeof buffer, "%s%s", stage, path);
    return buffer;
}

static int clone_tree(const char *path, bool writable) {
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    int tree = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    check(tree, "open_tree", path);
    if (!writable)
        attributes.attr_set |= MOUNT_ATTR_RDONLY;
    check(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes),
          "mount_setattr", path);
    return tree;
}

static void attach(int tree, const char *target) {
    check(syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH),
          "move_mount", target);
    close(tree);
}

/* ---- the helper: the host's privileges, a mount namespace of its own ---- */

static void make_devices(void) {
    static const struct {
        const char *path;
        unsigned major, minor;
    } nodes[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                 {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
                 {"/dev/console", 1, 3}};
    static const struct {
        const char *path, *target;
    } links[] = {{"/dev/fd", "/proc/self/fd"},
                 {"/dev/stdin", "/proc/self/fd/0"},
                 {"/dev/stdout", "/proc/self/fd/1"},
                 {"/dev/stderr", "/proc/self/fd/2"},
                 {"/dev/ptmx", "pts/ptmx"}};
    static const char *const directories[] = {"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/notify"};

    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        check(mknod(at(nodes[i].path), S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)),
              "mknod", nodes[i].path);
        check(chown(at(nodes[i].path), RANGE_BASE, RANGE_BASE), "chown", nodes[i].path);
    }
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        check(symlink(links[i].target, at(links[i].path)), "symlink", links[i].path);
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        check(mkdir(at(directories[i]), 0755), "mkdir", directories[i]);
}

static void assemble_root(void) {
    char options[96];

    check(unshare(CLONE_NEWNS), "unshare", "mount");
    check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount private", "/");
    attach(clone_tree("/", false), stage);
    attach(clone_tree(extra_mount, false), at(extra_mount));
    snprintf(options, sizeof options, "mode=1777,size=16m,uid=%d,gid=%d", RANGE_BASE, RANGE_BASE);
    check(mount("tmpfs", at("/tmp"), "tmpfs", MS_NOSUID | MS_NODEV, options), "mount", "/tmp");
    check(mount("tmpfs", at("/var/tmp"), "tmpfs", MS_NOSUID | MS_NODEV, options), "mount",
          "/var/tmp");
    snprintf(options, sizeof options, "mode=755,size=16m,uid=%d,gid=%d", RANGE_BASE, RANGE_BASE);
    check(mount("tmpfs", at("/run"), "tmpfs", MS_NOSUID | MS_NODEV, options), "mount", "/run");
    check(mount("tmpfs", at("/dev"), "tmpfs", MS_NOSUID, options), "mount", "/dev");
    make_devices();
    /* Where a service finds the socket to say that it is ready on. */
    attach(clone_tree("/dev/shm", false), at("/dev/notify"));
}

static void write_maps(pid_t pid) {
    char path[64], map[64];

    snprintf(map, sizeof map, "0 %d %d\n", RANGE_BASE, RANGE_COUNT);
    snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
    write_file(path, map);
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    write_file(path, map);
}

/* ---- the payload's process ---- */

static void mount_own_file_systems(void) {
    const unsigned long quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;

    /* A mount that came from a more privileged namespace cannot become a root; a bind of it can. */
    check(mount(stage, stage, NULL, MS_BIND | MS_REC, NULL), "mount bind", stage);
    check(mount("proc", at("/proc"), "proc", quiet, NULL), "mount", "/proc");
    check(mount("sysfs", at("/sys"), "sysfs", quiet | MS_RDONLY, NULL), "mount", "/sys");
    check(mount("cgroup2", at("/sys/fs/cgroup"), "cgroup2", quiet | MS_RDONLY, NULL), "mount",
          "/sys/fs/cgroup");
    check(mount("devpts", at("/dev/pts"), "devpts", MS_NOSUID | MS_NOEXEC,
                "newinstance,ptmxmode=0666,mode=0620"),
          "mount", "/dev/pts");
    check(mount("tmpfs", at("/dev/shm"), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m"),
          "mount", "/dev/shm");
    check(mount("mqueue", at("/dev/mqueue"), "mqueue", quiet, NULL), "mount", "/dev/mqueue");
}

static void hide(const char *path) {
    struct stat status;

    if (stat(path, &status) < 0)
        return;
    check(S_ISDIR(status.st_mode) ? mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k")
                                  : mount("/dev/null", path, NULL, MS_BIND, NULL),
          "hide", path);
}

static void cover_proc(void) {
    static const char *const hidden[] = {"/proc/acpi",        "/proc/asound", "/proc/interrupts",
                                         "/proc/kcore",       "/proc/keys",   "/proc/latency_stats",
                                         "/proc/sched_debug", "/proc/scsi",   "/proc/timer_list",
                                         "/proc/timer_stats"};
    static const char *const readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                           "/proc/sysrq-trigger"};
    const unsigned long flags = MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC;

    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        hide(hidden[i]);
    for (size_t i = 0; i < sizeof readonly / sizeof *readonly; i++) {
        if (access(readonly[i], F_OK) < 0)
            continue;
        check(mount(readonly[i], readonly[i], NULL, MS_BIND, NULL), "bind", readonly[i]);
        check(mount(NULL, readonly[i], NULL, flags | MS_REMOUNT | MS_RDONLY, NULL), "read-only",
              readonly[i]);
    }
}

static void cover_sys(void) {
    hide("/sys/firmware");
    hide("/sys/devices/virtual/powercap");
    hide("/sys/kernel/debug");
    hide("/sys/kernel/tracing");
}

static void prepare_network(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    check(fd, "socket", "loopback");
    check(ioctl(fd, SIOCSIFFLAGS, &request), "up", "loopback");
    close(fd);
    write_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
}

static void change_root(void) {
    check(chdir(stage), "chdir", stage);
    check(syscall(SYS_pivot_root, ".", "."), "pivot_root", stage);
    check(umount2(".", MNT_DETACH), "umount", "old root");
    check(chdir("/"), "chdir", "/");
}

static void drop_rights(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = ROOT_CAPABILITIES, .permitted = ROOT_CAPABILITIES}};

    for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
        if (capability > 31 || !(ROOT_CAPABILITIES & 1U << capability))
            check(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "drop", "bounding set");
    check(syscall(SYS_capset, &header, data), "capset", "root");
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl", "no_new_privs");
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter->filter, 0, 0), "seccomp", "filter");
}

static void become_root(void) {
    check(setresgid(0, 0, 0), "setresgid", "0");
    check(setresuid(0, 0, 0), "setresuid", "0");
    check(setsid(), "setsid", "");
}

/* What is kept over a restart. */
static void furnish(int mapped) {
    char byte;

    if (read(mapped, &byte, 1) != 1)
        fail("read", "map");
    become_root();
    prepare_network();
    mount_own_file_systems();
    change_root();
    cover_sys();
    check(sethostname("floor", 5), "sethostname", "floor");
}

/* What each run does for itself. */
static _Noreturn void confine_and_execute(char **exec) {
    char *const environment[] = {"PATH=/usr/bin:/bin", "container=floor", NULL};

    cover_proc();
    umask(022);
    check(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "keyctl", "session");
    check((long)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC), "close_range", "3");
    drop_rights();
    execve(exec[0], exec, environment);
    fail("execve", exec[0]);
}

static pid_t clone_process(uint64_t flags, int directory, int *pidfd) {
    struct clone_args arguments = {
        .flags = flags | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
        .cgroup = (uint64_t)(unsigned)directory,
    };

    return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

#define NAMESPACES                                                                                 \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |     \
     CLONE_NEWCGROUP)

/* exec NULL: the child tells on `furnished` that its namespaces are as they should be, and waits
 * to be killed. */
static _Noreturn void build(char **exec, int furnished) {
    int mapped[2], pidfd;
    pid_t pid;

    assemble_root();
    check(pipe2(mapped, O_CLOEXEC), "pipe", "map");
    pid = clone_process(CLONE_PARENT | NAMESPACES, 0, &pidfd);
    check(pid, "clone3", "payload");
    if (pid == 0) {
        furnish(mapped[0]);
        if (exec != NULL)
            confine_and_execute(exec);
        check(write(furnished, "", 1), "write", "furnished");
        for (;;)
            pause();
    }
    write_maps(pid);
    check(write(mapped[1], &pid, 1), "write", "map");
    if (exec == NULL)
        check(write(furnished, &pid, sizeof pid), "write", "pid");
    _exit(0);
}

/* ---- the parent ---- */

static int make_cgroup(char *path, size_t size) {
    int directory;

    snprintf(path, size, "%s/floor", cgroup);
    check(mkdir(path, 0755), "mkdir", path);
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(directory, "open", path);
    return directory;
}

/* Waits for all children; the payload of a restart ends with 1 as a service that fails does. */
static void reap(int worst) {
    int status;

    while (waitpid(-1, &status, __WALL) > 0)
        if (!WIFEXITED(status) || WEXITSTATUS(status) > worst)
            exit(1);
}

static void launch(char **exec) {
    char path[256];
    int directory = make_cgroup(path, sizeof path), pidfd;
    pid_t helper = clone_process(CLONE_INTO_CGROUP, directory, &pidfd);

    check(helper, "clone3", "helper");
    if (helper == 0)
        build(exec, -1);
    reap(0);
    close(pidfd);
    close(directory);
    check(rmdir(path), "rmdir", path);
}

static const char *const kinds[] = {"user", "mnt", "net", "ipc", "uts", "cgroup"};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Makes the namespaces as a launch does, and holds them by descriptors. */
static void keep_namespaces(int directory, int *held) {
    int furnished[2], pidfd, status;
    pid_t helper, holder;
    char byte, path[64];

    check(pipe2(furnished, O_CLOEXEC), "pipe", "furnished");
    helper = clone_process(CLONE_INTO_CGROUP, directory, &pidfd);
    check(helper, "clone3", "helper");
    if (helper == 0)
        build(NULL, furnished[1]);
    close(furnished[1]);
    check(waitpid(helper, &status, 0), "wait", "helper");
    if (status != 0 || read(furnished[0], &holder, sizeof holder) != sizeof holder ||
        read(furnished[0], &byte, 1) != 1)
        exit(1);
    for (size_t i = 0; i < KINDS; i++) {
        snprintf(path, sizeof path, "/proc/%d/ns/%s", holder, kinds[i]);
        held[i] = open(path, O_RDONLY | O_CLOEXEC);
        check(held[i], "open", path);
    }
    kill(holder, SIGKILL);
    waitpid(holder, NULL, __WALL);
    close(furnished[0]);
    close(pidfd);
}

/* A helper joins; its child gets a pid namespace, its own copy of the mounts and a new /proc. */
static void run_again(int directory, const int *held, char **exec) {
    int pidfd;
    pid_t pid = clone_process(CLONE_INTO_CGROUP, directory, &pidfd);

    check(pid, "clone3", "helper");
    if (pid == 0) {
        for (size_t i = 0; i < KINDS; i++)
            check(setns(held[i], 0), "setns", kinds[i]);
        pid = clone_process(CLONE_PARENT | CLONE_NEWPID | CLONE_NEWNS, 0, &pidfd);
        check(pid, "clone3", "payload");
        if (pid > 0)
            _exit(0);
        become_root();
        check(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "mount",
              "/proc");
        confine_and_execute(exec);
    }
    reap(1);
    close(pidfd);
}

static void restart(unsigned long rounds, char **exec) {
    char path[256];
    int directory = make_cgroup(path, sizeof path), held[KINDS];

    keep_namespaces(directory, held);
    while (rounds-- > 0)
        run_again(directory, held, exec);
    close(directory);
    check(rmdir(path), "rmdir", path);
}

static void compile_filter(void) {
    const struct security defaults = {
        .no_new_privileges = true,
        .capabilities = CAPABILITIES_UNSET,
        .seccomp = SECCOMP_DEFAULT,
    };
    struct seccomp_cache *cache;
    struct seccomp_program *program;
    struct fault fault = {0};

    if (seccomp_cache_open(NULL, &cache, &fault) < 0 ||
        seccomp_get(cache, &defaults, ROOT_CAPABILITIES, &program, &fault) < 0) {
        fprintf(stderr, "floor: %s\n", fault.text);
        exit(1);
    }
    filter = program; /* for as long as the program runs */
}

int main(int argc, char **argv) {
    bool again = argc > 2 && strcmp(argv[1], "restart") == 0;
    char request, **words = argv + (again ? 3 : 2);

    if (argc < (again ? 7 : 6) || (!again && strcmp(argv[1], "launch") != 0)) {
        fputs("usage: floor launch CGROUP STAGE MOUNT PAYLOAD [ARGUMENT]...\n"
              "       floor restart ROUNDS CGROUP STAGE MOUNT PAYLOAD [ARGUMENT]...\n",
              stderr);
        return 2;
    }
    cgroup = words[0];
    stage = words[1];
    extra_mount = words[2];
    compile_filter();
    if (again)
        restart(strtoul(argv[2], NULL, 10), words + 3);
    else
        while (read(STDIN_FILENO, &request, 1) == 1)
            launch(words + 3);
    return 0;
}
