#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "supervisor/ctl/output.h"
#include "supervisor/ctl/view.h"
#include "supervisor/log/record.h"
#include "units/base/number.h"

const struct flag wait_flags[] = {
    {"stopped", 0, NULL, "until they have stopped or failed instead"},
    {"timeout", 0, "DURATION", "give up after this time, as \"30s\""},
    {0},
};

/* One UnitChanged, whose strings are the message's. */
struct change {
    const char *unit, *before, *after, *result, *failure;
    int32_t exit_code, exit_signal;
    uint32_t pid;
    uint64_t restarts, time;
};

static int change_read(sd_bus_message *message, struct change *change) {
    return sd_bus_message_read(message, "ssssiiutts", &change->unit, &change->before,
                               &change->after, &change->result, &change->exit_code,
                               &change->exit_signal, &change->pid, &change->restarts, &change->time,
                               &change->failure);
}

/* The time that passes, also while the machine sleeps and somebody sets the clock on the wall. */
static uint64_t passing_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

/* Handles signals until *done, an error, or the deadline (passing_now, 0: none): -ETIMEDOUT. */
static int follow(sd_bus *bus, const bool *done, uint64_t deadline) {
    while (!*done) {
        uint64_t now = passing_now();
        int result = sd_bus_process(bus, NULL);
        if (result == 0) {
            if (deadline && now >= deadline)
                return -ETIMEDOUT;
            result = sd_bus_wait(bus, deadline ? deadline - now : UINT64_MAX);
        }
        if (result < 0 && result != -EINTR)
            return result;
    }
    return 0;
}

static int subscribe(sd_bus *bus, sd_bus_message_handler_t handler, void *context,
                     struct fault *fault) {
    int error = sd_bus_match_signal(bus, NULL, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "UnitChanged",
                                    handler, context);

    return error < 0 ? client_broken(error, fault)
                     : client_call(bus, "Subscribe", NULL, fault, NULL);
}

/* ---- events ---- */

struct listener {
    const struct tool *tool;
    const char *const *names; /* empty: all */
};

