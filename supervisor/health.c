#include "supervisor/health.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/facts.h"
#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/probe.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/base/text.h"

#define NOT_YET (10 * 1000ULL) /* microseconds */

/* One deadline is enough: it is either the next probe's or the end of the running one. */
struct health_monitor {
    struct health_record record;
    struct service *service;
    struct probe *probe; /* the running one */
    struct deadline deadline;
    uint64_t begun;       /* CLOCK_BOOTTIME: of being probed, in this run */
    uint64_t probe_begun; /* CLOCK_BOOTTIME */
    uint64_t probe_date;  /* CLOCK_REALTIME */
    bool active;
    bool succeeded, failing; /* in this run: once; at the last probe */
};

static const char *const state_words[] = {
    [HEALTH_UNKNOWN] = "unknown",
    [HEALTH_STARTING] = "starting",
    [HEALTH_HEALTHY] = "healthy",
    [HEALTH_UNHEALTHY] = "unhealthy",
};
static_assert(sizeof(state_words) / sizeof(state_words[0]) == HEALTH_STATES, "a word per state");

const char *health_state_word(enum health_state state) {
    static const struct names names = NAMES(state_words);
    return names_word(&names, (int)state);
}

/* ---- questions ---- */

bool health_is_checked(const struct unit *unit) {
    const struct health *health = &unit->health;
    return health->exec.count > 0 || health->http || health->tcp || health->file;
}

bool health_gates(const struct service *service) {
    const struct health_monitor *monitor = service->private->health;
    return health_is_checked(service->unit) && service->unit->health.gates_ready &&
           !(monitor && monitor->active && monitor->succeeded);
}

const struct health_record *service_health(const struct service *service) {
    const struct health_monitor *monitor = service->private->health;
    return monitor && service->unit && health_is_checked(service->unit) ? &monitor->record : NULL;
}

const char *service_health_word(const struct service *service) {
    const struct health_record *record = service_health(service);
    if (!service->unit || !health_is_checked(service->unit))
        return NULL;
    return health_state_word(record ? record->state : HEALTH_UNKNOWN);
}

/* Failures do not count yet, and the next probe comes soon: until the first success, as long as
 * start_period lasts or start_timeout is there to judge. */
static bool is_lenient(const struct health_monitor *monitor) {
    const struct service *service = monitor->service;
    uint64_t now = world_now(service->manager);
    return !monitor->succeeded && (now - monitor->begun < service->unit->health.start_period ||
                                   state_traits(service->state)->rising);
}

const char *health_complaint(const struct service *service) {
    const struct health_monitor *monitor = service->private->health;
    if (!monitor || !monitor->failing)
        return NULL;
    return monitor->record.results[monitor->record.newest].error;
}

bool health_awaited(const struct service *service) {
    const struct health_monitor *monitor = service->private->health;
    return monitor && monitor->active && !monitor->succeeded &&
           state_traits(service->state)->rising;
}

void health_explain(const struct service *service, struct text *text) {
    const char *complaint = health_complaint(service);
    text_format(text, "not healthy yet%s%s", complaint ? ": " : "", complaint ? complaint : "");
}

/* ---- the record ---- */

static void change_state(struct health_monitor *monitor, enum health_state state) {
    struct service *service = monitor->service;
    enum health_state before = monitor->record.state;
    if (before == state)
        return;
    monitor->record.state = state;
    monitor->record.since = world_date(service->manager);
    if (service->manager->bus)
        bus_health_changed(service->manager->bus, service, before);
}

/* Room for the bytes that fit; a NUL byte would hide what follows. */
static void keep_output(char *kept, const char *output, size_t length) {
    if (length > HEALTH_OUTPUT)
        length = HEALTH_OUTPUT;
    while (length > 0 && (output[length - 1] == '\n' || output[length - 1] == '\r'))
        length--;
    for (size_t i = 0; i < length; i++)
        kept[i] = output[i] ? output[i] : ' ';
    kept[length] = '\0';
}

static void keep_result(struct health_monitor *monitor, const struct probe_answer *answer) {
    struct health_record *record = &monitor->record;
    record->newest = record->count ? (record->newest + 1) % HEALTH_RESULTS : 0;
    if (record->count < HEALTH_RESULTS)
        record->count++;
    struct health_result *result = &record->results[record->newest];
    *result = (struct health_result){
        .at = monitor->probe_date,
        .took = world_now(monitor->service->manager) - monitor->probe_begun,
        .healthy = answer->healthy,
        .code = answer->code,
    };
    snprintf(result->error, sizeof(result->error), "%s", answer->error);
    keep_output(result->output, answer->output, answer->length);
}

/* ---- one probe after the other ---- */

