#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "supervisor/ctl/boot.h"
#include "supervisor/ctl/output.h"

#define NAME_MOST                                                                                  \
    26 /* columns of the longest name: a line with the least bar is no longer than 80 */
#define BAR_LEAST 24
#define BAR_MOST 100
#define WIDTH_USUAL 100 /* where it is no terminal */

/* ---- the bars ---- */

struct chart {
    const struct tool *tool;
    const struct boot *boot;
    struct text *text;
    int name, bar; /* columns */
};

static int terminal_width(void) {
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : WIDTH_USUAL;
}

static int length_of(const char *name) {
    int length = (int)strlen(name);
    return length < NAME_MOST ? length : NAME_MOST;
}

static void choose_columns(struct chart *chart) {
    const struct boot *boot = chart->boot;
    for (size_t i = 0; i < boot->stage_count; i++)
        if (length_of(boot->stages[i].name) > chart->name)
            chart->name = length_of(boot->stages[i].name);
    for (size_t i = 0; i < boot->count; i++)
        if (length_of(boot->units[i].view->name) > chart->name)
            chart->name = length_of(boot->units[i].view->name);
    chart->bar = terminal_width() - chart->name - 28;
    chart->bar = chart->bar < BAR_LEAST ? BAR_LEAST : chart->bar > BAR_MOST ? BAR_MOST : chart->bar;
}

static int column_of(const struct chart *chart, uint64_t time) {
    uint64_t whole = chart->boot->shown ? chart->boot->shown : 1;
    time = time < whole ? time : whole;
    return (int)((double)time / (double)whole * chart->bar + 0.5);
}

/* From where the last one ended; what has any length at all is at least one cell. */
static int add_span(const struct chart *chart, int from, uint64_t begun, uint64_t ended,
                    const char *cell, enum colour colour) {
    scoped_text struct text span = {0};
    int first = column_of(chart, begun), last = column_of(chart, ended);
    if (ended <= begun)
        return from;
    first = first < from ? from : first;
    if (first >= chart->bar)
        first = chart->bar - 1;
    if (last <= first)
        last = first + 1;
    for (int i = from; i < first; i++)
        text_add(chart->text, " ");
    for (int i = first; i < last && i < chart->bar; i++)
        text_add(&span, cell);
    if (span.length)
        output_colour(chart->tool, chart->text, colour, span.data);
    return last;
}

/* A dash for a time that has not come. */
static void add_time(struct text *text, uint64_t usec, bool has_come) {
    scoped_text struct text time = {0};
    boot_duration(&time, usec);
    text_format(text, "  %9s", has_come && time.data ? time.data : "-");
}

static void add_name(const struct chart *chart, const char *name, bool bold) {
    scoped_text struct text cells = {0};
    char label[BOOT_NAME_MAX];
    boot_short_name(name, NAME_MOST, label);
    text_format(&cells, "%s%*s", label, chart->name - length_of(name), "");
    output_colour(chart->tool, chart->text, bold ? COLOUR_BOLD : COLOUR_NONE, cells.data);
}

static void add_stage(const struct chart *chart, const struct boot_stage *stage) {
    add_name(chart, stage->name, false);
    add_time(chart->text, stage->ended, strcmp(stage->outcome, "running") != 0);
    add_time(chart->text, stage->ended - stage->begun, true);
    text_add(chart->text, "  ");
    add_span(chart, 0, stage->begun, stage->ended, "█",
             boot_stage_failed(stage) ? COLOUR_BAD : COLOUR_NONE);
    if (strcmp(stage->outcome, "done") != 0)
        text_format(chart->text, " %s", stage->outcome);
    if (stage->words[0])
        text_format(chart->text, ": %s", stage->words);
    text_add(chart->text, "\n");
}

