#include "supervisor/bus.h"

#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>

#include "supervisor/boot.h"
#include "supervisor/bus-client.h"
#include "supervisor/log.h"
#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/text.h"

#define UNREAD_MAX 1024     /* messages that a client leaves unread before it is disconnected */
#define UNREAD_CALLS_MAX 64 /* and before its calls are refused: an answer may be large */
#define SEND_BUFFER (256 * 1024) /* bytes of kernel memory for each; sd-bus asks for 8 MiB */
#define RESERVED_FOR_ROOT 16     /* of BUS_CLIENTS_MAX, so that readers cannot lock root out */
#define ACCEPT_AGAIN USEC_PER_SEC
#define TELL_AGAIN (60 * USEC_PER_SEC) /* what clients do wrong is told once in that time */
#define GROUP "ringfence"

/* ---- clients ---- */

struct bus_client *bus_client_of(struct bus *bus, sd_bus_message *message) {
    struct bus_client *client;

    list_for_each(client, &bus->clients, link) {
        if (client->connection == sd_bus_message_get_bus(message))
            return client;
    }
    return NULL;
}

static void client_free(struct bus_client *client) {
    list_remove(&client->link);
    bus_unpost(client);
    sd_bus_detach_event(client->connection);
    sd_bus_close_unref(client->connection);
    free(client);
}

/* A handler of this very client may be on the stack (a command changes a state, the signal about it
 * overflows the caller's queue): the memory goes when the loop comes round. */
void bus_client_drop(struct bus_client *client) {
    struct bus *bus = client->bus;

    if (client->gone)
        return;
    client->gone = true;
    bus->client_count--;
    if (client->uid != 0)
        bus->unprivileged_count--;
    bus_calls_withdraw(client);
    bus_unpost(client);
    list_remove(&client->link);
    list_append(&bus->gone, &client->link);
    sd_bus_close(client->connection);
    sd_event_source_set_enabled(bus->sweep, SD_EVENT_ONESHOT);
}

static int sweep(sd_event_source *source, void *userdata) {
    struct bus *bus = userdata;
    struct bus_client *client, *following;
    (void)source;

    list_for_each_safe(client, following, &bus->gone, link) client_free(client);
    return 0;
}

/* They come as fast as they can, and the log is not theirs to fill. */
static bool may_tell(struct bus *bus) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    uint64_t now = (uint64_t)time.tv_sec * USEC_PER_SEC;
    if (bus->told && now - bus->told < TELL_AGAIN)
        return false;
    bus->told = now;
    return true;
}

static void drop_deaf(struct bus_client *client) {
    if (may_tell(client->bus))
        log_line(LEVEL_WARNING,
                 "a client of user %u is disconnected: it does not read what it "
                 "asked for",
                 (unsigned)client->uid);
    bus_client_drop(client);
}

static bool is_overflowing(const struct bus_client *client, uint64_t most) {
    uint64_t unread = 0;
    return sd_bus_get_n_queued_write(client->connection, &unread) >= 0 && unread >= most;
}

/* No unit is known before the files were read: what asks for one, or changes any, would be told
 * that there is none. */
static bool is_too_early(struct bus *bus, sd_bus_message *message) {
    static const char *const members[] = {"Boot",       "Halt",     "Health", "ListDependencies",
                                          "ListUnits", /* without any */
                                          "Namespaces", "PowerOff", "Reboot", "Stats",
                                          "Subscribe",  "Timers"};
    const char *path = sd_bus_message_get_path(message);
    if (!boot_is_running(bus->manager->boot))
        return false;
    if (path && strncmp(path, BUS_UNIT_PATH "/", strlen(BUS_UNIT_PATH "/")) == 0)
        return true;
    if (sd_bus_message_is_method_call(message, BUS_MANAGER, NULL) <= 0)
        return false;
    for (size_t i = 0; i < ELEMENTS(members); i++)
        if (sd_bus_message_is_method_call(message, BUS_MANAGER, members[i]) > 0)
            return false;
    return true;
}

