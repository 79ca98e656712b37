/* What a later manager finds again of the sandboxes and runs of one that was killed. */

#include "tests/runtime/succession.h"

/* ---- what is found again ---- */

TEST(a_sandbox_with_its_run) {
    uint32_t base, count;
    prepare();
    box.container.resources.slice = (char *)"shop/front";
    succeed("trap 'exit 23' TERM; sleep 60 & wait");
    adopt();
    struct run *run = adopt_run();
    settle();
    CHECK(run_pid(run) == left.main && run_program_pid(run) == left.main);
    CHECK(run_start_time(run) == left.start_time);
    CHECK(sandbox_is_populated(box.sandbox) == 1);
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_NETWORK) == left.network);
    CHECK(sandbox_id_range(box.sandbox, &base, &count) && count == 65536);
    CHECK(strstr(sandbox_cgroup(box.sandbox), "/slice-shop/slice-front/unit-box"));
    for (int i = 0; i < 2000 && run_would_drop(run, SIGTERM); i++)
        usleep(10000); /* until it has its trap */
    CHECK(!run_would_drop(run, SIGTERM) && run_would_drop(run, SIGHUP));

    BOX_COMMAND(look, (char *)"/bin/sh", (char *)"-c",
                (char *)"kill -0 1 && hostname && stat -c %u:%a / && cat /proc/self/uid_map");
    struct run_request beside = {.place = RUN_BESIDE, .exec = &look, .ready_fd = -1};
    int code = box_run_request(&box, &beside, run);
    CHECK(code == 0 && strncmp(box.output, "box\n", 4) == 0);
    beside.place = RUN_PROBE;
    CHECK(box_run_request(&box, &beside, run) == 0);

    CHECK(sandbox_is_frozen(box.sandbox) == 0);
    CHECK(sandbox_freeze(box.sandbox, true, &box.fault) == 0);
    CHECK(sandbox_is_frozen(box.sandbox) == 1);
    CHECK(sandbox_freeze(box.sandbox, false, &box.fault) == 0);
    CHECK(sandbox_is_frozen(box.sandbox) == 0);
    struct sandbox_stats stats;
    sandbox_stats(box.sandbox, &stats);
    CHECK(run_signal(run, SIGTERM, &box.fault) == 0);
    CHECK(box_exit_code(left.main) == 23);
    run_free(run);
    CHECK(comes(is_empty));
    CHECK_TEXT(box_shell(&box, "echo again $$"), "again 1"); /* its restart */
    end();
}

TEST(a_sandbox_with_nothing_in_it) {
    prepare();
    succeed(NULL);
    adopt();
    settle();
    CHECK(sandbox_is_populated(box.sandbox) == 0);
    CHECK_TEXT(box_shell(&box, "echo $$; touch /run/here; ls /run | grep here"), "1\nhere");
    end();
}

/* The kernel kills what is born where something was killed (cgroup.h): the counts come along. */
static void kill_and_wait(int channel, const char *line) {
    box_open_runtime(&box);
    box_built(&box);
    for (int i = 0; i < 3; i++) {
        struct run *run = start(RUN_MAIN, line, NULL);
        CHECK(sandbox_kill(box.sandbox, &box.fault) == 0);
        CHECK(box_exit_code(run_pid(run)) == 128 + SIGKILL);
        run_free(run);
    }
    save(start(RUN_MAIN, line, NULL));
    CHECK(strstr(left.sandbox, " kills=3,3,3,3 "));
    send_left(channel);
    for (;;)
        pause();
}

TEST(what_was_killed_before) {
    prepare();
    succeed_by(kill_and_wait, "exec sleep 60");
    adopt();
    struct run *run = adopt_run();
    settle();
    CHECK(run_signal(run, SIGKILL, &box.fault) == 0);
    CHECK(box_exit_code(run_pid(run)) == 128 + SIGKILL);
    run_free(run);
    CHECK(comes(is_empty));
    CHECK_TEXT(box_shell(&box, "echo born"), "born");
    CHECK(sandbox_kill(box.sandbox, &box.fault) == 0);
    CHECK_TEXT(box_shell(&box, "echo again"), "again");
    end();
}

static bool is_program(void) {
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", left.main);
    FILE *file = fopen(path, "re");
    bool read = file && fgets(name, sizeof name, file);
    if (file)
        fclose(file);
    return read && strcmp(name, "ringfence-init\n") == 0;
}

