#include "supervisor/ctl/boot.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "units/base/names.h"
#include "units/base/number.h"

static const char *const fate_words[] = {[FATE_READY] = "ready",
                                         [FATE_FAILED] = "failed",
                                         [FATE_OPEN] = "open",
                                         [FATE_INVALID] = "invalid"};
static_assert(ELEMENTS(fate_words) == FATE_INVALID + 1, "a word for every fate");

const char *boot_fate_word(enum boot_fate fate) {
    return fate_words[fate];
}

bool boot_unit_is_bad(const struct boot_unit *unit) {
    return unit->fate == FATE_FAILED || unit->fate == FATE_INVALID;
}

bool boot_stage_failed(const struct boot_stage *stage) {
    return strcmp(stage->outcome, "failed") == 0;
}

bool boot_unit_awaits(const struct boot *boot, const struct boot_unit *unit, uint64_t time) {
    return unit->fate == FATE_OPEN && time >= boot->now;
}

/* ---- reading ---- */

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (uint64_t)time.tv_sec * USEC_PER_SEC + (uint64_t)time.tv_nsec / 1000;
}

static uint64_t since(const struct boot *boot, uint64_t time) {
    return time > boot->zero ? time - boot->zero : 0;
}

static int add_stage(struct boot *boot, enum boot_part part, const char *name, uint64_t begun,
                     uint64_t ended, const char *outcome, const char *words) {
    struct boot_stage *stages =
        reallocarray(boot->stages, boot->stage_count + 1, sizeof(*boot->stages));
    if (!stages)
        return -ENOMEM;
    boot->stages = stages;
    struct boot_stage *stage = &stages[boot->stage_count++];
    *stage = (struct boot_stage){
        part, strdup(name), since(boot, begun), since(boot, ended), strdup(outcome), strdup(words)};
    return stage->name && stage->outcome && stage->words ? 0 : -ENOMEM;
}

/* The way from an initramfs to the root is a part of ringfenced's own time, the first. */
static int add_step(struct boot *boot, const char *name, uint64_t begun, uint64_t ended,
                    const char *outcome, const char *words) {
    struct boot_stage *last = &boot->stages[boot->stage_count - 1];
    bool first = last->part == PART_RINGFENCED && since(boot, begun) == last->begun;
    int result =
        add_stage(boot, first ? PART_RINGFENCED : PART_STEP, name, begun, ended, outcome, words);
    if (result < 0 || !first)
        return result;
    last = &boot->stages[boot->stage_count - 1];
    struct boot_stage step = *last;
    *last = last[-1];
    last->begun = step.ended;
    last[-1] = step;
    return 0;
}

/* Without early steps all of the time before the units is ringfenced's own. */
static int read_stages(struct boot *boot, sd_bus_message *reply) {
    const char *name, *outcome, *words;
    uint64_t ringfenced, manager, units, begun, ended;
    int machine,
        result = sd_bus_message_read(reply, "bttt", &machine, &ringfenced, &manager, &units);
    if (result < 0)
        return result;
    boot->machine = machine;
    boot->early = !units;
    boot->zero = machine ? 0 : ringfenced;
    boot->now = since(boot, now());
    boot->begun = units ? since(boot, units) : boot->now;
    if (machine)
        result = add_stage(boot, PART_KERNEL, "kernel", 0, ringfenced, "done", "");
    if (result >= 0)
        result = add_stage(boot, PART_RINGFENCED, "ringfenced", ringfenced, manager, "done", "");
    if (result >= 0)
        result = sd_bus_message_enter_container(reply, 'a', "(" BUS_BOOT_STEP ")");
    while (result >= 0 && (result = sd_bus_message_read(reply, "(" BUS_BOOT_STEP ")", &name, &begun,
                                                        &ended, &outcome, &words)) > 0)
        result =
            add_step(boot, name, begun, ended ? ended : boot->zero + boot->now, outcome, words);
    return result < 0 ? result : sd_bus_message_exit_container(reply);
}

/* Times in their order; where one was passed over it is the next one. */
static void settle_unit(struct boot *boot, struct boot_unit *unit, const uint64_t times[5]) {
    uint64_t ended = times[3] ? times[3] : times[4];
    unit->fate = times[3] ? FATE_READY : times[4] ? FATE_FAILED : FATE_OPEN;
    unit->ended = ended ? since(boot, ended) : boot->now;
    unit->starting = times[2] ? since(boot, times[2]) : unit->ended;
    unit->building = times[1] ? since(boot, times[1]) : unit->starting;
    unit->waiting = times[0] ? since(boot, times[0]) : unit->building;
    boot->open += unit->fate == FATE_OPEN;
    boot->failed += unit->fate == FATE_FAILED;
    if (unit->fate != FATE_OPEN && unit->ended > boot->ended)
        boot->ended = unit->ended;
}

/* One that restarts for ever would make the rest too small to be seen. */
static void settle_shown(struct boot *boot) {
    uint64_t most = boot->ended + boot->ended / 8;
    boot->shown = boot->open == 0 ? boot->ended : boot->now < most ? boot->now : most;
}

