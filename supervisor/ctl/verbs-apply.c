#include <string.h>

#include "supervisor/ctl/client.h"
#include "supervisor/ctl/output.h"
#include "supervisor/ctl/table.h"

const struct flag apply_flags[] = {
    {"dry-run", 'n', NULL, "show the plan and do nothing"},
    {"keep-going", 'k', NULL, "leave invalid files alone and do the rest of the plan"},
    {"all", 'a', NULL, "show units to which nothing is done, too"},
    {0},
};

struct row {
    char *unit, *action, *why, *failure;
};

struct rows {
    struct row *items;
    size_t count;
};

static void rows_free(struct rows *rows) {
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->items[i].unit);
        free(rows->items[i].action);
        free(rows->items[i].why);
        free(rows->items[i].failure);
    }
    free(rows->items);
    *rows = (struct rows){0};
}

static int read_rows(sd_bus_message *reply, struct rows *rows) {
    const char *unit, *action, *why, *failure;
    int result = sd_bus_message_enter_container(reply, 'a', "(ssss)");

    while (result >= 0 &&
           (result = sd_bus_message_read(reply, "(ssss)", &unit, &action, &why, &failure)) > 0) {
        struct row *items = reallocarray(rows->items, rows->count + 1, sizeof(*items));
        if (!items)
            return -ENOMEM;
        rows->items = items;
        struct row *row = &items[rows->count++];
        *row = (struct row){strdup(unit), strdup(action), strdup(why), strdup(failure)};
        if (!row->unit || !row->action || !row->why || !row->failure)
            return -ENOMEM;
    }
    return result;
}

/* An exit code, with the sentence told. What a manager did that died is in no plan of the next one.
 */
static int ask(const struct tool *tool, sd_bus **bus, bool dry_run, bool keep_going,
               struct rows *rows) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    struct fault fault;
    int code = client_insist(tool, bus, "Apply", &reply, &fault, "bb", dry_run, keep_going);

    if (code == EXIT_OK && read_rows(reply, rows) < 0)
        code = client_broken(-EBADMSG, &fault);
    return code == EXIT_OK ? code : tool_fail(code, "%s", fault.text);
}

/* ---- showing ---- */

static bool is_action(const struct row *row, const char *action) {
    return strcmp(row->action, action) == 0;
}

static enum colour colour_of(const struct row *row) {
    if (is_action(row, "invalid"))
        return COLOUR_BAD;
    if (is_action(row, "unchanged") || is_action(row, "load"))
        return COLOUR_DIM;
    return is_action(row, "start") || is_action(row, "update") ? COLOUR_GOOD : COLOUR_BUSY;
}

static int print_plan(const struct tool *tool, const struct rows *rows, bool all) {
    static const char *const titles[] = {"ACTION", "UNIT", "WHY"};
    scoped_table struct table table = {.titles = titles, .columns = ELEMENTS(titles)};
    scoped_text struct text text = {0};
    size_t unchanged = 0;

    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->items[i];
        bool same = is_action(row, "unchanged");
        unchanged += same;
        if (same && !all)
            continue;
        table_add(&table, colour_of(row), row->action);
        table_add(&table, COLOUR_BOLD, row->unit);
        table_add(&table, COLOUR_NONE, row->why);
    }
    if (table.count > 0)
        table_print(tool, &table, &text);
    text_format(&text, "%zu unchanged\n", unchanged);
    return output_print(tool, &text);
}

static void add_json(struct text *text, const struct rows *rows) {
    json_open(text, "plan", '[');
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->items[i];
        json_open(text, NULL, '{');
        json_string(text, "unit", row->unit);
        json_string(text, "action", row->action);
        json_string(text, "why", row->why);
        json_string(text, "failure", *row->failure ? row->failure : NULL);
        json_close(text, '}');
    }
    json_close(text, ']');
}

static int print_json(const struct rows *rows, bool dry_run) {
    scoped_text struct text text = {0};
    output_json_begin(&text);
    json_bool(&text, "dry_run", dry_run);
    add_json(&text, rows);
    return output_json_end(&text);
}

/* ---- the verb ---- */

static int count_action(const struct rows *rows, const char *action) {
    int count = 0;
    for (size_t i = 0; i < rows->count; i++)
        count += is_action(&rows->items[i], action);
    return count;
}

static bool is_idle(const struct rows *rows) {
    return (size_t)count_action(rows, "unchanged") == rows->count;
}

static int tell_failures(const struct rows *rows) {
    int code = EXIT_OK;
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->items[i];
        if (!*row->failure)
            continue;
        /* Sentences of the manager often begin with the unit's name already. */
        bool named = strncmp(row->failure, row->unit, strlen(row->unit)) == 0;
        code = tool_fail(EXIT_FAILED, "%s%s%s", named ? "" : row->unit, named ? "" : ": ",
                         row->failure);
    }
    return code;
}

/* What was shown is what was done, unless a file changed in between; then it is shown again. */
static bool same_plan(const struct rows *left, const struct rows *right) {
    if (left->count != right->count)
        return false;
    for (size_t i = 0; i < left->count; i++)
        if (strcmp(left->items[i].unit, right->items[i].unit) != 0 ||
            strcmp(left->items[i].action, right->items[i].action) != 0)
            return false;
    return true;
}

int verb_apply(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    __attribute__((cleanup(rows_free))) struct rows plan = {0}, done = {0};
    bool dry_run = arguments_value(arguments, "dry-run") != NULL;
    bool keep_going = arguments_value(arguments, "keep-going") != NULL;
    bool all = arguments_value(arguments, "all") != NULL;
    struct fault fault;
    int code = client_open_or_await(tool, &bus, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    if ((code = ask(tool, &bus, true, keep_going, &plan)) != EXIT_OK)
        return code;
    if (!tool->json && (code = print_plan(tool, &plan, all)) != EXIT_OK)
        return code;
    int invalid = count_action(&plan, "invalid");
    if (dry_run || is_idle(&plan) || (invalid && !keep_going)) {
        if (tool->json && (code = print_json(&plan, true)) != EXIT_OK)
            return code;
        if (invalid && !dry_run)
            tool_fail(EXIT_INVALID,
                      "nothing was done, since %d %s invalid; --keep-going does the "
                      "rest",
                      invalid, invalid == 1 ? "file is" : "files are");
        return invalid ? EXIT_INVALID : EXIT_OK;
    }
    fflush(stdout);
    if ((code = ask(tool, &bus, false, keep_going, &done)) != EXIT_OK)
        return code;
    code = tool->json                 ? print_json(&done, false)
           : !same_plan(&plan, &done) ? print_plan(tool, &done, all)
                                      : EXIT_OK;
    int failed = tell_failures(&done);
    if (code != EXIT_OK || failed != EXIT_OK)
        return failed != EXIT_OK ? failed : code;
    return count_action(&done, "invalid") ? EXIT_INVALID : EXIT_OK;
}
