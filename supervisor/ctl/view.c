#include "supervisor/ctl/view.h"

#include <string.h>

#include "supervisor/ctl/timers.h"
#include "units/base/names.h"
#include "units/base/number.h"

/* ---- one table for reading and for JSON ---- */

static const struct field {
    const char *property; /* of org.ringfence1.Unit; NULL ends the table */
    const char *json;
    char type; /* of D-Bus */
    size_t offset;
} fields[] = {
#define FIELD(property, json, type, member)                                                        \
    { property, json, type, offsetof(struct view, member) }
    FIELD("Name", "name", 's', name),
    FIELD("Description", "description", 's', description),
    FIELD("Path", "path", 's', path),
    FIELD("State", "state", 's', state),
    FIELD("StateSince", "since_usec", 't', since),
    FIELD("Active", "active", 'b', active),
    FIELD("Waiting", "waiting", 's', waiting),
    FIELD("Result", "result", 's', result),
    FIELD("ExitCode", "exit_code", 'i', exit_code),
    FIELD("ExitSignal", "exit_signal", 'i', exit_signal),
    FIELD("Fault", "fault", 's', failure),
    FIELD("Complaints", "complaints", 's', complaints),
    FIELD("StatusText", "status_text", 's', status_text),
    FIELD("StatusError", "status_error", 's', status_error),
    FIELD("Notes", "notes", 's', notes),
    FIELD("Sockets", "sockets", 's', sockets),
    FIELD("MainPID", "main_pid", 'u', main_pid),
    FIELD("Paused", "paused", 'b', paused),
    FIELD("FileChanged", "file_changed", 'b', file_changed),
    FIELD("StartedAt", "started_usec", 't', started_at),
    FIELD("ReadyAt", "ready_usec", 't', ready_at),
    FIELD("EndedAt", "ended_usec", 't', ended_at),
    FIELD("Restarts", "restarts", 't', restarts),
    FIELD("NextRestart", "next_restart_usec", 't', next_restart),
    FIELD("RestartDelay", "restart_delay_usec", 't', restart_delay),
    FIELD("ControlGroup", "cgroup", 's', cgroup),
    FIELD("OOMKills", "oom_kills", 't', oom_kills),
    FIELD("Health", "health", 's', health),
    FIELD("Timed", "timed", 'b', timed),
    FIELD("NextRun", "next_run_usec", 't', next_run),
    FIELD("LastRun", "last_run_usec", 't', last_run),
    FIELD("SkippedRuns", "skipped_runs", 't', skipped_runs),
    {0},
#undef FIELD
};

static void *member_of(struct view *view, const struct field *field) {
    return (char *)view + field->offset;
}

static const void *const_member_of(const struct view *view, const struct field *field) {
    return (const char *)view + field->offset;
}

static const struct field *find_field(const char *property, size_t length) {
    for (const struct field *field = fields; field->property; field++)
        if (strlen(field->property) == length && memcmp(field->property, property, length) == 0)
            return field;
    return NULL;
}

/* Reads one value of the field's type from the message. */
static int read_field(sd_bus_message *message, struct view *view, const struct field *field) {
    void *member = member_of(view, field);
    const char *string;
    int truth, result;

    switch (field->type) {
    case 's':
        result = sd_bus_message_read_basic(message, 's', &string);
        if (result > 0) {
            free(*(char **)member);
            *(char **)member = strdup(string);
        }
        return result > 0 && !*(char **)member ? -ENOMEM : result;
    case 'b':
        result = sd_bus_message_read_basic(message, 'b', &truth);
        if (result > 0)
            *(bool *)member = truth;
        return result;
    default:
        return sd_bus_message_read_basic(message, field->type, member);
    }
}

static void field_json(const struct view *view, const struct field *field, struct text *text) {
    const void *member = const_member_of(view, field);

    if (field->type == 's')
        json_string(text, field->json, *(char *const *)member);
    else if (field->type == 'b')
        json_bool(text, field->json, *(const bool *)member);
    else if (field->type == 'i')
        json_signed(text, field->json, *(const int32_t *)member);
    else if (field->type == 'u')
        json_unsigned(text, field->json, *(const uint32_t *)member);
    else
        json_unsigned(text, field->json, *(const uint64_t *)member);
}

void view_figures_json(const struct view *view, struct text *text) {
    json_open(text, "stats", '{');
    for (size_t i = 0; i < view->figure_count; i++) {
        if (view->figures[i].value == SIZE_NONE)
            json_string(text, view->figures[i].name, "max");
        else
            json_unsigned(text, view->figures[i].name, view->figures[i].value);
    }
    json_close(text, '}');
}

