#include "supervisor/gate.h"

#include <assert.h>

#include "supervisor/manager-private.h"
#include "supervisor/seeded.h"
#include "supervisor/world.h"
#include "units/base/number.h"
#include "units/base/text.h"

#define EXPLAINED_MAX 4 /* services of one chain of waiting */

/* ---- questions about one service ---- */

bool gate_is_going_down(const struct service *service) {
    return service->private->goal == GOAL_DOWN || service->private->goal == GOAL_CYCLE;
}

bool gate_is_out(const struct service *service) {
    const struct state_traits *traits = state_traits(service->state);
    return traits->down && !traits->gated;
}

bool gate_is_active(const struct service *service) {
    return !gate_is_out(service) || service->private->goal != GOAL_NONE;
}

/* Still to come up by the goal it has, and not known to have trouble with it. */
static bool in_progress(const struct service *service) {
    const struct service_private *own = service->private;
    if (own->attempt_failed || own->stalled)
        return false;
    return own->goal == GOAL_UP || own->goal == GOAL_CYCLE || state_traits(service->state)->rising;
}

/* Namespaces can be shared only while there are some: what was skipped, or has ended well, is up
 * without them. */
static bool is_satisfied(const struct edge *edge) {
    const struct service *other = edge->other;
    if (!other || !service_is_up(other) || gate_is_going_down(other))
        return false;
    return !(edge->kinds & EDGE_SHARES) || other->sandbox;
}

/* ---- up ---- */

static enum verdict judge_edge(const struct edge *edge) {
    const struct service *other = edge->other;
    if (edge->kinds & EDGE_REQUIRES) {
        if (is_satisfied(edge) || (SEEDED(STARTS_EARLY) && other && other->sandbox))
            return VERDICT_GO;
        /* What is up already, and does not do, never will. */
        bool comes =
            other && gate_is_active(other) && (!service_is_up(other) || gate_is_going_down(other));
        return comes ? VERDICT_WAIT : VERDICT_DOOMED;
    }
    return other && in_progress(other) ? VERDICT_WAIT : VERDICT_GO;
}

enum verdict gate_judge(const struct service *service, const struct edge **ret_edge) {
    const struct edges *needs = &service->private->needs, *ties = &service->private->ties;
    enum verdict verdict = VERDICT_GO;
    for (size_t i = 0; i < needs->count; i++) {
        enum verdict one = judge_edge(&needs->items[i]);
        if (one > verdict) {
            verdict = one;
            *ret_edge = &needs->items[i];
        }
    }
    for (size_t i = 0; i < ties->count && verdict == VERDICT_GO && !SEEDED(TOLERANT); i++) {
        if (!(ties->items[i].kinds & EDGE_CONFLICTS) || gate_is_out(ties->items[i].other))
            continue;
        verdict = VERDICT_WAIT;
        *ret_edge = &ties->items[i];
    }
    return verdict;
}

const struct edge *gate_find_lost(const struct service *service, unsigned kinds) {
    const struct edges *needs = &service->private->needs;
    for (size_t i = 0; i < needs->count; i++)
        if ((needs->items[i].kinds & kinds) == kinds && !is_satisfied(&needs->items[i]))
            return &needs->items[i];
    return NULL;
}

bool gate_is_stalled(const struct service *service) {
    const struct edges *needs = &service->private->needs;
    if (!state_traits(service->state)->gated)
        return false;
    for (size_t i = 0; i < needs->count; i++) {
        const struct service *other = needs->items[i].other;
        if (other && (needs->items[i].kinds & EDGE_REQUIRES) && !is_satisfied(&needs->items[i]) &&
            (other->private->attempt_failed || other->private->stalled))
            return true;
    }
    return false;
}

/* ---- down ---- */

static const struct service *find_in_the_way(const struct service *service) {
    const struct edges *edges = &service->private->needed_by;
    for (size_t i = 0; i < edges->count; i++) {
        const struct service *other = edges->items[i].other;
        if (gate_is_going_down(other) && !state_traits(other->state)->down)
            return other;
    }
    return NULL;
}

