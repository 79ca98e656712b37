#include <signal.h>
#include <string.h>

#include "supervisor/bus-client.h"
#include "supervisor/state.h"
#include "units/complain.h"
#include "units/keys.h"

/* Handlers get the service that the object's path names, by find_unit(). */

static struct bus_client *caller(sd_bus_message *message, const struct service *service) {
    return bus_client_of(service->manager->bus, message);
}

/* ---- methods: those of the manager, without the name ---- */

static int command(sd_bus_message *message, struct service *service, enum command what) {
    struct bus_client *client = caller(message, service);
    return client ? bus_command(client, message, what, service->name, true) : -ENOTCONN;
}

static int on_start(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    (void)unused;
    return command(message, userdata, COMMAND_START);
}

static int on_stop(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    (void)unused;
    return command(message, userdata, COMMAND_STOP);
}

static int on_restart(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    (void)unused;
    return command(message, userdata, COMMAND_RESTART);
}

static int on_reload(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    (void)unused;
    return command(message, userdata, COMMAND_RELOAD);
}

static int on_kill(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct service *service = userdata;
    struct fault fault = {""};
    int signal, all;
    (void)unused;

    int error = sd_bus_message_read(message, "ib", &signal, &all);
    if (error < 0)
        return error;
    if (signal <= 0 || signal > SIGRTMAX)
        error = fault_say(&fault, EINVAL, "%d is not a signal", signal);
    else
        error = manager_kill(service->manager, service->name, signal, all, &fault);
    return bus_reply_result(message, error, &fault);
}

static int on_pause(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct service *service = userdata;
    struct fault fault = {""};
    (void)unused;
    return bus_reply_result(message, manager_pause(service->manager, service->name, true, &fault),
                            &fault);
}

static int on_resume(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct service *service = userdata;
    struct fault fault = {""};
    (void)unused;
    return bus_reply_result(message, manager_pause(service->manager, service->name, false, &fault),
                            &fault);
}

static int on_remove(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct service *service = userdata;
    struct fault fault = {""};
    int volumes;
    (void)unused;

    int error = sd_bus_message_read(message, "b", &volumes);
    if (error < 0)
        return error;
    return bus_reply_result(
        message, manager_remove(service->manager, service->name, volumes, &fault), &fault);
}

/* ---- properties ---- */

#define GETTER(name)                                                                               \
    static int name(sd_bus *connection, const char *path, const char *interface,                   \
                    const char *property, sd_bus_message *reply, void *userdata,                   \
                    sd_bus_error *error)
#define UNUSED (void)connection, (void)path, (void)interface, (void)property, (void)error

/* With an offset in the vtable, userdata is the member itself. */
GETTER(get_string) {
    UNUSED;
    return bus_append_clean(reply, *(char *const *)userdata);
}

GETTER(get_bool) {
    UNUSED;
    return sd_bus_message_append(reply, "b", *(const bool *)userdata);
}

GETTER(get_state) {
    const struct service *service = userdata;
    UNUSED;
    return sd_bus_message_append(reply, "s", service_state_word(service->state));
}

GETTER(get_result) {
    const struct service *service = userdata;
    UNUSED;
    return sd_bus_message_append(reply, "s", service_result_word(service->result));
}

GETTER(get_active) {
    const struct service *service = userdata;
    UNUSED;
    return sd_bus_message_append(reply, "b", bus_is_active(service));
}

GETTER(get_description) {
    const struct service *service = userdata;
    UNUSED;
    return bus_append_clean(reply, service->unit ? service->unit->description : "");
}

GETTER(get_waiting) {
    scoped_text struct text text = {0};
    UNUSED;
    service_explain_waiting(userdata, &text);
    return bus_append_clean(reply, text.data);
}

GETTER(get_sockets) {
    UNUSED;
    return bus_append_sockets(reply, userdata);
}

GETTER(get_notes) {
    const struct service *service = userdata;
    UNUSED;
    const char *unsaved = state_complaint(service);
    scoped_text struct text notes = {0};
    if (unsaved)
        text_format(&notes, "its state is not saved, and would be lost with the manager: %s\n",
                    unsaved);
    text_add(&notes, service->sandbox ? sandbox_notes(service->sandbox) : "");
    return bus_append_clean(reply, notes.data);
}

GETTER(get_complaints) {
    const struct service *service = userdata;
    scoped_text struct text text = {0};
    UNUSED;
    if (service->complaints)
        complaints_print(service->complaints, &text);
    return bus_append_clean(reply, text.data);
}

