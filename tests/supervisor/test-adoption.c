/* What one manager takes over from another: the rest of a deadline, nothing for a reason that may
 * pass, and what can be known of a unit whose facts are damaged. */

#include "supervisor/state.h"
#include "tests/supervisor/script.h"

static void boot(struct unit *unit) {
    begin(unit);
    manager_boot(fake_manager);
}

/* ---- deadlines ---- */

static struct service *watched(void) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    unit->service.watchdog = 10 * SEC;
    unit->restart.policy = RESTART_ON_WATCHDOG;
    boot(unit);
    command(COMMAND_START, "web");
    fake_run(2 * MSEC);
    CHECK(fake_service("web")->state == SERVICE_READY);
    return fake_service("web");
}

TEST(a_watchdog_has_what_was_left_of_it) {
    watched();
    fake_run(4 * SEC);
    fake_die();
    fake_run(2 * SEC);
    fake_revive(false);
    fake_run(3900 * MSEC);
    CHECK(fake_service("web")->state == SERVICE_READY);
    fake_run(200 * MSEC);
    CHECK(fake_service("web")->state == SERVICE_STOPPING ||
          fake_service("web")->state == SERVICE_RESTARTING);
    CHECK(fake_service("web")->result == RESULT_WATCHDOG ||
          fake_service("web")->private->cause == RESULT_WATCHDOG);
    end();
}

TEST(a_ping_counts_for_the_next_manager_too) {
    watched();
    fake_run(8 * SEC);
    fake_say("web", &(struct notification){.ping = true, .main_pidfd = -1});
    fake_die();
    fake_revive(false);
    fake_run(9900 * MSEC);
    CHECK(fake_service("web")->state == SERVICE_READY);
    fake_run(200 * MSEC);
    CHECK(fake_service("web")->state != SERVICE_READY);
    end();
}

TEST(a_deadline_that_passed_meanwhile_leaves_time_for_what_was_said) {
    watched();
    fake_die();
    fake_run(60 * SEC);
    fake_revive(false);
    fake_run(ADOPT_GRACE - MSEC);
    CHECK(fake_service("web")->state == SERVICE_READY);
    fake_say("web", &(struct notification){.ping = true, .main_pidfd = -1});
    fake_run(9 * SEC);
    CHECK(fake_service("web")->state == SERVICE_READY && fake_service("web")->restarts == 0);
    end();
}

TEST(who_says_nothing_in_that_time_is_late) {
    watched();
    fake_die();
    fake_run(60 * SEC);
    fake_revive(false);
    fake_run(ADOPT_GRACE + 2 * MSEC);
    CHECK(fake_service("web")->state != SERVICE_READY);
    CHECK_TEXT(fake_service("web")->failure, "did not say WATCHDOG=1 within 10s");
    end();
}

TEST(a_start_has_what_was_left_of_it) {
    struct unit *unit = fake_unit("db", SERVICE_NOTIFY);
    unit->service.start_timeout = 10 * SEC;
    boot(unit);
    command(COMMAND_START, "db");
    fake_run(3 * SEC);
    fake_die();
    fake_run(3 * SEC);
    fake_revive(false);
    fake_run(3900 * MSEC);
    CHECK(fake_service("db")->state == SERVICE_STARTING);
    fake_run(200 * MSEC);
    CHECK_TEXT(fake_service("db")->failure, "was not ready within 10s");
    end();
}

/* ---- commands on their way ---- */

/* It was killed, and what follows it runs in the same place: nobody asks how far it came. */
TEST(a_command_that_was_given_up_is_nobodys) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    fake_add_command(&unit->service.exec_pre, "/bin/before");
    fake_add_command(&unit->service.exec_post, "/bin/after");
    boot(unit);
    plan.launch_time = 10 * MSEC;
    plan.kill_time = 50 * MSEC;
    plan.command_time = 100 * MSEC;
    command(COMMAND_START, "web");
    fake_run(7 * MSEC); /* its process is known, and has not executed */
    CHECK(fake_service("web")->state == SERVICE_PREPARING);
    command(COMMAND_STOP, "web");
    CHECK(fake_service("web")->state == SERVICE_FINISHING);
    fake_run(6 * MSEC);
    fake_die();
    fake_revive(false);
    CHECK(fake_service("web")->state == SERVICE_FINISHING);
    fake_run(SEC);
    CHECK(fake_service("web")->state == SERVICE_STOPPED);
    end();
}

/* ---- what may pass ---- */

/* That nobody goes on with what had begun is what these tests are about. */
static void overlook(const char *rule) {
    (void)rule;
}

static pid_t run_web(void) {
    boot(fake_unit("web", SERVICE_EXEC));
    command(COMMAND_START, "web");
    fake_run(10 * MSEC);
    CHECK(fake_service("web")->state == SERVICE_READY);
    return fake_service("web")->main_pid;
}

