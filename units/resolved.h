#pragma once
/* A unit that is already resolved, as text and back: the host's defaults, the file and its drop-ins
 * are one, names such as "%n" are replaced. The supervisor keeps it beside what runs, so that a
 * later manager goes on with the unit that the service was started from, whatever became of its
 * files. */

#include "units/unit.h"

struct fault;
struct text;

/* In the language of unit files. What has its built-in default is left out. */
void unit_print(const struct unit *unit, struct text *text);

/* Reads what unit_print wrote; `path` is that of the unit's file, for those who ask the unit. What
 * a file may contain holds here too, and a throw-away process parses it first; rules that span keys
 * and units are not asked again. */
int unit_read(const char *name, const char *path, const char *data, size_t length,
              struct unit **ret_unit, struct fault *fault);