static int refuse_early(struct bus *bus, sd_bus_message *message) {
    scoped_text struct text text = {0};
    boot_describe(bus->manager->boot, &text);
    return sd_bus_reply_method_errorf(message, bus_error_name(BUS_BUSY),
                                      "units are not known yet: %s",
                                      text.data ? text.data : "early boot");
}

/* Sees every message before any vtable does. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct bus_client *client = userdata;
    (void)error;

    if (sd_bus_message_is_signal(message, "org.freedesktop.DBus.Local", "Disconnected") > 0) {
        bus_client_drop(client);
        return 1;
    }
    if (is_overflowing(client, UNREAD_MAX)) {
        drop_deaf(client);
        return 1;
    }
    if (sd_bus_message_is_method_call(message, NULL, NULL) <= 0)
        return 0;
    client->spoke = true;
    if (is_overflowing(client, UNREAD_CALLS_MAX))
        return sd_bus_reply_method_errorf(message, bus_error_name(BUS_LIMITS_EXCEEDED),
                                          "%d answers wait to be read", UNREAD_CALLS_MAX);
    if (is_too_early(client->bus, message))
        return refuse_early(client->bus, message);
    return 0;
}

/* The connection of an accepted socket, which it owns from here on. */
static int connection_new(struct bus_client *client, int fd) {
    const int size = SEND_BUFFER;
    sd_id128_t id;
    int error = sd_bus_new(&client->connection);

    if (error >= 0)
        error = sd_bus_set_fd(client->connection, fd, fd);
    if (error < 0) {
        close_fd(fd);
        return error;
    }
    if ((error = sd_id128_randomize(&id)) < 0 ||
        (error = sd_bus_set_server(client->connection, true, id)) < 0 ||
        (error = sd_bus_negotiate_fds(client->connection, true)) < 0 ||
        (error = sd_bus_negotiate_creds(client->connection, true,
                                        SD_BUS_CREDS_PID | SD_BUS_CREDS_UID | SD_BUS_CREDS_EUID)) <
            0 ||
        (error = sd_bus_set_close_on_exit(client->connection, false)) < 0 || /* bus_free does */
        (error = sd_bus_add_filter(client->connection, NULL, on_message, client)) < 0 ||
        (error = bus_driver_attach(client)) < 0 || (error = bus_manager_attach(client)) < 0 ||
        (error = bus_unit_attach(client)) < 0 || (error = sd_bus_start(client->connection)) < 0 ||
        (error = sd_bus_attach_event(client->connection, client->bus->manager->event,
                                     SD_EVENT_PRIORITY_NORMAL)) < 0)
        return error;
    return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ? -errno : 0;
}

/* The one that has been silent for longest makes room: it never said what it wants. Where all have
 * spoken, whoever is one too many finds the connection closed. */
static bool make_room(struct bus *bus, uid_t uid) {
    bool enough = bus->client_count < BUS_CLIENTS_MAX;
    bool for_readers = bus->unprivileged_count < BUS_CLIENTS_MAX - RESERVED_FOR_ROOT;
    struct bus_client *client;

    if (enough && (uid == 0 || for_readers))
        return true;
    list_for_each(client, &bus->clients, link) {
        if (client->spoke || (uid != 0 && client->uid == 0))
            continue;
        bus_client_drop(client);
        return true;
    }
    if (may_tell(bus))
        log_line(LEVEL_WARNING,
                 "the control door is full: %zu clients are there, and one of user %u is refused",
                 bus->client_count, (unsigned)uid);
    return false;
}

