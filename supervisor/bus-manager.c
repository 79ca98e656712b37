#include <signal.h>
#include <string.h>

#include "supervisor/boot.h"
#include "supervisor/bus-client.h"
#include "supervisor/logger.h"
#include "supervisor/shutdown.h"
#include "units/base/text.h"
#include "units/set.h"

struct service *bus_find(struct bus *bus, const char *name) {
    return manager_lookup(bus->manager, name);
}

/* The service, or NULL with the answer given. */
static struct service *find(struct bus_client *client, sd_bus_message *message, const char *name) {
    struct service *service = bus_find(client->bus, name);
    struct fault fault;

    if (!service) {
        fault_say(&fault, ENOENT, "there is no unit \"%s\"", name);
        bus_reply_fault(message, BUS_NO_SUCH_UNIT, -ENOENT, &fault);
    }
    return service;
}

/* ---- reading ---- */

static int append_unit(sd_bus_message *reply, const struct service *service) {
    int error = sd_bus_message_open_container(reply, 'r', BUS_UNIT_ROW);

    if (error < 0 || (error = sd_bus_message_append(reply, "s", service->name)) < 0 ||
        (error = bus_append_clean(reply, service->unit ? service->unit->description : "")) < 0)
        return error;
    error = sd_bus_message_append(reply, "ssiiutttbbb", service_state_word(service->state),
                                  service_result_word(service->result), service->exit_code,
                                  service->exit_signal, (uint32_t)service->main_pid,
                                  service->state_since, service->restarts, service->restart_at,
                                  bus_is_active(service), service->paused, service->file_changed);
    if (error < 0 || (error = bus_append_clean(reply, service->failure)) < 0 ||
        (error = bus_append_sockets(reply, service)) < 0)
        return error;
    return sd_bus_message_close_container(reply);
}

static int on_list_units(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    struct bus_client *client = userdata;
    struct service *service;
    (void)unused;

    int error = sd_bus_message_new_method_return(message, &reply);
    if (error >= 0)
        error = sd_bus_message_open_container(reply, 'a', "(" BUS_UNIT_ROW ")");
    list_for_each(service, &client->bus->manager->services, link) {
        if (error < 0)
            return error;
        service_dates_follow(service);
        error = append_unit(reply, service);
    }
    if (error >= 0)
        error = sd_bus_message_close_container(reply);
    return error < 0 ? error : sd_bus_send(NULL, reply, NULL);
}

static int on_get_unit(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    scoped_free char *path = NULL;
    const char *name;
    (void)unused;

    int error = sd_bus_message_read(message, "s", &name);
    if (error < 0)
        return error;
    const struct service *service = find(userdata, message, name);
    if (!service)
        return 1;
    error = sd_bus_path_encode(BUS_UNIT_PATH, service->name, &path); /* not where an alias is */
    return error < 0 ? error : sd_bus_reply_method_return(message, "o", path);
}

/* One unit's name and figures; a unit without a sandbox has none. */
static int append_stats_entry(sd_bus_message *reply, struct service *service) {
    int error = sd_bus_message_open_container(reply, 'r', "sa{st}");

    if (error >= 0)
        error = sd_bus_message_append(reply, "s", service->name);
    if (error >= 0)
        error = bus_append_stats(reply, service);
    return error < 0 ? error : sd_bus_message_close_container(reply);
}

/* Of every unit that has a sandbox. */
static int on_stats(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    struct bus_client *client = userdata;
    struct service *service;
    (void)unused;

    int error = sd_bus_message_new_method_return(message, &reply);
    if (error >= 0)
        error = sd_bus_message_open_container(reply, 'a', "(sa{st})");
    list_for_each(service, &client->bus->manager->services, link) {
        if (error < 0)
            return error;
        if (service->sandbox)
            error = append_stats_entry(reply, service);
    }
    if (error >= 0)
        error = sd_bus_message_close_container(reply);
    return error < 0 ? error : sd_bus_send(NULL, reply, NULL);
}

/* service NULL: the host itself, under the name "". */
static int append_namespaces(sd_bus_message *reply, struct service *service) {
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        uint64_t inode = bus_namespace_inode(service, (enum namespace_kind)kind);
        if (inode == 0)
            continue;
        int error = sd_bus_message_append(reply, "(sst)", service ? service->name : "",
                                          bus_namespace_word((enum namespace_kind)kind), inode);
        if (error < 0)
            return error;
    }
    return 0;
}