static void wait_until(struct health_monitor *monitor, uint64_t duration) {
    struct manager *manager = monitor->service->manager;
    uint64_t now = world_now(manager);
    state_touch(monitor->service);
    timers_set(&manager->private->timers, &monitor->deadline,
               duration >= NEVER - now ? NEVER : now + duration);
}

static void wait_for_next(struct health_monitor *monitor) {
    const struct health *health = &monitor->service->unit->health;
    bool soon = is_lenient(monitor) && health->start_interval < health->interval;
    wait_until(monitor, soon ? health->start_interval : health->interval);
}

/* The first comes at once where it does no harm that the service has hardly begun. */
static void wait_for_first(struct health_monitor *monitor) {
    if (is_lenient(monitor))
        wait_until(monitor, 0);
    else
        wait_for_next(monitor);
}

static void succeed(struct health_monitor *monitor) {
    struct service *service = monitor->service;
    bool first = !monitor->succeeded;
    if (monitor->record.state == HEALTH_UNHEALTHY)
        log_line(LEVEL_NOTICE, "%s: healthy again", service->name);
    monitor->record.failures = 0;
    monitor->succeeded = true;
    monitor->failing = false;
    change_state(monitor, HEALTH_HEALTHY);
    wait_for_next(monitor);
    if (first)
        service_handle(service, EVENT_HEALTHY);
}

static void fail(struct health_monitor *monitor, const char *error) {
    struct service *service = monitor->service;
    struct health_record *record = &monitor->record;
    uint64_t retries = (uint64_t)service->unit->health.retries;
    bool counts = !is_lenient(monitor);
    monitor->failing = true;
    wait_for_next(monitor);
    if (!counts)
        return;
    record->failures++;
    if (record->failures < retries || record->state == HEALTH_UNHEALTHY)
        return;
    log_line(LEVEL_WARNING, "%s: unhealthy: %s", service->name, error);
    change_state(monitor, HEALTH_UNHEALTHY);
    service_handle(service, EVENT_UNHEALTHY);
}

/* The probe is over. What follows may end the monitoring. */
static void conclude(struct health_monitor *monitor, const struct probe_answer *answer) {
    struct probe *probe = monitor->probe;
    state_touch(monitor->service);
    keep_result(monitor, answer); /* the answer may lie in the probe */
    monitor->probe = NULL;
    probe_close(probe);
    timers_cancel(&monitor->service->manager->private->timers, &monitor->deadline);
    if (answer->healthy)
        succeed(monitor);
    else
        fail(monitor, monitor->record.results[monitor->record.newest].error);
}

static void answered(void *context, const struct probe_answer *answer) {
    struct health_monitor *monitor = context;
    struct manager *manager = monitor->service->manager;
    struct probe_answer kept = *answer;
    conclude(monitor, &kept);
    manager_event_ended(manager);
}

static void time_out(struct health_monitor *monitor) {
    char error[80], output[HEALTH_OUTPUT];
    scoped_text struct text time = {0};
    duration_print(&time, monitor->service->unit->health.timeout);
    snprintf(error, sizeof(error), "no answer within %s", time.data ? time.data : "its time");
    const struct probe_answer answer = {
        .code = -1,
        .error = error,
        .output = output,
        .length = probe_output(monitor->probe, output, sizeof(output)),
    };
    conclude(monitor, &answer);
}

static void start(struct health_monitor *monitor) {
    struct service *service = monitor->service;
    struct fault fault = {{0}};
    if (!service->private->executed) { /* it said that it is ready before we heard of its execve */
        wait_until(monitor, NOT_YET);
        return;
    }
    monitor->probe_begun = world_now(service->manager);
    monitor->probe_date = world_date(service->manager);
    if (probe_open(service, answered, monitor, &monitor->probe, &fault) < 0) {
        const struct probe_answer answer = {.code = -1, .error = fault.text, .output = ""};
        conclude(monitor, &answer);
    } else {
        wait_until(monitor, service->unit->health.timeout);
    }
}

static void deadline_passed(struct deadline *deadline) {
    struct health_monitor *monitor = list_entry(deadline, struct health_monitor, deadline);
    struct manager *manager = monitor->service->manager;
    if (monitor->probe)
        time_out(monitor);
    else
        start(monitor);
    manager_event_ended(manager);
}

bool health_is_connected(const struct service *service) {
    const struct health_monitor *monitor = service->private->health;
    const struct health *health = &service->unit->health;
    return monitor && monitor->probe && (health->http || health->tcp);
}

/* ---- begin and end ---- */

static struct health_monitor *monitor_of(struct service *service) {
    struct service_private *own = service->private;
    if (own->health)
        return own->health;
    struct health_monitor *monitor = calloc(1, sizeof(*monitor));
    if (!monitor) {
        log_line(LEVEL_ERROR, "%s: out of memory: its health is not checked", service->name);
        return NULL;
    }
    monitor->service = service;
    monitor->deadline.passed = deadline_passed;
    return own->health = monitor;
}

