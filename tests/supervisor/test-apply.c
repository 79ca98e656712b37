/* The plan of an apply, and what is done of it, against a fake runtime. */

#include "supervisor/apply.h"
#include "tests/supervisor/script.h"
#include "units/base/text.h"

/* ---- the plan in words ---- */

static struct text told;
static int applied;

static void tell(void *context, const struct plan *made) {
    (void)context;
    applied++;
    for (size_t i = 0; i < made->count; i++) {
        const struct plan_row *row = &made->rows[i];
        text_format(&told, "%s %s%s%s%s%s\n", plan_action_word(row->action), row->name,
                    *row->why ? ": " : "", row->why, row->failure ? " FAILED " : "",
                    row->failure ? row->failure : "");
    }
}

static int apply(unsigned flags) {
    struct fault fault = {{0}};
    text_free(&told);
    applied = 0;
    sentence[0] = '\0';
    int error = manager_apply(fake_manager, flags, tell, &applied, &fault);
    snprintf(sentence, sizeof(sentence), "%s", fault.text);
    return error;
}

/* The plan of a dry run, which is then done to the end. */
static void check_plan(const char *expected) {
    CHECK(apply(0) == 0);
    fake_run(30 * SEC);
    CHECK(applied == 1);
    CHECK_TEXT(told.data ? told.data : "", expected);
    text_free(&told);
}

/* ---- units ---- */

static struct unit *program(const char *name) {
    return fake_unit(name, SERVICE_EXEC);
}

/* The same unit again, so that a change is only what a test makes of it. */
static struct unit *again(const char *name) {
    struct unit *unit = program(name);
    unit->container.process.nice = fake_service(name)->unit->container.process.nice;
    return unit;
}

static struct unit *needs(struct unit *unit, const char *other) {
    fake_add(&unit->dependencies.requires, other);
    return unit;
}

static struct unit *says(struct unit *unit, const char *description) {
    unit->description = strdup(description);
    return unit;
}

static struct unit *unwanted(struct unit *unit) {
    unit->install.enabled = false;
    return unit;
}

/* db, which web requires, and mail: all up. */
static void three(void) {
    fake_open(1);
    plan = good();
    fake_choose = choose;
    fake_set(program("db"));
    fake_set(program("mail"));
    fake_set(needs(program("web"), "db"));
    fake_apply();
    manager_boot(fake_manager);
    fake_run(SEC);
    CHECK(service_is_up(fake_service("web")) && service_is_up(fake_service("mail")));
    fake_files();
}

static pid_t pid(const char *name) {
    return fake_service(name)->main_pid;
}

/* ---- tests ---- */

TEST(what_did_not_change_is_left_alone) {
    three();
    pid_t db = pid("db"), mail = pid("mail"), web = pid("web");
    check_plan("unchanged db\nunchanged mail\nunchanged web\n");
    CHECK(pid("db") == db && pid("mail") == mail && pid("web") == web);
    end();
}

TEST(a_changed_unit_restarts_with_what_requires_it) {
    three();
    pid_t db = pid("db"), mail = pid("mail"), web = pid("web");
    fake_set(program("db"));
    check_plan("restart db: changed: number\n"
               "unchanged mail\n"
               "restart web: requires db, which is to restart\n");
    CHECK(pid("db") && pid("db") != db && pid("mail") == mail && pid("web") != web);
    CHECK(service_is_up(fake_service("web")));
    end();
}

TEST(policy_changes_while_the_unit_runs) {
    three();
    pid_t db = pid("db");
    fake_set(says(again("db"), "the data"));
    check_plan("update db: changed: description\nunchanged mail\nunchanged web\n");
    CHECK(pid("db") == db);
    CHECK_TEXT(fake_service("db")->unit->description, "the data");
    CHECK(!fake_service("db")->file_changed);
    fake_exit("db", EXITED(1)); /* its sandbox, made of the unit as it was, serves on */
    fake_run(SEC);
    CHECK(service_is_up(fake_service("db")) && pid("db") != db);
    end();
}

TEST(new_units_start_and_those_that_are_gone_stop) {
    three();
    pid_t db = pid("db");
    fake_drop("mail");
    fake_set(needs(program("cache"), "db"));
    fake_set(unwanted(program("tool")));
    check_plan("start cache: new\n"
               "unchanged db\n"
               "stop mail: its file is gone\n"
               "load tool: new, and nothing wants it at boot\n"
               "unchanged web\n");
    CHECK(pid("db") == db);
    CHECK(service_is_up(fake_service("cache")));
    CHECK(!manager_lookup(fake_manager, "mail"));
    CHECK(fake_service("tool")->state == SERVICE_LOADED);
    end();
}

