/* Runs: who the process is, what it is given, how a step that fails is told. */

#include "tests/runtime/box.h"

static struct box box;

static void expect_failure(const struct strings *exec, int error, const char *sentence) {
    int code = box_run(&box, exec);
    CHECK_TEXT(box.fault.text, sentence);
    CHECK(code == error);
}

TEST(programs_that_cannot_be_executed) {
    box_open(&box);
    box_built(&box);
    BOX_COMMAND(missing, (char *)"/usr/sbin/nothing-here", (char *)"-x");
    expect_failure(&missing, -ENOENT,
                   "exec: cannot execute \"/usr/sbin/nothing-here\": No such file or directory");
    BOX_COMMAND(directory, (char *)"/etc");
    expect_failure(&directory, -EACCES, "exec: cannot execute \"/etc\": Permission denied");
    BOX_COMMAND(unknown, (char *)"nothing-here");
    expect_failure(&unknown, -ENOENT,
                   "exec: cannot execute \"nothing-here\", looked for in "
                   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin: No such file or "
                   "directory");
    BOX_COMMAND(found, (char *)"echo", (char *)"found");
    CHECK(box_run(&box, &found) == 0);
    CHECK_TEXT(box.output, "found\n");
    box_close(&box);
}

TEST(an_interpreter_that_is_not_there) {
    box_open(&box);
    CHECK(mkdir(box_path(&box, "bin"), 0755) == 0);
    int fd = open(box_path(&box, "bin/script"), O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
    CHECK(fd >= 0 && write(fd, "#!/no/interpreter\n", 18) == 18);
    close(fd);
    struct mount mount = {.type = MOUNT_BIND,
                          .source = box_keep(&box, box_path(&box, "bin")),
                          .target = (char *)"/mnt"};
    box.container.mounts.items = &mount;
    box.container.mounts.count = 1;
    box_built(&box);
    BOX_COMMAND(script, (char *)"/mnt/script");
    expect_failure(&script, -ENOENT,
                   "exec: cannot execute \"/mnt/script\": the interpreter or loader it asks for is "
                   "not there");
    box_close(&box);
}

TEST(steps_that_fail) {
    box_open(&box);
    box_built(&box);
    BOX_COMMAND(command, (char *)"/bin/true");
    struct run_request request = {.place = RUN_MAIN, .exec = &command, .ready_fd = -1};
    request.user = "nobody-knows";
    CHECK(box_run_request(&box, &request, NULL) == -ECANCELED);
    CHECK(strncmp(box.fault.text, "credentials: ", 13) == 0);
    CHECK(strstr(box.fault.text, "nobody-knows"));
    request.user = NULL;
    request.working_directory = "/not/there";
    CHECK(box_run_request(&box, &request, NULL) == -ECANCELED);
    CHECK_TEXT(box.fault.text,
               "working directory: cannot change to \"/not/there\": No such file or directory");
    request.working_directory = "/proc/self/fd/3";
    CHECK(box_run_request(&box, &request, NULL) == -ECANCELED);
    CHECK(strncmp(box.fault.text, "working directory: ", 19) == 0);
    struct strings files = {(char *[]){(char *)"/not/there", NULL}, 1};
    box.container.process.environment_files = files;
    CHECK(box_run(&box, &command) == -ENOENT);
    CHECK_TEXT(box.fault.text,
               "environment: cannot open \"/not/there\": No such file or directory");
    box_close(&box);
}

TEST(a_directory_of_the_host_is_no_stream) {
    box_open(&box);
    box_built(&box);
    BOX_COMMAND(command, (char *)"/bin/ls", (char *)"/proc/self/fd/0/..");
    int directory = open("/usr", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct run_request request = {
        .place = RUN_MAIN, .exec = &command, .standard = {directory, -1, -1}, .ready_fd = -1};
    struct run *run;
    CHECK(box_start(&box, &request, NULL, &run) == -ECANCELED);
    CHECK_TEXT(box.fault.text, "helper: descriptor 0 is a directory, through which the host is "
                               "reached");
    run_free(run);
    close(directory);
    box_close(&box);
}

TEST(who_it_is) {
    char *groups[] = {(char *)"root", (char *)"4242"};
    box_open(&box);
    box_built(&box);
    box.container.process.supplementary_groups = (struct strings){groups, 2};
    box.container.process.user = (char *)"daemon";
    CHECK_TEXT(box_shell(&box, "id -u; id -g; id -G; umask; grep CapEff "
                               "/proc/self/status"),
               "1\n1\n1 0 4242\n0022\nCapEff:\t0000000000000000");
    box.container.process.supplementary_groups = (struct strings){0};
    box.container.process.user = (char *)"10001:10002";
    box.container.process.umask = 077;
    CHECK_TEXT(box_shell(&box, "id -u; id -G; echo $HOME; umask; echo out >/dev/stdout"),
               "10001\n10002\n/\n0077\nout");
    box_close(&box);
}

TEST(environment) {
    char *own[] = {(char *)"A=1", (char *)"B=2"}, *added[] = {(char *)"B=3", (char *)"C=4"};
    char *files[] = {NULL, (char *)"-/not/there"};
    box_open(&box);
    files[0] = box_keep(&box, box_path(&box, "env"));
    int fd = open(files[0], O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    CHECK(dprintf(fd, "# comment\n\n  A=0\nD=\"two words\"\r\nE='x'\n") > 0);
    close(fd);
    box.container.process.environment = (struct strings){own, 2};
    box.container.process.environment_files = (struct strings){files, 2};
    box_built(&box);
    struct strings request_environment = {added, 2};
    BOX_COMMAND(command, (char *)"/usr/bin/env");
    struct run_request request = {
        .place = RUN_MAIN, .exec = &command, .environment = &request_environment, .ready_fd = -1};
    CHECK(box_run_request(&box, &request, NULL) == 0);
    CHECK_TEXT(box.output, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                           "container=ringfence\nRINGFENCE_UNIT=box\nA=1\nD=two words\nE=x\nB=3\n"
                           "C=4\nHOME=/root\n");
    box_close(&box);
}

TEST(limits_of_the_process) {
    struct resource_limit limits[] = {{.resource = 7 /* RLIMIT_NOFILE */, .soft = 64, .hard = 128}};
    box_open(&box);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "ulimit -n"), "1024");
    box_remove(&box);
    box.container.process.rlimits.items = limits;
    box.container.process.rlimits.count = 1;
    box.container.process.nice = 5;
    box.container.process.oom_score_adjust = 321;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; "
                               "cut -d ' ' -f 19 /proc/self/stat"),
               "64\n128\n321\n5");
    box_close(&box);
}

