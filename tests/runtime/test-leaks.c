/* Nothing is left behind: descriptors, mounts, cgroups, processes, files. */

#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "tests/runtime/box.h"

#define CYCLES 50

static struct box box;

static unsigned count_entries(const char *path) {
    unsigned count = 0;
    DIR *directory = opendir(path);
    CHECK(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static unsigned count_lines(const char *path) {
    unsigned count = 0;
    FILE *file = fopen(path, "re");
    CHECK(file);
    for (int byte; (byte = fgetc(file)) != EOF;)
        count += byte == '\n';
    fclose(file);
    return count;
}

/* A mount namespace of this test alone: others mount images at the same time. */
static void leave_others(void) {
    CHECK(unshare(CLONE_NEWNS) == 0);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

/* Those that were killed may take a moment to end. */
static void expect_no_child(void) {
    alarm(10);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    CHECK(errno == ECHILD);
    alarm(0);
}

/* One life: built, run, killed in the middle of another run, removed. */
static void live(void) {
    BOX_COMMAND(brief, (char *)"/bin/true");
    BOX_COMMAND(lasting, (char *)"/bin/sh", (char *)"-c", (char *)"sleep 1000 & sleep 1000");
    box_built(&box);
    CHECK(box_run(&box, &brief) == 0);
    struct run_request request = {
        .place = RUN_MAIN, .exec = &lasting, .standard = {-1, -1, -1}, .ready_fd = -1};
    struct run *run;
    CHECK(box_start(&box, &request, NULL, &run) == 0);
    run_free(run);
    box_remove(&box);
}

TEST(after_many_lives) {
    char cgroup[PATH_MAX];
    leave_others();
    box_open(&box);
    live();
    unsigned descriptors = count_entries("/proc/self/fd"), mounts = count_lines("/proc/mounts"),
             cgroups = count_entries(runtime_cgroup(box.runtime)),
             files = count_entries(box_path(&box, "run"));
    for (int i = 0; i < CYCLES; i++)
        live();
    CHECK(count_entries("/proc/self/fd") == descriptors);
    CHECK(count_lines("/proc/mounts") == mounts);
    CHECK(count_entries(runtime_cgroup(box.runtime)) == cgroups);
    CHECK(count_entries(box_path(&box, "run")) == files);
    expect_no_child();
    strcpy(cgroup, runtime_cgroup(box.runtime));
    box_close(&box);
    CHECK(access(cgroup, F_OK) < 0);
}

TEST(after_many_failures) {
    leave_others();
    box_open(&box);
    live();
    unsigned descriptors = count_entries("/proc/self/fd"), mounts = count_lines("/proc/mounts");
    struct mount mount = {
        .type = MOUNT_BIND, .source = (char *)"/nowhere", .target = (char *)"/srv"};
    BOX_COMMAND(missing, (char *)"/nowhere");
    for (int i = 0; i < CYCLES / 5; i++) {
        box.container.mounts.items = &mount;
        box.container.mounts.count = 1;
        CHECK(box_build(&box) == -ENOENT);
        box_remove(&box);
        box.container.mounts.count = 0;
        box_built(&box);
        CHECK(box_run(&box, &missing) == -ENOENT);
        box_remove(&box);
    }
    CHECK(count_entries("/proc/self/fd") == descriptors);
    CHECK(count_lines("/proc/mounts") == mounts);
    expect_no_child();
    box_close(&box);
}

/* A manager that ends in the middle of things, as a killed one does. */
static void end_abruptly(void) {
    BOX_COMMAND(lasting, (char *)"/bin/sleep", (char *)"1000");
    struct run_request request = {
        .place = RUN_MAIN, .exec = &lasting, .standard = {-1, -1, -1}, .ready_fd = -1};
    box_open_runtime(&box);
    box_built(&box);
    CHECK(box_start(&box, &request, NULL, &box.main) == 0);
    _exit(0);
}

TEST(what_an_earlier_manager_left) {
    box_open(&box);
    runtime_close(box.runtime);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    pid_t manager = fork();
    if (manager == 0)
        end_abruptly();
    CHECK(box_exit_code(manager) == 0);
    pid_t helper;
    do
        helper = waitpid(-1, NULL, WNOHANG);
    while (helper > 0);
    CHECK(helper == 0); /* the payload lives on */
    box_open_runtime(&box);
    CHECK(runtime_settle(box.runtime, &box.fault) == 0);
    int status, killed = 0;
    while (waitpid(-1, &status, 0) > 0) /* the payload, and a helper that took its time */
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    CHECK(killed >= 1);
    expect_no_child();
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "echo again"), "again");
    box_close(&box);
}

TEST_MAIN
