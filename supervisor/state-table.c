/* Every field of a service that a later manager needs, a row each. What is not here is found out
 * anew (edges, marks, watches), or lies in what the keeper holds. */

#include "supervisor/state-table.h"

#include <assert.h>

#include "supervisor/manager-private.h"
#include "units/base/names.h"

/* ---- words: those that a person reads do not tell all states apart ---- */

static const char *const state_words[] = {
    [SERVICE_LOADED] = "loaded",       [SERVICE_WAITING] = "waiting",
    [SERVICE_BUILDING] = "building",   [SERVICE_CREATED] = "created",
    [SERVICE_PREPARING] = "preparing", [SERVICE_STARTING] = "starting",
    [SERVICE_READY] = "ready",         [SERVICE_LISTENING] = "listening",
    [SERVICE_RELOADING] = "reloading", [SERVICE_ASKING] = "asking",
    [SERVICE_STOPPING] = "stopping",   [SERVICE_ENDING] = "ending",
    [SERVICE_KILLING] = "killing",     [SERVICE_FINISHING] = "finishing",
    [SERVICE_REMOVING] = "removing",   [SERVICE_RESTARTING] = "restarting",
    [SERVICE_STOPPED] = "stopped",     [SERVICE_FAILED] = "failed",
    [SERVICE_SKIPPED] = "skipped",     [SERVICE_INVALID] = "invalid",
};
static_assert(ELEMENTS(state_words) == SERVICE_STATES, "a word per state");

static const char *const goal_words[] = {
    [GOAL_NONE] = "none", [GOAL_UP] = "up", [GOAL_DOWN] = "down", [GOAL_CYCLE] = "cycle"};
static_assert(ELEMENTS(goal_words) == GOAL_CYCLE + 1, "a word per goal");

static const char *const access_words[] = {
    [ACCESS_UNSAID] = "unsaid", [ACCESS_ALL] = "all",   [ACCESS_EXEC] = "exec",
    [ACCESS_MAIN] = "main",     [ACCESS_NONE] = "none",
};
static_assert(ELEMENTS(access_words) == ACCESS_NONE + 1, "a word per access");

static const char *state_word(int value) {
    return state_words[value];
}

static const char *goal_word(int value) {
    return goal_words[value];
}

static const char *access_word(int value) {
    return access_words[value];
}

static const char *result_word(int value) {
    return service_result_word((enum service_result)value);
}

/* ---- rows ---- */

#define SERVICE(member, kind) FACT(service, member, kind)
#define OWN(member, kind) FACT(service_private, member, kind)
#define ENDING(name, member)                                                                       \
    FACT_ENUM(service_private, name "_result", member.result, result_word, SERVICE_RESULTS),       \
        FACT_OF(service_private, name "_code", member.exit_code, FACT_INT),                        \
        FACT_OF(service_private, name "_signal", member.exit_signal, FACT_INT)

static const struct fact_row service_rows[] = {
    FACT_ENUM(service, "state", state, state_word, SERVICE_STATES),
    SERVICE(state_since, FACT_LONG),
    FACT_ENUM(service, "result", result, result_word, SERVICE_RESULTS),
    SERVICE(exit_code, FACT_INT),
    SERVICE(exit_signal, FACT_INT),
    SERVICE(failure, FACT_TEXT),
    SERVICE(status_text, FACT_TEXT),
    SERVICE(status_error, FACT_TEXT),
    SERVICE(main_pid, FACT_INT),
    SERVICE(paused, FACT_BOOL),
    SERVICE(started_at, FACT_LONG),
    SERVICE(ready_at, FACT_LONG),
    SERVICE(ended_at, FACT_LONG),
    SERVICE(restarts, FACT_LONG),
    SERVICE(restart_at, FACT_LONG),
    SERVICE(restart_delay, FACT_LONG),
    SERVICE(dates_lead, FACT_LONG),
    FACT_OF(service, "at_boot", milestones.at_boot, FACT_BOOL),
    FACT_OF(service, "boot_waiting", milestones.waiting, FACT_LONG),
    FACT_OF(service, "boot_building", milestones.building, FACT_LONG),
    FACT_OF(service, "boot_starting", milestones.starting, FACT_LONG),
    FACT_OF(service, "boot_ready", milestones.ready, FACT_LONG),
    FACT_OF(service, "boot_failed", milestones.failed, FACT_LONG),
};