/* It may have ended, and be reaped, before anybody looks at what its helper told. */
TEST(who_it_was) {
    BOX_COMMAND(command, (char *)"/bin/sh", (char *)"-c", (char *)"exit 7");
    struct run_request request = {
        .place = RUN_MAIN, .exec = &command, .ready_fd = -1, .standard = {-1, -1, -1}};
    struct run *run = NULL;
    int status, progress;
    pid_t pid, seven = 0;
    box_open(&box);
    box_built(&box);
    CHECK(run_start(box.sandbox, &request, NULL, &run, &box.fault) == 0);
    while ((pid = waitpid(-1, &status, 0)) > 0)
        seven = WIFEXITED(status) && WEXITSTATUS(status) == 7 ? pid : seven;
    CHECK(seven > 0);
    while ((progress = run_advance(run, &box.fault)) == RUN_PREPARING)
        box_wait(run_report_fd(run));
    CHECK(progress == RUN_EXECUTED && run_pid(run) == seven);
    run_free(run);
    box_close(&box);
}

/* Less than the steps before it need. */
TEST(a_small_stack) {
    struct resource_limit limits[] = {
        {.resource = 3 /* RLIMIT_STACK */, .soft = 65536, .hard = 65536}};
    box_open(&box);
    box.container.process.rlimits.items = limits;
    box.container.process.rlimits.count = 1;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "ulimit -s"), "64");
    box_close(&box);
}

TEST(among_many_descriptors) {
    struct resource_limit limits[] = {{.resource = 7 /* RLIMIT_NOFILE */, .soft = 64, .hard = 64}};
    box_open(&box);
    box.container.process.rlimits.items = limits;
    box.container.process.rlimits.count = 1;
    for (int i = 0; i < 500; i++)
        CHECK(fcntl(1, F_DUPFD, 3) >= 0);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "ls /proc/self/fd | wc -l"), "4");
    box_close(&box);
}

