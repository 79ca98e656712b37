#pragma once
/* What is wrong with unit files: collected while loading, shown by verify, list and the log. */

#include <stdarg.h>
#include <stddef.h>

#include "units/base/text.h"

struct complaint {
    char *file;   /* as it was named to the loader */
    int line;     /* from 1; 0 where the whole file is meant */
    int column;   /* from 1; 0 where unknown */
    char *text;   /* "service.typ: no such key; did you mean \"type\"?" */
    char *source; /* the line of the file, without its newline; NULL where unknown */
};

/* At most COMPLAINTS_MAX are kept for one unit; `dropped` counts the rest. */
#define COMPLAINTS_MAX 50

struct complaints {
    struct complaint *items;
    size_t count;
    size_t dropped;
};

void complain(struct complaints *complaints, const char *file, int line, int column,
              const char *source, const char *format, ...) __attribute__((format(printf, 6, 7)));
void complain_list(struct complaints *complaints, const char *file, int line, int column,
                   const char *source, const char *format, va_list arguments);
bool complaints_any(const struct complaints *complaints);
void complaints_free(struct complaints *complaints);

/* file:line:column: error: text, then the source line and a caret under the column. */
void complaints_print(const struct complaints *complaints, struct text *text);
/* Members of an open JSON array: { "file", "line", "column", "severity", "message", "source" }:
 * line and column from 1, 0 where unknown; the source line or null. */
void complaints_json(const struct complaints *complaints, struct text *text);