bool gate_may_stop(const struct service *service) {
    return SEEDED(STOPS_EARLY) || !find_in_the_way(service);
}

/* ---- in words ---- */

/* "restarting in 3s: exited with code 1" */
static void explain_state(const struct service *service, struct text *text) {
    uint64_t now = world_date(service->manager);
    text_format(text, " (%s", service_state_word(service->state));
    if (service->restart_at > now) {
        text_add(text, " in ");
        duration_print(text, (service->restart_at - now + 999) / 1000 * 1000);
        if (service->failure)
            text_format(text, ": %s", service->failure);
    } else if (health_awaited(service)) {
        text_add(text, ": ");
        health_explain(service, text);
    }
    text_add(text, ")");
}

static void explain_edge(const struct edge *edge, struct text *text) {
    bool stop = (edge->kinds & EDGE_CONFLICTS) && !(edge->kinds & EDGE_REQUIRES);
    text_format(text, "waits for %s%s", edge->name, stop ? " to stop" : "");
}

static size_t count_others(const struct service *service) {
    const struct edges *needs = &service->private->needs;
    size_t count = 0;
    for (size_t i = 0; i < needs->count; i++)
        count += judge_edge(&needs->items[i]) == VERDICT_WAIT;
    return count > 0 ? count - 1 : 0;
}

/* Along the first reason of each: what waits at the end of the chain is what all wait for. */
static void explain_chain(const struct service *service, struct text *text) {
    const struct edge *edge = NULL;
    for (size_t depth = 0; depth < EXPLAINED_MAX; depth++) {
        if (!state_traits(service->state)->gated || gate_judge(service, &edge) != VERDICT_WAIT)
            break;
        text_add(text, depth ? ", which " : "");
        explain_edge(edge, text);
        service = edge->other;
    }
    if (edge)
        explain_state(edge->other, text);
}

static void explain_since(const struct service *service, struct text *text) {
    uint64_t now = world_date(service->manager);
    uint64_t seconds = now > service->state_since ? (now - service->state_since) / 1000000 : 0;
    if (seconds == 0)
        return;
    text_add(text, "; for ");
    duration_print(text, seconds * 1000000);
    text_add(text, " so far");
}

/* What makes it ready, and until when that is waited for. */
static void explain_start(const struct service *service, struct text *text) {
    static const char *const signs[] = {
        [SERVICE_EXEC] = NULL, /* it is a matter of milliseconds */
        [SERVICE_NOTIFY] = "its READY=1",
        [SERVICE_FD] = "its word on the descriptor",
        [SERVICE_ONESHOT] = "its end",
        [SERVICE_GROUP] = NULL,
    };
    static_assert(ELEMENTS(signs) == SERVICE_GROUP + 1, "a sign for each type");
    const struct deadline *deadline = &service->private->deadline;
    uint64_t now = world_now(service->manager);
    const char *sign = service->main ? signs[service->unit->service.type] : "the command before it";
    if (!sign)
        return;
    text_format(text, "waits for %s", sign);
    explain_since(service, text);
    if (deadline->slot && deadline->at != NEVER && deadline->at > now) {
        text_add(text, ", at most ");
        duration_print(text, (deadline->at - now + 999999) / 1000000 * 1000000);
        text_add(text, " more");
    }
}

void service_explain_waiting(const struct service *service, struct text *text) {
    const struct service *other;
    const struct edge *edge;
    if (gate_is_going_down(service)) {
        other = state_traits(service->state)->down ? NULL : find_in_the_way(service);
        if (other) {
            text_format(text, "is to stop, and waits for %s", other->name);
            explain_state(other, text);
        }
        return;
    }
    if (health_awaited(service)) {
        health_explain(service, text);
        explain_since(service, text);
        return;
    }
    if (state_traits(service->state)->rising && state_traits(service->state)->running) {
        explain_start(service, text);
        return;
    }
    if (!state_traits(service->state)->gated || gate_judge(service, &edge) != VERDICT_WAIT)
        return;
    explain_chain(service, text);
    size_t others = count_others(service);
    if (others > 0)
        text_format(text, ", and for %zu more", others);
    explain_since(service, text);
}