GETTER(get_cgroup) {
    const struct service *service = userdata;
    UNUSED;
    return bus_append_clean(reply, service->sandbox ? sandbox_cgroup(service->sandbox) : "");
}

GETTER(get_oom_kills) {
    const struct service *service = userdata;
    UNUSED;
    return sd_bus_message_append(
        reply, "t", service->sandbox ? sandbox_oom_kills(service->sandbox) : (uint64_t)0);
}

GETTER(get_stats) {
    UNUSED;
    return bus_append_stats(reply, userdata);
}

struct appending {
    sd_bus_message *reply;
    int error;
};

static void append_setting(void *context, const char *key, const char *value, bool given) {
    struct appending *appending = context;

    if (appending->error >= 0)
        appending->error = sd_bus_message_open_container(appending->reply, 'r', "ssb");
    if (appending->error >= 0)
        appending->error = bus_append_clean(appending->reply, key);
    if (appending->error >= 0)
        appending->error = bus_append_clean(appending->reply, value);
    if (appending->error >= 0)
        appending->error = sd_bus_message_append(appending->reply, "b", given);
    if (appending->error >= 0)
        appending->error = sd_bus_message_close_container(appending->reply);
}

GETTER(get_settings) {
    const struct service *service = userdata;
    struct appending appending = {.reply = reply};
    UNUSED;

    appending.error = sd_bus_message_open_container(reply, 'a', "(ssb)");
    if (service->unit)
        keys_visit(service->unit, append_setting, &appending);
    return appending.error < 0 ? appending.error : sd_bus_message_close_container(reply);
}

static void append_fact(void *context, const char *name, const char *value) {
    struct appending *appending = context;

    if (appending->error >= 0)
        appending->error = sd_bus_message_open_container(appending->reply, 'e', "ss");
    if (appending->error >= 0)
        appending->error = sd_bus_message_append(appending->reply, "s", name);
    if (appending->error >= 0)
        appending->error = bus_append_clean(appending->reply, value);
    if (appending->error >= 0)
        appending->error = sd_bus_message_close_container(appending->reply);
}

GETTER(get_facts) {
    struct appending appending = {.reply = reply};
    UNUSED;

    appending.error = sd_bus_message_open_container(reply, 'a', "{ss}");
    bus_facts_visit(userdata, append_fact, &appending);
    return appending.error < 0 ? appending.error : sd_bus_message_close_container(reply);
}

GETTER(get_health) {
    const char *word = service_health_word(userdata);
    UNUSED;
    return sd_bus_message_append(reply, "s", word ? word : "");
}

GETTER(get_health_results) {
    UNUSED;
    return bus_append_health_results(reply, userdata);
}

#define MEMBER(name) offsetof(struct service, name)

