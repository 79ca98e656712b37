#include "supervisor/ctl/tree.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/ctl/output.h"
#include "supervisor/ctl/view.h"

enum {
    CHILD_REQUIRED = 1,
    CHILD_BOUND = 2,
    CHILD_WANTED = 4,
    CHILD_AFTER = 8,
};

struct child {
    struct node *node;
    unsigned kinds;
};

struct node {
    char *name;
    const struct view *view; /* NULL: there is no such unit */
    struct child *children;
    size_t count;
    bool needed; /* somebody requires or wants it */
    bool shown;
};

struct tree {
    struct node *nodes; /* sorted by name; those without a unit follow, as they come */
    size_t count, known, capacity;
};

static void tree_free(struct tree *tree) {
    for (size_t i = 0; i < tree->count; i++) {
        free(tree->nodes[i].name);
        free(tree->nodes[i].children);
    }
    free(tree->nodes);
}
#define scoped_tree __attribute__((cleanup(tree_free)))

/* ---- reading ---- */

static int compare_nodes(const void *left, const void *right) {
    return strcmp(((const struct node *)left)->name, ((const struct node *)right)->name);
}

static int compare_name(const void *name, const void *node) {
    return strcmp(name, ((const struct node *)node)->name);
}

/* Room for all units and for as many that are missing as there may be rows: nodes do not move. */
static int tree_begin(struct tree *tree, const struct views *views, size_t rows) {
    tree->capacity = views->count + rows + 1;
    tree->nodes = calloc(tree->capacity, sizeof(*tree->nodes));
    if (!tree->nodes)
        return -ENOMEM;
    for (; tree->count < views->count; tree->count++) {
        struct node *node = &tree->nodes[tree->count];
        node->view = &views->items[tree->count];
        node->name = strdup(node->view->name);
        if (!node->name)
            return -ENOMEM;
    }
    tree->known = tree->count;
    qsort(tree->nodes, tree->count, sizeof(*tree->nodes), compare_nodes);
    return 0;
}

static struct node *find(const struct tree *tree, const char *name) {
    struct node *node = bsearch(name, tree->nodes, tree->known, sizeof(*tree->nodes), compare_name);
    for (size_t i = tree->known; i < tree->count && !node; i++)
        if (strcmp(tree->nodes[i].name, name) == 0)
            node = &tree->nodes[i];
    return node;
}

static struct node *find_or_add(struct tree *tree, const char *name) {
    struct node *node = find(tree, name);
    if (node || tree->count == tree->capacity)
        return node;
    node = &tree->nodes[tree->count];
    *node = (struct node){.name = strdup(name)};
    tree->count += node->name != NULL;
    return node->name ? node : NULL;
}

static unsigned kind_of(const char *word) {
    return strcmp(word, "requires") == 0   ? CHILD_REQUIRED
           : strcmp(word, "binds-to") == 0 ? CHILD_BOUND
           : strcmp(word, "wants") == 0    ? CHILD_WANTED
           : strcmp(word, "after") == 0    ? CHILD_AFTER
                                           : 0;
}

static int add_child(struct node *node, struct node *other, unsigned kind) {
    /* The rows of a pair follow each other. */
    struct child *last = node->count ? &node->children[node->count - 1] : NULL;
    if (kind != CHILD_AFTER)
        other->needed = true;
    if (last && last->node == other) {
        last->kinds |= kind;
        return 0;
    }
    struct child *children = reallocarray(node->children, node->count + 1, sizeof(*children));
    if (!children)
        return -ENOMEM;
    node->children = children;
    node->children[node->count++] = (struct child){other, kind};
    return 0;
}

static int read_rows(struct tree *tree, const struct views *views, sd_bus_message *reply) {
    const char *unit, *word, *name;
    size_t rows = 0;
    int result = sd_bus_message_enter_container(reply, 'a', "(sss)");
    while (result >= 0 && (result = sd_bus_message_read(reply, "(sss)", &unit, &word, &name)) > 0)
        rows++;
    if (result >= 0)
        result = sd_bus_message_rewind(reply, false);
    if (result >= 0)
        result = tree_begin(tree, views, rows);
    while (result >= 0 && (result = sd_bus_message_read(reply, "(sss)", &unit, &word, &name)) > 0) {
        struct node *node = find(tree, unit), *other = find_or_add(tree, name);
        unsigned kind = kind_of(word);
        if (node && kind)
            result = other ? add_child(node, other, kind) : -ENOMEM;
    }
    return result < 0 ? result : 0;
}

/* ---- the tree ---- */

static bool is_branch(const struct child *child) {
    return child->kinds & (CHILD_REQUIRED | CHILD_BOUND | CHILD_WANTED);
}