/* Whoever has wanted them cannot be told. */
static void add_invalid(struct boot *boot, const struct views *views) {
    size_t listed = boot->count;
    for (size_t i = 0; i < views->count; i++) {
        const struct view *view = &views->items[i];
        bool is_known = strcmp(view->state, "invalid") != 0;
        for (size_t k = 0; k < listed && !is_known; k++)
            is_known = boot->units[k].view == view;
        if (is_known)
            continue;
        boot->units[boot->count++] = (struct boot_unit){
            view, boot->begun, boot->begun, boot->begun, boot->begun, FATE_INVALID, NOBODY, false};
        boot->invalid++;
    }
}

static int read_units(struct boot *boot, const struct views *views, sd_bus_message *reply) {
    const char *name;
    uint64_t times[5];
    boot->units = calloc(views->count + 1, sizeof(*boot->units));
    int result =
        boot->units ? sd_bus_message_enter_container(reply, 'a', "(" BUS_BOOT_UNIT ")") : -ENOMEM;
    while (result >= 0 &&
           (result = sd_bus_message_read(reply, "(" BUS_BOOT_UNIT ")", &name, &times[0], &times[1],
                                         &times[2], &times[3], &times[4])) > 0) {
        const struct view *view = views_find(views, name);
        if (!view || boot->count == views->count)
            continue; /* it went away since they were listed */
        struct boot_unit *unit = &boot->units[boot->count++];
        *unit = (struct boot_unit){.view = view, .waited_for = NOBODY};
        settle_unit(boot, unit, times);
    }
    if (result >= 0 && !boot->early)
        add_invalid(boot, views);
    return result < 0 ? result : 0;
}

/* What was built at the same time stands in the order in which it was ready. */
static int compare_units(const void *left, const void *right) {
    const struct boot_unit *a = left, *b = right;
    uint64_t x = a->building == b->building ? a->ended : a->building;
    uint64_t y = a->building == b->building ? b->ended : b->building;
    return x != y ? (x < y ? -1 : 1) : strcmp(a->view->name, b->view->name);
}

static size_t find_unit(const struct boot *boot, const char *name) {
    for (size_t i = 0; i < boot->count; i++)
        if (strcmp(boot->units[i].view->name, name) == 0)
            return i;
    return NOBODY;
}

static const char *known_kind(const char *kind) {
    static const char *const kinds[] = {"requires", "binds-to", "wants", "after", "shares"};
    for (size_t i = 0; i < ELEMENTS(kinds); i++)
        if (strcmp(kinds[i], kind) == 0)
            return kinds[i];
    return NULL;
}

static int read_edges(struct boot *boot, sd_bus_message *reply) {
    const char *unit, *kind, *other;
    int result = sd_bus_message_enter_container(reply, 'a', "(sss)");
    while (result >= 0 &&
           (result = sd_bus_message_read(reply, "(sss)", &unit, &kind, &other)) > 0) {
        struct boot_edge edge = {find_unit(boot, unit), find_unit(boot, other), known_kind(kind)};
        if (edge.unit == NOBODY || edge.other == NOBODY || !edge.kind)
            continue;
        struct boot_edge *edges =
            reallocarray(boot->edges, boot->edge_count + 1, sizeof(*boot->edges));
        if (!edges)
            return -ENOMEM;
        boot->edges = edges;
        edges[boot->edge_count++] = edge;
    }
    return result < 0 ? result : 0;
}

/* ---- the longest chain ---- */

/* Whoever was the last to end before a unit went on is whom it waited for. */
static void find_waits(struct boot *boot) {
    for (size_t i = 0; i < boot->edge_count; i++) {
        const struct boot_edge *edge = &boot->edges[i];
        struct boot_unit *unit = &boot->units[edge->unit];
        const struct boot_unit *other = &boot->units[edge->other];
        if (boot_unit_awaits(boot, unit, unit->building) || unit->fate == FATE_INVALID ||
            other->fate == FATE_OPEN || other->ended > unit->building ||
            other->ended < unit->waiting)
            continue;
        if (unit->waited_for == NOBODY || other->ended > boot->units[unit->waited_for].ended)
            unit->waited_for = edge->other;
    }
}

static size_t last_unit(const struct boot *boot) {
    size_t last = NOBODY;
    for (size_t i = 0; i < boot->count; i++)
        if (boot->units[i].fate != FATE_OPEN && boot->units[i].fate != FATE_INVALID &&
            (last == NOBODY || boot->units[i].ended > boot->units[last].ended))
            last = i;
    return last;
}

/* Each ended before the next began, so that a chain is no longer than there are units; times that
 * are equal all the way round are cut by the mark. */
static int find_chain(struct boot *boot) {
    boot->chain = calloc(boot->count + 1, sizeof(*boot->chain));
    if (!boot->chain)
        return -ENOMEM;
    size_t next = last_unit(boot);
    while (next != NOBODY && !boot->units[next].critical) {
        boot->units[next].critical = true;
        boot->chain[boot->chain_length++] = next;
        next = boot->units[next].waited_for;
    }
    return 0;
}

