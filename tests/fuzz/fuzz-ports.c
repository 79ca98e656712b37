/* Any bytes as a published port and as a socket: what parses is within its ranges. */

#include <stdlib.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"
#include "units/ports.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(uint16_t first, uint16_t last) {
    if (first == 0 || last < first)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scoped_free char *string = strndup((const char *)data, size);
    struct port_mapping mapping;
    struct port_socket socket;
    struct fault fault;
    if (!string)
        abort();
    if (port_mapping_parse(string, &mapping, &fault) == 0) {
        check(mapping.first, mapping.last);
        check(mapping.host.first, mapping.host.last);
        if (mapping.last - mapping.first != mapping.host.last - mapping.host.first)
            abort();
    }
    if (port_socket_parse(string, &socket, &fault) == 0 && socket.path[0] != '/')
        check(socket.endpoint.first, socket.endpoint.last);
    return 0;
}
