#include "supervisor/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/facts.h"
#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/stamp.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/number.h"
#include "units/base/text.h"
#include "units/calendar.h"
#include "units/schedule.h"

/* A step of the clock so large is a correction of it. */
#define CORRECTION ((int64_t)(3 * 3600 * USEC_PER_SEC))

struct schedule {
    struct service *service;
    struct unit *unit;    /* owned reference: the one that `wait` and `date` were set for */
    struct deadline wait; /* manager_private.timers: of on_boot or of the interval */
    struct deadline date; /* manager_private.dates: of the schedule */
    uint64_t instant;     /* what `date` is for, before its random delay */
    int64_t lead;         /* of the clock on the wall when `date` was set */
    bool boots;           /* on_boot is still to come, and `wait` is for it */
    int64_t rested;       /* CLOCK_BOOTTIME, when the last run ended, perhaps before the boot */
    uint64_t last, skipped;
};

static struct manager *manager_of(const struct schedule *schedule) {
    return schedule->service->manager;
}

static const struct timer *timer_of(const struct schedule *schedule) {
    return &schedule->unit->timer;
}

static uint64_t later_of(uint64_t one, uint64_t other) {
    return one > other ? one : other;
}

static uint64_t random_delay(const struct schedule *schedule) {
    uint64_t most = timer_of(schedule)->randomized_delay;
    return most ? world_random(manager_of(schedule)) % (most + 1) : 0;
}

static void warn(const struct schedule *schedule, const struct fault *fault) {
    log_line(LEVEL_WARNING, "%s: %s", schedule->service->name, fault->text);
}

/* ---- how far a persistent timer has come ---- */

static void remember(const struct schedule *schedule) {
    struct manager *manager = manager_of(schedule);
    const struct stamp stamp = {.done = world_date(manager), .last = schedule->last};
    struct fault fault = {{0}};
    state_touch(schedule->service);
    if (timer_of(schedule)->persistent &&
        stamp_write(manager, schedule->service->name, &stamp, &fault) < 0)
        warn(schedule, &fault);
}

/* Up to when all is done, by its file; else now. What a wrong clock wrote in the future counts as
 * now too. */
static uint64_t recall(struct schedule *schedule) {
    struct manager *manager = manager_of(schedule);
    uint64_t now = world_date(manager);
    struct stamp stamp;
    struct fault fault = {{0}};
    if (!timer_of(schedule)->persistent)
        return now;
    int error = stamp_read(manager, schedule->service->name, &stamp, &fault);
    if (error >= 0) {
        schedule->last = stamp.last;
        return stamp.done < now ? stamp.done : now;
    }
    if (error != -ENOENT)
        warn(schedule, &fault);
    remember(schedule);
    return now;
}

/* ---- the schedule: dates ---- */

/* How far the clock on the wall is ahead of the one that nobody sets. */
static int64_t clock_lead(struct manager *manager) {
    return (int64_t)(world_date(manager) - world_now(manager));
}

/* The zone is read each time: nothing is held meanwhile, and a changed one is heeded. */
static int find_instant(const struct schedule *schedule, uint64_t after, uint64_t *ret_instant,
                        struct fault *fault) {
    struct calendar calendar;
    int error = schedule_open(timer_of(schedule)->schedule, &calendar, fault);
    if (error < 0)
        return error;
    error = calendar_next(&calendar, after, ret_instant);
    calendar_clear(&calendar);
    return error < 0 ? fault_say(fault, -error, "no time of its schedule is still to come") : 0;
}

/* What has passed already comes at once, but for its random delay. */
static void set_date(struct schedule *schedule, uint64_t instant) {
    struct manager *manager = manager_of(schedule);
    state_touch(schedule->service);
    schedule->instant = instant;
    schedule->lead = clock_lead(manager);
    timers_set(&manager->private->dates, &schedule->date,
               later(later_of(instant, world_date(manager)), random_delay(schedule)));
}

static void plan_date(struct schedule *schedule, uint64_t after) {
    struct fault fault = {{0}};
    uint64_t instant;
    state_touch(schedule->service);
    timers_cancel(&manager_of(schedule)->private->dates, &schedule->date);
    schedule->instant = 0;
    if (!timer_of(schedule)->schedule)
        return;
    if (find_instant(schedule, after, &instant, &fault) < 0)
        warn(schedule, &fault);
    else
        set_date(schedule, instant);
}

/* The same instant keeps its random delay; one that has come, and waits for its delay, is kept. */
static void replan_date(struct schedule *schedule) {
    uint64_t now = world_date(manager_of(schedule)), instant;
    struct fault fault = {{0}};
    if (!timer_of(schedule)->schedule || (schedule->date.slot && schedule->instant <= now))
        return;
    if (find_instant(schedule, now, &instant, &fault) < 0 || instant != schedule->instant)
        plan_date(schedule, now);
}

