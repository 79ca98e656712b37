#include <errno.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/base/text.h"
#include "units/draft.h"
#include "units/kinds.h"

/* Who starts after whom, as a graph: an edge from a unit to each that must be ready before it.
 * Cycles are the strongly connected components of more than one unit (Tarjan 1972), found with a
 * stack of our own. */

#define SEARCHES_MAX 100 /* for the nearest name to one that is unknown */
#define CYCLE_SHOWN 200  /* names of one cycle; what is longer is cut in the middle */

struct edge {
    uint32_t from, to;
    uint32_t next;   /* number of the next edge of the same unit + 1; 0: none */
    uint32_t member; /* offset in struct unit of the key that says so */
    uint32_t by;     /* the unit whose key it is */
};

struct vertex {
    struct draft *draft;
    uint32_t edges; /* number of the first edge + 1 */
    uint32_t index, lowest, component;
    uint32_t walked; /* number of the edge to follow next + 1 */
    uint32_t from;   /* of the search for a shortest cycle: the edge that led here + 1 */
    bool on_stack, told;
};

struct alias {
    const char *name;
    struct vertex *vertex;
};

struct graph {
    struct vertex *vertices;
    size_t count;
    struct alias *aliases; /* sorted by name */
    size_t alias_count;
    struct edge *edges;
    size_t edge_count;
    uint32_t *stack; /* of vertices */
    uint32_t *path;  /* of vertices: the walk, then the queue */
    const struct manager_settings *settings;
    size_t searches; /* for a nearest name: each looks at all units */
};

/* ---- names to numbers ---- */

static int compare(const void *name, const void *vertex) {
    return strcmp(name, ((const struct vertex *)vertex)->draft->name);
}

static struct vertex *find_exact(const struct graph *graph, const char *name) {
    return bsearch(name, graph->vertices, graph->count, sizeof(*graph->vertices), compare);
}

static int compare_alias(const void *name, const void *alias) {
    return strcmp(name, ((const struct alias *)alias)->name);
}

/* By its name or its second one. */
static struct vertex *find(const struct graph *graph, const char *name) {
    struct vertex *vertex = find_exact(graph, name);
    if (vertex || graph->alias_count == 0)
        return vertex;
    const struct alias *alias =
        bsearch(name, graph->aliases, graph->alias_count, sizeof(*graph->aliases), compare_alias);
    return alias ? alias->vertex : NULL;
}

static int compare_aliases(const void *left, const void *right) {
    return strcmp(((const struct alias *)left)->name, ((const struct alias *)right)->name);
}

static void complain_alias(struct vertex *vertex, const char *format, const char *name) {
    if (!vertex->draft->loaded_before)
        draft_complain(vertex->draft, offsetof(struct unit, install.alias), format, name);
}

/* A name is one unit's alone. */
static void check_aliases(struct graph *graph) {
    for (size_t i = 0; i < graph->alias_count; i++) {
        const struct alias *alias = &graph->aliases[i];
        const struct vertex *named = find_exact(graph, alias->name);
        if (named == alias->vertex)
            complain_alias(alias->vertex, "\"%s\" is the unit's own name", alias->name);
        else if (named)
            complain_alias(alias->vertex, "there is a unit \"%s\" already", alias->name);
        if (i == 0 || compare_aliases(alias, alias - 1) != 0)
            continue;
        complain_alias(alias->vertex, "it is the alias of \"%s\" too",
                       alias[-1].vertex->draft->name);
        complain_alias(alias[-1].vertex, "it is the alias of \"%s\" too",
                       alias->vertex->draft->name);
    }
}

static bool has_alias(const struct vertex *vertex) {
    return vertex->draft->unit && vertex->draft->condition != UNIT_TEMPLATE &&
           vertex->draft->unit->install.alias;
}

static int collect_aliases(struct graph *graph) {
    size_t count = 0;
    for (size_t i = 0; i < graph->count; i++)
        count += has_alias(&graph->vertices[i]);
    if (count == 0)
        return 0;
    graph->aliases = calloc(count, sizeof(*graph->aliases));
    if (!graph->aliases)
        return -ENOMEM;
    for (size_t i = 0; i < graph->count; i++)
        if (has_alias(&graph->vertices[i]))
            graph->aliases[graph->alias_count++] =
                (struct alias){graph->vertices[i].draft->unit->install.alias, &graph->vertices[i]};
    qsort(graph->aliases, count, sizeof(*graph->aliases), compare_aliases);
    check_aliases(graph);
    return 0;
}

/* Units only: a template cannot be depended on. */
static bool is_unit(const struct vertex *vertex) {
    return vertex && vertex->draft->condition != UNIT_TEMPLATE;
}