void view_json(const struct view *view, struct text *text) {
    for (const struct field *field = fields; field->property; field++)
        field_json(view, field, text);
    health_lines_json(&view->health_results, text);
    view_figures_json(view, text);
}

/* The columns of ListUnits. */
static const char *const columns[] = {"Name",        "Description", "State",   "Result",
                                      "ExitCode",    "ExitSignal",  "MainPID", "StateSince",
                                      "Restarts",    "NextRestart", "Active",  "Paused",
                                      "FileChanged", "Fault",       "Sockets"};

/* Those of Timers. */
static const char *const timer_columns[] = {"Timed", "NextRun", "LastRun", "SkippedRuns"};

void view_json_row(const struct view *view, struct text *text) {
    for (size_t i = 0; i < ELEMENTS(columns); i++)
        field_json(view, find_field(columns[i], strlen(columns[i])), text);
    json_string(text, "health", view->health);
    for (size_t i = 0; i < ELEMENTS(timer_columns); i++)
        field_json(view, find_field(timer_columns[i], strlen(timer_columns[i])), text);
    view_figures_json(view, text);
}

void view_free(struct view *view) {
    for (const struct field *field = fields; field->property; field++)
        if (field->type == 's')
            free(*(char **)member_of(view, field));
    health_lines_free(&view->health_results);
    free(view->figures);
    *view = (struct view){0};
}

/* A string that was not told is empty, so that nobody has to ask. */
static int fill(struct view *view) {
    for (const struct field *field = fields; field->property; field++) {
        char **member = member_of(view, field);
        if (field->type == 's' && !*member && !(*member = strdup("")))
            return -ENOMEM;
    }
    return 0;
}

/* ---- figures ---- */

static int read_figures(sd_bus_message *message, struct view *view) {
    const char *name;
    uint64_t value;
    int result = sd_bus_message_enter_container(message, 'a', "{st}");

    while (result >= 0 && (result = sd_bus_message_read(message, "{st}", &name, &value)) > 0) {
        struct figure *figures =
            reallocarray(view->figures, view->figure_count + 1, sizeof(*figures));
        if (!figures)
            return -ENOMEM;
        view->figures = figures;
        struct figure *figure = &figures[view->figure_count++];
        snprintf(figure->name, sizeof(figure->name), "%s", name);
        figure->value = value;
    }
    return result < 0 ? result : sd_bus_message_exit_container(message);
}

bool view_figure(const struct view *view, const char *name, uint64_t *ret_value) {
    for (size_t i = 0; i < view->figure_count; i++)
        if (strcmp(view->figures[i].name, name) == 0) {
            *ret_value = view->figures[i].value;
            return true;
        }
    return false;
}

/* ---- one unit ---- */

static int read_property(sd_bus_message *message, struct view *view) {
    const char *property, *contents;
    char type;
    int result = sd_bus_message_read_basic(message, 's', &property);

    if (result < 0 || (result = sd_bus_message_peek_type(message, &type, &contents)) < 0)
        return result;
    const struct field *field = find_field(property, strlen(property));
    bool is_stats = strcmp(property, "Stats") == 0 && strcmp(contents, "a{st}") == 0;
    bool is_health = strcmp(property, "HealthResults") == 0 && strcmp(contents, "a(ttbiss)") == 0;
    if (!is_stats && !is_health && (!field || contents[0] != field->type || contents[1]))
        return sd_bus_message_skip(message, "v");
    if ((result = sd_bus_message_enter_container(message, 'v', contents)) < 0)
        return result;
    result = is_stats    ? read_figures(message, view)
             : is_health ? health_lines_read(message, &view->health_results)
                         : read_field(message, view, field);
    return result < 0 ? result : sd_bus_message_exit_container(message);
}

