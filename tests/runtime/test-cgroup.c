/* cgroups of this very host, in a root of their own; no controllers are needed. */

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "runtime/cgroup.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/text.h"

static char root_path[256];

static struct cgroup_root *open_root(void) {
    if (geteuid() != 0)
        SKIP("needs root");
    struct cgroup_root *usual, *root;
    struct fault fault;
    /* The place is found as a manager finds it; the name is this test's. */
    int error = cgroup_root_open(NULL, &usual, &fault);
    if (error == -ENODEV)
        SKIP(fault.text);
    if (error == -EBUSY)
        SKIP("a ringfence is running on this host");
    CHECK(error == 0);
    CHECK(strstr(cgroup_root_path(usual), "/ringfence"));
    snprintf(root_path, sizeof root_path, "%s-limits-test-%d", cgroup_root_path(usual), getpid());
    cgroup_root_close(usual);
    CHECK(cgroup_root_open(root_path, &root, &fault) == 0);
    CHECK_TEXT(cgroup_root_path(root), root_path);
    return root;
}

static void close_root(struct cgroup_root *root) {
    cgroup_root_close(root);
    CHECK(access(root_path, F_OK) < 0 && errno == ENOENT);
}

/* A process born in the directory; it stops at nothing and ends by itself after a minute. */
static pid_t spawn(int directory) {
    struct clone_args arguments = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned)directory};
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        for (;;)
            pause();
    }
    return child;
}

