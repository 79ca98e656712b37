/* Limits as they are written, into a directory of plain files in place of a cgroup; and the figures
 * read back. */

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "runtime/cgroup-tree.h"
#include "runtime/limits.h"
#include "runtime/stats.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

static char fake_path[] = "/tmp/ringfence-limits-XXXXXX";

static int make_fake(void) {
    static const char *const files[] = {
        "memory.max", "memory.high",      "memory.low",  "memory.min",      "memory.swap.max",
        "cpu.max",    "cpu.weight",       "cpuset.cpus", "cpuset.mems",     "io.weight",
        "io.max",     "memory.oom.group", "pids.max",    "hugetlb.2MB.max",
    };
    CHECK(mkdtemp(fake_path));
    int fd = open(fake_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    for (size_t i = 0; i < ELEMENTS(files); i++)
        close_fd(openat(fd, files[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    return fd;
}

static void drop_fake(void) {
    CHECK(directory_remove(AT_FDCWD, fake_path, NULL) == 0);
}

static void check_file(int directory, const char *file, const char *want) {
    scoped_free char *text = NULL;
    CHECK(file_read(directory, file, 4096, &text, NULL, NULL) == 0);
    CHECK_TEXT(text, want);
}

static void put(int directory, const char *file, const char *text) {
    CHECK(file_replace(directory, file, text, strlen(text), 0644, false, NULL) == 0);
}

static const struct resources unlimited = {
    .memory_max = LIMIT_UNSET,
    .memory_high = LIMIT_UNSET,
    .memory_low = LIMIT_UNSET,
    .memory_min = LIMIT_UNSET,
    .swap_max = LIMIT_UNSET,
    .cpu_quota = LIMIT_UNSET,
    .cpu_weight = INTEGER_UNSET,
    .io_weight = INTEGER_UNSET,
    .pids_max = INTEGER_UNSET,
};

static struct controllers all(enum controller_state state) {
    struct controllers controllers;
    for (int i = 0; i < CONTROLLERS; i++)
        controllers.states[i] = state;
    return controllers;
}

TEST(all_limits_are_written) {
    struct io_limit io[] = {{"7:77", 1000, SIZE_NONE, 20, SIZE_NONE}};
    char *pages[] = {"2MB=64M", NULL};
    struct resources resources = {
        .memory_max = 96 << 20,
        .memory_high = 64 << 20,
        .memory_low = 4096,
        .memory_min = 0,
        .swap_max = SIZE_NONE,
        .cpu_quota = 150000,
        .cpu_weight = 200,
        .cpuset_cpus = "0-1",
        .cpuset_mems = "0",
        .io_weight = 50,
        .io_max = {io, 1},
        .pids_max = 64,
        .hugetlb_max = {pages, 1},
        .oom_group = true,
    };
    struct controllers controllers = all(CONTROLLER_USABLE);
    scoped_text struct text notes = {0};
    struct fault fault = {""};
    scoped_fd int fake = make_fake();
    CHECK(limits_controllers(&resources) == (1u << CONTROLLERS) - 1);
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, &fault) == 0);
    CHECK(notes.length == 0);
    check_file(fake, "memory.max", "100663296");
    check_file(fake, "memory.high", "67108864");
    check_file(fake, "memory.low", "4096");
    check_file(fake, "memory.min", "0");
    check_file(fake, "memory.swap.max", "max");
    check_file(fake, "memory.oom.group", "1");
    check_file(fake, "cpu.max", "150000 100000");
    check_file(fake, "cpu.weight", "200");
    check_file(fake, "cpuset.cpus", "0-1");
    check_file(fake, "cpuset.mems", "0");
    check_file(fake, "io.weight", "default 50");
    check_file(fake, "io.max", "7:77 rbps=1000 wbps=max riops=20 wiops=max");
    check_file(fake, "pids.max", "64");
    check_file(fake, "hugetlb.2MB.max", "67108864");
    drop_fake();
}

TEST(nothing_is_written_unasked) {
    struct resources resources = unlimited;
    struct controllers controllers = all(CONTROLLER_ON_V1);
    scoped_text struct text notes = {0};
    scoped_fd int fake = make_fake();
    CHECK(limits_controllers(&resources) == 0);
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, NULL) == 0);
    CHECK(notes.length == 0);
    resources.pids_max = 0;
    resources.cpu_quota = SIZE_NONE;
    controllers = all(CONTROLLER_USABLE);
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, NULL) == 0);
    check_file(fake, "pids.max", "max");
    check_file(fake, "cpu.max", "max 100000");
    check_file(fake, "memory.max", "");
    drop_fake();
}

