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

/* The same with a message made for it. */
int client_send(sd_bus *bus, sd_bus_message *call, sd_bus_message **ret_reply, struct fault *fault);

/* What an answer that is an error means. Puts the sentence into fault. */
int client_error(const sd_bus_error *error, int number, struct fault *fault);
/* What sd_bus_*(3) returned while talking, where no answer came. */
int client_broken(int error, struct fault *fault);

/* ---- over the end of a manager, which the next one goes on after ---- */

/* What has become of a connection. Begins with zeros. */
struct client_patience {
    uint64_t opened;   /* CLOCK_BOOTTIME, microseconds: the present one; 0: the first */
    uint64_t deadline; /* when nobody is waited for any more */
};

/* Whether the manager went away before it answered: after a call, and in the place of an answer. */
bool client_is_lost(sd_bus *bus, int code);
bool client_is_unanswered(const sd_bus_error *error);
/* The next manager's door in the place of the lost one, as soon as it is there. EXIT_UNREACHABLE
 * where none came for tool->retry; managers that die on and on are one long absence. */
int client_reopen(const struct tool *tool, sd_bus **bus, struct client_patience *patience,
                  struct fault *fault);
/* Opens the door, which another manager may be about to open: until a time of CLOCK_BOOTTIME. */
int client_await(const struct tool *tool, uint64_t deadline, sd_bus **ret_bus, struct fault *fault);
/* client_open(); where the manager has died this moment, waits for the next one, too. */
int client_open_or_await(const struct tool *tool, sd_bus **ret_bus, struct fault *fault);
uint64_t client_now(void); /* CLOCK_BOOTTIME, microseconds */

/* For an order, by which the next manager knows it too. */
#define CLIENT_TOKEN_SIZE (BUS_TOKEN_LENGTH + 1)
void client_make_token(char token[CLIENT_TOKEN_SIZE]);

/* client_call(), and once more of the next manager where this one went away: for what is the same
 * when it is done twice. */
int client_insist(const struct tool *tool, sd_bus **bus, const char *method,
                  sd_bus_message **ret_reply, struct fault *fault, const char *types, ...);

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
