#include <inttypes.h>
#include <string.h>

#include "supervisor/ctl/table.h"
#include "supervisor/ctl/view.h"
#include "units/base/names.h"
#include "units/base/number.h"

const struct flag inspect_flags[] = {
    {"field", 0, "NAME,...", "only these settings and facts, on one line for each unit"},
    {0},
};

/* ---- settings and facts: lists of a name and a value ---- */

struct pair {
    char *name, *value;
    bool given; /* by the file or the host's defaults; of settings alone */
};

struct pairs {
    struct pair *items;
    size_t count;
};

static void pairs_free(struct pairs *pairs) {
    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->items[i].name);
        free(pairs->items[i].value);
    }
    free(pairs->items);
}
#define scoped_pairs __attribute__((cleanup(pairs_free)))

static int pairs_add(struct pairs *pairs, const char *name, const char *value, bool given) {
    struct pair *items = reallocarray(pairs->items, pairs->count + 1, sizeof(*items));
    if (!items)
        return -ENOMEM;
    pairs->items = items;
    struct pair *pair = &items[pairs->count++];
    *pair = (struct pair){strdup(name), strdup(value), given};
    return pair->name && pair->value ? 0 : -ENOMEM;
}

static int read_settings(sd_bus_message *message, struct pairs *pairs) {
    const char *name, *value;
    int given, result = sd_bus_message_enter_container(message, 'a', "(ssb)");

    while (result >= 0 &&
           (result = sd_bus_message_read(message, "(ssb)", &name, &value, &given)) > 0)
        result = pairs_add(pairs, name, value, given);
    return result;
}

static int read_facts(sd_bus_message *message, struct pairs *pairs) {
    const char *name, *value;
    int result = sd_bus_message_enter_container(message, 'a', "{ss}");

    while (result >= 0 && (result = sd_bus_message_read(message, "{ss}", &name, &value)) > 0)
        result = pairs_add(pairs, name, value, true);
    return result;
}

static int read_pairs(sd_bus *bus, const char *unit, const char *property, const char *type,
                      int (*read)(sd_bus_message *, struct pairs *), struct pairs *pairs,
                      struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    scoped_free char *path = NULL;
    sd_bus_error answer = SD_BUS_ERROR_NULL;
    int code, error = sd_bus_path_encode(BUS_UNIT_PATH, unit, &path);

    if (error >= 0)
        error = sd_bus_get_property(bus, NULL, path, BUS_UNIT, property, &answer, &reply, type);
    if (error >= 0)
        error = read(reply, pairs);
    if (error >= 0)
        return EXIT_OK;
    code = client_error(&answer, error, fault);
    sd_bus_error_free(&answer);
    return code;
}

/* ---- one unit, everything ---- */

struct inspected {
    struct view view;
    struct pairs settings, facts;
};

static void inspected_free(struct inspected *inspected) {
    view_free(&inspected->view);
    pairs_free(&inspected->settings);
    pairs_free(&inspected->facts);
}
#define scoped_inspected __attribute__((cleanup(inspected_free)))

static int inspect(sd_bus *bus, const char *unit, struct inspected *inspected,
                   struct fault *fault) {
    int code = view_read(bus, unit, &inspected->view, fault);

    if (code == EXIT_OK)
        code =
            read_pairs(bus, unit, "Settings", "a(ssb)", read_settings, &inspected->settings, fault);
    if (code == EXIT_OK)
        code = read_pairs(bus, unit, "Facts", "a{ss}", read_facts, &inspected->facts, fault);
    return code;
}

static void add_json(const struct inspected *inspected, struct text *text) {
    json_open(text, NULL, '{');
    view_json(&inspected->view, text);
    json_open(text, "settings", '{');
    for (size_t i = 0; i < inspected->settings.count; i++) {
        const struct pair *pair = &inspected->settings.items[i];
        json_open(text, pair->name, '{');
        json_string(text, "value", pair->value);
        json_bool(text, "given", pair->given);
        json_close(text, '}');
    }
    json_close(text, '}');
    json_open(text, "facts", '{');
    for (size_t i = 0; i < inspected->facts.count; i++)
        json_string(text, inspected->facts.items[i].name, inspected->facts.items[i].value);
    json_close(text, '}');
    json_close(text, '}');
}