TEST(an_init_tells_the_next_one) {
    int status = 0;
    prepare();
    box.container.process.init = true;
    succeed("sleep 60 & kill -SEGV $$");
    CHECK(left.saved.status >= 0 && left.saved.report < 0);
    adopt();
    struct run *run = adopt_run();
    settle();
    CHECK(run_program_pid(run) != run_pid(run));
    struct pollfd ended = {run_status_fd(run), POLLIN, 0};
    CHECK(poll(&ended, 1, 20000) == 1);
    CHECK(run_program_ended(run, &status) == 1 && WTERMSIG(status) == SIGSEGV);
    CHECK(box_exit_code(run_pid(run)) == 128 + SIGSEGV);

    /* And what it told is told again. */
    scoped_text struct text words = {0};
    struct run *again = NULL;
    CHECK(run_save(run, &words, &left.saved) == 0);
    CHECK(left.saved.status < 0 && strstr(words.data, " ended="));
    CHECK(adopt_run_words(words.data, &again) == -ESRCH);
    run_free(run);
    end();
}

TEST(an_init_whose_descriptor_nobody_kept) {
    int status;
    prepare();
    box.container.process.init = true;
    succeed("exec sleep 60");
    CHECK(comes(is_program));
    left.saved.status = close_fd(left.saved.status);
    adopt();
    struct run *run = adopt_run();
    settle();
    CHECK(run_status_fd(run) < 0 && run_program_ended(run, &status) == 0);
    CHECK(run_signal(run, SIGTERM, &box.fault) == 0);
    CHECK(box_exit_code(run_pid(run)) == 128 + SIGTERM);
    run_free(run);
    end();
}

TEST(notes) {
    prepare();
    /* Of several lines, where the host has bound all controllers elsewhere. */
    succeed("exec sleep 60");
    adopt();
    CHECK_TEXT(sandbox_notes(box.sandbox), left.notes);
    end();
}

/* ---- the keeper was killed as well: nobody kept a descriptor ---- */

TEST(without_descriptors) {
    prepare();
    succeed("exec sleep 60");
    drop_descriptors();
    adopt();
    struct run *run = adopt_run();
    settle();
    CHECK(sandbox_namespace_inode(box.sandbox, NAMESPACE_NETWORK) == left.network);
    CHECK(run_signal(run, SIGKILL, &box.fault) == 0);
    CHECK(box_exit_code(run_pid(run)) == 128 + SIGKILL);
    run_free(run);
    CHECK(comes(is_empty));
    /* Its namespaces are the sandbox's now: it starts again in them. */
    CHECK_TEXT(box_shell(&box, "echo $$; cat /proc/1/comm; touch /run/here && echo made"),
               "1\nsh\nmade");
    end();
}

TEST(without_descriptors_and_process) {
    prepare();
    succeed("exec sleep 60");
    drop_descriptors();
    CHECK(kill(left.main, SIGKILL) == 0 && box_exit_code(left.main) == 128 + SIGKILL);
    CHECK(adopt_words(left.sandbox) == -ESTALE);
    CHECK_TEXT(box.fault.text, "nobody kept its namespaces, and its main process is gone");
    CHECK(adopt_words(changed(left.sandbox, "main", NULL)) == -ESTALE);
    end();
}

TEST(with_some_descriptors) {
    prepare();
    succeed("exec sleep 60");
    close(left.fds[--left.fd_count]);
    CHECK(adopt_words(left.sandbox) == -ESTALE);
    CHECK_TEXT(box.fault.text, "not all of its namespaces were kept");
    end();
}

TEST(with_half_of_its_cgroup) {
    char path[PATH_MAX], sentence[PATH_MAX];
    prepare();
    succeed(NULL);
    const char *cgroup = runtime_cgroup(box.runtime);
    snprintf(path, sizeof path, "%.1000s/unit-box/main", cgroup);
    CHECK(rmdir(path) == 0);
    CHECK(adopt_words(left.sandbox) == -ESTALE);
    snprintf(sentence, sizeof sentence, "the main part of cgroup \"%.1000s/unit-box\" is gone",
             cgroup);
    CHECK_TEXT(box.fault.text, sentence);
    end();
}

/* ---- what was on its way ---- */

/* A process beside the main one, of which no facts tell. */
static void run_without_saving(int channel, const char *line) {
    box_open_runtime(&box);
    box_built(&box);
    struct run *main = start(RUN_MAIN, line, NULL);
    save(main);
    start(RUN_BESIDE, line, main);
    send_left(channel);
    for (;;)
        pause();
}

