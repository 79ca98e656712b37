#include <inttypes.h>
#include <string.h>

#include "supervisor/ctl/changes.h"
#include "supervisor/ctl/output.h"
#include "supervisor/log/record.h"
#include "units/base/names.h"

struct listener {
    const struct tool *tool;
    char *const *names; /* empty: all */
    /* As they were last told of, for the time in which nobody tells anything. */
    struct views known;
    bool is_behind; /* what comes is older than that */
};

static bool is_asked_for(const struct listener *listener, const char *unit) {
    return !*listener->names || names_contain((const char *const *)listener->names, unit);
}

/* ---- one change ---- */

/* missed: nobody told of it as it happened. */
static void print_json(const struct change *change, const char *time, bool missed,
                       struct text *text) {
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
    if (missed)
        json_bool(text, "missed", true);
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
    if (change->failure[0] && names_contain(bad, change->after))
        text_format(text, ": %s", change->failure);
    text_add(text, "\n");
}

static int put(const struct text *text) {
    if (text->failed)
        return -ENOMEM;
    fputs(text->data ? text->data : "", stdout);
    return fflush(stdout) == 0 ? 0 : -errno;
}

static int print(const struct tool *tool, const struct change *change, bool missed) {
    scoped_text struct text text = {0};
    char time[LOG_TIME_LENGTH + 1];

    log_time_print(change->time, time);
    if (tool->json)
        print_json(change, time, missed, &text);
    else
        print_human(tool, change, time, &text);
    return put(&text);
}

static int remember(struct views *known, const struct change *change) {
    struct view *view = views_find(known, change->unit);

    if (!view) { /* its file has come since */
        struct view *longer = reallocarray(known->items, known->count + 1, sizeof(*longer));
        if (!longer)
            return -ENOMEM;
        known->items = longer;
        view = &longer[known->count];
        *view = (struct view){.name = strdup(change->unit)};
        if (!view->name)
            return -ENOMEM;
        known->count++;
    }
    char *state = strdup(change->after);
    if (!state)
        return -ENOMEM;
    free(view->state);
    view->state = state;
    view->main_pid = change->pid;
    return 0;
}

static int on_event(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct listener *listener = userdata;
    struct change change;
    (void)unused;

    int error = change_read(message, &change);
    if (error < 0 || listener->is_behind || !is_asked_for(listener, change.unit))
        return error < 0 ? error : 0;
    error = remember(&listener->known, &change);
    /* Inside one unit's life two states may share a word. */
    if (error < 0 || strcmp(change.before, change.after) == 0)
        return error;
    return print(listener->tool, &change, false);
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
    if (error < 0 || !is_asked_for(listener, unit))
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
    return put(&text);
}

/* ---- over the end of a manager ---- */

static int tell_gap(const struct tool *tool) {
    scoped_text struct text text = {0};
    char time[LOG_TIME_LENGTH + 1];

    log_time_print(output_now(), time);
    if (tool->json) {
        json_open(&text, NULL, '{');
        json_unsigned(&text, "version", 1);
        json_string(&text, "time", time);
        json_bool(&text, "another_manager", true);
        json_close(&text, '}');
    } else {
        output_colour(tool, &text, COLOUR_DIM, time);
        text_add(&text, " another manager goes on; what has changed meanwhile:");
    }
    text_add(&text, "\n");
    return put(&text);
}

/* Whatever happened in between, each unit's change is told as one. */
static int tell_missed(const struct tool *tool, const struct views *known,
                       const struct views *now) {
    int error = tell_gap(tool);

    for (size_t i = 0; i < now->count && error >= 0; i++) {
        const struct view *view = &now->items[i], *before = views_find(known, view->name);
        if (before && strcmp(before->state, view->state) == 0 && before->main_pid == view->main_pid)
            continue;
        const struct change change = {.unit = view->name,
                                      .before = before ? before->state : "loaded",
                                      .after = view->state,
                                      .result = view->result,
                                      .failure = view->failure,
                                      .exit_code = view->exit_code,
                                      .exit_signal = view->exit_signal,
                                      .pid = view->main_pid,
                                      .restarts = view->restarts,
                                      .time = view->since};
        error = print(tool, &change, true);
    }
    return error;
}

/* Whether anything was missed, and from now on each change as it happens. What is in the queue when
 * the list is there happened before that. */
static int listen_to(struct listener *listener, sd_bus *bus, bool again, struct fault *fault) {
    scoped_views struct views now = {0};
    uint64_t queued = 0;
    int code, error = 0;

    if ((error = sd_bus_match_signal(bus, NULL, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                     "HealthChanged", on_health, listener)) < 0)
        return client_broken(error, fault);
    if ((code = changes_subscribe(bus, on_event, listener, fault)) != EXIT_OK ||
        (code = views_list_rows(bus, listener->names, &now, fault)) != EXIT_OK)
        return code;
    if (again) {
        error = tell_missed(listener->tool, &listener->known, &now);
        if (error >= 0)
            error = sd_bus_get_n_queued_read(bus, &queued);
        listener->is_behind = true;
        for (; queued > 0 && error >= 0; queued--)
            error = sd_bus_process(bus, NULL);
        listener->is_behind = false;
    }
    if (error < 0)
        return client_broken(error, fault);
    views_free(&listener->known);
    listener->known = now;
    now = (struct views){0};
    return EXIT_OK;
}

static int listen_on(const struct tool *tool, struct listener *listener, sd_bus **bus,
                     struct fault *fault) {
    static const bool never = false;
    struct client_patience patience = {0};

    for (bool again = false;; again = true) {
        int code = listen_to(listener, *bus, again, fault);
        if (code == EXIT_OK)
            code = client_broken(changes_follow(*bus, &never, 0), fault);
        if (!client_is_lost(*bus, code))
            return code;
        code = client_reopen(tool, bus, &patience, fault);
        if (code != EXIT_OK)
            return code;
    }
}

/* ---- the verb ---- */

int verb_events(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped(client_names_free) char **own = NULL;
    struct listener listener = {.tool = tool};
    struct fault fault;
    int code = client_open_or_await(tool, &bus, &fault);

    if (code == EXIT_OK) {
        own = client_own_names(bus, (const char *const *)arguments->operands);
        listener.names = own;
        code = own ? EXIT_OK : client_broken(-ENOMEM, &fault);
    }
    if (code == EXIT_OK)
        code = listen_on(tool, &listener, &bus, &fault);
    views_free(&listener.known);
    return tool_fail(code, "%s", fault.text);
}
