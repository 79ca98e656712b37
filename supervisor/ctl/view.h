#pragma once
/* One unit as the manager tells it, for the verbs that show units. */

#include "supervisor/ctl/client.h"
#include "supervisor/ctl/health.h"

/* Strings are never NULL in a view that was read. Times are CLOCK_REALTIME in microseconds. */
struct view {
    char *name, *path, *description, *state, *waiting, *result, *failure, *complaints;
    char *status_text, *status_error, *notes, *cgroup, *sockets;
    char *health; /* "": it has no health check */
    struct health_lines health_results;
    uint64_t since, started_at, ready_at, ended_at;
    uint64_t next_run, last_run, skipped_runs; /* of its timer */
    uint64_t restarts, next_restart, restart_delay, oom_kills;
    uint32_t main_pid;
    int32_t exit_code, exit_signal;
    bool active, paused, file_changed;
    bool timed;             /* its timer is armed */
    struct figure *figures; /* of its cgroup */
    size_t figure_count;
};

struct figure {
    char name[32]; /* "memory.current" */
    uint64_t value;
};

void view_free(struct view *view);
/* Everything but settings and facts. EXIT_NO_UNIT with a suggestion. */
int view_read(sd_bus *bus, const char *name, struct view *view, struct fault *fault);
/* Every field of the view as members of an open JSON object. */
void view_json(const struct view *view, struct text *text);
/* Those that views_list() reads. */
void view_json_row(const struct view *view, struct text *text);
void view_figures_json(const struct view *view, struct text *text); /* a member "stats" */

struct views {
    struct view *items;
    size_t count;
};

/* All units in the manager's order, with what ListUnits and Stats tell; where names are given,
 * those alone, and EXIT_NO_UNIT for one that is not there. */
int views_list(sd_bus *bus, char *const *names, struct views *views, struct fault *fault);
/* The same without their use and their health: what ListUnits tells. Own names, no aliases; of
 * those that are not there nothing is told. */
int views_list_rows(sd_bus *bus, char *const *own_names, struct views *views, struct fault *fault);
struct view *views_find(const struct views *views, const char *name); /* NULL */
void views_free(struct views *views);
#define scoped_view __attribute__((cleanup(view_free)))
#define scoped_views __attribute__((cleanup(views_free)))

/* False where the kernel did not tell it. */
bool view_figure(const struct view *view, const char *name, uint64_t *ret_value);

/* "exited with 3", "killed by SIGSEGV", "" where nothing has ended. */
void view_end(const struct view *view, struct text *text);
bool view_has_failed(const struct view *view);
