/* ringfence-logd killed at every system call of a chunk's way, before it and after it, and after
 * every so many instructions of it: a successor brings it to its end, and every line is there once.
 * RINGFENCE_STRIDE=1 tries after each single instruction (minutes). */

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/log/output.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

enum { STRIDE = 1499, LINES_A_TURN = 3, UNTRACEABLE = 2 };

/* ---- what logd.c has of a logger ---- */

void logger_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("# ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    abort(); /* there is nothing to complain about */
}

uint64_t logger_now(void) {
    return 1000;
}

/* ---- the stage ---- */

static char top[] = "/tmp/ringfence-test-killed-XXXXXX";
static int directory, fifo;
static unsigned said;   /* lines so far */
static unsigned killed; /* loggers */

static void remove_top(void) {
    directory_remove(AT_FDCWD, top, NULL);
}

static void put(const char *path, const char *text) {
    struct fault fault;
    CHECK(file_replace(directory, path, text, strlen(text), 0600, false, &fault) == 0);
}

/* Small files, so that rotation is among what is interrupted. */
static void begin(void) {
    CHECK(mkdtemp(top));
    atexit(remove_top);
    directory = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(directory >= 0 && mkdirat(directory, "output", 0700) == 0 &&
          mkdirat(directory, "output/web", 0700) == 0 && mkdirat(directory, "log", 0700) == 0 &&
          mkfifoat(directory, "output/web/out", 0600) == 0);
    fifo = openat(directory, "output/web/out", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    CHECK(fifo >= 0);
    put("output/web/settings",
        "driver=file\nmax_size=200\nmax_files=10000\nmax_line=80\nrate=0\ninterval=1000\n");
    put("output/web/pid", "42         42        \n");
}

/* Whole lines, and the beginning of one that is ended in the next turn. */
static void say(void) {
    for (unsigned i = 0; i < LINES_A_TURN; i++) {
        char text[32];
        const char *end_before = i == 0 && said > 0 ? "\n" : "";
        int length = snprintf(text, sizeof text, "%s%u", end_before, said + 1);
        said++;
        if (i + 1 < LINES_A_TURN)
            text[length++] = '\n';
        CHECK(write(fifo, text, (size_t)length) == length);
    }
}

enum stop { STOP_NEVER, STOP_BEFORE_RECOVERY, STOP_BEFORE_TAKING };

static void stop_here(void) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(UNTRACEABLE);
    raise(SIGSTOP);
}

static _Noreturn void be_logger(enum stop stop) {
    static struct logger logger = {.units = LIST(logger.units),
                                   .holding = LIST(logger.holding),
                                   .dropping = LIST(logger.dropping),
                                   .waiting = LIST(logger.waiting),
                                   .blocked = LIST(logger.blocked),
                                   .sinks = {{-EBADF}, {-EBADF}, {-EBADF}, {-EBADF}}};
    struct fault fault;
    logger.epoll = epoll_create1(EPOLL_CLOEXEC);
    logger.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    logger.outputs = openat(directory, "output", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    logger.log_directory = openat(directory, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (stop == STOP_BEFORE_RECOVERY)
        stop_here();
    if (ledger_open(&logger.ledger, directory, &fault) < 0 ||
        output_open(&logger, "web", &fault) < 0)
        _exit(EXIT_FAILURE);
    if (stop == STOP_BEFORE_TAKING)
        stop_here();
    struct output *output = list_first(&logger.units, struct output, link);
    stream_take(&output->streams[LOG_OUT], false);
    _exit(0);
}

/* One logger that is killed after so many stops of this kind. False: it had ended before. */
static bool kill_after(enum stop stop, enum __ptrace_request kind, unsigned stops) {
    int status;
    pid_t pid = fork();
    if (pid == 0)
        be_logger(stop);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == UNTRACEABLE)
        SKIP("ptrace(2) is not permitted here");
    for (unsigned i = 0; i < stops && WIFSTOPPED(status); i++)
        CHECK(ptrace(kind, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status)) {
        CHECK(WEXITSTATUS(status) == 0);
        return false;
    }
    CHECK(WIFSTOPPED(status) && kill(pid, SIGKILL) == 0);
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
        continue;
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    killed++;
    return true;
}

/* One logger is killed, then its successor while it sets things right; the third comes through. */
static bool try_at(enum __ptrace_request kind, unsigned stops) {
    int status;
    say();
    if (!kill_after(STOP_BEFORE_TAKING, kind, stops))
        return false;
    kill_after(STOP_BEFORE_RECOVERY, PTRACE_SYSCALL, 1 + stops * 13 % 151);
    pid_t pid = fork();
    if (pid == 0)
        be_logger(STOP_NEVER);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return true;
}

/* ---- what came of it ---- */

/* Checks one file of lines from number `next` on. */
static unsigned check_file(const char *name, unsigned next) {
    struct fault fault;
    scoped_free char *text = NULL;
    size_t length;
    CHECK(file_read(directory, name, 1 << 20, &text, &length, &fault) == 0);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        struct log_record record;
        char number[16];
        int digits = snprintf(number, sizeof number, "%u", next);
        size_t size = strcspn(line, "\n");
        bool right = line[size] == '\n' && log_record_parse(line, size, &record) == 0 &&
                     !record.partial && record.length == (size_t)digits &&
                     memcmp(record.text, number, (size_t)digits) == 0;
        if (!right)
            printf("# %s: %.*s instead of %u\n", name, (int)size, line, next);
        CHECK(right);
        next++;
    }
    return next;
}

static void check_all(void) {
    char name[64];
    struct stat status;
    unsigned oldest = 0, next = 1;
    while (snprintf(name, sizeof name, "log/web/current.%u", oldest + 1) > 0 &&
           fstatat(directory, name, &status, 0) == 0)
        oldest++;
    CHECK(oldest > 0);
    for (unsigned i = oldest; i > 0; i--) {
        snprintf(name, sizeof name, "log/web/current.%u", i);
        next = check_file(name, next);
    }
    if (fstatat(directory, "log/web/current", &status, 0) == 0)
        next = check_file("log/web/current", next);
    CHECK(next == said); /* the last one has not ended yet */
    printf("# %u loggers were killed, %u lines\n", killed, said - 1);
}

TEST(killed_at_each_system_call) {
    begin();
    /* The way differs with where files are rotated: once is not enough. */
    for (int round = 0; round < 4; round++)
        for (unsigned stops = 1; try_at(PTRACE_SYSCALL, stops); stops++)
            continue;
    check_all();
}

TEST(killed_between_two_instructions) {
    const char *given = getenv("RINGFENCE_STRIDE");
    unsigned stride = given ? (unsigned)atoi(given) : STRIDE;
    begin();
    for (unsigned steps = 1; try_at(PTRACE_SINGLESTEP, steps); steps += stride)
        continue;
    check_all();
}

TEST_MAIN
