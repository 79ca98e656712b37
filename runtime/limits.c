#include "runtime/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "runtime/cgroup-tree.h"
#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/text.h"

#define CPU_PERIOD 100000 /* microseconds; struct resources says its quota per 100 ms */

/* One unit's limits on their way into its cgroup. */
struct writer {
    int directory;
    const struct controllers *controllers;
    bool missing_warn;
    struct text *notes;
    struct fault *fault;
};

/* ---- what is asked for ---- */

static const struct {
    const char *file;
    size_t offset;
} memory_sizes[] = {
    {"memory.max", offsetof(struct resources, memory_max)},
    {"memory.high", offsetof(struct resources, memory_high)},
    {"memory.low", offsetof(struct resources, memory_low)},
    {"memory.min", offsetof(struct resources, memory_min)},
    {"memory.swap.max", offsetof(struct resources, swap_max)},
};

static uint64_t memory_size(const struct resources *resources, size_t index) {
    uint64_t bytes;
    memcpy(&bytes, (const char *)resources + memory_sizes[index].offset, sizeof bytes);
    return bytes;
}

unsigned limits_controllers(const struct resources *resources) {
    unsigned wanted = 0;
    for (size_t i = 0; i < ELEMENTS(memory_sizes); i++)
        if (memory_size(resources, i) != LIMIT_UNSET)
            wanted |= 1u << CONTROLLER_MEMORY;
    if (resources->cpu_quota != LIMIT_UNSET || resources->cpu_weight != INTEGER_UNSET)
        wanted |= 1u << CONTROLLER_CPU;
    if (resources->cpuset_cpus || resources->cpuset_mems)
        wanted |= 1u << CONTROLLER_CPUSET;
    if (resources->io_weight != INTEGER_UNSET || resources->io_max.count > 0)
        wanted |= 1u << CONTROLLER_IO;
    if (resources->pids_max != INTEGER_UNSET)
        wanted |= 1u << CONTROLLER_PIDS;
    if (resources->hugetlb_max.count > 0)
        wanted |= 1u << CONTROLLER_HUGETLB;
    return wanted;
}

/* ---- writing, or saying why not ---- */

static const char *const absences[] = {
    [CONTROLLER_ABSENT] = "which this kernel does not have: it was built without it, or "
                          "cgroup_disable= turned it off",
    [CONTROLLER_ON_V1] = "which this host has bound to cgroup v1: boot with "
                         "systemd.unified_cgroup_hierarchy=1",
    [CONTROLLER_NOT_OURS] = "which is not handed down to ringfence's cgroup: the cgroup above it "
                            "holds processes of its own or withholds it; give another one with "
                            "--cgroup",
    [CONTROLLER_USABLE] = "which is there",
};
_Static_assert(ELEMENTS(absences) == CONTROLLER_USABLE + 1, "a reason for every state");

/* note_only: the file did not ask for it, so that the unit runs without. */
static int missing(struct writer *writer, enum controller controller, const char *file,
                   bool note_only) {
    const char *name = names_word(&controller_names, (int)controller);
    const char *why = absences[writer->controllers->states[controller]];
    if (note_only || writer->missing_warn) {
        text_format(writer->notes,
                    "%s is not enforced: it needs the %s controller of cgroup v2, %s\n", file, name,
                    why);
        return 0;
    }
    return fault_say(writer->fault, -EOPNOTSUPP,
                     "%s needs the %s controller of cgroup v2, %s, or set missing_controllers = "
                     "\"warn\" for the manager to run without the limit",
                     file, name, why);
}

static int write_limit(struct writer *writer, enum controller controller, const char *file,
                       const char *value) {
    if (writer->controllers->states[controller] != CONTROLLER_USABLE)
        return missing(writer, controller, file, false);
    int error = cgroup_tree_write(writer->directory, file, value);
    if (error == -ENOENT)
        return fault_say(writer->fault, -EOPNOTSUPP, "this kernel has no \"%s\" in its cgroups",
                         file);
    if (error)
        return fault_set(writer->fault, error, "cannot write \"%s\" to \"%s\"", value, file);
    return 0;
}