static int on_namespaces(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    struct bus_client *client = userdata;
    struct service *service;
    (void)unused;

    int error = sd_bus_message_new_method_return(message, &reply);
    if (error >= 0)
        error = sd_bus_message_open_container(reply, 'a', "(sst)");
    if (error >= 0)
        error = append_namespaces(reply, NULL);
    list_for_each(service, &client->bus->manager->services, link) {
        if (error < 0)
            return error;
        if (service->sandbox)
            error = append_namespaces(reply, service);
    }
    if (error >= 0)
        error = sd_bus_message_close_container(reply);
    return error < 0 ? error : sd_bus_send(NULL, reply, NULL);
}

/* Of every unit that has a health check. */
static int on_health(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    struct bus_client *client = userdata;
    struct service *service;
    (void)unused;

    int error = sd_bus_message_new_method_return(message, &reply);
    if (error >= 0)
        error = sd_bus_message_open_container(reply, 'a', "(ss)");
    list_for_each(service, &client->bus->manager->services, link) {
        const char *word = service_health_word(service);
        if (error >= 0 && word)
            error = sd_bus_message_append(reply, "(ss)", service->name, word);
    }
    if (error >= 0)
        error = sd_bus_message_close_container(reply);
    return error < 0 ? error : sd_bus_send(NULL, reply, NULL);
}

static int on_timers(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    struct bus_client *client = userdata;
    (void)unused;

    int error = sd_bus_message_new_method_return(message, &reply);
    if (error >= 0)
        error = bus_append_timers(reply, client->bus->manager);
    return error < 0 ? error : sd_bus_send(NULL, reply, NULL);
}

static int on_subscribe(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct bus_client *client = userdata;
    (void)unused;
    client->subscribed = true;
    return sd_bus_reply_method_return(message, NULL);
}

/* ---- changing ---- */