TEST(ready_descriptor) {
    int pipe_ends[2];
    box_open(&box);
    box_built(&box);
    CHECK(pipe2(pipe_ends, O_CLOEXEC) == 0);
    for (int number = 3; number < 12; number++) {
        char line[64], got[8] = "";
        snprintf(line, sizeof line, "echo r%d >&%d; ls /proc/self/fd | wc -l", number, number);
        BOX_COMMAND(command, (char *)"/bin/bash", (char *)"-c", line);
        struct run_request request = {.place = RUN_MAIN,
                                      .exec = &command,
                                      .ready_fd = pipe_ends[1],
                                      .ready_fd_number = number};
        CHECK(box_run_request(&box, &request, NULL) == 0);
        CHECK_TEXT(box.output, "5\n"); /* 0, 1, 2, it, and what ls opened */
        CHECK(read(pipe_ends[0], got, sizeof got - 1) > 0);
        snprintf(line, sizeof line, "r%d\n", number);
        CHECK_TEXT(got, line);
    }
    box_close(&box);
}

static void start_sleeper(const char *line) {
    BOX_COMMAND(command, (char *)"/bin/bash", (char *)"-c", (char *)line);
    struct run_request request = {
        .place = RUN_MAIN, .exec = &command, .standard = {-1, -1, -1}, .ready_fd = -1};
    CHECK(box_start(&box, &request, NULL, &box.main) == 0);
}

TEST(beside_the_main_process) {
    box_open(&box);
    box_built(&box);
    start_sleeper("echo main >/tmp/main; exec sleep 1000");
    BOX_COMMAND(
        command, (char *)"/bin/sh", (char *)"-c",
        (char *)"until grep -qx sleep /proc/1/comm; do sleep 0.1; done; cat /tmp/main "
                "/proc/1/comm; id -u; cut -d / -f 1-3 "
                "/proc/self/cgroup | grep 0::; grep -E 'Seccomp:|NoNew|CapBnd' /proc/self/status");
    struct run_request request = {.place = RUN_BESIDE, .exec = &command, .ready_fd = -1};
    int code = box_run_request(&box, &request, box.main);
    if (code)
        printf("# %s\n", box.fault.text);
    CHECK(code == 0);
    CHECK_TEXT(box.output, "main\nsleep\n0\n0::/aux\nCapBnd:\t00000000000004eb\nNoNewPrivs:\t1\n"
                           "Seccomp:\t2\n");
    CHECK(sandbox_is_populated(box.sandbox) == 1);
    CHECK(run_signal(box.main, SIGKILL, NULL) == 0);
    CHECK(box_exit_code(run_pid(box.main)) == 128 + SIGKILL);
    CHECK(box_run_request(&box, &request, box.main) < 0);
    CHECK_TEXT(box.fault.text, "namespaces: the main process has ended");
    CHECK(box_run_request(&box, &request, NULL) == -ESRCH);
    CHECK_TEXT(box.fault.text, "the unit has no main process");
    run_free(box.main);
    box_close(&box);
}

TEST(the_sandbox_outlives_its_process) {
    box_open(&box);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "echo kept >/tmp/kept; stat -Lc %i /proc/self/ns/net >/tmp/net; "
                               "set -- /proc/[0-9]*; echo $#"),
               "1");
    CHECK_TEXT(box_shell(&box, "cat /tmp/kept; test $(cat /tmp/net) = "
                               "$(stat -Lc %i /proc/self/ns/net) && echo same"),
               "kept\nsame");
    /* What one run mounts, or does to the trusted places, the next does not see. */
    CHECK_TEXT(box_shell(&box, "rm /dev/null; ln -s /etc/passwd /dev/null; echo done"), "done");
    CHECK_TEXT(box_shell(&box, "cat /proc/timer_list /proc/keys 2>&1 | wc -c"), "0");
    box_close(&box);
}

TEST(a_signal_that_would_be_dropped) {
    box_open(&box);
    box_built(&box);
    start_sleeper("exec sleep 1000");
    CHECK(run_would_drop(box.main, SIGTERM));
    CHECK(!run_would_drop(box.main, SIGKILL));
    CHECK(run_signal(box.main, SIGKILL, NULL) == 0);
    CHECK(box_exit_code(run_pid(box.main)) == 128 + SIGKILL);
    run_free(box.main);
    start_sleeper("trap 'exit 7' TERM; echo up >/tmp/up; while :; do sleep 0.02; done");
    CHECK_TEXT(box_shell(&box, "while ! test -s /tmp/up; do sleep 0.02; done; echo up"), "up");
    CHECK(!run_would_drop(box.main, SIGTERM));
    CHECK(run_would_drop(box.main, SIGUSR1));
    CHECK(run_signal(box.main, SIGTERM, NULL) == 0);
    CHECK(box_exit_code(run_pid(box.main)) == 7);
    run_free(box.main);
    box_close(&box);
}

