#include "supervisor/ctl/client.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "units/base/names.h"
#include "units/base/number.h"

enum { PAUSE_MS = 20 };

#define PATIENCE_UNTOLD USEC_PER_SEC
/* A manager that lived for less has not come to stay. */
#define LIFE_THAT_COUNTS (10 * USEC_PER_SEC)

/* ---- connecting ---- */

static int connect_to(const char *directory, int *ret_fd) {
    scoped_fd int held = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct sockaddr_un address;
    scoped_fd int fd = -EBADF;

    if (held < 0)
        return -errno;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    socklen_t length = bus_socket_address(held, &address);
    if (connect(fd, (struct sockaddr *)&address, length) < 0)
        return -errno;
    *ret_fd = take_fd(&fd);
    return 0;
}

/* Nothing is sent: that there is an address to send to tells of ringfenced, which is its owner. */
static bool keeper_runs(const char *directory) {
    scoped_fd int held = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/keeper", held);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

/* What a person may do about it. */
static const char *advice(const char *directory, int error) {
    if (error != -ENOENT && error != -ECONNREFUSED)
        return "";
    return keeper_runs(directory)
               ? "; ringfenced runs, but no manager does: dmesg, or the log of ringfenced, tells "
                 "why; it is tried again, or once the rescue program ends"
               : "; is ringfenced running?";
}

/* The manager closes a connection that is one too many, which shows before the handshake ends. */
static int shake_hands(sd_bus *bus) {
    int result;

    while ((result = sd_bus_is_ready(bus)) == 0) {
        result = sd_bus_process(bus, NULL);
        if (result == 0)
            result = sd_bus_wait(bus, UINT64_MAX);
        if (result < 0)
            break;
    }
    return result < 0 ? result : 0;
}

/* *ret_error: why the manager cannot be reached. */
static int open_door(const struct tool *tool, sd_bus **ret_bus, int *ret_error,
                     struct fault *fault) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    const char *directory = tool->runtime_directory;
    int fd = -EBADF, error = *ret_error = connect_to(directory, &fd);

    if (error == -EACCES || error == -EPERM) {
        fault_set(fault, error, "cannot open the control door \"%s/" BUS_SOCKET "\"", directory);
        return EXIT_PERMISSION;
    }
    if (error < 0) {
        fault_say(fault, error, "no manager answers on \"%s/" BUS_SOCKET "\": %s%s", directory,
                  strerror(-error), advice(directory, error));
        return EXIT_UNREACHABLE;
    }
    error = sd_bus_new(&bus);
    if (error >= 0)
        error = sd_bus_set_fd(bus, fd, fd);
    if (error < 0)
        close_fd(fd);
    if (error >= 0 && (error = sd_bus_negotiate_fds(bus, true)) >= 0 &&
        (error = sd_bus_start(bus)) >= 0)
        error = shake_hands(bus);
    *ret_error = error;
    if (error < 0) {
        fault_say(fault, error,
                  "the manager on \"%s/" BUS_SOCKET "\" closed the connection (%s); it serves at "
                  "most %d clients",
                  directory, strerror(-error), BUS_CLIENTS_MAX);
        return EXIT_UNREACHABLE;
    }
    *ret_bus = take(bus);
    return EXIT_OK;
}

int client_open(const struct tool *tool, sd_bus **ret_bus, struct fault *fault) {
    int error;
    return open_door(tool, ret_bus, &error, fault);
}

/* ---- calls ---- */

static int error_code(enum bus_error error) {
    switch (error) {
    case BUS_NO_SUCH_UNIT:
        return EXIT_NO_UNIT;
    case BUS_INVALID_UNIT:
        return EXIT_INVALID;
    case BUS_ACCESS_DENIED:
        return EXIT_PERMISSION;
    case BUS_SHUTTING_DOWN:
        return EXIT_UNREACHABLE;
    default:
        return EXIT_FAILED;
    }
}

int client_broken(int error, struct fault *fault) {
    bool lost = error == -ECONNRESET || error == -ENOTCONN || error == -EPIPE;

    if (lost)
        fault_say(fault, error,
                  "the manager went away before it answered; the next one goes on with what it had "
                  "taken: `ringfence status` shows it");
    else
        fault_set(fault, error, "cannot talk to the manager");
    return lost ? EXIT_UNREACHABLE : EXIT_FAILED;
}

