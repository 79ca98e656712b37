#include "supervisor/ctl/health.h"

#include <inttypes.h>
#include <string.h>

#include "supervisor/ctl/output.h"
#include "supervisor/ctl/view.h"
#include "units/base/number.h"

/* ---- reading ---- */

void health_lines_free(struct health_lines *lines) {
    for (size_t i = 0; i < lines->count; i++) {
        free(lines->items[i].error);
        free(lines->items[i].output);
    }
    free(lines->items);
    *lines = (struct health_lines){0};
}

static int read_line(sd_bus_message *message, struct health_lines *lines) {
    struct health_line line = {0};
    const char *error, *output;
    int healthy;
    int result = sd_bus_message_read(message, "(ttbiss)", &line.at, &line.took, &healthy,
                                     &line.code, &error, &output);

    if (result <= 0)
        return result;
    struct health_line *items = reallocarray(lines->items, lines->count + 1, sizeof(*items));
    if (!items)
        return -ENOMEM;
    lines->items = items;
    line.healthy = healthy;
    line.error = strdup(error);
    line.output = strdup(output);
    items[lines->count++] = line;
    return line.error && line.output ? 1 : -ENOMEM;
}

int health_lines_read(sd_bus_message *message, struct health_lines *lines) {
    int result = sd_bus_message_enter_container(message, 'a', "(ttbiss)");

    while (result >= 0 && (result = read_line(message, lines)) > 0)
        ;
    return result < 0 ? result : sd_bus_message_exit_container(message);
}

static int read_words(sd_bus_message *reply, const struct views *views) {
    const char *name, *word;
    int result = sd_bus_message_enter_container(reply, 'a', "(ss)");

    while (result >= 0 && (result = sd_bus_message_read(reply, "(ss)", &name, &word)) > 0) {
        struct view *view = views_find(views, name);
        char *copy = view ? strdup(word) : NULL;
        if (view && !copy)
            return -ENOMEM;
        if (view) {
            free(view->health);
            view->health = copy;
        }
    }
    return result;
}

int health_words_read(sd_bus *bus, const struct views *views, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    int code = client_call(bus, "Health", &reply, fault, NULL);

    if (code != EXIT_OK)
        return code;
    int error = read_words(reply, views);
    return error < 0 ? client_broken(error, fault) : EXIT_OK;
}

/* ---- showing ---- */

void health_lines_json(const struct health_lines *lines, struct text *text) {
    json_open(text, "health_results", '[');
    for (size_t i = 0; i < lines->count; i++) {
        const struct health_line *line = &lines->items[i];
        json_open(text, NULL, '{');
        json_unsigned(text, "time_usec", line->at);
        json_unsigned(text, "duration_usec", line->took);
        json_bool(text, "healthy", line->healthy);
        json_signed(text, "code", line->code);
        json_string(text, "error", line->error);
        json_string(text, "output", line->output);
        json_close(text, '}');
    }
    json_close(text, ']');
}

enum colour health_colour(const char *word) {
    if (strcmp(word, "healthy") == 0)
        return COLOUR_GOOD;
    if (strcmp(word, "unhealthy") == 0)
        return COLOUR_BAD;
    return strcmp(word, "starting") == 0 ? COLOUR_BUSY : COLOUR_DIM;
}

/* "2026-11-21 20:52:19  failed after 12ms: answered 503 Busy", then what a failed one printed,
 * indented. */
static void print_line(const struct health_line *line, struct text *text) {
    const char *output = line->output;

    output_time(text, line->at);
    text_format(text, "  %s after ", line->healthy ? "fine" : "failed");
    duration_print(text, line->took < 1000 ? line->took : line->took / 1000 * 1000);
    if (line->error[0])
        text_format(text, ": %s", line->error);
    else if (line->code > 0)
        text_format(text, ": %" PRId32, line->code);
    text_add(text, "\n");
    while (*output && !line->healthy) {
        size_t length = strcspn(output, "\n");
        if (length) {
            text_add(text, "  | ");
            text_append(text, output, length);
            text_add(text, "\n");
        }
        output += length + strspn(output + length, "\n");
    }
}

void health_print(const struct tool *tool, const char *word, const struct health_lines *lines,
                  struct text *text) {
    output_colour(tool, text, health_colour(word), word);
    text_add(text, "\n");
    for (size_t i = 0; i < lines->count; i++)
        print_line(&lines->items[i], text);
}
