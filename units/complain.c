#include "units/complain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where memory ends the complaint is counted all the same: a faulty unit never passes as sound. */
void complain_list(struct complaints *complaints, const char *file, int line, int column,
                   const char *source, const char *format, va_list arguments) {
    struct complaint *items = NULL;
    if (complaints->count < COMPLAINTS_MAX)
        items = reallocarray(complaints->items, complaints->count + 1, sizeof(*items));
    if (!items) {
        complaints->dropped++;
        return;
    }
    complaints->items = items;
    struct complaint complaint = {
        .file = strdup(file),
        .line = line,
        .column = column,
        .source = source ? strdup(source) : NULL,
    };
    if (vasprintf(&complaint.text, format, arguments) < 0)
        complaint.text = NULL;
    /* One complaint is one line, and a file's bytes move no cursor. */
    for (char *at = complaint.text; at && *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    items[complaints->count++] = complaint;
}

void complain(struct complaints *complaints, const char *file, int line, int column,
              const char *source, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain_list(complaints, file, line, column, source, format, arguments);
    va_end(arguments);
}

bool complaints_any(const struct complaints *complaints) {
    return complaints->count > 0 || complaints->dropped > 0;
}

void complaints_free(struct complaints *complaints) {
    for (size_t i = 0; i < complaints->count; i++) {
        free(complaints->items[i].file);
        free(complaints->items[i].text);
        free(complaints->items[i].source);
    }
    free(complaints->items);
    *complaints = (struct complaints){0};
}

static const char *or_nothing(const char *string) {
    return string ? string : "out of memory";
}

/* Control characters of a file must not reach a terminal. */
static void print_source(struct text *text, const char *source) {
    for (const char *at = source; *at; at++)
        text_append(text, (unsigned char)*at < 0x20 && *at != '\t' ? "?" : at, 1);
}

/* Under the column: tabs stay tabs, a character of several bytes is one wide. */
static void print_caret(struct text *text, const char *source, int column) {
    for (int i = 0; i + 1 < column && source[i]; i++)
        if (((unsigned char)source[i] & 0xc0) != 0x80)
            text_add(text, source[i] == '\t' ? "\t" : " ");
    text_add(text, "^\n");
}

void complaints_print(const struct complaints *complaints, struct text *text) {
    for (size_t i = 0; i < complaints->count; i++) {
        const struct complaint *complaint = &complaints->items[i];
        text_add(text, or_nothing(complaint->file));
        if (complaint->line)
            text_format(text, ":%d", complaint->line);
        if (complaint->line && complaint->column)
            text_format(text, ":%d", complaint->column);
        text_format(text, ": error: %s\n", or_nothing(complaint->text));
        if (!complaint->source)
            continue;
        text_add(text, "    ");
        print_source(text, complaint->source);
        text_add(text, "\n");
        if (complaint->column) {
            text_add(text, "    ");
            print_caret(text, complaint->source, complaint->column);
        }
    }
    if (complaints->dropped)
        text_format(text, "and %zu more\n", complaints->dropped);
}

void complaints_json(const struct complaints *complaints, struct text *text) {
    for (size_t i = 0; i < complaints->count; i++) {
        const struct complaint *complaint = &complaints->items[i];
        json_open(text, NULL, '{');
        json_string(text, "file", or_nothing(complaint->file));
        json_signed(text, "line", complaint->line);
        json_signed(text, "column", complaint->column);
        json_string(text, "severity", "error");
        json_string(text, "message", or_nothing(complaint->text));
        json_string(text, "source", complaint->source);
        json_close(text, '}');
    }
}
