/* Health: when a unit is probed, what counts, and what follows. */

#include "tests/supervisor/script.h"
#include "units/base/text.h"

static struct fake_probe_plan probe;
static int probed;
static uint64_t probe_times[64];
static char changes[256];

static void choose_probe(const char *name, struct fake_probe_plan *ret_plan) {
    (void)name;
    if (probed < 64)
        probe_times[probed] = fake_now;
    probed++;
    *ret_plan = probe;
}

static void note_health(struct service *service, enum health_state before) {
    size_t length = strlen(changes);
    snprintf(changes + length, sizeof(changes) - length, "%s>%s ", health_state_word(before),
             health_state_word(service_health(service)->state));
}

static struct unit *checked(enum service_type type) {
    struct unit *unit = fake_unit("web", type);
    unit->health.http = strdup("http://127.0.0.1/");
    unit->health.interval = 10 * SEC;
    unit->restart.jitter = 0;
    return unit;
}

static struct service *begin_checked(struct unit *unit) {
    struct service *web = begin(unit);
    fake_choose_probe = choose_probe;
    fake_observe_health = note_health;
    probe = (struct fake_probe_plan){.healthy = true, .after = MSEC};
    return web;
}

static const struct health_result *newest(const struct service *service) {
    const struct health_record *record = service_health(service);
    return &record->results[record->newest];
}

TEST(a_unit_is_ready_once_it_is_healthy) {
    struct service *web = begin_checked(checked(SERVICE_EXEC));
    probe.healthy = false;
    command(COMMAND_START, "web");
    fake_run(20 * SEC);
    CHECK(web->state == SERVICE_STARTING && !ended);
    CHECK(probed == 20); /* at once, then after each start_interval, which begins with an answer */
    CHECK(service_health(web)->state == HEALTH_STARTING && service_health(web)->failures == 0);
    scoped_text struct text waits = {0};
    service_explain_waiting(web, &waits);
    CHECK_TEXT(waits.data, "not healthy yet: exited with code 1; for 19s so far");
    probe.healthy = true;
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_READY && ended && error_told == 0);
    probed = 0;
    fake_run(60 * SEC);
    CHECK(probed == 6);
    CHECK_TEXT(service_health_word(web), "healthy");
    CHECK_TEXT(changes, "unknown>starting starting>healthy ");
    end();
}

TEST(a_unit_that_never_gets_healthy_fails_in_time) {
    struct unit *unit = checked(SERVICE_EXEC);
    unit->service.start_timeout = 5 * SEC;
    unit->restart.policy = RESTART_NO;
    struct service *web = begin_checked(unit);
    probe.healthy = false;
    command(COMMAND_START, "web");
    fake_run(6 * SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_TIMEOUT && ended);
    CHECK_TEXT(web->failure, "was not ready within 5s: exited with code 1");
    end();
}

TEST(notify_comes_before_health) {
    struct service *web = begin_checked(checked(SERVICE_NOTIFY));
    plan.ready_after = 3 * SEC;
    command(COMMAND_START, "web");
    fake_run(2 * SEC);
    CHECK(probed == 0);
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_READY && probed == 1);
    fake_notify("web", true, false, NULL); /* once more: nothing new */
    fake_run(SEC);
    CHECK(probed == 1);
    end();
}

TEST(unhealthy_is_a_crash) {
    struct service *web = begin_checked(checked(SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY);
    struct sandbox *sandbox = web->sandbox;
    probe.healthy = false;
    fake_run(29 * SEC); /* two failures */
    CHECK(web->state == SERVICE_READY && service_health(web)->failures == 2);
    fake_run(20 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING && web->result == RESULT_UNHEALTHY);
    CHECK_TEXT(web->failure, "unhealthy: exited with code 1");
    CHECK_TEXT(service_result_word(web->result), "unhealthy");
    CHECK_TEXT(service_health_word(web), "unknown");
    CHECK(web->restarts == 1);
    probe.healthy = true;
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_READY && web->sandbox == sandbox);
    CHECK(service_health(web)->failures == 0 && service_health(web)->state == HEALTH_HEALTHY);
    CHECK_TEXT(changes, "unknown>starting starting>healthy healthy>unhealthy unhealthy>unknown "
                        "unknown>starting starting>healthy ");
    end();
}

