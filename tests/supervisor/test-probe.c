/* Probes against real sockets and processes, with a world of a few lines: what is an answer, and
 * that none of them, however it behaves, holds up the one who asked. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "supervisor/log.h"
#include "supervisor/manager.h"
#include "supervisor/probe.h"
#include "supervisor/world.h"
#include "tests/test.h"
#include "units/base/scoped.h"

/* ---- the world: one watched descriptor, one child ---- */

struct watch {
    int fd;
    uint32_t events;
    watch_ready ready;
    void *context;
};

static struct watch *watched;

int watch_open(struct manager *manager, int fd, uint32_t events, enum watch_order order,
               watch_ready ready, void *context, struct watch **ret_watch) {
    (void)manager, (void)order;
    CHECK(!watched && (*ret_watch = watched = malloc(sizeof(*watched))));
    *watched = (struct watch){fd, events, ready, context};
    return 0;
}

void watch_close(struct watch *watch) {
    if (watch)
        watched = NULL;
    free(watch);
}

int sandbox_socket(const struct sandbox *sandbox, int family, int type, struct fault *fault) {
    (void)sandbox;
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? fault_set(fault, errno, "cannot make a socket") : fd;
}

static int kills;

int sandbox_kill_probe(struct sandbox *sandbox, struct fault *fault) {
    (void)sandbox, (void)fault;
    kills++;
    return 0;
}

static pid_t child;
static exec_done child_done;
static void *child_context;

int manager_exec(struct manager *manager, const char *name, const struct run_request *request,
                 exec_done done, void *context, struct fault *fault) {
    (void)manager, (void)name;
    if (request->exec->count == 0)
        return fault_say(fault, ESRCH, "web is not running");
    CHECK(request->place == RUN_PROBE);
    child = fork();
    if (child == 0) {
        dup2(request->standard[1], 1);
        dup2(request->standard[2], 2);
        execv(request->exec->items[0], request->exec->items);
        _exit(127);
    }
    child_done = done;
    child_context = context;
    return 0;
}

void manager_exec_abandon(struct manager *manager, void *context) {
    (void)manager;
    CHECK(context == child_context);
    child_done = NULL;
    kill(child, SIGKILL);
}

void log_line(enum log_level level, const char *format, ...) {
    (void)level, (void)format;
}

static bool reap(void) {
    int status;
    exec_done done = child_done;
    if (!done || waitpid(child, &status, WNOHANG) != child)
        return false;
    child_done = NULL;
    done(child_context, 0, status, NULL);
    return true;
}

/* ---- one probe ---- */

static struct unit unit;
static struct sandbox *const no_sandbox = (struct sandbox *)(void *)&unit;
static struct service service = {.unit = &unit};
static struct probe *probe;
static int answers, code, turns;
static bool healthy;
static char words[FAULT_SIZE], output[512];

static void done(void *context, const struct probe_answer *answer) {
    CHECK(context == &answers);
    answers++;
    healthy = answer->healthy;
    code = answer->code;
    snprintf(words, sizeof(words), "%s", answer->error);
    snprintf(output, sizeof(output), "%.*s", (int)answer->length, answer->output);
    CHECK(answer->length <= 256);
    probe_close(probe);
    probe = NULL;
}

static int ask(void) {
    struct fault fault = {{0}};
    answers = turns = 0;
    service.sandbox = no_sandbox;
    service.name = (char *)"web";
    int error = probe_open(&service, done, &answers, &probe, &fault);
    snprintf(words, sizeof(words), "%s", fault.text);
    return error;
}

