/* The init of a container: it reaps, passes signals and the exit status on, ends when it should. */

#include "tests/runtime/box.h"

static struct box box;

static struct run_request request_of(const struct strings *exec, bool lingers) {
    return (struct run_request){.place = RUN_MAIN,
                                .exec = exec,
                                .ready_fd = -1,
                                .standard = {-1, -1, -1},
                                .init_lingers = lingers};
}

static void open_with_init(void) {
    box_open(&box);
    box.container.process.init = true;
    box_built(&box);
}

TEST(the_program_is_its_child) {
    open_with_init();
    /* The program may be there before its parent has become the init. */
    CHECK_TEXT(box_shell(&box, "echo $$; until grep ringfence-init /proc/1/comm; do sleep 0.01; "
                               "done; ls /proc/1/fd | wc -l; grep -c . /proc/1/environ"),
               "2\nringfence-init\n4\n0");
    BOX_COMMAND(seven, (char *)"/bin/sh", (char *)"-c", (char *)"exit 7");
    CHECK(box_run(&box, &seven) == 7);
    BOX_COMMAND(killed, (char *)"/bin/sh", (char *)"-c", (char *)"kill -KILL $$");
    CHECK(box_run(&box, &killed) == 128 + SIGKILL);
    box_close(&box);
}

TEST(a_program_that_cannot_be_executed) {
    open_with_init();
    BOX_COMMAND(missing, (char *)"/usr/sbin/nothing-here");
    CHECK(box_run(&box, &missing) == -ENOENT);
    CHECK_TEXT(box.fault.text,
               "exec: cannot execute \"/usr/sbin/nothing-here\": No such file or directory");
    box_close(&box);
}

TEST(it_is_locked_up_like_the_program) {
    box_open(&box);
    box.container.process.init = true;
    box.container.process.user = (char *)"10001:10002";
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "grep -E '^(Uid|NoNewPrivs|Seccomp|CapEff):' /proc/1/status | "
                               "tr -s '\\t' ' '"),
               "Uid: 10001 10001 10001 10001\nCapEff: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2");
    box_close(&box);
}

/* A child that nobody waits for any more would stay a zombie under a shell as PID 1. */
TEST(it_reaps) {
    open_with_init();
    CHECK_TEXT(box_shell(&box, "(sh -c 'exit 3' & exec /bin/true); sleep 0.2; "
                               "grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"),
               "0");
    box_close(&box);
}

static struct run *start(const char *line, bool lingers) {
    static char text[256];
    snprintf(text, sizeof text, "%s", line);
    BOX_COMMAND(command, (char *)"/bin/sh", (char *)"-c", text);
    struct run_request request = request_of(&command, lingers);
    struct run *run = NULL;
    int error = box_start(&box, &request, NULL, &run);
    if (error)
        printf("# %s\n", box.fault.text);
    CHECK(error == 0);
    return run;
}

static bool catches(pid_t pid, int number) {
    char path[64], line[256];
    unsigned long long caught = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = pid > 0 ? fopen(path, "re") : NULL;
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "SigCgt: %llx", &caught);
    if (file)
        fclose(file);
    return caught & 1ULL << (number - 1);
}

TEST(signals_reach_the_program) {
    open_with_init();
    struct run *run = start("trap 'exit 9' USR1; sleep 60 & wait", false);
    for (int i = 0; i < 500 && !catches(run_program_pid(run), SIGUSR1); i++)
        usleep(10000);
    CHECK(run_program_pid(run) > 0 && run_program_pid(run) != run_pid(run));
    CHECK(!run_would_drop(run, SIGTERM));    /* it is no PID 1 */
    CHECK(kill(run_pid(run), SIGUSR1) == 0); /* by way of the init */
    CHECK(box_exit_code(run_pid(run)) == 9);
    run_free(run);
    run = start("exec sleep 60", false);
    CHECK(run_signal(run, SIGTERM, &box.fault) == 0);
    CHECK(box_exit_code(run_pid(run)) == 128 + SIGTERM);
    int status = 0;
    CHECK(run_program_ended(run, &status) == 1 && WTERMSIG(status) == SIGTERM);
    run_free(run);
    box_close(&box);
}

TEST(what_it_leaves_is_waited_for) {
    int status = 0;
    open_with_init();
    struct run *run = start("sleep 0.5 & exit 5", true);
    struct pollfd poll_fd = {run_status_fd(run), POLLIN, 0};
    CHECK(poll(&poll_fd, 1, 5000) == 1);
    CHECK(run_program_ended(run, &status) == 1 && WEXITSTATUS(status) == 5);
    CHECK(run_status_fd(run) < 0);
    CHECK(waitpid(run_pid(run), NULL, WNOHANG) == 0); /* the init goes on */
    CHECK(sandbox_is_populated(box.sandbox) == 1);
    CHECK(box_exit_code(run_pid(run)) == 5);
    CHECK(run_program_ended(run, &status) == 1);
    run_free(run);

    run = start("sleep 60 & kill -SEGV $$", true);
    poll_fd.fd = run_status_fd(run);
    CHECK(poll(&poll_fd, 1, 5000) == 1);
    CHECK(run_program_ended(run, &status) == 1 && WTERMSIG(status) == SIGSEGV);
    CHECK(sandbox_signal_all(box.sandbox, SIGTERM, &box.fault) == 0);
    CHECK(box_exit_code(run_pid(run)) == 128 + SIGSEGV);
    run_free(run);
    box_close(&box);
}

TEST(what_it_leaves_ends_with_it) {
    open_with_init();
    struct run *run = start("sleep 60 & exit 5", false);
    CHECK(box_exit_code(run_pid(run)) == 5);
    run_free(run);
    box_close(&box);
}

TEST(it_needs_a_pid_namespace) {
    box_open(&box);
    box.container.process.init = true;
    box.container.namespaces.choices[NAMESPACE_PID].mode = NAMESPACE_HOST;
    box_built(&box);
    BOX_COMMAND(command, (char *)"/bin/true");
    CHECK(box_run(&box, &command) == -EINVAL);
    CHECK_TEXT(box.fault.text, "an init is PID 1 of a pid namespace of its own, and there is none");
    box_close(&box);
}

TEST_MAIN
