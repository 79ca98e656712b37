#include "runtime/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "runtime/seccomp-compile.h"
#include "runtime/seccomp-profile.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/list.h"
#include "units/base/number.h"
#include "units/base/text.h"

#define COMPILE_USEC (2 * USEC_PER_SEC)
#define FILE_MOST (BPF_MAXINSNS * sizeof(struct sock_filter) + 65536)
#define FILE_MAGIC "ringfence-seccomp 1"

struct seccomp_cache {
    int directory; /* -EBADF: nothing is kept on disk */
    struct list entries;
    struct seccomp_program *latest; /* the one that was asked for last; NULL: none yet */
};

struct entry {
    struct seccomp_program program;
    struct list link; /* seccomp_cache.entries */
    unsigned references;
    char *key;
};

/* ---- one program ---- */

static struct entry *entry_of(struct seccomp_program *program) {
    return list_entry(program, struct entry, program);
}

static struct seccomp_program *ref(struct seccomp_program *program) {
    entry_of(program)->references++;
    return program;
}

void seccomp_unref(struct seccomp_program *program) {
    if (!program)
        return;
    struct entry *entry = entry_of(program);
    if (--entry->references > 0)
        return;
    list_remove(&entry->link);
    free(entry->program.filter.filter);
    free(entry->key);
    free(entry);
}

int seccomp_install(const struct seccomp_program *program) {
    if (!program)
        return 0;
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program->filter);
    return result < 0 ? -errno : 0;
}

static int add_entry(struct seccomp_cache *cache, const char *key, const void *items, size_t count,
                     struct seccomp_program **ret_program) {
    if (count == 0)
        return -EPROTO;
    struct entry *entry = calloc(1, sizeof *entry);
    char *own_key = strdup(key);
    struct sock_filter *own = calloc(count, sizeof *own);
    if (!entry || !own_key || !own) {
        free(entry);
        free(own_key);
        free(own);
        return -ENOMEM;
    }
    memcpy(own, items, count * sizeof *own);
    entry->program.filter = (struct sock_fprog){.len = (unsigned short)count, .filter = own};
    entry->key = own_key;
    entry->references = 1;
    list_append(&cache->entries, &entry->link);
    *ret_program = &entry->program;
    return 0;
}

/* ---- the cache ---- */

int seccomp_cache_open(const char *directory, struct seccomp_cache **ret_cache,
                       struct fault *fault) {
    scoped(seccomp_cache_close) struct seccomp_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return fault_set(fault, ENOMEM, "cannot make the cache of system call filters");
    list_init(&cache->entries);
    cache->directory = -EBADF;
    if (directory) {
        int error = directory_make(AT_FDCWD, directory, 0700, fault);
        if (error)
            return error;
        cache->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (cache->directory < 0)
            return fault_set(fault, errno, "cannot open \"%s\"", directory);
        struct stat status;
        if (fstat(cache->directory, &status) < 0)
            return fault_set(fault, errno, "cannot stat \"%s\"", directory);
        if (status.st_uid != geteuid() || (status.st_mode & 022))
            return fault_say(fault, -EPERM,
                             "\"%s\" may be written by others: filters cannot be kept there",
                             directory);
    }
    *ret_cache = take(cache);
    return 0;
}

void seccomp_cache_close(struct seccomp_cache *cache) {
    if (!cache)
        return;
    struct entry *entry, *following;
    seccomp_unref(cache->latest);
    list_for_each_safe(entry, following, &cache->entries, link) list_remove(&entry->link);
    close_fd(cache->directory);
    free(cache);
}

static void add_words(struct text *key, const char *name, const struct strings *words) {
    text_format(key, " %s=", name);
    for (size_t i = 0; i < words->count; i++)
        text_format(key, "%s,", words->items[i]);
}

/* All that the program depends on. */
static void make_key(struct text *key, const struct security *security, uint64_t capabilities) {
    const struct scmp_version *library = seccomp_version();
    struct utsname host;
    uname(&host);
    text_format(key,
                "table=%016" PRIx64 " libseccomp=%u.%u.%u kernel=%s arch=%x mode=%d caps=%" PRIx64,
                seccomp_profile_fingerprint(), library->major, library->minor, library->micro,
                host.release, seccomp_arch_native(), (int)security->seccomp_mode, capabilities);
    add_words(key, "allow", &security->seccomp_allow);
    add_words(key, "deny", &security->seccomp_deny);
}

/* ---- on disk ---- */

static void file_name(const char *key, char name[32]) {
    snprintf(name, 32, "%016" PRIx64, seccomp_hash(SECCOMP_HASH_START, key, strlen(key)));
}

static void file_head(struct text *head, const char *key, const void *items, size_t bytes) {
    text_format(head, FILE_MAGIC " %016" PRIx64 "\n%s\n",
                seccomp_hash(SECCOMP_HASH_START, items, bytes), key);
}

/* The instructions of a file that is whole, ours, and of that very key; else it is compiled anew.
 */
