/* A sandbox on the host's root: what a default unit sees of the host, and what it cannot do. */

#include <sys/syscall.h>

#include "tests/runtime/box.h"

static struct box box;

static const char *const kinds[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"};

static uint64_t inode_of(const char *path) {
    struct stat status;
    CHECK(stat(path, &status) == 0);
    return status.st_ino;
}

/* A main process that sleeps; its streams are /dev/null. */
static void start_sleeper(void) {
    BOX_COMMAND(command, (char *)"/bin/sleep", (char *)"1000");
    struct run_request request = {
        .place = RUN_MAIN, .exec = &command, .standard = {-1, -1, -1}, .ready_fd = -1};
    int error = box_start(&box, &request, NULL, &box.main);
    if (error)
        printf("# %s\n", box.fault.text);
    CHECK(error == 0);
}

static void end_sleeper(void) {
    CHECK(run_signal(box.main, SIGKILL, NULL) == 0);
    CHECK(box_exit_code(run_pid(box.main)) == 128 + SIGKILL);
    run_free(box.main);
}

TEST(seven_namespaces_are_its_own) {
    box_open(&box);
    box_built(&box);
    start_sleeper();
    for (size_t i = 0; i < ELEMENTS(kinds); i++) {
        char inside[64], host[64];
        snprintf(inside, sizeof inside, "/proc/%d/ns/%s", run_pid(box.main), kinds[i]);
        snprintf(host, sizeof host, "/proc/self/ns/%s", kinds[i]);
        if ((inode_of(inside) != inode_of(host)) == (strcmp(kinds[i], "time") == 0)) {
            printf("# %s\n", kinds[i]);
            CHECK(!"own namespace");
        }
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/net", run_pid(box.main));
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_NETWORK) == inode_of(path));
    snprintf(path, sizeof path, "/proc/%d/ns/pid", run_pid(box.main));
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_PID) == inode_of(path));
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_TIME) == 0);
    end_sleeper();
    box_close(&box);
}

TEST(ids_are_mapped_to_the_remembered_range) {
    uint32_t base, count, again;
    box_open(&box);
    box_built(&box);
    CHECK(sandbox_id_range(box.sandbox, &base, &count));
    CHECK(base % 65536 == 0 && base >= 1u << 28 && count == 65536);
    char expected[64];
    snprintf(expected, sizeof expected, "0 %u 65536", base);
    CHECK_TEXT(box_shell(&box, "set -- $(cat /proc/self/uid_map); echo $*"), expected);
    CHECK_TEXT(box_shell(&box, "set -- $(cat /proc/self/gid_map); echo $*"), expected);
    box_remove(&box);
    runtime_close(box.runtime);
    box_open_runtime(&box);
    box_built(&box);
    CHECK(sandbox_id_range(box.sandbox, &again, &count) && again == base);
    box_remove(&box);
    CHECK(runtime_forget_unit(box.runtime, "box", NULL) == 0);
    CHECK(access(box_path(&box, "state/ranges/box"), F_OK) < 0);
    box_close(&box);
}

TEST(the_host_is_out_of_reach) {
    box_open(&box);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "cat /etc/shadow >/dev/null 2>&1; echo $?"), "1");
    CHECK_TEXT(box_shell(&box, "touch /etc/made 2>&1 | grep -c 'Read-only file system'"), "1");
    CHECK_TEXT(box_shell(&box, "ls -A /run /tmp /var/tmp | grep -v : ; echo end"), "\n\nend");
    CHECK_TEXT(box_shell(&box, "cat /proc/1/cmdline | tr '\\0' ' '"),
               "/bin/sh -c cat /proc/1/cmdline | tr '\\0' ' ' ");
    CHECK_TEXT(box_shell(&box, "set -- /proc/[0-9]*; echo $#"), "1");
    CHECK_TEXT(box_shell(&box, "mount -t tmpfs none /tmp 2>/dev/null || echo refused"), "refused");
    CHECK_TEXT(box_shell(&box, "cat /proc/net/dev | grep -c :"), "1");
    CHECK_TEXT(box_shell(&box, "cut -d ' ' -f 5 /proc/self/mountinfo | grep -c cgroup/"), "0");
    box_close(&box);
}

TEST(status_of_the_process) {
    box_open(&box);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "grep -E '^(NoNewPrivs|Seccomp|CapInh|CapAmb|CapEff|CapBnd|SigBlk|"
                               "SigIgn):' /proc/self/status"),
               "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nCapInh:\t0000000000000000\n"
               "CapEff:\t00000000000004eb\nCapBnd:\t00000000000004eb\nCapAmb:\t0000000000000000\n"
               "NoNewPrivs:\t1\nSeccomp:\t2");
    CHECK_TEXT(box_shell(&box, "ls /proc/self/fd | wc -l"), "4");
    box_close(&box);
}