static int64_t now(void) { /* milliseconds */
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Until there is an answer, for at most so many milliseconds. */
static void wait_for(int milliseconds) {
    for (int64_t end = now() + milliseconds; !answers && now() < end;) {
        if (watched) {
            short events = watched->events & EPOLLOUT ? POLLOUT : POLLIN;
            struct pollfd poll_fd = {watched->fd, events, 0};
            if (poll(&poll_fd, 1, 10) > 0) {
                watched->ready(watched->context);
                turns++;
            }
        } else {
            usleep(10000);
        }
        reap();
    }
}

/* A server that sends these bytes to whoever asks, in pieces, so often; NULL: it sends nothing. */
static pid_t serve(const char *bytes, size_t piece, size_t times, uint16_t *ret_port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    *ret_port = ntohs(address.sin_port);
    pid_t server = fork();
    if (server == 0) {
        char request[1024];
        int client = accept(listener, NULL, NULL);
        if (recv(client, request, sizeof(request), 0) <= 0 || !bytes)
            pause();
        for (size_t round = 0; round < times; round++)
            for (size_t at = 0; at < strlen(bytes); at += piece) {
                size_t rest = strlen(bytes) - at;
                if (send(client, bytes + at, rest < piece ? rest : piece, MSG_NOSIGNAL) < 0)
                    _exit(0);
                if (piece < 100)
                    usleep(1000);
            }
        _exit(0);
    }
    close(listener);
    return server;
}

static void fetch(const char *bytes, size_t piece, size_t times) {
    char url[64];
    uint16_t port;
    pid_t server = serve(bytes, piece, times, &port);
    snprintf(url, sizeof(url), "http://localhost:%u/x", port);
    unit.health.http = url;
    CHECK(ask() == 0);
    wait_for(2000);
    unit.health.http = NULL;
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

TEST(pages) {
    static const struct {
        const char *bytes, *words;
        int code;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n\r\nhello", "", 200},
        {"HTTP/1.0 204 No Content\r\n\r\n", "", 204},
        {"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "", 302},
        {"HTTP/1.1 399\r\n\r\n", "", 399},
        {"HTTP/1.1 404 Not Found\r\n\r\n", "answered 404 Not Found", 404},
        {"HTTP/1.1 500 Oh\n\n", "answered 500 Oh", 500},
        {"HTTP/1.1 199 Low\r\n\r\n", "answered 199 Low", 199},
        {"HTTP/1.1 2000 OK\r\n\r\n", "the answer is not HTTP", -1},
        {"HTTP/1.1 20", "the answer is not HTTP", -1},
        {"HTTP/2.0 200 OK\r\n\r\n", "the answer is not HTTP", -1},
        {"SSH-2.0-OpenSSH\r\n", "the answer is not HTTP", -1},
        {"\r\n", "the answer is not HTTP", -1},
        {"", "the connection was closed without an answer", -1},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        fetch(cases[i].bytes, 1000, 1);
        CHECK(answers == 1);
        CHECK_TEXT(words, cases[i].words);
        CHECK(code == cases[i].code && healthy == !cases[i].words[0]);
    }
}

TEST(a_page_byte_by_byte) {
    fetch("HTTP/1.1 200 OK\r\n\r\nhello", 1, 1);
    CHECK(answers == 1 && healthy);
    CHECK_TEXT(output, "HTTP/1.1 200 OK\r\n\r\nhello");
}

TEST(a_page_without_end) {
    fetch("HTTP/1.1 200 OK\r\n\r\n and so on, and so on, and so on, and so on, and so on", 1000,
          1000000);
    CHECK(answers == 1 && healthy); /* 64 KiB of it were enough */
    CHECK(strlen(output) == 256);
}

TEST(nobody_answers) {
    fetch(NULL, 1, 1);
    CHECK(answers == 0 && turns == 1); /* the question was sent: then it is not asked again */
    probe_close(probe);
    CHECK(!watched);
}

TEST(nobody_listens) {
    unit.health.tcp = (char *)"127.0.0.1:1";
    int error = ask();
    wait_for(500);
    CHECK(error < 0 || (answers == 1 && !healthy && code == -1));
    CHECK_TEXT(words, "cannot connect: Connection refused");
}

TEST(somebody_listens) {
    char endpoint[32];
    uint16_t port;
    pid_t server = serve("", 1, 1, &port);
    snprintf(endpoint, sizeof(endpoint), "%u", port);
    unit.health.tcp = endpoint;
    CHECK(ask() == 0);
    wait_for(500);
    CHECK(answers == 1 && healthy);
    kill(server, SIGKILL);
}

static void execute(const char *line, int milliseconds) {
    static char *items[] = {(char *)"/bin/sh", (char *)"-c", NULL, NULL};
    items[2] = (char *)(uintptr_t)line;
    unit.health.exec = (struct strings){items, 3};
    CHECK(ask() == 0);
    wait_for(milliseconds);
}

TEST(programs) {
    execute("echo out; echo err >&2", 2000);
    CHECK(answers == 1 && healthy && code == 0 && kills == 1); /* what it left behind goes too */
    CHECK_TEXT(output, "out\nerr\n");
    execute("echo broken; exit 7", 2000);
    CHECK(answers == 1 && !healthy && code == 7);
    CHECK_TEXT(words, "exited with code 7");
    execute("kill -SEGV $$", 2000);
    CHECK(answers == 1 && !healthy && code == -1);
    CHECK_TEXT(words, "was ended by SIGSEGV");
    execute("exec >&- 2>&-; sleep 0.1", 2000); /* nothing more comes, and it runs on */
    CHECK(answers == 1 && healthy);
}

TEST(a_program_that_floods_is_read_and_forgotten) {
    execute("yes | head -c 5000000; echo at the end", 10000);
    CHECK(answers == 1 && healthy);
    CHECK(strlen(output) == 256 && strncmp(output, "y\ny\n", 4) == 0);
}

TEST(a_program_whose_child_holds_the_pipe_is_over_when_it_ends) {
    execute("yes & exit 3", 2000);
    CHECK(answers == 1 && code == 3);
    CHECK(kills == 1);
}

TEST(a_program_that_hangs_is_given_up) {
    char so_far[8];
    execute("echo well; exec sleep 1000", 300);
    CHECK(answers == 0);
    CHECK(probe_output(probe, so_far, sizeof(so_far)) == 5 && memcmp(so_far, "well\n", 5) == 0);
    probe_close(probe);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL && kills == 1);
    CHECK(!watched);
}

TEST(a_program_that_cannot_begin) {
    unit.health.exec = (struct strings){0};
    unit.health.file = (char *)"/run/ok";
    CHECK(ask() == -ESRCH);
    CHECK_TEXT(words, "web is not running");
    CHECK(!watched);
}

TEST_MAIN
