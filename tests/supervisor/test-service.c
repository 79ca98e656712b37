/* One service through its life: the cells of the table. */

#include "tests/supervisor/script.h"

TEST(exec_is_ready_at_execve) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    CHECK(web->state == SERVICE_LOADED);
    CHECK(command(COMMAND_START, "web") == 0);
    CHECK(web->state == SERVICE_BUILDING);
    CHECK_TEXT(service_state_word(web->state), "created");
    fake_run(MSEC);
    CHECK(web->state == SERVICE_STARTING);
    CHECK(ended == 0);
    fake_run(MSEC);
    CHECK(web->state == SERVICE_READY);
    CHECK(web->main_pid > 0);
    CHECK(ended == 1 && error_told == 0);
    CHECK(service_is_active(web));
    CHECK(command(COMMAND_START, "web") == 0 && ended == 1); /* it is up already */
    end();
}

TEST(notify_is_ready_when_it_says_so) {
    struct service *db = begin(fake_unit("db", SERVICE_NOTIFY));
    plan.ready_after = 5 * SEC;
    command(COMMAND_START, "db");
    fake_run(4 * SEC);
    CHECK(db->state == SERVICE_STARTING);
    fake_notify("db", false, false, "loading");
    CHECK_TEXT(db->status_text, "loading");
    scoped_text struct text waits = {0};
    service_explain_waiting(db, &waits);
    CHECK_TEXT(waits.data, "waits for its READY=1; for 3s so far, at most 1min27s more");
    fake_run(2 * SEC);
    CHECK(db->state == SERVICE_READY);
    CHECK_TEXT(db->status_text, "loading");
    end();
}

TEST(notify_without_a_word_times_out) {
    struct unit *unit = fake_unit("db", SERVICE_NOTIFY);
    unit->service.start_timeout = 2 * SEC;
    struct service *db = begin(unit);
    command(COMMAND_START, "db");
    fake_run(2050 * MSEC);
    CHECK(db->state == SERVICE_RESTARTING);
    CHECK(db->result == RESULT_TIMEOUT);
    CHECK_TEXT(db->failure, "was not ready within 2s");
    CHECK(ended == 1 && error_told == -EIO);
    CHECK_TEXT(sentence, "db: was not ready within 2s");
    end();
}

TEST(an_end_before_ready_is_a_failure) {
    struct service *db = begin(fake_unit("db", SERVICE_NOTIFY));
    plan.exit_after = SEC;
    command(COMMAND_START, "db");
    fake_run(SEC + 20 * MSEC);
    CHECK(db->result == RESULT_PROTOCOL);
    CHECK(db->state == SERVICE_RESTARTING);
    CHECK_TEXT(sentence, "db: ended before it said that it was ready");
    end();
}

TEST(fd_is_ready_at_the_newline) {
    struct service *db = begin(fake_unit("db", SERVICE_FD));
    plan.ready_after = SEC;
    command(COMMAND_START, "db");
    fake_run(SEC);
    CHECK(db->state == SERVICE_STARTING);
    fake_run(SEC);
    CHECK(db->state == SERVICE_READY);
    end();
}

TEST(oneshot_is_ready_when_it_ended_well) {
    struct service *job = begin(fake_unit("job", SERVICE_ONESHOT));
    plan.exit_after = 200 * SEC; /* longer than any start may take by default */
    command(COMMAND_START, "job");
    fake_run(100 * SEC);
    CHECK(job->state == SERVICE_STARTING);
    fake_run(101 * SEC);
    CHECK(job->state == SERVICE_READY && job->main_pid == 0);
    CHECK(job->result == RESULT_SUCCESS);
    CHECK(ended == 1 && error_told == 0);
    CHECK(command(COMMAND_STOP, "job") == 0 && ended == 1);
    CHECK(job->state == SERVICE_STOPPED);
    end();
}

TEST(oneshot_need_not_remain) {
    struct unit *unit = fake_unit("job", SERVICE_ONESHOT);
    unit->service.remain_after_exit = false;
    struct service *job = begin(unit);
    plan.exit_after = SEC;
    command(COMMAND_START, "job");
    fake_run(2 * SEC);
    CHECK(job->state == SERVICE_STOPPED);
    CHECK(ended == 1 && error_told == 0);
    CHECK(fake_sandboxes == 0);
    end();
}

TEST(oneshot_that_fails_stays_failed) {
    struct service *job = begin(fake_unit("job", SERVICE_ONESHOT));
    plan.exit_after = SEC;
    plan.exit_status = EXITED(3);
    command(COMMAND_START, "job");
    fake_run(2 * SEC);
    CHECK(job->state == SERVICE_FAILED);
    CHECK(job->result == RESULT_EXIT_CODE && job->exit_code == 3);
    CHECK(ended == 1 && error_told == -EIO);
    CHECK_TEXT(sentence, "job: exited with code 3");
    /* a stop clears it */
    command(COMMAND_STOP, "job");
    CHECK(job->state == SERVICE_STOPPED);
    end();
}

