#pragma once
/* Which unit files and drop-ins the directories of a search path hold. units/set calls it. */

#include <stdbool.h>
#include <stddef.h>

struct fault;
struct unit_sources;

struct found {
    char *name; /* of the unit: the file's without ".unit", the directory's without ".unit.d" */
    char *file; /* of a drop-in, without its directory; NULL for a unit */
    char *path;
    size_t place;    /* of the directory in the search path */
    const char *bad; /* why the directory is not to be trusted; NULL: it is */
};

struct search {
    struct found *units; /* by name; the first of a name wins, and is the only one left */
    size_t unit_count;
    struct found *drop_ins; /* by unit, file name, then the later directories first */
    size_t drop_in_count;
};

/* Directories that are absent are passed over on the standard path, and a failure otherwise. */
int search_open(const struct unit_sources *sources, struct search *ret_search, struct fault *fault);
void search_close(struct search *search);

/* NULL where there is none. */
const struct found *search_unit(const struct search *search, const char *name);
/* The first drop-in of a unit; NULL where it has none. The next ones follow while `name` is equal.
 */
const struct found *search_drop_ins(const struct search *search, const char *name);
/* A link to /dev/null, or an empty file. */
bool found_is_masked(const char *path);
