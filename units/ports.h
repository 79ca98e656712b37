#pragma once
/* Ports as network.publish, network.sockets and health.tcp name them. The kinds of the key table
 * call it, and what binds and forwards them. */

#include <stdbool.h>
#include <stdint.h>

struct fault;

/* "[ADDRESS:]PORT" or "[ADDRESS:]FIRST-LAST"; an IPv6 address stands in brackets. */
struct port_endpoint {
    char address[46]; /* "" where none is given: any */
    uint16_t first, last;
};

struct port_mapping {
    struct port_endpoint host;
    uint16_t first, last; /* inside the container; as many as on the host */
    bool udp;
};

struct port_socket {
    char name[64];                 /* LISTEN_FDNAMES; "" */
    char path[108];                /* of a unix(7) socket; "": see endpoint */
    struct port_endpoint endpoint; /* one port */
    bool udp;
};

/* "http://ADDRESS[:PORT][/PATH]". */
struct port_url {
    char address[46]; /* of IPv4 or IPv6, without brackets */
    uint16_t port;
    const char *path; /* within the text, or "/" */
};

/* Each takes the whole text: 0, or -EINVAL or -ERANGE with a sentence. Outputs may be NULL. */
int port_endpoint_parse(const char *text, struct port_endpoint *ret_endpoint, struct fault *fault);
/* "[ADDRESS:]HOST:CONTAINER[/tcp|/udp]", each a port or a range of the same length. */
int port_mapping_parse(const char *text, struct port_mapping *ret_mapping, struct fault *fault);
/* ADDRESS is of IPv4, of IPv6 in brackets, or "localhost" for 127.0.0.1: no name is looked up. */
int port_url_parse(const char *text, struct port_url *ret_url, struct fault *fault);
/* "[NAME=][ADDRESS:]PORT", "[NAME=]udp:[ADDRESS:]PORT" or "[NAME=]/path". */
int port_socket_parse(const char *text, struct port_socket *ret_socket, struct fault *fault);
