#pragma once
/* What the tests of timers share: a unit, dates, and a manager that comes up and goes. */

#include "supervisor/schedule.h"
#include "tests/supervisor/script.h"
#include "units/civil.h"

#define MINUTE (60 * SEC)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static inline struct unit *job(const char *schedule) {
    struct unit *unit = fake_unit("job", SERVICE_ONESHOT);
    unit->service.remain_after_exit = false;
    unit->timer.schedule = schedule ? strdup(schedule) : NULL;
    return unit;
}

/* UTC. */
static inline uint64_t date_of(int year, int month, int day, unsigned hour, unsigned minute) {
    uint64_t days = (uint64_t)civil_to_days((struct civil){year, month, day});
    return days * DAY + hour * HOUR + minute * MINUTE;
}

static inline void sleep_until(uint64_t date) {
    CHECK(date >= world_date(fake_manager));
    fake_run(date - world_date(fake_manager));
}

static int runs;

static void count_runs(struct service *service, enum service_state before) {
    runs += service->state == SERVICE_STARTING && before != SERVICE_STARTING;
}

/* A manager that comes up at this date with this unit; each run takes a second. */
static inline struct service *wake_up(struct unit *unit, uint64_t date) {
    fake_open(1);
    plan = good();
    plan.exit_after = SEC;
    runs = 0;
    fake_choose = choose;
    fake_observe = count_runs;
    fake_set_date(date);
    fake_set(unit);
    fake_apply();
    manager_boot(fake_manager);
    return fake_service("job");
}

static inline uint64_t next(const struct service *service) {
    struct schedule_facts facts;
    CHECK(schedule_tell(service, &facts));
    return facts.next;
}

static inline uint64_t last(const struct service *service) {
    struct schedule_facts facts;
    CHECK(schedule_tell(service, &facts));
    return facts.last;
}

static inline uint64_t skipped(const struct service *service) {
    struct schedule_facts facts;
    CHECK(schedule_tell(service, &facts));
    return facts.skipped;
}

/* The manager is gone from one moment to the next. */
static inline void die(void) {
    manager_stop_all(fake_manager);
    fake_run(MINUTE);
    CHECK(fake_finished);
    fake_close();
}
