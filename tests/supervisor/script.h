#pragma once
/* What the tests of the policy share: one plan for all services, commands and what came of them. */

#include "tests/supervisor/fake.h"
#include "tests/test.h"

static struct fake_plan plan;
static int chosen;

static void choose(const char *name, struct fake_plan *ret_plan) {
    (void)name;
    *ret_plan = plan;
    chosen++;
}

static struct fake_plan good(void) {
    return (struct fake_plan){
        .build_time = MSEC,
        .launch_time = MSEC,
        .ready_after = NEVER,
        .exit_after = NEVER,
        .stop_time = MSEC,
        .stop_status = KILLED(SIGTERM),
        .kill_time = MSEC,
        .command_time = MSEC,
    };
}

/* What came of a command. */
static int ended, error_told;
static char sentence[FAULT_SIZE];

static void done(void *context, int error, const struct fault *fault) {
    (void)context;
    ended++;
    error_told = error;
    snprintf(sentence, sizeof(sentence), "%s", fault ? fault->text : "");
}

static inline int command(enum command what, const char *name) {
    struct fault fault = {{0}};
    ended = 0;
    sentence[0] = '\0';
    int error = manager_command(fake_manager, what, name, done, NULL, &fault);
    if (error < 0)
        snprintf(sentence, sizeof(sentence), "%s", fault.text);
    return error;
}

static inline struct service *begin(struct unit *unit) {
    static char name[64];
    snprintf(name, sizeof(name), "%s", unit->name);
    fake_open(1);
    plan = good();
    fake_choose = choose;
    fake_set(unit);
    fake_apply();
    return fake_service(name);
}

/* Everything is stopped at the end of each test, and nothing is left. */
static void end(void) {
    manager_stop_all(fake_manager);
    fake_run(60 * SEC);
    CHECK(fake_finished);
    CHECK(fake_sandboxes == 0);
    CHECK(fake_runs == 0);
    CHECK(fake_processes == 0);
    CHECK(fake_sockets == 0);
    CHECK(fake_watches == 0);
    CHECK(fake_probes == 0);
    CHECK(fake_manager->private->surprises == 0);
    fake_close();
    CHECK(fake_outputs == 0);
}
