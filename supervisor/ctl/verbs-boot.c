#include <string.h>

#include "supervisor/ctl/boot.h"
#include "supervisor/ctl/output.h"

const struct flag boot_flags[] = {
    {"dot", 0, NULL, "the units and what they waited for, in the language of graphviz"},
    {"svg", 0, NULL, "a picture for a browser: a bar for each unit, along the time"},
    {0},
};

/* ---- JSON ---- */

static void print_stage(struct text *text, const struct boot_stage *stage) {
    static const char *const parts[] = {
        [PART_KERNEL] = "kernel", [PART_RINGFENCED] = "ringfenced", [PART_STEP] = "early"};
    json_open(text, NULL, '{');
    json_string(text, "name", stage->name);
    json_string(text, "part", parts[stage->part]);
    json_unsigned(text, "begun_usec", stage->begun);
    json_unsigned(text, "ended_usec", stage->ended);
    json_string(text, "outcome", stage->outcome);
    json_string(text, "words", stage->words);
    json_close(text, '}');
}

static void print_needs(struct text *text, const struct boot *boot, size_t unit) {
    json_open(text, "needs", '[');
    for (size_t i = 0; i < boot->edge_count; i++)
        if (boot->edges[i].unit == unit) {
            json_open(text, NULL, '{');
            json_string(text, "unit", boot->units[boot->edges[i].other].view->name);
            json_string(text, "kind", boot->edges[i].kind);
            json_close(text, '}');
        }
    json_close(text, ']');
}

static void print_time(struct text *text, const char *name, uint64_t usec, bool has_come) {
    if (has_come)
        json_unsigned(text, name, usec);
    else
        json_string(text, name, NULL);
}

/* A time is null while it has not come; of an invalid unit none does. */
static void print_unit(struct text *text, const struct boot *boot, size_t index) {
    const struct boot_unit *unit = &boot->units[index];
    json_open(text, NULL, '{');
    json_string(text, "name", unit->view->name);
    json_string(text, "description", unit->view->description);
    json_string(text, "state", unit->view->state);
    json_string(text, "fate", boot_fate_word(unit->fate));
    const struct {
        const char *name;
        uint64_t usec;
    } times[] = {{"waiting_usec", unit->waiting},
                 {"building_usec", unit->building},
                 {"starting_usec", unit->starting},
                 {"ended_usec", unit->ended}};
    for (size_t i = 0; i < ELEMENTS(times); i++)
        print_time(text, times[i].name, times[i].usec,
                   unit->fate != FATE_INVALID && !boot_unit_awaits(boot, unit, times[i].usec));
    json_string(text, "waited_for",
                unit->waited_for == NOBODY ? NULL : boot->units[unit->waited_for].view->name);
    print_needs(text, boot, index);
    json_close(text, '}');
}

static int print_json(const struct boot *boot) {
    scoped_text struct text text = {0};
    output_json_begin(&text);
    json_bool(&text, "machine", boot->machine);
    json_bool(&text, "complete", !boot->early && boot->open == 0);
    json_unsigned(&text, "units_begun_usec", boot->begun);
    json_unsigned(&text, "ended_usec", boot->ended);
    json_open(&text, "stages", '[');
    for (size_t i = 0; i < boot->stage_count; i++)
        print_stage(&text, &boot->stages[i]);
    json_close(&text, ']');
    json_open(&text, "units", '[');
    for (size_t i = 0; i < boot->count; i++)
        print_unit(&text, boot, i);
    json_close(&text, ']');
    json_open(&text, "longest_chain", '[');
    for (size_t i = boot->chain_length; i-- > 0;)
        json_string(&text, NULL, boot->units[boot->chain[i]].view->name);
    json_close(&text, ']');
    return output_json_end(&text);
}

/* ---- boot ---- */

int verb_boot(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_views struct views views = {0};
    scoped_boot struct boot boot = {0};
    scoped_text struct text text = {0};
    struct fault fault;
    bool dot = arguments_value(arguments, "dot"), svg = arguments_value(arguments, "svg");
    if (dot + svg + tool->json > 1)
        return tool_fail(EXIT_USAGE, "boot: one of --json, --dot and --svg");
    int code = client_open(tool, &bus, &fault);
    if (code == EXIT_OK)
        code = views_list(bus, NULL, &views, &fault);
    if (code == EXIT_OK)
        code = boot_read(bus, &views, &boot, &fault);
    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    if (tool->json)
        return print_json(&boot);
    if (dot)
        boot_dot(&boot, &text);
    else if (svg)
        boot_svg(&boot, &text);
    else
        boot_print(tool, &boot, &text);
    return output_print(tool, &text);
}