/* NULL where none is near, or enough have been looked for. */
static const char *nearest_unit(struct graph *graph, const char *name) {
    if (graph->searches++ >= SEARCHES_MAX)
        return NULL;
    scoped_free const char **names = calloc(graph->count + 1, sizeof(*names));
    if (!names)
        return NULL;
    for (size_t i = 0; i < graph->count; i++)
        names[i] = is_unit(&graph->vertices[i]) ? graph->vertices[i].draft->name : NULL;
    names[graph->count] = graph->settings->boot_target;
    return names_nearest(name, names, graph->count + 1);
}

static void complain_unknown(struct graph *graph, struct draft *draft, size_t member,
                             const char *name) {
    const char *nearest = nearest_unit(graph, name);
    if (nearest)
        draft_complain(draft, member, "there is no unit \"%s\"; did you mean \"%s\"?", name,
                       nearest);
    else
        draft_complain(draft, member, "there is no unit \"%s\"", name);
}

static int edge_add(struct graph *graph, size_t from, size_t to, size_t member, size_t by) {
    if ((graph->edge_count & (graph->edge_count - 1)) == 0) {
        size_t capacity = graph->edge_count ? graph->edge_count * 2 : 64;
        struct edge *edges = reallocarray(graph->edges, capacity, sizeof(*edges));
        if (!edges)
            return -ENOMEM;
        graph->edges = edges;
    }
    graph->edges[graph->edge_count++] = (struct edge){
        .from = (uint32_t)from,
        .to = (uint32_t)to,
        .next = graph->vertices[from].edges,
        .member = (uint32_t)member,
        .by = (uint32_t)by,
    };
    graph->vertices[from].edges = (uint32_t)graph->edge_count;
    return 0;
}

enum direction { NO_ORDER, THEY_FIRST, WE_FIRST };

/* One name in a list of a unit. */
static int depend(struct graph *graph, size_t number, size_t member, const char *name,
                  enum direction direction, bool must) {
    struct draft *draft = graph->vertices[number].draft;
    struct vertex *other = find(graph, name);
    /* A dependency that another key implies is complained about there. */
    bool silent = draft->loaded_before || !draft_gave(draft, member);
    if (!is_unit(other)) {
        if (!silent)
            complain_unknown(graph, draft, member, name);
        return 0;
    }
    size_t to = (size_t)(other - graph->vertices);
    if (to == number) {
        if (!silent)
            draft_complain(draft, member, "the unit names itself");
        return 0;
    }
    if (other->draft->condition == UNIT_MASKED) {
        if (must && !silent)
            draft_complain(draft, member, "the unit \"%s\" is masked", name);
        return 0;
    }
    if (direction == THEY_FIRST)
        return edge_add(graph, number, to, member, number);
    return direction == WE_FIRST ? edge_add(graph, to, number, member, number) : 0;
}

struct relation {
    size_t member;
    enum direction direction;
    bool must;
};

#define DEPENDENCY(list) offsetof(struct unit, dependencies.list)
static const struct relation relations[] = {
    {DEPENDENCY(requires), THEY_FIRST, true}, {DEPENDENCY(wants), THEY_FIRST, false},
    {DEPENDENCY(binds_to), THEY_FIRST, true}, {DEPENDENCY(after), THEY_FIRST, false},
    {DEPENDENCY(before), WE_FIRST, false},    {DEPENDENCY(part_of), NO_ORDER, false},
    {DEPENDENCY(conflicts), NO_ORDER, false}, {DEPENDENCY(on_failure), NO_ORDER, false},
};

/* What must be up with a unit cannot be what must be down. */
static void check_conflicts(struct graph *graph, struct draft *draft) {
    const struct dependencies *all = &draft->unit->dependencies;
    const struct strings *const lists[] = {&all->requires, &all->binds_to};
    for (size_t i = 0; i < all->conflicts.count && !draft->loaded_before; i++) {
        const struct vertex *other = find(graph, all->conflicts.items[i]);
        for (size_t list = 0; list < ELEMENTS(lists); list++)
            for (size_t k = 0; other && k < lists[list]->count; k++)
                if (find(graph, lists[list]->items[k]) == other)
                    draft_complain(draft, offsetof(struct unit, dependencies.conflicts),
                                   "the unit requires \"%s\" too", other->draft->name);
    }
}

/* Its namespaces come into being with its first connection, and go when it is idle. */
static void refuse_lazy(struct graph *graph, size_t number, size_t member, const char *name) {
    struct draft *draft = graph->vertices[number].draft;
    const struct vertex *other = find(graph, name);
    char title[64];
    if (!is_unit(other) || !other->draft->unit || draft->loaded_before ||
        !draft_gave(draft, member) || !other->draft->unit->container.network.sockets_lazy)
        return;
    draft_complain(
        draft, member, "\"%s\" has no namespaces to share until it is asked for (%s)", name,
        key_title(offsetof(struct unit, container.network.sockets_lazy), title, sizeof(title)));
}

