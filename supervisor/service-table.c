#include <assert.h>

#include "supervisor/service-actions.h"
#include "units/base/names.h"

/* ---- what a state means ---- */

static const struct state_traits traits[] = {
    [SERVICE_LOADED] = {.word = "loaded", .down = true, .idle = true, .settled = true},
    [SERVICE_WAITING] = {.word = "waiting", .down = true, .gated = true, .rising = true},
    [SERVICE_BUILDING] = {.word = "created", .rising = true, .resume = resume_building},
    [SERVICE_CREATED] = {.word = "created",
                         .gated = true,
                         .rising = true,
                         .resume = resume_delayed},
    [SERVICE_PREPARING] = {.word = "starting",
                           .running = true,
                           .rising = true,
                           .enter = enter_preparing,
                           .resume = resume_preparing},
    [SERVICE_STARTING] = {.word = "starting",
                          .running = true,
                          .rising = true,
                          .probed = true,
                          .enter = enter_starting,
                          .resume = resume_starting},
    [SERVICE_READY] = {.word = "ready",
                       .running = true,
                       .up = true,
                       .probed = true,
                       .settled = true,
                       .enter = enter_ready,
                       .resume = resume_running},
    [SERVICE_LISTENING] = {.word = "listening",
                           .up = true,
                           .settled = true,
                           .enter = enter_listening,
                           .resume = resume_listening},
    [SERVICE_RELOADING] = {.word = "reloading",
                           .running = true,
                           .up = true,
                           .probed = true,
                           .reloading = true,
                           .settled = true,
                           .enter = enter_reloading,
                           .resume = resume_reloading},
    [SERVICE_ASKING] = {.word = "stopping",
                        .running = true,
                        .enter = enter_asking,
                        .resume = resume_asking},
    [SERVICE_STOPPING] = {.word = "stopping",
                          .running = true,
                          .doomed = true,
                          .enter = enter_stopping,
                          .resume = resume_stopping},
    [SERVICE_ENDING] = {.word = "stopping",
                        .running = true,
                        .doomed = true,
                        .enter = enter_ending,
                        .resume = resume_stopping},
    [SERVICE_KILLING] = {.word = "stopping",
                         .running = true,
                         .enter = enter_killing,
                         .resume = kill_again},
    [SERVICE_FINISHING] = {.word = "stopping",
                           .running = true,
                           .enter = enter_finishing,
                           .resume = resume_finishing},
    [SERVICE_REMOVING] = {.word = "stopping",
                          .lingers = true,
                          .enter = enter_removing,
                          .resume = remove_again},
    [SERVICE_RESTARTING] = {.word = "restarting",
                            .idle = true,
                            .settled = true,
                            .enter = enter_restarting,
                            .resume = resume_delayed},
    [SERVICE_STOPPED] =
        {.word = "stopped", .down = true, .idle = true, .settled = true, .enter = enter_down},
    [SERVICE_FAILED] = {.word = "failed",
                        .down = true,
                        .idle = true,
                        .failed = true,
                        .settled = true,
                        .enter = enter_down},
    [SERVICE_SKIPPED] = {.word = "skipped",
                         .down = true,
                         .up = true,
                         .idle = true,
                         .settled = true,
                         .enter = enter_skipped},
    [SERVICE_INVALID] = {.word = "invalid", .down = true, .settled = true},
};
static_assert(sizeof(traits) / sizeof(traits[0]) == SERVICE_STATES, "traits of every state");

const struct state_traits *state_traits(enum service_state state) {
    return &traits[state];
}

/* ---- what it does on an event ---- */

