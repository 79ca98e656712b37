#include "supervisor/ctl/table.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "supervisor/ctl/tool.h"

static size_t width_of(const char *string) {
    size_t width = 0;
    mbstate_t state = {0};

    while (*string) {
        wchar_t letter;
        size_t length = mbrtowc(&letter, string, MB_CUR_MAX, &state);
        if (length == 0 || length > MB_CUR_MAX) { /* not of this locale: a column a byte */
            state = (mbstate_t){0};
            width++;
            string++;
            continue;
        }
        int columns = wcwidth(letter);
        width += columns > 0 ? (size_t)columns : 0;
        string += length;
    }
    return width;
}

void table_add(struct table *table, enum colour colour, const char *string) {
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 64;
        struct cell *cells = reallocarray(table->cells, capacity, sizeof(*cells));
        if (!cells) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    char *copy = strdup(string && string[0] ? string : "-");
    if (!copy) {
        table->failed = true;
        return;
    }
    for (char *at = copy; (at = strpbrk(at, "\n\t"));)
        *at = ' ';
    table->cells[table->count++] = (struct cell){copy, colour};
}

void table_add_text(struct table *table, enum colour colour, struct text *text) {
    table_add(table, colour, text->data);
    text_free(text);
}

static void pad(struct text *text, size_t count) {
    text_format(text, "%*s", (int)count, "");
}

static void print_cell(const struct tool *tool, const struct table *table, size_t column,
                       const char *string, enum colour colour, size_t width, struct text *text) {
    bool right = table->titles[column][0] == '>', last = column + 1 == table->columns;

    if (right)
        pad(text, width - width_of(string));
    output_colour(tool, text, colour, string);
    if (!right && !last)
        pad(text, width - width_of(string));
    text_add(text, last ? "\n" : "  ");
}

static const char *title_of(const struct table *table, size_t column) {
    const char *title = table->titles[column];
    return title + (*title == '>');
}

void table_print(const struct tool *tool, const struct table *table, struct text *text) {
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    if (table->failed) {
        text->failed = true;
        return;
    }
    for (size_t column = 0; column < table->columns; column++)
        widths[column] = width_of(title_of(table, column));
    for (size_t i = 0, column = 0; i < table->count; i++) {
        size_t width = width_of(table->cells[i].text);
        if (width > widths[column])
            widths[column] = width;
        column = column + 1 < table->columns ? column + 1 : 0;
    }
    for (size_t column = 0; column < table->columns; column++)
        print_cell(tool, table, column, title_of(table, column), COLOUR_BOLD, widths[column], text);
    for (size_t i = 0, column = 0; i < table->count; i++) {
        print_cell(tool, table, column, table->cells[i].text, table->cells[i].colour,
                   widths[column], text);
        column = column + 1 < table->columns ? column + 1 : 0;
    }
}

void table_free(struct table *table) {
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
    table->cells = NULL;
}
