#pragma once
/* What differs between two versions of a unit, by the key table. The plan of an apply asks. */

#include <stdbool.h>

struct text;
struct unit;

/* Appends the keys that differ, "service.exec, mounts", nothing where none does. *ret_live: all of
 * them may change while the unit runs. */
void unit_changes(const struct unit *before, const struct unit *now, struct text *text,
                  bool *ret_live);