static bool file_load(const struct seccomp_cache *cache, const char *key,
                      struct seccomp_code *ret_code) {
    char name[32];
    struct stat status;
    scoped_free char *data = NULL;
    scoped_text struct text head = {0};
    size_t length;
    if (cache->directory < 0)
        return false;
    file_name(key, name);
    if (fstatat(cache->directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        status.st_uid != geteuid() || (status.st_mode & 022))
        return false;
    if (file_read(cache->directory, name, FILE_MOST, &data, &length, NULL) < 0)
        return false;
    size_t start = strlen(FILE_MAGIC) + 1 + 16 + 1 + strlen(key) + 1;
    if (length <= start || (length - start) % sizeof ret_code->items[0] ||
        length - start > sizeof ret_code->items)
        return false;
    file_head(&head, key, data + start, length - start);
    if (head.failed || head.length != start || memcmp(head.data, data, start) != 0)
        return false;
    memcpy(ret_code->items, data + start, length - start);
    ret_code->count = (length - start) / sizeof ret_code->items[0];
    return true;
}

/* A filter that cannot be kept is compiled again: no reason to fail. */
static void file_save(const struct seccomp_cache *cache, const char *key,
                      const struct seccomp_code *code) {
    char name[32];
    scoped_text struct text data = {0};
    size_t bytes = code->count * sizeof code->items[0];
    if (cache->directory < 0)
        return;
    file_name(key, name);
    file_head(&data, key, code->items, bytes);
    text_append(&data, (const char *)code->items, bytes);
    if (!data.failed && data.length <= FILE_MOST)
        file_replace(cache->directory, name, data.data, data.length, 0600, false, NULL);
}

/* ---- the helper that compiles ---- */

/* What comes back through the pipe. */
struct answer {
    int error;
    struct fault fault;
    struct seccomp_code code;
};

static uint64_t now_usec(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

static _Noreturn void compile_and_leave(int fd, const struct security *security,
                                        uint64_t capabilities, struct answer *answer) {
    answer->error = seccomp_compile(security, capabilities, &answer->code, &answer->fault);
    const char *at = (const char *)answer;
    size_t left = sizeof *answer;
    while (left > 0) {
        ssize_t written = write(fd, at, left);
        if (written < 0 && errno != EINTR)
            break;
        at += written > 0 ? written : 0;
        left -= written > 0 ? (size_t)written : 0;
    }
    _exit(left > 0);
}

/* Reads the whole answer before the deadline. */
static int read_answer(int fd, struct answer *answer, uint64_t deadline) {
    char *at = (char *)answer;
    size_t left = sizeof *answer;
    while (left > 0) {
        uint64_t now = now_usec();
        if (now >= deadline)
            return -ETIMEDOUT;
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        if (poll(&waiting, 1, (int)((deadline - now) / 1000) + 1) < 0 && errno != EINTR)
            return -errno;
        if (!waiting.revents)
            continue;
        ssize_t got = read(fd, at, left);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -EPROTO; /* it died of what it was asked to compile */
        at += got;
        left -= (size_t)got;
    }
    return answer->code.count <= BPF_MAXINSNS ? 0 : -EPROTO;
}

/* libseccomp runs in a process of its own: what may go wrong there is not to end the manager. */
static int compile_apart(const struct security *security, uint64_t capabilities,
                         struct answer *answer, struct fault *fault) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fault_set(fault, errno, "cannot compile the system call filter");
    scoped_fd int read_end = ends[0];
    scoped_fd int write_end = ends[1];
    pid_t helper = fork();
    if (helper < 0)
        return fault_set(fault, errno, "cannot compile the system call filter");
    if (helper == 0)
        compile_and_leave(write_end, security, capabilities, answer);
    close_fd(take_fd(&write_end)); /* else the pipe would never end */
    int error = read_answer(read_end, answer, now_usec() + COMPILE_USEC);
    /* It is ours and not yet reaped: its pid is still its own. */
    if (error)
        kill(helper, SIGKILL);
    while (waitpid(helper, NULL, 0) < 0 && errno == EINTR)
        ;
    if (error)
        return fault_set(fault, error, "the compiler of system call filters failed");
    if (answer->error && fault)
        *fault = answer->fault;
    return answer->error;
}

/* ---- get ---- */

/* Most units have the default one: it stays while none of them runs. */
static void keep_latest(struct seccomp_cache *cache, struct seccomp_program *program) {
    struct seccomp_program *before = cache->latest;
    cache->latest = ref(program);
    seccomp_unref(before);
}

static struct entry *find_entry(struct seccomp_cache *cache, const char *key) {
    struct entry *entry;
    list_for_each(entry, &cache->entries, link) if (strcmp(entry->key, key) == 0) return entry;
    return NULL;
}

int seccomp_get(struct seccomp_cache *cache, const struct security *security, uint64_t capabilities,
                struct seccomp_program **ret_program, struct fault *fault) {
    if (security->seccomp == SECCOMP_UNCONFINED) {
        *ret_program = NULL;
        return 0;
    }
    if (security->seccomp != SECCOMP_DEFAULT)
        return fault_say(fault, -EOPNOTSUPP,
                         "this version has the profiles \"default\" and \"unconfined\" alone");
    scoped_text struct text key = {0};
    capabilities &= seccomp_profile_capabilities();
    make_key(&key, security, capabilities);
    if (key.failed)
        return fault_set(fault, ENOMEM, "cannot make the system call filter");
    struct entry *entry = find_entry(cache, key.data);
    if (entry) {
        *ret_program = ref(&entry->program);
        keep_latest(cache, *ret_program);
        return 0;
    }

    scoped_free struct answer *answer = calloc(1, sizeof *answer);
    if (!answer)
        return fault_set(fault, ENOMEM, "cannot make the system call filter");
    if (!file_load(cache, key.data, &answer->code)) {
        int error = compile_apart(security, capabilities, answer, fault);
        if (error)
            return error;
        file_save(cache, key.data, &answer->code);
    }
    int error = add_entry(cache, key.data, answer->code.items, answer->code.count, ret_program);
    if (error)
        return fault_set(fault, error, "cannot make the system call filter");
    keep_latest(cache, *ret_program);
    return 0;
}
