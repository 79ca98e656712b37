#include <inttypes.h>
#include <langinfo.h>
#include <string.h>

#include "supervisor/ctl/boot.h"
#include "supervisor/ctl/found.h"
#include "supervisor/ctl/output.h"
#include "supervisor/ctl/timers.h"
#include "supervisor/ctl/view.h"
#include "supervisor/log/reader.h"
#include "units/base/number.h"

#define LOG_LINES_DEFAULT 5

const struct flag status_flags[] = {
    {"lines", 'n', "N", "last lines of its output to show (5)"},
    {0},
};

/* ---- one unit for people ---- */

static void label(const struct tool *tool, struct text *text, const char *name) {
    char padded[16];
    snprintf(padded, sizeof(padded), "%10s%s ", name, name[0] ? ":" : " ");
    output_colour(tool, text, COLOUR_DIM, padded);
}

static void line(const struct tool *tool, struct text *text, const char *name, const char *value) {
    if (!value[0])
        return;
    label(tool, text, name);
    text_format(text, "%s\n", value);
}

/* Each line of a longer text under the label of the first. */
static void lines(const struct tool *tool, struct text *text, const char *name, const char *value) {
    while (*value) {
        size_t length = strcspn(value, "\n");
        if (length) {
            label(tool, text, name);
            text_append(text, value, length);
            text_add(text, "\n");
        }
        name = "";
        value += length + (value[length] == '\n');
    }
}

static void add_headline(const struct tool *tool, struct text *text, const struct view *view) {
    bool unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;

    output_colour(tool, text, output_state_colour(view->state), unicode ? "\u25cf " : "* ");
    output_colour(tool, text, COLOUR_BOLD, view->name);
    if (view->description[0])
        text_format(text, " - %s", view->description);
    text_add(text, "\n");
}

static void add_state(const struct tool *tool, struct text *text, const struct view *view) {
    uint64_t now = output_now();

    label(tool, text, "State");
    output_colour(tool, text, output_state_colour(view->state), view->state);
    if (view->paused)
        output_colour(tool, text, COLOUR_BUSY, ", paused");
    if (strcmp(view->state, "restarting") == 0) {
        text_format(text, ", attempt %" PRIu64, view->restarts + 1);
        if (view->next_restart > now) {
            text_add(text, " in ");
            output_duration(text, view->next_restart - now);
        }
    } else if (view->restarts) {
        text_format(text, ", restarted %" PRIu64 " time%s", view->restarts,
                    view->restarts == 1 ? "" : "s");
    }
    if (view->waiting[0])
        text_format(text, ", %s", view->waiting);
    text_add(text, "\n");
    if (view->since) {
        label(tool, text, "Since");
        output_time(text, view->since);
        text_add(text, " (");
        output_duration(text, now > view->since ? now - view->since : 0);
        text_add(text, " ago)\n");
    }
}

/* How the last run ended, or why it did not begin. */
static void add_last(const struct tool *tool, struct text *text, const struct view *view) {
    scoped_text struct text end = {0};

    if (strcmp(view->result, "none") == 0 && !view->failure[0])
        return;
    label(tool, text, "Last");
    if (strcmp(view->result, "none") != 0)
        output_colour(tool, text, strcmp(view->result, "success") == 0 ? COLOUR_NONE : COLOUR_BAD,
                      view->result);
    view_end(view, &end);
    const char *why = view->failure[0] ? view->failure : end.data;
    text_format(text, "%s%s\n", why && strcmp(view->result, "none") != 0 ? ": " : "",
                why ? why : "");
    if (view->oom_kills) {
        label(tool, text, "");
        text_format(text, "out of memory: the kernel ended %" PRIu64 " of its processes\n",
                    view->oom_kills);
    }
}

static void add_sizes(const struct tool *tool, struct text *text, const struct view *view) {
    uint64_t current, most, peak;

    if (!view_figure(view, "memory.current", &current))
        return;
    label(tool, text, "Memory");
    output_size(text, current);
    if (view_figure(view, "memory.max", &most) && most != SIZE_NONE) {
        text_add(text, " of ");
        output_size(text, most);
    }
    if (view_figure(view, "memory.peak", &peak)) {
        text_add(text, ", at most ");
        output_size(text, peak);
    }
    text_add(text, "\n");
}

