#include <string.h>

#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/check.h"
#include "units/ports.h"

#define AT(member) offsetof(struct unit, member)
#define FIRST_SOCKET 3 /* descriptor of sd_listen_fds(3) */

/* The same place, whatever it is called. */
static bool same_place(const char *one, const char *other) {
    struct port_socket a, b;
    if (port_socket_parse(one, &a, NULL) || port_socket_parse(other, &b, NULL))
        return false;
    return strcmp(a.path, b.path) == 0 && strcmp(a.endpoint.address, b.endpoint.address) == 0 &&
           a.endpoint.first == b.endpoint.first && a.udp == b.udp;
}

static void check_twice(struct draft *draft, const struct strings *sockets) {
    for (size_t i = 1; i < sockets->count; i++)
        for (size_t k = 0; k < i; k++)
            if (same_place(sockets->items[i], sockets->items[k])) {
                draft_complain(draft, AT(container.network.sockets),
                               "\"%s\" and \"%s\" are the same place", sockets->items[k],
                               sockets->items[i]);
                return;
            }
}

static void check_ready(struct draft *draft, const struct strings *sockets) {
    int64_t number = draft->unit->service.ready_fd;
    if (number < FIRST_SOCKET || number >= FIRST_SOCKET + (int64_t)sockets->count)
        return;
    draft_complain(draft, AT(service.ready_fd),
                   "descriptor %d is the socket \"%s\"; the first one that is free is %zu",
                   (int)number, sockets->items[number - FIRST_SOCKET],
                   FIRST_SOCKET + sockets->count);
}

static void check_lazy(struct draft *draft) {
    const struct network *network = &draft->unit->container.network;
    char title[64];
    if (network->sockets.count == 0)
        draft_complain(draft, AT(container.network.sockets_lazy),
                       "there are no %s to which a connection could come",
                       key_title(AT(container.network.sockets), title, sizeof(title)));
    if (draft->unit->service.type == SERVICE_ONESHOT)
        draft_complain(draft, AT(container.network.sockets_lazy),
                       "a oneshot ends by itself, and then nobody would answer");
}

void check_sockets(struct draft *draft) {
    const struct network *network = &draft->unit->container.network;
    char title[64];
    if (network->sockets.count > SOCKETS_MAX) {
        draft_complain(draft, AT(container.network.sockets), "a unit has at most %d", SOCKETS_MAX);
        return;
    }
    check_twice(draft, &network->sockets);
    check_ready(draft, &network->sockets);
    if (network->sockets_lazy)
        check_lazy(draft);
    if (network->idle_stop != DURATION_OFF && !network->sockets_lazy)
        draft_complain(draft, AT(container.network.idle_stop),
                       "without %s = true nothing would start it again",
                       key_title(AT(container.network.sockets_lazy), title, sizeof(title)));
}
