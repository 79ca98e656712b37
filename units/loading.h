#pragma once
/* A file's values on their way into a unit, or into the manager's settings: what units/load fills,
 * and what units/unknown says of names that mean nothing. */

#include "units/draft.h"

/* One file's part of a unit, or of the manager's settings. */
struct loading {
    const struct section_table *table;
    const struct source *source;
    struct complaints *complaints;
    const struct specifiers *specifiers; /* NULL: strings are taken as they are */
    struct draft *draft;                 /* NULL: no origins are kept */
    enum layer layer;
    const struct section *section;
    size_t item;       /* of a list section */
    size_t first_item; /* of this file: earlier ones are of earlier files */
    size_t dropped;    /* items of this list */
    char title[160];   /* "service.exec", "mounts[0].target" */
};

static inline const struct node *loading_node(const struct loading *loading, size_t number) {
    return &loading->source->nodes[number];
}

void loading_complain(struct loading *loading, size_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What was not understood: see draft_doubts. */
void loading_doubt_key(struct loading *loading, const struct section *section,
                       const struct key *key);
void loading_doubt_section(struct loading *loading, const struct section *section);

/* A name in a section, and at the head of one: which was probably meant. */
void loading_unknown_key(struct loading *loading, const char *name, size_t offset);
void loading_unknown_section(struct loading *loading, size_t number);
