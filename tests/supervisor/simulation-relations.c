#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/supervisor/simulation.h"

#define PATHS 8

static unsigned paths = 0x5a; /* a bit for each that exists */

bool chance(unsigned percent) {
    return fake_random(100) < percent;
}

const char *name_of(size_t number) {
    static char names[4][24]; /* several in one expression */
    static unsigned next;
    char *name = names[next++ % 4];
    snprintf(name, sizeof(names[0]), "s%zu", number);
    return name;
}

/* An instance of the template, which nobody asked for before. */
static const char *instance(void) {
    static char name[16];
    snprintf(name, sizeof(name), "t@%u", (unsigned)fake_random(8));
    return name;
}

/* ---- edges ---- */

/* Here as elsewhere each random number has a statement of its own: in which order arguments are
 * evaluated is the compiler's choice, and a seed is to mean the same life to all of them. */

/* To smaller numbers alone: no circle. */
static void add_ordered(struct dependencies *edges, size_t number) {
    struct strings *const lists[] = {&edges->requires, &edges->wants, &edges->after,
                                     &edges->requires, &edges->wants, &edges->after,
                                     &edges->binds_to};
    for (size_t i = fake_random(4); number > 0 && i > 0; i--) {
        struct strings *list = lists[fake_random(ELEMENTS(lists))];
        fake_add(list, name_of(fake_random(number)));
    }
    if (chance(10))
        fake_add(&edges->before, name_of(number + 1 + fake_random(services - number)));
    if (chance(1))
        fake_add(&edges->requires, "missing");
    if (chance(2)) {
        struct strings *list = chance(50) ? &edges->requires : &edges->wants;
        fake_add(list, instance());
    }
}

static void add_ties(struct dependencies *edges, size_t number) {
    if (number > 0 && chance(5))
        fake_add(&edges->part_of, name_of(fake_random(number)));
    size_t other = fake_random(services);
    if (other != number && chance(4))
        fake_add(&edges->conflicts, name_of(other));
    if (chance(8))
        fake_add(&edges->on_failure, chance(50) ? instance() : name_of(fake_random(services)));
}

/* The units of a real set have none: it stands for what a reload makes beside those that run. */
static void add_circle(struct dependencies *edges, size_t number) {
    struct strings *const lists[] = {&edges->requires, &edges->after, &edges->binds_to};
    if (!chance(1))
        return;
    struct strings *list = lists[fake_random(3)];
    fake_add(list, name_of(number + fake_random(services - number)));
}

static void add_shared(struct unit *unit, size_t number) {
    size_t owner = number > 0 ? fake_random(number) : 0;
    if (may_be_lazy(owner) || unit->service.type == SERVICE_GROUP || !chance(5))
        return;
    unit->container.namespaces.choices[NAMESPACE_NETWORK] =
        (struct namespace_choice){.mode = NAMESPACE_UNIT, .name = strdup(name_of(owner))};
}

/* ---- conditions ---- */

static void add_condition(struct unit *unit) {
    char path[16];
    if (!chance(5))
        return;
    const char *not = chance(50) ? "!" : "";
    snprintf(path, sizeof(path), "%s/%u", not, (unsigned)fake_random(PATHS));
    fake_add(&unit->condition_path_exists, path);
}

bool random_path_exists(const char *path) {
    return paths >> strtoul(path + 1, NULL, 10) & 1;
}

void random_condition(void) {
    paths ^= 1u << fake_random(PATHS);
}

void random_relations(struct unit *unit, size_t number) {
    struct dependencies *edges = &unit->dependencies;
    add_ordered(edges, number);
    add_ties(edges, number);
    add_circle(edges, number);
    add_shared(unit, number);
    add_condition(unit);
    if (chance(3) && asprintf(&unit->install.alias, "alias%zu", number) < 0)
        abort();
    if (chance(2)) {
        char alias[24];
        snprintf(alias, sizeof(alias), "alias%zu", (size_t)fake_random(services));
        fake_add(chance(50) ? &edges->wants : &edges->part_of, alias);
    }
}