TEST(everything_is_killed) {
    box_open(&box);
    box_built(&box);
    start_sleeper("trap '' TERM; sleep 1000 & sleep 1000 & wait");
    struct pollfd events = {sandbox_events_fd(box.sandbox), POLLPRI, 0};
    CHECK(sandbox_is_populated(box.sandbox) == 1);
    CHECK(sandbox_kill(box.sandbox, NULL) == 0);
    CHECK(box_exit_code(run_pid(box.main)) == 128 + SIGKILL);
    while (sandbox_is_populated(box.sandbox) > 0)
        CHECK(poll(&events, 1, 5000) == 1);
    run_free(box.main);
    /* A kernel that kills what is born where something was killed does not stop the next run. */
    CHECK_TEXT(box_shell(&box, "echo again; grep -c unit- /proc/self/cgroup"), "again\n0");
    CHECK(sandbox_kill(box.sandbox, NULL) == 0);
    start_sleeper("exec sleep 1000");
    CHECK(sandbox_is_populated(box.sandbox) == 1);
    CHECK(sandbox_signal_all(box.sandbox, SIGKILL, NULL) == 0);
    CHECK(box_exit_code(run_pid(box.main)) == 128 + SIGKILL);
    run_free(box.main);
    box_close(&box);
}

/* What is cloned into a cgroup that was killed once dies at birth (6.14). */
TEST(a_run_after_everything_was_killed) {
    box_open(&box);
    box_built(&box);
    for (int i = 0; i < 2; i++) {
        start_sleeper("exec sleep 1000");
        CHECK(sandbox_is_populated(box.sandbox) == 1);
        CHECK_TEXT(box_shell(&box, "echo beside"), "beside");
        CHECK(sandbox_kill(box.sandbox, NULL) == 0);
        CHECK(box_exit_code(run_pid(box.main)) == 128 + SIGKILL);
        run_free(box.main);
    }
    box_close(&box);
}

TEST(a_manager_whose_own_cgroup_was_killed_before) {
    char directory[PATH_MAX];
    box_open(&box);
    snprintf(directory, sizeof directory, "%.4000s-manager", runtime_cgroup(box.runtime));
    CHECK(mkdir(directory, 0755) == 0);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(file_write(fd, "cgroup.kill", "1", &box.fault) == 0);
    runtime_close(box.runtime);
    pid_t manager = fork();
    if (manager == 0) {
        CHECK(file_write(fd, "cgroup.procs", "0", &box.fault) == 0);
        box_open_runtime(&box);
        box_built(&box);
        CHECK_TEXT(box_shell(&box, "echo alive; grep -c 0::/main /proc/self/cgroup"), "alive\n1");
        box_remove(&box);
        runtime_close(box.runtime);
        exit(0);
    }
    CHECK(box_exit_code(manager) == 0);
    CHECK(rmdir(directory) == 0);
    close(fd);
    box_open_runtime(&box);
    box_close(&box);
}

/* Nothing in a unit may reach the manager's executable or memory through a process that is on its
 * way in (CVE-2019-5736): root inside looks at everything, as fast as it can. */
TEST(no_way_to_the_managers_executable) {
    box_open(&box);
    box_built(&box);
    start_sleeper("cd /proc; while test ! -e /tmp/end; do for p in [0-9]*; do "
                  "test $p = $$ || readlink $p/exe; : <$p/maps; done; done >/tmp/seen 2>/dev/null; "
                  "touch /tmp/done; sleep 1000");
    BOX_COMMAND(command, (char *)"/bin/true");
    struct run_request request = {.place = RUN_BESIDE, .exec = &command, .ready_fd = -1};
    for (int i = 0; i < 50; i++)
        CHECK(box_run_request(&box, &request, box.main) == 0);
    BOX_COMMAND(look, (char *)"/bin/sh", (char *)"-c",
                (char *)"touch /tmp/end; while ! test -e /tmp/done; do sleep 0.02; done; "
                        "grep -c test- /tmp/seen");
    request.exec = &look;
    CHECK(box_run_request(&box, &request, box.main) == 1);
    CHECK_TEXT(box.output, "0\n");
    run_free(box.main);
    box_close(&box);
}

TEST_MAIN