TEST(masked_and_readonly_paths) {
    char *masked[] = {(char *)"/proc/version", (char *)"/sys/kernel", (char *)"/etc/hostname"};
    char *frozen[] = {(char *)"/dev/shm"};
    box_open(&box);
    box.container.security.masked_paths = (struct strings){masked, 3};
    box.container.security.readonly_paths = (struct strings){frozen, 1};
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "cat /proc/version /etc/hostname; ls /sys/kernel; echo end"), "end");
    CHECK_TEXT(box_shell(&box, "cat /proc/timer_list /proc/kcore /proc/keys 2>/dev/null | wc -c"),
               "0");
    CHECK_TEXT(box_shell(&box, "ls -A /sys/firmware | wc -l"), "0");
    CHECK_TEXT(box_shell(&box, "echo x >/dev/shm/y"),
               "/bin/sh: 1: cannot create /dev/shm/y: Read-only file system");
    if (access("/proc/sysrq-trigger", F_OK) == 0)
        CHECK_TEXT(box_shell(&box, "echo h >/proc/sysrq-trigger"),
                   "/bin/sh: 1: cannot create /proc/sysrq-trigger: Read-only file system");
    CHECK_TEXT(box_shell(&box, "echo 1 >/proc/sys/kernel/core_pattern"),
               "/bin/sh: 1: cannot create /proc/sys/kernel/core_pattern: Read-only file system");
    CHECK_TEXT(box_shell(&box, "mkdir /sys/fs/cgroup/made 2>&1 | grep -c 'Read-only file'"), "1");
    box_close(&box);
}

TEST(devices) {
    box_open(&box);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "ls /dev | tr '\\n' ' '"),
               "console fd full mqueue null ptmx pts random ringfence shm stderr stdin stdout tty "
               "urandom zero ");
    CHECK_TEXT(box_shell(&box, "echo x >/dev/null && head -c 2 /dev/zero | wc -c"), "2");
    CHECK_TEXT(box_shell(&box, "head -c 4 /dev/urandom | wc -c; stat -c '%U %a' /dev/null"),
               "4\nroot 666");
    CHECK_TEXT(box_shell(&box, "stat -c '%a' /dev/shm /dev/pts/ptmx; echo x >/dev/shm/y; "
                               "echo hello >/dev/stdout"),
               "1777\n666\nhello");
    CHECK_TEXT(box_shell(&box, "grep -c 'mqueue' /proc/self/mountinfo"), "1");
    box_close(&box);
}

TEST(network_has_a_loopback_alone) {
    char *settings[] = {(char *)"net.ipv4.ip_forward=1", (char *)"kernel.msgmax=4242"};
    box_open(&box);
    box.container.network.sysctl = (struct strings){settings, 2};
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "ls /sys/class/net"), "lo");
    CHECK_TEXT(box_shell(&box, "cat /sys/class/net/lo/flags /proc/sys/net/ipv4/ip_forward "
                               "/proc/sys/net/ipv4/ip_unprivileged_port_start "
                               "/proc/sys/kernel/msgmax"),
               "0x9\n1\n0\n4242");
    box_close(&box);
}

static void expect_sysctl(const char *setting, const char *sentence) {
    char *settings[] = {(char *)setting};
    box.container.network.sysctl = (struct strings){settings, 1};
    CHECK(box_build(&box) < 0);
    CHECK_TEXT(box.fault.text, sentence);
    box_remove(&box);
}

TEST(sysctls_of_the_host_are_refused) {
    box_open(&box);
    expect_sysctl("kernel.core_pattern=x",
                  "network: \"kernel.core_pattern\" is not of the network or ipc namespace");
    expect_sysctl("net.../kernel/core_pattern=x",
                  "network: \"net.../kernel/core_pattern\" is not the name of a setting");
    expect_sysctl("net.core", "network: \"net.core\" is not of the form key=value");
    expect_sysctl("net.core.nothing=1",
                  "network: cannot open /proc/sys/net/core/nothing: No such file or directory");
    box.container.namespaces.choices[NAMESPACE_NETWORK].mode = NAMESPACE_HOST;
    expect_sysctl("net.core.somaxconn=1",
                  "network: \"net.core.somaxconn\" needs a private network namespace");
    box_close(&box);
}

