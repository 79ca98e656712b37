#pragma once
/* The tool's end of the control door. Functions return an exit code, with the sentence in fault. */

#include "supervisor/bus-protocol.h"
#include "supervisor/ctl/tool.h"

SCOPED(sd_bus_flush_close_unref, sd_bus *)

/* EXIT_UNREACHABLE, EXIT_PERMISSION. */
int client_open(const struct tool *tool, sd_bus **ret_bus, struct fault *fault);

/* A call of the manager's method; appends arguments by type as sd_bus_message_append(3) does.
 * Waits as long as it takes. ret_reply may be NULL. */
int client_call(sd_bus *bus, const char *method, sd_bus_message **ret_reply, struct fault *fault,
                const char *types, ...);

/* What an answer that is an error means. Puts the sentence into fault. */
int client_error(const sd_bus_error *error, int number, struct fault *fault);
/* What sd_bus_*(3) returned while talking, where no answer came. */
int client_broken(int error, struct fault *fault);

/* A reading property of the manager; a new string. */
int client_property(sd_bus *bus, const char *property, char **ret_value, struct fault *fault);

/* -EXIT codes aside, 0: the names of all units, NULL-terminated. */
int client_unit_names(sd_bus *bus, char ***ret_names, struct fault *fault);
void client_names_free(char **names);
SCOPED(client_names_free, char **)

/* The own names of units, where second ones (install.alias) are among those given; a name that no
 * unit has stays as it is. NULL-terminated, client_names_free() frees; NULL: out of memory. */
char **client_own_names(sd_bus *bus, const char *const *names);

/* Adds `; did you mean "NAME"?` to a sentence about a unit that is not there. */
void client_suggest(sd_bus *bus, const char *name, struct fault *fault);
