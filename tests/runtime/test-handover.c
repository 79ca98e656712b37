/* What a program is handed: its own pid for the watchdog, a place in the queues of the processor
 * and of the disks. */

#include <sched.h>

#include "tests/runtime/box.h"

static struct box box;

static const char *run_line(struct run_request *request, const char *line) {
    BOX_COMMAND(command, (char *)"/bin/sh", (char *)"-c", (char *)line);
    request->exec = &command;
    int code = box_run_request(&box, request, NULL);
    request->exec = NULL;
    if (code)
        printf("# %d %s\n", code, box.fault.text);
    CHECK(code == 0);
    return box.output;
}

TEST(its_own_pid) {
    box_open(&box);
    box.container.process.init = true;
    box_built(&box);
    struct run_request request = {.place = RUN_MAIN, .ready_fd = -1, .watchdog = 3000000};
    CHECK_TEXT(run_line(&request, "echo $WATCHDOG_USEC $WATCHDOG_PID $$; env | grep -c LISTEN || "
                                  "true"),
               "3000000 2 2\n0\n");
    box_close(&box);
    box_open(&box);
    box.container.namespaces.choices[NAMESPACE_PID].mode = NAMESPACE_HOST;
    box_built(&box);
    CHECK_TEXT(run_line(&request, "[ $WATCHDOG_PID = $$ ] && echo same"), "same\n");
    box_close(&box);
}

static void expect_schedule(const char *policy, const char *said) {
    box.container.process.cpu_scheduling = (char *)policy;
    struct run_request request = {.place = RUN_MAIN, .ready_fd = -1};
    CHECK_TEXT(run_line(&request, "chrt -p $$ | sed 's/.*: //' | tr '\\n' ' '"), said);
}

TEST(the_processor) {
    box_open(&box);
    box_built(&box);
    expect_schedule("other", "SCHED_OTHER 0 ");
    expect_schedule("batch", "SCHED_BATCH 0 ");
    expect_schedule("idle", "SCHED_IDLE 0 ");
    box.container.process.cpu_scheduling = (char *)"odd";
    BOX_COMMAND(command, (char *)"/bin/true");
    CHECK(box_run(&box, &command) == -ECANCELED);
    CHECK_TEXT(box.fault.text, "limits: \"odd\" is no scheduling policy");
    box_close(&box);
}

TEST(real_time) {
    struct sched_param one = {.sched_priority = 1}, none = {0};
    if (sched_setscheduler(0, SCHED_FIFO, &one) < 0)
        SKIP("this host's root may not ask for real time");
    CHECK(sched_setscheduler(0, SCHED_OTHER, &none) == 0);
    box_open(&box);
    box_built(&box);
    expect_schedule("fifo:7", "SCHED_FIFO 7 ");
    expect_schedule("rr:3", "SCHED_RR 3 ");
    box_close(&box);
}

TEST(the_disks) {
    box_open(&box);
    box_built(&box);
    struct run_request request = {.place = RUN_MAIN, .ready_fd = -1};
    box.container.process.io_priority = (char *)"idle";
    CHECK_TEXT(run_line(&request, "ionice -p $$"), "idle\n");
    box.container.process.io_priority = (char *)"best-effort:6";
    CHECK_TEXT(run_line(&request, "ionice -p $$"), "best-effort: prio 6\n");
    box.container.process.io_priority = (char *)"odd";
    BOX_COMMAND(command, (char *)"/bin/true");
    CHECK(box_run(&box, &command) == -ECANCELED);
    CHECK_TEXT(box.fault.text, "limits: \"odd\" is no disk priority");
    box_close(&box);
}

TEST_MAIN
