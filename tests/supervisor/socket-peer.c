/* Both ends of the sockets that a manager binds, for tests/supervisor/sockets.bats.
 *
 *     socket-peer serve               as a unit: takes what sd_listen_fds(3) gives, and answers
 * each connection and datagram with one line about all of it socket-peer ask PLACE           prints
 * the answer socket-peer hold PLACE SECONDS  prints the answer, and keeps the connection so long
 *     socket-peer load PLACE FILE     asks again and again until the file is there; prints how
 * often that was "answered", "refused", "lost" (accepted, and then the server died) socket-peer
 * listen PLACE        listens, and accepts nothing
 *
 * PLACE is ADDRESS:PORT, udp:ADDRESS:PORT or a path. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define SOCKETS 8

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return EXIT_FAILURE;
}

/* ---- the server ---- */

static volatile sig_atomic_t ends;

static void on_signal(int number) {
    (void)number;
    ends = 1;
}

/* "3=web/stream/inet 4=unknown/stream/unix pid=1" */
static void describe(char *line, size_t size, int count, char *const *names) {
    size_t length = 0;
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; fd++)
        length += (size_t)snprintf(
            line + length, size - length, "%d=%s/%s/%s ", fd, names[fd - SD_LISTEN_FDS_START],
            sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0 ? "stream" : "dgram",
            sd_is_socket(fd, AF_UNIX, 0, -1) > 0 ? "unix" : "inet");
    snprintf(line + length, size - length, "pid=%d\n", getpid());
}

static void answer(int fd, const char *line) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);
    char request[16];
    if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, -1) > 0) {
        int connection = accept(fd, NULL, NULL);
        if (connection < 0)
            return;
        if (write(connection, line, strlen(line)) < 0)
            perror("write");
        /* What is held stays open in here until the other side lets go. */
        while (read(connection, request, sizeof(request)) > 0)
            ;
        close(connection);
    } else if (recvfrom(fd, request, sizeof(request), 0, (struct sockaddr *)&peer, &size) >= 0 &&
               sendto(fd, line, strlen(line), 0, (struct sockaddr *)&peer, size) < 0) {
        perror("sendto");
    }
}

static int serve(void) {
    char **names = NULL, line[512];
    const struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked, open;
    int count = sd_listen_fds_with_names(0, &names);
    if (count <= 0 || count > SOCKETS)
        return fail("there are no sockets");
    describe(line, sizeof(line), count, names);
    sigaction(SIGTERM, &action, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &open);
    while (!ends) { /* the signal comes between two answers */
        struct pollfd fds[SOCKETS];
        for (int i = 0; i < count; i++)
            fds[i] = (struct pollfd){SD_LISTEN_FDS_START + i, POLLIN, 0};
        if (ppoll(fds, (nfds_t)count, NULL, &open) < 0)
            continue;
        for (int i = 0; i < count; i++)
            if (fds[i].revents)
                answer(fds[i].fd, line);
    }
    /* Not exit(3): a sanitizer's look for leaks needs ptrace(2), which the unit's filter denies. */
    _exit(EXIT_SUCCESS);
}

/* ---- clients ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in inet;
    struct sockaddr_un path;
};

static socklen_t parse(const char *place, int *ret_type, union address *address) {
    memset(address, 0, sizeof(*address));
    *ret_type = SOCK_STREAM;
    if (*place == '/') {
        address->path.sun_family = AF_UNIX;
        strncpy(address->path.sun_path, place, sizeof(address->path.sun_path) - 1);
        return sizeof(address->path);
    }
    if (strncmp(place, "udp:", 4) == 0) {
        *ret_type = SOCK_DGRAM;
        place += 4;
    }
    char text[64];
    const char *colon = strrchr(place, ':');
    if (!colon)
        exit(2);
    snprintf(text, sizeof(text), "%.*s", (int)(colon - place), place);
    address->inet.sin_family = AF_INET;
    address->inet.sin_port = htons((in_port_t)atoi(colon + 1));
    if (inet_pton(AF_INET, text, &address->inet.sin_addr) != 1)
        exit(2);
    return sizeof(address->inet);
}

/* -1: errno of socket(2) or connect(2). */
static int reach(const char *place) {
    union address address;
    int type;
    socklen_t length = parse(place, &type, &address);
    int fd = socket(address.any.sa_family, type | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &address.any, length) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    if (type == SOCK_DGRAM && write(fd, "?", 1) < 0)
        return -1;
    return fd;
}

static int ask(const char *place, unsigned seconds) {
    char line[512];
    int fd = reach(place);
    if (fd < 0)
        return fail(place);
    ssize_t length = read(fd, line, sizeof(line));
    if (length <= 0)
        return fail("no answer");
    fwrite(line, 1, (size_t)length, stdout);
    fflush(stdout);
    sleep(seconds);
    return EXIT_SUCCESS;
}

static int load(const char *place, const char *end) {
    unsigned answered = 0, refused = 0, lost = 0;
    while (access(end, F_OK) < 0) {
        char line[512];
        int fd = reach(place);
        if (fd < 0) {
            refused++;
            continue;
        }
        if (read(fd, line, sizeof(line)) > 0)
            answered++;
        else
            lost++;
        /* No TIME_WAIT of ours: ports would run out. */
        const struct linger none = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        close(fd);
    }
    printf("answered=%u refused=%u lost=%u\n", answered, refused, lost);
    return EXIT_SUCCESS;
}

static int wait_in_vain(const char *place) {
    union address address;
    int type;
    socklen_t length = parse(place, &type, &address);
    int fd = socket(address.any.sa_family, type, 0);
    if (fd < 0 || bind(fd, &address.any, length) < 0 || (type == SOCK_STREAM && listen(fd, 1) < 0))
        return fail(place);
    puts("listens");
    fflush(stdout);
    pause();
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        return serve();
    if (argc == 3 && strcmp(argv[1], "ask") == 0)
        return ask(argv[2], 0);
    if (argc == 4 && strcmp(argv[1], "hold") == 0)
        return ask(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 4 && strcmp(argv[1], "load") == 0)
        return load(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "listen") == 0)
        return wait_in_vain(argv[2]);
    return 2;
}
