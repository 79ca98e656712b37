#include "units/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "units/base/fault.h"

/* A port of 1 to 65535 in `length` bytes of text. */
static int port(const char *text, size_t length, uint16_t *ret_port) {
    unsigned value = 0;
    if (length == 0 || length > 5 || strspn(text, "0123456789") < length)
        return -EINVAL;
    for (size_t i = 0; i < length; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    if (value == 0 || value > 65535)
        return -ERANGE;
    *ret_port = (uint16_t)value;
    return 0;
}

/* "80" or "8000-8009". */
static int range(const char *text, size_t length, uint16_t *ret_first, uint16_t *ret_last) {
    const char *dash = memchr(text, '-', length);
    size_t first = dash ? (size_t)(dash - text) : length;
    int error = port(text, first, ret_first);
    if (error)
        return error;
    *ret_last = *ret_first;
    if (!dash)
        return 0;
    error = port(dash + 1, length - first - 1, ret_last);
    if (error)
        return error;
    return *ret_last < *ret_first ? -ERANGE : 0;
}

static int refuse(const char *text, int error, const char *example, struct fault *fault) {
    if (error == -ERANGE)
        return fault_say(fault, error,
                         "\"%s\" has a port out of range: from 1 to 65535, ranges "
                         "upward",
                         text);
    return fault_say(fault, error, "\"%s\" is no port; write %s", text, example);
}

static int endpoint(const char *text, size_t length, struct port_endpoint *endpoint) {
    const char *colon = memrchr(text, ':', length), *number = text;
    if (colon) {
        const char *address = text;
        size_t size = (size_t)(colon - text);
        bool bracketed = size >= 2 && text[0] == '[' && colon[-1] == ']';
        if (bracketed) {
            address++;
            size -= 2;
        }
        if (size == 0 || size >= sizeof(endpoint->address))
            return -EINVAL;
        memcpy(endpoint->address, address, size);
        endpoint->address[size] = '\0';
        struct in6_addr ignored;
        if (inet_pton(bracketed ? AF_INET6 : AF_INET, endpoint->address, &ignored) != 1)
            return -EINVAL;
        number = colon + 1;
    }
    return range(number, length - (size_t)(number - text), &endpoint->first, &endpoint->last);
}

int port_endpoint_parse(const char *text, struct port_endpoint *ret_endpoint, struct fault *fault) {
    struct port_endpoint parsed = {0};
    int error = endpoint(text, strlen(text), &parsed);
    if (error)
        return refuse(text, error, "\"[ADDRESS:]PORT\"", fault);
    if (ret_endpoint)
        *ret_endpoint = parsed;
    return 0;
}

int port_mapping_parse(const char *text, struct port_mapping *ret_mapping, struct fault *fault) {
    static const char example[] = "\"[ADDRESS:]HOST:CONTAINER[/udp]\"";
    struct port_mapping mapping = {0};
    size_t length = strlen(text);
    if (length > 4 && strcmp(text + length - 4, "/udp") == 0) {
        mapping.udp = true;
        length -= 4;
    } else if (length > 4 && strcmp(text + length - 4, "/tcp") == 0) {
        length -= 4;
    }
    const char *colon = memrchr(text, ':', length);
    if (!colon)
        return refuse(text, -EINVAL, example, fault);
    size_t host = (size_t)(colon - text);
    int error = endpoint(text, host, &mapping.host);
    if (!error)
        error = range(colon + 1, length - host - 1, &mapping.first, &mapping.last);
    if (error)
        return refuse(text, error, example, fault);
    if (mapping.last - mapping.first != mapping.host.last - mapping.host.first)
        return fault_say(fault, -EINVAL, "\"%s\" has two ranges of different length", text);
    if (ret_mapping)
        *ret_mapping = mapping;
    return 0;
}

static int url(const char *text, struct port_url *url) {
    static const char scheme[] = "http://", local[] = "localhost";
    struct in6_addr ignored;
    if (strncmp(text, scheme, strlen(scheme)) != 0 || strpbrk(text, " \t\r\n\"<>\\^`{|}#"))
        return -EINVAL;
    text += strlen(scheme);
    size_t length = strcspn(text, "/?");
    const char *end = text + length, *colon = memrchr(text, ':', length);
    if (*end == '?')
        return -EINVAL;
    if (colon && end[-1] == ']')
        colon = NULL; /* one of the address */
    url->path = *end ? end : "/";
    url->port = 80;
    int error = colon ? port(colon + 1, (size_t)(end - colon - 1), &url->port) : 0;
    if (error)
        return error;
    length = (size_t)((colon ? colon : end) - text);
    bool bracketed = length >= 2 && text[0] == '[' && text[length - 1] == ']';
    if (bracketed) {
        text++;
        length -= 2;
    } else if (length == strlen(local) && memcmp(text, local, length) == 0) {
        strcpy(url->address, "127.0.0.1");
        return 0;
    }
    if (length == 0 || length >= sizeof(url->address))
        return -EINVAL;
    memcpy(url->address, text, length);
    url->address[length] = '\0';
    return inet_pton(bracketed ? AF_INET6 : AF_INET, url->address, &ignored) == 1 ? 0 : -EINVAL;
}

int port_url_parse(const char *text, struct port_url *ret_url, struct fault *fault) {
    struct port_url parsed = {0};
    int error = url(text, &parsed);
    if (error == -ERANGE)
        return fault_say(fault, error, "\"%s\" has a port out of range: from 1 to 65535", text);
    if (error)
        return fault_say(fault, error,
                         "\"%s\" is no address of a page; write \"http://127.0.0.1:80/\"", text);
    if (ret_url)
        *ret_url = parsed;
    return 0;
}

/* sd_listen_fds_with_names(3): printable, and colons stand between the names. */
static bool is_name(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == ':')
            return false;
    return length > 0;
}

int port_socket_parse(const char *text, struct port_socket *ret_socket, struct fault *fault) {
    static const char example[] = "\"[NAME=][ADDRESS:]PORT\", \"[NAME=]udp:PORT\" or "
                                  "\"[NAME=]/path\"";
    struct port_socket parsed = {0};
    const char *at = text, *equals = strchr(text, '=');
    if (equals && !memchr(text, '/', (size_t)(equals - text))) {
        size_t size = (size_t)(equals - text);
        if (!is_name(text, size) || size >= sizeof(parsed.name))
            return refuse(text, -EINVAL, example, fault);
        memcpy(parsed.name, text, size);
        at = equals + 1;
    }
    if (*at == '/') {
        if (strlen(at) >= sizeof(parsed.path))
            return fault_say(fault, -ENAMETOOLONG,
                             "\"%s\" is too long: a socket's path has at most 107 bytes", text);
        strcpy(parsed.path, at);
    } else {
        parsed.udp = strncmp(at, "udp:", 4) == 0;
        at += parsed.udp ? 4 : 0;
        int error = endpoint(at, strlen(at), &parsed.endpoint);
        if (!error && parsed.endpoint.first != parsed.endpoint.last)
            error = -EINVAL;
        if (error)
            return refuse(text, error, example, fault);
    }
    if (ret_socket)
        *ret_socket = parsed;
    return 0;
}