static bool is_aux_empty(void) {
    char path[512], events[256] = "";
    snprintf(path, sizeof path, "%s/aux/cgroup.events", sandbox_cgroup(box.sandbox));
    FILE *file = fopen(path, "re");
    CHECK(file && fgets(events, sizeof events, file));
    fclose(file);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    return strcmp(events, "populated 0\n") == 0;
}

TEST(strays_end) {
    prepare();
    succeed_by(run_without_saving, "exec sleep 60");
    adopt();
    CHECK(!is_aux_empty());
    struct run *run = adopt_run();
    settle();
    CHECK(comes(is_aux_empty));
    CHECK(sandbox_is_populated(box.sandbox) == 1); /* its main process was adopted */
    run_free(run);
    end();

    prepare();
    succeed_by(run_without_saving, "exec sleep 60");
    adopt();
    settle();
    CHECK(comes(is_empty));
    CHECK_TEXT(box_shell(&box, "echo anew"), "anew");
    end();
}

static void build_halfway(int channel, const char *line) {
    static struct sandbox *const none[NAMESPACE_KINDS];
    scoped_text struct text words = {0};
    (void)line;
    box_open_runtime(&box);
    CHECK(sandbox_build(box.runtime, &box.container, none, NULL, &box.sandbox, &box.fault) == 0);
    CHECK(sandbox_save(box.sandbox, &words, left.fds, &left.fd_count) == -EBUSY);
    left.fd_count = 0;
    send_left(channel);
    for (;;)
        pause();
}

TEST(a_build_on_its_way) {
    prepare();
    succeed_by(build_halfway, NULL);
    settle();
    CHECK(directory_remove(AT_FDCWD, box_path(&box, "run/sandbox/nothing"), NULL) == 0);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "echo built"), "built");
    end();
}

/* Wherever the kill meets it: in the helper, in the payload's stage, or after execve. */
static void launch_halfway(int channel, const char *line) {
    BOX_COMMAND(command, (char *)"/bin/sh", (char *)"-c", (char *)line);
    struct run_request request = {
        .place = RUN_MAIN, .exec = &command, .ready_fd = -1, .standard = {-1, -1, -1}};
    struct run *run = NULL;
    scoped_text struct text words = {0};
    box_open_runtime(&box);
    box_built(&box);
    save(NULL);
    CHECK(run_start(box.sandbox, &request, NULL, &run, &box.fault) == 0);
    CHECK(run_save(run, &words, &left.saved) == -EBUSY);
    send_left(channel);
    for (;;)
        pause();
}

/* Born into what is frozen, its helper goes nowhere. */
static void launch_frozen(int channel, const char *line) {
    BOX_COMMAND(command, (char *)"/bin/sh", (char *)"-c", (char *)line);
    struct run_request request = {
        .place = RUN_MAIN, .exec = &command, .ready_fd = -1, .standard = {-1, -1, -1}};
    struct run *run = NULL;
    box_open_runtime(&box);
    box_built(&box);
    CHECK(sandbox_freeze(box.sandbox, true, &box.fault) == 0);
    save(NULL);
    CHECK(run_start(box.sandbox, &request, NULL, &run, &box.fault) == 0);
    send_left(channel);
    for (;;)
        pause();
}

TEST(a_helper_that_hangs) {
    prepare();
    succeed_by(launch_frozen, "exec sleep 60"); /* it keeps nobody out */
    adopt();
    CHECK(sandbox_is_populated(box.sandbox) == 1);
    settle();
    CHECK(comes(is_empty));
    CHECK(sandbox_freeze(box.sandbox, false, &box.fault) == 0);
    CHECK_TEXT(box_shell(&box, "echo thawed"), "thawed");
    end();
}

TEST(a_launch_on_its_way) {
    for (int i = 0; i < 5; i++) {
        prepare();
        succeed_by(launch_halfway, "exec sleep 60");
        adopt();
        settle();
        CHECK(comes(is_empty));
        CHECK_TEXT(box_shell(&box, "echo once"), "once");
        end();
    }
}

/* A run that waits: as far as it comes without being released, or further. */
static struct run *launch_waiting(const char *program, const char *line) {
    BOX_COMMAND(command, (char *)program, (char *)"-c", (char *)line);
    const struct run_request request = {.place = RUN_MAIN,
                                        .exec = &command,
                                        .ready_fd = -1,
                                        .standard = {-1, -1, -1},
                                        .waits = true};
    struct run *run = NULL;
    box_open_runtime(&box);
    box_built(&box);
    CHECK(run_start(box.sandbox, &request, NULL, &run, &box.fault) == 0);
    while (!run_waits(run)) {
        box_wait(run_report_fd(run));
        CHECK(run_advance(run, &box.fault) == RUN_PREPARING);
    }
    save(run);
    CHECK(left.saved.report >= 0 && strstr(left.run, " launch=yes"));
    return run;
}