TEST(what_a_person_stopped_stays_stopped) {
    three();
    CHECK(command(COMMAND_STOP, "mail") == 0);
    fake_run(SEC);
    fake_set(program("mail"));
    check_plan("unchanged db\nupdate mail: does not run; changed: number\nunchanged web\n");
    CHECK(fake_service("mail")->state == SERVICE_STOPPED);
    end();
}

TEST(what_starts_takes_along_what_it_requires) {
    three();
    CHECK(command(COMMAND_STOP, "mail") == 0);
    fake_run(SEC);
    fake_set(needs(program("list"), "mail"));
    check_plan("unchanged db\nstart list: new\nstart mail: list requires it\nunchanged web\n");
    CHECK(service_is_up(fake_service("mail")) && service_is_up(fake_service("list")));
    end();
}

TEST(what_conflicts_with_a_new_unit_stops) {
    three();
    struct unit *post = program("post");
    fake_add(&post->dependencies.conflicts, "mail");
    fake_set(post);
    check_plan("unchanged db\n"
               "stop mail: conflicts with post, which is to start\n"
               "start post: new\n"
               "unchanged web\n");
    CHECK(fake_service("mail")->state == SERVICE_STOPPED);
    CHECK(service_is_up(fake_service("post")));
    end();
}

TEST(what_conflicts_with_what_is_restarted_stops) {
    three();
    struct unit *db = program("db");
    fake_add(&db->dependencies.conflicts, "mail");
    fake_set(db);
    check_plan("restart db: changed: number\n"
               "stop mail: conflicts with db, which is to restart\n"
               "restart web: requires db, which is to restart\n");
    CHECK(fake_service("mail")->state == SERVICE_STOPPED);
    end();
}

/* Its own file cannot be read any more: that is told, and who requires it is told to go. */
TEST(what_runs_by_an_invalid_file_may_conflict_too) {
    three();
    struct unit *post = program("post");
    fake_add(&post->dependencies.conflicts, "db");
    fake_set(post);
    fake_refuse("db");
    CHECK(apply(APPLY_KEEP_GOING) == 0);
    fake_run(30 * SEC);
    CHECK_TEXT(told.data, "invalid db: /fake.unit\n"
                          "unchanged mail\n"
                          "start post: new\n"
                          "stop web: requires db, which goes with what is to stop\n");
    CHECK(state_traits(fake_service("db")->state)->down);
    CHECK(fake_service("web")->state == SERVICE_STOPPED);
    end();
}

/* late waits for slow still, and takes its new file at once. */
TEST(what_is_to_stop_stops_nobody_by_its_new_file) {
    three();
    plan.ready_after = NEVER;
    fake_set(fake_unit("slow", SERVICE_NOTIFY));
    fake_set(needs(program("late"), "slow"));
    CHECK(apply(0) == 0);
    fake_run(SEC);
    CHECK(fake_service("late")->state == SERVICE_WAITING);
    manager_apply_withdraw(fake_manager, &applied);
    pid_t db = pid("db");
    fake_files();
    struct unit *late = needs(again("late"), "slow");
    fake_add(&late->dependencies.conflicts, "db");
    fake_set(late);
    fake_drop("slow");
    check_plan("unchanged db\n"
               "stop late: requires slow, which is to stop\n"
               "unchanged mail\n"
               "stop slow: its file is gone\n"
               "unchanged web\n");
    CHECK(fake_service("late")->state == SERVICE_STOPPED && pid("db") == db);
    end();
}

/* app gives mail up, and list, which is new, requires app: neither brings mail back. */
TEST(what_is_given_up_stays_away) {
    three();
    fake_set(needs(program("app"), "mail"));
    check_plan("start app: new\nunchanged db\nunchanged mail\nunchanged web\n");
    fake_files();
    fake_set(program("app"));
    fake_set(unwanted(again("mail")));
    fake_set(needs(program("list"), "app"));
    check_plan("restart app: changed: requires, number\n"
               "unchanged db\n"
               "start list: new\n"
               "stop mail: not wanted at boot any more\n"
               "unchanged web\n");
    CHECK(fake_service("mail")->state == SERVICE_STOPPED);
    CHECK(service_is_up(fake_service("app")) && service_is_up(fake_service("list")));
    end();
}

