#pragma once
/* Columns that line up: each as wide as its widest cell on a terminal. */

#include <stdbool.h>
#include <stddef.h>

#include "supervisor/ctl/output.h"

#define TABLE_COLUMNS_MAX 12

struct cell {
    char *text;
    enum colour colour;
};

/* titles[count]; a title that begins with '>' has its column set to the right. */
struct table {
    const char *const *titles;
    size_t columns;
    struct cell *cells; /* row by row */
    size_t count, capacity;
    bool failed;
};

void table_add(struct table *table, enum colour colour, const char *string);     /* "" shows "-" */
void table_add_text(struct table *table, enum colour colour, struct text *text); /* empties it */
void table_print(const struct tool *tool, const struct table *table, struct text *text);
void table_free(struct table *table);
#define scoped_table __attribute__((cleanup(table_free)))
