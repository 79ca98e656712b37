#include "supervisor/restart.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "supervisor/seeded.h"
#include "units/base/number.h"
#include "units/base/text.h"

/* ---- endings ---- */

static int signal_number(const char *name) {
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (int number = 1; number < NSIG; number++) {
        const char *abbreviation = sigabbrev_np(number);
        if (abbreviation && strcmp(abbreviation, name) == 0)
            return number;
    }
    return 0;
}

bool ending_is_listed(const struct strings *list, const struct ending *ending) {
    for (size_t i = 0; i < list->count; i++) {
        uint64_t code;
        if (number_parse(list->items[i], &code) == 0) {
            if (!ending->exit_signal && code == (uint64_t)ending->exit_code)
                return true;
        } else if (ending->exit_signal && signal_number(list->items[i]) == ending->exit_signal) {
            return true;
        }
    }
    return false;
}

static bool signal_is_clean(int number) {
    return number == SIGHUP || number == SIGINT || number == SIGTERM || number == SIGPIPE;
}

struct ending ending_of(const struct unit *unit, int wait_status, bool out_of_memory) {
    struct ending ending = {.result = RESULT_SUCCESS};
    if (wait_status == WAIT_UNSEEN)
        return (struct ending){.result = RESULT_UNSEEN};
    if (WIFSIGNALED(wait_status))
        ending.exit_signal = WTERMSIG(wait_status);
    else
        ending.exit_code = WEXITSTATUS(wait_status);

    bool clean = ending.exit_signal
                     ? unit->service.type != SERVICE_ONESHOT && signal_is_clean(ending.exit_signal)
                     : ending.exit_code == 0;
    if (clean || ending_is_listed(&unit->service.success_exit_status, &ending))
        return ending;
    if (out_of_memory)
        ending.result = RESULT_OOM_KILL;
    else if (!ending.exit_signal)
        ending.result = RESULT_EXIT_CODE;
    else
        ending.result = WCOREDUMP(wait_status) ? RESULT_CORE_DUMP : RESULT_SIGNAL;
    return ending;
}

struct ending ending_of_command(int wait_status) {
    if (wait_status == WAIT_UNSEEN)
        return (struct ending){.result = RESULT_UNSEEN};
    if (WIFEXITED(wait_status))
        return (struct ending){.result =
                                   WEXITSTATUS(wait_status) ? RESULT_EXIT_CODE : RESULT_SUCCESS,
                               .exit_code = WEXITSTATUS(wait_status)};
    return (struct ending){.result = WCOREDUMP(wait_status) ? RESULT_CORE_DUMP : RESULT_SIGNAL,
                           .exit_signal = WTERMSIG(wait_status)};
}

void ending_describe(const struct ending *ending, struct text *text) {
    if (ending->result == RESULT_UNSEEN)
        text_add(text, "ended while ringfence was away; nobody saw how");
    else if (ending->result == RESULT_OOM_KILL)
        text_add(text, "was ended by the kernel: out of memory");
    else if (!ending->exit_signal)
        text_format(text, "exited with code %d", ending->exit_code);
    else if (sigabbrev_np(ending->exit_signal))
        text_format(text, "was ended by SIG%s", sigabbrev_np(ending->exit_signal));
    else
        text_format(text, "was ended by signal %d", ending->exit_signal);
    if (ending->result == RESULT_CORE_DUMP)
        text_add(text, " (core dumped)");
}

/* ---- whether ---- */

enum kind { KIND_CLEAN, KIND_CODE, KIND_ABNORMAL, KIND_WATCHDOG, KINDS };

/* A launch that failed counts like a crash, and so does an end before the service was ready. */
static const enum kind kinds[] = {
    [RESULT_NONE] = KIND_CLEAN,         [RESULT_SUCCESS] = KIND_CLEAN,
    [RESULT_EXIT_CODE] = KIND_CODE,     [RESULT_SIGNAL] = KIND_ABNORMAL,
    [RESULT_CORE_DUMP] = KIND_ABNORMAL, [RESULT_OOM_KILL] = KIND_ABNORMAL,
    [RESULT_TIMEOUT] = KIND_ABNORMAL,   [RESULT_LAUNCH] = KIND_ABNORMAL,
    [RESULT_CONDITION] = KIND_CLEAN,    [RESULT_DEPENDENCY] = KIND_ABNORMAL,
    [RESULT_LIMIT] = KIND_ABNORMAL,     [RESULT_PROTOCOL] = KIND_ABNORMAL,
    [RESULT_UNHEALTHY] = KIND_ABNORMAL, [RESULT_WATCHDOG] = KIND_WATCHDOG,
    [RESULT_UNSEEN] = KIND_ABNORMAL,
};
static_assert(sizeof(kinds) / sizeof(kinds[0]) == SERVICE_RESULTS, "a kind for every result");

/* unless-stopped is always: a stop by command wins over every policy, before this is asked. */
static const bool table[][KINDS] = {
    [RESTART_NO] = {false, false, false, false},
    [RESTART_ON_SUCCESS] = {[KIND_CLEAN] = true},
    [RESTART_ON_FAILURE] = {[KIND_CODE] = true, [KIND_ABNORMAL] = true, [KIND_WATCHDOG] = true},
    [RESTART_ON_ABNORMAL] = {[KIND_ABNORMAL] = true, [KIND_WATCHDOG] = true},
    [RESTART_ALWAYS] = {true, true, true, true},
    [RESTART_UNLESS_STOPPED] = {true, true, true, true},
    [RESTART_ON_WATCHDOG] = {[KIND_WATCHDOG] = true},
};

bool restart_is_wanted(const struct unit *unit, const struct ending *ending) {
    const struct restart *restart = &unit->restart;
    if (ending->result == RESULT_UNHEALTHY && unit->health.on_failure != HEALTH_RESTART)
        return false;
    bool ran = ending->exit_signal || (ending->result != RESULT_LAUNCH);
    if (ran && ending_is_listed(&restart->prevent_exit_status, ending))
        return false;
    if (ran && ending_is_listed(&restart->force_exit_status, ending))
        return true;
    return table[restart->policy][kinds[ending->result]];
}

/* ---- when ---- */

uint64_t restart_delay(const struct restart *restart, unsigned step, uint64_t random) {
    double most = (double)restart->max_delay;
    double delay = (double)restart->delay / (SEEDED(IMPATIENT) ? 4 : 1);
    for (unsigned i = 0; i < step && delay < most && restart->backoff > 1; i++)
        delay *= restart->backoff;
    if (delay > most)
        delay = most;
    double chance = (double)(random >> 11) / (double)(1ULL << 53); /* [0, 1) */
    delay *= 1 + restart->jitter * (2 * chance - 1);
    return delay > most ? restart->max_delay : (uint64_t)delay;
}