/* late waits for slow still, and a start that takes it along starts what it needs once more. */
TEST(what_waits_is_part_of_a_start_that_needs_it) {
    three();
    plan.ready_after = NEVER;
    fake_set(fake_unit("slow", SERVICE_NOTIFY));
    struct unit *late = needs(program("late"), "slow");
    fake_add(&late->dependencies.wants, "mail");
    fake_set(late);
    CHECK(apply(0) == 0);
    fake_run(SEC);
    manager_apply_withdraw(fake_manager, &applied);
    fake_service("mail")->unit->restart.policy = RESTART_NO;
    fake_exit("mail", EXITED(1));
    fake_run(SEC);
    CHECK(fake_service("mail")->state == SERVICE_FAILED);
    CHECK(fake_service("late")->state == SERVICE_WAITING);
    fake_files();
    fake_set(needs(program("list"), "late"));
    CHECK(apply(0) == 0);
    fake_run(SEC);
    CHECK(service_is_up(fake_service("mail")));
    manager_stop_all(fake_manager); /* slow is never ready: now the rows come to an end */
    fake_run(60 * SEC);
    CHECK(strstr(told.data, "start mail: late wants it\n"));
    text_free(&told);
    end();
}

/* mail goes with db; list, which is new, has it come back. */
TEST(what_stops_and_is_wanted_again_is_restarted) {
    three();
    struct unit *mail = program("mail");
    fake_add(&mail->dependencies.part_of, "db");
    fake_set(mail);
    check_plan("unchanged db\nrestart mail: changed: number\nunchanged web\n");
    fake_files();
    fake_drop("db");
    fake_drop("web");
    fake_set(needs(program("list"), "mail"));
    pid_t before = pid("mail");
    check_plan("stop db: its file is gone\n"
               "start list: new\n"
               "restart mail: it is to stop, and list requires it\n"
               "stop web: its file is gone\n");
    CHECK(service_is_up(fake_service("mail")) && pid("mail") != before);
    CHECK(service_is_up(fake_service("list")));
    end();
}

/* A restart passes through one that does not run, and whose file cannot be read any more. */
TEST(who_follows_what_is_invalid_follows) {
    three();
    fake_set(needs(program("top"), "web"));
    check_plan("unchanged db\nunchanged mail\nstart top: new\nunchanged web\n");
    plan.launch_error = "no such program";
    fake_service("web")->unit->restart.policy = RESTART_NO;
    fake_exit("web", EXITED(1));
    fake_run(SEC);
    plan.launch_error = NULL;
    fake_files();
    fake_refuse("web");
    fake_set(program("db"));
    CHECK(apply(APPLY_KEEP_GOING) == 0);
    fake_run(30 * SEC);
    CHECK_TEXT(told.data, "restart db: changed: number\n"
                          "unchanged mail\n"
                          "restart top: requires web, which goes with what is to restart FAILED "
                          "top: requires web, which is not up\n"
                          "invalid web: /fake.unit\n");
    end();
}

TEST(who_follows_by_a_second_name_follows) {
    three();
    struct unit *db = program("db"), *mail = program("mail");
    db->install.alias = strdup("store");
    fake_add(&mail->dependencies.part_of, "store");
    fake_set(db);
    fake_set(mail);
    check_plan("restart db: changed: number\n"
               "restart mail: changed: number\n"
               "restart web: requires db, which is to restart\n");
    fake_files();
    fake_set(program("db"));
    check_plan("restart db: changed: number\n"
               "restart mail: is part of db, which is to restart\n"
               "restart web: requires db, which is to restart\n");
    end();
}

/* A restart reaches those behind one that does not run. */
TEST(who_follows_what_has_failed_follows) {
    three();
    fake_set(needs(program("top"), "web"));
    check_plan("unchanged db\nunchanged mail\nstart top: new\nunchanged web\n");
    plan.launch_error = "no such program";
    fake_service("web")->unit->restart.policy = RESTART_NO;
    fake_exit("web", EXITED(1));
    fake_run(SEC);
    plan.launch_error = NULL;
    CHECK(fake_service("web")->state == SERVICE_FAILED && service_is_up(fake_service("top")));
    fake_files();
    fake_set(program("db"));
    check_plan("restart db: changed: number\n"
               "unchanged mail\n"
               "restart top: requires web, which goes with what is to restart\n"
               "start web: top requires it\n");
    end();
}

TEST(what_needs_it_no_more_comes_up_without_what_goes) {
    three();
    fake_set(needs(program("app"), "mail"));
    check_plan("start app: new\nunchanged db\nunchanged mail\nunchanged web\n");
    fake_files();
    fake_set(program("app"));
    fake_drop("mail");
    check_plan("restart app: changed: requires, number\n"
               "unchanged db\n"
               "stop mail: its file is gone\n"
               "unchanged web\n");
    CHECK(service_is_up(fake_service("app")) && !manager_lookup(fake_manager, "mail"));
    end();
}

