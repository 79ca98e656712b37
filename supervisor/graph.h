#pragma once
/* Who waits for whom: the names in the unit files as edges between services. */

#include <stdbool.h>
#include <stddef.h>

struct manager;
struct service;

enum edge_kind {
    EDGE_REQUIRES = 1, /* it must be ready; stop and restart by command follow it */
    EDGE_WANTS = 2,    /* it should be ready */
    EDGE_ORDER = 4,    /* after, before */
    EDGE_SHARES = 8,   /* lives in its namespaces; implies requires */
};

struct edge {
    struct service *other; /* NULL: there is no such unit */
    const char *name;      /* of the unit that it is about; the unit's own string */
    unsigned kinds;        /* of enum edge_kind */
};

struct edges {
    struct edge *items;
    size_t count, capacity;
};

/* Makes all edges anew where units came, went or changed since; instances of templates that are
 * named anywhere come into being. */
void graph_refresh(struct manager *manager);
void edges_free(struct edges *edges);
