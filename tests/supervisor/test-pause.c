/* What is frozen: it is thawed before anything is asked of it, and nobody is left that cannot end.
 */

#include "tests/supervisor/script.h"

TEST(a_paused_service_is_thawed_to_stop) {
    struct fault fault;
    struct service *web = begin(fake_unit("web", SERVICE_EXEC));
    CHECK(manager_pause(fake_manager, "web", true, &fault) == -ESRCH);
    CHECK_TEXT(fault.text, "web is not running");
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(manager_pause(fake_manager, "web", true, &fault) == 0 && web->paused);
    command(COMMAND_STOP, "web");
    fake_run(50 * MSEC);
    CHECK(web->state == SERVICE_STOPPED && !web->paused);
    end();
}

TEST(what_is_paused_does_not_reload_again) {
    struct unit *unit = fake_unit("web", SERVICE_NOTIFY);
    struct fault fault;
    unit->service.reload_signal = SIGHUP;
    unit->service.start_timeout = 5 * SEC;
    struct service *web = begin(unit);
    plan.ready_after = MSEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    command(COMMAND_RELOAD, "web");
    command(COMMAND_RELOAD, "web");
    CHECK(web->state == SERVICE_RELOADING);
    CHECK(manager_pause(fake_manager, "web", true, &fault) == 0);
    fake_run(6 * SEC);
    CHECK(web->state == SERVICE_READY && error_told == -EIO);
    CHECK_TEXT(sentence, "web did not reload: it is paused");
    end();
}

/* A program with an init and a child that outlives it, unless it is asked to end. */
static struct service *paused(enum kill_mode mode) {
    struct unit *unit = fake_unit("web", SERVICE_NOTIFY);
    struct fault fault;
    unit->container.process.init = true;
    unit->service.kill_mode = mode;
    unit->restart.policy = RESTART_NO;
    struct service *web = begin(unit);
    plan.ready_after = MSEC;
    plan.children = 1;
    plan.child_time = SEC;
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(manager_pause(fake_manager, "web", true, &fault) == 0 && web->paused);
    return web;
}

TEST(what_is_paused_does_not_end_of_its_own) {
    struct fault fault;
    struct service *web = paused(KILL_CONTROL_GROUP);
    fake_exit("web", EXITED(0));
    fake_run(60 * SEC);
    CHECK(web->state == SERVICE_READY && web->paused);
    CHECK(manager_pause(fake_manager, "web", false, &fault) == 0);
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_STOPPED);
    end();
}

/* SIGKILL alone ends what is frozen: what it leaves behind could not end otherwise. */
TEST(what_a_killed_program_leaves_behind_is_thawed) {
    static const enum kill_mode modes[] = {KILL_CONTROL_GROUP, KILL_PROCESS};
    for (size_t i = 0; i < ELEMENTS(modes); i++) {
        struct service *web = paused(modes[i]);
        fake_exit("web", KILLED(SIGKILL));
        fake_run(100 * MSEC);
        CHECK(web->state == SERVICE_ENDING && !web->paused);
        fake_run(SEC);
        CHECK(web->state == SERVICE_FAILED && web->exit_signal == SIGKILL);
        end();
    }
}

TEST(what_said_that_it_stops_and_was_paused_then_is_thawed) {
    struct service *web = paused(KILL_CONTROL_GROUP);
    fake_exit("web", EXITED(0));
    fake_run(SEC);
    CHECK(web->paused);
    fake_notify("web", false, true, NULL);
    CHECK(web->state == SERVICE_STOPPING && !web->paused);
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_STOPPED && web->exit_code == 0);
    end();
}

/* The facts are older than the program, which a manager has begun, and paused, while nothing could
 * be written. */
TEST(a_stranger_in_a_frozen_cgroup_is_thawed_to_stop) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    struct fault fault;
    unit->container.namespaces.choices[NAMESPACE_PID].mode = NAMESPACE_HOST;
    unit->restart.delay = MSEC;
    begin(unit);
    manager_boot(fake_manager);
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_full = true;
    fake_exit("web", EXITED(1));
    fake_run(SEC);
    CHECK(fake_service("web")->state == SERVICE_READY && fake_service("web")->restarts == 1);
    CHECK(manager_pause(fake_manager, "web", true, &fault) == 0);
    fake_die();
    fake_revive(false);
    fake_full = false;
    fake_run(SEC);
    CHECK(fake_service("web")->state == SERVICE_READY && !fake_service("web")->paused);
    end();
}

/* The same of one that, as the facts have it, still waits for its first connection. */
TEST(what_waits_for_a_connection_is_thawed) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    struct fault fault;
    unit->container.namespaces.choices[NAMESPACE_PID].mode = NAMESPACE_HOST;
    fake_add(&unit->container.network.sockets, "80");
    unit->container.network.sockets_lazy = true;
    begin(unit);
    manager_boot(fake_manager);
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(fake_connect("web"));
    fake_run(SEC);
    fake_exit("web", EXITED(1)); /* its sandbox stays, and it listens again */
    fake_run(10 * SEC);
    CHECK(fake_service("web")->state == SERVICE_LISTENING && fake_sandboxes == 1);
    fake_full = true;
    CHECK(fake_connect("web"));
    fake_run(SEC);
    CHECK(fake_service("web")->state == SERVICE_READY);
    CHECK(manager_pause(fake_manager, "web", true, &fault) == 0);
    fake_die();
    fake_revive(false);
    fake_full = false;
    fake_run(SEC);
    CHECK(!fake_service("web")->paused);
    fake_connect("web");
    fake_run(10 * SEC);
    CHECK(fake_service("web")->state == SERVICE_READY);
    end();
}

TEST_MAIN