TEST(stop_asks_and_waits_for_the_last_process) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    plan.stop_time = 3 * SEC;
    plan.children = 4;
    plan.child_time = NEVER; /* grandchildren that would stay for ever */
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "web");
    CHECK(web->state == SERVICE_STOPPING);
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_STOPPING && ended == 0);
    fake_run(SEC + 50 * MSEC);
    CHECK(web->state == SERVICE_STOPPED && ended == 1 && error_told == 0);
    CHECK(web->result == RESULT_SUCCESS);
    CHECK(fake_processes == 0);
    end();
}

TEST(who_ignores_the_signal_is_killed_after_its_time) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    plan.stop_time = NEVER;
    plan.children = 2;
    command(COMMAND_START, "web");
    fake_run(SEC);
    uint64_t begun = fake_now;
    command(COMMAND_STOP, "web");
    fake_run(9 * SEC);
    CHECK(web->state == SERVICE_STOPPING);
    while (ended == 0)
        CHECK(fake_step());
    CHECK(fake_now - begun >= 10 * SEC && fake_now - begun < 10 * SEC + 50 * MSEC);
    CHECK(web->state == SERVICE_STOPPED && web->result == RESULT_TIMEOUT);
    end();
}

TEST(who_would_not_hear_the_signal_is_killed_at_once) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    plan.stop_time = NEVER;
    plan.drops_signal = true;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "web");
    CHECK(web->state == SERVICE_KILLING);
    CHECK_TEXT(service_state_word(web->state), "stopping");
    fake_run(20 * MSEC);
    CHECK(web->state == SERVICE_STOPPED && ended == 1 && web->result == RESULT_SUCCESS);
    end();
}

TEST(stop_during_the_build_and_during_the_launch) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    plan.build_time = SEC;
    command(COMMAND_START, "web");
    fake_run(500 * MSEC);
    CHECK(web->state == SERVICE_BUILDING);
    command(COMMAND_STOP, "web");
    fake_run(10 * MSEC);
    CHECK(web->state == SERVICE_STOPPED && fake_sandboxes == 0);
    plan = good();
    plan.launch_time = SEC;
    command(COMMAND_START, "web");
    fake_run(500 * MSEC);
    CHECK(web->state == SERVICE_STARTING);
    command(COMMAND_STOP, "web");
    fake_run(20 * MSEC);
    CHECK(web->state == SERVICE_STOPPED && fake_sandboxes == 0);
    end();
}

TEST(a_stop_cancels_a_start) {
    struct service *web = begin(fake_unit("web", SERVICE_NOTIFY));
    struct fault fault;
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(manager_command(fake_manager, COMMAND_STOP, "web", NULL, NULL, &fault) == 0);
    CHECK(ended == 1 && error_told == -ECANCELED);
    CHECK_TEXT(sentence, "web: stopped by another command");
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED);
    end();
}

TEST(a_start_follows_a_stop_that_is_under_way) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    struct fault fault;
    plan.stop_time = SEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(manager_command(fake_manager, COMMAND_STOP, "web", NULL, NULL, &fault) == 0);
    command(COMMAND_START, "web");
    fake_run(500 * MSEC);
    CHECK(web->state == SERVICE_STOPPING && ended == 0);
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && ended == 1 && error_told == 0);
    end();
}

TEST(a_stop_wins_over_the_restart_delay) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    plan.exit_after = 10 * MSEC;
    plan.exit_status = EXITED(1);
    command(COMMAND_START, "web");
    fake_run(50 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING);
    command(COMMAND_STOP, "web");
    CHECK(web->state == SERVICE_STOPPED && ended == 1);
    fake_run(60 * SEC);
    CHECK(web->state == SERVICE_STOPPED);
    end();
}

TEST(restart_makes_the_sandbox_anew) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(SEC);
    pid_t pid = web->main_pid;
    int before = chosen;
    command(COMMAND_RESTART, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && web->main_pid != pid && ended == 1 && error_told == 0);
    CHECK(chosen == before + 2); /* a build and a run */
    end();
}

TEST(a_run_lasts_as_long_as_it_may) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    unit->service.runtime_max = 5 * SEC;
    struct service *web = begin(unit);
    command(COMMAND_START, "web");
    fake_run(4 * SEC);
    CHECK(web->state == SERVICE_READY);
    fake_run(SEC + 10 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING && web->result == RESULT_TIMEOUT);
    CHECK_TEXT(web->failure, "ran for the 5s that it may");
    end();
}

TEST(it_may_announce_its_own_end) {
    struct unit *unit = fake_unit("web", SERVICE_NOTIFY);
    unit->service.stop_timeout = 2 * SEC;
    struct service *web = begin(unit);
    plan.ready_after = MSEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_notify("web", false, true, "bye");
    CHECK(web->state == SERVICE_STOPPING);
    fake_exit("web", EXITED(0));
    fake_run(20 * MSEC);
    CHECK(web->state == SERVICE_STOPPED && web->result == RESULT_SUCCESS);
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_notify("web", false, true, NULL);
    fake_run(2 * SEC + 20 * MSEC); /* it does not keep its word */
    CHECK(web->result == RESULT_TIMEOUT);
    end();
}

