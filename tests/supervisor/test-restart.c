/* Restarts: which end leads to one, and when it comes. */

#include "tests/supervisor/script.h"

static uint64_t delays[64];
static size_t delay_count;

static void note_delay(struct service *service, enum service_state before) {
    (void)before;
    if (service->state == SERVICE_RESTARTING && delay_count < 64)
        delays[delay_count++] = service->restart_delay;
}

TEST(delays_grow_within_jitter_and_are_capped) {
    struct unit *unit = fake_unit("crash", SERVICE_EXEC);
    unit->restart.max_delay = 5 * SEC;
    begin(unit);
    plan.exit_after = 10 * MSEC;
    plan.exit_status = EXITED(1);
    fake_observe = note_delay;
    command(COMMAND_START, "crash");
    fake_run(60 * SEC);
    CHECK(delay_count >= 10);
    double expected = 100 * MSEC;
    bool differ = false;
    for (size_t i = 0; i < delay_count; i++, expected *= 2) {
        double base = expected > 5e6 ? 5e6 : expected;
        CHECK((double)delays[i] >= base * 0.9 - 1);
        CHECK((double)delays[i] <= base * 1.1 + 1);
        CHECK(delays[i] <= 5 * SEC);
        differ |= (double)delays[i] != base;
    }
    CHECK(differ); /* there is chance in it */
    CHECK(fake_service("crash")->restarts == delay_count);
    end();
}

TEST(without_jitter_the_delay_is_exact) {
    struct unit *unit = fake_unit("crash", SERVICE_EXEC);
    unit->restart.jitter = 0;
    unit->restart.backoff = 3;
    begin(unit);
    plan.exit_after = 10 * MSEC;
    plan.exit_status = KILLED(SIGSEGV);
    fake_observe = note_delay;
    command(COMMAND_START, "crash");
    fake_run(30 * SEC);
    CHECK(delay_count >= 4);
    CHECK(delays[0] == 100 * MSEC && delays[1] == 300 * MSEC && delays[2] == 900 * MSEC);
    CHECK(delays[3] == 2700 * MSEC);
    end();
}

TEST(the_backoff_starts_anew_after_being_ready) {
    struct unit *unit = fake_unit("flaky", SERVICE_EXEC);
    unit->restart.jitter = 0;
    struct service *flaky = begin(unit);
    fake_observe = note_delay;
    command(COMMAND_START, "flaky");
    for (int i = 0; i < 3; i++) {
        fake_run(9 * SEC); /* a second short of the reset */
        fake_exit("flaky", EXITED(1));
        fake_run(SEC);
    }
    CHECK(delay_count == 3 && delays[2] == 400 * MSEC);
    CHECK(flaky->state == SERVICE_READY && flaky->failure);
    fake_run(11 * SEC);
    CHECK(!flaky->failure);
    fake_exit("flaky", EXITED(1));
    fake_run(SEC);
    CHECK(delay_count == 4 && delays[3] == 100 * MSEC);
    end();
}

TEST(a_command_clears_the_counters) {
    struct unit *unit = fake_unit("crash", SERVICE_EXEC);
    unit->restart.jitter = 0;
    struct service *crash = begin(unit);
    plan.exit_after = 10 * MSEC;
    plan.exit_status = EXITED(1);
    fake_observe = note_delay;
    command(COMMAND_START, "crash");
    fake_run(5 * SEC);
    CHECK(crash->restarts >= 4 && crash->state == SERVICE_RESTARTING);
    size_t before = delay_count;
    command(COMMAND_START, "crash"); /* and does not wait for the delay */
    CHECK(crash->state == SERVICE_STARTING);
    CHECK(crash->restarts == 0);
    fake_run(50 * MSEC);
    CHECK(delays[before] == 100 * MSEC);
    end();
}

TEST(the_limit_ends_it_and_a_command_does_not_mind) {
    struct unit *unit = fake_unit("crash", SERVICE_EXEC);
    unit->restart.limit_burst = 3;
    struct service *crash = begin(unit);
    plan.exit_after = 10 * MSEC;
    plan.exit_status = EXITED(7);
    command(COMMAND_START, "crash");
    fake_run(60 * SEC);
    CHECK(crash->state == SERVICE_FAILED);
    CHECK(crash->result == RESULT_LIMIT && crash->restarts == 3);
    CHECK_TEXT(crash->failure, "restarted too often (3 times): exited with code 7");
    CHECK(fake_sandboxes == 0);
    plan = good();
    command(COMMAND_START, "crash");
    fake_run(SEC);
    CHECK(crash->state == SERVICE_READY && error_told == 0);
    end();
}

TEST(at_the_limit_the_machine_is_rebooted) {
    struct unit *unit = fake_unit("crash", SERVICE_EXEC);
    unit->restart.limit_burst = 2;
    unit->restart.on_limit.reboot = true;
    struct service *crash = begin(unit);
    plan.exit_after = 10 * MSEC;
    plan.exit_status = EXITED(7);
    command(COMMAND_START, "crash");
    CHECK_TEXT(crash->failure,
               "its file has the machine rebooted at the limit of its restarts, which ringfence "
               "can only as the machine's first process; choose another action");
    CHECK(crash->state == SERVICE_FAILED && fake_processes == 0);
    fake_machine_is_ours = true;
    fake_told[0] = '\0';
    command(COMMAND_START, "crash");
    CHECK_TEXT(fake_told, "");
    fake_run(60 * SEC);
    CHECK_TEXT(fake_told, "REBOOT=1");
    CHECK(crash->state == SERVICE_FAILED && crash->result == RESULT_LIMIT);
    end();
}

