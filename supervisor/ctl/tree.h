#pragma once
/* `ringfence list --tree`: who requires and wants whom, with states. */

#include <systemd/sd-bus.h>

struct arguments;
struct tool;
struct views;

/* `views` are all units. Under each unit named as an operand, or each that nobody requires or
 * wants, those that it requires and wants; one that was shown before is named again, and marked.
 * An exit code. */
int tree_list(const struct tool *tool, const struct arguments *arguments, sd_bus *bus,
              const struct views *views);
