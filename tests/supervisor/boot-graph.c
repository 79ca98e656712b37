/* A random graph of services for tests/supervisor/boot-graph.bats: its unit files, and whether what
 * `ringfence events --json` told of their lives is right.
 *
 *     boot-graph make DIRECTORY COUNT SEED BUILD     one file for each, and a group "all"
 *     boot-graph check COUNT SEED <EVENTS            from `start all` to the last one's end
 *
 * Both draw the same graph from the seed. Nothing is started before what it requires and wants is
 * up (or, where it is only wanted, has failed); all are up in the end, or it is told why not; they
 * stop the other way round. */

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EDGES_MAX 4
#define NEVER SIZE_MAX

enum kind { KIND_EXEC, KIND_NOTIFY, KIND_ONESHOT, KIND_RECOVERS, KIND_FAILS, KIND_DIES };
enum relation { REQUIRES, WANTS, AFTER, RELATIONS };
static const char *const relations[] = {"requires", "wants", "after"};

struct node {
    unsigned number; /* of its name: another order than that of the graph */
    enum kind kind;
    unsigned delay; /* milliseconds until it is ready, or dies */
    struct {
        size_t node;
        enum relation relation;
    } edges[EDGES_MAX]; /* to earlier nodes */
    size_t edge_count;

    /* What the events tell: places in their order. */
    size_t begun, up, failed, stopping, down;
    unsigned restarts;
    char state[16], fault[256];
};

static struct node *nodes;
static size_t count;

/* ---- the graph ---- */

static uint64_t state;
static unsigned draw(unsigned below) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (unsigned)((state * 0x2545f4914f6cdd1dULL >> 33) % below);
}

static enum kind draw_kind(void) {
    static const unsigned char percent[] = {
        [KIND_EXEC] = 45,    [KIND_NOTIFY] = 20, [KIND_ONESHOT] = 20,
        [KIND_RECOVERS] = 8, [KIND_FAILS] = 3,   [KIND_DIES] = 4};
    unsigned left = draw(100), kind = 0;
    while (left >= percent[kind])
        left -= percent[kind++];
    return (enum kind)kind;
}

static bool has_edge(const struct node *node, size_t to) {
    for (size_t i = 0; i < node->edge_count; i++)
        if (node->edges[i].node == to)
            return true;
    return false;
}

static void draw_graph(void) {
    for (size_t i = 0; i < count; i++)
        nodes[i].number = (unsigned)i;
    for (size_t i = count - 1; i > 0; i--) { /* Fisher and Yates */
        size_t other = draw((unsigned)i + 1);
        unsigned number = nodes[i].number;
        nodes[i].number = nodes[other].number;
        nodes[other].number = number;
    }
    for (size_t i = 0; i < count; i++) {
        struct node *node = &nodes[i];
        node->begun = node->up = node->failed = node->stopping = node->down = NEVER;
        node->kind = draw_kind();
        node->delay = draw(300);
        for (unsigned wanted = i ? draw(EDGES_MAX) : 0; wanted > 0; wanted--) {
            size_t to = draw((unsigned)i);
            if (has_edge(node, to))
                continue;
            node->edges[node->edge_count].node = to;
            node->edges[node->edge_count++].relation = (enum relation)draw(RELATIONS);
        }
    }
}

/* ---- the files ---- */

