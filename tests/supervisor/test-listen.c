/* Services whose sockets the manager binds: open before the process and over its restarts; lazy
 * ones wait for a connection, and are idle without one. */

#include "tests/supervisor/script.h"

static struct unit *unit_with_sockets(bool lazy) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    fake_add(&unit->container.network.sockets, "80");
    unit->container.network.sockets_lazy = lazy;
    unit->restart.jitter = 0;
    return unit;
}

/* A connection in every millisecond; none may be refused. */
static void connect_all_the_time(uint64_t duration) {
    for (uint64_t i = 0; i < duration / MSEC; i++) {
        CHECK(fake_connect("web"));
        fake_run(MSEC);
    }
}

TEST(open_before_the_process_and_until_the_stop) {
    struct service *web = begin(unit_with_sockets(false));
    CHECK(!fake_connect("web"));
    command(COMMAND_START, "web");
    CHECK(web->state == SERVICE_BUILDING && fake_listeners == 1);
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY);
    command(COMMAND_STOP, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED && fake_listeners == 0);
    CHECK(!fake_connect("web"));
    end();
}

TEST(open_over_restarts) {
    struct service *web = begin(unit_with_sockets(false));
    command(COMMAND_START, "web");
    for (int i = 0; i < 20; i++) {
        connect_all_the_time(5 * MSEC);
        if (web->main && web->private->executed)
            fake_exit("web", EXITED(1));
        connect_all_the_time(SEC);
        command(COMMAND_RESTART, "web");
        connect_all_the_time(100 * MSEC);
    }
    CHECK(web->state == SERVICE_READY && fake_listeners == 1);
    end();
}

TEST(closed_when_it_fails_for_good) {
    struct unit *unit = unit_with_sockets(false);
    unit->restart.policy = RESTART_NO;
    struct service *web = begin(unit);
    command(COMMAND_START, "web");
    fake_run(SEC);
    fake_exit("web", EXITED(1));
    fake_run(SEC);
    CHECK(web->state == SERVICE_FAILED && fake_listeners == 0);
    end();
}

TEST(what_cannot_be_bound_is_tried_again) {
    struct service *web = begin(unit_with_sockets(false));
    fake_bind_error = "cannot listen on tcp *:80: Address already in use";
    command(COMMAND_START, "web");
    CHECK(web->state == SERVICE_RESTARTING && web->result == RESULT_LAUNCH);
    CHECK(ended == 1 && error_told == -EIO);
    CHECK_TEXT(sentence, "web: cannot listen on tcp *:80: Address already in use");
    CHECK(fake_sandboxes == 0);
    fake_run(SEC);
    CHECK(web->state == SERVICE_RESTARTING && web->restarts == 4); /* 0.1, 0.2, 0.4, 0.8 s */
    fake_bind_error = NULL;
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && fake_listeners == 1);
    end();
}

TEST(lazy_starts_with_the_first_connection) {
    struct service *web = begin(unit_with_sockets(true));
    command(COMMAND_START, "web");
    CHECK(web->state == SERVICE_LISTENING && ended == 1 && error_told == 0);
    CHECK_TEXT(service_state_word(web->state), "listening");
    CHECK(service_is_up(web) && !service_is_active(web));
    fake_run(100 * SEC);
    CHECK(web->state == SERVICE_LISTENING && fake_sandboxes == 0 && chosen == 0);
    CHECK(fake_connect("web"));
    fake_run(100 * MSEC);
    CHECK(web->state == SERVICE_READY);
    CHECK(fake_connect("web")); /* the service's own business */
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && web->restarts == 0);
    command(COMMAND_START, "web");
    CHECK(ended == 1 && web->state == SERVICE_READY);
    command(COMMAND_STOP, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_STOPPED && !fake_connect("web"));
    end();
}

TEST(lazy_listens_from_boot_and_stops_with_all) {
    struct service *web = begin(unit_with_sockets(true));
    manager_boot(fake_manager);
    CHECK(web->state == SERVICE_LISTENING && fake_listeners == 1);
    command(COMMAND_STOP, "web");
    CHECK(web->state == SERVICE_STOPPED && ended == 1 && fake_listeners == 0);
    command(COMMAND_START, "web");
    CHECK(web->state == SERVICE_LISTENING);
    end();
    CHECK(fake_listeners == 0);
}

TEST(lazy_listens_again_after_a_clean_end) {
    struct service *web = begin(unit_with_sockets(true));
    command(COMMAND_START, "web");
    for (int i = 0; i < 3; i++) {
        fake_connect("web");
        fake_run(2 * SEC);
        CHECK(web->state == SERVICE_READY);
        fake_exit("web", EXITED(0));
        fake_run(SEC);
        CHECK(web->state == SERVICE_LISTENING && web->restarts == 0 && fake_sandboxes == 0);
    }
    end();
}

