#include "supervisor/graph.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/job.h"
#include "supervisor/log.h"

void edges_free(struct edges *edges) {
    free(edges->items);
    *edges = (struct edges){0};
}

static struct edge *find(struct edges *edges, const char *name) {
    for (size_t i = 0; i < edges->count; i++)
        if (strcmp(edges->items[i].name, name) == 0)
            return &edges->items[i];
    return NULL;
}

static bool append(struct edges *edges, struct edge edge) {
    if (edges->count == edges->capacity) {
        size_t capacity = edges->capacity ? edges->capacity * 2 : 4;
        struct edge *items = realloc(edges->items, capacity * sizeof(*items));
        if (!items)
            return false;
        edges->items = items;
        edges->capacity = capacity;
    }
    edges->items[edges->count++] = edge;
    return true;
}

/* from needs to; to may be missing, which only a requirement minds. One edge for each pair: a
 * second reason adds its kind to the first. */
static void connect(struct service *from, struct service *to, const char *name, unsigned kinds) {
    if (from == to || (!to && !(kinds & EDGE_REQUIRES)))
        return;
    struct edge *there = find(&from->private->needs, name);
    if (there) {
        there->kinds |= kinds;
        if (to)
            find(&to->private->needed_by, from->name)->kinds |= kinds;
        return;
    }
    if ((to && !append(&to->private->needed_by, (struct edge){from, from->name, kinds})) ||
        !append(&from->private->needs, (struct edge){to, name, kinds}))
        log_line(LEVEL_ERROR, "%s: no memory for its dependency on %s", from->name, name);
}

typedef void (*name_visitor)(struct service *service, const char *name, unsigned kinds,
                             bool reverse);

static void visit_names(struct service *service, name_visitor visit) {
    const struct unit *unit = service->unit;
    const struct {
        const struct strings *names;
        unsigned kinds;
        bool reverse;
    } lists[] = {
        {&unit->dependencies.requires, EDGE_REQUIRES, false},
        {&unit->dependencies.wants, EDGE_WANTS, false},
        {&unit->dependencies.after, EDGE_ORDER, false},
        {&unit->dependencies.before, EDGE_ORDER, true},
    };
    for (size_t list = 0; list < sizeof(lists) / sizeof(lists[0]); list++)
        for (size_t i = 0; i < lists[list].names->count; i++)
            visit(service, lists[list].names->items[i], lists[list].kinds, lists[list].reverse);
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        const struct namespace_choice *choice = &unit->container.namespaces.choices[kind];
        if (choice->mode == NAMESPACE_UNIT && choice->name)
            visit(service, choice->name, EDGE_REQUIRES | EDGE_SHARES, false);
    }
}

/* What a unit pulls in may be an instance that nobody asked for before; what it is only ordered
 * against is not brought into being. */
static void instantiate(struct service *service, const char *name, unsigned kinds, bool reverse) {
    (void)reverse;
    if (kinds & (EDGE_REQUIRES | EDGE_WANTS))
        manager_find(service->manager, name);
}

static void link_named(struct service *service, const char *name, unsigned kinds, bool reverse) {
    struct service *other = manager_lookup(service->manager, name);
    if (!reverse)
        connect(service, other, other ? other->name : name, kinds);
    else if (other)
        connect(other, service, service->name, kinds);
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
        }
        list_for_each(service, &manager->services, link) {
            if (service->unit)
                visit_names(service, link_named);
        }
        list_for_each(service, &manager->services, link) {
            job_touch(service); /* what it waited for may not be what it waits for now */
        }
    }
}