/* An empty cell is an event that cannot come there; `stay` one that may, and changes nothing. */
static const service_action table[SERVICE_STATES][SERVICE_EVENTS] = {
    [SERVICE_LOADED] =
        {
            [EVENT_PULL] = to_waiting,
            [EVENT_STOP] = stay,
            [EVENT_REFUSED] = to_invalid,
            [EVENT_ACCEPTED] = stay,
        },
    [SERVICE_WAITING] =
        {
            [EVENT_GO] = build,
            [EVENT_DEPENDENCY_FAILED] = fail_for_dependency,
            [EVENT_STOP] = to_stopped,
            [EVENT_REFUSED] = to_invalid,
            [EVENT_ACCEPTED] = stay,
        },
    [SERVICE_BUILDING] =
        {
            [EVENT_BUILT] = to_created,
            [EVENT_BUILD_FAILED] = fail_to_build,
            [EVENT_EMPTY] = stay,
            [EVENT_STOP] = remove_stopped,
        },
    [SERVICE_CREATED] =
        {
            [EVENT_GO] = launch,
            [EVENT_DEPENDENCY_FAILED] = fail_for_dependency,
            [EVENT_EMPTY] = stay,
            [EVENT_STOP] = remove_stopped,
        },
    [SERVICE_PREPARING] =
        {
            [EVENT_EMPTY] = stay, /* the main part of its cgroup */
            [EVENT_DEADLINE] = time_out_preparing,
            [EVENT_COMMANDS_DONE] = launch_prepared,
            [EVENT_COMMAND_FAILED] = fail_to_prepare,
            [EVENT_STOP] = stop_prepared,
        },
    [SERVICE_STARTING] =
        {
            [EVENT_EXECUTED] = to_ready_if_exec,
            [EVENT_LAUNCH_FAILED] = fail_to_launch,
            [EVENT_SAID_READY] = to_ready_if_healthy,
            [EVENT_SAID_STOPPING] = stay,
            [EVENT_ENDED] = clear_up,
            [EVENT_EMPTY] = settle_if_ended,
            [EVENT_DEADLINE] = time_out_starting,
            [EVENT_LIFETIME] = time_out_running,
            [EVENT_HEALTHY] = to_ready,
            [EVENT_SAID_RELOADING] = stay,
            [EVENT_WATCHDOG] = abort_process,
            [EVENT_LEFT] = leave_rest,
            [EVENT_STOP] = stop_process,
        },
    [SERVICE_READY] =
        {
            [EVENT_DEPENDENCY_LOST] = wait_again_if_group,
            [EVENT_EXECUTED] = to_ready_if_exec,    /* it said that it is ready before */
            [EVENT_LAUNCH_FAILED] = fail_to_launch, /* and a manager died before it heard of it */
            [EVENT_SAID_READY] = stay,
            [EVENT_SAID_STOPPING] = obey_stopping,
            [EVENT_ENDED] = clear_up,
            [EVENT_EMPTY] = settle_if_ended,
            [EVENT_LIFETIME] = time_out_running,
            [EVENT_HEALTHY] = stay,
            [EVENT_UNHEALTHY] = act_on_health,
            [EVENT_IDLE] = stop_idle,
            [EVENT_RELOAD] = begin_reload,
            [EVENT_SAID_RELOADING] = note_reloading,
            [EVENT_WATCHDOG] = abort_process,
            [EVENT_LEFT] = leave_rest,
            [EVENT_STOP] = stop_process,
        },
    [SERVICE_LISTENING] =
        {
            [EVENT_DEPENDENCY_LOST] = stay,
            [EVENT_EMPTY] = stay,
            [EVENT_DEADLINE] = watch_again,
            [EVENT_CONNECTION] = awaken,
            [EVENT_STOP] = stop_listening,
        },
    [SERVICE_RELOADING] =
        {
            [EVENT_DEPENDENCY_LOST] = stay,
            [EVENT_EXECUTED] = to_ready_if_exec,
            [EVENT_SAID_READY] = end_reload_by_word,
            [EVENT_SAID_STOPPING] = obey_stopping,
            [EVENT_ENDED] = clear_up,
            [EVENT_EMPTY] = settle_if_ended,
            [EVENT_DEADLINE] = time_out_reloading,
            [EVENT_LIFETIME] = time_out_running,
            [EVENT_HEALTHY] = stay,
            [EVENT_UNHEALTHY] = act_on_health,
            [EVENT_IDLE] = stop_idle,
            [EVENT_COMMANDS_DONE] = end_reload_command,
            [EVENT_COMMAND_FAILED] = fail_to_reload,
            [EVENT_RELOAD] = reload_again,
            [EVENT_SAID_RELOADING] = note_reloading,
            [EVENT_WATCHDOG] = abort_process,
            [EVENT_LEFT] = leave_rest,
            [EVENT_STOP] = stop_process,
        },
    [SERVICE_ASKING] =
        {
            [EVENT_SAID_READY] = stay,
            [EVENT_SAID_STOPPING] = stay,
            [EVENT_ENDED] = end_if_asked, /* its commands may see to the end of it */
            [EVENT_EMPTY] = end_if_asked,
            [EVENT_DEADLINE] = time_out_asking,
            [EVENT_LIFETIME] = stay,
            [EVENT_IDLE] = stay,
            [EVENT_COMMANDS_DONE] = end_asking,
            [EVENT_COMMAND_FAILED] = end_asking,
            [EVENT_SAID_RELOADING] = stay,
            [EVENT_WATCHDOG] = stay,
            [EVENT_LEFT] = end_if_asked,
            [EVENT_STOP] = stay,
        },
    [SERVICE_STOPPING] =
        {
            [EVENT_EXECUTED] = to_ready_if_exec,
            [EVENT_SAID_READY] = stay,
            [EVENT_SAID_STOPPING] = stay,
            [EVENT_ENDED] = clear_up,
            [EVENT_EMPTY] = settle_if_ended,
            [EVENT_DEADLINE] = kill_after_timeout,
            [EVENT_LIFETIME] = stay,
            [EVENT_IDLE] = stay,
            [EVENT_SAID_RELOADING] = stay,
            [EVENT_WATCHDOG] = stay,
            [EVENT_LEFT] = leave_rest,
            [EVENT_STOP] = stop_process_once,
        },
    [SERVICE_ENDING] =
        {
            [EVENT_SAID_READY] = stay,
            [EVENT_SAID_STOPPING] = stay,
            [EVENT_ENDED] = settle_if_empty,
            [EVENT_EMPTY] = settle_if_over,
            [EVENT_DEADLINE] = kill_after_timeout,
            [EVENT_LIFETIME] = stay,
            [EVENT_IDLE] = stay,
            [EVENT_SAID_RELOADING] = stay,
            [EVENT_WATCHDOG] = stay,
            [EVENT_STOP] = stay,
        },
    [SERVICE_KILLING] =
        {
            [EVENT_SAID_READY] = stay,
            [EVENT_SAID_STOPPING] = stay,
            [EVENT_ENDED] = leave_rest_if_spared,
            [EVENT_EMPTY] = settle_if_over,
            [EVENT_DEADLINE] = kill_again,
            [EVENT_LIFETIME] = stay,
            [EVENT_IDLE] = stay,
            [EVENT_SAID_RELOADING] = stay,
            [EVENT_WATCHDOG] = stay,
            [EVENT_LEFT] = leave_rest_if_spared,
            [EVENT_STOP] = stay,
        },
    [SERVICE_FINISHING] =
        {
            [EVENT_EMPTY] = stay,
            [EVENT_DEADLINE] = time_out_finishing,
            [EVENT_COMMANDS_DONE] = conclude,
            [EVENT_COMMAND_FAILED] = conclude,
            [EVENT_STOP] = stay, /* what follows sees the goal */
        },
    [SERVICE_REMOVING] =
        {
            [EVENT_EMPTY] = remove_again,
            [EVENT_DEADLINE] = remove_again,
            [EVENT_STOP] = remove_again,
        },
    [SERVICE_RESTARTING] =
        {
            [EVENT_PULL] = to_created_or_waiting,
            [EVENT_EMPTY] = stay,
            [EVENT_DEADLINE] = ask_for_start,
            [EVENT_STOP] = remove_stopped,
        },
    [SERVICE_STOPPED] =
        {
            [EVENT_PULL] = to_waiting,
            [EVENT_DEPENDENCY_LOST] = stay,
            [EVENT_STOP] = stay,
            [EVENT_REFUSED] = to_invalid,
            [EVENT_ACCEPTED] = stay,
        },
    [SERVICE_FAILED] =
        {
            [EVENT_PULL] = to_waiting,
            [EVENT_STOP] = to_stopped,
            [EVENT_REFUSED] = to_invalid,
            [EVENT_ACCEPTED] = stay,
        },
    [SERVICE_SKIPPED] =
        {
            [EVENT_PULL] = to_waiting,
            [EVENT_DEPENDENCY_LOST] = stay,
            [EVENT_STOP] = to_stopped,
            [EVENT_REFUSED] = to_invalid,
            [EVENT_ACCEPTED] = stay,
        },
    [SERVICE_INVALID] =
        {
            [EVENT_STOP] = stay,
            [EVENT_REFUSED] = stay,
            [EVENT_ACCEPTED] = to_loaded,
        },
};

