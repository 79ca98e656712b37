#pragma once
/* The timers of units as the manager tells them: read into views, and shown by list and status. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

struct arguments;
struct fault;
struct text;
struct tool;
struct view;
struct views;

/* Into the views that are there, of every unit whose timer is armed. */
int timers_read(sd_bus *bus, const struct views *views, struct fault *fault);

/* "next 03:02": as much of the date as is needed. Nothing where no run is known to come. */
void timer_add_next(struct text *text, const struct view *view);
/* "next 2026-11-22 03:02:00 (in 2h 4min), last 2026-11-21 03:02:00, 3 skipped". */
void timer_explain(struct text *text, const struct view *view);

/* `list --timers`: the next first. An exit code. */
int timers_list(const struct tool *tool, const struct arguments *arguments, struct views *views,
                bool (*is_shown)(const struct arguments *, const struct view *));
