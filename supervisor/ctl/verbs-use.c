#include <inttypes.h>
#include <string.h>

#include "supervisor/ctl/table.h"
#include "supervisor/ctl/view.h"

/* ---- ns ---- */

struct namespace {
    char *unit; /* "": the host */
    char kind[16];
    uint64_t inode;
};

struct namespaces_seen {
    struct namespace *items;
    size_t count;
};

static void namespaces_free(struct namespaces_seen *seen) {
    for (size_t i = 0; i < seen->count; i++)
        free(seen->items[i].unit);
    free(seen->items);
}
#define scoped_namespaces __attribute__((cleanup(namespaces_free)))

static int namespaces_read(sd_bus *bus, struct namespaces_seen *seen, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    const char *unit, *kind;
    uint64_t inode;
    int code = client_call(bus, "Namespaces", &reply, fault, NULL);

    if (code != EXIT_OK)
        return code;
    int result = sd_bus_message_enter_container(reply, 'a', "(sst)");
    while (result >= 0 &&
           (result = sd_bus_message_read(reply, "(sst)", &unit, &kind, &inode)) > 0) {
        struct namespace *items = reallocarray(seen->items, seen->count + 1, sizeof(*items));
        if (!items)
            return client_broken(-ENOMEM, fault);
        seen->items = items;
        struct namespace *item = &items[seen->count++];
        *item = (struct namespace){.unit = strdup(unit), .inode = inode};
        snprintf(item->kind, sizeof(item->kind), "%s", kind);
        if (!item->unit)
            return client_broken(-ENOMEM, fault);
    }
    return result < 0 ? client_broken(result, fault) : EXIT_OK;
}

static bool is_same(const struct namespace *one, const struct namespace *other) {
    return one != other && one->inode == other->inode && strcmp(one->kind, other->kind) == 0;
}

/* Who else is in it, the host first. */
static void add_sharers(const struct namespaces_seen *seen, const struct namespace *one,
                        struct text *text) {
    for (size_t i = 0; i < seen->count; i++)
        if (is_same(one, &seen->items[i]))
            text_format(text, "%s%s", text->length ? ", " : "",
                        seen->items[i].unit[0] ? seen->items[i].unit : "the host");
}

static void sharers_json(const struct namespaces_seen *seen, const struct namespace *one,
                         struct text *text) {
    bool host = false;

    json_open(text, NULL, '{');
    json_string(text, "unit", one->unit);
    json_string(text, "kind", one->kind);
    json_unsigned(text, "inode", one->inode);
    json_open(text, "shared_with", '[');
    for (size_t i = 0; i < seen->count; i++) {
        if (!is_same(one, &seen->items[i]))
            continue;
        host |= !seen->items[i].unit[0];
        if (seen->items[i].unit[0])
            json_string(text, NULL, seen->items[i].unit);
    }
    json_close(text, ']');
    json_bool(text, "host", host);
    json_close(text, '}');
}

int verb_ns(const struct tool *tool, const struct arguments *arguments) {
    static const char *const titles[] = {"UNIT", "KIND", ">INODE", "SHARED WITH"};
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_table struct table table = {.titles = titles, .columns = ELEMENTS(titles)};
    scoped_namespaces struct namespaces_seen seen = {0};
    scoped_views struct views views = {0};
    scoped_text struct text text = {0}, json = {0};
    struct fault fault;
    int code = client_open(tool, &bus, &fault);

    if (code != EXIT_OK ||
        (code = views_list(bus, arguments->operands, &views, &fault)) != EXIT_OK ||
        (code = namespaces_read(bus, &seen, &fault)) != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    output_json_begin(&json);
    json_open(&json, "namespaces", '[');
    for (size_t i = 0; i < seen.count; i++) {
        const struct namespace *one = &seen.items[i];
        scoped_text struct text cell = {0};
        if (!views_find(&views, one->unit)) /* also what is nobody's */
            continue;
        sharers_json(&seen, one, &json);
        table_add(&table, COLOUR_BOLD, one->unit);
        table_add(&table, COLOUR_NONE, one->kind);
        text_format(&cell, "%" PRIu64, one->inode);
        table_add_text(&table, COLOUR_NONE, &cell);
        add_sharers(&seen, one, &cell);
        table_add_text(&table, COLOUR_BUSY, &cell);
    }
    json_close(&json, ']');
    table_print(tool, &table, &text);
    return tool->json ? output_json_end(&json) : output_print(tool, &text);
}

/* ---- stats ---- */

static void add_size(struct table *table, const struct view *view, const char *name) {
    scoped_text struct text text = {0};
    uint64_t value;

    if (view_figure(view, name, &value))
        output_size(&text, value);
    table_add_text(table, COLOUR_NONE, &text);
}

static void add_row(struct table *table, const struct view *view) {
    scoped_text struct text text = {0};
    uint64_t value;

    table_add(table, COLOUR_BOLD, view->name);
    if (view_figure(view, "cpu.usage_usec", &value))
        output_duration(&text, value);
    table_add_text(table, COLOUR_NONE, &text);
    add_size(table, view, "memory.current");
    add_size(table, view, "memory.peak");
    add_size(table, view, "memory.max");
    if (view_figure(view, "pids.current", &value))
        text_format(&text, "%" PRIu64, value);
    table_add_text(table, COLOUR_NONE, &text);
    add_size(table, view, "io.rbytes");
    add_size(table, view, "io.wbytes");
}

int verb_stats(const struct tool *tool, const struct arguments *arguments) {
    static const char *const titles[] = {"UNIT", ">CPU TIME",  ">MEMORY", ">PEAK",
                                         ">MAX", ">PROCESSES", ">READ",   ">WRITTEN"};
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_table struct table table = {.titles = titles, .columns = ELEMENTS(titles)};
    scoped_views struct views views = {0};
    scoped_text struct text text = {0}, json = {0};
    struct fault fault;
    int code = client_open(tool, &bus, &fault);

    if (code != EXIT_OK || (code = views_list(bus, arguments->operands, &views, &fault)) != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    output_json_begin(&json);
    json_open(&json, "units", '[');
    for (size_t i = 0; i < views.count; i++) {
        const struct view *view = &views.items[i];
        if (!view->main_pid && !arguments->count)
            continue;
        json_open(&json, NULL, '{');
        json_string(&json, "name", view->name);
        view_figures_json(view, &json);
        json_close(&json, '}');
        add_row(&table, view);
    }
    json_close(&json, ']');
    table_print(tool, &table, &text);
    return tool->json ? output_json_end(&json) : output_print(tool, &text);
}