static void add_pairs(const struct tool *tool, const struct pairs *pairs, struct text *text) {
    size_t width = 0;

    for (size_t i = 0; i < pairs->count; i++)
        if (strlen(pairs->items[i].name) > width)
            width = strlen(pairs->items[i].name);
    for (size_t i = 0; i < pairs->count; i++) {
        const struct pair *pair = &pairs->items[i];
        text_format(text, "  %-*s  ", (int)width, pair->name);
        output_colour(tool, text, pair->given ? COLOUR_NONE : COLOUR_DIM, pair->value);
        text_add(text, pair->given ? "\n" : pair->value[0] ? "  (default)\n" : "(not set)\n");
    }
}

static void add_human(const struct tool *tool, const struct inspected *inspected,
                      struct text *text) {
    const struct view *view = &inspected->view;

    output_colour(tool, text, COLOUR_BOLD, view->name);
    text_add(text, ", ");
    output_colour(tool, text, output_state_colour(view->state), view->state);
    text_format(text, "\n\nsettings, of %s\n", view->path);
    add_pairs(tool, &inspected->settings, text);
    text_add(text,
             view->file_changed ? "  (the file changed on disk since)\n\nfacts\n" : "\nfacts\n");
    add_pairs(tool, &inspected->facts, text);
    if (inspected->facts.count == 0)
        text_add(text, "  none: it does not run\n");
}

/* ---- --field ---- */

static const char *value_of(const struct pairs *pairs, const char *name, size_t length) {
    for (size_t i = 0; i < pairs->count; i++)
        if (strlen(pairs->items[i].name) == length &&
            strncmp(pairs->items[i].name, name, length) == 0)
            return pairs->items[i].value;
    return NULL;
}

static int refuse_field(const struct inspected *inspected, const char *name, size_t length) {
    size_t count = 0, most = inspected->settings.count + inspected->facts.count;
    scoped_free const char **names = calloc(most + 1, sizeof(*names));
    char word[128];

    snprintf(word, sizeof(word), "%.*s", (int)length, name);
    for (size_t i = 0; names && i < inspected->facts.count; i++)
        names[count++] = inspected->facts.items[i].name;
    for (size_t i = 0; names && i < inspected->settings.count; i++)
        names[count++] = inspected->settings.items[i].name;
    const char *nearest = names ? names_nearest(word, names, count) : NULL;
    if (nearest)
        return tool_fail(EXIT_FAILED, "%s: no setting or fact \"%s\"; did you mean \"%s\"?",
                         inspected->view.name, word, nearest);
    return tool_fail(EXIT_FAILED, "%s: no setting or fact \"%s\"", inspected->view.name, word);
}

/* A string as it is, without the quotes of the file; one with escapes, which would break the line
 * or the column, stays as it is written. */
static void add_plain(struct text *text, const char *value) {
    size_t length = strlen(value);
    bool is_string = length >= 2 && value[0] == '"' && !strchr(value, '\\') &&
                     strchr(value + 1, '"') == value + length - 1;
    text_append(text, value + is_string, length - (is_string ? 2 : 0));
}

/* Facts come first: "cgroup" is where it is. Separated by tabs, for cut(1). */
static int add_fields(const struct inspected *inspected, const char *fields, struct text *text) {
    for (const char *at = fields;;) {
        size_t length = strcspn(at, ",");
        const char *value = value_of(&inspected->facts, at, length);
        if (!value)
            value = value_of(&inspected->settings, at, length);
        if (!value)
            return refuse_field(inspected, at, length);
        text_add(text, at == fields ? "" : "\t");
        add_plain(text, value);
        at += length;
        if (!*at)
            break;
        at++;
    }
    text_add(text, "\n");
    return EXIT_OK;
}

int verb_inspect(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_text struct text text = {0}, json = {0};
    const char *fields = arguments_value(arguments, "field");
    struct fault fault;
    int code = client_open(tool, &bus, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    output_json_begin(&json);
    json_open(&json, "units", '[');
    for (char **unit = arguments->operands; *unit; unit++) {
        scoped_inspected struct inspected inspected = {0};
        if ((code = inspect(bus, *unit, &inspected, &fault)) != EXIT_OK)
            return tool_fail(code, "%s", fault.text);
        add_json(&inspected, &json);
        if (fields && (code = add_fields(&inspected, fields, &text)) != EXIT_OK)
            return code;
        if (!fields && text.length)
            text_add(&text, "\n");
        if (!fields)
            add_human(tool, &inspected, &text);
    }
    json_close(&json, ']');
    return tool->json && !fields ? output_json_end(&json) : output_print(tool, &text);
}
