/* Several services: order at start and in reverse at stop, failures and recoveries, goals that
 * meet. */

#include "tests/supervisor/lines.h"

TEST(a_start_brings_what_it_needs_in_order) {
    WORLD("web:app", "app:db", "db", "other");
    fake_observe = note_order;
    command(COMMAND_START, "web");
    CHECK(state("web") == SERVICE_WAITING && state("app") == SERVICE_WAITING);
    scoped_text struct text text = {0};
    service_explain_waiting(fake_service("web"), &text);
    CHECK_TEXT(text.data, "waits for app, which waits for db (created)");
    fake_run(SEC);
    CHECK_TEXT(order, "+db +app +web ");
    CHECK(state("other") == SERVICE_LOADED);
    CHECK(ended == 1 && error_told == 0);
    end();
}

TEST(a_stop_takes_those_that_need_it_first) {
    WORLD("web:app", "app:db", "db", "side;db");
    plan.stop_time = SEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_observe = note_order;
    command(COMMAND_STOP, "db");
    fake_run(500 * MSEC);
    CHECK(state("web") == SERVICE_STOPPING && state("app") == SERVICE_READY);
    CHECK(state("db") == SERVICE_READY);
    fake_run(5 * SEC);
    CHECK_TEXT(order, "-web -app -db ");
    CHECK(ended == 1 && error_told == 0);
    end();
}

TEST(boot_starts_what_is_enabled_and_all_at_once) {
    WORLD("a", "b", "c:a,b", "d;b");
    struct unit *disabled = fake_unit("off", SERVICE_EXEC);
    disabled->install.enabled = false;
    fake_set(disabled);
    fake_apply();
    plan.build_time = SEC;
    manager_boot(fake_manager);
    CHECK(state("a") == SERVICE_BUILDING && state("b") == SERVICE_BUILDING);
    CHECK(state("c") == SERVICE_WAITING);
    fake_run(SEC + 10 * MSEC);
    CHECK(state("a") == SERVICE_READY && state("b") == SERVICE_READY);
    fake_run(2 * SEC);
    CHECK(state("c") == SERVICE_READY && state("off") == SERVICE_LOADED);
    end();
}

TEST(a_failed_requirement_fails_and_its_recovery_starts) {
    WORLD("web:db", "db");
    fake_service("db")->unit->restart.policy = RESTART_NO;
    special_name = "db";
    special.launch_error = "execve: no such file";
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(state("db") == SERVICE_FAILED);
    CHECK(state("web") == SERVICE_FAILED);
    CHECK(fake_service("web")->result == RESULT_DEPENDENCY);
    CHECK_TEXT(fake_service("web")->failure, "requires db, which is not up");
    CHECK(ended == 1 && error_told == -EIO);
    special = good();
    command(COMMAND_START, "db");
    fake_run(SEC);
    CHECK(state("db") == SERVICE_READY && state("web") == SERVICE_READY);
    CHECK(fake_service("web")->failure == NULL);
    end();
}

TEST(a_restarting_requirement_is_waited_for_and_the_caller_told) {
    WORLD("web:app", "app:db", "db");
    special_name = "db";
    special.build_error = "rootfs: no such layer";
    command(COMMAND_START, "web");
    fake_run(50 * MSEC);
    CHECK(state("db") == SERVICE_RESTARTING && state("web") == SERVICE_WAITING);
    CHECK(ended == 1 && error_told == -EIO);
    CHECK_TEXT(sentence, "web waits for app, which could not start yet");
    scoped_text struct text text = {0};
    service_explain_waiting(fake_service("app"), &text);
    CHECK(text.data && strncmp(text.data, "waits for db (restarting in ", 28) == 0);
    special = good();
    fake_run(SEC);
    CHECK(state("web") == SERVICE_READY);
    end();
}

TEST(a_wanted_one_may_fail) {
    WORLD("web:;db,gone", "db");
    special_name = "db";
    special.launch_error = "execve: no such file";
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(state("web") == SERVICE_READY && ended == 1 && error_told == 0);
    CHECK(state("db") == SERVICE_RESTARTING);
    end();
}