/* A number, or "max". */
static int write_number(struct writer *writer, enum controller controller, const char *file,
                        uint64_t value) {
    char text[32];
    if (value == SIZE_NONE)
        return write_limit(writer, controller, file, "max");
    snprintf(text, sizeof text, "%" PRIu64, value);
    return write_limit(writer, controller, file, text);
}

/* ---- one controller each ---- */

static int apply_memory(struct writer *writer, const struct resources *resources) {
    int error = 0;
    for (size_t i = 0; !error && i < ELEMENTS(memory_sizes); i++) {
        uint64_t bytes = memory_size(resources, i);
        if (bytes != LIMIT_UNSET)
            error = write_number(writer, CONTROLLER_MEMORY, memory_sizes[i].file, bytes);
    }
    if (error || !resources->oom_group)
        return error;
    /* On by default: no host is refused for it. */
    if (writer->controllers->states[CONTROLLER_MEMORY] != CONTROLLER_USABLE)
        return missing(writer, CONTROLLER_MEMORY, "memory.oom.group", true);
    return write_limit(writer, CONTROLLER_MEMORY, "memory.oom.group", "1");
}

static int apply_cpu(struct writer *writer, const struct resources *resources) {
    char value[64];
    int error = 0;
    if (resources->cpu_quota != LIMIT_UNSET) {
        if (resources->cpu_quota == SIZE_NONE)
            snprintf(value, sizeof value, "max %d", CPU_PERIOD);
        else
            snprintf(value, sizeof value, "%" PRIu64 " %d", resources->cpu_quota, CPU_PERIOD);
        error = write_limit(writer, CONTROLLER_CPU, "cpu.max", value);
    }
    if (!error && resources->cpu_weight != INTEGER_UNSET)
        error = write_number(writer, CONTROLLER_CPU, "cpu.weight", (uint64_t)resources->cpu_weight);
    if (!error && resources->cpuset_cpus)
        error = write_limit(writer, CONTROLLER_CPUSET, "cpuset.cpus", resources->cpuset_cpus);
    if (!error && resources->cpuset_mems)
        error = write_limit(writer, CONTROLLER_CPUSET, "cpuset.mems", resources->cpuset_mems);
    return error;
}

static int apply_pids(struct writer *writer, const struct resources *resources) {
    if (resources->pids_max == INTEGER_UNSET)
        return 0;
    if (writer->controllers->states[CONTROLLER_PIDS] != CONTROLLER_USABLE)
        return missing(writer, CONTROLLER_PIDS, "pids.max", resources->pids_max_is_default);
    return write_number(writer, CONTROLLER_PIDS, "pids.max",
                        resources->pids_max == 0 ? SIZE_NONE : (uint64_t)resources->pids_max);
}

/* "MAJOR:MINOR" of a whole disk: limits of a partition do not exist. */
static int find_disk(const char *device, char *ret_number, size_t size, struct fault *fault) {
    unsigned major_number, minor_number;
    int end = 0;
    if (sscanf(device, "%4u:%7u%n", &major_number, &minor_number, &end) != 2 || device[end]) {
        struct stat status;
        if (stat(device, &status) < 0)
            return fault_set(fault, errno, "cannot limit device \"%s\"", device);
        if (!S_ISBLK(status.st_mode))
            return fault_say(fault, -ENOTBLK, "cannot limit \"%s\": it is not a block device",
                             device);
        major_number = major(status.st_rdev);
        minor_number = minor(status.st_rdev);
    }
    char path[128], whole[32];
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/partition", major_number, minor_number);
    if (access(path, F_OK) == 0) {
        snprintf(path, sizeof path, "/sys/dev/block/%u:%u/../dev", major_number, minor_number);
        scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t length = fd < 0 ? -1 : read(fd, whole, sizeof whole - 1);
        if (length <= 0)
            return fault_set(fault, length < 0 ? errno : EIO, "cannot find the disk of \"%s\"",
                             device);
        whole[length] = '\0';
        whole[strcspn(whole, "\n")] = '\0';
        snprintf(ret_number, size, "%s", whole);
        return 0;
    }
    snprintf(ret_number, size, "%u:%u", major_number, minor_number);
    return 0;
}