service_action service_cell(enum service_state state, enum service_event event) {
    return table[state][event];
}

/* ---- words ---- */

static const char *const event_words[] = {
    [EVENT_PULL] = "pull",
    [EVENT_GO] = "go",
    [EVENT_DEPENDENCY_FAILED] = "dependency failed",
    [EVENT_DEPENDENCY_LOST] = "dependency lost",
    [EVENT_BUILT] = "built",
    [EVENT_BUILD_FAILED] = "build failed",
    [EVENT_EXECUTED] = "executed",
    [EVENT_LAUNCH_FAILED] = "launch failed",
    [EVENT_SAID_READY] = "said ready",
    [EVENT_SAID_STOPPING] = "said stopping",
    [EVENT_ENDED] = "ended",
    [EVENT_EMPTY] = "empty",
    [EVENT_DEADLINE] = "deadline",
    [EVENT_LIFETIME] = "lifetime",
    [EVENT_HEALTHY] = "healthy",
    [EVENT_UNHEALTHY] = "unhealthy",
    [EVENT_CONNECTION] = "connection",
    [EVENT_IDLE] = "idle",
    [EVENT_COMMANDS_DONE] = "commands done",
    [EVENT_COMMAND_FAILED] = "command failed",
    [EVENT_RELOAD] = "reload",
    [EVENT_SAID_RELOADING] = "said reloading",
    [EVENT_WATCHDOG] = "watchdog",
    [EVENT_LEFT] = "left",
    [EVENT_STOP] = "stop",
    [EVENT_REFUSED] = "refused",
    [EVENT_ACCEPTED] = "accepted",
};
static_assert(sizeof(event_words) / sizeof(event_words[0]) == SERVICE_EVENTS, "a word per event");

const char *service_event_word(enum service_event event) {
    static const struct names names = NAMES(event_words);
    return names_word(&names, (int)event);
}

const char *service_state_word(enum service_state state) {
    return traits[state].word;
}

static const char *const result_words[] = {
    [RESULT_NONE] = "none",           [RESULT_SUCCESS] = "success",
    [RESULT_EXIT_CODE] = "exit-code", [RESULT_SIGNAL] = "signal",
    [RESULT_CORE_DUMP] = "core-dump", [RESULT_OOM_KILL] = "oom-kill",
    [RESULT_TIMEOUT] = "timeout",     [RESULT_WATCHDOG] = "watchdog",
    [RESULT_LAUNCH] = "launch",       [RESULT_DEPENDENCY] = "dependency",
    [RESULT_CONDITION] = "condition", [RESULT_LIMIT] = "limit",
    [RESULT_PROTOCOL] = "protocol",   [RESULT_UNHEALTHY] = "unhealthy",
    [RESULT_UNSEEN] = "unseen",
};
static_assert(sizeof(result_words) / sizeof(result_words[0]) == SERVICE_RESULTS, "word per result");

const char *service_result_word(enum service_result result) {
    static const struct names names = NAMES(result_words);
    return names_word(&names, (int)result);
}
