#pragma once
/* What only the three files of sockets.h know of a unit's sockets. */

#include <sys/types.h>

#include "supervisor/sockets.h"
#include "units/base/text.h"
#include "units/ports.h"
#include "units/spec.h"

struct unit;
struct watch;

struct socket {
    struct port_socket place;
    int fd;
    dev_t device; /* of the path */
    ino_t inode;
    struct watch *watch; /* NULL: nobody waits */
    uint64_t taken_at;   /* nanoseconds of CLOCK_REALTIME: the last datagram that was seen taken */
};

struct sockets {
    struct service *service;
    struct unit *unit; /* whose they are in line with; owned */
    struct text names;
    int descriptors[SOCKETS_MAX];
    size_t count;
    struct socket items[];
};

bool sockets_same_place(const struct port_socket *one, const struct port_socket *other);