/* Made by sd-bus itself for what is unanswered when the connection ends: no call times out. */
bool client_is_unanswered(const sd_bus_error *error) {
    return error->name && (strcmp(error->name, SD_BUS_ERROR_NO_REPLY) == 0 ||
                           strcmp(error->name, SD_BUS_ERROR_DISCONNECTED) == 0);
}

int client_error(const sd_bus_error *error, int number, struct fault *fault) {
    enum bus_error known = error->name ? bus_error_parse(error->name) : BUS_FAILED;

    if (!error->name)
        return client_broken(number, fault);
    if (client_is_unanswered(error))
        return client_broken(-ECONNRESET, fault);
    if (known == BUS_ACCESS_DENIED)
        fault_say(fault, EPERM, "only root may do this");
    else
        fault_say(fault, EIO, "%s", error->message ? error->message : error->name);
    return error_code(known);
}

int client_send(sd_bus *bus, sd_bus_message *call, sd_bus_message **ret_reply,
                struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    sd_bus_error answer = SD_BUS_ERROR_NULL;
    int error = sd_bus_call(bus, call, UINT64_MAX, &answer, &reply);

    if (error < 0) {
        int code = client_error(&answer, error, fault);
        sd_bus_error_free(&answer);
        return code;
    }
    if (ret_reply)
        *ret_reply = take(reply);
    return EXIT_OK;
}

static int call_with(sd_bus *bus, const char *method, sd_bus_message **ret_reply,
                     struct fault *fault, const char *types, va_list arguments) {
    scoped(sd_bus_message_unref) sd_bus_message *call = NULL;
    int error =
        sd_bus_message_new_method_call(bus, &call, NULL, BUS_MANAGER_PATH, BUS_MANAGER, method);

    if (error >= 0 && types)
        error = sd_bus_message_appendv(call, types, arguments);
    return error < 0 ? client_broken(error, fault) : client_send(bus, call, ret_reply, fault);
}

int client_call(sd_bus *bus, const char *method, sd_bus_message **ret_reply, struct fault *fault,
                const char *types, ...) {
    va_list arguments;

    va_start(arguments, types);
    int code = call_with(bus, method, ret_reply, fault, types, arguments);
    va_end(arguments);
    return code;
}

/* ---- over the end of a manager ---- */

uint64_t client_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

bool client_is_lost(sd_bus *bus, int code) {
    return bus && code == EXIT_UNREACHABLE && sd_bus_is_open(bus) <= 0;
}

int client_await(const struct tool *tool, uint64_t deadline, sd_bus **ret_bus,
                 struct fault *fault) {
    uint64_t patience = client_now() + PATIENCE_UNTOLD;
    int code;

    while ((code = client_open(tool, ret_bus, fault)) == EXIT_UNREACHABLE) {
        uint64_t now = client_now();
        if (now >= deadline)
            break;
        if (now >= patience) {
            tool_fail(code, "the manager went away; waiting for the next one");
            patience = UINT64_MAX;
        }
        poll(NULL, 0, PAUSE_MS);
    }
    return code;
}

/* A manager that has ended in peace has taken its door away. */
int client_open_or_await(const struct tool *tool, sd_bus **ret_bus, struct fault *fault) {
    int error, code = open_door(tool, ret_bus, &error, fault);

    if (code != EXIT_UNREACHABLE || error == -ENOENT || tool->retry == 0)
        return code;
    return client_await(tool, client_now() + tool->retry, ret_bus, fault);
}

int client_reopen(const struct tool *tool, sd_bus **bus, struct client_patience *patience,
                  struct fault *fault) {
    scoped_text struct text time = {0};
    uint64_t now = client_now();

    if (tool->retry == 0)
        return client_broken(-ECONNRESET, fault);
    if (!patience->opened || now - patience->opened > LIFE_THAT_COUNTS)
        patience->deadline = now + tool->retry;
    *bus = sd_bus_flush_close_unref(*bus);
    int code = client_await(tool, patience->deadline, bus, fault);
    patience->opened = client_now();
    if (code == EXIT_UNREACHABLE) {
        duration_print(&time, tool->retry);
        fault_say(fault, ETIMEDOUT,
                  "the manager went away before it answered, and no other one has for %s",
                  time.data ? time.data : "long");
    }
    return code;
}

