/* System call filters: every verdict of the program, its effect on a process, and the caches. */

#include <dirent.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "runtime/seccomp-compile.h"
#include "runtime/seccomp-profile.h"
#include "runtime/seccomp.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/text.h"

#define CAP(name) (UINT64_C(1) << CAP_##name)

/* ---- running a program without a kernel ---- */

/* The part of classic BPF that filters use (kernel documentation, seccomp_filter). */
static uint32_t run(const struct seccomp_code *code, uint32_t arch, uint32_t number, uint64_t first,
                    uint64_t second) {
    struct seccomp_data data = {.nr = (int)number, .arch = arch, .args = {first, second}};
    uint32_t a = 0;
    for (size_t at = 0; at < code->count; at++) {
        const struct sock_filter *item = &code->items[at];
        bool truth = false;
        switch (item->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            CHECK(item->k % 4 == 0 && item->k < sizeof data);
            memcpy(&a, (char *)&data + item->k, 4);
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= item->k;
            continue;
        case BPF_JMP | BPF_JA:
            at += item->k;
            continue;
        case BPF_RET | BPF_K:
            return item->k;
        case BPF_JMP | BPF_JEQ | BPF_K:
            truth = a == item->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            truth = a >= item->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            truth = a > item->k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            truth = (a & item->k) != 0;
            break;
        default:
            printf("# not an instruction that filters have: %x\n", item->code);
            exit(1);
        }
        at += truth ? item->jt : item->jf;
    }
    printf("# the program ends without an answer\n");
    exit(1);
}

#define EPERM_ACTION (SECCOMP_RET_ERRNO | EPERM)
#define ENOSYS_ACTION (SECCOMP_RET_ERRNO | ENOSYS)

static struct seccomp_code compiled;

static void compile(const struct security *security, uint64_t capabilities) {
    struct fault fault = {""};
    int error = seccomp_compile(security, capabilities, &compiled, &fault);
    if (error)
        printf("# %s\n", fault.text);
    CHECK(error == 0);
}

static uint32_t ask(const char *name, uint64_t first, uint64_t second) {
    int number = seccomp_syscall_resolve_name(name);
    CHECK(number >= 0);
    return run(&compiled, seccomp_arch_native(), (uint32_t)number, first, second);
}

static const struct security standard = {.capabilities = CAPABILITIES_UNSET};

TEST(the_table_names_each_call_once) {
    static char names[1024][CALL_NAME_SIZE];
    size_t count = 0, unknown = 0;
    for (size_t i = 0; i < seccomp_row_count; i++) {
        for (const char *at = seccomp_rows[i].calls; (at = seccomp_next_call(at, names[count]));) {
            for (size_t j = 0; j < count; j++)
                CHECK(strcmp(names[j], names[count]) != 0);
            unknown += seccomp_syscall_resolve_name(names[count]) == __NR_SCMP_ERROR;
            CHECK(++count < 1024);
        }
    }
    CHECK(count > 380);
    CHECK(unknown < 24); /* newer than libseccomp, and nothing misspelt */
}

TEST(every_call_of_this_architecture_is_in_the_table) {
    char name[CALL_NAME_SIZE];
    for (int number = 0; number < 450; number++) {
        scoped_free char *known = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number);
        bool found = !known;
        for (size_t i = 0; i < seccomp_row_count && !found; i++)
            for (const char *at = seccomp_rows[i].calls;
                 !found && (at = seccomp_next_call(at, name));)
                found = strcmp(name, known) == 0;
        if (!found)
            printf("# not in the table: %s\n", known);
        CHECK(found);
    }
}