static void rest(struct health_monitor *monitor) {
    state_touch(monitor->service);
    timers_cancel(&monitor->service->manager->private->timers, &monitor->deadline);
    probe_close(monitor->probe);
    monitor->probe = NULL;
}

void health_begin(struct service *service) {
    if (!health_is_checked(service->unit) || !service->main)
        return;
    struct health_monitor *monitor = monitor_of(service);
    if (!monitor || monitor->active)
        return;
    monitor->active = true;
    monitor->succeeded = monitor->failing = false;
    monitor->begun = world_now(service->manager);
    monitor->record.failures = 0;
    change_state(monitor, HEALTH_STARTING);
    wait_for_first(monitor);
}

void health_end(struct service *service) {
    struct health_monitor *monitor = service->private->health;
    if (!monitor || !monitor->active)
        return;
    rest(monitor);
    monitor->active = false;
    change_state(monitor, HEALTH_UNKNOWN);
}

void health_pause(struct service *service, bool pause) {
    struct health_monitor *monitor = service->private->health;
    if (!monitor || !monitor->active)
        return;
    if (pause)
        rest(monitor);
    else
        wait_for_next(monitor);
}

void health_free(struct service *service) {
    struct health_monitor *monitor = service->private->health;
    if (!monitor)
        return;
    rest(monitor);
    free(monitor);
    service->private->health = NULL;
}

/* ---- over a change of managers ---- */

static const char *state_word(int value) {
    return state_words[value];
}

#define MONITOR(name, member, kind) FACT_OF(health_monitor, name, member, kind)

static const struct fact_row monitor_rows[] = {
    FACT_ENUM(health_monitor, "state", record.state, state_word, HEALTH_STATES),
    MONITOR("since", record.since, FACT_LONG),
    MONITOR("failures", record.failures, FACT_LONG),
    MONITOR("count", record.count, FACT_SIZE),
    MONITOR("newest", record.newest, FACT_SIZE),
    FACT(health_monitor, begun, FACT_LONG),
    FACT(health_monitor, active, FACT_BOOL),
    FACT(health_monitor, succeeded, FACT_BOOL),
    FACT(health_monitor, failing, FACT_BOOL),
    FACT(health_monitor, deadline, FACT_DEADLINE),
};
static const struct fact_group monitor_facts = {"health", monitor_rows, ELEMENTS(monitor_rows)};

#define RESULT_TEXT(member)                                                                        \
    {                                                                                              \
        FACT_NAMED(#member), .kind = FACT_BUFFER,                                                  \
                             .offset = offsetof(struct health_result, member),                     \
                             .size = sizeof(((struct health_result *)0)->member),                  \
    }

static const struct fact_row result_rows[] = {
    FACT(health_result, at, FACT_LONG),
    FACT(health_result, took, FACT_LONG),
    FACT(health_result, healthy, FACT_BOOL),
    FACT(health_result, code, FACT_INT),
    RESULT_TEXT(error),
    RESULT_TEXT(output),
};
static const struct fact_group result_facts[] = {
    {"probe0", result_rows, ELEMENTS(result_rows)}, {"probe1", result_rows, ELEMENTS(result_rows)},
    {"probe2", result_rows, ELEMENTS(result_rows)}, {"probe3", result_rows, ELEMENTS(result_rows)},
    {"probe4", result_rows, ELEMENTS(result_rows)},
};
static_assert(ELEMENTS(result_facts) == HEALTH_RESULTS, "a group for every result");

void health_save(const struct service *service, struct text *text) {
    const struct health_monitor *monitor = service->private->health;
    if (!monitor)
        return;
    facts_write(text, &monitor_facts, monitor);
    for (size_t i = 0; i < monitor->record.count; i++)
        facts_write(text, &result_facts[i], &monitor->record.results[i]);
}

int health_restore(struct service *service, const char *text, struct fault *fault) {
    if (!facts_have(text, &monitor_facts))
        return 0;
    struct health_monitor *monitor = monitor_of(service);
    if (!monitor)
        return -ENOMEM;
    int error =
        facts_read(text, &monitor_facts, monitor, &service->manager->private->timers, fault);
    struct health_record *record = &monitor->record;
    if (error >= 0 && (record->count > HEALTH_RESULTS || record->newest >= HEALTH_RESULTS))
        error = fault_say(fault, EINVAL, "the record of its health cannot be so long");
    for (size_t i = 0; error >= 0 && i < record->count; i++)
        error = facts_read(text, &result_facts[i], &record->results[i], NULL, fault);
    if (error < 0)
        health_free(service);
    return error;
}
