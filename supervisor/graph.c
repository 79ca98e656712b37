#include "supervisor/graph.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/seeded.h"
#include "units/base/text.h"

void edges_free(struct edges *edges) {
    free(edges->items);
    *edges = (struct edges){0};
}

static bool append(struct edges *edges, struct edge edge) {
    if (edges->count == edges->capacity) {
        size_t capacity = edges->capacity ? edges->capacity * 2 : 4;
        struct edge *items = realloc(edges->items, capacity * sizeof(*items));
        if (!items) {
            log_line(LEVEL_ERROR, "no memory for the dependency on %s", edge.name);
            return false;
        }
        edges->items = items;
        edges->capacity = capacity;
    }
    edges->items[edges->count++] = edge;
    return true;
}

/* ---- what the files name ---- */

/* Which way a name in a list makes an edge. */
enum direction {
    NEEDS,     /* this one waits for the one named */
    IS_NEEDED, /* the one named waits for this one */
    TIES,      /* no order; kept with this one */
    IS_TIED,   /* no order; kept with the one named */
    TIES_BOTH,
};

typedef void (*name_visitor)(struct service *service, const char *name, unsigned kinds,
                             enum direction direction);

static void visit_names(struct service *service, name_visitor visit) {
    const struct unit *unit = service->unit;
    const struct dependencies *all = &unit->dependencies;
    const struct {
        const struct strings *names;
        unsigned kinds;
        enum direction direction;
    } lists[] = {
        {&all->requires, EDGE_REQUIRES, NEEDS},
        {&all->binds_to, EDGE_REQUIRES | EDGE_BINDS, NEEDS},
        {&all->wants, EDGE_WANTS, NEEDS},
        {&all->after, EDGE_ORDER, NEEDS},
        {&all->before, EDGE_ORDER, IS_NEEDED},
        {&all->part_of, EDGE_FOLLOWS, IS_TIED},
        {&all->conflicts, EDGE_CONFLICTS, TIES_BOTH},
        {&all->on_failure, EDGE_RESCUES, TIES},
    };
    for (size_t list = 0; list < sizeof(lists) / sizeof(lists[0]); list++)
        for (size_t i = 0; i < lists[list].names->count; i++)
            visit(service, lists[list].names->items[i], lists[list].kinds, lists[list].direction);
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        const struct namespace_choice *choice = &unit->container.namespaces.choices[kind];
        if (choice->mode == NAMESPACE_UNIT && choice->name)
            visit(service, choice->name, EDGE_REQUIRES | EDGE_SHARES, NEEDS);
    }
}

static bool is_named(const struct strings *names, const struct service *other) {
    const char *alias = other->unit ? other->unit->install.alias : NULL;
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], other->name) == 0 ||
            (alias && strcmp(names->items[i], alias) == 0))
            return true;
    return false;
}

bool graph_is_pulled(const struct unit *unit, const struct service *other) {
    const struct dependencies *all = &unit->dependencies;
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        const struct namespace_choice *choice = &unit->container.namespaces.choices[kind];
        if (choice->mode == NAMESPACE_UNIT && choice->name &&
            strcmp(choice->name, other->name) == 0)
            return true;
    }
    return is_named(&all->requires, other) || is_named(&all->binds_to, other) ||
           is_named(&all->wants, other);
}

/* What a unit starts may be an instance that nobody asked for before; what it is only ordered
 * against is not brought into being. */
static void instantiate(struct service *service, const char *name, unsigned kinds,
                        enum direction direction) {
    (void)direction;
    if ((kinds & (EDGE_REQUIRES | EDGE_WANTS | EDGE_RESCUES)) && strchr(name, '@'))
        manager_find(service->manager, name);
}

/* What is missing matters to those that require it alone. */
static void connect(struct service *service, const char *name, unsigned kinds,
                    enum direction direction) {
    struct service *other = manager_lookup(service->manager, name);
    if (other == service || (!other && !(kinds & EDGE_REQUIRES)))
        return;
    const struct edge there = {other, other ? other->name : name, kinds};
    const struct edge here = {service, service->name, kinds};
    if (direction == NEEDS)
        append(&service->private->needs, there);
    else if (direction == IS_NEEDED)
        append(&other->private->needs, here);
    if (direction == TIES || direction == TIES_BOTH)
        append(&service->private->ties, there);
    if (direction == IS_TIED || direction == TIES_BOTH)
        append(&other->private->ties, here);
}

/* ---- edges ---- */

/* Several edges to one service become one. */
static void merge(struct manager *manager, struct edges *edges) {
    unsigned mark = ++manager->private->mark;
    size_t kept = 0;
    for (size_t i = 0; i < edges->count; i++) {
        struct service_private *other =
            edges->items[i].other ? edges->items[i].other->private : NULL;
        if (other && other->mark == mark) {
            edges->items[other->place].kinds |= edges->items[i].kinds;
            continue;
        }
        if (other) {
            other->mark = mark;
            other->place = kept;
        }
        edges->items[kept++] = edges->items[i];
    }
    edges->count = kept;
}

static void mirror(struct service *service) {
    const struct edges *needs = &service->private->needs;
    for (size_t i = 0; i < needs->count; i++)
        if (needs->items[i].other)
            append(&needs->items[i].other->private->needed_by,
                   (struct edge){service, service->name, needs->items[i].kinds});
}

/* Takes away, again and again, who needs nobody that is left: what stays lies on circles, or needs
 * what does. */
