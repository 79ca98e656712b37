/* A serial line for tests: prints the path of a new terminal; then what comes on standard input is
 * typed on it, and what it shows is written to standard output. */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int copy(int from, int to) {
    char bytes[4096];
    ssize_t length = read(from, bytes, sizeof(bytes));
    return length > 0 && write(to, bytes, (size_t)length) == length ? 0 : -1;
}

int main(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return EXIT_FAILURE;
    const char *path = ptsname(master);
    /* Held, so that the line lives on between two programs on it. */
    if (!path || open(path, O_RDWR | O_NOCTTY) < 0)
        return EXIT_FAILURE;
    puts(path);
    fflush(stdout);
    struct pollfd polled[] = {{master, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    while (poll(polled, 2, -1) > 0) {
        if (polled[0].revents && copy(master, STDOUT_FILENO) < 0)
            return EXIT_FAILURE;
        if (polled[1].revents && copy(STDIN_FILENO, master) < 0)
            return EXIT_SUCCESS;
    }
    return EXIT_FAILURE;
}