int boot_read(sd_bus *bus, const struct views *views, struct boot *ret_boot, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *times = NULL, *edges = NULL;
    scoped_boot struct boot boot = {0};
    int code = client_call(bus, "Boot", &times, fault, NULL);
    if (code == EXIT_OK)
        code = client_call(bus, "ListDependencies", &edges, fault, NULL);
    if (code != EXIT_OK)
        return code;
    int error = read_stages(&boot, times);
    if (error >= 0)
        error = read_units(&boot, views, times);
    if (boot.ended < boot.begun)
        boot.ended = boot.begun;
    settle_shown(&boot);
    if (error >= 0) {
        qsort(boot.units, boot.count, sizeof(*boot.units), compare_units);
        error = read_edges(&boot, edges);
    }
    if (error < 0)
        return client_broken(error, fault);
    find_waits(&boot);
    if (find_chain(&boot) < 0)
        return client_broken(-ENOMEM, fault);
    *ret_boot = boot;
    boot = (struct boot){0};
    return EXIT_OK;
}

void boot_free(struct boot *boot) {
    for (size_t i = 0; i < boot->stage_count; i++) {
        free(boot->stages[i].name);
        free(boot->stages[i].outcome);
        free(boot->stages[i].words);
    }
    free(boot->stages);
    free(boot->units);
    free(boot->edges);
    free(boot->chain);
}

/* ---- words that all ways to show it share ---- */

void boot_short_name(const char *name, size_t most, char ret_name[static BOOT_NAME_MAX]) {
    size_t length = strlen(name), tail = most / 2;
    if (length <= most)
        snprintf(ret_name, BOOT_NAME_MAX, "%s", name);
    else
        snprintf(ret_name, BOOT_NAME_MAX, "%.*s…%s", (int)(most - tail - 1), name,
                 name + length - tail);
}

uint64_t boot_part_time(const struct boot *boot, enum boot_part part) {
    uint64_t begun = UINT64_MAX, ended = 0;
    for (size_t i = 0; i < boot->stage_count; i++) {
        const struct boot_stage *stage = &boot->stages[i];
        if (stage->part != part)
            continue;
        begun = stage->begun < begun ? stage->begun : begun;
        ended = stage->ended > ended ? stage->ended : ended;
    }
    return ended > begun ? ended - begun : 0;
}

void boot_duration(struct text *text, uint64_t usec) {
    uint64_t tenths = (usec + 50000) / 100000; /* 59.96 s more than a minute are two */
    if (usec < 10000)
        text_format(text, "%.1fms", (double)usec / 1e3);
    else if (usec < USEC_PER_SEC)
        text_format(text, "%" PRIu64 "ms", usec / 1000);
    else if (usec < 60 * USEC_PER_SEC)
        text_format(text, "%.3fs", (double)usec / 1e6);
    else if (tenths >= 36000)
        text_format(text, "%" PRIu64 "h %" PRIu64 "min", tenths / 36000, tenths / 600 % 60);
    else
        text_format(text, "%" PRIu64 "min %.1fs", tenths / 600, (double)(tenths % 600) / 10);
}

static void add_part(struct text *text, const char *name, uint64_t usec) {
    text_format(text, "%s%s ", text->length && text->data[text->length - 1] != ' ' ? ", " : "",
                name);
    boot_duration(text, usec);
}

static void add_bad(struct text *text, size_t count, const char *noun, const char *words) {
    if (count)
        text_format(text, ", %zu %s%s %s", count, noun, count == 1 ? "" : "s", words);
}

static void add_headline(const struct boot *boot, struct text *text) {
    size_t steps = 0;
    for (size_t i = 0; i < boot->stage_count; i++)
        steps += boot_stage_failed(&boot->stages[i]);
    if (boot->early)
        text_add(text, "in early boot");
    else if (boot->open)
        text_format(text, "coming up, %zu unit%s not ready", boot->open,
                    boot->open == 1 ? " is" : "s are");
    else
        text_add(text, "up in ");
    if (!boot->early && !boot->open)
        boot_duration(text, boot->ended);
    add_bad(text, boot->failed, "unit", "failed");
    add_bad(text, boot->invalid, "unit", boot->invalid == 1 ? "is invalid" : "are invalid");
    add_bad(text, steps, "early step", "failed");
}

/* What no other part has is the manager's: before its first step, and from the last one to the
 * units. */
void boot_summary(const struct boot *boot, struct text *text) {
    uint64_t steps = boot_part_time(boot, PART_STEP), known = steps;
    add_headline(boot, text);
    text_add(text, ": ");
    for (size_t i = 0; i < boot->stage_count; i++) {
        const struct boot_stage *stage = &boot->stages[i];
        if (stage->part == PART_STEP)
            continue;
        add_part(text, stage->name, stage->ended - stage->begun);
        known += stage->ended - stage->begun;
    }
    if (steps)
        add_part(text, "early boot", steps);
    add_part(text, "manager", boot->begun > known ? boot->begun - known : 0);
    if (!boot->early)
        add_part(text, "units", boot->ended - boot->begun);
}