/* Takes the descriptor. */
static void client_new(struct bus *bus, int fd) {
    scoped_fd int owned = fd;
    struct ucred peer = {0};
    socklen_t length = sizeof(peer);
    struct bus_client *client;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || !make_room(bus, peer.uid))
        return;
    client = calloc(1, sizeof(*client));
    if (!client)
        return;
    *client = (struct bus_client){.bus = bus, .uid = peer.uid, .id = ++bus->last_id};
    list_init(&client->calls);
    list_init(&client->posted);
    list_init(&client->link);
    if (connection_new(client, take_fd(&owned)) < 0) {
        client_free(client);
        return;
    }
    bus->client_count++;
    if (client->uid != 0)
        bus->unprivileged_count++;
    list_append(&bus->clients, &client->link);
}

/* ---- the socket ---- */

static int retry(sd_event_source *source, uint64_t usec, void *userdata) {
    struct bus *bus = userdata;
    (void)source, (void)usec;
    return sd_event_source_set_enabled(bus->accept, SD_EVENT_ON);
}

/* Out of descriptors or memory the socket stays readable: look again later, not all the time. */
static void pause_accepting(struct bus *bus) {
    if (may_tell(bus))
        log_line(LEVEL_WARNING, "the control door cannot take a client: %s; it tries again",
                 strerror(errno));
    sd_event_source_set_enabled(bus->accept, SD_EVENT_OFF);
    if (sd_event_source_set_time_relative(bus->retry, ACCEPT_AGAIN) >= 0)
        sd_event_source_set_enabled(bus->retry, SD_EVENT_ONESHOT);
}

static int on_accept(sd_event_source *source, int socket, uint32_t events, void *userdata) {
    struct bus *bus = userdata;
    (void)source, (void)events;

    int fd = accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        client_new(bus, fd);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
        pause_accepting(bus);
    return 0;
}

/* The group's id from /etc/group itself: no name service is loaded into the manager for it. */
static gid_t reader_group(void) {
    scoped_file FILE *file = fopen("/etc/group", "re");
    struct group *group;

    while (file && (group = fgetgrent(file)))
        if (strcmp(group->gr_name, GROUP) == 0)
            return group->gr_gid;
    return 0;
}

/* What a dead manager left behind is removed; a living one answers. */
static int remove_stale(struct bus *bus, const struct sockaddr_un *address, socklen_t length,
                        struct fault *fault) {
    scoped_fd int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (probe < 0)
        return fault_set(fault, errno, "cannot make a socket");
    if (connect(probe, (const struct sockaddr *)address, length) == 0 || errno == EAGAIN)
        return fault_say(fault, EADDRINUSE,
                         "another manager answers on \"%s/" BUS_SOCKET
                         "\": give each instance a runtime directory of its own",
                         bus->manager->options.runtime_directory);
    if (errno == ECONNREFUSED)
        unlinkat(bus->directory, BUS_SOCKET, 0);
    return 0;
}

static int listen_on(struct bus *bus, struct fault *fault) {
    const char *directory = bus->manager->options.runtime_directory;
    struct sockaddr_un address;
    socklen_t length;
    int error;

    bus->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (bus->directory < 0)
        return fault_set(fault, errno, "cannot open the runtime directory \"%s\"", directory);
    length = bus_socket_address(bus->directory, &address);
    error = remove_stale(bus, &address, length, fault);
    if (error < 0)
        return error;
    bus->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bus->socket < 0)
        return fault_set(fault, errno, "cannot make a socket");
    mode_t mask = umask(0177); /* nobody connects before the owner and mode are right */
    error = bind(bus->socket, (struct sockaddr *)&address, length) < 0 ? -errno : 0;
    umask(mask);
    if (error < 0)
        return fault_set(fault, error, "cannot bind \"%s/" BUS_SOCKET "\"", directory);
    gid_t group = reader_group();
    if ((group != 0 &&
         fchownat(bus->directory, BUS_SOCKET, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW) < 0) ||
        fchmodat(bus->directory, BUS_SOCKET, 0660, 0) < 0)
        return fault_set(fault, errno, "cannot set the mode of \"%s/" BUS_SOCKET "\"", directory);
    if (listen(bus->socket, SOMAXCONN) < 0)
        return fault_set(fault, errno, "cannot listen on \"%s/" BUS_SOCKET "\"", directory);
    return 0;
}