void schedules_reload(struct manager *manager) {
    struct service *service;
    list_for_each(service, &manager->services, link) {
        if (service->private->schedule)
            replan_date(service->private->schedule);
    }
}

/* The clock was set by so much since the date was. */
static void correct(struct schedule *schedule, int64_t step) {
    struct manager *manager = manager_of(schedule);
    uint64_t now = world_date(manager), before = now - (uint64_t)step;
    state_touch(schedule->service);
    if (schedule->instant <= before) { /* it waits for its random delay, and goes on to */
        schedule->lead += step;
        schedule->instant += (uint64_t)step;
        timers_set(&manager->private->dates, &schedule->date, schedule->date.at + (uint64_t)step);
    } else if (timer_of(schedule)->persistent && schedule->instant <= now) {
        set_date(schedule, schedule->instant);
    } else {
        plan_date(schedule, now);
    }
    if (step < 0)
        remember(schedule); /* its file may hold a time that is still to come */
}

static void say_step(int64_t step) {
    scoped_text struct text text = {0};
    duration_print(&text, (uint64_t)(step < 0 ? -step : step) / USEC_PER_SEC * USEC_PER_SEC);
    log_line(LEVEL_NOTICE, "the clock was set %s by %s: schedules begin anew",
             step < 0 ? "back" : "forward", text.data ? text.data : "much");
}

void schedules_heed_clock(struct manager *manager) {
    int64_t lead = clock_lead(manager);
    struct service *service;
    bool said = false;
    list_for_each(service, &manager->services, link) {
        struct schedule *schedule = service->private->schedule;
        int64_t step = schedule && schedule->date.slot ? lead - schedule->lead : 0;
        if (step < CORRECTION && step > -CORRECTION)
            continue;
        if (!said)
            say_step(step);
        said = true;
        correct(schedule, step);
    }
}

void manager_dates(struct manager *manager) {
    schedules_heed_clock(manager);
    timers_run(&manager->private->dates, world_date(manager));
    manager_event_ended(manager);
}

/* ---- on_boot and the interval: waits ---- */

static bool rests(const struct service *service) {
    const struct state_traits *traits = state_traits(service->state);
    return traits->down && !traits->gated && service->unit;
}

static void set_wait(struct schedule *schedule, int64_t since, uint64_t duration) {
    struct manager *manager = manager_of(schedule);
    uint64_t now = world_now(manager), passed = (uint64_t)((int64_t)now - since);
    uint64_t left = duration > passed ? duration - passed : 0;
    timers_set(&manager->private->timers, &schedule->wait,
               later(later(now, left), random_delay(schedule)));
}

static void plan_wait(struct schedule *schedule) {
    const struct timer *timer = timer_of(schedule);
    struct manager *manager = manager_of(schedule);
    state_touch(schedule->service);
    if (schedule->boots)
        set_wait(schedule, (int64_t)manager->private->came_up, timer->on_boot);
    else if (timer->interval != DURATION_OFF && rests(schedule->service))
        set_wait(schedule, schedule->rested, timer->interval);
    else
        timers_cancel(&manager->private->timers, &schedule->wait);
}

void schedule_state_changed(struct service *service) {
    struct schedule *schedule = service->private->schedule;
    if (!schedule)
        return;
    if (rests(service)) {
        schedule->rested = (int64_t)world_now(service->manager);
        if (timer_of(schedule)->interval != DURATION_OFF)
            remember(schedule);
    }
    if (!schedule->boots)
        plan_wait(schedule);
}

/* ---- the time has come ---- */

static bool may_start(const struct service *service) {
    const struct state_traits *traits = state_traits(service->state);
    return traits->down && traits->idle && service->private->goal == GOAL_NONE;
}

static void come_due(struct schedule *schedule) {
    struct service *service = schedule->service;
    if (service->manager->stopping || service->private->gone || service->private->refused)
        return;
    bool starts = may_start(service);
    if (starts)
        schedule->last = world_date(service->manager);
    else
        schedule->skipped++;
    remember(schedule); /* before it begins: who dies meanwhile does not begin it twice */
    if (!starts) {
        log_line(LEVEL_NOTICE, "%s: its time has come while it is %s: skipped", service->name,
                 service_state_word(service->state));
        return;
    }
    log_line(LEVEL_INFO, "%s: its time has come", service->name);
    service_forgive(service);
    if (!job_start(service, false)) /* nothing began, and so nothing will end */
        schedule_state_changed(service);
}

static void date_passed(struct deadline *deadline) {
    struct schedule *schedule = list_entry(deadline, struct schedule, date);
    struct manager *manager = manager_of(schedule);
    come_due(schedule);
    plan_date(schedule, later_of(schedule->instant, world_date(manager)));
    manager_event_ended(manager);
}

static void wait_passed(struct deadline *deadline) {
    struct schedule *schedule = list_entry(deadline, struct schedule, wait);
    struct manager *manager = manager_of(schedule);
    struct fault fault = {{0}};
    if (schedule->boots && stamp_set_booted(manager, schedule->service->name, &fault) < 0)
        warn(schedule, &fault);
    schedule->boots = false;
    come_due(schedule);
    manager_event_ended(manager);
}

