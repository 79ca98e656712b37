#include "runtime/stats.h"

#include <string.h>

#include "runtime/cgroup-tree.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

#define IO_STAT_MOST (256 * 1024) /* a line for each block device */

static uint64_t value(int directory, const char *file, const char *key) {
    uint64_t found;
    return cgroup_tree_value(directory, file, key, &found) == 0 ? found : LIMIT_UNSET;
}

/* The sum of " NAME=NUMBER" over all devices. */
static uint64_t sum(const char *data, const char *name) {
    uint64_t total = 0;
    size_t length = strlen(name);
    for (const char *at = data; (at = strstr(at, name)); at += length)
        if (at > data && at[-1] == ' ')
            total += strtoull(at + length, NULL, 10);
    return total;
}

void stats_read(int directory, struct sandbox_stats *ret_stats) {
    *ret_stats = (struct sandbox_stats){
        .memory_current = value(directory, "memory.current", NULL),
        .memory_peak = value(directory, "memory.peak", NULL), /* 5.19 */
        .memory_max = value(directory, "memory.max", NULL),
        .swap_current = value(directory, "memory.swap.current", NULL),
        .cpu_usec = value(directory, "cpu.stat", "usage_usec"),
        .cpu_user_usec = value(directory, "cpu.stat", "user_usec"),
        .cpu_system_usec = value(directory, "cpu.stat", "system_usec"),
        .cpu_throttled_usec = value(directory, "cpu.stat", "throttled_usec"),
        .pids_current = value(directory, "pids.current", NULL),
        .pids_peak = value(directory, "pids.peak", NULL), /* 6.1 */
        .pids_max = value(directory, "pids.max", NULL),
        .io_read_bytes = LIMIT_UNSET,
        .io_written_bytes = LIMIT_UNSET,
    };
    scoped_free char *data = NULL;
    if (file_read(directory, "io.stat", IO_STAT_MOST, &data, NULL, NULL) < 0)
        return;
    ret_stats->io_read_bytes = sum(data, "rbytes=");
    ret_stats->io_written_bytes = sum(data, "wbytes=");
}