static int command(sd_bus_message *message, struct bus_client *client, enum command what) {
    const char *name;
    int wait;
    int error = sd_bus_message_read(message, "sb", &name, &wait);

    return error < 0 ? error : bus_command(client, message, what, name, wait);
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

static int on_reload_units(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct bus_client *client = userdata;
    struct fault fault = {""};
    (void)unused;
    int error = manager_reload(client->bus->manager, &fault);
    return client->gone ? 1 : bus_reply_result(message, error, &fault);
}

static int on_apply(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    int dry_run, keep_going;
    (void)unused;

    int error = sd_bus_message_read(message, "bb", &dry_run, &keep_going);
    return error < 0 ? error : bus_apply(userdata, message, dry_run, keep_going);
}

static int on_remove(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct bus_client *client = userdata;
    struct fault fault = {""};
    const char *name;
    int volumes;
    (void)unused;

    int error = sd_bus_message_read(message, "sb", &name, &volumes);
    if (error < 0)
        return error;
    if (!find(client, message, name))
        return 1;
    error = manager_remove(client->bus->manager, name, volumes, &fault);
    return client->gone ? 1 : bus_reply_result(message, error, &fault);
}

static int on_kill(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct bus_client *client = userdata;
    struct fault fault = {""};
    const char *name;
    int signal, all;
    (void)unused;

    int error = sd_bus_message_read(message, "sib", &name, &signal, &all);
    if (error < 0)
        return error;
    if (!find(client, message, name))
        return 1;
    if (signal <= 0 || signal > SIGRTMAX)
        error = fault_say(&fault, EINVAL, "%d is not a signal", signal);
    else
        error = manager_kill(client->bus->manager, name, signal, all, &fault);
    return client->gone ? 1 : bus_reply_result(message, error, &fault);
}

static int pause_or_resume(sd_bus_message *message, struct bus_client *client, bool pause) {
    struct fault fault = {""};
    const char *name;
    int error = sd_bus_message_read(message, "s", &name);

    if (error < 0)
        return error;
    if (!find(client, message, name))
        return 1;
    error = manager_pause(client->bus->manager, name, pause, &fault);
    return client->gone ? 1 : bus_reply_result(message, error, &fault);
}

static int on_pause(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    (void)unused;
    return pause_or_resume(message, userdata, true);
}

static int on_resume(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    (void)unused;
    return pause_or_resume(message, userdata, false);
}

static int on_attach(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    struct bus_client *client = userdata;
    scoped_fd int terminal = -EBADF, output = -EBADF;
    struct fault fault = {""};
    const char *name;
    (void)unused;

    int error = sd_bus_message_read(message, "s", &name);
    if (error < 0)
        return error;
    if (!find(client, message, name))
        return 1;
    error = manager_attach(client->bus->manager, name, &terminal, &output, &fault);
    return error < 0 ? bus_reply_result(message, error, &fault)
                     : sd_bus_reply_method_return(message, "hh", terminal, output);
}

static int on_exec(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    const char *name;
    (void)unused;

    int error = sd_bus_message_read(message, "s", &name);
    if (error < 0)
        return error;
    return find(userdata, message, name) ? bus_exec(userdata, message, name) : 1;
}

static int on_exec_signal(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    uint64_t cookie;
    int signal;
    (void)unused;

    int error = sd_bus_message_read(message, "ti", &cookie, &signal);
    if (error < 0)
        return error;
    if (signal <= 0 || signal > SIGRTMAX)
        return sd_bus_reply_method_errorf(message, bus_error_name(BUS_INVALID_ARGUMENTS),
                                          "%d is not a signal", signal);
    return bus_exec_signal(userdata, message, cookie, signal);
}

/* ---- properties ---- */

static int get_version(sd_bus *connection, const char *path, const char *interface,
                       const char *property, sd_bus_message *reply, void *userdata,
                       sd_bus_error *error) {
    (void)connection, (void)path, (void)interface, (void)property, (void)userdata, (void)error;
    return sd_bus_message_append(reply, "s", RINGFENCE_VERSION);
}

static int get_directory(sd_bus *connection, const char *path, const char *interface,
                         const char *property, sd_bus_message *reply, void *userdata,
                         sd_bus_error *error) {
    const struct bus_client *client = userdata;
    const struct manager_options *options = &client->bus->manager->options;
    (void)connection, (void)path, (void)interface, (void)error;

    return bus_append_clean(reply, property[0] == 'R'   ? options->runtime_directory
                                   : property[0] == 'S' ? options->state_directory
                                                        : options->log_directory);
}

static int get_unit_directories(sd_bus *connection, const char *path, const char *interface,
                                const char *property, sd_bus_message *reply, void *userdata,
                                sd_bus_error *error) {
    const struct bus_client *client = userdata;
    const char *const *directories = client->bus->manager->options.unit_directories;
    (void)connection, (void)path, (void)interface, (void)property, (void)error;
    if (!directories)
        directories = unit_standard_path;
    int result = sd_bus_message_open_container(reply, 'a', "s");
    for (; *directories && result >= 0; directories++) {
        scoped_free char *absolute = realpath(*directories, NULL); /* the client stands elsewhere */
        result = bus_append_clean(reply, absolute ? absolute : *directories);
    }
    return result < 0 ? result : sd_bus_message_close_container(reply);
}

static int get_cgroup(sd_bus *connection, const char *path, const char *interface,
                      const char *property, sd_bus_message *reply, void *userdata,
                      sd_bus_error *error) {
    const struct bus_client *client = userdata;
    const struct runtime *runtime = client->bus->manager->runtime;
    (void)connection, (void)path, (void)interface, (void)property, (void)error;
    return bus_append_clean(reply, runtime ? runtime_cgroup(runtime) : "");
}

/* What the whole is at, where that is not to keep its units. */
static int get_status(sd_bus *connection, const char *path, const char *interface,
                      const char *property, sd_bus_message *reply, void *userdata,
                      sd_bus_error *error) {
    const struct bus_client *client = userdata;
    struct manager *manager = client->bus->manager;
    scoped_text struct text text = {0};
    (void)connection, (void)path, (void)interface, (void)property, (void)error;
    if (manager->stopping)
        shutdown_describe(manager, &text);
    else if (boot_is_running(manager->boot))
        boot_describe(manager->boot, &text);
    else
        logger_describe(manager, &text);
    return bus_append_clean(reply, text.data ? text.data : "");
}

/* Of the host's own file; a unit's are its own. */
static int get_complaints(sd_bus *connection, const char *path, const char *interface,
                          const char *property, sd_bus_message *reply, void *userdata,
                          sd_bus_error *error) {
    const struct bus_client *client = userdata;
    const struct unit_set *set = client->bus->manager->set;
    scoped_text struct text text = {0};
    (void)connection, (void)path, (void)interface, (void)property, (void)error;
    if (set)
        complaints_print(&set->complaints, &text);
    return bus_append_clean(reply, text.data ? text.data : "");
}

/* UNPRIVILEGED: whoever may open the socket; without it sd-bus asks for root. */
static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("ListUnits", SD_BUS_NO_ARGS,
                            SD_BUS_RESULT("a(" BUS_UNIT_ROW ")", units), on_list_units,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("ListDependencies", SD_BUS_NO_ARGS,
                            SD_BUS_RESULT("a(sss)", dependencies), bus_list_dependencies,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Boot", SD_BUS_NO_ARGS,
                            SD_BUS_RESULT("b", machine, "t", ringfenced, "t", manager, "t", begun,
                                          "a(" BUS_BOOT_STEP ")", steps, "a(" BUS_BOOT_UNIT ")",
                                          units),
                            bus_boot, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("GetUnit", SD_BUS_ARGS("s", unit), SD_BUS_RESULT("o", path),
                            on_get_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Stats", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sa{st})", units), on_stats,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Namespaces", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sst)", namespaces),
                            on_namespaces, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Health", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ss)", units), on_health,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Timers", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sttt)", timers), on_timers,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Subscribe", "", "", on_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Start", SD_BUS_ARGS("s", unit, "b", wait), SD_BUS_NO_RESULT, on_start,
                            0),
    SD_BUS_METHOD_WITH_ARGS("Stop", SD_BUS_ARGS("s", unit, "b", wait), SD_BUS_NO_RESULT, on_stop,
                            0),
    SD_BUS_METHOD_WITH_ARGS("Restart", SD_BUS_ARGS("s", unit, "b", wait), SD_BUS_NO_RESULT,
                            on_restart, 0),
    SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_ARGS("s", unit, "b", wait), SD_BUS_NO_RESULT,
                            on_reload, 0),
    SD_BUS_METHOD_WITH_ARGS("Order", SD_BUS_ARGS("s", command, "s", unit, "b", wait, "s", token),
                            SD_BUS_NO_RESULT, bus_order, 0),
    SD_BUS_METHOD("ReloadUnits", "", "", on_reload_units, 0),
    SD_BUS_METHOD_WITH_ARGS("Apply", SD_BUS_ARGS("b", dry_run, "b", keep_going),
                            SD_BUS_RESULT("a(ssss)", plan), on_apply, 0),
    SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_ARGS("s", unit, "b", volumes), SD_BUS_NO_RESULT,
                            on_remove, 0),
    SD_BUS_METHOD_WITH_ARGS("RemoveVolumes", SD_BUS_ARGS("as", units), SD_BUS_NO_RESULT,
                            bus_remove_volumes, 0),
    SD_BUS_METHOD_WITH_ARGS("Kill", SD_BUS_ARGS("s", unit, "i", signal, "b", all), SD_BUS_NO_RESULT,
                            on_kill, 0),
    SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_ARGS("s", unit), SD_BUS_NO_RESULT, on_pause, 0),
    SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_ARGS("s", unit), SD_BUS_NO_RESULT, on_resume, 0),
    SD_BUS_METHOD_WITH_ARGS("Attach", SD_BUS_ARGS("s", unit),
                            SD_BUS_RESULT("h", terminal, "h", output), on_attach, 0),
    SD_BUS_METHOD_WITH_ARGS("Exec",
                            SD_BUS_ARGS("s", unit, "as", exec, "as", environment, "s", user, "s",
                                        directory, "b", tty, "h", in, "h", out, "h", err),
                            SD_BUS_RESULT("i", exit_code, "i", exit_signal), on_exec, 0),
    SD_BUS_METHOD("Reexec", "", "", bus_reexec, 0),
    SD_BUS_METHOD_WITH_ARGS("PowerOff", SD_BUS_ARGS("b", force), SD_BUS_NO_RESULT, bus_power_off,
                            0),
    SD_BUS_METHOD_WITH_ARGS("Reboot", SD_BUS_ARGS("b", force), SD_BUS_NO_RESULT, bus_reboot, 0),
    SD_BUS_METHOD_WITH_ARGS("Halt", SD_BUS_ARGS("b", force), SD_BUS_NO_RESULT, bus_halt, 0),
    SD_BUS_METHOD_WITH_ARGS("ExecSignal", SD_BUS_ARGS("t", serial, "i", signal), SD_BUS_NO_RESULT,
                            on_exec_signal, 0),
    SD_BUS_SIGNAL_WITH_ARGS("UnitChanged",
                            SD_BUS_ARGS("s", unit, "s", before, "s", after, "s", result, "i",
                                        exit_code, "i", exit_signal, "u", pid, "t", restarts, "t",
                                        time, "s", fault),
                            0),
    SD_BUS_SIGNAL_WITH_ARGS(
        "HealthChanged", SD_BUS_ARGS("s", unit, "s", before, "s", after, "t", time, "s", fault), 0),
    SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("RuntimeDirectory", "s", get_directory, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("StateDirectory", "s", get_directory, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("LogDirectory", "s", get_directory, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("UnitDirectories", "as", get_unit_directories, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Status", "s", get_status, 0, 0),
    SD_BUS_PROPERTY("Complaints", "s", get_complaints, 0, 0),
    SD_BUS_PROPERTY("ControlGroup", "s", get_cgroup, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Found", "t", bus_get_found, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Lost", "a(ss)", bus_get_lost, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_VTABLE_END,
};

int bus_manager_attach(struct bus_client *client) {
    return sd_bus_add_object_vtable(client->connection, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                    manager_vtable, client);
}