static const struct fact_row private_rows[] = {
    FACT_ENUM(service_private, "goal", goal, goal_word, ELEMENTS(goal_words)),
    OWN(cycle_by_person, FACT_BOOL),
    OWN(orders, FACT_TEXT),
    OWN(attempt_failed, FACT_BOOL),
    OWN(recover, FACT_BOOL),
    OWN(for_failure, FACT_BOOL),
    OWN(built, FACT_BOOL),
    OWN(executed, FACT_BOOL),
    OWN(reaped, FACT_BOOL),
    OWN(ended, FACT_BOOL),
    OWN(signalled, FACT_BOOL),
    OWN(was_ready, FACT_BOOL),
    OWN(succeeded, FACT_BOOL),
    OWN(expected, FACT_BOOL),
    FACT_ENUM(service_private, "cause", cause, result_word, SERVICE_RESULTS),
    ENDING("ending", ending),
    OWN(oom_kills, FACT_LONG),
    OWN(begun, FACT_LONG),
    FACT_ENUM(service_private, "outcome", outcome, state_word, SERVICE_STATES),
    OWN(retry, FACT_LONG),
    OWN(step, FACT_UNSIGNED),
    OWN(limit_begun, FACT_LONG),
    OWN(limit_count, FACT_LONG),
    OWN(listens, FACT_BOOL),
    OWN(awakened, FACT_BOOL),
    OWN(idled, FACT_BOOL),
    OWN(busy_at, FACT_LONG),
    OWN(triggers, FACT_UNSIGNED),
    OWN(triggers_begun, FACT_LONG),
    FACT_OF(service_private, "command_next", commands.next, FACT_SIZE),
    FACT_OF(service_private, "command_beside", commands.beside, FACT_BOOL),
    FACT_OF(service_private, "command_running", commands.running, FACT_BOOL),
    FACT_OF(service_private, "command_failure", commands.failure, FACT_TEXT),
    ENDING("command", commands.ending),
    OWN(settled, FACT_BOOL),
    OWN(left, FACT_BOOL),
    OWN(spared, FACT_BOOL),
    OWN(again, FACT_BOOL),
    OWN(going, FACT_BOOL),
    OWN(done, FACT_BOOL),
    OWN(start_by, FACT_LONG),
    OWN(stop_by, FACT_LONG),
    OWN(reload_asked, FACT_LONG),
    OWN(reload_acknowledged, FACT_BOOL),
    OWN(reload_again, FACT_BOOL),
    OWN(reload_by_word, FACT_BOOL),
    OWN(reload_failure, FACT_TEXT),
    FACT_ENUM(service_private, "access", access, access_word, ELEMENTS(access_words)),
    OWN(watchdog_period, FACT_LONG),
    OWN(guarded, FACT_BOOL),
    OWN(launching, FACT_BOOL),
    OWN(deadline, FACT_DEADLINE),
    OWN(lifetime, FACT_DEADLINE),
    OWN(idle, FACT_DEADLINE),
    OWN(steady, FACT_DEADLINE),
    OWN(watchdog, FACT_DEADLINE),
};

/* What the runtime and the world need to find again what this service holds. */
static const struct fact_row held_rows[] = {
    FACT_OF(service_private, "sandbox", held.sandbox, FACT_TEXT),
    FACT_OF(service_private, "run", held.run, FACT_TEXT),
    FACT_OF(service_private, "command", held.command, FACT_TEXT),
    FACT_OF(service_private, "execs", held.execs, FACT_TEXT),
    FACT_OF(service_private, "descriptors", held.descriptors, FACT_TEXT),
    FACT_OF(service_private, "main_began", held.main_began, FACT_LONG),
    FACT_OF(service_private, "unit_path", held.unit_path, FACT_TEXT),
};

static const struct fact_row manager_rows[] = {
    FACT(manager, stopping, FACT_BOOL),
};

static const struct fact_row engine_rows[] = {
    FACT(manager_private, came_up, FACT_LONG),
    FACT(manager_private, booting, FACT_BOOL),
    FACT_OF(manager_private, "tries", adoption.tries, FACT_UNSIGNED),
};

#define GROUP(name, rows)                                                                          \
    { name, rows, ELEMENTS(rows) }

const struct fact_group service_facts = GROUP("service", service_rows);
const struct fact_group private_facts = GROUP("engine", private_rows);
const struct fact_group held_facts = GROUP("held", held_rows);
const struct fact_group manager_facts = GROUP("manager", manager_rows);
const struct fact_group manager_private_facts = GROUP("engine", engine_rows);
