/* Every kind of dependency beside requires, wants and order: what follows what, what excludes what,
 * circles that only a reload can make, and what is said of those that wait. */

#include "tests/supervisor/lines.h"

static const char *explain(const char *name) {
    static struct text text;
    text_free(&text);
    text = (struct text){0};
    service_explain_waiting(fake_service(name), &text);
    return text.data ? text.data : "";
}

static void change(const char *line) {
    fake_set(written(line));
    fake_apply();
}

/* ---- binds_to ---- */

TEST(bound_stops_when_the_other_ends_for_good_and_comes_back_with_it) {
    WORLD("side binds=db", "top:side", "db");
    command(COMMAND_START, "top");
    fake_run(SEC);
    CHECK(state("db") == SERVICE_READY && state("top") == SERVICE_READY);
    fake_observe = note_order;
    fake_exit("db", EXITED(0)); /* a success: it is not started again */
    fake_run(SEC);
    CHECK_TEXT(order, "-db -top -side ");
    command(COMMAND_START, "db");
    fake_run(SEC);
    CHECK_TEXT(order, "-db -top -side +db +side +top ");
    end();
}

TEST(bound_cycles_while_the_other_restarts) {
    WORLD("side binds=db", "other:db", "db");
    command(COMMAND_START, "side");
    command(COMMAND_START, "other");
    fake_run(SEC);
    pid_t pid = fake_service("side")->main_pid, other = fake_service("other")->main_pid;
    fake_exit("db", EXITED(1));
    fake_run(50 * MSEC);
    CHECK(state("db") == SERVICE_RESTARTING && state("side") == SERVICE_WAITING);
    CHECK(strncmp(explain("side"), "waits for db (restarting in ", 28) == 0);
    fake_run(SEC);
    CHECK(state("side") == SERVICE_READY && fake_service("side")->main_pid != pid);
    CHECK(fake_service("other")->main_pid == other);
    end();
}

TEST(bound_while_it_starts_stops_too) {
    WORLD("db");
    struct unit *side = written("side binds=db");
    side->service.type = SERVICE_NOTIFY;
    fake_set(side);
    fake_apply();
    command(COMMAND_START, "side");
    fake_run(SEC);
    CHECK(state("side") == SERVICE_STARTING);
    fake_exit("db", EXITED(0));
    fake_run(SEC);
    CHECK(state("side") == SERVICE_STOPPED && ended == 1 && error_told == -ECANCELED);
    end();
}

TEST(a_stop_by_command_is_not_undone_by_a_recovery) {
    WORLD("side binds=db", "db");
    command(COMMAND_START, "side");
    fake_run(SEC);
    command(COMMAND_STOP, "db");
    fake_run(SEC);
    CHECK(state("side") == SERVICE_STOPPED);
    command(COMMAND_START, "db");
    fake_run(SEC);
    CHECK(state("db") == SERVICE_READY && state("side") == SERVICE_STOPPED);
    end();
}

/* ---- part_of ---- */

TEST(parts_follow_stop_and_restart_and_nothing_else) {
    WORLD("part part=whole", "whole");
    command(COMMAND_START, "whole");
    fake_run(SEC);
    CHECK(state("part") == SERVICE_LOADED);
    command(COMMAND_START, "part");
    fake_run(SEC);
    pid_t pid = fake_service("part")->main_pid;
    fake_exit("whole", EXITED(1));
    fake_run(SEC);
    CHECK(fake_service("part")->main_pid == pid);
    command(COMMAND_RESTART, "whole");
    fake_run(SEC);
    CHECK(state("part") == SERVICE_READY && fake_service("part")->main_pid != pid);
    command(COMMAND_STOP, "part");
    fake_run(SEC);
    CHECK(state("whole") == SERVICE_READY);
    command(COMMAND_START, "part");
    command(COMMAND_STOP, "whole");
    fake_run(SEC);
    CHECK(state("whole") == SERVICE_STOPPED && state("part") == SERVICE_STOPPED);
    end();
}

/* ---- conflicts ---- */

TEST(starting_one_stops_the_other_first) {
    WORLD("one conflicts=two", "two", "user:two");
    plan.stop_time = SEC;
    command(COMMAND_START, "user");
    fake_run(SEC);
    fake_observe = note_order;
    command(COMMAND_START, "one");
    fake_run(500 * MSEC);
    CHECK_TEXT(explain("one"), "waits for two to stop (ready)");
    CHECK_TEXT(explain("two"), "is to stop, and waits for user (stopping)");
    fake_run(5 * SEC);
    CHECK_TEXT(order, "-user -two +one ");
    CHECK(ended == 1 && error_told == 0);
    command(COMMAND_START, "two"); /* it says nothing of one, and stops it all the same */
    fake_run(5 * SEC);
    CHECK_TEXT(order, "-user -two +one -one +two ");
    end();
}