TEST(an_end_that_is_told_before_the_launch) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    plan.report_delay = 50 * MSEC;
    plan.exit_after = MSEC;
    plan.exit_status = EXITED(4);
    command(COMMAND_START, "web");
    fake_run(100 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING && web->exit_code == 4);
    CHECK(fake_manager->private->without_pid == 0);
    end();
}

/* Without its stop signal it could end nothing in order. */
TEST(what_has_begun_is_asked_to_end_though_nobody_has_heard_of_it) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    plan.report_delay = 50 * MSEC;
    command(COMMAND_START, "web");
    fake_run(10 * MSEC);
    CHECK(web->state == SERVICE_STARTING);
    command(COMMAND_STOP, "web");
    CHECK(web->state == SERVICE_STOPPING);
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED && web->result == RESULT_SUCCESS);
    end();
}

TEST(a_removal_that_takes_several_tries) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    plan.busy_removals = 3;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "web");
    fake_run(50 * MSEC);
    CHECK(web->state == SERVICE_STOPPED && ended == 1);
    end();
}

TEST(a_start_while_the_sandbox_of_a_finished_oneshot_goes_is_not_lost) {
    struct unit *unit = fake_unit("web", SERVICE_ONESHOT);
    unit->service.remain_after_exit = false;
    struct service *web = begin(unit);
    plan.exit_after = MSEC;
    plan.busy_removals = 3;
    command(COMMAND_START, "web");
    for (int i = 0; i < 1000 && web->state != SERVICE_REMOVING; i++)
        fake_run(MSEC / 10);
    CHECK(web->state == SERVICE_REMOVING && ended == 1 && error_told == 0);
    int launches = chosen;
    CHECK(command(COMMAND_START, "web") >= 0);
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED && web->result == RESULT_SUCCESS);
    CHECK(chosen == 2 * launches && ended == 1 && error_told == 0);
    end();
}

static int delays;

static void count_delays(struct service *service, enum service_state before) {
    (void)before;
    delays += service->state == SERVICE_RESTARTING;
}

TEST(who_asks_while_a_failed_sandbox_goes_waits_for_no_delay) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    fake_observe = count_delays;
    plan.build_error = "no such layer";
    plan.busy_removals = 3;
    command(COMMAND_START, "web");
    for (int i = 0; i < 1000 && web->state != SERVICE_REMOVING; i++)
        fake_run(MSEC / 10);
    plan.build_error = NULL;
    CHECK(command(COMMAND_START, "web") >= 0);
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && web->restarts == 0 && delays == 0);
    end();
}

TEST(errors_that_come_at_once) {
    struct fault fault;
    begin(fake_unit("web", SERVICE_EXEC));
    CHECK(command(COMMAND_START, "wbe") == -ENOENT);
    CHECK_TEXT(sentence, "there is no unit \"wbe\"");
    fake_refuse("bad");
    fake_apply();
    CHECK(fake_service("bad")->state == SERVICE_INVALID);
    CHECK(command(COMMAND_START, "bad") == -ENOEXEC);
    CHECK_TEXT(sentence, "bad is invalid");
    CHECK(command(COMMAND_RELOAD, "web") == -ESRCH);
    CHECK_TEXT(sentence, "web is not running");
    command(COMMAND_START, "web");
    CHECK(manager_remove(fake_manager, "web", false, &fault) == -EBUSY);
    CHECK_TEXT(fault.text, "web is created: stop it first");
    fake_run(SEC);
    CHECK(command(COMMAND_RELOAD, "web") == -EOPNOTSUPP);
    CHECK_TEXT(sentence, "web has no signal that makes it reload");
    manager_stop_all(fake_manager);
    CHECK(command(COMMAND_START, "web") == -ESHUTDOWN);
    CHECK_TEXT(sentence, "everything is being stopped");
    end();
}

TEST(a_changed_file_waits_for_the_next_start) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(SEC);
    struct unit *before = web->unit, *after = fake_unit("web", SERVICE_EXEC);
    fake_set(after);
    fake_apply();
    CHECK(web->unit == before && web->next_unit == after && web->file_changed);
    fake_exit("web", EXITED(1)); /* not at a restart of its own */
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && web->unit == before);
    command(COMMAND_RESTART, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && web->unit == after && !web->file_changed);
    end();
}

TEST(a_file_that_turns_bad_or_goes_ends_nothing) {
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_refuse("web");
    fake_apply();
    CHECK(web->state == SERVICE_READY);
    CHECK(command(COMMAND_RESTART, "web") == -ENOEXEC);
    CHECK(command(COMMAND_STOP, "web") == 0);
    fake_run(SEC);
    CHECK(web->state == SERVICE_INVALID && ended == 1);
    fake_set(fake_unit("web", SERVICE_EXEC));
    fake_apply();
    CHECK(web->state == SERVICE_LOADED);
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_drop("web");
    fake_apply();
    CHECK(web->state == SERVICE_READY);
    command(COMMAND_STOP, "web");
    fake_run(SEC);
    CHECK(fake_service("web") == NULL);
    end();
}

TEST_MAIN