TEST(nobody_is_ended_for_what_may_pass) {
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, EIO, EAGAIN, EINTR, ENOSPC};
    struct fault fault = {{0}};
    pid_t pid = run_web();
    for (size_t i = 0; i < ELEMENTS(errors); i++) {
        fake_die();
        fake_facts_error = errors[i];
        CHECK(fake_try_revive(&fault) == -errors[i]);
        CHECK(strstr(fault.text, "web: cannot open the facts of web: "));
        CHECK(strstr(fault.text, "what runs goes on"));
    }
    fake_die();
    fake_facts_error = 0;
    fake_revive(false);
    CHECK(fake_service("web")->state == SERVICE_READY && fake_service("web")->main_pid == pid);
    CHECK(fake_manager->private->adoption.lost_count == 0);
    end();
}

TEST(what_does_not_pass_is_believed_in_the_end) {
    struct fault fault = {{0}};
    pid_t pid = run_web();
    fake_broken = overlook;
    fake_facts_error = EIO;
    for (int i = 0; i < ADOPT_TRIES; i++) {
        fake_die();
        CHECK(fake_try_revive(&fault) == -EIO);
    }
    fake_die();
    CHECK(fake_try_revive(&fault) == 1);
    fake_facts_error = 0;
    const struct adoption *adoption = manager_adoption(fake_manager);
    CHECK(adoption->lost_count == 1 && adoption->found == 0);
    CHECK_TEXT(adoption->lost[0].unit, "web");
    fake_run(SEC); /* it was to be up: it is begun anew */
    CHECK(fake_service("web")->state == SERVICE_READY && fake_service("web")->main_pid != pid);
    CHECK(fake_manager->private->adoption.tries == 0);
    end();
}

/* ---- what a newer version has written ---- */

TEST(what_only_a_newer_version_can_read_is_left_to_it) {
    struct fault fault = {{0}};
    pid_t pid = run_web();
    for (int i = 0; i < 2 * ADOPT_TRIES; i++) {
        const char *file = i % 2 ? "web" : NULL;
        fake_die();
        fake_set_version(file, '2');
        CHECK(fake_try_revive(&fault) == -EAGAIN);
        CHECK(strstr(
            fault.text,
            file ? "what is known of web: it is of a newer format (2, here 1)"
                 : "what is known of all units together: it is of a newer format (2, here 1)"));
        CHECK(strstr(fault.text, "what runs goes on"));
        fake_set_version(file, '1');
    }
    fake_die();
    fake_revive(false);
    CHECK(fake_service("web")->state == SERVICE_READY && fake_service("web")->main_pid == pid);
    CHECK(manager_adoption(fake_manager)->lost_count == 0);
    end();
}

/* ---- a main process that was moved ---- */

/* Here while nobody looked, and what ran beside it is left. */
TEST(what_a_moved_main_process_leaves_behind_is_ended) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    unit->container.namespaces.choices[NAMESPACE_PID].mode = NAMESPACE_HOST;
    boot(unit);
    plan.children = 2;
    plan.child_time = plan.stop_time = 5 * SEC;
    command(COMMAND_START, "web");
    fake_run(10 * MSEC);
    fake_move_main("web");
    fake_exit("web", EXITED(0));
    fake_run(10 * MSEC);
    CHECK(fake_service("web")->state == SERVICE_READY && fake_service("web")->private->ended);
    fake_die();
    fake_end_moved("web");
    fake_revive(false);
    CHECK(fake_service("web")->state == SERVICE_ENDING);
    fake_run(10 * SEC);
    CHECK(state_traits(fake_service("web")->state)->down);
    end();
}

/* ---- a launch that is begun again ---- */

TEST(what_is_begun_again_waits_for_what_it_requires) {
    struct unit *web = fake_unit("web", SERVICE_EXEC);
    fake_add(&web->dependencies.requires, "db");
    boot(fake_unit("db", SERVICE_EXEC));
    fake_set(web);
    fake_apply();
    plan.launch_time = 10 * MSEC;
    command(COMMAND_START, "web");
    for (int i = 0; i < 1000 && fake_service("web")->state != SERVICE_STARTING; i++)
        fake_run(MSEC / 10);
    CHECK(fake_service("web")->state == SERVICE_STARTING && !fake_service("web")->main_pid);
    fake_exit("db", KILLED(SIGKILL));
    fake_run(2 * MSEC);
    CHECK(fake_service("db")->state == SERVICE_RESTARTING);
    CHECK(fake_service("web")->state == SERVICE_STARTING && !fake_service("web")->main_pid);
    fake_die();
    fake_revive(false);
    CHECK(fake_service("web")->state == SERVICE_CREATED && fake_service("web")->restarts == 0);
    fake_run(SEC);
    CHECK(fake_service("web")->state == SERVICE_READY && fake_service("db")->restarts == 1);
    end();
}

