#include <string.h>

#include "supervisor/ctl/boot.h"

/* A string in the language of graphviz; its backslashes begin escapes of its own. */
static void quote(struct text *text, const char *string) {
    text_add(text, "\"");
    for (const char *at = string; *at; at++)
        text_format(text, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
    text_add(text, "\"");
}

static const char *colour_of(const struct boot_unit *unit) {
    return boot_unit_is_bad(unit) ? "#c0392b" : unit->fate == FATE_OPEN ? "#b7791f" : "#2f855a";
}

static void add_node(struct text *text, const struct boot_unit *unit) {
    scoped_text struct text label = {0};
    text_format(&label, "%s\n", unit->view->name);
    if (unit->fate == FATE_READY || unit->fate == FATE_FAILED) {
        boot_duration(&label, unit->ended - unit->building);
        text_format(&label, ", %s at ", boot_fate_word(unit->fate));
        boot_duration(&label, unit->ended);
    } else {
        text_add(&label, boot_fate_word(unit->fate));
    }
    text_add(text, "  ");
    quote(text, unit->view->name);
    text_add(text, " [label=");
    quote(text, label.data ? label.data : "");
    text_format(text, ", color=\"%s\"%s];\n", colour_of(unit),
                unit->critical ? ", penwidth=3" : "");
}

/* From whom was waited for to who waited; the longest chain is drawn thick. */
static void add_edge(struct text *text, const struct boot *boot, const struct boot_edge *edge) {
    const struct boot_unit *unit = &boot->units[edge->unit];
    bool critical = unit->critical && unit->waited_for == edge->other;
    const char *style = strcmp(edge->kind, "after") == 0   ? "dotted"
                        : strcmp(edge->kind, "wants") == 0 ? "dashed"
                                                           : "solid";
    text_add(text, "  ");
    quote(text, boot->units[edge->other].view->name);
    text_add(text, " -> ");
    quote(text, unit->view->name);
    text_format(text, " [style=%s, tooltip=\"%s\"%s];\n", style, edge->kind,
                critical ? ", penwidth=3" : "");
}

void boot_dot(const struct boot *boot, struct text *text) {
    scoped_text struct text summary = {0};
    boot_summary(boot, &summary);
    text_add(text, "digraph boot {\n  rankdir=LR;\n  label=");
    quote(text, summary.data ? summary.data : "");
    text_add(text, ";\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    for (size_t i = 0; i < boot->count; i++)
        add_node(text, &boot->units[i]);
    for (size_t i = 0; i < boot->edge_count; i++)
        if (i == 0 || boot->edges[i].unit != boot->edges[i - 1].unit ||
            boot->edges[i].other != boot->edges[i - 1].other)
            add_edge(text, boot, &boot->edges[i]); /* one for all reasons of a pair */
    text_add(text, "}\n");
}
