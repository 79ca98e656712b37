/* The boot as a picture: a row each, time from left to right. Without scripts; what the pointer
 * rests on says more. */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "supervisor/ctl/boot.h"
#include "units/base/number.h"

#define WIDTH 1080
#define MARGIN 28
#define RIGHT 92 /* behind the chart: the time that the last bar took */
#define HEAD 104 /* above the first section */
#define ROW 24
#define BAR 12
#define SECTION 34 /* the height of its title */
#define FOOT 62
#define FOOT_AXIS 24  /* where the chart is long the axis stands below it, too */
#define LONG_CHART 24 /* rows */
#define LETTER 7.0    /* pixels of one, on the average */
#define LETTER_SMALL 6.2
#define NAME_MOST 32

struct picture {
    const struct boot *boot;
    struct text *text;
    double left, right; /* of the chart */
    double first_stage; /* y of its row */
    double first_unit;
    double bottom; /* of the last row */
    double whole;  /* microseconds that the chart shows */
};

/* Each colour is a class, so that one sheet serves a light and a dark page. */
static const char style[] =
    "<style>\n"
    "text { font: 12px system-ui, 'DejaVu Sans', sans-serif; fill: #1f2933 }\n"
    ".title { font-size: 20px; font-weight: 600 }\n"
    ".section { font-size: 13px; font-weight: 600 }\n"
    ".dim { fill: #66727f } .small { font-size: 11px }\n"
    /* Lines that cross a word do not make it unreadable. */
    ".over { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round }\n"
    ".right { text-anchor: end } .middle { text-anchor: middle }\n"
    ".touch { fill: none; pointer-events: all }\n"
    ".page { fill: #ffffff } .stripe { fill: #f4f6f8 } .grid { stroke: #dfe4e9 }\n"
    ".kernel { fill: #98a4b0 } .ringfenced { fill: #5c6b7a } .step { fill: #4f86e8 }\n"
    ".waits { stroke: #a9b4bf; stroke-width: 2; stroke-dasharray: 1 4; stroke-linecap: round }\n"
    ".built { fill: #f0b429 } .starts { fill: #2fb380 } .up { fill: #2fb380; opacity: .16 }\n"
    ".failed { fill: #e0454f } .open { fill: #2fb380; opacity: .5 }\n"
    ".need { fill: none; stroke: #b4bec8 }\n"
    ".chain { fill: none; stroke: #7c4fe0; stroke-width: 2 } .mark { fill: #7c4fe0 }\n"
    ".critical { font-weight: 600 }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "text { fill: #e6eaee } .over { stroke: #14181d } .dim { fill: #97a3af } .page { fill: #14181d "
    "}\n"
    ".stripe { fill: #1b2027 } .grid { stroke: #2c343d } .need { stroke: #4d5964 }\n"
    ".kernel { fill: #6b7785 } .ringfenced { fill: #97a3af } .waits { stroke: #5d6975 }\n"
    ".chain { stroke: #a98bf0 } .mark { fill: #a98bf0 }\n"
    "}\n"
    "</style>\n";

static void escape(struct text *text, const char *string) {
    for (const char *at = string; *at; at++) {
        const char *entity = *at == '&'   ? "&amp;"
                             : *at == '<' ? "&lt;"
                             : *at == '>' ? "&gt;"
                             : *at == '"' ? "&quot;"
                                          : NULL;
        if (entity)
            text_add(text, entity);
        else
            text_append(text, at, 1);
    }
}

static double x_of(const struct picture *picture, uint64_t time) {
    double part = (double)time / picture->whole;
    return picture->left + (part < 1 ? part : 1) * (picture->right - picture->left);
}

static double row_of_stage(const struct picture *picture, size_t stage) {
    return picture->first_stage + (double)stage * ROW;
}

static double row_of_unit(const struct picture *picture, size_t unit) {
    return picture->first_unit + (double)unit * ROW;
}

static void add_text(const struct picture *picture, double x, double y, const char *class,
                     const char *string) {
    text_format(picture->text, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
    escape(picture->text, string);
    text_add(picture->text, "</text>\n");
}

/* What was too short to be seen is seen as a line. */
static void add_bar(const struct picture *picture, double y, uint64_t begun, uint64_t ended,
                    const char *class) {
    double x = x_of(picture, begun), width = x_of(picture, ended) - x;
    if (ended <= begun)
        return;
    text_format(picture->text,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\" "
                "class=\"%s\"/>\n",
                x, y + (ROW - BAR) / 2.0, width < 1.5 ? 1.5 : width, BAR, class);
}

/* ---- title, axis, stripes ---- */

static void add_title(const struct picture *picture) {
    scoped_text struct text title = {0}, summary = {0}, system = {0};
    struct utsname host;
    boot_summary(picture->boot, &summary);
    size_t parts = summary.data ? strcspn(summary.data, ":") : 0;
    if (uname(&host) < 0)
        host = (struct utsname){.nodename = "this machine"};
    text_add(&title, picture->boot->machine ? "" : "ringfence on ");
    text_add_clean(&title, host.nodename);
    text_format(&title, " %s %.*s", picture->boot->open ? "is" : "was", (int)parts,
                summary.data ? summary.data : "");
    text_format(&system, "%s %s, ringfence " RINGFENCE_VERSION, host.sysname, host.release);
    add_text(picture, MARGIN, 40, "title", title.data ? title.data : "");
    if (summary.data && summary.data[parts])
        add_text(picture, MARGIN, 62, "dim", summary.data + parts + 2);
    add_text(picture, WIDTH - MARGIN, 40, "dim small right", system.data ? system.data : "");
}

/* 1, 2 or 5 times a power of ten, of which ten at most fit. */
static double nice_step(double whole) {
    double power = pow(10, floor(log10(whole / 10)));
    const double factors[] = {1, 2, 5, 10};
    for (size_t i = 0; i < ELEMENTS(factors); i++)
        if (whole / (power * factors[i]) <= 10)
            return power * factors[i];
    return power * 10;
}

static size_t row_count(const struct boot *boot) {
    return boot->stage_count + boot->count;
}

static void add_axis(const struct picture *picture) {
    bool twice = row_count(picture->boot) > LONG_CHART;
    double step = nice_step(picture->whole);
    int decimals = step >= 1e6 ? 0 : (int)ceil(6 - log10(step) - 1e-9);
    for (unsigned i = 0; i * step <= picture->whole * 1.0001; i++) {
        double x = x_of(picture, (uint64_t)(i * step));
        char label[32] = "0";
        if (i > 0 && picture->whole < 1e6)
            snprintf(label, sizeof(label), "%gms", i * step / 1e3);
        else if (i > 0)
            snprintf(label, sizeof(label), "%.*fs", decimals, i * step / 1e6);
        text_format(picture->text,
                    "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\" class=\"grid\"/>\n", x, x,
                    HEAD - 6, picture->bottom);
        add_text(picture, x, HEAD - 12, "dim small middle", label);
        if (twice)
            add_text(picture, x, picture->bottom + 16, "dim small middle", label);
    }
}

static void add_row(const struct picture *picture, double y, const char *class) {
    text_format(picture->text,
                "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\" class=\"%s\"/>\n",
                MARGIN - 12, y, WIDTH - 2 * MARGIN + 24, ROW, class);
}

/* What it is about, and how long all of it took. */
static void add_section(const struct picture *picture, double first_row, const char *title,
                        uint64_t begun, uint64_t ended) {
    scoped_text struct text time = {0};
    boot_duration(&time, ended - begun);
    add_text(picture, MARGIN, first_row - 9, "section over", title);
    add_text(picture, WIDTH - MARGIN, first_row - 9, "dim small right", time.data ? time.data : "");
}

static void add_sections(const struct picture *picture) {
    const struct boot *boot = picture->boot;
    char title[64];
    snprintf(title, sizeof(title), "%zu unit%s", boot->count, boot->count == 1 ? "" : "s");
    if (boot->stage_count)
        add_section(picture, picture->first_stage, "Before the units", 0, boot->begun);
    if (boot->count)
        add_section(picture, picture->first_unit, title, boot->begun, boot->shown);
}

/* Every other row, below the grid. */
static void add_stripes(const struct picture *picture) {
    for (size_t i = 0; i < picture->boot->stage_count; i += 2)
        add_row(picture, row_of_stage(picture, i), "stripe");
    for (size_t i = 0; i < picture->boot->count; i += 2)
        add_row(picture, row_of_unit(picture, i), "stripe");
}

/* The row's label, and what is told when the pointer rests anywhere on it. */
static void begin_row(const struct picture *picture, double y, const char *name, bool critical,
                      const struct text *title) {
    text_add(picture->text, "<g>\n<title>");
    escape(picture->text, title->data ? title->data : "");
    text_add(picture->text, "</title>\n");
    add_row(picture, y, "touch");
    char label[BOOT_NAME_MAX];
    boot_short_name(name, NAME_MOST, label);
    if (critical)
        text_format(picture->text, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" class=\"mark\"/>\n",
                    MARGIN - 2.0, y + ROW / 2.0);
    add_text(picture, picture->left - 14, y + 16, critical ? "right critical" : "right", label);
}

/* Behind the bar; before it where there is no room behind. */
static void add_took(const struct picture *picture, double y, uint64_t begun, uint64_t at,
                     uint64_t took, const char *words) {
    scoped_text struct text label = {0};
    if (took > 0)
        boot_duration(&label, took);
    text_format(&label, "%s%s", label.length && words[0] ? ", " : "", words);
    double x = x_of(picture, at) + 7;
    bool fits = x + (double)label.length * LETTER_SMALL < WIDTH - MARGIN + 12;
    if (fits)
        add_text(picture, x, y + 16, "dim small over", label.data ? label.data : "");
    else
        add_text(picture, x_of(picture, begun) - 7, y + 16, "dim small over right", label.data);
}

/* ---- rows ---- */

static void add_stage(const struct picture *picture, double y, const struct boot_stage *stage) {
    static const char *const classes[] = {
        [PART_KERNEL] = "kernel", [PART_RINGFENCED] = "ringfenced", [PART_STEP] = "step"};
    scoped_text struct text title = {0};
    text_format(&title, "%s: %s after ", stage->name, stage->outcome);
    boot_duration(&title, stage->ended - stage->begun);
    text_format(&title, "%s%s", stage->words[0] ? "\n" : "", stage->words);
    begin_row(picture, y, stage->name, false, &title);
    add_bar(picture, y, stage->begun, stage->ended,
            boot_stage_failed(stage) ? "failed" : classes[stage->part]);
    add_took(picture, y, stage->begun, stage->ended, stage->ended - stage->begun,
             strcmp(stage->outcome, "done") == 0 ? "" : stage->outcome);
    text_add(picture->text, "</g>\n");
}

static void describe_unit(const struct picture *picture, const struct boot_unit *unit,
                          struct text *text) {
    const struct boot_unit *units = picture->boot->units;
    text_format(text, "%s%s%s\n", unit->view->name, unit->view->description[0] ? ": " : "",
                unit->view->description);
    if (unit->building > unit->waiting) {
        text_add(text, "waited ");
        boot_duration(text, unit->building - unit->waiting);
        text_format(text, "%s%s\n", unit->waited_for == NOBODY ? "" : " for ",
                    unit->waited_for == NOBODY ? "" : units[unit->waited_for].view->name);
    }
    if (unit->starting > unit->building) {
        text_add(text, "was built in ");
        boot_duration(text, unit->starting - unit->building);
        text_add(text, "\n");
    }
    if (unit->ended > unit->starting) {
        text_add(text, "started in ");
        boot_duration(text, unit->ended - unit->starting);
        text_add(text, "\n");
    }
    text_add(text, unit->fate == FATE_OPEN ? unit->view->state : boot_fate_word(unit->fate));
    if (unit->fate == FATE_READY || unit->fate == FATE_FAILED) {
        text_add(text, " at ");
        boot_duration(text, unit->ended);
    }
    if (boot_unit_is_bad(unit) && unit->view->failure[0])
        text_format(text, ": %s", unit->view->failure);
}

static void add_unit(const struct picture *picture, size_t index) {
    const struct boot_unit *unit = &picture->boot->units[index];
    double y = row_of_unit(picture, index);
    const char *words = unit->fate == FATE_READY ? ""
                        : boot_unit_is_bad(unit) ? boot_fate_word(unit->fate)
                                                 : unit->view->state;
    scoped_text struct text title = {0};
    describe_unit(picture, unit, &title);
    begin_row(picture, y, unit->view->name, unit->critical, &title);
    if (unit->building > unit->waiting)
        text_format(picture->text,
                    "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" class=\"waits\"/>\n",
                    x_of(picture, unit->waiting), x_of(picture, unit->building), y + ROW / 2.0,
                    y + ROW / 2.0);
    if (unit->fate == FATE_READY)
        add_bar(picture, y, unit->ended, picture->boot->shown, "up");
    add_bar(picture, y, unit->building, unit->starting, "built");
    add_bar(picture, y, unit->starting, unit->ended,
            unit->fate == FATE_READY ? "starts"
            : boot_unit_is_bad(unit) ? "failed"
                                     : "open");
    if (boot_unit_is_bad(unit) && unit->ended <= unit->building)
        add_text(picture, x_of(picture, unit->ended) - 4, y + 16, "small failed", "✕");
    add_took(picture, y, unit->waiting, unit->ended, unit->ended - unit->building, words);
    text_add(picture->text, "</g>\n");
}

/* From the end of the one that was waited for to where the other went on. */
static void add_wait(const struct picture *picture, size_t index, bool on_chain) {
    const struct boot_unit *unit = &picture->boot->units[index];
    const struct boot_unit *other = &picture->boot->units[unit->waited_for];
    double from = row_of_unit(picture, unit->waited_for) + ROW / 2.0;
    double to = row_of_unit(picture, index) + ROW / 2.0;
    double x = x_of(picture, other->ended), end = x_of(picture, unit->building);
    text_format(picture->text, "<path d=\"M%.1f %.1fH%.1fV%.1f\" class=\"%s\"/>\n", x, from, end,
                to, on_chain ? "chain" : "need");
}

/* ---- legend ---- */

static double add_key(const struct picture *picture, double x, const char *class,
                      const char *words) {
    double y = picture->bottom + (row_count(picture->boot) > LONG_CHART ? FOOT_AXIS : 0) + 34;
    if (strcmp(class, "waits") == 0 || strcmp(class, "chain") == 0)
        text_format(picture->text,
                    "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x,
                    x + 16, y - 4, y - 4, class);
    else
        text_format(picture->text,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"16\" height=\"10\" rx=\"2\" "
                    "class=\"%s\"/>\n",
                    x, y - 9, class);
    add_text(picture, x + 22, y, "dim small", words);
    return x + 22 + (double)strlen(words) * LETTER_SMALL + 20;
}

static void add_legend(const struct picture *picture) {
    static const char *const keys[][2] = {
        {"kernel", "kernel"}, {"ringfenced", "ringfenced"}, {"step", "early boot"},
        {"waits", "waits"},   {"built", "is built"},        {"starts", "starts"},
        {"up", "is up"},      {"failed", "failed"},         {"chain", "the longest chain"},
    };
    double x = MARGIN;
    for (size_t i = 0; i < ELEMENTS(keys); i++)
        if (picture->boot->machine || strcmp(keys[i][0], "kernel") != 0)
            x = add_key(picture, x, keys[i][0], keys[i][1]);
}

/* ---- all ---- */

static double label_width(const struct boot *boot) {
    size_t longest = strlen("ringfenced");
    for (size_t i = 0; i < boot->stage_count; i++)
        longest = strlen(boot->stages[i].name) > longest ? strlen(boot->stages[i].name) : longest;
    for (size_t i = 0; i < boot->count; i++) {
        size_t length = strlen(boot->units[i].view->name);
        longest = length > longest ? length : longest;
    }
    return (double)(longest < NAME_MOST ? longest : NAME_MOST) * LETTER + 24;
}

void boot_svg(const struct boot *boot, struct text *text) {
    double first_stage = HEAD + (boot->stage_count ? SECTION : 0);
    double first_unit = first_stage + (double)boot->stage_count * ROW + SECTION;
    const struct picture picture = {
        .boot = boot,
        .text = text,
        .left = MARGIN + label_width(boot),
        .right = WIDTH - MARGIN - RIGHT,
        .first_stage = first_stage,
        .first_unit = first_unit,
        .bottom = first_unit + (double)boot->count * ROW + 4,
        .whole = boot->shown ? (double)boot->shown : 1,
    };
    double height = picture.bottom + FOOT + (row_count(boot) > LONG_CHART ? FOOT_AXIS : 0);
    text_format(text,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" "
                "height=\"%.0f\">\n",
                WIDTH, height, WIDTH, height);
    text_add(text, style);
    text_format(text, "<rect width=\"%d\" height=\"%.0f\" class=\"page\"/>\n", WIDTH, height);
    add_title(&picture);
    add_stripes(&picture);
    add_axis(&picture);
    add_sections(&picture);
    /* Beneath what they connect. */
    for (size_t i = 0; i < boot->count; i++)
        if (boot->units[i].waited_for != NOBODY && !boot->units[i].critical)
            add_wait(&picture, i, false);
    for (size_t i = 0; i + 1 < boot->chain_length; i++)
        add_wait(&picture, boot->chain[i], true);
    for (size_t i = 0; i < boot->stage_count; i++)
        add_stage(&picture, row_of_stage(&picture, i), &boot->stages[i]);
    for (size_t i = 0; i < boot->count; i++)
        add_unit(&picture, i);
    add_legend(&picture);
    text_add(text, "</svg>\n");
}
