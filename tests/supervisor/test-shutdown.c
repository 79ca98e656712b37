/* All units stop, within a limit, and it is told who is waited for. */

#include "supervisor/shutdown.h"
#include "tests/supervisor/lines.h"

static void stubborn(const char *name, struct fake_plan *ret_plan) {
    *ret_plan = good();
    ret_plan->stop_time = strcmp(name, "quick") == 0 ? MSEC : NEVER;
}

/* Units that have `own` to stop, and `all` together. */
static void rise(uint64_t own, uint64_t all) {
    struct service *service;
    fake_choose = stubborn;
    fake_manager->set->settings.shutdown_timeout = all;
    manager_boot(fake_manager);
    fake_run(SEC);
    list_for_each(service, &fake_manager->services, link) {
        service->unit->service.stop_timeout = own;
        CHECK(service->state == SERVICE_READY);
    }
}

TEST(the_keeper_hears_who_is_waited_for) {
    WORLD("quick", "slow", "web:slow");
    rise(10 * SEC, 60 * SEC);
    manager_stop_all(fake_manager);
    fake_run(1100 * MSEC);
    CHECK_TEXT(fake_told, "EXTEND_TIMEOUT_USEC=15000000\n"
                          "STATUS=stopping all units: waiting for web (killed in 9 s)\n"
                          "CONSOLE=stopping all units: waiting for web (killed in 9 s)");
    fake_run(10 * SEC);
    CHECK(strstr(fake_told, "waiting for slow ("));
    fake_run(10 * SEC);
    CHECK(fake_finished);
    end();
}

TEST(of_many_some_are_named) {
    WORLD("a", "b", "c", "d", "e", "f");
    rise(10 * SEC, 60 * SEC);
    manager_stop_all(fake_manager);
    fake_run(2100 * MSEC);
    CHECK(strstr(fake_told, "waiting for a (killed in 8 s), b (killed in 8 s), "
                            "c (killed in 8 s), d (killed in 8 s) and 2 more"));
    end();
}

TEST(the_limit_of_all_comes_before_that_of_each) {
    WORLD("quick", "slow", "web:slow", "top:web");
    rise(90 * SEC, 5 * SEC);
    manager_stop_all(fake_manager);
    fake_run(4900 * MSEC);
    CHECK(state("top") == SERVICE_STOPPING && state("web") == SERVICE_READY);
    CHECK(strstr(fake_told, "top (killed in 1 s)"));
    fake_run(200 * MSEC);
    CHECK(fake_finished);
    end();
}

TEST(what_was_stopping_already_is_hastened) {
    WORLD("slow");
    rise(90 * SEC, 5 * SEC);
    command(COMMAND_STOP, "slow");
    fake_run(SEC);
    CHECK(state("slow") == SERVICE_STOPPING);
    manager_stop_all(fake_manager);
    fake_run(4 * SEC);
    CHECK(!fake_finished);
    manager_stop_all(fake_manager); /* a second word makes it no longer */
    fake_run(1100 * MSEC);
    CHECK(fake_finished);
    end();
}

TEST(without_a_limit_each_has_its_own_time) {
    WORLD("slow");
    rise(3600 * SEC, NEVER);
    manager_stop_all(fake_manager);
    fake_run(3599 * SEC);
    CHECK(!fake_finished && state("slow") == SERVICE_STOPPING);
    fake_run(2 * SEC);
    CHECK(fake_finished);
    end();
}

TEST_MAIN