TEST(host_name) {
    box_open(&box);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "uname -n"), "box");
    box_remove(&box);
    box.container.process.hostname = (char *)"elsewhere";
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "uname -n"), "elsewhere");
    box_remove(&box);
    box.container.namespaces.choices[NAMESPACE_UTS].mode = NAMESPACE_HOST;
    CHECK(box_build(&box) == -EPERM);
    CHECK_TEXT(box.fault.text, "network: host name \"elsewhere\" needs a private uts namespace");
    box_close(&box);
}

TEST(time_has_offsets) {
    box_open(&box);
    box.container.namespaces.choices[NAMESPACE_TIME].mode = NAMESPACE_PRIVATE;
    box.container.namespaces.boot_offset = 1000000 * INT64_C(86400000);
    box.container.namespaces.monotonic_offset = -1500000;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "set -- $(cat /proc/self/timens_offsets); echo $*"),
               "monotonic -2 500000000 boottime 86400000 0");
    CHECK_TEXT(box_shell(&box, "read up rest </proc/uptime; echo $((${up%.*} > 86400000))"), "1");
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_TIME) != inode_of("/proc/self/ns/time"));
    box_close(&box);
}

TEST(host_namespaces) {
    box_open(&box);
    struct namespace_choice *choices = box.container.namespaces.choices;
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
        if (kind != NAMESPACE_USER && kind != NAMESPACE_MOUNT)
            choices[kind].mode = NAMESPACE_HOST;
    box_built(&box);
    /* The host's are seen, and cannot be changed. */
    char pid[32];
    snprintf(pid, sizeof pid, "%d", getpid());
    char line[128];
    snprintf(line, sizeof line, "test -d /proc/%s && echo seen", pid);
    CHECK_TEXT(box_shell(&box, line), "seen");
    CHECK_TEXT(box_shell(&box, "grep -c 'proc ro' /proc/self/mountinfo; ls -d "
                               "/sys/fs/cgroup/cgroup.procs"),
               "1\n/sys/fs/cgroup/cgroup.procs");
    CHECK_TEXT(box_shell(&box, "hostname x 2>/dev/null; echo $?"), "1");
    box_remove(&box);
    choices[NAMESPACE_USER].mode = NAMESPACE_HOST;
    box_built(&box);
    CHECK(!sandbox_id_range(box.sandbox, &(uint32_t){0}, &(uint32_t){0}));
    CHECK_TEXT(box_shell(&box, "set -- $(cat /proc/self/uid_map); echo $*; touch /etc/x 2>&1 | "
                               "grep -c Read-only"),
               "0 0 4294967295\n1");
    box_remove(&box);
    choices[NAMESPACE_MOUNT].mode = NAMESPACE_HOST;
    box_built(&box);
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_MOUNT) == 0);
    snprintf(line, sizeof line, "%llu", (unsigned long long)inode_of("/proc/self/ns/mnt"));
    CHECK_TEXT(box_shell(&box, "stat -Lc %i /proc/self/ns/mnt"), line);
    box_close(&box);
}

TEST(host_user_namespace_alone) {
    box_open(&box);
    box.container.namespaces.choices[NAMESPACE_USER].mode = NAMESPACE_HOST;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "cat /proc/1/comm; ls /sys/class/net; uname -n; "
                               "touch /etc/x 2>/dev/null || echo read-only"),
               "sh\nlo\nbox\nread-only");
    CHECK_TEXT(box_shell(&box, "ls /var/lib/ringfence 2>/dev/null; stat -c %u /proc/1"), "0");
    box_close(&box);
}

TEST(fixed_range) {
    uint32_t base, count;
    box_open(&box);
    box.container.namespaces.choices[NAMESPACE_USER] =
        (struct namespace_choice){.mode = NAMESPACE_RANGE, .base = 700000, .count = 1000};
    box_built(&box);
    CHECK(sandbox_id_range(box.sandbox, &base, &count) && base == 700000 && count == 1000);
    CHECK_TEXT(box_shell(&box, "set -- $(cat /proc/self/uid_map); echo $*"), "0 700000 1000");
    box_close(&box);
}

TEST(ranges_are_exhausted) {
    struct box many[17];
    box_open(&box);
    char name[8];
    for (int i = 0; i < 17; i++) {
        many[i] = box;
        snprintf(name, sizeof name, "box%d", i);
        many[i].container.name = box_keep(&box, name);
        int error = box_build(&many[i]);
        CHECK(i < 16 ? error == 0 : error == -ENOSPC);
    }
    CHECK_TEXT(many[16].fault.text,
               "namespaces: all 16 ranges of host ids are taken: remove units that are not needed, "
               "or enlarge the host's range");
    for (int i = 0; i < 16; i++)
        box_remove(&many[i]);
    CHECK(runtime_forget_unit(box.runtime, "box3", NULL) == 0);
    many[16].container.name = (char *)"another";
    box_built(&many[16]);
    box_remove(&many[16]);
    box_close(&box);
}