TEST(a_launch_failure_counts_like_a_crash) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    fake_observe = note_delay;
    plan.launch_error = "execve: \"/bin/nothing\": No such file or directory";
    command(COMMAND_START, "web");
    fake_run(10 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING && web->result == RESULT_LAUNCH);
    CHECK(ended == 1 && error_told == -EIO);
    CHECK_TEXT(sentence, "web: execve: \"/bin/nothing\": No such file or directory");
    plan.launch_error = NULL;
    plan.build_error = "mount: \"/srv\": No such file or directory";
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY); /* the sandbox was there, and was entered again */
    command(COMMAND_RESTART, "web");
    fake_run(20 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING && web->result == RESULT_LAUNCH);
    CHECK(fake_sandboxes == 0); /* what could not be built is built anew */
    plan = good();
    plan.fails_at_once = true;
    fake_run(150 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING);
    CHECK_TEXT(web->failure, "cannot make the cgroup");
    plan = good();
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY);
    end();
}

TEST(a_restart_enters_the_same_sandbox) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(SEC);
    struct sandbox *sandbox = web->sandbox;
    int before = chosen;
    fake_exit("web", EXITED(1));
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && web->sandbox == sandbox);
    CHECK(chosen == before + 1); /* a run, and no build */
    end();
}

TEST(policies) {
    static const struct {
        enum restart_policy policy;
        int status;
        bool oneshot, restarts;
    } cases[] = {
        {RESTART_NO, EXITED(1), false, false},
        {RESTART_ON_FAILURE, EXITED(0), false, false},
        {RESTART_ON_FAILURE, EXITED(1), false, true},
        {RESTART_ON_FAILURE, KILLED(SIGSEGV), false, true},
        {RESTART_ON_FAILURE, KILLED(SIGTERM), false, false},
        {RESTART_ON_FAILURE, KILLED(SIGHUP), false, false},
        {RESTART_ON_FAILURE, KILLED(SIGPIPE), false, false},
        {RESTART_ON_FAILURE, KILLED(SIGTERM), true, true},
        {RESTART_ON_ABNORMAL, EXITED(1), false, false},
        {RESTART_ON_ABNORMAL, KILLED(SIGABRT), false, true},
        {RESTART_ON_SUCCESS, EXITED(0), false, true},
        {RESTART_ON_SUCCESS, EXITED(1), false, false},
        {RESTART_ALWAYS, EXITED(0), false, true},
        {RESTART_ALWAYS, EXITED(1), false, true},
        {RESTART_UNLESS_STOPPED, EXITED(0), false, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct unit *unit = fake_unit("x", cases[i].oneshot ? SERVICE_ONESHOT : SERVICE_EXEC);
        unit->restart.policy = cases[i].policy;
        struct ending ending = ending_of(unit, cases[i].status, false);
        CHECK(restart_is_wanted(unit, &ending) == cases[i].restarts);
        unit_unref(unit);
    }
}

TEST(exit_statuses_prevent_and_force) {
    struct unit *unit = fake_unit("x", SERVICE_EXEC);
    fake_add(&unit->service.success_exit_status, "42");
    fake_add(&unit->service.success_exit_status, "SIGUSR1");
    fake_add(&unit->restart.prevent_exit_status, "3");
    fake_add(&unit->restart.prevent_exit_status, "KILL");
    fake_add(&unit->restart.force_exit_status, "0");
    fake_add(&unit->restart.force_exit_status, "3");
    struct ending ending = ending_of(unit, EXITED(42), false);
    CHECK(ending.result == RESULT_SUCCESS && !restart_is_wanted(unit, &ending));
    ending = ending_of(unit, KILLED(SIGUSR1), false);
    CHECK(ending.result == RESULT_SUCCESS);
    ending = ending_of(unit, EXITED(3), false); /* prevent wins over force */
    CHECK(!restart_is_wanted(unit, &ending));
    ending = ending_of(unit, KILLED(SIGKILL), false);
    CHECK(ending.result == RESULT_SIGNAL && !restart_is_wanted(unit, &ending));
    ending = ending_of(unit, EXITED(0), false);
    CHECK(restart_is_wanted(unit, &ending));
    ending = ending_of(unit, KILLED(SIGUSR2), false);
    CHECK(restart_is_wanted(unit, &ending));
    unit_unref(unit);
}

TEST(an_oom_kill_is_told_as_such) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    plan.exit_after = SEC;
    plan.exit_status = KILLED(SIGKILL);
    plan.out_of_memory = true;
    command(COMMAND_START, "web");
    fake_run(SEC + 20 * MSEC);
    CHECK(web->result == RESULT_OOM_KILL && web->state == SERVICE_RESTARTING);
    CHECK_TEXT(web->failure, "was ended by the kernel: out of memory (dd, process 123)");
    end();
}

TEST_MAIN
