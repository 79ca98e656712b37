#pragma once
/* How the tool shows things: colour and pager on a terminal only, times and sizes for people. */

#include <stdbool.h>
#include <stdint.h>

struct text;
struct tool;

enum colour { COLOUR_NONE, COLOUR_GOOD, COLOUR_BAD, COLOUR_BUSY, COLOUR_DIM, COLOUR_BOLD, COLOURS };

/* By the terminal, NO_COLOR, TERM. */
void output_choose(struct tool *tool);
bool output_choose_colour(struct tool *tool, const char *when); /* false: not a word of ours */

/* Adds the text in a colour, or plain. */
void output_colour(const struct tool *tool, struct text *text, enum colour colour,
                   const char *string);
enum colour output_state_colour(const char *state);

/* Writes everything to standard output, through a pager where it is longer than the terminal.
 * An exit code. */
int output_print(const struct tool *tool, struct text *text);

/* "3h 12min", two units at most; "now" below a second. */
void output_duration(struct text *text, uint64_t usec);
uint64_t output_now(void);                              /* CLOCK_REALTIME, microseconds */
void output_time(struct text *text, uint64_t realtime); /* 2026-11-21 20:52:19, local */
void output_size(struct text *text, uint64_t bytes);    /* "188M"; SIZE_NONE: "max" */

/* {"version":1, and the rest, up to output_json_end(). */
void output_json_begin(struct text *text);
int output_json_end(struct text *text); /* writes it all; an exit code */
