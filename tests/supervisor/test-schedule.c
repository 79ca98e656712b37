/* Timers: when a unit is started by the clock. */

#include "supervisor/stamp.h"
#include "tests/supervisor/timed.h"
#include "units/calendar.h"
#include "units/schedule.h"

/* ---- the schedule ---- */

TEST(boot_arms_and_does_not_start) {
    struct service *service = wake_up(job("0 3 * * * UTC"), date_of(2026, 3, 1, 12, 0));
    fake_run(MINUTE);
    CHECK(service->state == SERVICE_LOADED && runs == 0);
    CHECK(next(service) == date_of(2026, 3, 2, 3, 0) && last(service) == 0);
    sleep_until(date_of(2026, 3, 2, 3, 0) - 1);
    CHECK(runs == 0);
    fake_run(10 * SEC);
    CHECK(runs == 1 && service->state == SERVICE_STOPPED);
    CHECK(last(service) == date_of(2026, 3, 2, 3, 0));
    CHECK(next(service) == date_of(2026, 3, 3, 3, 0));
    sleep_until(date_of(2026, 3, 9, 4, 0));
    CHECK(runs == 8);
    end();
}

TEST(disabled_is_not_armed) {
    struct schedule_facts facts;
    struct unit *unit = job("* * * * * UTC");
    unit->install.enabled = false;
    struct service *service = wake_up(unit, date_of(2026, 3, 1, 12, 0));
    fake_run(HOUR);
    CHECK(runs == 0 && !schedule_tell(service, &facts));
    unit = job("* * * * * UTC");
    fake_set(unit);
    fake_apply();
    fake_run(90 * SEC);
    CHECK(runs == 1);
    unit = job("* * * * * UTC");
    unit->install.enabled = false;
    fake_set(unit);
    fake_apply();
    fake_run(HOUR);
    CHECK(runs == 1 && !schedule_tell(service, &facts));
    CHECK(command(COMMAND_START, "job") == 0); /* by hand it can be started all the same */
    fake_run(2 * SEC);
    CHECK(runs == 2);
    end();
}

TEST(never_two_instances) {
    struct service *service = wake_up(job("* * * * * UTC"), date_of(2026, 3, 1, 12, 0));
    plan.exit_after = 150 * SEC;
    fake_run(MINUTE + SEC);
    CHECK(runs == 1 && service->state == SERVICE_STARTING);
    fake_run(2 * MINUTE);
    CHECK(runs == 1 && skipped(service) == 2);
    fake_run(MINUTE);
    CHECK(runs == 2 && skipped(service) == 2);
    end();
}

TEST(a_person_starts_and_stops_and_the_timer_stays) {
    struct service *service = wake_up(job("0 * * * * UTC"), date_of(2026, 3, 1, 12, 10));
    plan.exit_after = 20 * MINUTE;
    CHECK(command(COMMAND_START, "job") == 0);
    fake_run(SEC);
    CHECK(service->state == SERVICE_STARTING && runs == 1 && last(service) == 0);
    CHECK(next(service) == date_of(2026, 3, 1, 13, 0));
    CHECK(command(COMMAND_STOP, "job") == 0);
    fake_run(SEC);
    CHECK(service->state == SERVICE_STOPPED && error_told == 0);
    sleep_until(date_of(2026, 3, 1, 13, 0) + SEC);
    CHECK(service->state == SERVICE_STARTING && runs == 2);
    end();
}

TEST(a_failed_run_is_followed_by_the_next) {
    struct service *service = wake_up(job("0 * * * * UTC"), date_of(2026, 3, 1, 12, 10));
    plan.exit_status = EXITED(1);
    fake_run(HOUR);
    CHECK(service->state == SERVICE_FAILED && runs == 1);
    plan.exit_status = 0;
    fake_run(HOUR);
    CHECK(service->state == SERVICE_STOPPED && runs == 2);
    end();
}

TEST(a_retry_is_the_run_going_on) {
    struct unit *unit = job("* * * * * UTC");
    unit->restart.policy = RESTART_ON_FAILURE;
    unit->restart.delay = unit->restart.max_delay = 90 * SEC;
    unit->restart.jitter = 0;
    struct service *service = wake_up(unit, date_of(2026, 3, 1, 12, 0));
    plan.exit_status = EXITED(1);
    fake_run(MINUTE + 2 * SEC);
    CHECK(service->state == SERVICE_RESTARTING && runs == 1);
    fake_run(MINUTE);
    CHECK(service->state == SERVICE_RESTARTING && runs == 1 && skipped(service) == 1);
    plan.exit_status = 0;
    fake_run(35 * SEC);
    CHECK(service->state == SERVICE_STOPPED && runs == 2);
    end();
}

