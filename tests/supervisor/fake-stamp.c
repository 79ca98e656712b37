/* What timers keep: in memory, over managers that come and go. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/stamp.h"
#include "tests/supervisor/fake.h"

#define STAMPS_MAX 1024

static struct kept {
    char name[UNIT_NAME_MAX];
    struct stamp stamp; /* of no date: none */
    bool booted;
} stamps[STAMPS_MAX];

static struct kept *kept_of(const char *name) {
    for (size_t i = 0; i < STAMPS_MAX; i++) {
        if (!*stamps[i].name)
            snprintf(stamps[i].name, sizeof(stamps[i].name), "%s", name);
        if (strcmp(stamps[i].name, name) == 0)
            return &stamps[i];
    }
    abort();
}

void fake_set_stamp(const char *name, uint64_t date) {
    kept_of(name)->stamp = (struct stamp){date, date};
}

uint64_t fake_stamp(const char *name) {
    return kept_of(name)->stamp.done;
}

int stamp_read(const struct manager *manager, const char *name, struct stamp *ret_stamp,
               struct fault *fault) {
    (void)manager;
    struct stamp stamp = kept_of(name)->stamp;
    if (stamp.done == 0)
        return fault_say(fault, ENOENT, "no stamp of %s", name);
    if (stamp.done == FAKE_BAD_STAMP)
        return fault_say(fault, EINVAL, "the stamp of %s is no time", name);
    *ret_stamp = stamp;
    return 0;
}

int stamp_write(const struct manager *manager, const char *name, const struct stamp *stamp,
                struct fault *fault) {
    (void)manager, (void)fault;
    kept_of(name)->stamp = *stamp;
    return 0;
}

int stamp_remove(const struct manager *manager, const char *name, struct fault *fault) {
    (void)manager, (void)fault;
    kept_of(name)->stamp = (struct stamp){0};
    return 0;
}

bool stamp_has_booted(const struct manager *manager, const char *name) {
    (void)manager;
    return kept_of(name)->booted;
}

int stamp_set_booted(const struct manager *manager, const char *name, struct fault *fault) {
    (void)manager, (void)fault;
    kept_of(name)->booted = true;
    return 0;
}

void stamp_forget_boot(const struct manager *manager) {
    (void)manager;
    for (size_t i = 0; i < STAMPS_MAX; i++)
        stamps[i].booted = false;
}