static bool is_one_of(const char *word, const char *const *words) {
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

static void print_json(const struct change *change, const char *time, struct text *text) {
    json_open(text, NULL, '{');
    json_unsigned(text, "version", 1);
    json_string(text, "time", time);
    json_string(text, "unit", change->unit);
    json_string(text, "before", change->before);
    json_string(text, "after", change->after);
    json_string(text, "result", change->result);
    json_signed(text, "exit_code", change->exit_code);
    json_signed(text, "exit_signal", change->exit_signal);
    json_unsigned(text, "main_pid", change->pid);
    json_unsigned(text, "restarts", change->restarts);
    json_string(text, "fault", change->failure);
    json_close(text, '}');
    text_add(text, "\n");
}

static void print_human(const struct tool *tool, const struct change *change, const char *time,
                        struct text *text) {
    static const char *const bad[] = {"restarting", "failed", "skipped", "invalid", NULL};

    output_colour(tool, text, COLOUR_DIM, time);
    text_format(text, " %s: %s -> ", change->unit, change->before);
    output_colour(tool, text, output_state_colour(change->after), change->after);
    if (change->pid)
        text_format(text, " (pid %" PRIu32 ")", change->pid);
    if (change->failure[0] && is_one_of(change->after, bad))
        text_format(text, ": %s", change->failure);
    text_add(text, "\n");
}

static int on_event(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    const struct listener *listener = userdata;
    scoped_text struct text text = {0};
    char time[LOG_TIME_LENGTH + 1];
    struct change change;
    (void)unused;

    int error = change_read(message, &change);
    /* Inside one unit's life two states may share a word. */
    if (error < 0 || (listener->names[0] && !is_one_of(change.unit, listener->names)) ||
        strcmp(change.before, change.after) == 0)
        return error < 0 ? error : 0;
    log_time_print(change.time, time);
    if (listener->tool->json)
        print_json(&change, time, &text);
    else
        print_human(listener->tool, &change, time, &text);
    if (text.data)
        fputs(text.data, stdout);
    return fflush(stdout) == 0 ? 0 : -errno;
}

/* A change of health, in the words of a change of state. */
static int on_health(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    const struct listener *listener = userdata;
    scoped_text struct text text = {0};
    const char *unit, *before, *after, *failure;
    char time[LOG_TIME_LENGTH + 1];
    uint64_t at;
    (void)unused;

    int error = sd_bus_message_read(message, "sssts", &unit, &before, &after, &at, &failure);
    if (error < 0 || (listener->names[0] && !is_one_of(unit, listener->names)))
        return error < 0 ? error : 0;
    log_time_print(at, time);
    if (listener->tool->json) {
        json_open(&text, NULL, '{');
        json_unsigned(&text, "version", 1);
        json_string(&text, "time", time);
        json_string(&text, "unit", unit);
        json_string(&text, "health_before", before);
        json_string(&text, "health_after", after);
        json_string(&text, "fault", failure);
        json_close(&text, '}');
    } else {
        output_colour(listener->tool, &text, COLOUR_DIM, time);
        text_format(&text, " %s: health: %s -> ", unit, before);
        output_colour(listener->tool, &text, health_colour(after), after);
        if (failure[0])
            text_format(&text, ": %s", failure);
    }
    text_add(&text, "\n");
    if (text.data)
        fputs(text.data, stdout);
    return fflush(stdout) == 0 ? 0 : -errno;
}

int verb_events(const struct tool *tool, const struct arguments *arguments) {
    static const bool never = false;
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped(client_names_free) char **own = NULL;
    struct listener listener = {.tool = tool};
    struct fault fault;
    int code = client_open(tool, &bus, &fault);

    if (code == EXIT_OK) {
        own = client_own_names(bus, (const char *const *)arguments->operands);
        listener.names = (const char *const *)own;
        code = own ? EXIT_OK : client_broken(-ENOMEM, &fault);
    }
    if (code == EXIT_OK && sd_bus_match_signal(bus, NULL, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                               "HealthChanged", on_health, &listener) < 0)
        code = client_broken(-ENOMEM, &fault);
    if (code == EXIT_OK)
        code = subscribe(bus, on_event, &listener, &fault);
    if (code == EXIT_OK)
        code = client_broken(follow(bus, &never, 0), &fault);
    return tool_fail(code, "%s", fault.text);
}

/* ---- wait ---- */

enum waiting { WAIT_READY, WAIT_STOPPED, WAIT_SETTLED };

struct target {
    const char *name;
    char *state;
    bool was_running; /* seen on its way, so that an end with success is one of ours */
    bool succeeded;
};

struct vigil {
    enum waiting waiting;
    struct target *targets;
    size_t count;
    bool done;
};

static bool has_ended(const char *state) {
    static const char *const ended[] = {"stopped", "failed", "skipped", "invalid", NULL};
    return is_one_of(state, ended);
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

static int on_change(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct vigil *vigil = userdata;
    struct change change;
    (void)unused;

    int error = change_read(message, &change);
    for (size_t i = 0; error >= 0 && i < vigil->count; i++) {
        struct target *target = &vigil->targets[i];
        if (strcmp(target->name, change.unit) != 0)
            continue;
        char *state = strdup(change.after);
        if (!state)
            return -ENOMEM;
        free(target->state);
        target->state = state;
        target->was_running |= change.pid != 0 || strcmp(change.after, "starting") == 0;
        target->succeeded = strcmp(change.result, "success") == 0;
    }
    if (error >= 0)
        look(vigil);
    return error < 0 ? error : 0;
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

static int vigil_fill(struct vigil *vigil, const struct views *views) {
    struct target *targets = calloc(views->count + 1, sizeof(*targets));

    if (!targets)
        return -ENOMEM;
    vigil->targets = targets;
    for (size_t i = 0; i < views->count; i++) {
        const struct view *view = &views->items[i];
        char *state = strdup(view->state);
        if (!state)
            return -ENOMEM;
        targets[vigil->count++] = (struct target){view->name, state, view->main_pid != 0, false};
    }
    return 0;
}

static int keep_vigil(const struct tool *tool, sd_bus *bus, struct vigil *vigil, char **operands,
                      uint64_t deadline) {
    scoped_views struct views views = {0};
    struct fault fault;
    int code;

    if ((code = views_list(bus, operands, &views, &fault)) != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    int error = vigil_fill(vigil, &views);
    if (error >= 0) {
        look(vigil);
        error = follow(bus, &vigil->done, deadline);
    }
    if (error < 0 && error != -ETIMEDOUT) {
        code = client_broken(error, &fault);
        return tool_fail(code, "%s", fault.text);
    }
    if (error == -ETIMEDOUT)
        tool_fail(EXIT_FAILED, "the time is over");
    return report(tool, vigil);
}

static void vigil_free(struct vigil *vigil) {
    for (size_t i = 0; i < vigil->count; i++)
        free(vigil->targets[i].state);
    free(vigil->targets);
}

int verb_wait(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    __attribute__((cleanup(vigil_free))) struct vigil vigil = {
        .waiting = arguments_value(arguments, "stopped") ? WAIT_STOPPED
                   : arguments->count                    ? WAIT_READY
                                                         : WAIT_SETTLED};
    const char *timeout = arguments_value(arguments, "timeout");
    uint64_t usec = DURATION_OFF;
    struct fault fault;

    if (timeout && duration_parse(timeout, &usec) < 0)
        return tool_fail(EXIT_USAGE, "wait: \"%s\" is not a duration, as \"30s\"", timeout);
    int code = client_open(tool, &bus, &fault);
    if (code == EXIT_OK)
        code = subscribe(bus, on_change, &vigil, &fault);
    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    return keep_vigil(tool, bus, &vigil, arguments->operands,
                      usec == DURATION_OFF ? 0 : passing_now() + usec);
}