static int unit_relate(struct graph *graph, size_t number) {
    const struct unit *unit = graph->vertices[number].draft->unit;
    int error = 0;
    for (size_t i = 0; i < ELEMENTS(relations); i++) {
        const struct strings *list = (const void *)((const char *)unit + relations[i].member);
        for (size_t k = 0; k < list->count && !error; k++)
            error = depend(graph, number, relations[i].member, list->items[k],
                           relations[i].direction, relations[i].must);
    }
    for (size_t kind = 0; kind < NAMESPACE_KINDS && !error; kind++) {
        const struct namespace_choice *choice = &unit->container.namespaces.choices[kind];
        size_t member = offsetof(struct unit, container.namespaces.choices[kind]);
        if (choice->mode != NAMESPACE_UNIT)
            continue;
        refuse_lazy(graph, number, member, choice->name);
        error = depend(graph, number, member, choice->name, THEY_FIRST, true);
    }
    check_conflicts(graph, graph->vertices[number].draft);
    return error;
}

static bool is_listed(const struct strings *strings, const char *name) {
    for (size_t i = 0; i < strings->count; i++)
        if (strcmp(strings->items[i], name) == 0)
            return true;
    return false;
}

/* What a unit says of who wants it stands in that one's wants, as if it had said so itself. */
static int want(struct graph *graph, struct vertex *wanting, size_t number) {
    struct strings *wants = &wanting->draft->unit->dependencies.wants;
    const char *name = graph->vertices[number].draft->name;
    if (is_listed(wants, name))
        return 0;
    int error = strings_add(wants, name);
    return error ? error
                 : edge_add(graph, (size_t)(wanting - graph->vertices), number,
                            offsetof(struct unit, install.wanted_by), number);
}

/* The boot target may be a name alone: then it is all that wants to be started by it. */
static int unit_be_wanted(struct graph *graph, size_t number) {
    struct draft *draft = graph->vertices[number].draft;
    const struct install *install = &draft->unit->install;
    int error = 0;
    for (size_t i = 0; i < install->wanted_by.count && !draft->loaded_before && !error; i++) {
        const char *name = install->wanted_by.items[i];
        struct vertex *wanting = find(graph, name);
        bool boot =
            strcmp(name, graph->settings->boot_target) == 0 || strcmp(name, UNIT_BOOT_TARGET) == 0;
        if (!is_unit(wanting) && !boot)
            complain_unknown(graph, draft, offsetof(struct unit, install.wanted_by), name);
        /* A unit that was loaded before is in use, and does not change any more. */
        else if (is_unit(wanting) && wanting->draft->unit && !wanting->draft->loaded_before &&
                 wanting != &graph->vertices[number] && install->enabled &&
                 !unit_has_timer(draft->unit))
            error = want(graph, wanting, number);
    }
    return error;
}

static int graph_relate(struct graph *graph) {
    int (*const passes[])(struct graph *, size_t) = {unit_relate, unit_be_wanted};
    int error = 0;
    for (size_t pass = 0; pass < ELEMENTS(passes); pass++)
        for (size_t i = 0; i < graph->count && !error; i++)
            if (graph->vertices[i].draft->unit &&
                graph->vertices[i].draft->condition != UNIT_TEMPLATE)
                error = passes[pass](graph, i);
    return error;
}

/* ---- cycles ---- */

static void component_close(struct graph *graph, uint32_t root, size_t *stacked) {
    uint32_t number;
    do {
        number = graph->stack[--*stacked];
        graph->vertices[number].on_stack = false;
        graph->vertices[number].component = root + 1;
    } while (number != root);
}

/* Tarjan's walk from one vertex. */
static void walk(struct graph *graph, uint32_t start, uint32_t *index, size_t *stacked) {
    size_t depth = 0;
    graph->path[depth++] = start;
    while (depth > 0) {
        uint32_t number = graph->path[depth - 1];
        struct vertex *vertex = &graph->vertices[number];
        if (vertex->index == 0) {
            vertex->index = vertex->lowest = ++*index;
            vertex->walked = vertex->edges;
            vertex->on_stack = true;
            graph->stack[(*stacked)++] = number;
        }
        if (vertex->walked) {
            const struct edge *edge = &graph->edges[vertex->walked - 1];
            struct vertex *other = &graph->vertices[edge->to];
            if (other->index == 0) {
                graph->path[depth++] = edge->to;
                continue; /* and come back to this edge, to learn what was found */
            }
            if (other->on_stack && other->lowest < vertex->lowest)
                vertex->lowest = other->lowest;
            vertex->walked = edge->next;
            continue;
        }
        if (vertex->lowest == vertex->index)
            component_close(graph, number, stacked);
        depth--;
    }
}