TEST(what_has_no_file_any_more_is_started_by_nobody) {
    three();
    fake_drop("mail");
    fake_set(needs(program("list"), "mail"));
    CHECK(apply(0) == 0);
    fake_run(30 * SEC);
    CHECK(applied == 1 && !manager_lookup(fake_manager, "mail"));
    CHECK(strstr(told.data, "stop mail: its file is gone"));
    CHECK_TEXT(fake_service("list")->failure, "requires mail, which is not up");
    text_free(&told);
    end();
}

TEST(a_timed_unit_is_left_to_its_timer) {
    three();
    struct unit *nightly = program("nightly");
    nightly->timer.interval = 3600 * SEC;
    fake_set(nightly);
    check_plan("unchanged db\n"
               "unchanged mail\n"
               "load nightly: new, and started by its timer\n"
               "unchanged web\n");
    CHECK(state_traits(fake_service("nightly")->state)->down);
    end();
}

TEST(enabled_and_disabled) {
    three();
    fake_set(unwanted(again("mail")));
    fake_set(unwanted(again("db"))); /* which web requires */
    check_plan("update db: changed: enabled\nstop mail: not wanted at boot any more\n"
               "unchanged web\n");
    CHECK(fake_service("mail")->state == SERVICE_STOPPED);
    fake_files();
    fake_set(again("mail"));
    check_plan("unchanged db\nstart mail: wanted at boot now\nunchanged web\n");
    CHECK(service_is_up(fake_service("mail")));
    end();
}

TEST(a_unit_that_failed_is_tried_again_when_it_changed) {
    fake_open(1);
    plan = good();
    plan.exit_after = MSEC;
    plan.exit_status = EXITED(3);
    fake_choose = choose;
    struct unit *unit = program("web");
    unit->restart.policy = RESTART_NO;
    fake_set(unit);
    fake_apply();
    manager_boot(fake_manager);
    fake_run(SEC);
    CHECK(fake_service("web")->state == SERVICE_FAILED);
    plan = good();
    fake_files();
    fake_set(program("web"));
    check_plan("start web: failed, and changed: number\n");
    CHECK(service_is_up(fake_service("web")));
    end();
}

TEST(a_start_that_fails_is_told) {
    fake_open(1);
    plan = good();
    plan.launch_error = "exec: cannot execute \"/x\"";
    fake_choose = choose;
    fake_files();
    fake_set(program("web"));
    check_plan("start web: new FAILED web: exec: cannot execute \"/x\"\n");
    end();
}

TEST(an_invalid_file_keeps_all_from_being_done) {
    three();
    pid_t db = pid("db"), web = pid("web");
    fake_refuse("mail");
    fake_set(program("db"));
    CHECK(apply(0) == -ENOEXEC);
    CHECK_TEXT(sentence, "nothing was done, since mail is invalid: /fake.unit");
    CHECK(applied == 0);
    CHECK(pid("db") == db && !fake_service("db")->file_changed);

    fake_files();
    fake_refuse("mail");
    fake_set(program("db"));
    CHECK(apply(APPLY_KEEP_GOING) == 0);
    fake_run(10 * SEC);
    CHECK_TEXT(told.data, "restart db: changed: number\n"
                          "invalid mail: /fake.unit\n"
                          "restart web: requires db, which is to restart\n");
    CHECK(pid("db") != db && pid("web") != web);
    CHECK(service_is_up(fake_service("mail"))); /* what runs of it goes on */
    end();
}

TEST(a_dry_run_touches_nothing) {
    three();
    pid_t db = pid("db");
    fake_set(program("db"));
    fake_drop("mail");
    fake_refuse("web");
    CHECK(apply(APPLY_DRY_RUN) == 0);
    CHECK(applied == 1);
    CHECK_TEXT(told.data, "restart db: changed: number\n"
                          "stop mail: its file is gone\n"
                          "invalid web: /fake.unit\n");
    fake_run(SEC);
    CHECK(pid("db") == db && service_is_up(fake_service("mail")));
    CHECK(!fake_service("db")->next_unit);
    end();
}

TEST(a_caller_that_went_away_is_not_told) {
    three();
    fake_set(program("db"));
    CHECK(apply(0) == 0);
    manager_apply_withdraw(fake_manager, &applied);
    fake_run(10 * SEC);
    CHECK(applied == 0);
    CHECK(service_is_up(fake_service("db")) && service_is_up(fake_service("web")));
    end();
}

TEST(nothing_is_applied_while_everything_stops) {
    three();
    manager_stop_all(fake_manager);
    CHECK(apply(0) == -ESHUTDOWN);
    CHECK_TEXT(sentence, "everything is being stopped");
    fake_run(60 * SEC);
    fake_close();
}

TEST_MAIN
