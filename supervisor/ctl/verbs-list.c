#include <inttypes.h>
#include <string.h>

#include "supervisor/ctl/table.h"
#include "supervisor/ctl/timers.h"
#include "supervisor/ctl/tree.h"
#include "supervisor/ctl/view.h"
#include "units/base/number.h"

const struct flag list_flags[] = {
    {"state", 0, "STATE", "only units in this state"},
    {"failed", 0, NULL, "only units that have failed or are invalid"},
    {"tree", 0, NULL, "who requires and wants whom"},
    {"timers", 0, NULL, "only units that the clock starts, the next first"},
    {0},
};

static void add_state(struct table *table, const struct view *view) {
    scoped_text struct text text = {0};

    text_add(&text, view->state);
    if (view->paused)
        text_add(&text, ", paused");
    if (strcmp(view->state, "failed") == 0)
        text_format(&text, " (%s)", view->result);
    else if (strcmp(view->state, "stopped") == 0 && view->exit_signal == 0 && view->exit_code)
        text_format(&text, " (%d)", view->exit_code);
    if (view->file_changed)
        text_add(&text, ", changed");
    table_add_text(table, view->paused ? COLOUR_BUSY : output_state_colour(view->state), &text);
}

static void add_memory(struct table *table, const struct view *view) {
    scoped_text struct text text = {0};
    uint64_t current, most;

    if (view->main_pid && view_figure(view, "memory.current", &current)) {
        output_size(&text, current);
        if (view_figure(view, "memory.max", &most) && most != SIZE_NONE) {
            text_add(&text, "/");
            output_size(&text, most);
        }
    }
    table_add_text(table, COLOUR_NONE, &text);
}

/* "in 32s, " in front of a unit's words, while it waits for its next attempt; "next
 * 03:02, " where the clock starts it; "on tcp *:80, " while
 * it waits for a connection. */
static void add_description(struct table *table, const struct view *view) {
    scoped_text struct text text = {0};
    uint64_t now = output_now();

    if (strcmp(view->state, "restarting") == 0 && view->next_restart > now) {
        text_add(&text, "in ");
        output_duration(&text, view->next_restart - now);
        if (view->description[0])
            text_add(&text, ", ");
    }
    if (view->next_run) {
        timer_add_next(&text, view);
        if (view->description[0])
            text_add(&text, ", ");
    }
    if (strcmp(view->state, "listening") == 0)
        text_format(&text, "on %s%s", view->sockets, view->description[0] ? ", " : "");
    text_add(&text, view_has_failed(view) && view->failure[0] ? view->failure : view->description);
    table_add_text(table, COLOUR_NONE, &text);
}

static void add_row(struct table *table, const struct view *view, bool with_health) {
    scoped_text struct text text = {0};

    table_add(table, COLOUR_BOLD, view->name);
    add_state(table, view);
    if (with_health)
        table_add(table, health_colour(view->health), view->health);
    if (view->main_pid)
        text_format(&text, "%" PRIu32, view->main_pid);
    table_add_text(table, COLOUR_NONE, &text);
    add_memory(table, view);
    text_format(&text, "%" PRIu64, view->restarts);
    table_add_text(table, view->restarts ? COLOUR_BUSY : COLOUR_NONE, &text);
    uint64_t now = output_now();
    if (view->active && now > view->since)
        output_duration(&text, now - view->since);
    table_add_text(table, COLOUR_NONE, &text);
    add_description(table, view);
}

static bool is_shown(const struct arguments *arguments, const struct view *view) {
    const char *state = arguments_value(arguments, "state");

    if (state && strcmp(state, view->state) != 0)
        return false;
    return !arguments_value(arguments, "failed") || view_has_failed(view);
}

static bool has_health(const struct arguments *arguments, const struct views *views) {
    for (size_t i = 0; i < views->count; i++)
        if (views->items[i].health[0] && is_shown(arguments, &views->items[i]))
            return true;
    return false;
}

static int print_json(const struct arguments *arguments, const struct views *views) {
    scoped_text struct text text = {0};

    output_json_begin(&text);
    json_open(&text, "units", '[');
    for (size_t i = 0; i < views->count; i++) {
        const struct view *view = &views->items[i];
        if (!is_shown(arguments, view))
            continue;
        json_open(&text, NULL, '{');
        view_json_row(view, &text);
        json_close(&text, '}');
    }
    json_close(&text, ']');
    return output_json_end(&text);
}

