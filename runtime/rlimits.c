#include "runtime/rlimits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/base/rlimit-names.h"
#include "units/base/scoped.h"

#define FILES_USUAL 1024 /* soft limit of open files since the kernel's first days */

static int refused(const struct resource_limit *limit, int error, struct fault *fault) {
    const char *name = names_word(&rlimit_names, limit->resource);
    if (error == EPERM)
        return fault_say(fault, -EPERM,
                         "cannot raise the hard limit \"%s\" to %llu: this host's root lacks "
                         "CAP_SYS_RESOURCE, or the kernel's own bound is lower",
                         name, (unsigned long long)limit->hard);
    return fault_set(fault, error, "cannot set limit \"%s\" to %llu:%llu", name,
                     (unsigned long long)limit->soft, (unsigned long long)limit->hard);
}

static int set(const struct resource_limit *limit, struct fault *fault) {
    if (limit->soft > limit->hard)
        return fault_say(fault, -EINVAL, "limit \"%s\": soft %llu exceeds hard %llu",
                         names_word(&rlimit_names, limit->resource),
                         (unsigned long long)limit->soft, (unsigned long long)limit->hard);
    struct rlimit pair = {.rlim_cur = limit->soft, .rlim_max = limit->hard};
    if (prlimit(0, (__rlimit_resource_t)limit->resource, &pair, NULL) < 0)
        return refused(limit, errno, fault);
    return 0;
}

/* Only upward, while the host's capabilities are there: rlimits_apply_files does the rest. */
static int raise_files(const struct resource_limit *limit, struct fault *fault) {
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) < 0)
        return fault_set(fault, errno, "cannot read the limit of open files");
    if (limit->hard <= now.rlim_max)
        return 0;
    struct rlimit raised = {.rlim_cur = now.rlim_cur, .rlim_max = limit->hard};
    return setrlimit(RLIMIT_NOFILE, &raised) < 0 ? refused(limit, errno, fault) : 0;
}

int rlimits_apply(const struct resource_limits *limits, struct fault *fault) {
    for (size_t i = 0; i < limits->count; i++) {
        const struct resource_limit *limit = &limits->items[i];
        int error =
            limit->resource == RLIMIT_NOFILE ? raise_files(limit, fault) : set(limit, fault);
        if (error)
            return error;
    }
    return 0;
}

int rlimits_apply_files(const struct resource_limits *limits, struct fault *fault) {
    for (size_t i = limits->count; i-- > 0;)
        if (limits->items[i].resource == RLIMIT_NOFILE)
            return set(&limits->items[i], fault);
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) < 0)
        return fault_set(fault, errno, "cannot read the limit of open files");
    if (now.rlim_cur <= FILES_USUAL)
        return 0;
    now.rlim_cur = FILES_USUAL;
    if (setrlimit(RLIMIT_NOFILE, &now) < 0)
        return fault_set(fault, errno, "cannot lower the limit of open files");
    return 0;
}

int nice_apply(int64_t nice, struct fault *fault) {
    if (nice == INTEGER_UNSET)
        return 0;
    if (nice < -20 || nice > 19)
        return fault_say(fault, -ERANGE, "nice value %lld is not between -20 and 19",
                         (long long)nice);
    if (setpriority(PRIO_PROCESS, 0, (int)nice) == 0)
        return 0;
    /* setpriority(2) says EACCES where it means "not without CAP_SYS_NICE". */
    if (errno == EACCES)
        return fault_say(fault, -EPERM,
                         "cannot lower the nice value to %lld: this host's root lacks CAP_SYS_NICE",
                         (long long)nice);
    return fault_set(fault, errno, "cannot set the nice value %lld", (long long)nice);
}

/* What protects the manager and its keeper is not for what they start. */
static int current_oom_score(int fd) {
    char text[16];
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    text[length < 0 ? 0 : length] = '\0';
    return atoi(text);
}

int oom_score_apply(int proc, int64_t score, struct fault *fault) {
    bool given = score != INTEGER_UNSET;
    if (given && (score < -1000 || score > 1000))
        return fault_say(fault, -ERANGE, "out-of-memory score %lld is not between -1000 and 1000",
                         (long long)score);
    struct statfs status;
    if (fstatfs(proc, &status) < 0 || status.f_type != PROC_SUPER_MAGIC)
        return fault_say(fault, -EINVAL, "cannot set the out-of-memory score: no procfs");
    /* Without O_NOFOLLOW: "self" is a link, and procfs is the kernel's own. */
    scoped_fd int fd = openat(proc, "self/oom_score_adj", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open the out-of-memory score");
    if (!given && current_oom_score(fd) >= 0)
        return 0;
    char text[16];
    int length = snprintf(text, sizeof text, "%d", given ? (int)score : 0);
    if (write(fd, text, (size_t)length) >= 0)
        return 0;
    if (errno == EACCES || errno == EPERM)
        return fault_say(fault, -EPERM,
                         "cannot lower the out-of-memory score to %d: this host's root lacks "
                         "CAP_SYS_RESOURCE",
                         (int)score);
    return fault_set(fault, errno, "cannot set the out-of-memory score %d", (int)score);
}
