#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "supervisor/manager.h"
#include "supervisor/probe-private.h"
#include "supervisor/world.h"
#include "units/base/fault.h"
#include "units/base/text.h"
#include "units/ports.h"

#define CHUNK ((size_t)4096)
#define ANSWER_MOST ((size_t)64 * 1024) /* bytes of a page: more of it would prove nothing more */
#define TURN_MOST 4                     /* reads for one event: others want their turn */

struct probe_net {
    struct probe *probe;
    int socket;
    struct watch *watch;
    struct text request; /* empty for a connection alone */
    size_t sent, received;
    char line[64]; /* the beginning of the answer: "HTTP/1.1 200 OK" */
    size_t line_length;
};

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static socklen_t address_of(const char *host, uint16_t port, union address *ret_address) {
    union address address = {0};
    if (inet_pton(AF_INET6, host, &address.six.sin6_addr) == 1) {
        address.six.sin6_family = AF_INET6;
        address.six.sin6_port = htons(port);
        *ret_address = address;
        return sizeof(address.six);
    }
    address = (union address){.four = {.sin_family = AF_INET, .sin_port = htons(port)}};
    inet_pton(AF_INET, host, &address.four.sin_addr);
    *ret_address = address;
    return sizeof(address.four);
}

/* ---- the answer ---- */

static void conclude(struct probe_net *net, int error, const char *what) {
    char words[128] = "";
    if (error)
        snprintf(words, sizeof(words), "%s: %s", what, strerror(error));
    else if (what)
        snprintf(words, sizeof(words), "%s", what);
    probe_answer(net->probe, -1, words);
}

/* "HTTP/1.1 200 OK" is 200; -1 where it is no such line. */
static int status_of(const char *line) {
    if (strncmp(line, "HTTP/1.", 7) != 0 || line[7] < '0' || line[7] > '9' || line[8] != ' ')
        return -1;
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return -1;
        status = status * 10 + line[i] - '0';
    }
    return line[12] == ' ' || line[12] == '\0' ? status : -1;
}

/* The page has ended, or enough of it was read. */
static void judge(struct probe_net *net) {
    char words[128] = "";
    net->line[strcspn(net->line, "\r\n")] = '\0';
    int status = status_of(net->line);
    if (net->received == 0)
        snprintf(words, sizeof(words), "the connection was closed without an answer");
    else if (status < 0)
        snprintf(words, sizeof(words), "the answer is not HTTP");
    else if (status < 200 || status > 399)
        snprintf(words, sizeof(words), "answered %.60s", net->line + 9);
    probe_answer(net->probe, status, words);
}

static void keep(struct probe_net *net, const char *bytes, size_t length) {
    size_t room = sizeof(net->line) - 1 - net->line_length;
    if (room > length)
        room = length;
    memcpy(net->line + net->line_length, bytes, room);
    net->line_length += room;
    net->received += length;
    probe_keep(net->probe, bytes, length);
}

static void answer_came(void *context) {
    struct probe_net *net = context;
    for (int turn = 0; turn < TURN_MOST; turn++) {
        char bytes[CHUNK];
        ssize_t length = recv(net->socket, bytes, sizeof(bytes), 0);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (length > 0)
            keep(net, bytes, (size_t)length);
        if (length < 0 && net->received == 0)
            conclude(net, errno, "cannot read the answer");
        else if (length <= 0 || net->received >= ANSWER_MOST)
            judge(net);
        else
            continue;
        return; /* the probe is gone */
    }
}

/* ---- the question ---- */

static int watch(struct probe_net *net, uint32_t events, watch_ready ready) {
    watch_close(net->watch);
    net->watch = NULL;
    return watch_open(net->probe->service->manager, net->socket, events, WATCH_CGROUP, ready, net,
                      &net->watch);
}

/* Connected, or not; then there is room to send. */
static void may_send(void *context) {
    struct probe_net *net = context;
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(net->socket, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error || net->request.length == 0) {
        conclude(net, error, error ? "cannot connect" : NULL);
        return;
    }
    ssize_t length = send(net->socket, net->request.data + net->sent,
                          net->request.length - net->sent, MSG_NOSIGNAL);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length < 0) {
        conclude(net, errno, "cannot ask");
        return;
    }
    net->sent += (size_t)length;
    if (net->sent < net->request.length)
        return;
    error = watch(net, EPOLLIN, answer_came);
    if (error < 0)
        conclude(net, -error, "cannot watch the connection");
}

/* ---- begin ---- */

static void write_request(struct text *request, const struct port_url *url) {
    const char *before = strchr(url->address, ':') ? "[" : "", *after = *before ? "]" : "";
    text_format(request,
                "GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUser-Agent: ringfence/" RINGFENCE_VERSION
                "\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                url->path, before, url->address, after, url->port);
}

static int connect_to(struct probe_net *net, const char *host, uint16_t port, struct fault *fault) {
    union address address;
    socklen_t size = address_of(host, port, &address);
    net->socket =
        sandbox_socket(net->probe->service->sandbox, address.any.sa_family, SOCK_STREAM, fault);
    if (net->socket < 0)
        return net->socket;
    if (connect(net->socket, &address.any, size) < 0 && errno != EINPROGRESS)
        return fault_set(fault, errno, "cannot connect");
    int error = watch(net, EPOLLOUT, may_send);
    return error < 0 ? fault_set(fault, error, "cannot watch the connection") : 0;
}

static int start(struct probe_net *net, struct fault *fault) {
    const struct health *health = &net->probe->service->unit->health;
    struct port_url url;
    if (health->http) {
        int error = port_url_parse(health->http, &url, fault);
        if (error < 0)
            return error;
        write_request(&net->request, &url);
        if (net->request.failed)
            return fault_set(fault, ENOMEM, "cannot ask");
        return connect_to(net, url.address, url.port, fault);
    }
    struct port_endpoint endpoint;
    int error = port_endpoint_parse(health->tcp, &endpoint, fault);
    return error < 0 ? error
                     : connect_to(net, endpoint.address[0] ? endpoint.address : "127.0.0.1",
                                  endpoint.first, fault);
}

int probe_net_open(struct probe *probe, struct fault *fault) {
    struct probe_net *net = malloc(sizeof(*net));
    if (!net)
        return fault_set(fault, ENOMEM, "cannot probe %s", probe->service->name);
    *net = (struct probe_net){.probe = probe, .socket = -EBADF};
    int error = start(net, fault);
    if (error < 0) {
        probe_net_close(net);
        return error;
    }
    probe->net = net;
    return 0;
}

void probe_net_close(struct probe_net *net) {
    if (!net)
        return;
    watch_close(net->watch);
    close_fd(net->socket);
    text_free(&net->request);
    free(net);
}