/* All of them, also where some are named: what those need is shown too. */
static int list_tree(const struct tool *tool, const struct arguments *arguments, sd_bus *bus) {
    scoped_views struct views all = {0};
    struct fault fault;
    int code = views_list(bus, NULL, &all, &fault);
    return code != EXIT_OK ? tool_fail(code, "%s", fault.text)
                           : tree_list(tool, arguments, bus, &all);
}

int verb_list(const struct tool *tool, const struct arguments *arguments) {
    static const char *const titles[] = {"UNIT",      "STATE",  ">PID",       ">MEMORY",
                                         ">RESTARTS", "UPTIME", "DESCRIPTION"};
    static const char *const with_health[] = {"UNIT",    "STATE",     "HEALTH", ">PID",
                                              ">MEMORY", ">RESTARTS", "UPTIME", "DESCRIPTION"};
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_table struct table table = {.titles = titles, .columns = ELEMENTS(titles)};
    scoped_views struct views views = {0};
    scoped_text struct text text = {0};
    struct fault fault;
    int code = client_open(tool, &bus, &fault);

    if (code != EXIT_OK || (code = views_list(bus, arguments->operands, &views, &fault)) != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    if (arguments_value(arguments, "tree"))
        return list_tree(tool, arguments, bus);
    if (arguments_value(arguments, "timers"))
        return timers_list(tool, arguments, &views, is_shown);
    if (tool->json)
        return print_json(arguments, &views);
    bool any_health = has_health(arguments, &views);
    if (any_health) {
        table.titles = with_health;
        table.columns = ELEMENTS(with_health);
    }
    for (size_t i = 0; i < views.count; i++)
        if (is_shown(arguments, &views.items[i]))
            add_row(&table, &views.items[i], any_health);
    table_print(tool, &table, &text);
    return output_print(tool, &text);
}

/* ---- is-active, is-failed ---- */

/* Prints the state of each unit; counts those of which `holds` is true. */
static int count_units(const struct tool *tool, const struct arguments *arguments,
                       bool (*holds)(const struct view *), size_t *ret_count, int *ret_unknown) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_text struct text text = {0};
    struct fault fault;
    int code = client_open(tool, &bus, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    output_json_begin(&text);
    json_open(&text, "units", '[');
    for (size_t i = 0; i < arguments->count; i++) {
        scoped_view struct view view = {0};
        code = view_read(bus, arguments->operands[i], &view, &fault);
        if (code == EXIT_NO_UNIT)
            *ret_unknown = tool_fail(EXIT_NO_UNIT, "%s", fault.text);
        else if (code != EXIT_OK)
            return tool_fail(code, "%s", fault.text);
        const char *state = code == EXIT_OK ? view.state : "unknown";
        *ret_count += code == EXIT_OK && holds(&view);
        if (!tool->json)
            puts(state);
        json_open(&text, NULL, '{');
        json_string(&text, "name", arguments->operands[i]);
        json_string(&text, "state", state);
        json_bool(&text, "holds", code == EXIT_OK && holds(&view));
        json_close(&text, '}');
    }
    json_close(&text, ']');
    return tool->json ? output_json_end(&text) : EXIT_OK;
}

static bool is_active(const struct view *view) {
    return view->active;
}

int verb_is_active(const struct tool *tool, const struct arguments *arguments) {
    size_t count = 0;
    int unknown = 0, code = count_units(tool, arguments, is_active, &count, &unknown);

    if (code != EXIT_OK)
        return code;
    if (unknown)
        return EXIT_UNKNOWN;
    return count == arguments->count ? EXIT_OK : EXIT_NOT_RUNNING;
}

int verb_is_failed(const struct tool *tool, const struct arguments *arguments) {
    size_t count = 0;
    int unknown = 0, code = count_units(tool, arguments, view_has_failed, &count, &unknown);

    if (code != EXIT_OK || unknown)
        return code != EXIT_OK ? code : EXIT_NO_UNIT;
    return count ? EXIT_OK : EXIT_FAILED;
}
