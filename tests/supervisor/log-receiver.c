/* A daemon that takes log messages, for tests/supervisor/logd.bats: log-receiver journal|syslog
 * PATH. Binds a datagram socket at PATH and prints each message on a line of its own: of the
 * journal's native protocol, which it parses as journald does, the fields with tabs between them;
 * of syslog the datagram as it is. What breaks the protocol ends it with 1. */

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char message[1 << 20];

static void fail(const char *what) {
    fprintf(stderr, "log-receiver: %s\n", what);
    exit(1);
}

/* FIELD=value and a newline; or FIELD, a newline, the length in 8 bytes, the value, a newline. */
static void print_journal(const char *at, const char *end) {
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *equals = newline ? memchr(at, '=', (size_t)(newline - at)) : NULL;
        const char *name_end = equals ? equals : newline, *value;
        uint64_t length;
        if (!newline)
            fail("a field without an end");
        if (strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != (size_t)(name_end - at) ||
            *at == '_')
            fail("a field without a proper name");
        if (equals) {
            value = equals + 1;
            length = (uint64_t)(newline - value);
        } else {
            if (end - newline < 1 + (ptrdiff_t)sizeof length)
                fail("a length that is cut");
            memcpy(&length, newline + 1, sizeof length);
            value = newline + 1 + sizeof length;
            if (length >= (uint64_t)(end - value) || value[length] != '\n')
                fail("a value that does not end where it should");
        }
        fwrite(at, 1, (size_t)(name_end - at), stdout);
        putchar('=');
        fwrite(value, 1, (size_t)length, stdout);
        at = value + length + 1;
        putchar(at < end ? '\t' : '\n');
    }
}

int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc != 3)
        fail("usage: log-receiver journal|syslog PATH");
    strncpy(address.sun_path, argv[2], sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(argv[2]);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail(strerror(errno));
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;;) {
        ssize_t length = recv(fd, message, sizeof message - 1, 0);
        if (length < 0)
            fail(strerror(errno));
        message[length] = '\0';
        if (strcmp(argv[1], "journal") == 0)
            print_journal(message, message + length);
        else
            printf("%s\n", message);
    }
}
