#pragma once
/* Who waits for whom: the names in the unit files as edges between services. */

#include <stdbool.h>
#include <stddef.h>

struct manager;
struct service;
struct text;
struct unit;

enum edge_kind {
    EDGE_REQUIRES = 1, /* it must be ready; stop and restart by command follow it */
    EDGE_WANTS = 2,    /* it should be ready */
    EDGE_ORDER = 4,    /* after, before */
    EDGE_SHARES = 8,   /* lives in its namespaces; implies requires */
    EDGE_BINDS = 16,   /* stops when it dies on its own; implies requires */
    /* Of ties, which order nothing: */
    EDGE_FOLLOWS = 32,   /* is part of this one: stop and restart by command follow */
    EDGE_CONFLICTS = 64, /* on both sides: the start of one stops the other */
    EDGE_RESCUES = 128,  /* is started when this one has failed */
};

struct edge {
    struct service *other; /* NULL: there is no such unit */
    const char *name;      /* of the unit that it is about; the unit's own string */
    unsigned kinds;        /* of enum edge_kind */
};

/* One edge for each service: a second reason adds its kind to the first. */
struct edges {
    struct edge *items;
    size_t count, capacity;
};

/* Units came, went or changed: edges and second names are made anew before they are used. */
void graph_spoil(struct manager *manager);
/* Makes all edges anew where they are spoilt, in time that grows with their number alone; instances
 * of templates that are named anywhere come into being. */
void graph_refresh(struct manager *manager);
void edges_free(struct edges *edges);

/* Whether a start of the unit is one of the service too, by what its file says. */
bool graph_is_pulled(const struct unit *unit, const struct service *other);

/* The service of which this is the second name (install.alias); NULL. */
struct service *graph_find_alias(struct manager *manager, const char *alias);

/* Appends the shortest way from a service over what it needs back to itself ("a -> b -> a"), by
 * services alone for which `counts` is true; false where there is none. A set of units has no such
 * ways, but a unit that still runs by its old file may stand beside new ones. */
bool graph_print_circle(struct service *service, bool (*counts)(const struct service *service),
                        struct text *text);
