#include "supervisor/ctl/timers.h"

#include <inttypes.h>
#include <string.h>

#include "supervisor/ctl/table.h"
#include "supervisor/ctl/view.h"
#include "units/base/number.h"

/* ---- reading ---- */

static int read_timers(sd_bus_message *reply, const struct views *views) {
    const char *name;
    uint64_t next, last, skipped;
    int result = sd_bus_message_enter_container(reply, 'a', "(sttt)");

    while (result >= 0 &&
           (result = sd_bus_message_read(reply, "(sttt)", &name, &next, &last, &skipped)) > 0) {
        struct view *view = views_find(views, name);
        if (!view)
            continue;
        view->timed = true;
        view->next_run = next;
        view->last_run = last;
        view->skipped_runs = skipped;
    }
    return result;
}

int timers_read(sd_bus *bus, const struct views *views, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    int code = client_call(bus, "Timers", &reply, fault, NULL);

    if (code != EXIT_OK)
        return code;
    int error = read_timers(reply, views);
    return error < 0 ? client_broken(error, fault) : EXIT_OK;
}

/* ---- words ---- */

void timer_add_next(struct text *text, const struct view *view) {
    uint64_t now = output_now();
    time_t seconds = (time_t)(view->next_run / USEC_PER_SEC);
    struct tm broken;
    char buffer[64];

    if (!view->next_run || !localtime_r(&seconds, &broken))
        return;
    uint64_t left = view->next_run > now ? view->next_run - now : 0;
    const char *format = left < 60 * USEC_PER_SEC      ? "next %H:%M:%S"
                         : left < 86400 * USEC_PER_SEC ? "next %H:%M"
                                                       : "next %Y-%m-%d %H:%M";
    if (strftime(buffer, sizeof(buffer), format, &broken) > 0)
        text_add(text, buffer);
}

void timer_explain(struct text *text, const struct view *view) {
    uint64_t now = output_now();

    if (view->next_run) {
        text_add(text, "next ");
        output_time(text, view->next_run);
        text_add(text, " (in ");
        output_duration(text, view->next_run > now ? view->next_run - now : 0);
        text_add(text, ")");
    } else {
        text_add(text, view->main_pid ? "next after the end of this run" : "no further run");
    }
    if (view->last_run) {
        text_add(text, ", last ");
        output_time(text, view->last_run);
    }
    if (view->skipped_runs)
        text_format(text, ", %" PRIu64 " skipped while it ran", view->skipped_runs);
}

/* ---- list --timers ---- */

/* Those that have none to come are last. */
static int compare(const void *one, const void *other) {
    const struct view *left = one, *right = other;
    uint64_t a = left->next_run - 1, b = right->next_run - 1;
    return a < b ? -1 : a > b ? 1 : strcmp(left->name, right->name);
}

static void add_time(struct table *table, uint64_t time) {
    scoped_text struct text text = {0};

    if (time)
        output_time(&text, time);
    table_add_text(table, COLOUR_NONE, &text);
}

static void add_row(struct table *table, const struct view *view) {
    scoped_text struct text text = {0};
    uint64_t now = output_now();

    table_add(table, COLOUR_BOLD, view->name);
    table_add(table, output_state_colour(view->state), view->state);
    add_time(table, view->next_run);
    if (view->next_run > now)
        output_duration(&text, view->next_run - now);
    table_add_text(table, COLOUR_NONE, &text);
    add_time(table, view->last_run);
    table_add(table, COLOUR_NONE, view->description);
}

static int print_json(const struct views *views) {
    scoped_text struct text text = {0};

    output_json_begin(&text);
    json_open(&text, "units", '[');
    for (size_t i = 0; i < views->count; i++) {
        json_open(&text, NULL, '{');
        view_json_row(&views->items[i], &text);
        json_close(&text, '}');
    }
    json_close(&text, ']');
    return output_json_end(&text);
}

int timers_list(const struct tool *tool, const struct arguments *arguments, struct views *views,
                bool (*is_shown)(const struct arguments *, const struct view *)) {
    static const char *const titles[] = {"UNIT", "STATE", "NEXT", "LEFT", "LAST", "DESCRIPTION"};
    scoped_table struct table table = {.titles = titles, .columns = ELEMENTS(titles)};
    scoped_text struct text text = {0};
    size_t count = 0;

    for (size_t i = 0; i < views->count; i++) {
        struct view *view = &views->items[i];
        if (view->timed && is_shown(arguments, view))
            views->items[count++] = *view;
        else
            view_free(view);
    }
    views->count = count;
    if (count > 0)
        qsort(views->items, count, sizeof(*views->items), compare);
    if (tool->json)
        return print_json(views);
    for (size_t i = 0; i < count; i++)
        add_row(&table, &views->items[i]);
    table_print(tool, &table, &text);
    return output_print(tool, &text);
}