/* Settings and Facts are long, and facts are read from /proc: they come only when asked for. */
static const sd_bus_vtable unit_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Start", "", "", on_start, 0),
    SD_BUS_METHOD("Stop", "", "", on_stop, 0),
    SD_BUS_METHOD("Restart", "", "", on_restart, 0),
    SD_BUS_METHOD("Reload", "", "", on_reload, 0),
    SD_BUS_METHOD_WITH_ARGS("Kill", SD_BUS_ARGS("i", signal, "b", all), SD_BUS_NO_RESULT, on_kill,
                            0),
    SD_BUS_METHOD("Pause", "", "", on_pause, 0),
    SD_BUS_METHOD("Resume", "", "", on_resume, 0),
    SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_ARGS("b", volumes), SD_BUS_NO_RESULT, on_remove, 0),
    SD_BUS_PROPERTY("Name", "s", get_string, MEMBER(name), SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Path", "s", get_string, MEMBER(path), 0),
    SD_BUS_PROPERTY("Description", "s", get_description, 0, 0),
    SD_BUS_PROPERTY("State", "s", get_state, 0, 0),
    SD_BUS_PROPERTY("StateSince", "t", NULL, MEMBER(state_since), 0),
    SD_BUS_PROPERTY("Active", "b", get_active, 0, 0),
    SD_BUS_PROPERTY("Waiting", "s", get_waiting, 0, 0),
    SD_BUS_PROPERTY("Result", "s", get_result, 0, 0),
    SD_BUS_PROPERTY("ExitCode", "i", NULL, MEMBER(exit_code), 0),
    SD_BUS_PROPERTY("ExitSignal", "i", NULL, MEMBER(exit_signal), 0),
    SD_BUS_PROPERTY("Fault", "s", get_string, MEMBER(failure), 0),
    SD_BUS_PROPERTY("Complaints", "s", get_complaints, 0, 0),
    SD_BUS_PROPERTY("StatusText", "s", get_string, MEMBER(status_text), 0),
    SD_BUS_PROPERTY("StatusError", "s", get_string, MEMBER(status_error), 0),
    SD_BUS_PROPERTY("Notes", "s", get_notes, 0, 0),
    SD_BUS_PROPERTY("Sockets", "s", get_sockets, 0, 0),
    SD_BUS_PROPERTY("MainPID", "u", NULL, MEMBER(main_pid), 0),
    SD_BUS_PROPERTY("Paused", "b", get_bool, MEMBER(paused), 0),
    SD_BUS_PROPERTY("FileChanged", "b", get_bool, MEMBER(file_changed), 0),
    SD_BUS_PROPERTY("StartedAt", "t", NULL, MEMBER(started_at), 0),
    SD_BUS_PROPERTY("ReadyAt", "t", NULL, MEMBER(ready_at), 0),
    SD_BUS_PROPERTY("EndedAt", "t", NULL, MEMBER(ended_at), 0),
    SD_BUS_PROPERTY("Restarts", "t", NULL, MEMBER(restarts), 0),
    SD_BUS_PROPERTY("NextRestart", "t", NULL, MEMBER(restart_at), 0),
    SD_BUS_PROPERTY("RestartDelay", "t", NULL, MEMBER(restart_delay), 0),
    SD_BUS_PROPERTY("ControlGroup", "s", get_cgroup, 0, 0),
    SD_BUS_PROPERTY("OOMKills", "t", get_oom_kills, 0, 0),
    SD_BUS_PROPERTY("Health", "s", get_health, 0, 0),
    SD_BUS_PROPERTY("Timed", "b", bus_get_timer, 0, 0),
    SD_BUS_PROPERTY("NextRun", "t", bus_get_timer, 0, 0),
    SD_BUS_PROPERTY("LastRun", "t", bus_get_timer, 0, 0),
    SD_BUS_PROPERTY("SkippedRuns", "t", bus_get_timer, 0, 0),
    SD_BUS_PROPERTY("HealthResults", "a(ttbiss)", get_health_results, 0, 0),
    SD_BUS_PROPERTY("Stats", "a{st}", get_stats, 0, 0),
    SD_BUS_PROPERTY("Settings", "a(ssb)", get_settings, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT),
    SD_BUS_PROPERTY("Facts", "a{ss}", get_facts, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT),
    SD_BUS_VTABLE_END,
};

/* ---- objects ---- */

static int find_unit(sd_bus *connection, const char *path, const char *interface, void *userdata,
                     void **ret_found, sd_bus_error *error) {
    scoped_free char *name = NULL;
    struct bus_client *client = userdata;
    (void)connection, (void)interface, (void)error;

    int result = sd_bus_path_decode(path, BUS_UNIT_PATH, &name);
    if (result <= 0)
        return result;
    struct service *service = bus_find(client->bus, name);
    if (!service)
        return 0;
    service_dates_follow(service);
    *ret_found = service;
    return 1;
}

static int list_units(sd_bus *connection, const char *prefix, void *userdata, char ***ret_nodes,
                      sd_bus_error *error) {
    const struct bus_client *client = userdata;
    struct service *service;
    size_t count = 0;
    (void)connection, (void)prefix, (void)error;

    list_for_each(service, &client->bus->manager->services, link) count++;
    char **nodes = calloc(count + 1, sizeof(*nodes));
    if (!nodes)
        return -ENOMEM;
    count = 0;
    list_for_each(service, &client->bus->manager->services, link) {
        int result = sd_bus_path_encode(BUS_UNIT_PATH, service->name, &nodes[count]);
        if (result < 0) {
            while (count > 0)
                free(nodes[--count]);
            free(nodes);
            return result;
        }
        count++;
    }
    *ret_nodes = nodes;
    return 0;
}

int bus_unit_attach(struct bus_client *client) {
    int error = sd_bus_add_fallback_vtable(client->connection, NULL, BUS_UNIT_PATH, BUS_UNIT,
                                           unit_vtable, find_unit, client);
    if (error >= 0)
        error =
            sd_bus_add_node_enumerator(client->connection, NULL, BUS_UNIT_PATH, list_units, client);
    return error;
}