/* Before the kernel has gathered randomness it waits, as for every program of early boot. */
void client_make_token(char token[CLIENT_TOKEN_SIZE]) {
    uint64_t random[2] = {0};

    while (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        poll(NULL, 0, PAUSE_MS);
    snprintf(token, CLIENT_TOKEN_SIZE, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
}

int client_insist(const struct tool *tool, sd_bus **bus, const char *method,
                  sd_bus_message **ret_reply, struct fault *fault, const char *types, ...) {
    struct client_patience patience = {0};
    int code;

    do {
        va_list arguments;
        va_start(arguments, types);
        code = call_with(*bus, method, ret_reply, fault, types, arguments);
        va_end(arguments);
    } while (client_is_lost(*bus, code) &&
             (code = client_reopen(tool, bus, &patience, fault)) == EXIT_OK);
    return code;
}

int client_property(sd_bus *bus, const char *property, char **ret_value, struct fault *fault) {
    sd_bus_error answer = SD_BUS_ERROR_NULL;
    int error = sd_bus_get_property_string(bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER, property,
                                           &answer, ret_value);
    int code = error < 0 ? client_error(&answer, error, fault) : EXIT_OK;

    sd_bus_error_free(&answer);
    return code;
}

/* ---- names of units ---- */

void client_names_free(char **names) {
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

int client_unit_names(sd_bus *bus, char ***ret_names, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    scoped(client_names_free) char **names = calloc(1, sizeof(*names));
    size_t count = 0;
    const char *name;
    int code = client_call(bus, "ListUnits", &reply, fault, NULL);

    if (code != EXIT_OK)
        return code;
    int result = names ? sd_bus_message_enter_container(reply, 'a', "(" BUS_UNIT_ROW ")") : -ENOMEM;
    while (result >= 0 && (result = sd_bus_message_enter_container(reply, 'r', BUS_UNIT_ROW)) > 0) {
        char **longer = reallocarray(names, count + 2, sizeof(*names));
        if (!longer)
            return client_broken(-ENOMEM, fault);
        names = longer;
        names[count] = names[count + 1] = NULL;
        if ((result = sd_bus_message_read(reply, "s", &name)) < 0 ||
            (result = sd_bus_message_skip(reply, &BUS_UNIT_ROW[1])) < 0)
            break;
        names[count++] = strdup(name);
        result = sd_bus_message_exit_container(reply);
    }
    if (result < 0)
        return client_broken(result, fault);
    *ret_names = take(names);
    return EXIT_OK;
}

/* NULL: there is none of that name. */
static char *own_name(sd_bus *bus, const char *name) {
    scoped(sd_bus_message_unref) sd_bus_message *found = NULL;
    struct fault fault;
    const char *path;
    char *own = NULL;

    if (client_call(bus, "GetUnit", &found, &fault, "s", name) != EXIT_OK ||
        sd_bus_message_read(found, "o", &path) < 0 ||
        sd_bus_path_decode(path, BUS_UNIT_PATH, &own) <= 0)
        return NULL;
    return own;
}

char **client_own_names(sd_bus *bus, const char *const *names) {
    size_t count = 0;

    while (names && names[count])
        count++;
    scoped(client_names_free) char **own = calloc(count + 1, sizeof(char *));
    for (size_t i = 0; own && i < count; i++) {
        own[i] = own_name(bus, names[i]);
        if (!own[i] && !(own[i] = strdup(names[i])))
            return NULL;
    }
    return take(own);
}

void client_suggest(sd_bus *bus, const char *name, struct fault *fault) {
    scoped(client_names_free) char **names = NULL;
    size_t count = 0, length = strlen(fault->text);

    if (client_unit_names(bus, &names, NULL) != EXIT_OK)
        return;
    while (names[count])
        count++;
    const char *nearest = names_nearest(name, (const char *const *)names, count);
    if (nearest)
        snprintf(fault->text + length, sizeof(fault->text) - length, "; did you mean \"%s\"?",
                 nearest);
}