TEST(units_share_a_network) {
    box_open(&box);
    static struct box other;
    other = box;
    box_built(&box);
    other.container.name = (char *)"other";
    other.container.namespaces.choices[NAMESPACE_NETWORK].mode = NAMESPACE_UNIT;
    other.container.namespaces.choices[NAMESPACE_NETWORK].name = (char *)"box";
    struct sandbox *joined[NAMESPACE_KINDS] = {[NAMESPACE_NETWORK] = box.sandbox};
    int error = box_build_joined(&other, joined, NULL);
    if (error)
        printf("# %s\n", other.fault.text);
    CHECK(error == 0);
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_NETWORK) ==
          sandbox_namespace_inode(other.sandbox, NAMESPACE_NETWORK));
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_USER) ==
          sandbox_namespace_inode(other.sandbox, NAMESPACE_USER));
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_IPC) !=
          sandbox_namespace_inode(other.sandbox, NAMESPACE_IPC));
    CHECK_TEXT(box_shell(&other, "ls /sys/class/net; cat /etc/shadow 2>/dev/null; uname -n"),
               "lo\nother");
    box_remove(&other);
    CHECK(box_build_joined(&other, NULL, NULL) == -ESRCH);
    CHECK_TEXT(other.fault.text,
               "namespaces: the net namespace of unit \"box\" is not there to be shared");
    box_close(&box);
}

TEST(units_share_everything) {
    static struct box other;
    box_open(&box);
    box_built(&box);
    start_sleeper();
    other = box;
    other.container.name = (char *)"other";
    struct sandbox *joined[NAMESPACE_KINDS];
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        joined[kind] = box.sandbox;
        other.container.namespaces.choices[kind] =
            (struct namespace_choice){.mode = NAMESPACE_UNIT, .name = (char *)"box"};
    }
    int error = box_build_joined(&other, joined, NULL);
    if (error)
        printf("# %s\n", other.fault.text);
    CHECK(error == 0);
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/%s", run_pid(box.main), kinds[kind]);
        uint64_t inode = sandbox_namespace_inode(other.sandbox, (enum namespace_kind)kind);
        if (kind == NAMESPACE_TIME)
            CHECK(inode == 0);
        else if (kind != NAMESPACE_MOUNT) /* each process has a copy of its own */
            CHECK(inode == inode_of(path));
    }
    CHECK_TEXT(box_shell(&other, "cat /proc/1/comm; uname -n; set -- /proc/[0-9]*; echo $#"),
               "sleep\nbox\n2");
    box_remove(&other);
    end_sleeper();
    box_close(&box);
}

TEST(units_share_memory_with_ipc) {
    static struct box other;
    box_open(&box);
    box_built(&box);
    other = box;
    other.container.name = (char *)"other";
    other.container.namespaces.choices[NAMESPACE_IPC] =
        (struct namespace_choice){.mode = NAMESPACE_UNIT, .name = (char *)"box"};
    struct sandbox *joined[NAMESPACE_KINDS] = {[NAMESPACE_IPC] = box.sandbox};
    CHECK(box_build_joined(&other, joined, NULL) == 0);
    CHECK_TEXT(box_shell(&box, "echo shared >/dev/shm/x; stat -c %u /dev/shm/x"), "0");
    CHECK_TEXT(box_shell(&other, "cat /dev/shm/x && echo more >>/dev/shm/x && echo fine"),
               "shared\nfine");
    box_remove(&other);
    box_close(&box);
}