/* ---- damaged facts ---- */

TEST(what_a_person_started_is_started_again_where_its_facts_are_damaged) {
    pid_t pid = run_web(); /* and nothing wants it at boot */
    fake_broken = overlook;
    fake_damage("web");
    fake_die();
    fake_revive(false);
    CHECK(manager_adoption(fake_manager)->lost_count == 1);
    CHECK_TEXT(manager_adoption(fake_manager)->lost[0].why, "it is damaged");
    fake_run(SEC);
    CHECK(fake_service("web")->state == SERVICE_READY && fake_service("web")->main_pid != pid);
    end();
}

/* One that listens, and at which somebody waits. */
static struct service *begin_lazy(void) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    fake_add(&unit->container.network.sockets, "/run/web");
    unit->container.network.sockets_lazy = true;
    boot(unit);
    command(COMMAND_START, "web");
    fake_run(10 * MSEC);
    CHECK(fake_service("web")->state == SERVICE_LISTENING);
    return fake_service("web");
}

TEST(who_waits_at_its_sockets_is_served_though_its_facts_are_damaged) {
    begin_lazy();
    fake_broken = overlook;
    fake_damage("web");
    CHECK(fake_connect("web"));
    fake_die();
    fake_revive(false);
    fake_run(SEC);
    CHECK(fake_service("web")->state == SERVICE_READY);
    end();
}

TEST(what_a_person_stopped_is_not) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    unit->install.enabled = true;
    fake_add(&unit->install.wanted_by, "default");
    boot(unit);
    command(COMMAND_START, "web");
    fake_run(10 * MSEC);
    command(COMMAND_STOP, "web");
    fake_run(SEC);
    fake_damage("web");
    fake_die();
    fake_revive(false);
    fake_run(SEC);
    CHECK(state_traits(fake_service("web")->state)->down);
    CHECK_TEXT(fake_service("web")->failure, "could not be found again: it is damaged");
    end();
}

/* ---- a boot that nobody has finished ---- */

TEST(what_of_a_boot_is_not_written_is_started_by_the_next_manager) {
    struct unit *web = fake_unit("web", SERVICE_EXEC), *db = fake_unit("db", SERVICE_EXEC);
    fake_add(&web->install.wanted_by, "default");
    fake_add(&db->install.wanted_by, "default");
    begin(web);
    manager_boot(fake_manager);
    fake_run(SEC);
    CHECK(!fake_manager->private->booting);
    fake_set(db); /* as if its facts had been the next to be written */
    fake_apply();
    CHECK(fake_service("db")->state == SERVICE_LOADED);
    fake_manager->private->booting = true;
    state_touch_manager(fake_manager);
    manager_event_ended(fake_manager);
    fake_die();
    fake_revive(false);
    fake_run(SEC);
    CHECK(fake_service("db")->state == SERVICE_READY);
    CHECK(fake_service("web")->state == SERVICE_READY && fake_service("web")->restarts == 0);
    CHECK(!fake_manager->private->booting);
    end();
}

TEST(what_came_after_a_boot_is_not_started_by_the_next_manager) {
    struct unit *web = fake_unit("web", SERVICE_EXEC), *db = fake_unit("db", SERVICE_EXEC);
    fake_add(&web->install.wanted_by, "default");
    fake_add(&db->install.wanted_by, "default");
    begin(web);
    manager_boot(fake_manager);
    fake_run(SEC);
    fake_set(db);
    fake_apply();
    fake_die();
    fake_revive(false);
    fake_run(SEC);
    CHECK(fake_service("db")->state == SERVICE_LOADED);
    end();
}

/* It is known until it is seen to be down, and the second half of a restart that the last manager
 * began comes before that. */
TEST(what_has_no_file_any_more_is_not_pulled) {
    struct unit *web = fake_unit("web", SERVICE_EXEC);
    fake_add(&web->dependencies.wants, "db");
    begin(web);
    fake_set(fake_unit("db", SERVICE_EXEC));
    fake_apply();
    manager_boot(fake_manager);
    plan.busy_removals = 2;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_STOP, "db");
    fake_run(SEC);
    command(COMMAND_RESTART, "web");
    while (fake_service("web")->state != SERVICE_REMOVING)
        CHECK(fake_step());
    fake_files();
    fake_drop("db");
    fake_die();
    fake_revive(false);
    CHECK(!fake_service("db"));
    fake_run(SEC);
    CHECK(fake_service("web")->state == SERVICE_READY);
    end();
}

TEST_MAIN
