/* Commands beside the program, reloads, kill modes, the watchdog: each new cell of the table. */

#include "tests/supervisor/script.h"

static struct unit *unit_with(const char *pre, const char *stop, const char *post) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    unit->restart.policy = RESTART_NO;
    if (pre)
        fake_add_command(&unit->service.exec_pre, pre);
    if (stop)
        fake_add_command(&unit->service.exec_stop, stop);
    if (post)
        fake_add_command(&unit->service.exec_post, post);
    return unit;
}

static void say(struct notification word) {
    word.main_pidfd = -1;
    fake_say("web", &word);
}

/* ---- before ---- */

TEST(what_comes_before_runs_first_and_in_order) {
    struct unit *unit = unit_with("/bin/one", NULL, NULL);
    fake_add_command(&unit->service.exec_pre, "/bin/two");
    struct service *web = begin(unit);
    plan.command_time = 20 * MSEC;
    command(COMMAND_START, "web");
    fake_run(10 * MSEC);
    CHECK(web->state == SERVICE_PREPARING && !web->main && ended == 0);
    CHECK(web->private->commands.next == 0);
    fake_run(25 * MSEC);
    CHECK(web->state == SERVICE_PREPARING && web->private->commands.next == 1);
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && ended == 1 && error_told == 0);
    end();
}

TEST(one_that_fails_fails_the_start) {
    struct service *web = begin(unit_with("/bin/one", NULL, "/bin/after"));
    plan.command_status = EXITED(3);
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_EXIT_CODE);
    CHECK_TEXT(web->failure, "/bin/one exited with code 3");
    CHECK_TEXT(sentence, "web: /bin/one exited with code 3");
    plan.command_missing = true;
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK_TEXT(web->failure, "/bin/one did not start: killed");
    plan.fails_at_once = false;
    end();
}

TEST(one_that_hangs_is_killed_and_named) {
    struct unit *unit = unit_with("/bin/one", NULL, NULL);
    unit->service.start_timeout = 2 * SEC;
    struct service *web = begin(unit);
    plan.command_time = NEVER;
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_PREPARING);
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_TIMEOUT);
    CHECK_TEXT(web->failure, "/bin/one did not end within 2s and was killed");
    end();
}

TEST(a_stop_ends_what_comes_before) {
    struct service *web = begin(unit_with("/bin/one", NULL, NULL));
    plan.command_time = NEVER;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "web"); /* the start is told that it was cancelled */
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED && ended == 2 && error_told == 0);
    end();
}

/* ---- after ---- */

TEST(what_comes_after_every_end) {
    struct service *web = begin(unit_with(NULL, NULL, "/bin/after"));
    plan.command_time = 50 * MSEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_exit("web", EXITED(1));
    fake_run(30 * MSEC);
    CHECK(web->state == SERVICE_FINISHING && !web->main);
    fake_run(SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_EXIT_CODE && web->exit_code == 1);
    plan.launch_error = "execve: no such file";
    command(COMMAND_START, "web");
    fake_run(20 * MSEC);
    CHECK(web->state == SERVICE_FINISHING);
    fake_run(SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_LAUNCH);
    end();
}

TEST(one_after_it_that_fails_spoils_it) {
    struct service *web = begin(unit_with(NULL, NULL, "/bin/after"));
    plan.command_status = EXITED(2);
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_exit("web", EXITED(0));
    fake_run(SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_EXIT_CODE);
    CHECK_TEXT(web->failure, "/bin/after exited with code 2");
    plan.command_time = NEVER;
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_exit("web", EXITED(0));
    fake_run(20 * SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_TIMEOUT);
    CHECK_TEXT(web->failure, "/bin/after did not end within 10s and was killed");
    end();
}

/* ---- the stop ---- */

TEST(it_is_asked_before_it_is_signalled) {
    struct service *web = begin(unit_with(NULL, "/bin/ask", NULL));
    plan.command_time = 100 * MSEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "web");
    fake_run(50 * MSEC);
    CHECK(web->state == SERVICE_ASKING && web->main);
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED && web->result == RESULT_SUCCESS && ended == 1);
    end();
}

TEST(one_that_ends_while_it_is_asked) {
    struct service *web = begin(unit_with(NULL, "/bin/ask", NULL));
    plan.command_time = NEVER;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "web");
    fake_run(50 * MSEC);
    fake_exit("web", EXITED(0));
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED && web->result == RESULT_SUCCESS);
    end();
}