TEST(lazy_listens_again_after_the_delay_of_a_crash) {
    struct service *web = begin(unit_with_sockets(true));
    command(COMMAND_START, "web");
    fake_connect("web");
    fake_run(SEC);
    fake_exit("web", EXITED(1));
    fake_run(50 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING);
    CHECK(service_is_up(web)); /* who connects now, waits */
    CHECK(fake_connect("web"));
    fake_run(10 * MSEC);
    CHECK(web->state == SERVICE_RESTARTING);
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && web->restarts == 1);
    fake_exit("web", EXITED(1));
    fake_run(SEC);
    CHECK(web->state == SERVICE_LISTENING && web->restarts == 2); /* nobody asked */
    CHECK(web->exit_code == 1);
    end();
}

TEST(lazy_without_restarts_fails_and_closes) {
    struct unit *unit = unit_with_sockets(true);
    unit->restart.policy = RESTART_NO;
    struct service *web = begin(unit);
    command(COMMAND_START, "web");
    fake_connect("web");
    fake_run(SEC);
    fake_exit("web", EXITED(1));
    fake_run(SEC);
    CHECK(web->state == SERVICE_FAILED && fake_listeners == 0);
    end();
}

TEST(who_ends_without_accepting_does_not_spin) {
    struct service *web = begin(unit_with_sockets(true));
    plan.deaf = true;
    plan.exit_after = MSEC;
    plan.exit_status = EXITED(0);
    command(COMMAND_START, "web");
    fake_connect("web");
    fake_run(3 * SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_LIMIT && fake_listeners == 0);
    CHECK_TEXT(web->failure,
               "was started by a connection 20 times within 2s, and ended without taking it");
    CHECK(chosen == 40); /* builds and runs */
    plan = good();
    command(COMMAND_START, "web");
    CHECK(web->state == SERVICE_LISTENING && fake_connect("web"));
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY);
    end();
}

static bool connected;

static bool is_connected(const char *name) {
    (void)name;
    return connected;
}

TEST(idle_it_is_stopped_and_listens) {
    struct unit *unit = unit_with_sockets(true);
    unit->container.network.idle_stop = 10 * SEC;
    unit->restart.policy = RESTART_NO;
    struct service *web = begin(unit);
    plan.stop_status = EXITED(143); /* our wish, whatever it says of it */
    fake_busy = is_connected;
    connected = true;
    command(COMMAND_START, "web");
    fake_connect("web");
    fake_run(60 * SEC);
    CHECK(web->state == SERVICE_READY);
    connected = false;
    fake_run(8 * SEC);
    connected = true;
    fake_run(2 * SEC);
    connected = false;
    fake_run(9 * SEC);
    CHECK(web->state == SERVICE_READY);
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_LISTENING && fake_listeners == 1 && fake_sandboxes == 0);
    CHECK(fake_connect("web"));
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY);
    end();
}

/* Each look at its sockets would meet a probe, or what a probe has open. */
static bool is_being_probed(const char *name) {
    (void)name;
    return fake_probes > 0;
}
static void answer_slowly(const char *name, struct fake_probe_plan *ret_plan) {
    (void)name;
    *ret_plan = (struct fake_probe_plan){.healthy = true, .after = 900 * MSEC};
}

TEST(its_own_probes_are_no_use) {
    struct unit *unit = unit_with_sockets(true);
    unit->container.network.idle_stop = 10 * SEC;
    unit->health.http = strdup("http://127.0.0.1/");
    unit->health.interval = 100 * MSEC;
    struct service *web = begin(unit);
    fake_busy = is_being_probed;
    fake_choose_probe = answer_slowly;
    command(COMMAND_START, "web");
    CHECK(fake_connect("web"));
    fake_run(5 * SEC);
    CHECK(web->state == SERVICE_READY);
    fake_run(8 * SEC);
    CHECK(web->state == SERVICE_LISTENING);
    end();
}

TEST(paused_it_is_not_idle) {
    struct fault fault;
    struct unit *unit = unit_with_sockets(true);
    unit->container.network.idle_stop = SEC;
    struct service *web = begin(unit);
    command(COMMAND_START, "web");
    fake_connect("web");
    fake_run(100 * MSEC);
    CHECK(manager_pause(fake_manager, "web", true, &fault) == 0);
    fake_run(100 * SEC);
    CHECK(web->state == SERVICE_READY);
    CHECK(manager_pause(fake_manager, "web", false, &fault) == 0);
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_LISTENING);
    end();
}

