/* Timers while the clock is set, and over the end of the manager: no run is lost, none comes twice.
 */

#include "tests/supervisor/timed.h"

/* ---- the clock is set ---- */

TEST(set_forward_by_an_hour) {
    struct service *service = wake_up(job("0 3 * * * UTC"), date_of(2026, 3, 1, 2, 30));
    fake_set_date(date_of(2026, 3, 1, 3, 30));
    fake_run(10 * SEC);
    CHECK(runs == 1 && next(service) == date_of(2026, 3, 2, 3, 0)); /* at once, and once */
    end();
}

TEST(set_back_by_an_hour) {
    struct service *service = wake_up(job("0 3 * * * UTC"), date_of(2026, 3, 1, 2, 30));
    sleep_until(date_of(2026, 3, 1, 3, 10));
    CHECK(runs == 1);
    fake_set_date(date_of(2026, 3, 1, 2, 10));
    sleep_until(date_of(2026, 3, 1, 12, 0));
    CHECK(runs == 1 && next(service) == date_of(2026, 3, 2, 3, 0)); /* not twice */
    end();
}

TEST(set_by_a_day) {
    struct service *service = wake_up(job("0 3 * * * UTC"), date_of(2026, 3, 1, 2, 30));
    fake_set_date(date_of(2026, 3, 2, 2, 40));
    CHECK(next(service) == date_of(2026, 3, 2, 3, 0));
    sleep_until(date_of(2026, 3, 2, 4, 0));
    CHECK(runs == 1);
    fake_set_date(date_of(2026, 3, 1, 2, 0)); /* a correction: the day is lived again */
    CHECK(next(service) == date_of(2026, 3, 1, 3, 0));
    sleep_until(date_of(2026, 3, 1, 4, 0));
    CHECK(runs == 2);
    end();
}

TEST(set_by_ten_years) {
    struct service *service = wake_up(job("0 3 * * * UTC"), date_of(2026, 3, 1, 2, 30));
    fake_set_date(date_of(2036, 3, 1, 12, 0));
    fake_run(MINUTE);
    CHECK(runs == 0 && next(service) == date_of(2036, 3, 2, 3, 0));
    fake_set_date(date_of(2026, 3, 1, 2, 50));
    CHECK(next(service) == date_of(2026, 3, 1, 3, 0));
    fake_run(HOUR);
    CHECK(runs == 1);
    end();
}

TEST(small_steps_add_up) {
    struct service *service = wake_up(job("0 * * * * UTC"), date_of(2026, 3, 1, 12, 30));
    for (unsigned i = 0; i < 10; i++) {
        fake_set_date(world_date(fake_manager) - HOUR);
        CHECK(next(service) <= world_date(fake_manager) + 4 * HOUR);
    }
    fake_run(4 * HOUR);
    CHECK(runs > 0);
    end();
}

/* A machine without a clock of its own comes up in 1970. */
TEST(what_has_run_for_a_minute_has_run_for_a_minute) {
    static const int years[] = {2036, 2026, 2016, 2026};
    struct service *service = wake_up(fake_unit("job", SERVICE_EXEC), date_of(2026, 3, 1, 2, 30));
    plan.exit_after = DAY;
    fake_run(MINUTE);
    CHECK(service->state == SERVICE_READY);
    uint64_t now = world_date(fake_manager), passed = now - service->ready_at;
    CHECK(passed <= MINUTE && service->state_since <= now);
    for (size_t i = 0; i < ELEMENTS(years); i++) {
        now = date_of(years[i], 3, 1, 3, 31);
        fake_set_date(now);
        service_dates_follow(service);
        CHECK(now - service->ready_at == passed && service->state_since <= now);
    }
    fake_set_date(now + 100 * MSEC); /* a clock that is steered: what it says is kept */
    service_dates_follow(service);
    CHECK(now - service->ready_at == passed);
    end();
}

TEST(a_persistent_timer_runs_once_when_the_time_is_known) {
    struct unit *unit = job("0 3 * * * UTC");
    unit->timer.persistent = true;
    fake_set_stamp("job", date_of(2026, 2, 26, 3, 0));
    struct service *service = wake_up(unit, date_of(1970, 1, 1, 0, 1));
    fake_run(MINUTE);
    CHECK(runs == 0);
    fake_set_date(date_of(2026, 3, 1, 12, 0));
    fake_run(10 * SEC);
    CHECK(runs == 1 && next(service) == date_of(2026, 3, 2, 3, 0));
    CHECK(fake_stamp("job") == date_of(2026, 3, 1, 12, 0));
    fake_set_date(date_of(2026, 2, 1, 12, 0));
    CHECK(fake_stamp("job") == date_of(2026, 2, 1, 12, 0)); /* no time still to come */
    end();
}