TEST(a_missing_controller_is_an_error_that_says_what_to_do) {
    struct resources resources = unlimited;
    struct controllers controllers = all(CONTROLLER_ON_V1);
    scoped_text struct text notes = {0};
    struct fault fault;
    scoped_fd int fake = make_fake();
    resources.memory_max = 1 << 20;
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, &fault) == -EOPNOTSUPP);
    CHECK_TEXT(fault.text,
               "memory.max needs the memory controller of cgroup v2, which this host has bound to "
               "cgroup v1: boot with systemd.unified_cgroup_hierarchy=1, or set "
               "missing_controllers = \"warn\" for the manager to run without the limit");
    controllers = all(CONTROLLER_NOT_OURS);
    resources = unlimited;
    resources.cpu_weight = 1;
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, &fault) == -EOPNOTSUPP);
    CHECK_TEXT(fault.text,
               "cpu.weight needs the cpu controller of cgroup v2, which is not handed down to "
               "ringfence's cgroup: the cgroup above it holds processes of its own or withholds "
               "it; give another one with --cgroup, or set missing_controllers = \"warn\" for the "
               "manager to run without the limit");
    controllers = all(CONTROLLER_ABSENT);
    CHECK(limits_apply(fake, &controllers, &resources, true, &notes, &fault) == 0);
    CHECK_TEXT(notes.data,
               "cpu.weight is not enforced: it needs the cpu controller of cgroup v2, which this "
               "kernel does not have: it was built without it, or cgroup_disable= turned it off\n");
    drop_fake();
}

TEST(defaults_only_ever_give_a_note) {
    struct resources resources = unlimited;
    struct controllers controllers = all(CONTROLLER_ON_V1);
    scoped_text struct text notes = {0};
    struct fault fault;
    scoped_fd int fake = make_fake();
    resources.pids_max = 512;
    resources.pids_max_is_default = true;
    resources.oom_group = true;
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, &fault) == 0);
    CHECK(strstr(notes.data, "pids.max is not enforced: it needs the pids controller"));
    CHECK(strstr(notes.data, "memory.oom.group is not enforced"));
    resources.pids_max_is_default = false;
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, &fault) == -EOPNOTSUPP);
    drop_fake();
}

TEST(wrong_limits_are_refused) {
    char *pages[] = {"../x=64M", NULL};
    struct io_limit io[] = {{"/dev/null", 1, 1, 1, 1}};
    struct resources resources = unlimited;
    struct controllers controllers = all(CONTROLLER_USABLE);
    scoped_text struct text notes = {0};
    struct fault fault;
    scoped_fd int fake = make_fake();
    resources.hugetlb_max = (struct strings){pages, 1};
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "limit of huge pages \"../x=64M\": \"PAGESIZE=SIZE\" is wanted, such as "
                           "\"2MB=64M\"");
    pages[0] = "16GB=1G";
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, &fault) == -EOPNOTSUPP);
    CHECK_TEXT(fault.text, "this kernel has no \"hugetlb.16GB.max\" in its cgroups");
    resources = unlimited;
    resources.io_max = (struct io_limits){io, 1};
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, &fault) == -ENOTBLK);
    CHECK_TEXT(fault.text, "cannot limit \"/dev/null\": it is not a block device");
    io[0].device = "/dev/no-such-disk";
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, &fault) == -ENOENT);
    CHECK_TEXT(fault.text, "cannot limit device \"/dev/no-such-disk\": No such file or directory");
    drop_fake();
}

