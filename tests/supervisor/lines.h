#pragma once
/* Several units in a line each, for the tests of jobs and dependencies. */

#include "tests/supervisor/script.h"

static struct fake_plan special;
static const char *special_name = "";

static void choose_special(const char *name, struct fake_plan *ret_plan) {
    *ret_plan = strcmp(name, special_name) == 0 ? special : plan;
}

static void add_all(struct strings *list, char *words) {
    for (char *word; (word = strsep(&words, ","));)
        if (*word)
            fake_add(list, word);
}

/* "binds=db,cache" */
static void add_relation(struct unit *unit, char *words) {
    struct dependencies *all = &unit->dependencies;
    const struct {
        const char *word;
        struct strings *list;
    } kinds[] = {
        {"before", &all->before},      {"binds", &all->binds_to},
        {"part", &all->part_of},       {"conflicts", &all->conflicts},
        {"failure", &all->on_failure}, {"if", &unit->condition_path_exists},
    };
    const char *kind = strsep(&words, "=");
    if (strcmp(kind, "alias") == 0)
        unit->install.alias = strdup(words);
    for (size_t i = 0; i < ELEMENTS(kinds); i++)
        if (strcmp(kinds[i].word, kind) == 0)
            add_all(kinds[i].list, words);
}

/* "name" or "name:requires,requires;wants;after" with every part optional, then further relations;
 * "+name" is a group. */
static struct unit *written(const char *line) {
    char text[256];
    snprintf(text, sizeof(text), "%s", line);
    char *relations = text;
    char *rest = strsep(&relations, " ");
    char *name = strsep(&rest, ":");
    bool group = name[0] == '+';
    struct unit *unit = fake_unit(name + group, group ? SERVICE_GROUP : SERVICE_EXEC);
    struct strings *const lists[] = {&unit->dependencies.requires, &unit->dependencies.wants,
                                     &unit->dependencies.after};
    for (size_t i = 0; rest && i < ELEMENTS(lists); i++)
        add_all(lists[i], strsep(&rest, ";"));
    for (char *word; (word = strsep(&relations, " "));)
        add_relation(unit, word);
    return unit;
}

static void world(const char *const *lines) {
    fake_open(1);
    plan = special = good();
    fake_choose = choose_special;
    for (; *lines; lines++)
        fake_set(written(*lines));
    fake_apply();
}

#define WORLD(...) world((const char *const[]){__VA_ARGS__, NULL})

static enum service_state state(const char *name) {
    return fake_service(name)->state;
}

/* The order in which services became ready or down. */
static char order[512];

static inline void note_order(struct service *service, enum service_state before) {
    (void)before;
    if (service->state == SERVICE_READY || service->state == SERVICE_STOPPED)
        snprintf(order + strlen(order), sizeof(order) - strlen(order), "%s%s ",
                 service->state == SERVICE_READY ? "+" : "-", service->name);
}
