#pragma once
/* Test cases that print TAP: TEST(name) { CHECK(...); } and TEST_MAIN. Each case runs in a fork of
 * its own, so that a crash fails one case and nothing leaks into the next. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_SKIPPED 77

struct test_case {
    const char *name;
    void (*body)(void);
    struct test_case *next;
};

static struct test_case *test_cases, **test_last = &test_cases;

#define TEST(test_name)                                                                            \
    static void test_name(void);                                                                   \
    __attribute__((constructor)) static void register_##test_name(void) {                          \
        static struct test_case self = {#test_name, test_name, NULL};                              \
        *test_last = &self;                                                                        \
        test_last = &self.next;                                                                    \
    }                                                                                              \
    static void test_name(void)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# %s:%d: not true: %s (errno: %s)\n", __FILE__, __LINE__, #condition,          \
                   strerror(errno));                                                               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_TEXT(have, want)                                                                     \
    do {                                                                                           \
        const char *have_ = (have), *want_ = (want);                                               \
        if (!have_ || strcmp(have_, want_) != 0) {                                                 \
            printf("# %s:%d: %s\n#   have: %s\n#   want: %s\n", __FILE__, __LINE__, #have,         \
                   have_ ? have_ : "(null)", want_);                                               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define SKIP(reason)                                                                               \
    do {                                                                                           \
        printf("# skip: %s\n", reason);                                                            \
        exit(TEST_SKIPPED);                                                                        \
    } while (0)

/* `program` runs every case, `program NAME` one of them. */
static int test_main(int argc, char **argv) {
    int number = 0, failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct test_case *test = test_cases; test; test = test->next) {
        if (argc > 1 && strcmp(argv[1], test->name) != 0)
            continue;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            test->body();
            exit(0);
        }
        int status = -1;
        while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        if (WIFSIGNALED(status))
            printf("# ended by signal %d\n", WTERMSIG(status));
        if (code == TEST_SKIPPED)
            printf("ok %d - %s # SKIP\n", ++number, test->name);
        else
            printf("%sok %d - %s\n", code ? "not " : "", ++number, test->name);
        failed += code && code != TEST_SKIPPED;
    }
    printf("1..%d\n", number);
    return failed ? 1 : 0;
}

#define TEST_MAIN                                                                                  \
    int main(int argc, char **argv) {                                                              \
        return test_main(argc, argv);                                                              \
    }