TEST(what_waits_for_its_delay_is_stopped_by_a_conflict) {
    WORLD("one conflicts=two", "two");
    command(COMMAND_START, "two");
    fake_run(SEC);
    fake_exit("two", EXITED(1));
    fake_run(10 * MSEC);
    CHECK(state("two") == SERVICE_RESTARTING);
    command(COMMAND_START, "one");
    fake_run(5 * SEC);
    CHECK(state("one") == SERVICE_READY && state("two") == SERVICE_STOPPED);
    end();
}

TEST(both_in_one_transaction_are_refused) {
    WORLD("all:one,two", "one conflicts=two", "two", "near:two conflicts=far", "far:two");
    CHECK(command(COMMAND_START, "all") == -EINVAL);
    CHECK_TEXT(sentence, "it would start both one and two, which conflict");
    CHECK(state("all") == SERVICE_LOADED && state("one") == SERVICE_LOADED);
    command(COMMAND_START, "two");
    fake_run(SEC);
    CHECK(command(COMMAND_START, "all") == -EINVAL); /* though two is up already */
    CHECK(state("two") == SERVICE_READY);
    end();
}

TEST(of_two_that_conflict_the_wanted_one_gives_way) {
    WORLD("all:two;one", "one:helper conflicts=two", "two", "helper", "user:;one");
    command(COMMAND_START, "all");
    fake_run(SEC);
    CHECK(state("all") == SERVICE_READY && state("two") == SERVICE_READY);
    CHECK(state("one") == SERVICE_LOADED && state("helper") == SERVICE_LOADED);
    command(COMMAND_START, "user"); /* what is wanted starts, and so stops what is not in it */
    fake_run(SEC);
    CHECK(state("one") == SERVICE_READY && state("two") == SERVICE_STOPPED);
    CHECK(state("all") == SERVICE_STOPPED);
    end();
}

TEST(at_boot_the_first_by_name_starts) {
    WORLD("b conflicts=a", "a", "needs-b:b", "c");
    manager_boot(fake_manager);
    fake_run(SEC);
    CHECK(state("a") == SERVICE_READY && state("c") == SERVICE_READY);
    CHECK(state("b") == SERVICE_LOADED && state("needs-b") == SERVICE_LOADED);
    end();
}

TEST(a_changed_file_makes_a_conflict_with_what_waits) {
    WORLD("one:slow", "two", "slow");
    special_name = "slow";
    special.build_time = 2 * SEC;
    command(COMMAND_START, "two");
    command(COMMAND_START, "one");
    fake_run(SEC);
    CHECK(state("one") == SERVICE_WAITING && state("two") == SERVICE_READY);
    change("one:slow conflicts=two");
    fake_run(5 * SEC);
    CHECK(state("one") == SERVICE_READY && state("two") == SERVICE_STOPPED);
    end();
}

/* ---- on_failure ---- */

TEST(on_failure_starts_for_good_failures_alone) {
    WORLD("web failure=t@web", "quiet");
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_exit("web", EXITED(1));
    fake_run(SEC);
    CHECK(state("web") == SERVICE_READY && state("t@web") == SERVICE_LOADED);
    fake_service("web")->unit->restart.policy = RESTART_NO;
    fake_exit("web", EXITED(1));
    fake_run(SEC);
    CHECK(state("web") == SERVICE_FAILED && state("t@web") == SERVICE_READY);
    end();
}

TEST(two_that_rescue_each_other_come_to_an_end) {
    WORLD("one failure=two", "two failure=one");
    fake_service("one")->unit->restart.policy = RESTART_NO;
    fake_service("two")->unit->restart.policy = RESTART_NO;
    plan.exit_after = MSEC;
    plan.exit_status = EXITED(1);
    command(COMMAND_START, "one");
    chosen = 0;
    fake_run(60 * SEC);
    CHECK(state("one") == SERVICE_FAILED && state("two") == SERVICE_FAILED);
    CHECK(chosen <= 4); /* a sandbox and a run each */
    end();
}

/* ---- conditions ---- */

static const char *only_path;

static bool path_exists(const char *path) {
    return strcmp(path, only_path) == 0;
}

TEST(an_unmet_condition_skips_and_is_up_to_others) {
    WORLD("web:tool", "tool if=/etc/tool,!/run/off", "side");
    fake_path_exists = path_exists;
    only_path = "/nowhere";
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(state("tool") == SERVICE_SKIPPED && state("web") == SERVICE_READY);
    CHECK_TEXT(fake_service("tool")->failure, "/etc/tool does not exist");
    CHECK(fake_service("tool")->result == RESULT_CONDITION);
    CHECK(command(COMMAND_START, "tool") == 0 && ended == 1 && error_told == 0);
    only_path = "/etc/tool";
    command(COMMAND_START, "tool");
    fake_run(SEC);
    CHECK(state("tool") == SERVICE_READY && !fake_service("tool")->failure);
    only_path = "/nowhere"; /* looked at before every launch */
    fake_exit("tool", EXITED(1));
    fake_run(SEC);
    CHECK(state("tool") == SERVICE_SKIPPED && state("web") == SERVICE_READY);
    end();
}