static void add_unit(const struct chart *chart, const struct boot_unit *unit) {
    enum colour colour = unit->fate == FATE_READY ? COLOUR_GOOD
                         : boot_unit_is_bad(unit) ? COLOUR_BAD
                                                  : COLOUR_BUSY;
    bool began = unit->fate != FATE_INVALID && !boot_unit_awaits(chart->boot, unit, unit->building);
    add_name(chart, unit->view->name, unit->critical);
    add_time(chart->text, unit->ended, unit->fate == FATE_READY || unit->fate == FATE_FAILED);
    add_time(chart->text, unit->ended - unit->building, began);
    text_add(chart->text, "  ");
    int at = add_span(chart, 0, unit->waiting, unit->building, "·", COLOUR_DIM);
    at = add_span(chart, at, unit->building, unit->starting, "▒", COLOUR_BUSY);
    add_span(chart, at, unit->starting, unit->ended, "█", colour);
    if (unit->fate == FATE_OPEN)
        text_format(chart->text, "… %s, %s", unit->view->state,
                    unit->view->failure[0] ? unit->view->failure : "not ready yet");
    else if (boot_unit_is_bad(unit))
        text_format(chart->text, " %s", boot_fate_word(unit->fate));
    else if (strcmp(unit->view->state, "skipped") == 0)
        text_format(chart->text, " %s", unit->view->state);
    text_add(chart->text, "\n");
}

static void add_titles(const struct chart *chart) {
    scoped_text struct text titles = {0};
    text_format(&titles, "%-*s  %9s  %9s  ", chart->name, "WHAT", "AT", "TOOK");
    output_colour(chart->tool, chart->text, COLOUR_DIM, titles.data);
    output_colour(chart->tool, chart->text, COLOUR_DIM, "· waits  ▒ is built  █ starts");
    text_add(chart->text, "\n");
}

/* ---- the chain ---- */

static void add_phase(struct text *text, const char *word, uint64_t begun, uint64_t ended) {
    if (ended <= begun)
        return;
    text_add(text, text->length ? ", " : "");
    boot_duration(text, ended - begun);
    text_format(text, " %s", word);
}

/* The unit that was ready last, the one that it had waited for, and so on. */
static void add_chain(const struct chart *chart) {
    const struct boot *boot = chart->boot;
    output_colour(chart->tool, chart->text, COLOUR_DIM, "THE LONGEST CHAIN");
    text_add(chart->text, "\n");
    for (size_t i = 0; i < boot->chain_length; i++) {
        const struct boot_unit *unit = &boot->units[boot->chain[i]];
        scoped_text struct text phases = {0}, time = {0};
        char name[BOOT_NAME_MAX];
        /* What it waited for stands in the next line. */
        bool first = i + 1 == boot->chain_length;
        if (first)
            add_phase(&phases, "waiting for its turn", unit->waiting, unit->building);
        add_phase(&phases, "building", unit->building, unit->starting);
        add_phase(&phases, "starting", unit->starting, unit->ended);
        boot_duration(&time, unit->ended);
        text_format(chart->text, "%*s%s", i ? (int)(i - 1) : 0, "", i ? "└─ " : "");
        boot_short_name(unit->view->name, NAME_MOST, name);
        output_colour(chart->tool, chart->text, COLOUR_BOLD, name);
        text_format(chart->text, "  %s at %s%s%s%s\n",
                    unit->fate == FATE_OPEN ? unit->view->state : boot_fate_word(unit->fate),
                    time.data ? time.data : "", phases.length ? " (" : "",
                    phases.length ? phases.data : "", phases.length ? ")" : "");
    }
}

void boot_print(const struct tool *tool, const struct boot *boot, struct text *text) {
    struct chart chart = {tool, boot, text, (int)strlen("ringfenced"), 0};
    choose_columns(&chart);
    text_add(text, boot->machine ? "The machine is " : "ringfence is ");
    boot_summary(boot, text);
    text_add(text, ".\n\n");
    add_titles(&chart);
    for (size_t i = 0; i < boot->stage_count; i++)
        add_stage(&chart, &boot->stages[i]);
    for (size_t i = 0; i < boot->count; i++)
        add_unit(&chart, &boot->units[i]);
    if (boot->chain_length > 0) {
        text_add(text, "\n");
        add_chain(&chart);
    }
}