TEST(the_default_profile_answers) {
    compile(&standard, 0);
    CHECK(compiled.count < 400);
    CHECK(ask("read", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("execve", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("futex", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("mount", 0, 0) == EPERM_ACTION);
    CHECK(ask("unshare", 0, 0) == EPERM_ACTION);
    CHECK(ask("ptrace", 0, 0) == EPERM_ACTION);
    CHECK(ask("bpf", 0, 0) == EPERM_ACTION);
    CHECK(ask("keyctl", 0, 0) == EPERM_ACTION);
    CHECK(ask("kexec_load", 0, 0) == EPERM_ACTION);
    CHECK(ask("io_uring_setup", 0, 0) == EPERM_ACTION);
    CHECK(ask("clone3", 0, 0) == ENOSYS_ACTION);
    CHECK(ask("clone", SIGCHLD, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("clone", CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("clone", SIGCHLD | CLONE_NEWUSER, 0) == EPERM_ACTION);
    CHECK(ask("clone", SIGCHLD | CLONE_NEWNET, 0) == EPERM_ACTION);
    CHECK(ask("personality", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("personality", 0xffffffff, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("personality", ADDR_NO_RANDOMIZE, 0) == EPERM_ACTION);
    CHECK(ask("socket", AF_INET, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("socket", AF_VSOCK, 0) == EPERM_ACTION);
    CHECK(ask("ioctl", 0, TCGETS) == SECCOMP_RET_ALLOW);
    CHECK(ask("ioctl", 0, TIOCSTI) == EPERM_ACTION);
    CHECK(ask("ioctl", 0, TIOCLINUX) == EPERM_ACTION);
}

/* The kernel reads an int out of a 64-bit register: what is in the other half must not help. */
TEST(high_halves_of_arguments_do_not_matter) {
    static const uint64_t high[] = {UINT64_C(1) << 32, UINT64_C(0xdeadbeef) << 32,
                                    UINT64_MAX << 32};
    compile(&standard, 0);
    for (size_t i = 0; i < ELEMENTS(high); i++) {
        CHECK(ask("ioctl", 0, high[i] | TIOCSTI) == EPERM_ACTION);
        CHECK(ask("ioctl", 0, high[i] | TIOCLINUX) == EPERM_ACTION);
        CHECK(ask("ioctl", 0, high[i] | TCGETS) == SECCOMP_RET_ALLOW);
        CHECK(ask("socket", high[i] | AF_VSOCK, 0) == EPERM_ACTION);
        CHECK(ask("clone", high[i] | CLONE_NEWUSER, 0) == EPERM_ACTION);
        CHECK(ask("personality", high[i] | ADDR_NO_RANDOMIZE, 0) == EPERM_ACTION);
    }
}

TEST(unknown_numbers_and_foreign_architectures) {
    compile(&standard, 0);
    uint32_t native = seccomp_arch_native();
    CHECK(run(&compiled, native, 900, 0, 0) == ENOSYS_ACTION);
    CHECK(run(&compiled, native, 0x3fffffff, 0, 0) == ENOSYS_ACTION);
    CHECK(run(&compiled, native, 0x40000000, 0, 0) == EPERM_ACTION); /* x32's read */
    CHECK(run(&compiled, native, 0xffffffff, 0, 0) == EPERM_ACTION);
    CHECK(run(&compiled, AUDIT_ARCH_I386, 3, 0, 0) == SECCOMP_RET_KILL_PROCESS);
}

TEST(capabilities_let_more_through) {
    compile(&standard, CAP(SYS_ADMIN));
    CHECK(ask("mount", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("bpf", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("clone", CLONE_NEWUSER, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("clone3", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("ptrace", 0, 0) == EPERM_ACTION);
    CHECK(ask("keyctl", 0, 0) == EPERM_ACTION);
    compile(&standard, CAP(SYS_PTRACE) | CAP(SYS_TIME));
    CHECK(ask("ptrace", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("clock_settime", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("mount", 0, 0) == EPERM_ACTION);
}

TEST(lists_of_the_unit_change_the_profile) {
    char *allow[] = {"@mount", "@process", "@basic-io", "clone", NULL};
    char *deny[] = {"@network", "umount2", "getrandom", NULL};
    struct security security = standard;
    security.seccomp_allow = (struct strings){allow, 4};
    security.seccomp_deny = (struct strings){deny, 3};
    compile(&security, 0);
    CHECK(ask("mount", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("fsopen", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("umount2", 0, 0) == EPERM_ACTION); /* denied wins */
    CHECK(ask("getrandom", 0, 0) == EPERM_ACTION);
    CHECK(ask("socket", AF_INET, 0) == EPERM_ACTION);
    CHECK(ask("connect", 0, 0) == EPERM_ACTION);
    /* By name: without conditions. By group: the conditions stay. */
    CHECK(ask("clone", CLONE_NEWUSER, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("clone3", 0, 0) == ENOSYS_ACTION);
    CHECK(ask("ioctl", 0, TIOCSTI) == EPERM_ACTION);
}

TEST(modes) {
    struct security security = standard;
    security.seccomp_mode = SECCOMP_LOG;
    compile(&security, 0);
    CHECK(ask("read", 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask("mount", 0, 0) == SECCOMP_RET_LOG);
    CHECK(ask("clone3", 0, 0) == SECCOMP_RET_LOG);
    CHECK(ask("ioctl", 0, TIOCSTI) == SECCOMP_RET_LOG);
    CHECK(ask("clone", CLONE_NEWUSER, 0) == SECCOMP_RET_LOG);
    CHECK(run(&compiled, AUDIT_ARCH_I386, 3, 0, 0) == SECCOMP_RET_LOG);
    security.seccomp_mode = SECCOMP_KILL;
    compile(&security, 0);
    CHECK(ask("mount", 0, 0) == SECCOMP_RET_KILL_PROCESS);
    CHECK(ask("ioctl", 0, TIOCSTI) == SECCOMP_RET_KILL_PROCESS);
    CHECK(ask("clone3", 0, 0) == ENOSYS_ACTION); /* libc asks first, and falls back */
    CHECK(run(&compiled, seccomp_arch_native(), 900, 0, 0) == ENOSYS_ACTION);
}

TEST(unknown_names_are_refused_with_the_nearest) {
    static const struct {
        const char *word, *text;
    } cases[] = {
        {"moutn", "unknown system call \"moutn\" (did you mean \"mount\"?)"},
        {"openatt", "unknown system call \"openatt\" (did you mean \"openat\"?)"},
        {"qqqqqqqqqqqq", "unknown system call \"qqqqqqqqqqqq\""},
        {"@netwrok", "unknown group of system calls \"@netwrok\" (did you mean \"@network\"?)"},
        {"@", "unknown group of system calls \"@\""},
        {"", "unknown system call \"\""},
    };
    struct seccomp_cache *cache;
    CHECK(seccomp_cache_open(NULL, &cache, NULL) == 0);
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        char *words[] = {(char *)(uintptr_t)cases[i].word, NULL};
        struct security security = standard;
        struct seccomp_program *program;
        struct fault fault = {""};
        security.seccomp_deny = (struct strings){words, 1};
        CHECK(seccomp_get(cache, &security, 0, &program, &fault) == -EINVAL);
        CHECK_TEXT(fault.text, cases[i].text);
    }
    seccomp_cache_close(cache);
}

/* ---- the effect ---- */

static void install(const struct security *security) {
    struct seccomp_cache *cache;
    struct seccomp_program *program;
    struct fault fault = {""};
    CHECK(seccomp_cache_open(NULL, &cache, NULL) == 0);
    CHECK(seccomp_get(cache, security, 0, &program, &fault) == 0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(seccomp_install(program) == 0);
    seccomp_unref(program);
    seccomp_cache_close(cache);
}

TEST(a_process_is_held) {
    install(&standard);
    CHECK(unshare(CLONE_NEWUTS) < 0 && errno == EPERM);
    CHECK(mount("none", "/tmp", "tmpfs", 0, NULL) < 0 && errno == EPERM);
    CHECK(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
    CHECK(syscall(999) < 0 && errno == ENOSYS);
    CHECK(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, 0, 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_ioctl, 0, TIOCSTI | UINT64_C(1) << 32, "x") < 0 && errno == EPERM);
    CHECK(socket(AF_VSOCK, SOCK_STREAM, 0) < 0 && errno == EPERM);
    CHECK(getpid() > 0 && access("/", F_OK) == 0);
    pid_t child = fork();
    if (child == 0)
        _exit(3);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
    scoped_free char *text = NULL;
    CHECK(file_read(AT_FDCWD, "/proc/self/status", 65536, &text, NULL, NULL) == 0);
    CHECK(strstr(text, "Seccomp:\t2"));
    CHECK(strstr(text, "NoNewPrivs:\t1"));
    fflush(NULL);
    _exit(0); /* a sanitizer's work at exit would be refused too */
}

TEST(a_shell_runs_under_the_filter) {
    install(&standard);
    CHECK(execl("/bin/sh", "sh", "-c", "test \"$(ls / | grep -c tmp)\" = 1", NULL) == 0);
}

TEST(mode_kill_ends_the_process) {
    struct security security = standard;
    security.seccomp_mode = SECCOMP_KILL;
    pid_t child = fork();
    if (child == 0) {
        install(&security);
        unshare(CLONE_NEWUTS);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

TEST(unconfined_is_no_program) {
    struct seccomp_cache *cache;
    struct seccomp_program *program = (struct seccomp_program *)1;
    struct security security = standard;
    struct fault fault;
    security.seccomp = SECCOMP_UNCONFINED;
    CHECK(seccomp_cache_open(NULL, &cache, NULL) == 0);
    CHECK(seccomp_get(cache, &security, 0, &program, NULL) == 0 && !program);
    CHECK(seccomp_install(program) == 0);
    security.seccomp = SECCOMP_STRICT;
    CHECK(seccomp_get(cache, &security, 0, &program, &fault) == -EOPNOTSUPP);
    CHECK_TEXT(fault.text, "this version has the profiles \"default\" and \"unconfined\" alone");
    seccomp_cache_close(cache);
}

/* ---- the caches ---- */

static char cache_path[] = "/tmp/ringfence-seccomp-XXXXXX";

/* The name of the only file in the cache's directory. */
static void only_file(char path[512]) {
    DIR *directory = opendir(cache_path);
    CHECK(directory);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, 512, "%s/%s", cache_path, entry->d_name);
        files++;
    }
    closedir(directory);
    CHECK(files == 1);
}

static ino_t inode_of(const char *path) {
    struct stat status;
    CHECK(stat(path, &status) == 0);
    return status.st_ino;
}

TEST(equal_profiles_share_a_program) {
    struct seccomp_cache *cache;
    struct seccomp_program *one, *two, *other;
    struct security security = standard;
    security.seccomp_mode = SECCOMP_KILL;
    CHECK(seccomp_cache_open(NULL, &cache, NULL) == 0);
    CHECK(seccomp_get(cache, &standard, 0, &one, NULL) == 0);
    CHECK(seccomp_get(cache, &standard, CAP(CHOWN), &two, NULL) == 0); /* makes no difference */
    CHECK(seccomp_get(cache, &security, 0, &other, NULL) == 0);
    CHECK(one == two && one != other);
    seccomp_unref(one);
    seccomp_cache_close(cache);
    CHECK(two->filter.len > 0); /* outlives the cache */
    seccomp_unref(two);
    seccomp_unref(other);
    seccomp_unref(NULL);
}

/* Gets the default program from a fresh cache, as after a restart. */
static uint64_t program_hash(void) {
    struct seccomp_cache *cache;
    struct seccomp_program *program;
    CHECK(seccomp_cache_open(cache_path, &cache, NULL) == 0);
    CHECK(seccomp_get(cache, &standard, 0, &program, NULL) == 0);
    uint64_t hash = seccomp_hash(SECCOMP_HASH_START, program->filter.filter,
                                 program->filter.len * sizeof(struct sock_filter));
    seccomp_unref(program);
    seccomp_cache_close(cache);
    return hash;
}

TEST(the_disk_is_used_and_not_trusted) {
    char path[512];
    CHECK(mkdtemp(cache_path));
    uint64_t hash = program_hash();
    only_file(path);
    ino_t first = inode_of(path);
    CHECK(program_hash() == hash && inode_of(path) == first); /* a hit writes nothing */

    scoped_free char *good = NULL;
    size_t length;
    CHECK(file_read(AT_FDCWD, path, 1 << 20, &good, &length, NULL) == 0);
    for (int damage = 0; damage < 6; damage++) {
        scoped_free char *data = malloc(length + 8);
        CHECK(data);
        memcpy(data, good, length);
        size_t size = length;
        if (damage == 0)
            data[length - 5] ^= 1; /* an instruction */
        else if (damage == 1)
            size = length - 8; /* one fewer */
        else if (damage == 2)
            size = length - 3; /* a part of one */
        else if (damage == 3)
            data[50] ^= 1; /* the key */
        else if (damage == 4)
            size = 0;
        else
            memset(data, 0, length);
        CHECK(file_replace(AT_FDCWD, path, data, size, 0600, false, NULL) == 0);
        ino_t damaged = inode_of(path);
        CHECK(program_hash() == hash);
        CHECK(inode_of(path) != damaged);
    }
    CHECK(chmod(path, 0666) == 0); /* others may have written it */
    ino_t open_to_all = inode_of(path);
    CHECK(program_hash() == hash && inode_of(path) != open_to_all);
    CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
    CHECK(program_hash() == hash);
    CHECK(directory_remove(AT_FDCWD, cache_path, NULL) == 0);
}

TEST(a_directory_of_others_is_refused) {
    struct seccomp_cache *cache;
    struct fault fault;
    char text[256];
    CHECK(mkdtemp(cache_path) && chmod(cache_path, 0777) == 0);
    CHECK(seccomp_cache_open(cache_path, &cache, &fault) == -EPERM);
    snprintf(text, sizeof text, "\"%s\" may be written by others: filters cannot be kept there",
             cache_path);
    CHECK_TEXT(fault.text, text);
    CHECK(directory_remove(AT_FDCWD, cache_path, NULL) == 0);
}

TEST_MAIN