TEST(asking_in_vain_has_its_time) {
    struct service *web = begin(unit_with(NULL, "/bin/ask", NULL));
    plan.command_time = NEVER;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "web");
    fake_run(9 * SEC);
    CHECK(web->state == SERVICE_ASKING);
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_STOPPED && web->result == RESULT_TIMEOUT);
    CHECK_TEXT(web->failure, "/bin/ask did not end within 10s and was killed");
    end();
}

TEST(a_start_that_failed_is_not_asked) {
    struct unit *unit = unit_with(NULL, "/bin/ask", NULL);
    unit->service.type = SERVICE_NOTIFY;
    unit->service.start_timeout = SEC;
    struct service *web = begin(unit);
    command(COMMAND_START, "web");
    fake_run(SEC + 10 * MSEC);
    CHECK(web->state != SERVICE_ASKING && web->result == RESULT_TIMEOUT);
    end();
}

/* ---- reload ---- */

TEST(a_command_reloads) {
    struct unit *unit = unit_with(NULL, NULL, NULL);
    fake_add(&unit->service.exec_reload, "/bin/reload");
    struct service *web = begin(unit);
    plan.command_time = 100 * MSEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(command(COMMAND_RELOAD, "web") == 0);
    fake_run(50 * MSEC);
    CHECK(web->state == SERVICE_RELOADING && service_is_up(web) && ended == 0);
    struct fault fault;
    CHECK(manager_command(fake_manager, COMMAND_RELOAD, "web", NULL, NULL, &fault) == 0);
    fake_run(80 * MSEC);
    CHECK(web->state == SERVICE_RELOADING); /* once more */
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && ended == 1 && error_told == 0);
    plan.command_status = EXITED(1);
    command(COMMAND_RELOAD, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && error_told == -EIO);
    CHECK_TEXT(sentence, "web did not reload: /bin/reload exited with code 1");
    plan.command_time = NEVER;
    command(COMMAND_RELOAD, "web");
    fake_run(100 * SEC);
    CHECK_TEXT(sentence, "web did not reload: /bin/reload did not end within 1min30s and was "
                         "killed");
    end();
}

TEST(a_signal_that_must_be_answered) {
    struct unit *unit = fake_unit("web", SERVICE_NOTIFY);
    unit->service.reload_signal = SIGHUP;
    unit->service.start_timeout = 5 * SEC;
    struct service *web = begin(unit);
    plan.ready_after = MSEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_RELOAD, "web");
    CHECK(web->state == SERVICE_RELOADING);
    say((struct notification){.ready = true}); /* of the time before */
    CHECK(web->state == SERVICE_RELOADING);
    say((struct notification){.reloading = true, .monotonic = fake_now - SEC});
    say((struct notification){.ready = true});
    CHECK(web->state == SERVICE_RELOADING);
    say((struct notification){.reloading = true, .monotonic = fake_now});
    say((struct notification){.ready = true});
    CHECK(web->state == SERVICE_READY && ended == 1 && error_told == 0);
    command(COMMAND_RELOAD, "web");
    fake_run(6 * SEC);
    CHECK(web->state == SERVICE_READY && error_told == -EIO);
    CHECK_TEXT(sentence, "web did not reload: it did not say within 5s that it had");
    end();
}

TEST(what_happens_while_it_reloads) {
    struct unit *unit = unit_with(NULL, NULL, NULL);
    fake_add(&unit->service.exec_reload, "/bin/reload");
    struct service *web = begin(unit);
    plan.command_time = NEVER;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_RELOAD, "web");
    fake_exit("web", EXITED(4));
    fake_run(SEC);
    CHECK(web->state == SERVICE_FAILED && web->exit_code == 4 && error_told == -EIO);
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_RELOAD, "web");
    command(COMMAND_STOP, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED);
    end();
}

static void count(void *context, int error, const struct fault *fault) {
    (void)fault;
    *(int *)context += error == 0;
}