static void write_service(FILE *file, const struct node *node, const char *build) {
    switch (node->kind) {
    case KIND_EXEC:
        fputs("service = { exec = [ \"/bin/sleep\", \"1000000\" ]; };\n", file);
        break;
    case KIND_NOTIFY:
        fprintf(
            file,
            "service = { type = \"notify\"; exec = [ \"/mnt/notify-client\", \"sleep\", \"%u\", "
            "\"say\", \"READY=1\", \"wait\" ]; };\n"
            "mounts = ( { type = \"bind\"; source = \"%s/tests\"; target = \"/mnt\"; readonly = "
            "true; } );\n",
            node->delay, build);
        break;
    case KIND_ONESHOT:
    case KIND_FAILS:
        fprintf(file,
                "service = { type = \"oneshot\"; exec = [ \"/bin/sh\", \"-c\", "
                "\"sleep 0.%03u; exit %d\" ]; };\nrestart = { policy = \"no\"; };\n",
                node->delay, node->kind == KIND_FAILS);
        break;
    case KIND_RECOVERS: /* it is another one's volume that remembers: a file that is made anew */
        fprintf(file,
                "service = { exec = [ \"/bin/sh\", \"-c\", \"[ -e /mnt/once ] && exec sleep "
                "1000000; sleep 0.%03u; : >/mnt/once; exit 7\" ]; };\n"
                "volumes = ( { name = \"once-%u\"; target = \"/mnt\"; } );\n"
                "restart = { policy = \"on-failure\"; delay = \"20ms\"; };\n",
                node->delay, node->number);
        break;
    case KIND_DIES:
        fprintf(file,
                "service = { exec = [ \"/bin/sh\", \"-c\", \"sleep 0.%03u; exit 9\" ]; };\n"
                "restart = { policy = \"no\"; };\n",
                node->delay);
        break;
    }
}

static bool write_unit(const char *directory, const struct node *node, const char *build) {
    char path[512];
    snprintf(path, sizeof(path), "%s/u%u.unit", directory, node->number);
    FILE *file = fopen(path, "we");
    if (!file)
        return false;
    fputs("unit = {", file);
    for (enum relation relation = 0; relation < RELATIONS; relation++) {
        const char *separator = "";
        fprintf(file, " %s = [ ", relations[relation]);
        for (size_t i = 0; i < node->edge_count; i++) {
            if (node->edges[i].relation != relation)
                continue;
            fprintf(file, "%s\"u%u\"", separator, nodes[node->edges[i].node].number);
            separator = ", ";
        }
        fputs(" ];", file);
    }
    fputs(" };\n", file);
    write_service(file, node, build);
    fputs("install = { enabled = false; };\n", file);
    return fclose(file) == 0;
}

static int make(const char *directory, const char *build) {
    char path[512];
    for (size_t i = 0; i < count; i++)
        if (!write_unit(directory, &nodes[i], build))
            return 1;
    snprintf(path, sizeof(path), "%s/all.unit", directory);
    FILE *file = fopen(path, "we");
    if (!file)
        return 1;
    fputs("unit = { wants = [", file);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "%s \"u%zu\"", i ? "," : "", i);
    fputs(" ]; };\ninstall = { enabled = false; };\n", file);
    return fclose(file) != 0;
}

/* ---- the events ---- */

static void read_string(const char *line, const char *name, char *ret, size_t size) {
    char key[32];
    snprintf(key, sizeof(key), "\"%s\":\"", name);
    const char *value = strstr(line, key);
    size_t length = value ? strcspn(value += strlen(key), "\"") : 0;
    snprintf(ret, size, "%.*s", (int)length, value ? value : "");
}

static unsigned read_number(const char *line, const char *name) {
    char key[32];
    snprintf(key, sizeof(key), "\"%s\":", name);
    const char *value = strstr(line, key);
    return value ? (unsigned)strtoul(value + strlen(key), NULL, 10) : 0;
}

static void take_event(const char *line, size_t place, struct node **by_number) {
    char unit[80];
    read_string(line, "unit", unit, sizeof(unit));
    unsigned long number = strtoul(unit + 1, NULL, 10);
    if (unit[0] != 'u' || number >= count)
        return;
    struct node *node = by_number[number];
    read_string(line, "after", node->state, sizeof(node->state));
    read_string(line, "fault", node->fault, sizeof(node->fault));
    node->restarts = read_number(line, "restarts");
    const struct {
        const char *state;
        size_t *first;
    } firsts[] = {{"created", &node->begun},
                  {"ready", &node->up},
                  {"failed", &node->failed},
                  {"stopped", &node->down}};
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
        if (strcmp(node->state, firsts[i].state) == 0 && *firsts[i].first == NEVER)
            *firsts[i].first = place;
    if (strcmp(node->state, "stopping") == 0)
        node->stopping = place; /* the last time */
}