/* The shortest way from a vertex back to itself inside its component; the edge that closes it. */
static uint32_t closing_edge(struct graph *graph, uint32_t start) {
    size_t head = 0, tail = 0;
    for (size_t i = 0; i < graph->count; i++)
        graph->vertices[i].from = 0;
    graph->path[tail++] = start;
    while (head < tail) {
        uint32_t number = graph->path[head++];
        for (uint32_t e = graph->vertices[number].edges; e; e = graph->edges[e - 1].next) {
            struct vertex *other = &graph->vertices[graph->edges[e - 1].to];
            if (graph->edges[e - 1].to == start)
                return e;
            if (other->component != graph->vertices[start].component || other->from)
                continue;
            other->from = e;
            graph->path[tail++] = graph->edges[e - 1].to;
        }
    }
    return 0;
}

/* "a -> b -> c -> a", where each waits for the next. `length` names stand in graph->stack. */
static void cycle_print(const struct graph *graph, size_t length, size_t first, struct text *text) {
    for (size_t i = 0; i <= length; i++) {
        if (length > CYCLE_SHOWN && i == CYCLE_SHOWN / 2) {
            text_format(text, " -> (%zu more)", length - CYCLE_SHOWN);
            i += length - CYCLE_SHOWN;
        }
        const struct vertex *vertex = &graph->vertices[graph->stack[(first + i) % length]];
        text_format(text, "%s%s", i ? " -> " : "", vertex->draft->name);
    }
}

static void cycle_complain(struct graph *graph, uint32_t number, const struct edge *edge,
                           const char *cycle) {
    struct vertex *vertex = &graph->vertices[number];
    vertex->told = true;
    if (vertex->draft->loaded_before)
        return;
    /* Where the other one said `before`, there is no key of this unit to show. */
    if (edge->by == number)
        draft_complain(vertex->draft, edge->member, "dependencies go round in a circle: %s", cycle);
    else
        complain(&vertex->draft->complaints, vertex->draft->path, 0, 0, NULL,
                 "dependencies go round in a circle: %s", cycle);
}

/* Names one shortest cycle through `start` to every unit that lies on it. */
static int cycle_tell(struct graph *graph, uint32_t start) {
    uint32_t edge = closing_edge(graph, start);
    size_t length = 0;
    if (edge == 0)
        return 0;
    scoped_free uint32_t *edges = calloc(graph->count, sizeof(*edges));
    if (!edges)
        return -ENOMEM;
    /* Backwards from the edge that closes it, then turned round. */
    for (;; edge = graph->vertices[graph->edges[edge - 1].from].from) {
        edges[length++] = edge;
        if (graph->edges[edge - 1].from == start)
            break;
    }
    for (size_t i = 0; i < length; i++)
        graph->stack[i] = graph->edges[edges[length - 1 - i] - 1].from;
    for (size_t i = 0; i < length; i++) {
        scoped_text struct text cycle = {0};
        cycle_print(graph, length, i, &cycle);
        if (cycle.failed)
            return -ENOMEM;
        cycle_complain(graph, graph->stack[i], &graph->edges[edges[length - 1 - i] - 1],
                       cycle.data);
    }
    return 0;
}

static int cycles_tell(struct graph *graph) {
    uint32_t index = 0;
    size_t stacked = 0;
    scoped_free uint32_t *sizes = calloc(graph->count + 1, sizeof(*sizes));
    if (!sizes)
        return -ENOMEM;
    for (uint32_t i = 0; i < graph->count; i++)
        if (graph->vertices[i].index == 0)
            walk(graph, i, &index, &stacked);
    for (uint32_t i = 0; i < graph->count; i++)
        sizes[graph->vertices[i].component]++;
    int error = 0;
    for (uint32_t i = 0; i < graph->count && !error; i++)
        if (sizes[graph->vertices[i].component] > 1 && !graph->vertices[i].told)
            error = cycle_tell(graph, i);
    return error;
}

int drafts_order(struct draft *const *drafts, size_t count, const struct manager_settings *settings,
                 struct fault *fault) {
    struct graph graph = {
        .count = count,
        .settings = settings,
        .vertices = calloc(count + 1, sizeof(*graph.vertices)),
        .stack = calloc(count + 1, sizeof(*graph.stack)),
        .path = calloc(count + 1, sizeof(*graph.path)),
    };
    int error = graph.vertices && graph.stack && graph.path ? 0 : -ENOMEM;
    for (size_t i = 0; i < count && !error; i++)
        graph.vertices[i].draft = drafts[i];
    if (!error)
        error = collect_aliases(&graph);
    if (!error)
        error = graph_relate(&graph);
    if (!error)
        error = cycles_tell(&graph);
    free(graph.vertices);
    free(graph.aliases);
    free(graph.stack);
    free(graph.path);
    free(graph.edges);
    return error ? fault_set(fault, error, "cannot order the units") : 0;
}
