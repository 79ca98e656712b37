/* A person at a terminal: runs a program on a new pseudo-terminal and does what the lines of
 * standard input say, in order:
 *
 *     expect TEXT        it shows the text within ten seconds, after what was expected before
 *     send TEXT          types it
 *     resize ROWS COLS   the window changes
 *     signal NUMBER      to the program itself
 *     end CODE           it ends within ten seconds, with this code
 *
 * In texts, \r \n \\ \cX (control) and \xNN stand for bytes. Exits with 0, or says which line did
 * not come true and what was shown; what still runs then is killed. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "units/base/scoped.h"

#define PATIENCE 10000 /* ms */

static struct person {
    int master;
    pid_t child;
    char shown[1 << 18];
    size_t length, seen; /* shown up to; expected up to */
    bool ended;
    int status;
} person;

static void give_up(int line, const char *text) {
    fprintf(stderr, "line %d: not so: %s\n---- shown:\n", line, text);
    fwrite(person.shown, 1, person.length, stderr);
    fprintf(stderr, "\n---- expected up to byte %zu of %zu\n", person.seen, person.length);
    if (!person.ended)
        kill(person.child, SIGKILL);
    exit(1);
}

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Reads what is there within `patience` ms at the most. */
static void look(int patience) {
    struct pollfd master = {.fd = person.master, .events = POLLIN};
    if (poll(&master, 1, patience) <= 0)
        return;
    size_t room = sizeof(person.shown) - person.length - 1;
    ssize_t count = read(person.master, person.shown + person.length, room);
    if (count > 0)
        person.length += (size_t)count;
    else
        usleep(10000); /* its other side is closed: only the end is left to wait for */
}

static void reap(void) {
    if (!person.ended && waitpid(person.child, &person.status, WNOHANG) == person.child)
        person.ended = true;
}

static size_t unescape(const char *text, char *bytes) {
    size_t length = 0;
    for (; *text; text++) {
        unsigned value = (unsigned char)*text;
        if (*text == '\\') {
            text++;
            if (*text == 'x' && sscanf(text + 1, "%2x", &value) == 1)
                text += 2;
            else if (*text == 'c')
                value = (unsigned char)*++text & 0x1f;
            else
                value = *text == 'r' ? '\r' : *text == 'n' ? '\n' : (unsigned char)*text;
        }
        bytes[length++] = (char)value;
    }
    return length;
}

static void expect(int line, const char *text) {
    char bytes[1024];
    size_t length = unescape(text, bytes);
    for (long until = now() + PATIENCE;;) {
        char *found =
            memmem(person.shown + person.seen, person.length - person.seen, bytes, length);
        if (found) {
            person.seen = (size_t)(found - person.shown) + length;
            return;
        }
        if (now() > until)
            give_up(line, text);
        look(100);
    }
}

static void send(int line, const char *text) {
    char bytes[1024];
    size_t length = unescape(text, bytes);
    if (write(person.master, bytes, length) != (ssize_t)length)
        give_up(line, text);
}

static void end(int line, int code) {
    char text[64];
    for (long until = now() + PATIENCE; !person.ended && now() < until; reap())
        look(20);
    int have =
        WIFSIGNALED(person.status) ? 128 + WTERMSIG(person.status) : WEXITSTATUS(person.status);
    snprintf(text, sizeof(text), "end %d (%s %d)", code, person.ended ? "ended with" : "runs",
             have);
    if (!person.ended || have != code)
        give_up(line, text);
}

static void obey(int line, char *command) {
    struct winsize size = {0};
    char *rest = strchr(command, ' ');
    if (rest)
        *rest++ = '\0';
    if (strcmp(command, "expect") == 0 && rest)
        expect(line, rest);
    else if (strcmp(command, "send") == 0 && rest)
        send(line, rest);
    else if (strcmp(command, "resize") == 0 && rest &&
             sscanf(rest, "%hu %hu", &size.ws_row, &size.ws_col) == 2)
        ioctl(person.master, TIOCSWINSZ, &size);
    else if (strcmp(command, "signal") == 0 && rest)
        kill(person.child, atoi(rest));
    else if (strcmp(command, "end") == 0 && rest)
        end(line, atoi(rest));
    else
        give_up(line, command);
}

static void start(char **arguments) {
    const struct winsize size = {.ws_row = 30, .ws_col = 100};
    person.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (person.master < 0 || unlockpt(person.master) < 0)
        abort();
    int slave = ioctl(person.master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    ioctl(slave, TIOCSWINSZ, &size);
    person.child = fork();
    if (person.child == 0) {
        setsid();
        ioctl(slave, TIOCSCTTY, 0);
        for (int i = 0; i < 3; i++)
            dup2(slave, i);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    close_fd(slave);
}

int main(int argc, char **argv) {
    char *command = NULL;
    size_t size = 0;
    if (argc < 2)
        return 2;
    start(argv + 1);
    for (int line = 1; getline(&command, &size, stdin) >= 0; line++) {
        command[strcspn(command, "\n")] = '\0';
        if (*command)
            obey(line, command);
    }
    free(command);
    reap();
    if (!person.ended) {
        kill(person.child, SIGKILL);
        waitpid(person.child, NULL, 0);
    }
    return 0;
}
