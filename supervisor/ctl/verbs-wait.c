#include <string.h>

#include "supervisor/ctl/changes.h"
#include "supervisor/ctl/output.h"
#include "units/base/names.h"
#include "units/base/number.h"

const struct flag wait_flags[] = {
    {"stopped", 0, NULL, "until they have stopped or failed instead"},
    {"timeout", 0, "DURATION", "give up after this time, as \"30s\""},
    {0},
};

enum waiting { WAIT_READY, WAIT_STOPPED, WAIT_SETTLED };

struct target {
    char *name, *state;
    uint64_t since;   /* the wait began */
    bool was_running; /* seen on its way, so that an end with success is one of ours */
    bool succeeded;
};

struct vigil {
    enum waiting waiting;
    struct target *targets;
    size_t count;
    bool asked; /* who the targets are */
    bool done, late;
};

static bool has_ended(const char *state) {
    static const char *const ended[] = {"stopped", "failed", "skipped", "invalid", NULL};
    return names_contain(ended, state);
}

/* One that listens takes whoever connects. */
static bool is_up(const char *state) {
    return strcmp(state, "ready") == 0 || strcmp(state, "reloading") == 0 ||
           strcmp(state, "listening") == 0;
}

static bool is_done(const struct vigil *vigil, const struct target *target) {
    switch (vigil->waiting) {
    case WAIT_READY:
        return is_up(target->state) || has_ended(target->state);
    case WAIT_STOPPED:
        return has_ended(target->state) || strcmp(target->state, "loaded") == 0;
    default:
        return is_up(target->state) || strcmp(target->state, "loaded") == 0 ||
               has_ended(target->state);
    }
}

static void look(struct vigil *vigil) {
    vigil->done = true;
    for (size_t i = 0; i < vigil->count; i++)
        vigil->done &= is_done(vigil, &vigil->targets[i]);
}

static struct target *find_target(const struct vigil *vigil, const char *name) {
    for (size_t i = 0; i < vigil->count; i++)
        if (strcmp(vigil->targets[i].name, name) == 0)
            return &vigil->targets[i];
    return NULL;
}

static int on_change(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct vigil *vigil = userdata;
    struct change change;
    (void)unused;

    int error = change_read(message, &change);
    if (error < 0)
        return error;
    struct target *target = find_target(vigil, change.unit);
    char *state = target ? strdup(change.after) : NULL;
    if (!target || !state)
        return target ? -ENOMEM : 0;
    free(target->state);
    target->state = state;
    target->was_running |= change.pid != 0 || strcmp(change.after, "starting") == 0;
    target->succeeded = strcmp(change.result, "success") == 0;
    look(vigil);
    return 0;
}

/* Whether the unit is where the person wanted it. */
static bool is_good(const struct vigil *vigil, const struct target *target) {
    if (!is_done(vigil, target))
        return false;
    if (vigil->waiting == WAIT_STOPPED)
        return true;
    if (strcmp(target->state, "failed") == 0 || strcmp(target->state, "invalid") == 0)
        return false;
    return vigil->waiting == WAIT_SETTLED || is_up(target->state) ||
           strcmp(target->state, "skipped") == 0 || (target->was_running && target->succeeded);
}

static int report(const struct tool *tool, const struct vigil *vigil) {
    scoped_text struct text json = {0};
    int code = EXIT_OK;

    output_json_begin(&json);
    json_open(&json, "units", '[');
    for (size_t i = 0; i < vigil->count; i++) {
        const struct target *target = &vigil->targets[i];
        bool good = is_good(vigil, target);
        json_open(&json, NULL, '{');
        json_string(&json, "name", target->name);
        json_string(&json, "state", target->state);
        json_bool(&json, "reached", good);
        json_close(&json, '}');
        if (!good)
            code = tool->json ? EXIT_FAILED
                              : tool_fail(EXIT_FAILED, "%s is %s", target->name, target->state);
    }
    json_close(&json, ']');
    if (tool->json)
        output_json_end(&json);
    return code;
}

/* Another manager may tell the same units; what happened while nobody did shows in their dates. */
static int vigil_fill(struct vigil *vigil, const struct views *views) {
    if (!vigil->targets && !(vigil->targets = calloc(views->count + 1, sizeof(struct target))))
        return -ENOMEM;
    for (size_t i = 0; i < views->count; i++) {
        const struct view *view = &views->items[i];
        struct target *target = find_target(vigil, view->name);
        bool begins = !target;
        if (begins && vigil->asked)
            continue; /* it was not there when the wait began */
        if (begins)
            target = &vigil->targets[vigil->count];
        char *name = begins ? strdup(view->name) : NULL, *state = strdup(view->state);
        if (!state || (begins && !name)) {
            free(name);
            free(state);
            return -ENOMEM;
        }
        if (begins) {
            *target = (struct target){.name = name, .since = view->since};
            vigil->count++;
        }
        free(target->state);
        target->state = state;
        target->was_running |= view->main_pid != 0 || view->since != target->since;
        target->succeeded = strcmp(view->result, "success") == 0;
    }
    vigil->asked = true;
    look(vigil);
    return 0;
}

/* 0: all is settled; -ETIMEDOUT: or not. */
static int watch(sd_bus *bus, struct vigil *vigil, char **operands, uint64_t deadline,
                 struct fault *fault) {
    scoped_views struct views views = {0};
    int code = changes_subscribe(bus, on_change, vigil, fault);

    if (code == EXIT_OK)
        code = views_list(bus, operands, &views, fault);
    if (code != EXIT_OK)
        return code;
    int error = vigil_fill(vigil, &views);
    if (error >= 0)
        error = changes_follow(bus, &vigil->done, deadline);
    vigil->late = error == -ETIMEDOUT;
    return error >= 0 || vigil->late ? EXIT_OK : client_broken(error, fault);
}

static void vigil_free(struct vigil *vigil) {
    for (size_t i = 0; i < vigil->count; i++) {
        free(vigil->targets[i].name);
        free(vigil->targets[i].state);
    }
    free(vigil->targets);
}

int verb_wait(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    __attribute__((cleanup(vigil_free))) struct vigil vigil = {
        .waiting = arguments_value(arguments, "stopped") ? WAIT_STOPPED
                   : arguments->count                    ? WAIT_READY
                                                         : WAIT_SETTLED};
    const char *timeout = arguments_value(arguments, "timeout");
    struct client_patience patience = {0};
    uint64_t usec = DURATION_OFF;
    struct fault fault;

    if (timeout && duration_parse(timeout, &usec) < 0)
        return tool_fail(EXIT_USAGE, "wait: \"%s\" is not a duration, as \"30s\"", timeout);
    uint64_t deadline = usec == DURATION_OFF ? 0 : client_now() + usec;
    int code = client_open_or_await(tool, &bus, &fault);
    if (code == EXIT_OK)
        code = watch(bus, &vigil, arguments->operands, deadline, &fault);
    while (client_is_lost(bus, code) &&
           (code = client_reopen(tool, &bus, &patience, &fault)) == EXIT_OK)
        code = watch(bus, &vigil, arguments->operands, deadline, &fault);
    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    if (vigil.late)
        tool_fail(EXIT_FAILED, "the time is over");
    return report(tool, &vigil);
}
