#pragma once
/* The health of units as the manager tells it: read into a view, and shown by list, status and
 * their JSON. */

#include <systemd/sd-bus.h>

#include "supervisor/ctl/output.h"
#include "units/base/text.h"

struct fault;
struct tool;
struct views;

/* One answer of a probe. */
struct health_line {
    uint64_t at, took; /* CLOCK_REALTIME, and how long; microseconds */
    bool healthy;
    int32_t code; /* -1: none */
    char *error, *output;
};

struct health_lines {
    struct health_line *items; /* the newest first */
    size_t count;
};

int health_lines_read(sd_bus_message *message, struct health_lines *lines);
void health_lines_free(struct health_lines *lines);
void health_lines_json(const struct health_lines *lines, struct text *text); /* a member */

/* Lines: the word, then each answer with what it said. */
void health_print(const struct tool *tool, const char *word, const struct health_lines *lines,
                  struct text *text);
enum colour health_colour(const char *word);

/* The word of every unit that has a health check, into the views that are there. */
int health_words_read(sd_bus *bus, const struct views *views, struct fault *fault);
