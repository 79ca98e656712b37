#pragma once
/* The inside of the control door: its clients and what they wait for. Shared by bus*.c alone. */

#include "supervisor/bus-protocol.h"
#include "supervisor/bus.h"
#include "supervisor/manager.h"

struct bus {
    struct manager *manager;
    int directory, socket;
    sd_event_source *accept, *retry, *sweep, *again;
    struct list clients; /* of struct bus_client.link */
    struct list gone;    /* disconnected, freed by the sweep: a handler may still hold them */
    size_t client_count, unprivileged_count;
    uint64_t last_id;
    uint64_t told; /* when a client was last complained of; CLOCK_BOOTTIME */
};

struct bus_client {
    struct list link; /* bus.clients or bus.gone */
    struct bus *bus;
    sd_bus *connection;
    uid_t uid;
    uint64_t id;
    bool spoke; /* a whole call */
    bool subscribed;
    bool gone;
    struct list calls; /* of struct bus_call.link */
    size_t call_count;
    struct list posted; /* of struct letter.link (bus-outbox.c) */
    size_t posted_count;
};

/* bus.c */
struct bus_client *bus_client_of(struct bus *bus, sd_bus_message *message);
void bus_client_drop(struct bus_client *client);

/* bus-outbox.c: what leaves with the next bus_tell(), by which time the change that it tells of is
 * written down. Keeps a reference. -ENOBUFS: the client has left so much unread. */
int bus_post(struct bus_client *client, sd_bus_message *message);
void bus_unpost(struct bus_client *client);
int bus_outbox_open(struct bus *bus);

/* bus-call.c: a command, a plan or an exec that is answered later. */
struct bus_call;
int bus_command(struct bus_client *client, sd_bus_message *message, enum command command,
                const char *name, bool wait);
/* Order: s command, s unit, b wait, s token; done once however often it is asked for. */
int bus_order(sd_bus_message *message, void *userdata, sd_bus_error *unused);
/* Reads the rest of the message, from the argument vector on. */
int bus_exec(struct bus_client *client, sd_bus_message *message, const char *name);
int bus_exec_signal(struct bus_client *client, sd_bus_message *message, uint64_t cookie,
                    int signal);
/* Answered with the plan when it is done. */
int bus_apply(struct bus_client *client, sd_bus_message *message, bool dry_run, bool keep_going);
/* The client is gone: nothing of it goes on but a plan that has begun. */
void bus_calls_withdraw(struct bus_client *client);
/* The manager goes: each caller is told so. */
void bus_calls_refuse(struct bus_client *client);

/* Answers with a named error. An empty fault is filled with what the error number says. */
int bus_reply_fault(sd_bus_message *message, enum bus_error error, int number,
                    const struct fault *fault);
/* The named error of a manager_*() call that failed at once. */
enum bus_error bus_error_of(int error);
/* Kill, pause and the like: 0 or a fault, answered at once. */
int bus_reply_result(sd_bus_message *message, int error, const struct fault *fault);
/* Strings of others pass text_add_clean(): a client drops a message that is not UTF-8 as a whole.
 */
int bus_append_clean(sd_bus_message *message, const char *string);

/* bus-remove.c: as units. */
int bus_remove_volumes(sd_bus_message *message, void *userdata, sd_bus_error *unused);

/* A unit that is loaded, by name; never instantiates one, so that a reader cannot make any. */
struct service *bus_find(struct bus *bus, const char *name);

/* The vtables of one connection. */
int bus_driver_attach(struct bus_client *client);
int bus_manager_attach(struct bus_client *client);
int bus_unit_attach(struct bus_client *client);

/* bus.c: a signal to everybody who asked for them. `before` is what the writer makes of it. */
typedef int (*signal_writer)(sd_bus_message *message, const struct service *service, int before);
void bus_send_signal(struct bus *bus, const char *member, signal_writer write,
                     const struct service *service, int before);

/* bus-health.c: a(ttbiss), the newest first: when, how long, healthy, code, error, output. */
int bus_append_health_results(sd_bus_message *message, const struct service *service);

/* bus-timer.c: a(sttt), of units whose timer is armed: the next run, the last, how many skipped. */
int bus_append_timers(sd_bus_message *reply, const struct manager *manager);
int bus_get_timer(sd_bus *connection, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error);

/* bus-machine.c: PowerOff, Reboot, Halt; b, whether by force. */
int bus_power_off(sd_bus_message *message, void *userdata, sd_bus_error *unused);
int bus_reboot(sd_bus_message *message, void *userdata, sd_bus_error *unused);
int bus_halt(sd_bus_message *message, void *userdata, sd_bus_error *unused);

/* bus-reexec.c: all programs replaced by those on disk. */
int bus_reexec(sd_bus_message *message, void *userdata, sd_bus_error *unused);
/* What of an earlier manager this one has found again: t, how many units; a(ss), which were lost,
 * and why. */
int bus_get_found(sd_bus *connection, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_lost(sd_bus *connection, const char *path, const char *interface, const char *property,
                 sd_bus_message *reply, void *userdata, sd_bus_error *error);

/* bus-boot.c: when what of the boot was done. */
int bus_boot(sd_bus_message *message, void *userdata, sd_bus_error *unused);

/* bus-graph.c: a(sss), a unit, why it waits, for which. */
int bus_list_dependencies(sd_bus_message *message, void *userdata, sd_bus_error *unused);

/* bus-facts.c: what is true of a unit at this moment, as the kernel tells it. */
typedef void (*fact_visitor)(void *context, const char *name, const char *value);
void bus_facts_visit(struct service *service, fact_visitor visitor, void *context);
/* Whether it serves whoever asks: ready, or listening for the first to come. */
bool bus_is_active(const struct service *service);
int bus_append_sockets(sd_bus_message *message, const struct service *service);
/* Appends a{st}: the cgroup's files by name, those that the kernel has. */
int bus_append_stats(sd_bus_message *message, struct service *service);
/* Of the running process, or of the sandbox before one runs; 0 where there is none. NULL: ours. */
uint64_t bus_namespace_inode(struct service *service, enum namespace_kind kind);
const char *bus_namespace_word(enum namespace_kind kind); /* as in /proc/PID/ns */