TEST(nothing_comes_any_more) {
    struct service *service = wake_up(job("2020-01-01 UTC"), date_of(2026, 3, 1, 12, 0));
    fake_run(400 * DAY);
    CHECK(runs == 0 && next(service) == 0);
    end();
}

TEST(what_it_requires_comes_up_first) {
    struct unit *unit = job("* * * * * UTC");
    fake_add(&unit->dependencies.requires, "db");
    wake_up(unit, date_of(2026, 3, 1, 12, 0));
    struct unit *db = fake_unit("db", SERVICE_EXEC);
    fake_set(db);
    fake_apply();
    plan.exit_after = NEVER;
    fake_run(MINUTE + SEC);
    CHECK(fake_service("db")->state == SERVICE_READY);
    CHECK(fake_service("job")->state == SERVICE_STARTING && runs == 2);
    end();
}

TEST(who_requires_it_does_not_wait_for_its_time) {
    wake_up(job("0 3 * * * UTC"), date_of(2026, 3, 1, 12, 0));
    struct unit *web = fake_unit("web", SERVICE_EXEC);
    fake_add(&web->dependencies.requires, "job");
    fake_set(web);
    fake_apply();
    CHECK(command(COMMAND_START, "web") == 0);
    fake_run(5 * SEC);
    CHECK(runs == 2 && ended == 1 && error_told == 0);
    end();
}

/* ---- daylight saving: against the calendar's own instants, one run for each ---- */

static void compare(const char *schedule, uint64_t from, unsigned days) {
    struct calendar calendar;
    struct fault fault;
    int error = schedule_open(schedule, &calendar, &fault);
    if (error == -ENOENT)
        SKIP("no time zone database");
    CHECK(error == 0);
    struct service *service = wake_up(job(schedule), from);
    uint64_t instant = from;
    int expected = 0;
    while (calendar_next(&calendar, instant, &instant) == 0 && instant < from + days * DAY) {
        CHECK(next(service) == instant);
        sleep_until(instant + 10 * SEC);
        CHECK(runs == ++expected && last(service) == instant);
    }
    CHECK(expected > 0);
    calendar_clear(&calendar);
    end();
}

TEST(berlin) {
    compare("30 2 * * * Europe/Berlin", date_of(2026, 3, 27, 0, 0), 5);
    compare("*-*-* 02:30 Europe/Berlin", date_of(2026, 10, 23, 0, 0), 5);
    compare("*/20 * * * * Europe/Berlin", date_of(2026, 10, 24, 20, 0), 1);
}

TEST(new_york) {
    compare("30 2 * * * America/New_York", date_of(2026, 3, 6, 0, 0), 5);
    compare("30 1 * * * America/New_York", date_of(2026, 10, 30, 0, 0), 5);
    compare("*-*-* *:15 America/New_York", date_of(2026, 10, 31, 20, 0), 1);
}

TEST(lord_howe_moves_by_half_an_hour) {
    compare("*/10 1-2 * * * Australia/Lord_Howe", date_of(2026, 4, 3, 0, 0), 3);
    compare("15 2 * * * Australia/Lord_Howe", date_of(2026, 10, 2, 0, 0), 4);
}

TEST(berlin_in_whole_numbers) {
    struct calendar calendar;
    struct fault fault;
    if (schedule_open("30 2 * * * Europe/Berlin", &calendar, &fault) < 0)
        SKIP("no time zone database");
    calendar_clear(&calendar);
    struct service *service = wake_up(job("30 2 * * * Europe/Berlin"), date_of(2026, 3, 28, 12, 0));
    CHECK(next(service) == date_of(2026, 3, 29, 1, 0)); /* 02:30 does not exist: at its end */
    sleep_until(date_of(2026, 3, 29, 12, 0));
    CHECK(runs == 1 && next(service) == date_of(2026, 3, 30, 0, 30));
    fake_set_date(date_of(2026, 10, 24, 12, 0));
    CHECK(next(service) == date_of(2026, 10, 25, 0, 30));
    sleep_until(date_of(2026, 10, 25, 12, 0));
    CHECK(runs == 2 && next(service) == date_of(2026, 10, 26, 1, 30));
    end();
}

/* ---- on_boot, the interval, chance ---- */