/* ---- the rules ---- */

static unsigned broken;
static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    broken++;
}

static void check_start(const struct node *node) {
    for (size_t i = 0; i < node->edge_count && node->begun != NEVER; i++) {
        const struct node *other = &nodes[node->edges[i].node];
        bool required = node->edges[i].relation == REQUIRES;
        size_t done = other->up;
        if (!required && other->failed < done)
            done = other->failed;
        if (done > node->begun)
            complain("u%u began before u%u was up, which it %s", node->number, other->number,
                     required ? "requires" : "comes after");
    }
}

static void check_stop(const struct node *node) {
    if (node->up == NEVER || node->failed != NEVER)
        return;
    if (node->down == NEVER) {
        complain("u%u was not stopped in the end, it is %s", node->number, node->state);
        return;
    }
    for (size_t i = 0; i < node->edge_count; i++) {
        const struct node *other = &nodes[node->edges[i].node];
        if (other->failed == NEVER && other->stopping != NEVER && other->stopping < node->down)
            complain("u%u began to stop before u%u was down, which needs it", other->number,
                     node->number);
    }
}

/* Up, or it is told why not: by itself, or by one that it requires. */
static void check_outcome(const struct node *node) {
    bool fails = node->kind == KIND_FAILS || node->kind == KIND_DIES, excused = false;
    for (size_t i = 0; i < node->edge_count; i++)
        excused |=
            node->edges[i].relation == REQUIRES && nodes[node->edges[i].node].failed != NEVER;
    if (node->up == NEVER && node->failed == NEVER)
        complain("u%u has come nowhere, it is \"%s\"", node->number, node->state);
    else if (node->failed != NEVER && !fails && !excused)
        complain("u%u has failed and had no reason: %s", node->number, node->fault);
    else if (fails && node->failed == NEVER)
        complain("u%u was to fail, and has not", node->number);
    if (node->kind == KIND_RECOVERS && node->failed == NEVER && node->restarts == 0)
        complain("u%u was to be started again, and was not", node->number);
    if (node->failed != NEVER && !node->fault[0] && strcmp(node->state, "failed") == 0)
        complain("u%u has failed without a word", node->number);
}

static int check(void) {
    struct node **by_number = calloc(count, sizeof(*by_number));
    char *line = NULL;
    size_t size = 0, place = 0, up = 0, failed = 0, edges = 0;
    if (!by_number)
        return 1;
    for (size_t i = 0; i < count; i++)
        by_number[nodes[i].number] = &nodes[i];
    while (getline(&line, &size, stdin) >= 0)
        take_event(line, place++, by_number);
    for (size_t i = 0; i < count; i++) {
        check_start(&nodes[i]);
        check_outcome(&nodes[i]);
        check_stop(&nodes[i]);
        up += nodes[i].up != NEVER;
        failed += nodes[i].failed != NEVER;
        edges += nodes[i].edge_count;
    }
    printf("%zu services, %zu relations: %zu came up, %zu failed and told why, %zu events, %u "
           "broken\n",
           count, edges, up, failed, place, broken);
    free(line);
    free(by_number);
    return broken != 0;
}

int main(int argc, char **argv) {
    bool makes = argc == 6 && strcmp(argv[1], "make") == 0;
    if (!makes && (argc != 4 || strcmp(argv[1], "check") != 0))
        return 2;
    count = strtoul(argv[makes ? 3 : 2], NULL, 10);
    state = strtoull(argv[makes ? 4 : 3], NULL, 10) * 2654435769U | 1;
    nodes = calloc(count, sizeof(*nodes));
    if (!nodes || count == 0)
        return 2;
    draw_graph();
    int code = makes ? make(argv[2], argv[5]) : check();
    free(nodes);
    return code;
}
