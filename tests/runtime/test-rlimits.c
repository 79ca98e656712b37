/* Resource limits, nice and the out-of-memory score, on this very process. */

#include <fcntl.h>
#include <sys/resource.h>

#include "runtime/rlimits.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

TEST(limits_take_effect) {
    struct resource_limit items[] = {{RLIMIT_NOFILE, 64, 128}, {RLIMIT_CORE, 0, 0}};
    struct resource_limits limits = {items, 2};
    struct rlimit now;
    CHECK(rlimits_apply(&limits, NULL) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_max > 128);
    CHECK(rlimits_apply_files(&limits, NULL) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 64 && now.rlim_max == 128);
    CHECK(getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_max == 0);
    CHECK(dup2(1, 64) < 0 && errno == EBADF);
}

TEST(soft_above_hard_is_refused) {
    struct resource_limit item = {RLIMIT_NOFILE, 9, 8};
    struct resource_limits limits = {&item, 1};
    struct fault fault;
    CHECK(rlimits_apply_files(&limits, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "limit \"nofile\": soft 9 exceeds hard 8");
}

TEST(raising_without_the_capability_says_so) {
    struct resource_limit item = {RLIMIT_NOFILE, 64, 64};
    struct resource_limits limits = {&item, 1};
    struct fault fault;
    CHECK(rlimits_apply_files(&limits, NULL) == 0);
    if (geteuid() == 0)
        CHECK(setresuid(1234, 1234, 1234) == 0);
    item.hard = 65;
    CHECK(rlimits_apply(&limits, &fault) == -EPERM);
    CHECK_TEXT(fault.text, "cannot raise the hard limit \"nofile\" to 65: this host's root lacks "
                           "CAP_SYS_RESOURCE, or the kernel's own bound is lower");
}

/* A manager with more descriptors than a program may have still launches it. */
TEST(files_are_limited_last) {
    struct resource_limits none = {NULL, 0};
    struct rlimit now;
    CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0);
    now.rlim_cur = now.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &now) == 0);
    if (now.rlim_max <= 1024)
        SKIP("the hard limit of open files is no more than the usual soft one");
    CHECK(rlimits_apply(&none, NULL) == 0);
    CHECK(dup2(1, 1100) == 1100);
    CHECK(rlimits_apply_files(&none, NULL) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 1024);
}

TEST(nice_is_set) {
    struct fault fault;
    CHECK(nice_apply(INTEGER_UNSET, NULL) == 0);
    CHECK(nice_apply(7, NULL) == 0);
    CHECK(getpriority(PRIO_PROCESS, 0) == 7);
    CHECK(nice_apply(20, &fault) == -ERANGE);
    CHECK_TEXT(fault.text, "nice value 20 is not between -20 and 19");
    if (geteuid() == 0)
        CHECK(setresuid(1234, 1234, 1234) == 0);
    CHECK(nice_apply(-5, &fault) == -EPERM);
    CHECK_TEXT(fault.text,
               "cannot lower the nice value to -5: this host's root lacks CAP_SYS_NICE");
}

TEST(the_oom_score_is_set) {
    struct fault fault;
    scoped_fd int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(oom_score_apply(proc, INTEGER_UNSET, NULL) == 0);
    CHECK(oom_score_apply(proc, 321, &fault) == 0);
    scoped_free char *text = NULL;
    CHECK(file_read(proc, "self/oom_score_adj", 64, &text, NULL, NULL) == 0);
    CHECK_TEXT(text, "321\n");
    CHECK(oom_score_apply(proc, 1001, &fault) == -ERANGE);
    CHECK_TEXT(fault.text, "out-of-memory score 1001 is not between -1000 and 1000");
    scoped_fd int other = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(oom_score_apply(other, 5, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "cannot set the out-of-memory score: no procfs");
}

TEST(what_protects_the_manager_is_not_inherited) {
    scoped_fd int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (oom_score_apply(proc, -500, NULL) == -EPERM)
        SKIP("this host's root lacks CAP_SYS_RESOURCE");
    CHECK(oom_score_apply(proc, INTEGER_UNSET, NULL) == 0);
    scoped_free char *text = NULL;
    CHECK(file_read(proc, "self/oom_score_adj", 64, &text, NULL, NULL) == 0);
    CHECK_TEXT(text, "0\n");
}

TEST(lowering_the_oom_score_without_the_capability_says_so) {
    struct fault fault;
    scoped_fd int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = oom_score_apply(proc, -999, &fault);
    if (error == 0)
        SKIP("this root has CAP_SYS_RESOURCE");
    CHECK(error == -EPERM);
    CHECK_TEXT(fault.text, "cannot lower the out-of-memory score to -999: this host's root lacks "
                           "CAP_SYS_RESOURCE");
}

TEST_MAIN