TEST(on_boot_comes_once) {
    struct unit *unit = job(NULL);
    unit->timer.on_boot = 2 * MINUTE;
    struct service *service = wake_up(unit, date_of(2026, 3, 1, 12, 0));
    CHECK(next(service) == date_of(2026, 3, 1, 12, 2));
    fake_run(2 * MINUTE - SEC);
    CHECK(runs == 0);
    fake_run(DAY);
    CHECK(runs == 1 && next(service) == 0);
    die();
    unit = job(NULL);
    unit->timer.on_boot = 2 * MINUTE;
    service = wake_up(unit, date_of(2026, 3, 3, 12, 0)); /* the manager alone is a new one */
    fake_run(DAY);
    CHECK(runs == 0 && next(service) == 0);
    stamp_forget_boot(fake_manager);
    die();
    unit = job(NULL);
    unit->timer.on_boot = 2 * MINUTE;
    wake_up(unit, date_of(2026, 3, 5, 12, 0));
    fake_run(DAY);
    CHECK(runs == 1);
    end();
}

TEST(a_file_that_comes_late_boots_at_once) {
    wake_up(fake_unit("other", SERVICE_EXEC), date_of(2026, 3, 1, 12, 0));
    plan.exit_after = NEVER;
    fake_run(HOUR);
    struct unit *unit = job(NULL);
    unit->timer.on_boot = 2 * MINUTE;
    fake_set(unit);
    fake_apply();
    int before = runs;
    fake_run(SEC);
    CHECK(runs == before + 1);
    end();
}

TEST(the_interval_counts_from_the_end) {
    struct unit *unit = job(NULL);
    unit->timer.interval = 10 * MINUTE;
    struct service *service = wake_up(unit, date_of(2026, 3, 1, 12, 0));
    plan.exit_after = 5 * MINUTE;
    CHECK(next(service) == date_of(2026, 3, 1, 12, 10)); /* the first from its arming */
    fake_run(10 * MINUTE + SEC);
    CHECK(runs == 1 && next(service) == 0); /* not known before it has ended */
    fake_run(5 * MINUTE);
    CHECK(service->state == SERVICE_STOPPED);
    CHECK(next(service) / SEC == date_of(2026, 3, 1, 12, 25) / SEC);
    fake_set_date(date_of(2030, 1, 1, 0, 0)); /* no clock on the wall matters */
    fake_run(9 * MINUTE);
    CHECK(runs == 1);
    fake_run(2 * MINUTE);
    CHECK(runs == 2);
    fake_run(7 * MINUTE);
    CHECK(command(COMMAND_START, "job") == 0); /* a run by hand counts too */
    fake_run(MINUTE);
    CHECK(command(COMMAND_STOP, "job") == 0);
    fake_run(9 * MINUTE);
    CHECK(runs == 3);
    fake_run(2 * MINUTE);
    CHECK(runs == 4);
    end();
}

TEST(the_interval_goes_on_after_a_failed_dependency) {
    struct unit *unit = job(NULL), *db = fake_unit("db", SERVICE_EXEC);
    unit->timer.interval = 10 * MINUTE;
    fake_add(&unit->dependencies.requires, "db");
    db->restart.policy = RESTART_NO;
    struct service *service = wake_up(unit, date_of(2026, 3, 1, 12, 0));
    fake_set(db);
    fake_apply();
    plan.launch_error = "execve: no such file";
    fake_run(11 * MINUTE);
    CHECK(service->state == SERVICE_FAILED && service->result == RESULT_DEPENDENCY);
    CHECK(next(service) > world_date(fake_manager));
    end();
}

TEST(a_persistent_interval_goes_on_over_a_restart) {
    struct unit *unit = job(NULL);
    unit->timer.interval = 7 * DAY;
    unit->timer.persistent = true;
    fake_set_stamp("job", date_of(2026, 2, 23, 12, 0));
    struct service *service = wake_up(unit, date_of(2026, 3, 1, 12, 0));
    CHECK(next(service) == date_of(2026, 3, 2, 12, 0));
    fake_run(DAY + MINUTE);
    CHECK(runs == 1 && fake_stamp("job") > date_of(2026, 3, 2, 12, 0));
    die();
    unit = job(NULL);
    unit->timer.interval = 7 * DAY;
    unit->timer.persistent = true;
    wake_up(unit, date_of(2026, 4, 1, 12, 0)); /* longer ago: at once */
    fake_run(MINUTE);
    CHECK(runs == 1);
    end();
}

TEST(on_boot_and_then_the_interval) {
    struct unit *unit = job(NULL);
    unit->timer.on_boot = 20 * MINUTE;
    unit->timer.interval = 5 * MINUTE;
    struct service *service = wake_up(unit, date_of(2026, 3, 1, 12, 0));
    CHECK(next(service) == date_of(2026, 3, 1, 12, 20));
    fake_run(20 * MINUTE + 10 * SEC);
    CHECK(runs == 1);
    fake_run(5 * MINUTE);
    CHECK(runs == 2);
    end();
}