static int read_all(sd_bus_message *message, struct view *view) {
    int result = sd_bus_message_enter_container(message, 'a', "{sv}");

    while (result >= 0 && (result = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        result = read_property(message, view);
        if (result >= 0)
            result = sd_bus_message_exit_container(message);
    }
    return result < 0 ? result : fill(view);
}

int view_read(sd_bus *bus, const char *name, struct view *view, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *found = NULL, *reply = NULL;
    sd_bus_error answer = SD_BUS_ERROR_NULL;
    const char *path;
    int code = client_call(bus, "GetUnit", &found, fault, "s", name);

    if (code == EXIT_NO_UNIT)
        client_suggest(bus, name, fault);
    if (code != EXIT_OK)
        return code;
    int error = sd_bus_message_read(found, "o", &path);
    if (error >= 0)
        error = sd_bus_call_method(bus, NULL, path, "org.freedesktop.DBus.Properties", "GetAll",
                                   &answer, &reply, "s", BUS_UNIT);
    if (error < 0) {
        code = client_error(&answer, error, fault);
        sd_bus_error_free(&answer);
        return code;
    }
    error = read_all(reply, view);
    return error < 0 ? client_broken(error, fault) : EXIT_OK;
}

/* ---- all units ---- */

void views_free(struct views *views) {
    for (size_t i = 0; i < views->count; i++)
        view_free(&views->items[i]);
    free(views->items);
    *views = (struct views){0};
}

static int read_row(sd_bus_message *message, struct view *view) {
    int result = 1;

    for (size_t i = 0; i < ELEMENTS(columns) && result > 0; i++)
        result = read_field(message, view, find_field(columns[i], strlen(columns[i])));
    return result < 0 ? result : fill(view);
}

static bool is_wanted(char *const *names, const char *name) {
    return !*names || names_contain((const char *const *)names, name);
}

static int read_units(sd_bus_message *reply, char *const *names, struct views *views) {
    int result = sd_bus_message_enter_container(reply, 'a', "(" BUS_UNIT_ROW ")");

    while (result >= 0 && (result = sd_bus_message_enter_container(reply, 'r', BUS_UNIT_ROW)) > 0) {
        struct view *items = reallocarray(views->items, views->count + 1, sizeof(*items));
        if (!items)
            return -ENOMEM;
        views->items = items;
        struct view *view = &items[views->count++];
        *view = (struct view){0};
        if ((result = read_row(reply, view)) < 0)
            return result;
        if (!is_wanted(names, view->name)) {
            view_free(view);
            views->count--;
        }
        result = sd_bus_message_exit_container(reply);
    }
    return result;
}

struct view *views_find(const struct views *views, const char *name) {
    for (size_t i = 0; i < views->count; i++)
        if (strcmp(views->items[i].name, name) == 0)
            return &views->items[i];
    return NULL;
}

static int read_stats(sd_bus_message *reply, const struct views *views) {
    const char *name;
    int result = sd_bus_message_enter_container(reply, 'a', "(sa{st})");

    while (result >= 0 && (result = sd_bus_message_enter_container(reply, 'r', "sa{st}")) > 0) {
        if ((result = sd_bus_message_read(reply, "s", &name)) < 0)
            break;
        struct view *view = views_find(views, name);
        result = view ? read_figures(reply, view) : sd_bus_message_skip(reply, "a{st}");
        if (result >= 0)
            result = sd_bus_message_exit_container(reply);
    }
    return result;
}

int views_list_rows(sd_bus *bus, char *const *own_names, struct views *views, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *units = NULL;
    int code = client_call(bus, "ListUnits", &units, fault, NULL);

    if (code != EXIT_OK)
        return code;
    int error = read_units(units, own_names, views);
    return error < 0 ? client_broken(error, fault) : EXIT_OK;
}

int views_list(sd_bus *bus, char *const *names, struct views *views, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *stats = NULL;
    scoped(client_names_free) char **own = client_own_names(bus, (const char *const *)names);
    if (!own)
        return client_broken(-ENOMEM, fault);
    int error, code = views_list_rows(bus, own, views, fault);

    if (code != EXIT_OK || (code = client_call(bus, "Stats", &stats, fault, NULL)) != EXIT_OK)
        return code;
    if ((error = read_stats(stats, views)) < 0)
        return client_broken(error, fault);
    if ((code = health_words_read(bus, views, fault)) != EXIT_OK ||
        (code = timers_read(bus, views, fault)) != EXIT_OK)
        return code;
    for (char **name = own; *name; name++)
        if (!views_find(views, *name)) {
            fault_say(fault, ENOENT, "there is no unit \"%s\"", *name);
            client_suggest(bus, *name, fault);
            return EXIT_NO_UNIT;
        }
    return EXIT_OK;
}

/* ---- words ---- */

void view_end(const struct view *view, struct text *text) {
    const char *signal = view->exit_signal > 0 ? sigabbrev_np(view->exit_signal) : NULL;

    if (view->exit_signal > 0 && signal)
        text_format(text, "killed by SIG%s", signal);
    else if (view->exit_signal > 0)
        text_format(text, "killed by signal %d", view->exit_signal);
    else if (view->ended_at)
        text_format(text, "exited with %d", view->exit_code);
}

bool view_has_failed(const struct view *view) {
    return strcmp(view->state, "failed") == 0 || strcmp(view->state, "invalid") == 0;
}
