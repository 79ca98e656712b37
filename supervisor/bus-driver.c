/* What every D-Bus client asks of a bus before it talks to a service: there is no bus here, so the
 * manager answers for one with two names on it, its own and the caller's. */
#include <stdio.h>

#include "supervisor/bus-client.h"

#define DRIVER_PATH "/org/freedesktop/DBus"
#define DRIVER "org.freedesktop.DBus"
#define MANAGER_UNIQUE ":1.0"
#define UNIQUE_MAX 32
#define NOBODY "nobody has the name \"%s\""

static void client_name(const struct bus_client *client, char name[UNIQUE_MAX]) {
    snprintf(name, UNIQUE_MAX, ":1.%llu", (unsigned long long)client->id);
}

static bool is_ours(const char *name) {
    return strcmp(name, BUS_NAME) == 0 || strcmp(name, MANAGER_UNIQUE) == 0 ||
           strcmp(name, DRIVER) == 0;
}

static bool is_callers(const struct bus_client *client, const char *name) {
    char own[UNIQUE_MAX];
    client_name(client, own);
    return strcmp(name, own) == 0;
}

static int on_hello(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    char name[UNIQUE_MAX];
    (void)error;
    client_name(userdata, name);
    return sd_bus_reply_method_return(message, "s", name);
}

static int on_list_names(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    char name[UNIQUE_MAX];
    (void)error;
    client_name(userdata, name);
    return sd_bus_reply_method_return(message, "as", 4, DRIVER, MANAGER_UNIQUE, name, BUS_NAME);
}

static int on_list_activatable(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    (void)userdata, (void)error;
    return sd_bus_reply_method_return(message, "as", 0);
}

static int on_has_owner(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    const char *name;
    (void)error;
    int result = sd_bus_message_read(message, "s", &name);
    if (result < 0)
        return result;
    return sd_bus_reply_method_return(message, "b", is_ours(name) || is_callers(userdata, name));
}

static int on_get_owner(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    const char *name;
    int result = sd_bus_message_read(message, "s", &name);
    if (result < 0)
        return result;
    if (strcmp(name, DRIVER) == 0 || is_callers(userdata, name))
        return sd_bus_reply_method_return(message, "s", name);
    if (is_ours(name))
        return sd_bus_reply_method_return(message, "s", MANAGER_UNIQUE);
    return sd_bus_error_setf(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER, NOBODY, name);
}

struct owner {
    uint32_t uid, pid;
};

/* Who owns the name that the message asks for: the manager, or the caller as the kernel told it. */
static int read_owner(sd_bus_message *message, struct bus_client *client, sd_bus_error *error,
                      struct owner *ret_owner) {
    scoped(sd_bus_creds_unref) sd_bus_creds *creds = NULL;
    const char *name;
    uid_t uid = getuid();
    pid_t pid = getpid();

    int result = sd_bus_message_read(message, "s", &name);
    if (result < 0)
        return result;
    if (is_callers(client, name)) {
        result = sd_bus_query_sender_creds(message, SD_BUS_CREDS_PID | SD_BUS_CREDS_EUID, &creds);
        if (result < 0 || (result = sd_bus_creds_get_euid(creds, &uid)) < 0 ||
            (result = sd_bus_creds_get_pid(creds, &pid)) < 0)
            return result;
    } else if (!is_ours(name)) {
        return sd_bus_error_setf(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER, NOBODY, name);
    }
    *ret_owner = (struct owner){(uint32_t)uid, (uint32_t)pid};
    return 0;
}

static int on_get_user(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct owner owner;
    int result = read_owner(message, userdata, error, &owner);
    return result < 0 ? result : sd_bus_reply_method_return(message, "u", owner.uid);
}

static int on_get_pid(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct owner owner;
    int result = read_owner(message, userdata, error, &owner);
    return result < 0 ? result : sd_bus_reply_method_return(message, "u", owner.pid);
}

static int on_get_credentials(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct owner owner;
    int result = read_owner(message, userdata, error, &owner);
    return result < 0 ? result
                      : sd_bus_reply_method_return(message, "a{sv}", 2, "UnixUserID", "u",
                                                   owner.uid, "ProcessID", "u", owner.pid);
}

/* Whatever the rule says: a client that matches anything is told every change. */
static int on_add_match(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct bus_client *client = userdata;
    (void)error;
    client->subscribed = true;
    return sd_bus_reply_method_return(message, NULL);
}

/* A rule that is taken away may not have been the last; what is told too much does no harm. */
static int on_remove_match(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    (void)userdata, (void)error;
    return sd_bus_reply_method_return(message, NULL);
}

static const sd_bus_vtable driver_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Hello", "", "s", on_hello, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ListNames", "", "as", on_list_names, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ListActivatableNames", "", "as", on_list_activatable,
                  SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("NameHasOwner", "s", "b", on_has_owner, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetNameOwner", "s", "s", on_get_owner, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetConnectionUnixUser", "s", "u", on_get_user, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetConnectionUnixProcessID", "s", "u", on_get_pid, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetConnectionCredentials", "s", "a{sv}", on_get_credentials,
                  SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("AddMatch", "s", "", on_add_match, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("RemoveMatch", "s", "", on_remove_match, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

int bus_driver_attach(struct bus_client *client) {
    return sd_bus_add_object_vtable(client->connection, NULL, DRIVER_PATH, DRIVER, driver_vtable,
                                    client);
}
