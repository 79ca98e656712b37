/* Launches every contender once in each round, in turn, and prints medians, 95th percentiles and
 * the median of the per-round ratios to the first contender: the machine's slow and fast phases
 * then hit all of them alike.
 *
 *     rounds ROUNDS PAUSE-MS -- LABEL KIND ARGUMENT... [-- LABEL KIND ARGUMENT...]...
 *
 * The time is that from the request to the payload's first instruction, which the payload itself
 * tells ("first NANOSECONDS"). KIND says what the request is and where the stamp comes out:
 *
 *     server COMMAND...           a byte to the command that runs all the time; its output
 *     command COMMAND...          the start of the command; its output
 *     logged FILE COMMAND...      the start of the command; the last line of FILE
 *     door SOCKET FILE UNIT       a Start call on a connection that is open; the last line of FILE
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define CONTENDERS_MAX 16
#define PATIENCE_MS 10000 /* for one launch */

struct contender {
    const char *label;
    char **arguments;                                /* after KIND */
    uint64_t (*launch)(struct contender *contender); /* nanoseconds */
    pid_t server;
    int request, answer; /* of the server */
    sd_bus *bus;
    uint64_t *samples;
};

static _Noreturn void fail(const char *label, const char *what) {
    fprintf(stderr, "rounds: %s: %s\n", label, what);
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* The number after the last "first " in a text; 0 where there is none yet. */
static uint64_t stamp_of(const char *text) {
    uint64_t stamp = 0;

    for (const char *at = text; (at = strstr(at, "first ")) != NULL; at++)
        if (strchr(at, '\n') != NULL)
            stamp = strtoull(at + 6, NULL, 10);
    return stamp;
}

/* ---- a command whose output is a pipe ---- */

static pid_t command_start(const struct contender *contender, char **command, int input,
                           int output) {
    pid_t pid = fork();

    if (pid < 0)
        fail(contender->label, strerror(errno));
    if (pid == 0) {
        if ((input >= 0 && dup2(input, 0) < 0) || (output >= 0 && dup2(output, 1) < 0))
            _exit(126);
        execvp(command[0], command);
        fprintf(stderr, "rounds: %s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
    return pid;
}

static void command_end(const struct contender *contender, pid_t pid) {
    int status;

    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail(contender->label, "the command failed");
}

static uint64_t read_stamp(const struct contender *contender, int fd) {
    char text[256] = "";
    size_t length = 0;

    while (stamp_of(text) == 0) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t count;

        if (poll(&ready, 1, PATIENCE_MS) <= 0)
            fail(contender->label, "no stamp came in time");
        count = read(fd, text + length, sizeof text - 1 - length);
        if (count <= 0)
            fail(contender->label, "it ended without a stamp");
        length += (size_t)count;
        text[length] = '\0';
    }
    return stamp_of(text);
}

static uint64_t launch_command(struct contender *contender) {
    int output[2];
    uint64_t began, first;
    pid_t pid;

    if (pipe2(output, O_CLOEXEC) < 0)
        fail(contender->label, strerror(errno));
    began = now();
    pid = command_start(contender, contender->arguments, -1, output[1]);
    close(output[1]);
    first = read_stamp(contender, output[0]);
    close(output[0]);
    command_end(contender, pid);
    return first - began;
}

/* ---- a server ---- */

static uint64_t launch_by_server(struct contender *contender) {
    uint64_t began;

    if (contender->server == 0) {
        int request[2], answer[2];

        if (pipe2(request, O_CLOEXEC) < 0 || pipe2(answer, O_CLOEXEC) < 0)
            fail(contender->label, strerror(errno));
        contender->server = command_start(contender, contender->arguments, request[0], answer[1]);
        close(request[0]);
        close(answer[1]);
        contender->request = request[1];
        contender->answer = answer[0];
    }
    began = now();
    if (write(contender->request, "x", 1) != 1)
        fail(contender->label, strerror(errno));
    return read_stamp(contender, contender->answer) - began;
}

/* ---- a service, whose stamp is in its log ---- */

/* The log may hold the stamps of earlier launches, and of other contenders: the one that is waited
 * for is the last, and not older than the request. */
static uint64_t logged_stamp(const struct contender *contender, const char *path, uint64_t began) {
    for (int waited = 0; waited < PATIENCE_MS; waited++) {
        char text[128] = "";
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
        off_t from = end < (off_t)sizeof text ? 0 : end - (off_t)sizeof text + 1;
        uint64_t stamp = 0;

        if (fd >= 0 && pread(fd, text, sizeof text - 1, from) > 0)
            stamp = stamp_of(text);
        if (fd >= 0)
            close(fd);
        if (stamp >= began)
            return stamp;
        usleep(1000);
    }
    fail(contender->label, "no stamp came into the log");
}

static uint64_t launch_logged(struct contender *contender) {
    uint64_t began = now();

    command_end(contender, command_start(contender, contender->arguments + 1, -1, -1));
    return logged_stamp(contender, contender->arguments[0], began) - began;
}

static void open_door(struct contender *contender) {
    char address[256];

    snprintf(address, sizeof address, "unix:path=%s", contender->arguments[0]);
    if (sd_bus_new(&contender->bus) < 0 || sd_bus_set_address(contender->bus, address) < 0 ||
        sd_bus_start(contender->bus) < 0)
        fail(contender->label, "cannot connect");
}

static uint64_t launch_by_door(struct contender *contender) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    uint64_t began;

    if (contender->bus == NULL)
        open_door(contender);
    began = now();
    if (sd_bus_call_method(contender->bus, NULL, "/org/ringfence1", "org.ringfence1.Manager",
                           "Start", &error, NULL, "sb", contender->arguments[2], true) < 0)
        fail(contender->label, error.message);
    return logged_stamp(contender, contender->arguments[1], began) - began;
}

/* ---- rounds ---- */

static const struct {
    const char *word;
    uint64_t (*launch)(struct contender *contender);
    int arguments; /* at least */
} kinds[] = {{"server", launch_by_server, 1},
             {"command", launch_command, 1},
             {"logged", launch_logged, 2},
             {"door", launch_by_door, 3}};

/* argv begins with LABEL; returns how many belong to the contender. */
static int contender_parse(struct contender *contender, int argc, char **argv) {
    int count = 0;

    while (count < argc && strcmp(argv[count], "--") != 0)
        count++;
    contender->label = argv[0];
    for (size_t i = 0; count >= 2 && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(argv[1], kinds[i].word) == 0 && count - 2 >= kinds[i].arguments)
            contender->launch = kinds[i].launch;
    if (contender->launch == NULL)
        fail(count > 0 ? argv[0] : "--", "LABEL, KIND and arguments are expected");
    argv[count] = NULL;
    contender->arguments = argv + 2;
    return count;
}

static int compare(const void *a, const void *b) {
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static double quantile(double *values, size_t count, double part) {
    qsort(values, count, sizeof *values, compare);
    return values[(size_t)((double)(count - 1) * part + 0.5)];
}

static void print_row(const struct contender *contender, const struct contender *first,
                      double *values, size_t rounds) {
    double median, late;

    for (size_t i = 0; i < rounds; i++)
        values[i] = (double)contender->samples[i] / 1e6;
    median = quantile(values, rounds, 0.5);
    late = quantile(values, rounds, 0.95);
    for (size_t i = 0; i < rounds; i++)
        values[i] = (double)contender->samples[i] / (double)first->samples[i];
    printf("%-34s %9.2f %9.2f %9.2f\n", contender->label, median, late,
           quantile(values, rounds, 0.5));
}

int main(int argc, char **argv) {
    struct contender contenders[CONTENDERS_MAX] = {0};
    size_t count = 0, rounds = argc > 3 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned pause_ms = argc > 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    double *values = calloc(rounds, sizeof *values);

    if (rounds == 0 || values == NULL || strcmp(argv[3], "--") != 0) {
        fputs("usage: rounds ROUNDS PAUSE-MS -- LABEL KIND ARGUMENT... [-- ...]\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    for (int i = 4; i < argc && count < CONTENDERS_MAX; count++) {
        contenders[count].samples = calloc(rounds, sizeof *contenders->samples);
        i += contender_parse(&contenders[count], argc - i, argv + i) + 1;
    }
    /* The first round warms caches, and starts the servers. */
    for (size_t round = 0; round <= rounds; round++)
        for (size_t i = 0; i < count; i++) {
            uint64_t took = contenders[i].launch(&contenders[i]);

            contenders[i].samples[round == 0 ? 0 : round - 1] = took;
            usleep(pause_ms * 1000);
        }
    printf("%-34s %9s %9s %9s\n", "request to first instruction, ms", "p50", "p95", "ratio");
    for (size_t i = 0; i < count; i++)
        print_row(&contenders[i], &contenders[0], values, rounds);
    for (size_t i = 0; i < count; i++) {
        if (contenders[i].server > 0) {
            close(contenders[i].request);
            waitpid(contenders[i].server, NULL, 0);
        }
        sd_bus_unref(contenders[i].bus);
        free(contenders[i].samples);
    }
    free(values);
    return 0;
}