TEST(lazy_by_a_file_that_is_not_any_more) {
    struct service *web = begin(unit_with_sockets(true));
    struct unit *eager = fake_unit("web", SERVICE_EXEC);
    plan.exit_after = SEC;
    plan.exit_status = EXITED(0);
    fake_add(&eager->dependencies.after, "slow");
    fake_set(fake_unit("slow", SERVICE_NOTIFY));
    fake_apply();
    command(COMMAND_START, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_LISTENING && service_is_up(web));
    command(COMMAND_START, "slow");
    fake_add(&web->unit->dependencies.after, "slow");
    graph_spoil(fake_manager);
    CHECK(fake_connect("web"));
    fake_run(MSEC);
    CHECK(web->state == SERVICE_WAITING && service_is_up(web));
    fake_set(eager);
    fake_apply();
    command(COMMAND_STOP, "slow");
    fake_run(MSEC / 2);
    CHECK(!service_is_up(web));
    fake_run(10 * SEC);
    CHECK(web->state == SERVICE_STOPPED && !web->private->sockets);
    end();
}

TEST(who_requires_a_lazy_one_need_not_wait) {
    struct service *web = begin(unit_with_sockets(true));
    struct unit *unit = fake_unit("shop", SERVICE_EXEC);
    fake_add(&unit->dependencies.requires, "web");
    fake_set(unit);
    struct unit *group = fake_unit("all", SERVICE_GROUP);
    fake_add(&group->dependencies.requires, "web");
    fake_set(group);
    fake_apply();
    command(COMMAND_START, "all");
    command(COMMAND_START, "shop");
    fake_run(SEC);
    CHECK(fake_service("shop")->state == SERVICE_READY && web->state == SERVICE_LISTENING);
    uint64_t since = fake_service("all")->state_since;
    fake_connect("web");
    fake_run(SEC);
    fake_exit("web", EXITED(1));
    fake_run(10 * SEC);
    CHECK(web->state == SERVICE_LISTENING && web->restarts == 1);
    CHECK(fake_service("all")->state == SERVICE_READY);
    CHECK(fake_service("all")->state_since == since); /* it saw nothing of all that */
    command(COMMAND_STOP, "web");
    fake_run(SEC);
    CHECK(fake_service("shop")->state == SERVICE_STOPPED);
    end();
}

TEST(what_it_requires_is_there_before_it_listens) {
    struct unit *unit = unit_with_sockets(true);
    fake_add(&unit->dependencies.requires, "db");
    struct service *web = begin(unit);
    struct unit *other = fake_unit("db", SERVICE_NOTIFY);
    other->restart.policy = RESTART_NO;
    fake_set(other);
    fake_apply();
    plan.ready_after = SEC;
    command(COMMAND_START, "web");
    fake_run(500 * MSEC);
    CHECK(web->state == SERVICE_WAITING && fake_listeners == 0);
    fake_run(SEC);
    CHECK(web->state == SERVICE_LISTENING);
    fake_exit("db", EXITED(1));
    fake_run(SEC);
    CHECK(web->state == SERVICE_LISTENING); /* as others go on, it goes on listening */
    fake_connect("web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_FAILED && web->result == RESULT_DEPENDENCY && fake_listeners == 0);
    CHECK_TEXT(web->failure, "requires db, which is not up");
    command(COMMAND_START, "db");
    fake_run(2 * SEC);
    CHECK(web->state == SERVICE_LISTENING && fake_listeners == 1);
    end();
}

TEST(a_connection_while_it_goes_down_starts_nothing) {
    struct service *web = begin(unit_with_sockets(true));
    struct unit *unit = fake_unit("shop", SERVICE_EXEC);
    fake_add(&unit->dependencies.requires, "web");
    fake_set(unit);
    fake_apply();
    plan.stop_time = SEC;
    command(COMMAND_START, "shop");
    fake_run(SEC);
    command(COMMAND_STOP, "web"); /* shop goes first */
    CHECK(web->state == SERVICE_LISTENING && fake_connect("web"));
    int before = chosen;
    fake_run(5 * SEC);
    CHECK(web->state == SERVICE_STOPPED && ended == 1 && chosen == before);
    end();
}

TEST(a_changed_file_takes_its_sockets_along) {
    struct service *web = begin(unit_with_sockets(true));
    command(COMMAND_START, "web");
    fake_set(fake_unit("web", SERVICE_EXEC));
    fake_apply();
    CHECK(web->state == SERVICE_LISTENING && web->file_changed);
    command(COMMAND_RESTART, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_READY && fake_listeners == 0);
    fake_set(unit_with_sockets(true));
    fake_apply();
    command(COMMAND_RESTART, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_LISTENING && fake_listeners == 1);
    fake_refuse("web");
    fake_apply();
    command(COMMAND_STOP, "web");
    fake_run(SEC);
    CHECK(web->state == SERVICE_INVALID && fake_listeners == 0);
    end();
}

TEST_MAIN