static void add_use(const struct tool *tool, struct text *text, const struct view *view) {
    uint64_t current, most, used;

    if (view->main_pid) {
        label(tool, text, "PID");
        text_format(text, "%" PRIu32 "\n", view->main_pid);
    }
    add_sizes(tool, text, view);
    if (view_figure(view, "pids.current", &current)) {
        label(tool, text, "Processes");
        text_format(text, "%" PRIu64, current);
        if (view_figure(view, "pids.max", &most) && most != SIZE_NONE)
            text_format(text, " of %" PRIu64, most);
        text_add(text, "\n");
    }
    if (view_figure(view, "cpu.usage_usec", &used)) {
        label(tool, text, "Processor");
        output_duration(text, used);
        text_add(text, "\n");
    }
    line(tool, text, "Cgroup", view->cgroup);
}

/* The output is a service, not a condition: who may not read it sees the rest. */
static void add_log(const struct tool *tool, struct text *text, const char *directory,
                    const char *name, uint64_t count) {
    const char *units[] = {name};
    struct log_query query = {.units = units, .unit_count = 1, .last = count};
    scoped(log_reader_close) struct log_reader *reader = NULL;
    struct log_record record;
    (void)tool;

    if (count == 0 || log_reader_open(directory, &query, &reader, NULL) < 0)
        return;
    for (bool first = true; log_reader_next(reader, &record, NULL) > 0; first = false) {
        scoped_text struct text raw = {0};
        if (first)
            text_add(text, "\n");
        log_record_write(&raw, &record);
        if (raw.data)
            text_add_clean(text, raw.data);
    }
}

static void add_health(const struct tool *tool, struct text *text, const struct view *view) {
    scoped_text struct text told = {0};
    if (!view->health[0])
        return;
    health_print(tool, view->health, &view->health_results, &told);
    lines(tool, text, "Health", told.data ? told.data : "");
}

static void add_timer(const struct tool *tool, struct text *text, const struct view *view) {
    scoped_text struct text words = {0};

    if (!view->timed)
        return;
    timer_explain(&words, view);
    line(tool, text, "Timer", words.data ? words.data : "");
}

static void add_unit(const struct tool *tool, struct text *text, const struct view *view) {
    add_headline(tool, text, view);
    add_state(tool, text, view);
    line(tool, text, "Sockets", view->sockets);
    line(tool, text, "Status", view->status_text);
    line(tool, text, "Error", view->status_error);
    add_last(tool, text, view);
    add_health(tool, text, view);
    add_timer(tool, text, view);
    add_use(tool, text, view);
    line(tool, text, "File", view->path);
    if (view->file_changed)
        line(tool, text, "Hint", "the file changed on disk: the next start takes it");
    lines(tool, text, "Notes", view->notes);
    lines(tool, text, "Complaint", view->complaints);
}

/* ---- no unit named: the whole ---- */

static void add_found(const struct tool *tool, struct text *text, const struct found *found) {
    scoped_text struct text lost = {0};

    if (found->count || found->lost_count) {
        label(tool, text, "Found");
        text_format(text, "%" PRIu64 " units of an earlier manager, which go on\n", found->count);
    }
    for (size_t i = 0; i < found->lost_count; i++)
        text_format(&lost, "%s: %s\n", found->lost[i].unit, found->lost[i].why);
    lines(tool, text, "Lost", lost.data ? lost.data : "");
}

/* The units may run all the same, without what these were to bring. */
static void add_boot(const struct tool *tool, struct text *text, struct text *json,
                     const struct boot *boot) {
    scoped_text struct text failed = {0};
    json_open(json, "boot_failed", '[');
    for (size_t i = 0; i < boot->stage_count; i++) {
        const struct boot_stage *stage = &boot->stages[i];
        if (!boot_stage_failed(stage))
            continue;
        text_format(&failed, "%s failed: %s\n", stage->name, stage->words);
        json_open(json, NULL, '{');
        json_string(json, "step", stage->name);
        json_string(json, "why", stage->words);
        json_close(json, '}');
    }
    json_close(json, ']');
    lines(tool, text, "Boot", failed.data ? failed.data : "");
}

