#include "supervisor/bus-protocol.h"

#include <assert.h>
#include <stdio.h>

#include "units/base/names.h"

/* The last three are D-Bus's own, which its libraries know. */
static const char *const error_names[] = {
    [BUS_FAILED] = "org.ringfence1.Error.Failed",
    [BUS_NO_SUCH_UNIT] = "org.ringfence1.Error.NoSuchUnit",
    [BUS_INVALID_UNIT] = "org.ringfence1.Error.InvalidUnit",
    [BUS_NOT_RUNNING] = "org.ringfence1.Error.NotRunning",
    [BUS_BUSY] = "org.ringfence1.Error.Busy",
    [BUS_SHUTTING_DOWN] = "org.ringfence1.Error.ShuttingDown",
    [BUS_TIMED_OUT] = "org.ringfence1.Error.TimedOut",
    [BUS_CANCELED] = "org.ringfence1.Error.Canceled",
    [BUS_PROGRAM_NOT_FOUND] = "org.ringfence1.Error.ProgramNotFound",
    [BUS_PROGRAM_NOT_EXECUTABLE] = "org.ringfence1.Error.ProgramNotExecutable",
    [BUS_NO_TERMINAL] = "org.ringfence1.Error.NoTerminal",
    [BUS_INVALID_ARGUMENTS] = "org.freedesktop.DBus.Error.InvalidArgs",
    [BUS_ACCESS_DENIED] = "org.freedesktop.DBus.Error.AccessDenied",
    [BUS_LIMITS_EXCEEDED] = "org.freedesktop.DBus.Error.LimitsExceeded",
};
static_assert(sizeof(error_names) / sizeof(error_names[0]) == BUS_ERRORS, "a name for each");
static const struct names errors = NAMES(error_names);

const char *bus_error_name(enum bus_error error) {
    return names_word(&errors, (int)error);
}

enum bus_error bus_error_parse(const char *name) {
    int value = names_value(&errors, name);
    return value < 0 ? BUS_FAILED : (enum bus_error)value;
}

socklen_t bus_socket_address(int directory, struct sockaddr_un *ret_address) {
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "/proc/self/fd/%d/%s", directory,
             BUS_SOCKET);
    return sizeof(*ret_address);
}