TEST(chance_is_drawn_anew) {
    struct unit *unit = job("0 * * * * UTC");
    unit->timer.randomized_delay = 30 * MINUTE;
    struct service *service = wake_up(unit, date_of(2026, 3, 1, 0, 0));
    uint64_t least = UINT64_MAX, most = 0, sum = 0;
    for (unsigned hour = 1; hour <= 400; hour++) {
        uint64_t delay = next(service) - (date_of(2026, 3, 1, 0, 0) + hour * HOUR);
        CHECK(delay <= 30 * MINUTE);
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
        sum += delay;
        fake_apply(); /* the same instant keeps its delay */
        CHECK(next(service) == date_of(2026, 3, 1, 0, 0) + hour * HOUR + delay);
        sleep_until(next(service) + MINUTE);
        CHECK(runs == (int)hour);
    }
    CHECK(least < MINUTE && most > 29 * MINUTE);
    CHECK(sum / 400 > 13 * MINUTE && sum / 400 < 17 * MINUTE);
    end();
}

TEST(a_delayed_instant_outlives_a_reload_and_a_correction) {
    struct unit *unit = job("0 3 * * * UTC");
    unit->timer.randomized_delay = HOUR;
    struct service *service = wake_up(unit, date_of(2026, 3, 1, 2, 59));
    fake_run(MINUTE + SEC);
    uint64_t left = next(service) - world_date(fake_manager);
    CHECK(runs == 0 && left > 2 * SEC);
    fake_apply();
    CHECK(next(service) - world_date(fake_manager) == left);
    fake_set_date(date_of(2030, 3, 1, 12, 0));
    CHECK(next(service) - world_date(fake_manager) == left);
    fake_run(left + MINUTE);
    CHECK(runs == 1);
    sleep_until(date_of(2030, 3, 2, 3, 0) + SEC);
    left = next(service) - world_date(fake_manager);
    fake_set_date(date_of(2020, 3, 1, 12, 0));
    fake_run(left + MINUTE);
    CHECK(runs == 2 && next(service) < date_of(2020, 3, 2, 4, 0));
    end();
}

/* ---- the file changes ---- */

TEST(a_changed_file_changes_the_timer) {
    struct service *service = wake_up(job("0 3 * * * UTC"), date_of(2026, 3, 1, 12, 0));
    fake_set(job("0 14 * * * UTC"));
    fake_apply();
    CHECK(next(service) == date_of(2026, 3, 1, 14, 0));
    struct unit *unit = job("* * * * * UTC"); /* what the old file missed is not made up */
    unit->timer.persistent = true;
    fake_set_stamp("job", date_of(2026, 2, 1, 0, 0));
    fake_set(unit);
    fake_apply();
    CHECK(next(service) == date_of(2026, 3, 1, 12, 1));
    fake_refuse("job");
    fake_apply();
    fake_run(HOUR);
    CHECK(runs == 0 && service->state == SERVICE_INVALID);
    fake_set(job("* * * * * UTC"));
    fake_apply();
    fake_run(90 * SEC);
    CHECK(runs == 1);
    fake_drop("job");
    fake_apply();
    fake_run(HOUR);
    CHECK(runs == 1);
    end();
}

TEST(the_local_zone_may_change) {
    struct calendar calendar;
    struct fault fault;
    if (schedule_open("0 3 * * * Asia/Tokyo", &calendar, &fault) < 0)
        SKIP("no time zone database");
    calendar_clear(&calendar);
    setenv("TZ", "UTC", 1);
    struct service *service = wake_up(job("0 3 * * *"), date_of(2026, 3, 1, 12, 0));
    CHECK(next(service) == date_of(2026, 3, 2, 3, 0));
    setenv("TZ", "Asia/Tokyo", 1);
    fake_apply();
    CHECK(next(service) == date_of(2026, 3, 1, 18, 0));
    end();
}

TEST(while_all_stops_nothing_starts) {
    wake_up(job("* * * * * UTC"), date_of(2026, 3, 1, 12, 0));
    plan.stop_time = NEVER;
    plan.exit_after = NEVER;
    fake_run(MINUTE + SEC);
    CHECK(runs == 1);
    manager_stop_all(fake_manager);
    fake_run(MINUTE);
    CHECK(runs == 1);
    end();
}

TEST_MAIN
