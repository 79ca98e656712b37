#pragma once
/* The terminal of a unit, as ringfence-logd has it: it is read here alone, shown to everybody who
 * is attached, and logged through the FIFO of standard output, where it is safe. A terminal cannot
 * be looked at without being read: what was read at once, at most 4 KiB, is lost if the logger is
 * killed right then. supervisor/console.h says how its master comes. */

#include <stdbool.h>
#include <stddef.h>

struct output;
struct console;

#define CONSOLE_SOCKET "terminal" /* beside the FIFOs */

/* Calls the manager where the unit has a terminal and no call stands. */
void console_refresh(struct output *output);
/* Copies what is to be read to all who are attached, and to the unit's FIFO for standard output, as
 * far as there is room; its lines without the carriage return that a terminal adds. How many bytes
 * were read. Accepts NULL. */
size_t console_read(struct console *console);
/* Whether epoll tells of the terminal. Accepts NULL. */
void console_listen(struct console *console, bool listening);
void console_free(struct console *console); /* accepts NULL */