static int watch(struct bus *bus) {
    sd_event *event = bus->manager->event;
    int error = sd_event_add_io(event, &bus->accept, bus->socket, EPOLLIN, on_accept, bus);

    if (error >= 0)
        error = sd_event_add_time_relative(event, &bus->retry, CLOCK_MONOTONIC, ACCEPT_AGAIN, 0,
                                           retry, bus);
    if (error >= 0)
        error = sd_event_source_set_enabled(bus->retry, SD_EVENT_OFF);
    if (error >= 0)
        error = sd_event_add_defer(event, &bus->sweep, sweep, bus);
    if (error >= 0)
        error = sd_event_source_set_enabled(bus->sweep, SD_EVENT_OFF);
    return error < 0 ? error : bus_outbox_open(bus);
}

int bus_new(struct manager *manager, struct bus **ret_bus, struct fault *fault) {
    scoped(bus_free) struct bus *bus = calloc(1, sizeof(*bus));
    int error;

    if (!bus)
        return fault_set(fault, ENOMEM, "cannot make the control door");
    *bus = (struct bus){.manager = manager, .directory = -EBADF, .socket = -EBADF};
    list_init(&bus->clients);
    list_init(&bus->gone);
    error = listen_on(bus, fault);
    if (error < 0)
        return error;
    error = watch(bus);
    if (error < 0)
        return fault_set(fault, error, "cannot watch the control door");
    *ret_bus = take(bus);
    return 0;
}

void bus_free(struct bus *bus) {
    struct bus_client *client, *following;

    if (!bus)
        return;
    bus_tell(bus);
    list_for_each_safe(client, following, &bus->clients, link) {
        bus_calls_refuse(client);
        bus_client_drop(client);
    }
    list_for_each_safe(client, following, &bus->gone, link) client_free(client);
    sd_event_source_disable_unref(bus->accept);
    sd_event_source_disable_unref(bus->retry);
    sd_event_source_disable_unref(bus->sweep);
    sd_event_source_disable_unref(bus->again);
    if (bus->socket >= 0) {
        unlinkat(bus->directory, BUS_SOCKET, 0);
        close_fd(bus->socket);
    }
    close_fd(bus->directory);
    free(bus);
}

/* ---- what is told to those who asked ---- */

static int post_signal(struct bus_client *client, const char *member, signal_writer write,
                       const struct service *service, int before) {
    scoped(sd_bus_message_unref) sd_bus_message *message = NULL;
    int error = sd_bus_message_new_signal(client->connection, &message, BUS_MANAGER_PATH,
                                          BUS_MANAGER, member);

    if (error >= 0)
        error = write(message, service, before);
    return error < 0 ? error : bus_post(client, message);
}

void bus_send_signal(struct bus *bus, const char *member, signal_writer write,
                     const struct service *service, int before) {
    struct bus_client *client, *following;

    if (!bus)
        return;
    list_for_each_safe(client, following, &bus->clients, link) {
        if (!client->subscribed)
            continue;
        if (post_signal(client, member, write, service, before) < 0)
            drop_deaf(client);
    }
}

static int write_change(sd_bus_message *message, const struct service *service, int before) {
    int error = sd_bus_message_append(
        message, "ssssiiutt", service->name, service_state_word((enum service_state)before),
        service_state_word(service->state), service_result_word(service->result),
        service->exit_code, service->exit_signal, (uint32_t)service->main_pid, service->restarts,
        service->state_since);
    return error < 0 ? error : bus_append_clean(message, service->failure);
}

void bus_service_changed(struct bus *bus, struct service *service, enum service_state before) {
    bus_send_signal(bus, "UnitChanged", write_change, service, (int)before);
}
