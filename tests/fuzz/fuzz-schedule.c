/* Any bytes as a schedule: what parses has a value in each field, and none out of range. */

#include <stdlib.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"
#include "units/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(uint64_t set, unsigned least, unsigned most) {
    if (set == 0 || set >> (most + 1) || set & ((1ULL << least) - 1))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scoped_free char *string = strndup((const char *)data, size);
    struct schedule schedule;
    struct fault fault;
    if (!string)
        abort();
    schedule_check(string, &fault);
    if (schedule_parse(string, &schedule, &fault) < 0)
        return 0;
    check(schedule.minutes, 0, 59);
    check(schedule.hours, 0, 23);
    check(schedule.days, 1, 31);
    check(schedule.months, 1, 12);
    check(schedule.weekdays, 0, 6);
    return 0;
}