TEST(a_negated_condition) {
    WORLD("tool if=!/run/off");
    fake_path_exists = path_exists;
    only_path = "/run/off";
    command(COMMAND_START, "tool");
    CHECK(state("tool") == SERVICE_SKIPPED);
    CHECK_TEXT(fake_service("tool")->failure, "/run/off exists");
    end();
}

TEST(what_was_skipped_has_no_namespaces_to_share) {
    WORLD("db if=/missing");
    struct unit *side = fake_unit("side", SERVICE_EXEC);
    side->container.namespaces.choices[NAMESPACE_NETWORK] =
        (struct namespace_choice){.mode = NAMESPACE_UNIT, .name = strdup("db")};
    fake_set(side);
    fake_apply();
    fake_path_exists = NULL;
    command(COMMAND_START, "side");
    CHECK(state("db") == SERVICE_SKIPPED && state("side") == SERVICE_FAILED);
    end();
}

/* ---- second names ---- */

TEST(a_second_name_in_commands_and_dependencies) {
    WORLD("web:database", "db alias=database");
    CHECK(command(COMMAND_START, "web") == 0);
    fake_run(SEC);
    CHECK(state("web") == SERVICE_READY && state("db") == SERVICE_READY);
    CHECK(fake_service("database") == fake_service("db"));
    CHECK(command(COMMAND_STOP, "database") == 0);
    fake_run(SEC);
    CHECK(state("web") == SERVICE_STOPPED && state("db") == SERVICE_STOPPED);
    change("database"); /* a unit of that name wins */
    CHECK(fake_service("database") != fake_service("db"));
    end();
}

/* ---- circles ---- */

TEST(a_circle_with_one_that_runs_by_its_old_file) {
    WORLD("a", "b:;;a");
    command(COMMAND_START, "b");
    fake_run(SEC);
    fake_set(written("b"));
    change("a:;;b"); /* sound together; but b, which runs, is still after a */
    CHECK(command(COMMAND_START, "a") == -ELOOP);
    CHECK_TEXT(sentence, "dependencies go round in a circle: a -> b -> a; b runs by its file as it "
                         "was: restart it first");
    command(COMMAND_RESTART, "b");
    fake_run(SEC);
    CHECK(command(COMMAND_START, "a") == 0);
    fake_run(SEC);
    CHECK(state("a") == SERVICE_READY);
    end();
}

TEST(a_circle_closed_by_a_reload_fails_those_that_wait) {
    WORLD("a:slow", "b:;;a", "slow");
    special_name = "slow";
    special.build_time = 5 * SEC;
    command(COMMAND_START, "b");
    fake_run(SEC);
    command(COMMAND_START, "a");
    fake_run(SEC);
    CHECK(state("a") == SERVICE_WAITING && state("b") == SERVICE_READY);
    fake_set(written("b"));
    change("a:slow;;b");
    CHECK(state("a") == SERVICE_FAILED && ended == 1 && error_told == -EIO);
    CHECK_TEXT(sentence, "a: dependencies go round in a circle: a -> b -> a");
    end();
}

TEST(a_circle_that_is_only_wanted_is_left_out) {
    WORLD("all:;a;", "a", "b:;;a");
    command(COMMAND_START, "b");
    fake_run(SEC);
    fake_set(written("b"));
    change("a:;;b");
    CHECK(command(COMMAND_START, "all") == 0);
    fake_run(SEC);
    CHECK(state("all") == SERVICE_READY && state("a") == SERVICE_LOADED);
    end();
}

/* ---- waiting, in words ---- */

TEST(waiting_is_explained_to_its_root_and_since_when) {
    WORLD("web:app,cache", "app:db", "db", "cache");
    special_name = "db";
    special.build_error = "rootfs: no such layer";
    plan.build_time = 2 * SEC;
    command(COMMAND_START, "web");
    fake_run(500 * MSEC);
    fake_service("db")->unit->restart.max_delay = 100 * SEC;
    CHECK(strncmp(explain("web"), "waits for app, which waits for db (restarting in ", 48) == 0);
    CHECK(strstr(explain("web"), "rootfs: no such layer), and for 1 more"));
    fake_run(SEC + 500 * MSEC);
    CHECK(strstr(explain("app"), "; for 2s so far"));
    CHECK_TEXT(explain("cache"), "");
    end();
}

/* ---- hubs ---- */

TEST(ten_thousand_edges_of_one_hub) {
    char name[16];
    fake_open(1);
    plan = good();
    fake_choose = choose_special;
    struct unit *hub = fake_unit("hub", SERVICE_GROUP);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        for (int again = 0; again < 5; again++)
            fake_add(&hub->dependencies.wants, name);
        if (i % 50 == 0)
            fake_set(fake_unit(name, SERVICE_EXEC));
    }
    fake_set(hub);
    fake_apply();
    CHECK(fake_service("hub")->private->needs.count == 40);
    command(COMMAND_START, "hub");
    fake_run(SEC);
    CHECK(state("hub") == SERVICE_READY);
    end();
}

TEST_MAIN
