#include "runtime/scheduling.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

/* A word, and perhaps ":NUMBER". */
static bool has_word(const char *text, const char *word, const char **ret_number) {
    size_t length = strlen(word);
    if (strncmp(text, word, length) != 0 || (text[length] && text[length] != ':'))
        return false;
    *ret_number = text[length] ? text + length + 1 : NULL;
    return true;
}

static int read_number(const char *number, int *ret_value) {
    uint64_t value = 0;
    int error = number ? number_parse(number, &value) : 0;
    if (error < 0 || value > INT16_MAX)
        return -EINVAL;
    *ret_value = (int)value;
    return 0;
}

/* ---- the processor ---- */

static const struct policy {
    const char *word;
    int number;
} policies[] = {
    {"other", SCHED_OTHER}, {"batch", SCHED_BATCH}, {"idle", SCHED_IDLE},
    {"fifo", SCHED_FIFO},   {"rr", SCHED_RR},
};

int scheduling_apply(const char *policy, struct fault *fault) {
    const char *number = NULL;
    if (!policy)
        return 0;
    for (size_t i = 0; i < ELEMENTS(policies); i++) {
        struct sched_param parameter = {0};
        if (!has_word(policy, policies[i].word, &number))
            continue;
        if (read_number(number, &parameter.sched_priority) < 0)
            break;
        if (sched_setscheduler(0, policies[i].number, &parameter) == 0)
            return 0;
        if (errno == EPERM)
            return fault_say(fault, -EPERM,
                             "cannot set the scheduling policy \"%s\": this host's root lacks "
                             "CAP_SYS_NICE, or its cgroup has no share of real time",
                             policy);
        return fault_set(fault, errno, "cannot set the scheduling policy \"%s\"", policy);
    }
    return fault_say(fault, -EINVAL, "\"%s\" is no scheduling policy", policy);
}

/* ---- the disks: glibc has neither function nor constants (ioprio_set(2)) ---- */

#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_CLASS_SHIFT 13

static const struct class {
    const char *word;
    int number;
} classes[] = {{"realtime", 1}, {"best-effort", 2}, {"idle", 3}};

int io_priority_apply(const char *priority, struct fault *fault) {
    const char *number = NULL;
    int level;
    if (!priority)
        return 0;
    for (size_t i = 0; i < ELEMENTS(classes); i++) {
        if (!has_word(priority, classes[i].word, &number))
            continue;
        if (read_number(number, &level) < 0)
            break;
        int value = classes[i].number << IOPRIO_CLASS_SHIFT | level;
        if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) == 0)
            return 0;
        if (errno == EPERM)
            return fault_say(fault, -EPERM,
                             "cannot set the disk priority \"%s\": this host's root lacks "
                             "CAP_SYS_NICE and CAP_SYS_ADMIN",
                             priority);
        return fault_set(fault, errno, "cannot set the disk priority \"%s\"", priority);
    }
    return fault_say(fault, -EINVAL, "\"%s\" is no disk priority", priority);
}
