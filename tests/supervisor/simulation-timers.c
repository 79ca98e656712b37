#include <string.h>

#include "supervisor/schedule.h"
#include "tests/supervisor/simulation.h"

#define HOUR (3600 * SEC)
#define DAY (24 * HOUR)

/* Between the instants of the schedules below. */
#define PERIOD_MAX (120 * SEC)
#define DELAY_MAX (30 * SEC)

void random_timer(struct unit *unit) {
    static const char *const schedules[] = {"*:*:0/10 UTC", "* * * * * UTC", "*/2 * * * * UTC",
                                            "*:*:00/7.5 UTC"};
    struct timer *timer = &unit->timer;
    if (unit->service.type == SERVICE_GROUP || unit->container.network.sockets_lazy || chance(85))
        return;
    if (chance(60))
        timer->schedule = strdup(schedules[fake_random(4)]);
    if (chance(40))
        timer->interval = MSEC + fake_random(60 * SEC);
    if (chance(30))
        timer->on_boot = fake_random(30 * SEC);
    timer->randomized_delay = chance(30) ? fake_random(DELAY_MAX) : 0;
    timer->persistent = chance(40);
    unit->service.remain_after_exit = false;
}

void random_date(void) {
    static const uint64_t steps[] = {SEC, HOUR, DAY, 3653 * DAY};
    uint64_t now = world_date(fake_manager), step = steps[fake_random(4)];
    bool back = now > 7306 * DAY + step && (now > 54787 * DAY || chance(50)); /* 1990 to 2120 */
    fake_set_date(back ? now - step : now + step);
}

/* What is armed has a next time, and not too late; nothing else is armed. */
void timers_check(const struct service *service) {
    const struct unit *unit = service->unit;
    const struct state_traits *traits = state_traits(service->state);
    struct schedule_facts facts = {0};
    bool armed = schedule_tell(service, &facts);
    if (armed != (unit && unit_has_timer(unit) && unit->install.enabled))
        fake_broken(armed ? "a timer is armed that its file does not have"
                          : "a timer is not armed");
    if (!armed)
        return;
    bool rests = traits->down && !traits->gated;
    if (facts.next == 0 &&
        (unit->timer.schedule || (unit->timer.interval != DURATION_OFF && rests)))
        fake_broken("a timer has no next time");
    if (facts.next > world_date(fake_manager) + 3 * HOUR + PERIOD_MAX + DELAY_MAX)
        fake_broken("a timer's next time is too far away");
}

void timers_check_all(void) {
    const struct service *service;
    list_for_each(service, &fake_manager->services, link) {
        timers_check(service);
    }
}