static int reap(pid_t child) {
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static bool wait_events(int fd) {
    struct pollfd waiting = {.fd = fd, .events = POLLPRI};
    return poll(&waiting, 1, 5000) == 1;
}

TEST(a_unit_lives_and_goes) {
    struct cgroup_root *root = open_root();
    struct cgroup *cgroup;
    struct fault fault;
    char path[512];
    CHECK(cgroup_make(root, NULL, "web", 0, &cgroup, &fault) == 0);
    snprintf(path, sizeof path, "%s/unit-web", root_path);
    CHECK_TEXT(cgroup_path(cgroup), path);
    CHECK(cgroup_is_populated(cgroup, CGROUP_MAIN) == 0);

    int main_fd = cgroup_open(cgroup, CGROUP_MAIN, NULL);
    int aux_fd = cgroup_open_birthplace(cgroup, CGROUP_AUX, NULL);
    pid_t payload = spawn(main_fd), helper = spawn(aux_fd);
    CHECK(cgroup_is_populated(cgroup, CGROUP_MAIN) == 1);
    CHECK(cgroup_is_populated(cgroup, CGROUP_AUX) == 1);
    CHECK(cgroup_remove(cgroup, &fault) == -EBUSY);
    CHECK(strstr(fault.text, "still has processes"));

    CHECK(cgroup_kill(cgroup, CGROUP_MAIN, NULL) == 0);
    CHECK(wait_events(cgroup_events_fd(cgroup)));
    CHECK(reap(payload) == SIGKILL);
    CHECK(cgroup_is_populated(cgroup, CGROUP_MAIN) == 0);
    CHECK(cgroup_is_populated(cgroup, CGROUP_UNIT) == 1);
    CHECK(cgroup_remove(cgroup, &fault) == -EBUSY);
    CHECK(cgroup_is_populated(cgroup, CGROUP_MAIN) == 0); /* it is there as long as the unit is */
    int events = cgroup_open_events(cgroup, CGROUP_UNIT, NULL);
    CHECK(read(events, path, sizeof path) > 0);
    CHECK(cgroup_kill(cgroup, CGROUP_UNIT, NULL) == 0);
    CHECK(wait_events(events));
    CHECK(reap(helper) == SIGKILL);
    CHECK(cgroup_oom_kills(cgroup) == 0);
    CHECK(cgroup_remove(cgroup, &fault) == 0);
    close_root(root);
}

TEST(slices_are_shared_and_go_with_the_last_unit) {
    struct cgroup_root *root = open_root();
    struct cgroup *one, *two;
    char path[512];
    CHECK(cgroup_make(root, "apps/front", "cgroup.kill", 0, &one, NULL) == 0);
    CHECK(cgroup_make(root, "apps/front", "x@1", 0, &two, NULL) == 0);
    snprintf(path, sizeof path, "%s/slice-apps/slice-front/unit-cgroup.kill/main", root_path);
    CHECK(access(path, F_OK) == 0);
    CHECK(cgroup_remove(one, NULL) == 0);
    snprintf(path, sizeof path, "%s/slice-apps/slice-front", root_path);
    CHECK(access(path, F_OK) == 0);
    CHECK(cgroup_remove(two, NULL) == 0);
    snprintf(path, sizeof path, "%s/slice-apps", root_path);
    CHECK(access(path, F_OK) < 0);
    close_root(root);
}

TEST(names_do_not_lead_elsewhere) {
    static const char *const wrong[] = {"..", ".", "a/../b", "/a", "a//b", "a b", "a/", "\n"};
    struct cgroup_root *root = open_root();
    struct cgroup *cgroup;
    struct fault fault;
    for (size_t i = 0; i < ELEMENTS(wrong); i++) {
        int error = cgroup_make(root, wrong[i], "web", 0, &cgroup, &fault);
        if (strcmp(wrong[i], "a/") == 0) { /* harmless */
            CHECK(error == 0 && cgroup_remove(cgroup, NULL) == 0);
            continue;
        }
        CHECK(error == -EINVAL);
        CHECK(strstr(fault.text, "names of letters, digits"));
        CHECK(cgroup_make(root, NULL, wrong[i], 0, &cgroup, &fault) == -EINVAL);
        CHECK(strstr(fault.text, "cannot have a cgroup of that name"));
    }
    CHECK(cgroup_make(root, "1/2/3/4/5/6/7/8/9", "web", 0, &cgroup, &fault) == -EINVAL);
    CHECK(cgroup_root_clean(root, NULL, NULL, &fault) ==
          0); /* the slices that were made on the way */
    close_root(root);
}

TEST(leftovers_are_killed_and_removed) {
    struct cgroup_root *root = open_root();
    struct cgroup *one, *two, *again;
    char path[512];
    CHECK(cgroup_make(root, "apps", "one", 0, &one, NULL) == 0);
    CHECK(cgroup_make(root, NULL, "two", 0, &two, NULL) == 0);
    int below = cgroup_open(one, CGROUP_MAIN, NULL);
    CHECK(mkdirat(below, "own", 0755) == 0 && mkdirat(below, "own/deeper", 0755) == 0);
    int deeper = openat(below, "own/deeper", O_RDONLY | O_DIRECTORY);
    int main_two = cgroup_open(two, CGROUP_MAIN, NULL);
    pid_t first = spawn(deeper), second = spawn(main_two);
    CHECK(cgroup_freeze(two, true, NULL) == 0);
    cgroup_free(one);
    cgroup_free(two);
    /* Nobody reaps them meanwhile: zombies do not keep a cgroup. */
    CHECK(cgroup_root_clean(root, NULL, NULL, NULL) == 0);
    CHECK(reap(first) == SIGKILL && reap(second) == SIGKILL);
    snprintf(path, sizeof path, "%s/slice-apps", root_path);
    CHECK(access(path, F_OK) < 0);

    /* A unit of the same name finds the place empty. */
    CHECK(cgroup_make(root, NULL, "one", 0, &one, NULL) == 0);
    int main_one = cgroup_open(one, CGROUP_MAIN, NULL);
    CHECK(mkdirat(main_one, "stale", 0755) == 0);
    CHECK(cgroup_make(root, NULL, "one", 0, &again, NULL) == 0);
    CHECK(faccessat(cgroup_fd(again), "main/stale", F_OK, 0) < 0);
    cgroup_free(one);
    CHECK(cgroup_remove(again, NULL) == 0);
    close_root(root);
}

TEST(all_are_signalled_once) {
    struct cgroup_root *root = open_root();
    struct cgroup *cgroup;
    CHECK(cgroup_make(root, NULL, "many", 0, &cgroup, NULL) == 0);
    int main_fd = cgroup_open(cgroup, CGROUP_MAIN, NULL);
    CHECK(mkdirat(main_fd, "below", 0755) == 0);
    int below = openat(main_fd, "below", O_RDONLY | O_DIRECTORY);
    int aux = cgroup_open_birthplace(cgroup, CGROUP_AUX, NULL);
    pid_t children[20];
    for (size_t i = 0; i < ELEMENTS(children); i++)
        children[i] = spawn(i % 2 ? main_fd : below);
    pid_t beside = spawn(aux);
    CHECK(cgroup_signal_all(cgroup, SIGTERM, 0, NULL) == 0);
    for (size_t i = 0; i < ELEMENTS(children); i++)
        CHECK(reap(children[i]) == SIGTERM);
    CHECK(kill(beside, 0) == 0 && waitpid(beside, NULL, WNOHANG) == 0);
    CHECK(cgroup_kill(cgroup, CGROUP_UNIT, NULL) == 0);
    CHECK(reap(beside) == SIGKILL);
    CHECK(cgroup_remove(cgroup, NULL) == 0);
    close_root(root);
}

TEST(a_unit_freezes_and_can_be_killed_frozen) {
    struct cgroup_root *root = open_root();
    struct cgroup *cgroup;
    CHECK(cgroup_make(root, NULL, "ice", 0, &cgroup, NULL) == 0);
    int main_fd = cgroup_open(cgroup, CGROUP_MAIN, NULL);
    pid_t child = spawn(main_fd);
    CHECK(cgroup_is_populated(cgroup, CGROUP_MAIN) == 1);
    CHECK(cgroup_freeze(cgroup, true, NULL) == 0);
    for (int i = 0; i < 500 && cgroup_is_frozen(cgroup) == 0; i++)
        usleep(10000);
    CHECK(cgroup_is_frozen(cgroup) == 1);
    CHECK(cgroup_kill(cgroup, CGROUP_MAIN, NULL) == 0);
    CHECK(reap(child) == SIGKILL);
    CHECK(cgroup_remove(cgroup, NULL) == 0);
    close_root(root);
}

TEST(a_root_has_one_owner) {
    struct cgroup_root *root = open_root(), *other;
    struct fault fault;
    char text[512];
    int status, hold[2];
    snprintf(text, sizeof text,
             "cgroup \"%s\" is in use by another ringfence: --cgroup gives this one its own",
             root_path);
    pid_t child = fork();
    if (child == 0) {
        CHECK(cgroup_root_open(root_path, &other, &fault) == -EBUSY);
        CHECK_TEXT(fault.text, text);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);

    /* What the owner has forked is not the owner. */
    CHECK(pipe(hold) == 0);
    child = fork();
    if (child == 0)
        _exit(close(hold[1]) < 0 || read(hold[0], text, 1) != 0);
    close_root(root);
    CHECK(cgroup_root_open(root_path, &root, &fault) == 0);
    close(hold[1]);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close_root(root);
}

/* As under a service manager: two cgroups side by side, the one with us in it, the other ours. */
TEST(a_root_may_be_beside_our_own_cgroup) {
    struct cgroup_root *root = open_root(), *beside;
    struct fault fault;
    char own[sizeof root_path + 16], expected[sizeof root_path + 16];
    snprintf(own, sizeof own, "%s/own", root_path);
    snprintf(expected, sizeof expected, "%s/beside", root_path);
    CHECK(mkdir(own, 0755) == 0);
    int directory = open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pid_t child = fork();
    if (child == 0) {
        int procs = openat(directory, "cgroup.procs", O_WRONLY);
        CHECK(procs >= 0 && write(procs, "0", 1) == 1);
        CHECK(cgroup_root_open("../beside", &beside, &fault) == 0);
        CHECK_TEXT(cgroup_root_path(beside), expected);
        CHECK(access(expected, F_OK) == 0);
        cgroup_root_close(beside);
        CHECK(access(expected, F_OK) < 0);
        /* What keeps the place does not keep the controllers. */
        int made = mkdir(expected, 0755);
        int place = open(expected, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        pid_t keeper = spawn(place);
        CHECK(made == 0 && cgroup_root_open("../beside", &beside, &fault) == 0);
        cgroup_root_close(beside);
        int held = openat(place, "cgroup.procs", O_RDONLY);
        char pids[16];
        CHECK(held >= 0 && read(held, pids, sizeof pids) == 0);
        CHECK(kill(keeper, SIGKILL) == 0 && reap(keeper) == SIGKILL);
        CHECK(unlinkat(place, "place", AT_REMOVEDIR) == 0 && rmdir(expected) == 0);
        _exit(0);
    }
    CHECK(reap(child) == 0);
    CHECK(close(directory) == 0 && rmdir(own) == 0);
    close_root(root);
}

TEST(wrong_roots_are_refused) {
    struct cgroup_root *root;
    struct fault fault;
    CHECK(cgroup_root_open("relative", &root, &fault) == -EINVAL);
    CHECK_TEXT(
        fault.text,
        "cgroup \"relative\": an absolute path without \"..\", or \"../NAME\" for one beside "
        "our own, is wanted");
    CHECK(cgroup_root_open("../../above", &root, &fault) == -EINVAL);
    CHECK(cgroup_root_open("../..", &root, &fault) == -EINVAL);
    CHECK(cgroup_root_open("../", &root, &fault) == -EINVAL);
    CHECK(cgroup_root_open("/sys/../tmp", &root, &fault) == -EINVAL);
    CHECK(cgroup_root_open("/tmp/ringfence-no-cgroup", &root, &fault) == -ENODEV);
    CHECK_TEXT(fault.text, "\"/tmp/ringfence-no-cgroup\" is not inside a cgroup v2 tree");
    CHECK(access("/tmp/ringfence-no-cgroup", F_OK) < 0);
}

TEST_MAIN