static void wait_halfway(int channel, const char *line) {
    launch_waiting("/bin/sh", line);
    send_left(channel);
    for (;;)
        pause();
}

static void release_what_is_missing(int channel, const char *line) {
    struct run *run = launch_waiting("/bin/nothing", line);
    run_release(run);
    send_left(channel);
    for (;;)
        pause();
}

static int conclude(struct run *run) {
    int progress;
    while ((progress = run_advance(run, &box.fault)) == RUN_PREPARING)
        box_wait(run_report_fd(run));
    return progress;
}

TEST(a_launch_that_waits_goes_on) {
    for (int init = 0; init < 2; init++) {
        int status = 23 << 8;
        prepare();
        box.container.process.init = init;
        succeed_by(wait_halfway, "exit 23");
        adopt();
        struct run *run = adopt_run();
        settle();
        usleep(20000);
        CHECK(run_advance(run, &box.fault) == RUN_PREPARING && run_waits(run));
        run_release(run);
        CHECK(!run_waits(run) && conclude(run) == RUN_EXECUTED);
        CHECK(run_pid(run) == left.main && run_start_time(run) == left.start_time);
        CHECK(box_exit_code(left.main) == 23);
        CHECK(!init || (run_program_ended(run, &status) == 1 && status == 23 << 8));
        run_free(run);
        CHECK(comes(is_empty));
        end();
    }
}

TEST(a_launch_that_failed_while_nobody_listened) {
    prepare();
    succeed_by(release_what_is_missing, "");
    adopt();
    struct run *run = NULL;
    const struct run_saved saved = left.saved;
    /* Its end and the next manager may come in any order. */
    left.saved.report = fcntl(saved.report, F_DUPFD_CLOEXEC, 0);
    int error = adopt_run_words(left.run, &run);
    if (error == -ESRCH)
        error = run_adopt_gone(box.sandbox, left.run, saved, &run, &box.fault);
    CHECK(error == 0);
    CHECK(conclude(run) == -ENOENT && strstr(box.fault.text, "/bin/nothing"));
    run_free(run);
    settle();
    CHECK(comes(is_empty));
    end();
}

TEST(a_launch_whose_report_nobody_kept) {
    struct run *run = NULL;
    prepare();
    succeed_by(wait_halfway, "exec sleep 60");
    adopt();
    left.saved.report = close_fd(left.saved.report);
    CHECK(adopt_run_words(left.run, &run) == -ENOLINK || box.fault.text[0]);
    CHECK(comes(is_empty)); /* it ends of its own, and has not begun */
    settle();
    end();
}

/* Builds, runs and removes, over and over. */
static void live(int channel, const char *line) {
    box_open_runtime(&box);
    send_left(channel);
    for (;;) {
        box_built(&box);
        start(RUN_BESIDE, line, start(RUN_MAIN, line, NULL));
        box_remove(&box);
    }
}

static size_t count_mounts(void) {
    size_t count = 0;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    CHECK(file);
    for (int byte; (byte = fgetc(file)) != EOF;)
        count += byte == '\n';
    fclose(file);
    return count;
}

/* All that a manager began ends, wherever the kill meets it: as its subreaper we would know. */
TEST(killed_at_any_moment) {
    struct stat status;
    char unit[512];
    prepare();
    size_t mounts = count_mounts();
    for (useconds_t i = 0; i < 40; i++) {
        life_span = i * 300;
        succeed_by(live, "exec sleep 1000");
        snprintf(unit, sizeof unit, "%.400s/unit-box", runtime_cgroup(box.runtime));
        settle();
        CHECK(stat(unit, &status) < 0 && errno == ENOENT);
        while (waitpid(-1, NULL, 0) > 0)
            ;
        CHECK(errno == ECHILD && count_mounts() == mounts);
        runtime_close(box.runtime);
        box.runtime = NULL;
    }
    box_open_runtime(&box);
    end();
}

/* What runtime_open made is removed by the manager that is the last. */
TEST(the_root_is_removed_by_the_last) {
    struct stat status;
    char root[256];
    prepare();
    succeed("exec sleep 60");
    snprintf(root, sizeof root, "%.200s", runtime_cgroup(box.runtime));
    settle();
    end();
    CHECK(stat(root, &status) < 0 && errno == ENOENT);
}

TEST_MAIN
