#include <assert.h>

#include "supervisor/plan.h"
#include "units/base/names.h"
#include "units/base/scoped.h"

static const char *const action_words[] = {
    [PLAN_UNCHANGED] = "unchanged", [PLAN_LOAD] = "load",       [PLAN_START] = "start",
    [PLAN_STOP] = "stop",           [PLAN_RESTART] = "restart", [PLAN_UPDATE] = "update",
    [PLAN_REMOVE] = "remove",       [PLAN_INVALID] = "invalid",
};
static_assert(ELEMENTS(action_words) == PLAN_ACTIONS, "a word for every action");

const char *plan_action_word(enum plan_action action) {
    static const struct names names = NAMES(action_words);
    return names_word(&names, (int)action);
}