static void find_circles(struct manager *manager) {
    struct list free_ones;
    struct service *service;
    struct service_private *next;
    size_t left = 0;
    list_init(&free_ones);
    list_for_each(service, &manager->services, link) {
        struct service_private *own = service->private;
        own->place = 0;
        for (size_t i = 0; i < own->needs.count; i++)
            own->place += own->needs.items[i].other != NULL;
        own->circular = own->place > 0;
        left += own->circular;
        if (!own->circular)
            list_append(&free_ones, &own->visit);
    }
    while ((next = list_first(&free_ones, struct service_private, visit))) {
        list_remove(&next->visit);
        for (size_t i = 0; i < next->needed_by.count; i++) {
            struct service_private *other = next->needed_by.items[i].other->private;
            if (--other->place > 0)
                continue;
            other->circular = false;
            left--;
            list_append(&free_ones, &other->visit);
        }
    }
    manager->private->circular = left > 0 && !SEEDED(BLIND);
    manager->private->check_circles = manager->private->circular;
}

void graph_spoil(struct manager *manager) {
    manager->private->graph_stale = true;
    manager->private->aliases_stale = true;
}

void graph_refresh(struct manager *manager) {
    struct manager_private *own = manager->private;
    struct service *service;
    while (own->graph_stale) { /* an instance may name further ones */
        own->graph_stale = false;
        list_for_each(service, &manager->services, link) {
            if (service->unit)
                visit_names(service, instantiate);
        }
        list_for_each(service, &manager->services, link) {
            service->private->needs.count = 0;
            service->private->needed_by.count = 0;
            service->private->ties.count = 0;
        }
        list_for_each(service, &manager->services, link) {
            if (service->unit)
                visit_names(service, connect);
        }
        list_for_each(service, &manager->services, link) {
            merge(manager, &service->private->needs);
            merge(manager, &service->private->ties);
            mirror(service);
            job_touch(service); /* what it waited for may not be what it waits for now */
        }
        find_circles(manager);
    }
}

void manager_visit_dependencies(struct manager *manager, dependency_visitor visitor,
                                void *context) {
    static const struct {
        unsigned kind;
        const char *word;
    } words[] = {
        {EDGE_REQUIRES, "requires"}, {EDGE_BINDS, "binds-to"}, {EDGE_WANTS, "wants"},
        {EDGE_ORDER, "after"},       {EDGE_SHARES, "shares"},
    };
    struct service *service;
    graph_refresh(manager);
    list_for_each(service, &manager->services, link) {
        const struct edges *needs = &service->private->needs;
        for (size_t i = 0; i < needs->count; i++)
            for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
                if (needs->items[i].kinds & words[k].kind)
                    visitor(context, service->name, words[k].word, needs->items[i].name);
    }
}

/* ---- circles ---- */

/* Turns the way that the search came by round, so that it leads from the first to the last. */
static struct service *turn_round(struct service *last) {
    struct service *after = NULL;
    while (last) {
        struct service *before = last->private->came_from;
        last->private->came_from = after;
        after = last;
        last = before;
    }
    return after;
}

static void print_way(struct service *first, struct text *text) {
    for (struct service *next = first; next; next = next->private->came_from)
        text_format(text, "%s -> ", next->name);
    text_add(text, first->name);
}

bool graph_print_circle(struct service *service, bool (*counts)(const struct service *service),
                        struct text *text) {
    struct list worklist;
    struct service_private *next;
    bool found = false;
    unsigned mark = ++service->manager->private->mark;
    list_init(&worklist);
    service->private->came_from = NULL;
    list_append(&worklist, &service->private->visit);
    while ((next = list_first(&worklist, struct service_private, visit))) {
        list_remove(&next->visit);
        for (size_t i = 0; i < next->needs.count && !found; i++) {
            struct service *other = next->needs.items[i].other;
            if (other == service) {
                print_way(turn_round(next->service), text);
                found = true;
            } else if (other && other->private->mark != mark && counts(other)) {
                other->private->mark = mark;
                other->private->came_from = next->service;
                list_append(&worklist, &other->private->visit);
            }
        }
    }
    return found;
}

/* ---- second names ---- */

static int compare_aliases(const void *left, const void *right) {
    const struct alias *one = left, *other = right;
    int order = strcmp(one->name, other->name);
    return order ? order : strcmp(one->service->name, other->service->name);
}

static void collect_aliases(struct manager *manager) {
    struct manager_private *own = manager->private;
    struct service *service;
    size_t count = 0;
    list_for_each(service, &manager->services, link) {
        count += service->unit && service->unit->install.alias;
    }
    free(own->aliases);
    own->aliases = count ? calloc(count, sizeof(*own->aliases)) : NULL;
    own->alias_count = 0;
    if (count && !own->aliases) {
        log_line(LEVEL_ERROR, "no memory for the units' second names");
        return;
    }
    list_for_each(service, &manager->services, link) {
        if (service->unit && service->unit->install.alias)
            own->aliases[own->alias_count++] =
                (struct alias){service->unit->install.alias, service};
    }
    if (count)
        qsort(own->aliases, count, sizeof(*own->aliases), compare_aliases);
}

struct service *graph_find_alias(struct manager *manager, const char *alias) {
    struct manager_private *own = manager->private;
    if (own->aliases_stale) {
        own->aliases_stale = false;
        collect_aliases(manager);
    }
    size_t low = 0, high = own->alias_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(own->aliases[middle].name, alias) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < own->alias_count && strcmp(own->aliases[low].name, alias) == 0;
    return found ? own->aliases[low].service : NULL;
}