TEST(a_namespace_file_is_joined) {
    box_open(&box);
    /* A network namespace of the host's, kept by a file. */
    pid_t child = fork();
    if (child == 0) {
        int fd = open(box_path(&box, "netns"), O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
        _exit(fd < 0 || syscall(SYS_unshare, 0x40000000 /* CLONE_NEWNET */) < 0 ||
              mount("/proc/self/ns/net", box_path(&box, "netns"), NULL, MS_BIND, NULL) < 0);
    }
    CHECK(box_exit_code(child) == 0);
    uint64_t inode = inode_of(box_path(&box, "netns"));
    struct namespace_choice *choice = &box.container.namespaces.choices[NAMESPACE_NETWORK];
    *choice =
        (struct namespace_choice){.mode = NAMESPACE_PATH, .name = (char *)box_path(&box, "netns")};
    int error = box_build(&box);
    CHECK(umount2(box_path(&box, "netns"), MNT_DETACH) == 0);
    if (error)
        printf("# %s\n", box.fault.text);
    CHECK(error == 0);
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_NETWORK) == inode);
    CHECK_TEXT(box_shell(&box, "ls /sys/class/net; readlink /proc/self/ns/user | cut -c 1-4"),
               "lo\nuser");
    box_remove(&box);
    choice->name = (char *)"/proc/self/ns/uts";
    CHECK(box_build(&box) == -EINVAL);
    CHECK_TEXT(box.fault.text, "namespaces: \"/proc/self/ns/uts\" is no net namespace");
    choice->name = (char *)"/nowhere";
    CHECK(box_build(&box) == -ENOENT);
    CHECK_TEXT(box.fault.text,
               "namespaces: cannot open net namespace \"/nowhere\": No such file or directory");
    box_close(&box);
}

/* A process in a new user namespace that maps nothing. */
static pid_t start_stranger(void) {
    char byte;
    int ready[2];
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        if (syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */) == 0 &&
            write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    return child;
}

/* A user namespace of somebody else's, with a map of its own. */
TEST(a_user_namespace_file_is_joined) {
    char path[64];
    box_open(&box);
    pid_t child = start_stranger();
    snprintf(path, sizeof path, "/proc/%d/uid_map", child);
    CHECK(file_write(AT_FDCWD, path, "0 700000 5000", NULL) == 0);
    snprintf(path, sizeof path, "/proc/%d/gid_map", child);
    CHECK(file_write(AT_FDCWD, path, "0 700000 5000", NULL) == 0);
    snprintf(path, sizeof path, "/proc/%d/ns/user", child);
    uint64_t inode = inode_of(path);
    struct namespace_choice *choice = &box.container.namespaces.choices[NAMESPACE_USER];
    *choice = (struct namespace_choice){.mode = NAMESPACE_PATH, .name = path};
    int error = box_build(&box);
    CHECK(kill(child, SIGKILL) == 0 && box_exit_code(child) == 128 + SIGKILL);
    if (error)
        printf("# %s\n", box.fault.text);
    CHECK(error == 0);
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_USER) == inode);
    CHECK_TEXT(box_shell(&box, "set -- $(cat /proc/self/uid_map); echo $*; id -u; "
                               "touch /tmp/x && stat -c %u /tmp/x"),
               "0 700000 5000\n0\n0");
    box_close(&box);
}

/* An id map that does not begin with root's is none that a unit can live with. */
TEST(a_user_namespace_without_root) {
    char path[64];
    box_open(&box);
    pid_t child = start_stranger();
    snprintf(path, sizeof path, "/proc/%d/ns/user", child);
    box.container.namespaces.choices[NAMESPACE_USER] =
        (struct namespace_choice){.mode = NAMESPACE_PATH, .name = path};
    CHECK(box_build(&box) == -EINVAL);
    CHECK_TEXT(box.fault.text, "user namespace: the user namespace does not map id 0");
    CHECK(kill(child, SIGKILL) == 0 && box_exit_code(child) == 128 + SIGKILL);
    box_close(&box);
}

/* Its owner could put things there, and take ours away. */
TEST(a_directory_of_somebody_else) {
    char sentence[PATH_MAX + 64];
    box_open(&box);
    const char *directory = box_keep(&box, box_path(&box, "theirs"));
    CHECK(mkdir(directory, 0755) == 0 && chown(directory, 10001, 10001) == 0);
    struct runtime_options options = {.runtime_directory = directory,
                                      .state_directory = box_path(&box, "other")};
    struct runtime *runtime = NULL;
    CHECK(runtime_open(&options, &runtime, &box.fault) == -EPERM);
    snprintf(sentence, sizeof sentence, "\"%s\" belongs to user 10001: it must be root's",
             directory);
    CHECK_TEXT(box.fault.text, sentence);
    box_close(&box);
}

TEST(notify_directory_is_seen_read_only) {
    box_open(&box);
    CHECK(mkdir(box_path(&box, "notify"), 0755) == 0);
    int fd = open(box_path(&box, "notify/notify"), O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    close(fd);
    CHECK(box_build_joined(&box, NULL, box_path(&box, "notify")) == 0);
    CHECK_TEXT(box_shell(&box, "ls " SANDBOX_NOTIFY_DIRECTORY "; rm -f " SANDBOX_NOTIFY_DIRECTORY
                               "/notify 2>&1 | grep -c Read-only"),
               "notify\n1");
    box_close(&box);
}

TEST_MAIN
