#pragma once
/* What both ends of the control door agree on: names, errors, where the socket is. The manager's
 * bus*.c and the `ringfence` tool include it. */

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>

#include "units/base/scoped.h"

SCOPED(sd_bus_message_unref, sd_bus_message *)
SCOPED(sd_bus_creds_unref, sd_bus_creds *)

#define BUS_SOCKET "control" /* in the runtime directory */
#define BUS_NAME "org.ringfence1"
#define BUS_MANAGER_PATH "/org/ringfence1"
#define BUS_UNIT_PATH "/org/ringfence1/unit"
#define BUS_MANAGER "org.ringfence1.Manager"
#define BUS_UNIT "org.ringfence1.Unit"

#define BUS_UNIT_ROW "ssssiiutttbbbss" /* what ListUnits tells of one */

/* What Boot tells: whether it is a machine's, when ringfenced, the manager and the units began;
 * each early step with its begin, end, outcome and words; each unit with when it waited, was built,
 * started, was ready, failed. Microseconds of CLOCK_BOOTTIME, 0: not. */
#define BUS_BOOT_STEP "sttss"
#define BUS_BOOT_UNIT "sttttt"
#define BUS_BOOT "bttta(" BUS_BOOT_STEP ")a(" BUS_BOOT_UNIT ")"

#define BUS_CLIENTS_MAX 64
#define BUS_TOKEN_LENGTH 32 /* 128 random bits, with each Order: lower-case hexadecimal digits */

enum bus_error {
    BUS_FAILED,
    BUS_NO_SUCH_UNIT,
    BUS_INVALID_UNIT,
    BUS_NOT_RUNNING,
    BUS_BUSY,
    BUS_SHUTTING_DOWN,
    BUS_TIMED_OUT,
    BUS_CANCELED, /* another command took its place */
    BUS_PROGRAM_NOT_FOUND,
    BUS_PROGRAM_NOT_EXECUTABLE,
    BUS_NO_TERMINAL, /* of its own */
    BUS_INVALID_ARGUMENTS,
    BUS_ACCESS_DENIED,
    BUS_LIMITS_EXCEEDED,
    BUS_ERRORS
};

const char *bus_error_name(enum bus_error error);
/* BUS_FAILED for a name that is not ours. */
enum bus_error bus_error_parse(const char *name);

/* The socket's address below a held directory, so that no path is too long for sockaddr_un. */
socklen_t bus_socket_address(int directory, struct sockaddr_un *ret_address);