static void print_node(const struct tool *tool, const struct node *node, unsigned kinds,
                       struct text *text) {
    const char *state = node->view ? node->view->state : "there is no such unit";
    output_colour(tool, text, COLOUR_BOLD, node->name);
    text_add(text, "  ");
    output_colour(tool, text, node->view ? output_state_colour(state) : COLOUR_BAD, state);
    if (kinds & CHILD_BOUND)
        output_colour(tool, text, COLOUR_DIM, ", bound to");
    else if ((kinds & CHILD_WANTED) && !(kinds & CHILD_REQUIRED))
        output_colour(tool, text, COLOUR_DIM, ", wanted");
    if (node->shown && node->count > 0)
        output_colour(tool, text, COLOUR_DIM, ", see above");
    text_add(text, "\n");
}

/* Where a walk stands in one node. Each node is entered once, so that no walk is deeper than there
 * are units. */
struct step {
    struct node *node;
    size_t next;
};

static size_t next_branch(const struct node *node, size_t from) {
    while (from < node->count && !is_branch(&node->children[from]))
        from++;
    return from;
}

static void print_indent(const struct step *steps, size_t depth, struct text *text) {
    for (size_t i = 0; i < depth; i++) {
        bool more = next_branch(steps[i].node, steps[i].next) < steps[i].node->count;
        if (i + 1 < depth)
            text_add(text, more ? "│  " : "   ");
        else
            text_add(text, more ? "├─ " : "└─ ");
    }
}

static void print_from(const struct tool *tool, struct node *root, struct step *steps,
                       struct text *text) {
    size_t depth = 0;
    print_node(tool, root, CHILD_REQUIRED, text);
    root->shown = true;
    steps[depth++] = (struct step){root, 0};
    while (depth > 0) {
        struct step *step = &steps[depth - 1];
        size_t place = next_branch(step->node, step->next);
        if (place == step->node->count) {
            depth--;
            continue;
        }
        const struct child *child = &step->node->children[place];
        step->next = place + 1;
        print_indent(steps, depth, text);
        print_node(tool, child->node, child->kinds, text);
        if (child->node->shown)
            continue;
        child->node->shown = true;
        steps[depth++] = (struct step){child->node, 0};
    }
}

static int print_tree(const struct tool *tool, const struct arguments *arguments,
                      const struct tree *tree) {
    scoped_text struct text text = {0};
    scoped_free struct step *steps = calloc(tree->count + 1, sizeof(*steps));
    if (!steps)
        return tool_fail(EXIT_FAILED, "out of memory");
    for (size_t i = 0; i < arguments->count; i++)
        print_from(tool, find(tree, arguments->operands[i]), steps, &text);
    for (size_t i = 0; i < tree->known && arguments->count == 0; i++)
        if (!tree->nodes[i].needed)
            print_from(tool, &tree->nodes[i], steps, &text);
    /* What is left needs itself, by files that have changed since it was started. */
    for (size_t i = 0; i < tree->known && arguments->count == 0; i++)
        if (!tree->nodes[i].shown)
            print_from(tool, &tree->nodes[i], steps, &text);
    return output_print(tool, &text);
}

/* ---- JSON: every unit once, with the names of those it needs ---- */

static void print_names(struct text *text, const char *key, const struct node *node,
                        unsigned kind) {
    json_open(text, key, '[');
    for (size_t i = 0; i < node->count; i++)
        if (node->children[i].kinds & kind)
            json_string(text, NULL, node->children[i].node->name);
    json_close(text, ']');
}

static int print_json(const struct tree *tree) {
    scoped_text struct text text = {0};
    output_json_begin(&text);
    json_open(&text, "units", '[');
    for (size_t i = 0; i < tree->known; i++) {
        const struct node *node = &tree->nodes[i];
        json_open(&text, NULL, '{');
        json_string(&text, "name", node->name);
        json_string(&text, "state", node->view->state);
        print_names(&text, "requires", node, CHILD_REQUIRED);
        print_names(&text, "binds_to", node, CHILD_BOUND);
        print_names(&text, "wants", node, CHILD_WANTED);
        print_names(&text, "after", node, CHILD_AFTER);
        json_close(&text, '}');
    }
    json_close(&text, ']');
    return output_json_end(&text);
}

int tree_list(const struct tool *tool, const struct arguments *arguments, sd_bus *bus,
              const struct views *views) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    scoped_tree struct tree tree = {0};
    struct fault fault;
    int code = client_call(bus, "ListDependencies", &reply, &fault, NULL);
    if (code == EXIT_OK) {
        int error = read_rows(&tree, views, reply);
        code = error < 0 ? client_broken(error, &fault) : EXIT_OK;
    }
    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    return tool->json ? print_json(&tree) : print_tree(tool, arguments, &tree);
}