TEST(who_asks_for_a_reload_again_and_again_holds_nobody_up) {
    struct unit *unit = unit_with(NULL, NULL, NULL);
    struct fault fault;
    int first = 0, others = 0;
    fake_add(&unit->service.exec_reload, "/bin/reload");
    struct service *web = begin(unit);
    plan.command_time = SEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(manager_command(fake_manager, COMMAND_RELOAD, "web", count, &first, &fault) == 0);
    for (int i = 0; i < 4; i++) {
        fake_run(SEC / 4);
        CHECK(manager_command(fake_manager, COMMAND_RELOAD, "web", count, &others, &fault) == 0);
    }
    fake_run(SEC / 2);
    CHECK(first == 1 && others == 0 && web->state == SERVICE_RELOADING);
    CHECK(manager_command(fake_manager, COMMAND_RELOAD, "web", count, &first, &fault) == 0);
    fake_run(SEC);
    CHECK(first == 1 && others == 4 && web->state == SERVICE_RELOADING);
    fake_run(SEC);
    CHECK(first == 2 && web->state == SERVICE_READY);
    end();
}

TEST(a_reload_of_its_own) {
    struct service *web = begin(fake_unit("web", SERVICE_NOTIFY));
    plan.ready_after = MSEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    say((struct notification){.reloading = true});
    CHECK(web->state == SERVICE_RELOADING);
    say((struct notification){.ready = true, .status = "fresh"});
    CHECK(web->state == SERVICE_READY);
    CHECK_TEXT(web->status_text, "fresh");
    struct fault fault;
    CHECK(manager_pause(fake_manager, "web", true, &fault) == 0);
    CHECK(command(COMMAND_RELOAD, "web") == -EOPNOTSUPP);
    end();
}

/* ---- the watchdog ---- */

static struct service *watched(void) {
    struct unit *unit = unit_with(NULL, NULL, NULL);
    unit->service.watchdog = 2 * SEC;
    unit->restart.policy = RESTART_ON_WATCHDOG;
    struct service *web = begin(unit);
    command(COMMAND_START, "web");
    fake_run(SEC);
    return web;
}

TEST(a_dog_that_is_fed) {
    struct service *web = watched();
    for (int i = 0; i < 5; i++) {
        say((struct notification){.ping = true});
        fake_run(1500 * MSEC);
        CHECK(web->state == SERVICE_READY);
    }
    struct fault fault;
    CHECK(manager_pause(fake_manager, "web", true, &fault) == 0);
    fake_run(60 * SEC); /* one that is frozen cannot say anything */
    CHECK(web->state == SERVICE_READY);
    CHECK(manager_pause(fake_manager, "web", false, &fault) == 0);
    say((struct notification){.watchdog = 30 * SEC});
    fake_run(20 * SEC);
    CHECK(web->state == SERVICE_READY && web->restarts == 0);
    end();
}

TEST(a_dog_that_bites) {
    struct service *web = watched();
    fake_run(1100 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING && web->result == RESULT_WATCHDOG);
    CHECK_TEXT(web->failure, "did not say WATCHDOG=1 within 2s");
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY);
    say((struct notification){.trigger = true});
    CHECK(web->state == SERVICE_STOPPING);
    fake_run(10 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING);
    CHECK_TEXT(web->failure, "said WATCHDOG=trigger");
    fake_run(SEC);
    fake_exit("web", KILLED(SIGSEGV)); /* of no concern to this policy */
    fake_run(SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_SIGNAL);
    end();
}

/* ---- what is left behind ---- */

static struct service *with_init(enum kill_mode mode) {
    struct unit *unit = unit_with(NULL, NULL, NULL);
    unit->container.process.init = true;
    unit->service.kill_mode = mode;
    struct service *web = begin(unit);
    plan.children = 2;
    plan.child_time = 3 * SEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_exit("web", EXITED(6));
    fake_run(100 * MSEC);
    return web;
}

TEST(the_rest_is_told_to_end) {
    struct service *web = with_init(KILL_CONTROL_GROUP);
    CHECK(web->state == SERVICE_ENDING && web->main && web->main_pid == 0);
    fake_run(4 * SEC);
    CHECK(web->state == SERVICE_FAILED && web->exit_code == 6);
    end();
}

TEST(the_rest_is_killed_at_once) {
    struct service *web = with_init(KILL_MIXED);
    CHECK(web->state == SERVICE_FAILED && web->exit_code == 6);
    end();
}

TEST(the_rest_has_its_time) {
    struct service *web = with_init(KILL_PROCESS);
    CHECK(web->state == SERVICE_ENDING);
    fake_run(4 * SEC);
    CHECK(web->state == SERVICE_FAILED && web->exit_code == 6);
    plan.child_time = NEVER;
    command(COMMAND_START, "web");
    fake_run(SEC);
    plan.stop_time = NEVER;
    fake_exit("web", EXITED(5));
    fake_run(9 * SEC);
    CHECK(web->state == SERVICE_ENDING);
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_EXIT_CODE && web->exit_code == 5);
    end();
}