TEST(a_wanted_one_is_waited_for) {
    WORLD("web:;db", "db");
    special_name = "db";
    special.build_time = 3 * SEC;
    command(COMMAND_START, "web");
    fake_run(2 * SEC);
    CHECK(state("web") == SERVICE_WAITING);
    fake_run(2 * SEC);
    CHECK(state("web") == SERVICE_READY);
    end();
}

TEST(a_requirement_that_does_not_exist) {
    WORLD("web:nothing");
    command(COMMAND_START, "web");
    CHECK(state("web") == SERVICE_FAILED);
    CHECK_TEXT(sentence, "web: requires nothing, and there is no such unit");
    fake_set(fake_unit("nothing", SERVICE_EXEC)); /* it comes, and is started: web follows */
    fake_apply();
    command(COMMAND_START, "nothing");
    fake_run(SEC);
    CHECK(state("web") == SERVICE_READY);
    end();
}

TEST(after_orders_only_what_is_in_the_same_transaction) {
    WORLD("web:;;db", "db");
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(state("web") == SERVICE_READY && state("db") == SERVICE_LOADED);
    manager_stop_all(fake_manager);
    fake_run(SEC);
    fake_close();
    WORLD("web:;;db", "db");
    order[0] = '\0';
    fake_observe = note_order;
    manager_boot(fake_manager);
    fake_run(SEC);
    CHECK_TEXT(order, "+db +web ");
    manager_stop_all(fake_manager);
    fake_run(SEC);
    CHECK_TEXT(order, "+db +web -web -db ");
}

TEST(before_is_after_from_the_other_side) {
    WORLD("a", "b");
    fake_add(&fake_service("b")->unit->dependencies.before, "a");
    fake_manager->private->graph_stale = true;
    fake_observe = note_order;
    manager_boot(fake_manager);
    fake_run(SEC);
    CHECK_TEXT(order, "+b +a ");
    end();
}

TEST(a_crash_leaves_those_that_require_it_alone) {
    WORLD("web:db", "db");
    command(COMMAND_START, "web");
    fake_run(SEC);
    pid_t pid = fake_service("web")->main_pid;
    fake_exit("db", EXITED(1));
    fake_run(SEC);
    CHECK(state("db") == SERVICE_READY && fake_service("web")->main_pid == pid);
    end();
}

TEST(a_restart_by_command_takes_them_along) {
    WORLD("web:db", "db", "idle:db");
    command(COMMAND_START, "web");
    fake_run(SEC);
    pid_t web = fake_service("web")->main_pid, db = fake_service("db")->main_pid;
    fake_observe = note_order;
    command(COMMAND_RESTART, "db");
    fake_run(SEC);
    CHECK_TEXT(order, "-web -db +db +web ");
    CHECK(fake_service("web")->main_pid != web && fake_service("db")->main_pid != db);
    CHECK(state("idle") == SERVICE_LOADED && ended == 1 && error_told == 0);
    end();
}

TEST(a_group_is_up_while_all_it_requires_is) {
    WORLD("+all:a,b", "a", "b");
    command(COMMAND_START, "all");
    fake_run(SEC);
    CHECK(state("all") == SERVICE_READY && ended == 1 && error_told == 0);
    fake_exit("a", EXITED(1));
    fake_run(10 * MSEC);
    CHECK(state("a") == SERVICE_RESTARTING && state("all") == SERVICE_WAITING);
    fake_run(SEC);
    CHECK(state("all") == SERVICE_READY);
    command(COMMAND_STOP, "all");
    CHECK(state("all") == SERVICE_STOPPED && state("a") == SERVICE_READY);
    end();
}

TEST(a_oneshot_gates_who_requires_it) {
    WORLD("web:job");
    struct unit *job = fake_unit("job", SERVICE_ONESHOT);
    job->service.remain_after_exit = false;
    fake_set(job);
    fake_set(written("slow"));
    fake_set(written("web:job,slow"));
    fake_apply();
    special_name = "job";
    special.exit_after = SEC;
    plan.build_time = 3 * SEC;
    command(COMMAND_START, "web");
    fake_run(2 * SEC);
    CHECK(state("job") == SERVICE_STOPPED && state("web") == SERVICE_WAITING);
    fake_run(5 * SEC);
    CHECK(state("web") == SERVICE_READY);
    end();
}