TEST(io_weight_is_for_the_cost_model_and_the_scheduler) {
    static const struct {
        int64_t weight;
        const char *scheduler;
    } rows[] = {
        {1, "default 1"}, {100, "default 100"}, {200, "default 109"}, {10000, "default 1000"}};
    struct resources resources = unlimited;
    struct controllers controllers = all(CONTROLLER_USABLE);
    scoped_text struct text notes = {0};
    scoped_fd int fake = make_fake();
    put(fake, "io.bfq.weight", "");
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        char both[32];
        snprintf(both, sizeof both, "default %" PRId64, rows[i].weight);
        resources.io_weight = rows[i].weight;
        CHECK(limits_apply(fake, &controllers, &resources, false, &notes, NULL) == 0);
        check_file(fake, "io.weight", both);
        check_file(fake, "io.bfq.weight", rows[i].scheduler);
    }
    CHECK(unlinkat(fake, "io.bfq.weight", 0) == 0);
    drop_fake();
}

TEST(io_weight_falls_back_to_the_scheduler) {
    struct resources resources = unlimited;
    struct controllers controllers = all(CONTROLLER_USABLE);
    scoped_text struct text notes = {0};
    scoped_fd int fake = make_fake();
    CHECK(renameat(fake, "io.weight", fake, "io.bfq.weight") == 0);
    resources.io_weight = 77;
    CHECK(limits_apply(fake, &controllers, &resources, false, &notes, NULL) == 0);
    check_file(fake, "io.bfq.weight", "default 77");
    drop_fake();
}

TEST(a_parent_protects_what_its_children_have_together) {
    scoped_fd int fake = make_fake();
    CHECK(mkdirat(fake, "unit-a", 0755) == 0 && mkdirat(fake, "unit-b", 0755) == 0);
    put(fake, "memory.low", "0\n");
    put(fake, "memory.min", "7\n");
    put(fake, "unit-a/memory.low", "4096\n");
    put(fake, "unit-b/memory.low", "8192\n");
    CHECK(cgroup_tree_protect(fake) == 0);
    uint64_t value;
    CHECK(cgroup_tree_value(fake, "memory.low", NULL, &value) == 0 && value == 12288);
    CHECK(cgroup_tree_value(fake, "memory.min", NULL, &value) == 0 && value == 0);
    put(fake, "unit-b/memory.low", "max\n");
    put(fake, "memory.low", "");
    CHECK(cgroup_tree_protect(fake) == 0);
    drop_fake();
}

TEST(figures_are_read) {
    struct sandbox_stats stats;
    scoped_fd int fake = make_fake();
    put(fake, "memory.current", "4096\n");
    put(fake, "memory.max", "max\n");
    put(fake, "cpu.stat", "usage_usec 12\nuser_usec 5\nsystem_usec 7\nnr_periods 0\n");
    put(fake, "pids.current", "3\n");
    put(fake, "pids.max", "512\n");
    put(fake, "io.stat",
        "8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n"
        "8:16 rbytes=11 wbytes=2 rios=1 wios=1 dbytes=0 dios=0\n");
    stats_read(fake, &stats);
    CHECK(stats.memory_current == 4096 && stats.memory_max == SIZE_NONE);
    CHECK(stats.memory_peak == LIMIT_UNSET && stats.swap_current == LIMIT_UNSET);
    CHECK(stats.cpu_usec == 12 && stats.cpu_user_usec == 5 && stats.cpu_system_usec == 7);
    CHECK(stats.cpu_throttled_usec == LIMIT_UNSET);
    CHECK(stats.pids_current == 3 && stats.pids_max == 512);
    CHECK(stats.io_read_bytes == 111 && stats.io_written_bytes == 22);
    drop_fake();
}

TEST_MAIN