/* ---- life ---- */

void schedule_free(struct schedule *schedule) {
    if (!schedule)
        return;
    struct manager_private *manager = manager_of(schedule)->private;
    timers_cancel(&manager->timers, &schedule->wait);
    timers_cancel(&manager->dates, &schedule->date);
    unit_unref(schedule->unit);
    free(schedule);
}

static struct schedule *schedule_new(struct service *service) {
    struct manager_private *manager = service->manager->private;
    struct schedule *schedule = calloc(1, sizeof(*schedule));
    if (!schedule || timers_reserve(&manager->dates, manager->count) < 0) {
        log_line(LEVEL_ERROR, "%s: no memory for its timer", service->name);
        free(schedule);
        return NULL;
    }
    schedule->service = service;
    schedule->wait.passed = wait_passed;
    schedule->date.passed = date_passed;
    schedule->rested = (int64_t)world_now(service->manager);
    return schedule;
}

static bool is_same(const struct timer *one, const struct timer *other) {
    bool either = one->schedule && other->schedule;
    return (either ? strcmp(one->schedule, other->schedule) == 0
                   : one->schedule == other->schedule) &&
           one->interval == other->interval && one->on_boot == other->on_boot &&
           one->randomized_delay == other->randomized_delay && one->persistent == other->persistent;
}

/* The first time, what was missed counts; a file that changes while we look on misses nothing. */
static void arm(struct schedule *schedule, bool first) {
    struct service *service = schedule->service;
    struct manager *manager = service->manager;
    const struct timer *timer = timer_of(schedule);
    uint64_t done = world_date(manager);
    if (first) {
        uint64_t now = done;
        done = recall(schedule);
        schedule->rested -= (int64_t)(now - done);
    } else {
        remember(schedule);
    }
    schedule->boots = timer->on_boot != DURATION_OFF && !stamp_has_booted(manager, service->name);
    plan_date(schedule, done);
    plan_wait(schedule);
}

void schedule_follow(struct service *service) {
    struct service_private *own = service->private;
    struct unit *unit = service->unit;
    if (!unit || !unit_has_timer(unit) || !unit->install.enabled) {
        schedule_free(own->schedule);
        own->schedule = NULL;
        return;
    }
    bool first = !own->schedule;
    if (first)
        own->schedule = schedule_new(service);
    struct schedule *schedule = own->schedule;
    if (!schedule)
        return;
    bool same = schedule->unit && is_same(&schedule->unit->timer, &unit->timer);
    unit_unref(schedule->unit);
    schedule->unit = unit_ref(unit);
    if (!same)
        arm(schedule, first);
}

/* ---- questions ---- */

bool schedule_tell(const struct service *service, struct schedule_facts *ret_facts) {
    const struct schedule *schedule = service->private->schedule;
    if (!schedule)
        return false;
    uint64_t date = world_date(service->manager), now = world_now(service->manager);
    uint64_t next = schedule->date.slot ? schedule->date.at : NEVER;
    if (schedule->wait.slot) {
        uint64_t left = schedule->wait.at > now ? schedule->wait.at - now : 0;
        next = date + left < next ? date + left : next;
    }
    *ret_facts = (struct schedule_facts){
        .next = next == NEVER ? 0 : next,
        .last = schedule->last,
        .skipped = schedule->skipped,
    };
    return true;
}

/* ---- over a change of managers ---- */

static const struct fact_row wait_rows[] = {
    FACT(schedule, instant, FACT_LONG),  FACT(schedule, lead, FACT_LONG),
    FACT(schedule, boots, FACT_BOOL),    FACT(schedule, rested, FACT_LONG),
    FACT(schedule, last, FACT_LONG),     FACT(schedule, skipped, FACT_LONG),
    FACT(schedule, wait, FACT_DEADLINE),
};
static const struct fact_group wait_facts = {"timer", wait_rows, ELEMENTS(wait_rows)};
static const struct fact_row date_rows[] = {FACT(schedule, date, FACT_DEADLINE)};
static const struct fact_group date_facts = {"date", date_rows, ELEMENTS(date_rows)};

void schedule_save(const struct service *service, struct text *text) {
    const struct schedule *schedule = service->private->schedule;
    if (!schedule)
        return;
    facts_write(text, &wait_facts, schedule);
    facts_write(text, &date_facts, schedule);
}

int schedule_restore(struct service *service, const char *text, struct fault *fault) {
    struct manager_private *manager = service->manager->private;
    struct schedule *schedule = service->private->schedule;
    if (!schedule || !facts_have(text, &wait_facts))
        return 0;
    int error = facts_read(text, &wait_facts, schedule, &manager->timers, fault);
    return error < 0 ? error : facts_read(text, &date_facts, schedule, &manager->dates, fault);
}