static void add_rate(struct text *line, const char *name, uint64_t rate) {
    if (rate == SIZE_NONE)
        text_format(line, " %s=max", name);
    else
        text_format(line, " %s=%" PRIu64, name, rate);
}

/* io.weight is the cost model's, io.bfq.weight the scheduler's: which of them a disk heeds is
 * decided disk by disk, and a kernel may have both files or one. The scheduler's range ends at
 * 1000, with the usual 100 in both. */
static int apply_io_weight(struct writer *writer, int64_t weight) {
    char value[64];
    bool usable = writer->controllers->states[CONTROLLER_IO] == CONTROLLER_USABLE;
    bool bfq = usable && faccessat(writer->directory, "io.bfq.weight", F_OK, 0) == 0;
    int error = 0;
    if (bfq) {
        int64_t scaled = weight <= 100 ? weight : 100 + (weight - 100) * 900 / 9900;
        snprintf(value, sizeof value, "default %" PRId64, scaled);
        error = write_limit(writer, CONTROLLER_IO, "io.bfq.weight", value);
    }
    if (error || (bfq && faccessat(writer->directory, "io.weight", F_OK, 0) < 0))
        return error;
    snprintf(value, sizeof value, "default %" PRId64, weight);
    return write_limit(writer, CONTROLLER_IO, "io.weight", value);
}

static int apply_io(struct writer *writer, const struct resources *resources) {
    char value[64];
    int error = 0;
    if (resources->io_weight != INTEGER_UNSET)
        error = apply_io_weight(writer, resources->io_weight);
    for (size_t i = 0; !error && i < resources->io_max.count; i++) {
        const struct io_limit *limit = &resources->io_max.items[i];
        if (writer->controllers->states[CONTROLLER_IO] != CONTROLLER_USABLE)
            return missing(writer, CONTROLLER_IO, "io.max", false);
        scoped_text struct text line = {0};
        error = find_disk(limit->device, value, sizeof value, writer->fault);
        if (error)
            return error;
        text_add(&line, value);
        add_rate(&line, "rbps", limit->rbps);
        add_rate(&line, "wbps", limit->wbps);
        add_rate(&line, "riops", limit->riops);
        add_rate(&line, "wiops", limit->wiops);
        if (line.failed)
            return fault_set(writer->fault, ENOMEM, "cannot limit device \"%s\"", limit->device);
        error = write_limit(writer, CONTROLLER_IO, "io.max", line.data);
    }
    return error;
}

/* "2MB=64M": the page size as the kernel names its files, then bytes. */
static int apply_hugetlb(struct writer *writer, const struct resources *resources) {
    for (size_t i = 0; i < resources->hugetlb_max.count; i++) {
        const char *entry = resources->hugetlb_max.items[i];
        size_t digits = strspn(entry, "0123456789");
        const char *unit = entry + digits;
        bool page = digits > 0 && digits < 8 &&
                    (strncmp(unit, "KB=", 3) == 0 || strncmp(unit, "MB=", 3) == 0 ||
                     strncmp(unit, "GB=", 3) == 0);
        uint64_t bytes;
        if (!page || size_parse(unit + 3, &bytes) < 0)
            return fault_say(writer->fault, -EINVAL,
                             "limit of huge pages \"%s\": \"PAGESIZE=SIZE\" is wanted, such as "
                             "\"2MB=64M\"",
                             entry);
        char file[64];
        snprintf(file, sizeof file, "hugetlb.%.*s.max", (int)digits + 2, entry);
        int error = write_number(writer, CONTROLLER_HUGETLB, file, bytes);
        if (error)
            return error;
    }
    return 0;
}

int limits_apply(int directory, const struct controllers *controllers,
                 const struct resources *resources, bool missing_warn, struct text *notes,
                 struct fault *fault) {
    struct writer writer = {directory, controllers, missing_warn, notes, fault};
    int error = apply_memory(&writer, resources);
    if (!error)
        error = apply_cpu(&writer, resources);
    if (!error)
        error = apply_pids(&writer, resources);
    if (!error)
        error = apply_io(&writer, resources);
    if (!error)
        error = apply_hugetlb(&writer, resources);
    if (!error && notes->failed)
        error = fault_set(fault, ENOMEM, "cannot note what is not enforced");
    return error;
}
