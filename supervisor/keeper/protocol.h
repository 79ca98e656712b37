#pragma once
/* What ringfenced and ringfence-manager agree on; the one includes it as does the other.
 *
 * The manager is started with NOTIFY_SOCKET, RINGFENCE_KEEPER=1, the signals that it reads
 * (SIGTERM, SIGINT, SIGHUP, SIGCHLD) blocked, and these descriptors. Its messages are datagrams as
 * in sd_notify(3): FDSTORE=1 and FDSTOREREMOVE=1 with FDNAME=, which may end in "*" where it
 * removes; READY=1, RELOADING=1 with MONOTONIC_USEC=, STOPPING=1, STATUS=, EXTEND_TIMEOUT_USEC=,
 * WATCHDOG=1, WATCHDOG_USEC=; and of our own REEXEC=1; LOGGER=hung; CONSOLE= for a person; and
 * POWEROFF=, REBOOT= and HALT=, "1" or "force". */

#include <stdint.h>

enum {
    KEEPER_EXITS = 3, /* a stream of struct keeper_exit, to be read */
    KEEPER_NAMES = 4, /* a file; a line for each stored descriptor: its number, a blank, its name */
    KEEPER_STATE = 5, /* the keeper's own: what one leaves to the next in the same process */
    KEEPER_NAME_MAX = 200,   /* bytes */
    KEEPER_MESSAGE_FDS = 16, /* descriptors in one message */
    KEEPER_REEXEC = 75       /* exit status of a manager that wants all programs started anew */
};

/* What follows the "/" in the name of descriptors that came from a service. */
#define KEEPER_FOREIGN "store"

/* A child of the keeper's that ended and is neither its manager nor its logger. */
struct keeper_exit {
    int32_t pid;
    int32_t wait_status; /* as of waitpid(2) */
    uint64_t start_time; /* field 22 of /proc/PID/stat; 0: it could not be read */
};