/* ---- persistence ---- */

static struct unit *persistent(void) {
    struct unit *unit = job("0 3 * * * UTC");
    unit->timer.persistent = true;
    return unit;
}

TEST(the_first_time_nothing_was_missed) {
    struct service *service = wake_up(persistent(), date_of(2026, 3, 1, 12, 0));
    fake_run(HOUR);
    CHECK(runs == 0 && fake_stamp("job") == date_of(2026, 3, 1, 12, 0));
    CHECK(next(service) == date_of(2026, 3, 2, 3, 0));
    die();
    service = wake_up(persistent(), date_of(2026, 3, 2, 4, 0)); /* and now it was */
    CHECK(last(service) == 0);
    fake_run(MINUTE);
    CHECK(runs == 1);
    end();
}

TEST(many_missed_are_made_up_once) {
    fake_set_stamp("job", date_of(2026, 1, 1, 3, 0));
    struct service *service = wake_up(persistent(), date_of(2026, 3, 1, 12, 0));
    CHECK(last(service) == date_of(2026, 1, 1, 3, 0));
    fake_run(MINUTE);
    CHECK(runs == 1 && next(service) == date_of(2026, 3, 2, 3, 0));
    end();
}

TEST(a_restart_neither_doubles_nor_loses) {
    wake_up(persistent(), date_of(2026, 3, 1, 2, 59));
    fake_run(2 * MINUTE);
    CHECK(runs == 1);
    die();
    wake_up(persistent(), date_of(2026, 3, 1, 3, 2));
    fake_run(HOUR);
    CHECK(runs == 0);
    die();
    wake_up(persistent(), date_of(2026, 3, 2, 2, 59));
    fake_run(2 * MINUTE);
    CHECK(runs == 1);
    end();
}

TEST(a_restart_while_it_waits_for_chance_loses_nothing) {
    struct unit *unit = persistent();
    unit->timer.randomized_delay = HOUR;
    struct service *service = wake_up(unit, date_of(2026, 3, 1, 2, 59));
    fake_run(MINUTE + SEC);
    CHECK(runs == 0 && next(service) > world_date(fake_manager));
    die();
    unit = persistent();
    unit->timer.randomized_delay = HOUR;
    wake_up(unit, date_of(2026, 3, 1, 3, 2));
    fake_run(HOUR + MINUTE);
    CHECK(runs == 1);
    end();
}

TEST(what_was_skipped_is_not_made_up) {
    struct unit *unit = job("* * * * * UTC");
    unit->timer.persistent = true;
    wake_up(unit, date_of(2026, 3, 1, 12, 0));
    plan.exit_after = NEVER;
    fake_run(3 * MINUTE + SEC);
    CHECK(runs == 1 && fake_stamp("job") == date_of(2026, 3, 1, 12, 3));
    end();
}

TEST(without_persistence_nothing_is_made_up) {
    fake_set_stamp("job", date_of(2026, 1, 1, 3, 0));
    wake_up(job("0 3 * * * UTC"), date_of(2026, 3, 1, 12, 0));
    fake_run(HOUR);
    CHECK(runs == 0 && fake_stamp("job") == date_of(2026, 1, 1, 3, 0));
    end();
}

TEST(a_stamp_that_is_wrong_is_begun_anew) {
    fake_set_stamp("job", FAKE_BAD_STAMP);
    wake_up(persistent(), date_of(2026, 3, 1, 12, 0));
    fake_run(HOUR);
    CHECK(runs == 0 && fake_stamp("job") == date_of(2026, 3, 1, 12, 0));
    die();
    fake_set_stamp("job", date_of(2039, 3, 1, 12, 0)); /* of a clock that was wrong */
    struct service *service = wake_up(persistent(), date_of(2026, 3, 1, 12, 0));
    CHECK(next(service) == date_of(2026, 3, 2, 3, 0));
    end();
}

TEST(rm_forgets) {
    fake_set_stamp("job", date_of(2026, 1, 1, 3, 0));
    struct fault fault;
    wake_up(persistent(), date_of(2026, 3, 1, 2, 0));
    CHECK(manager_remove(fake_manager, "job", false, &fault) == 0 || runs == 0);
    fake_run(MINUTE);
    CHECK(manager_remove(fake_manager, "job", false, &fault) == 0 && fake_stamp("job") == 0);
    end();
}

TEST_MAIN
