/* A unit of the storm (tests/supervisor/storm), which keeps account of itself in its volume, /mnt:
 *
 *     storm-service stay         until SIGTERM
 *     storm-service tell         the same; says READY=1 (sd_notify(3)) before
 *     storm-service crash        ends after a moment, each time with another code
 *     storm-service die          the same, mostly by a signal
 *     storm-service serve N      answers N connections on descriptor 3, then ends well
 *     storm-service command NAME a command before or after the program: its account is NAME's
 *
 * and its client:
 *
 *     storm-service ask SOCKET         fails where nobody answers
 *     storm-service load SOCKET FILE   asks one connection after the other until the file is there;
 *                                      prints how many were answered, and how many were not
 *
 * NAME.runs has a line for each run that begins, NAME.ends one for each that is about to end: its
 * number, and how, in ringfence's words. NAME.doubled is there when two were alive at once. Where
 * there is /srv/enough, what crashes ends well instead. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "units/base/scoped.h"

enum { PATIENCE = 60 }; /* seconds that a client waits for its answer */

static const char *name = "main";
static unsigned long number; /* of this run, from 1 */

/* ---- the account ---- */

static int open_file(const char *suffix, int flags) {
    char path[128];
    snprintf(path, sizeof(path), "/mnt/%s.%s", name, suffix);
    int fd = open(path, flags | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        exit(EXIT_FAILURE);
    return fd;
}

static unsigned long append(const char *suffix, const char *line) {
    struct stat status;
    scoped_fd int fd = open_file(suffix, O_WRONLY | O_APPEND);
    if (write(fd, line, strlen(line)) < 0 || fstat(fd, &status) < 0)
        exit(EXIT_FAILURE);
    return (unsigned long)status.st_size;
}

/* The lock is held until the process is gone. */
static void begin(void) {
    static const char line[] = "run\n";
    if (flock(open_file("lock", O_RDWR), LOCK_EX | LOCK_NB) < 0)
        append("doubled", line);
    number = append("runs", line) / strlen(line);
}

static void note_end(const char *how) {
    char line[64];
    snprintf(line, sizeof(line), "%lu %s\n", number, how);
    append("ends", line);
}

_Noreturn static void end_with(int code) {
    char how[32];
    snprintf(how, sizeof(how), "exited with code %d", code);
    note_end(how);
    _exit(code);
}

_Noreturn static void end_by(int signal_number) {
    char how[32];
    snprintf(how, sizeof(how), "was ended by SIG%s", sigabbrev_np(signal_number));
    note_end(how);
    raise(signal_number);
    _exit(EXIT_FAILURE); /* and then the accounts differ */
}

/* ---- services ---- */

static bool is_enough(void) {
    return access("/srv/enough", F_OK) == 0;
}

static void last_a_moment(void) {
    poll(NULL, 0, 20 + (int)(number * 7919 % 180));
}

static void heed(int signal_number) {
    (void)signal_number;
}

_Noreturn static void stay(bool tells) {
    const char *address = getenv("NOTIFY_SOCKET");
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    sigset_t set;
    int got;
    signal(SIGTERM, heed); /* or PID 1 would be taken for one that does not listen to it */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    begin();
    if (tells && address && strlen(address) < sizeof(place.sun_path)) {
        scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        memcpy(place.sun_path, address, strlen(address));
        if (sendto(fd, "READY=1", 7, 0, (const struct sockaddr *)&place, sizeof(place)) < 0)
            exit(EXIT_FAILURE);
    }
    sigwait(&set, &got);
    end_with(0);
}

_Noreturn static void crash(void) {
    begin();
    last_a_moment();
    end_with(is_enough() ? 0 : 1 + (int)(number * 37 % 120));
}

_Noreturn static void die(void) {
    static const int signals[] = {SIGKILL, SIGUSR1, SIGALRM, SIGUSR2};
    begin();
    last_a_moment();
    if (is_enough())
        end_with(0);
    if (number % 5 == 0)
        end_with(1 + (int)(number % 100));
    end_by(signals[number % ELEMENTS(signals)]);
}

_Noreturn static void serve(int count) {
    begin();
    while (count > 0) {
        scoped_fd int connection = accept4(3, NULL, NULL, SOCK_CLOEXEC);
        if (connection >= 0 && write(connection, "x", 1) == 1)
            count--;
    }
    end_with(0);
}

_Noreturn static void command(const char *called) {
    name = called;
    begin();
    end_with(0);
}

/* ---- a client ---- */

static bool ask(const char *path) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    char answer;
    scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(place.sun_path, sizeof(place.sun_path), "%s", path);
    if (connect(fd, (const struct sockaddr *)&place, sizeof(place)) < 0)
        return false;
    struct pollfd answered = {.fd = fd, .events = POLLIN};
    return poll(&answered, 1, PATIENCE * 1000) == 1 && read(fd, &answer, 1) == 1;
}

static int load(const char *path, const char *until) {
    unsigned answered = 0, unanswered = 0;
    while (access(until, F_OK) < 0) {
        if (ask(path))
            answered++;
        else
            unanswered++;
        poll(NULL, 0, 20);
    }
    printf("%u answered, %u not\n", answered, unanswered);
    return unanswered ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "stay") == 0 || strcmp(what, "tell") == 0)
        stay(*what == 't');
    if (strcmp(what, "crash") == 0)
        crash();
    if (strcmp(what, "die") == 0)
        die();
    if (strcmp(what, "serve") == 0 && argc == 3)
        serve(atoi(argv[2]));
    if (strcmp(what, "command") == 0 && argc == 3)
        command(argv[2]);
    if (strcmp(what, "ask") == 0 && argc == 3)
        return ask(argv[2]) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (strcmp(what, "load") == 0 && argc == 4)
        return load(argv[2], argv[3]);
    fprintf(stderr, "usage: see the head of tests/supervisor/storm-service.c\n");
    return 2;
}