TEST(the_program_alone_is_killed_first) {
    struct unit *unit = unit_with(NULL, NULL, NULL);
    unit->container.process.init = true;
    unit->service.kill_mode = KILL_PROCESS;
    struct service *web = begin(unit);
    plan.children = 1;
    plan.child_time = 5 * SEC;
    plan.stop_time = NEVER;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "web");
    fake_run(10 * SEC + 20 * MSEC);
    CHECK(web->state == SERVICE_ENDING);
    fake_run(6 * SEC);
    CHECK(web->state == SERVICE_STOPPED && ended == 1);
    end();
}

TEST(what_is_to_be_killed_after_it_is_killed_until_it_is_gone) {
    struct unit *unit = unit_with(NULL, NULL, NULL);
    unit->container.process.init = true;
    unit->service.kill_mode = KILL_PROCESS;
    struct service *web = begin(unit);
    plan.children = 1;
    plan.child_time = plan.stop_time = NEVER;
    plan.vain_kills = 2;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "web");
    fake_run(20 * SEC + 20 * MSEC); /* for the program, and for what it left behind */
    CHECK(web->state == SERVICE_KILLING);
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_STOPPED && ended == 1);
    end();
}

/* ---- the rest of sd_notify, and of the restart table ---- */

TEST(more_time_and_errors_in_words) {
    struct unit *unit = fake_unit("web", SERVICE_NOTIFY);
    unit->service.start_timeout = 2 * SEC;
    unit->restart.policy = RESTART_NO;
    struct service *web = begin(unit);
    command(COMMAND_START, "web");
    fake_run(1500 * MSEC);
    say((struct notification){.extend = 2 * SEC, .errno_text = "13"});
    CHECK_TEXT(web->status_error, "Permission denied (13)");
    fake_run(1500 * MSEC);
    CHECK(web->state == SERVICE_STARTING);
    say((struct notification){.bus_error = "org.example.Error"});
    CHECK_TEXT(web->status_error, "org.example.Error");
    say((struct notification){.exit_status = "7"});
    CHECK_TEXT(web->status_error, "exit status 7");
    say((struct notification){.errno_text = "x", .exit_status = "256"});
    CHECK_TEXT(web->status_error, "exit status 7");
    fake_run(SEC);
    CHECK(web->result == RESULT_TIMEOUT);
    end();
}

TEST(stopping_beats_ready_beats_reloading) {
    struct service *web = begin(fake_unit("web", SERVICE_NOTIFY));
    command(COMMAND_START, "web");
    fake_run(SEC);
    say((struct notification){.ready = true, .reloading = true});
    CHECK(web->state == SERVICE_READY);
    say((struct notification){.ready = true, .stopping = true, .reloading = true});
    CHECK(web->state == SERVICE_STOPPING);
    end();
}

TEST(a_limit_with_a_pause) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    unit->restart.limit_burst = 2;
    unit->restart.on_limit.pause = 5 * 60 * SEC;
    struct service *web = begin(unit);
    plan.exit_after = MSEC;
    plan.exit_status = EXITED(1);
    command(COMMAND_START, "web");
    fake_run(60 * SEC);
    CHECK(web->state == SERVICE_RESTARTING && web->restart_delay == 5 * 60 * SEC);
    plan.exit_after = NEVER;
    fake_run(5 * 60 * SEC);
    CHECK(web->state == SERVICE_READY);
    end();
}

TEST(a_oneshot_that_remains_is_ended_by_its_commands) {
    struct unit *unit = fake_unit("web", SERVICE_ONESHOT);
    fake_add_command(&unit->service.exec_stop, "/bin/down");
    fake_add_command(&unit->service.exec_post, "/bin/after");
    struct service *web = begin(unit);
    plan.exit_after = MSEC;
    plan.command_time = 50 * MSEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && !web->main);
    command(COMMAND_STOP, "web");
    fake_run(30 * MSEC);
    CHECK(web->state == SERVICE_ASKING);
    fake_run(50 * MSEC);
    CHECK(web->state == SERVICE_FINISHING);
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED);
    end();
}

TEST_MAIN