TEST(sharers_follow_when_the_sandbox_is_made_anew) {
    WORLD("db");
    struct unit *side = fake_unit("side", SERVICE_EXEC);
    side->container.namespaces.choices[NAMESPACE_NETWORK] =
        (struct namespace_choice){.mode = NAMESPACE_UNIT, .name = strdup("db")};
    fake_set(side);
    fake_apply();
    command(COMMAND_START, "side"); /* sharing implies requires */
    fake_run(SEC);
    CHECK(state("db") == SERVICE_READY && state("side") == SERVICE_READY);
    pid_t pid = fake_service("side")->main_pid;
    fake_exit("db", EXITED(1)); /* the same sandbox again: side does not mind */
    fake_run(SEC);
    CHECK(state("db") == SERVICE_READY && fake_service("side")->main_pid == pid);
    fake_exit("db", EXITED(0)); /* it ends for good, and its sandbox goes */
    fake_run(SEC);
    CHECK(state("db") == SERVICE_STOPPED && state("side") == SERVICE_FAILED);
    CHECK(fake_sandboxes == 0);
    command(COMMAND_START, "db");
    fake_run(SEC);
    CHECK(state("side") == SERVICE_READY && fake_service("side")->main_pid != pid);
    end();
}

TEST(a_stop_wins_over_what_is_pulled_in_automatically) {
    WORLD("web:db", "db");
    struct fault fault;
    command(COMMAND_START, "web");
    fake_run(SEC);
    plan.stop_time = 2 * SEC;
    special = plan;
    fake_exit("web", EXITED(1));
    fake_run(10 * MSEC); /* web waits for its delay */
    CHECK(state("web") == SERVICE_RESTARTING);
    CHECK(manager_command(fake_manager, COMMAND_STOP, "db", NULL, NULL, &fault) == 0);
    fake_run(10 * SEC);
    CHECK(state("db") == SERVICE_STOPPED && state("web") == SERVICE_STOPPED);
    end();
}

TEST(a_stop_that_a_start_follows_ends_when_it_is_down) {
    WORLD("web");
    struct fault fault;
    plan.stop_time = SEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "web");
    CHECK(manager_command(fake_manager, COMMAND_START, "web", NULL, NULL, &fault) == 0);
    fake_run(5 * SEC);
    CHECK(state("web") == SERVICE_READY && ended == 1 && error_told == 0);
    end();
}

TEST(instances_come_into_being_when_they_are_named) {
    WORLD("web:t@1");
    CHECK(command(COMMAND_START, "web") == 0);
    fake_run(SEC);
    CHECK(state("t@1") == SERVICE_READY && state("web") == SERVICE_READY);
    CHECK(command(COMMAND_START, "t@2") == 0);
    fake_run(SEC);
    CHECK(state("t@2") == SERVICE_READY);
    CHECK(command(COMMAND_START, "u@2") == -ENOENT);
    end();
}

TEST(a_caller_that_goes_away_is_not_told) {
    static int caller;
    WORLD("web");
    struct fault fault;
    ended = 0;
    manager_command(fake_manager, COMMAND_START, "web", done, &caller, &fault);
    manager_withdraw(fake_manager, &caller);
    fake_run(SEC);
    CHECK(state("web") == SERVICE_READY && ended == 0);
    end();
}

TEST(everything_stops_in_reverse) {
    WORLD("web:app", "app:db;cache", "db", "cache:;;db", "crash");
    special_name = "crash";
    special.exit_after = MSEC;
    special.exit_status = EXITED(1);
    plan.stop_time = 100 * MSEC;
    manager_boot(fake_manager);
    fake_run(SEC);
    fake_observe = note_order;
    manager_stop_all(fake_manager);
    fake_run(SEC);
    CHECK(fake_finished);
    const char *after_crash = strstr(order, "-web");
    CHECK(after_crash);
    CHECK_TEXT(after_crash, "-web -app -cache -db ");
    end();
}

TEST_MAIN
