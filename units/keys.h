#pragma once
/* THE key table: one row declares one key. The parser, the range check, verify, describe, inspect
 * and the control door read it; a key is named nowhere else. */

#include "units/unit.h"

struct text;

/* Calls with every key of a unit in the table's order: the key as "section.key" (list sections as
 * "mounts[0].target"), its value as a person would write it in the file, and whether the file or
 * the host's defaults gave it (false: the built-in default). Secrets' contents are never printed.
 */
typedef void (*key_visitor)(void *context, const char *key, const char *value, bool given);
void keys_visit(const struct unit *unit, key_visitor visitor, void *context);