TEST(one_success_ends_a_row_of_failures) {
    struct service *web = begin_checked(checked(SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(SEC);
    for (int i = 0; i < 10; i++) {
        probe.healthy = i % 3 == 0;
        fake_run(10 * SEC + MSEC);
    }
    CHECK(web->state == SERVICE_READY && web->restarts == 0);
    end();
}

TEST(a_probe_that_hangs_is_a_failure_after_its_timeout) {
    struct service *web = begin_checked(checked(SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(SEC);
    probe.after = NEVER;
    fake_run(15 * SEC);
    CHECK(!newest(web)->healthy && newest(web)->took == 5 * SEC && newest(web)->code == -1);
    CHECK_TEXT(newest(web)->error, "no answer within 5s");
    CHECK_TEXT(newest(web)->output, "so far");
    fake_run(31 * SEC);
    CHECK(web->restarts == 1 && web->result != RESULT_SUCCESS);
    end();
}

TEST(a_probe_that_cannot_be_made_is_a_failure) {
    struct service *web = begin_checked(checked(SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(SEC);
    probe.fails_at_once = true;
    fake_run(11 * SEC);
    CHECK_TEXT(newest(web)->error, "cannot make a probe");
    CHECK(service_health(web)->failures == 1);
    end();
}

TEST(within_start_period_failures_do_not_count) {
    struct unit *unit = checked(SERVICE_EXEC);
    unit->health.gates_ready = false;
    unit->health.start_period = 60 * SEC;
    unit->health.start_interval = 5 * SEC;
    struct service *web = begin_checked(unit);
    probe.healthy = false;
    command(COMMAND_START, "web");
    fake_run(59 * SEC);
    CHECK(web->state == SERVICE_READY && ended); /* gates nothing */
    CHECK(probed == 12 && service_health(web)->failures == 0);
    CHECK(service_health(web)->state == HEALTH_STARTING);
    fake_run(40 * SEC);
    CHECK(web->restarts == 1);
    end();
}

TEST(the_first_success_ends_the_start_period) {
    struct unit *unit = checked(SERVICE_EXEC);
    unit->health.start_period = 600 * SEC;
    struct service *web = begin_checked(unit);
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY);
    probe.healthy = false;
    fake_run(31 * SEC);
    CHECK(web->restarts == 1);
    end();
}

TEST(without_a_gate_and_a_start_period_the_first_probe_waits) {
    struct unit *unit = checked(SERVICE_EXEC);
    unit->health.gates_ready = false;
    struct service *web = begin_checked(unit);
    command(COMMAND_START, "web");
    fake_run(10 * SEC);
    CHECK(web->state == SERVICE_READY && probed == 0);
    fake_run(SEC);
    CHECK(probed == 1);
    end();
}

TEST(what_is_done_with_the_unhealthy) {
    static const struct {
        enum health_action action;
        enum restart_policy policy;
        enum service_state state;
    } cases[] = {
        {HEALTH_RESTART, RESTART_ON_FAILURE, SERVICE_RESTARTING},
        {HEALTH_RESTART, RESTART_ALWAYS, SERVICE_RESTARTING},
        {HEALTH_RESTART, RESTART_NO, SERVICE_FAILED},
        {HEALTH_STOP, RESTART_ALWAYS, SERVICE_FAILED},
        {HEALTH_NONE, RESTART_ALWAYS, SERVICE_READY},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct unit *unit = checked(SERVICE_EXEC);
        unit->health.on_failure = cases[i].action;
        unit->restart.policy = cases[i].policy;
        struct service *web = begin_checked(unit);
        command(COMMAND_START, "web");
        fake_run(SEC);
        probe.healthy = false;
        fake_run(29 * SEC + 20 * MSEC);
        CHECK(web->state == cases[i].state);
        if (cases[i].action == HEALTH_NONE) {
            CHECK_TEXT(service_health_word(web), "unhealthy");
            probe.healthy = true;
            fake_run(10 * SEC);
            CHECK_TEXT(service_health_word(web), "healthy");
        } else {
            CHECK(web->result == RESULT_UNHEALTHY);
        }
        end();
    }
}

TEST(the_machine_is_rebooted_where_it_is_ours) {
    struct unit *unit = checked(SERVICE_EXEC);
    unit->health.on_failure = HEALTH_REBOOT;
    struct service *web = begin_checked(unit);
    command(COMMAND_START, "web");
    CHECK(ended && web->state == SERVICE_FAILED && fake_processes == 0);
    CHECK_TEXT(web->failure,
               "its file has the machine rebooted when it is unhealthy, which ringfence can "
               "only as the machine's first process; choose another action");
    fake_run(10 * 60 * SEC);
    CHECK(web->state == SERVICE_FAILED && web->restarts == 0);
    fake_machine_is_ours = true;
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY);
    fake_told[0] = '\0';
    probe.healthy = false;
    fake_run(29 * SEC + 20 * MSEC);
    CHECK_TEXT(fake_told, "REBOOT=1");
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_UNHEALTHY);
    end();
}

TEST(the_last_five_answers_are_kept) {
    struct service *web = begin_checked(checked(SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(71 * SEC);
    const struct health_record *record = service_health(web);
    CHECK(record->count == HEALTH_RESULTS && newest(web)->healthy && newest(web)->code == 0);
    CHECK_TEXT(newest(web)->output, "fine");
    uint64_t last = newest(web)->at;
    for (size_t i = 0; i < HEALTH_RESULTS; i++) {
        size_t place = (record->newest + HEALTH_RESULTS - i) % HEALTH_RESULTS;
        CHECK(record->results[place].at == last - i * (10 * SEC + MSEC));
        CHECK(record->results[place].took == MSEC);
    }
    command(COMMAND_STOP, "web");
    fake_run(SEC);
    CHECK(service_health(web)->count == HEALTH_RESULTS); /* what it was stays to be seen */
    CHECK_TEXT(service_health_word(web), "unknown");
    end();
}

TEST(nothing_is_probed_while_it_is_paused) {
    struct fault fault;
    struct service *web = begin_checked(checked(SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(10 * SEC);
    probe.after = NEVER;
    fake_run(2 * SEC); /* in the midst of a probe */
    CHECK(fake_probes == 1);
    CHECK(manager_pause(fake_manager, "web", true, &fault) == 0);
    CHECK(fake_probes == 0);
    fake_run(600 * SEC);
    CHECK(service_health(web)->failures == 0);
    probe.after = MSEC;
    probed = 0;
    CHECK(manager_pause(fake_manager, "web", false, &fault) == 0);
    fake_run(11 * SEC);
    CHECK(probed == 1 && web->state == SERVICE_READY);
    end();
}

TEST(a_stop_in_the_midst_of_a_probe_ends_it) {
    struct service *web = begin_checked(checked(SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(10 * SEC);
    probe.after = NEVER;
    fake_run(2 * SEC);
    CHECK(fake_probes == 1);
    command(COMMAND_STOP, "web");
    CHECK(fake_probes == 0);
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED && web->result == RESULT_SUCCESS);
    end();
}

TEST(dependents_wait_for_health) {
    struct service *web = begin_checked(checked(SERVICE_EXEC));
    struct unit *after = fake_unit("after", SERVICE_EXEC);
    fake_add(&after->dependencies.requires, "web");
    fake_set(after);
    fake_apply();
    probe.healthy = false;
    command(COMMAND_START, "after");
    fake_run(5 * SEC);
    CHECK(web->state == SERVICE_STARTING);
    CHECK(fake_service("after")->state == SERVICE_WAITING);
    scoped_text struct text waits = {0};
    service_explain_waiting(fake_service("after"), &waits);
    CHECK_TEXT(waits.data,
               "waits for web (starting: not healthy yet: exited with code 1); for 5s so far");
    probe.healthy = true;
    fake_run(2 * SEC);
    CHECK(fake_service("after")->state == SERVICE_READY);
    end();
}

TEST(a_unit_without_health_has_no_timer) {
    struct service *web = begin_checked(fake_unit("web", SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(600 * SEC);
    CHECK(web->state == SERVICE_READY && probed == 0);
    CHECK(!service_health(web) && !service_health_word(web));
    CHECK(timers_next(&fake_manager->private->timers) == NEVER);
    end();
}

TEST_MAIN