static int show_whole(const struct tool *tool, sd_bus *bus) {
    static const char *const properties[] = {"Version",        "Status",       "RuntimeDirectory",
                                             "StateDirectory", "LogDirectory", "ControlGroup"};
    static const char *const labels[] = {"Version", "Status", "Runtime", "State", "Logs", "Cgroup"};
    static const char *const members[] = {"manager_version", "status",        "runtime_directory",
                                          "state_directory", "log_directory", "cgroup"};
    scoped_views struct views views = {0};
    scoped_found struct found found = {0};
    scoped_boot struct boot boot = {0};
    scoped_free char *complaints = NULL;
    scoped_text struct text text = {0}, json = {0}, failed = {0};
    struct fault fault;
    size_t ready = 0;
    int code = views_list(bus, NULL, &views, &fault);

    if (code == EXIT_OK)
        code = found_read(bus, &found, &fault);
    if (code == EXIT_OK)
        code = boot_read(bus, &views, &boot, &fault);
    if (code == EXIT_OK)
        code = client_property(bus, "Complaints", &complaints, &fault);

    output_json_begin(&json);
    for (size_t i = 0; i < ELEMENTS(properties) && code == EXIT_OK; i++) {
        scoped_free char *value = NULL;
        code = client_property(bus, properties[i], &value, &fault);
        if (code == EXIT_OK) {
            line(tool, &text, labels[i], value);
            json_string(&json, members[i], value);
        }
    }
    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    json_open(&json, "failed", '[');
    for (size_t i = 0; i < views.count; i++) {
        ready += views.items[i].active;
        if (view_has_failed(&views.items[i])) {
            text_format(&failed, "%s%s", failed.length ? ", " : "", views.items[i].name);
            json_string(&json, NULL, views.items[i].name);
        }
    }
    json_close(&json, ']');
    json_unsigned(&json, "units", views.count);
    json_unsigned(&json, "ready", ready);
    found_json(&found, &json);
    json_string(&json, "complaints", complaints);
    label(tool, &text, "Units");
    text_format(&text, "%zu, of which %zu ready\n", views.count, ready);
    if (failed.length) {
        label(tool, &text, "Failed");
        output_colour(tool, &text, COLOUR_BAD, failed.data);
        text_add(&text, "\n");
    }
    add_found(tool, &text, &found);
    add_boot(tool, &text, &json, &boot);
    lines(tool, &text, "Complaint", complaints);
    return tool->json ? output_json_end(&json) : output_print(tool, &text);
}

/* ---- the verb ---- */

static int show_units(const struct tool *tool, sd_bus *bus, const struct arguments *arguments,
                      uint64_t count) {
    scoped_text struct text text = {0}, json = {0};
    scoped_free char *directory = NULL;
    struct fault fault;
    int result = EXIT_OK, code = client_property(bus, "LogDirectory", &directory, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    output_json_begin(&json);
    json_open(&json, "units", '[');
    for (size_t i = 0; i < arguments->count; i++) {
        scoped_view struct view view = {0};
        code = view_read(bus, arguments->operands[i], &view, &fault);
        if (code == EXIT_NO_UNIT) {
            result = tool_fail(EXIT_UNKNOWN, "%s", fault.text);
            continue;
        }
        if (code != EXIT_OK)
            return tool_fail(code, "%s", fault.text);
        if (!view.active && result == EXIT_OK)
            result = EXIT_NOT_RUNNING;
        json_open(&json, NULL, '{');
        view_json(&view, &json);
        json_close(&json, '}');
        if (text.length)
            text_add(&text, "\n");
        add_unit(tool, &text, &view);
        if (!tool->json)
            add_log(tool, &text, directory, view.name, count);
    }
    json_close(&json, ']');
    code = tool->json ? output_json_end(&json) : output_print(tool, &text);
    return code == EXIT_OK ? result : code;
}

int verb_status(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    const char *asked = arguments_value(arguments, "lines");
    uint64_t count = LOG_LINES_DEFAULT;
    struct fault fault;

    if (asked && number_parse(asked, &count) < 0)
        return tool_fail(EXIT_USAGE, "status: \"%s\" is not a number of lines", asked);
    int code = client_open(tool, &bus, &fault);
    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    return arguments->count ? show_units(tool, bus, arguments, count) : show_whole(tool, bus);
}
