#pragma once
/* The terminal of a unit, as ringfence-logd has it: it is read here alone, logged like other
 * output, and shown to everybody who is attached. supervisor/console.h says how its master comes.
 */

#include <stddef.h>

struct output;
struct console;

#define CONSOLE_SOCKET "terminal" /* beside the FIFOs */

/* Calls the manager where the unit has a terminal and no call stands. */
void console_refresh(struct output *output);
/* What was read, to all who are attached; one who does not read fast enough misses some of it and
 * is told how much. What is to be logged of it is left in the buffer: its lines without the
 * carriage return that a terminal adds. */
size_t console_show(struct console *console, char *bytes, size_t length);
/* The run is over: so it is for those who are attached. */
void console_ended(struct console *console);
void console_free(struct console *console); /* accepts NULL */
