/* What an ill-behaved or unlucky client may do to the control door, which door-manager serves. */

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "supervisor/bus-protocol.h"
#include "tests/test.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

SCOPED(sd_bus_flush_close_unref, sd_bus *)

/* Of the manager, whatever a client does. It begins below 6 MB; AddressSanitizer holds freed memory
 * back. */
#ifdef __SANITIZE_ADDRESS__
#define RSS_MAX_KB (512 << 10)
#else
#define RSS_MAX_KB (16 << 10)
#endif

static char directory[64];
static pid_t manager;
static FILE *notes; /* what the manager was asked to do */

/* ---- the manager ---- */

static void leave(void) {
    if (manager > 0 && getpid() != manager)
        kill(manager, SIGKILL);
    if (directory[0])
        directory_remove(AT_FDCWD, directory, NULL);
}

/* Reads lines of the manager until one that begins so; fails when it takes five seconds. */
static void expect_note(const char *beginning) {
    char line[256];
    alarm(5);
    while (fgets(line, sizeof(line), notes))
        if (strncmp(line, beginning, strlen(beginning)) == 0) {
            alarm(0);
            return;
        }
    printf("# the manager did not note \"%s\"\n", beginning);
    exit(1);
}

static void begin(void) {
    char program[PATH_MAX];
    int out[2];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 32);

    CHECK(length > 0);
    program[length] = '\0';
    snprintf(strrchr(program, '/'), 32, "/door-manager");
    if (access(program, X_OK) < 0)
        SKIP("door-manager is not built");
    snprintf(directory, sizeof(directory), "/tmp/ringfence-door-%d", getpid());
    CHECK(mkdir(directory, 0755) == 0 && pipe2(out, O_CLOEXEC) == 0);
    atexit(leave);
    manager = fork();
    CHECK(manager >= 0);
    if (manager == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        execl(program, program, directory, directory, NULL);
        _exit(127);
    }
    close(out[1]);
    notes = fdopen(out[0], "re");
    CHECK(notes);
    expect_note("listening");
}

/* AddressSanitizer keeps what is freed for a while: there the figure says nothing. */
static bool rss_is_bounded(void) {
#ifdef __SANITIZE_ADDRESS__
    return true;
#else
    char path[64], line[128];
    long kb = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", manager);
    scoped_file FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    return kb > 0 && kb < RSS_MAX_KB;
#endif
}

/* ---- clients ---- */

static int raw_connect(void) {
    scoped_fd int held = open(directory, O_PATH | O_CLOEXEC);
    struct sockaddr_un address;
    socklen_t length = bus_socket_address(held, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    return connect(fd, (struct sockaddr *)&address, length) == 0 ? fd : close_fd(fd);
}

/* NULL where the manager does not take it. */
static sd_bus *bus_connect(void) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    int result, fd = raw_connect();

    CHECK(fd >= 0);
    CHECK(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, fd, fd) >= 0);
    CHECK(sd_bus_negotiate_fds(bus, true) >= 0);
    result = sd_bus_start(bus); /* it writes at once, perhaps to a manager that has closed */
    CHECK(result >= 0 || result == -EPIPE || result == -ECONNRESET);
    while (result >= 0 && (result = sd_bus_is_ready(bus)) == 0)
        if ((result = sd_bus_process(bus, NULL)) < 0 ||
            (result == 0 && (result = sd_bus_wait(bus, 5000000)) <= 0))
            break;
    return result > 0 ? take(bus) : NULL;
}

static int call(sd_bus *bus, const char *method, const char *unit) {
    return sd_bus_call_method(bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER, method, NULL, NULL, "sb",
                              unit, true);
}

static int ask(sd_bus *bus, const char *method, const char *unit) {
    scoped(sd_bus_message_unref) sd_bus_message *message = NULL;
    CHECK(sd_bus_message_new_method_call(bus, &message, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                         method) >= 0);
    CHECK(sd_bus_message_append(message, "sb", unit, true) >= 0);
    int result = sd_bus_send(bus, message, NULL);
    CHECK(sd_bus_flush(bus) >= 0);
    return result;
}

static bool is_answered(sd_bus *bus) {
    return bus && sd_bus_call_method(bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "ListUnits", NULL,
                                     NULL, NULL) >= 0;
}

static bool answers(void) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = bus_connect();
    return is_answered(bus);
}

/* Closed by the other side within five seconds, whatever is still to be read. */
static bool is_closed(int fd) {
    char buffer[4096];
    struct pollfd waited = {.fd = fd, .events = POLLIN};
    while (poll(&waited, 1, 5000) > 0) {
        ssize_t length = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (length == 0 || (length < 0 && errno != EAGAIN))
            return true;
    }
    return false;
}

/* The line that a client sends before it speaks D-Bus. */
static void authenticate(int fd) {
    static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
    CHECK(write(fd, hello, sizeof(hello) - 1) == sizeof(hello) - 1);
}

/* ---- the cases ---- */

TEST(the_65th_client_is_refused) {
    sd_bus *clients[BUS_CLIENTS_MAX];

    begin();
    for (size_t i = 0; i < BUS_CLIENTS_MAX; i++)
        CHECK(is_answered(clients[i] = bus_connect()));
    scoped_fd int late = raw_connect();
    CHECK(late >= 0 && is_closed(late));
    CHECK(!bus_connect());
    sd_bus_flush_close_unref(clients[0]);
    usleep(50000);
    CHECK(answers());
    for (size_t i = 1; i < BUS_CLIENTS_MAX; i++)
        sd_bus_flush_close_unref(clients[i]);
}

TEST(readers_leave_room_for_root) {
    int clients[BUS_CLIENTS_MAX];

    if (getuid() != 0)
        SKIP("needs root");
    begin();
    char path[128];
    snprintf(path, sizeof(path), "%s/" BUS_SOCKET, directory);
    CHECK(chmod(path, 0666) == 0 && seteuid(65534) == 0);
    for (size_t i = 0; i < BUS_CLIENTS_MAX; i++)
        CHECK((clients[i] = raw_connect()) >= 0);
    CHECK(seteuid(0) == 0);
    CHECK(is_closed(clients[0])); /* the oldest of those that say nothing */
    CHECK(answers());
    for (size_t i = 0; i < BUS_CLIENTS_MAX; i++)
        close(clients[i]);
}

/* A call of the manager, as the bytes of D-Bus (D-Bus specification, "Message Protocol"). */
static size_t marshal_call(const char *member, unsigned char *ret_bytes) {
    const struct {
        unsigned char code, type;
        const char *value;
    } fields[] = {{1, 'o', BUS_MANAGER_PATH}, {2, 's', BUS_MANAGER}, {3, 's', member}};
    size_t length = 16;
    memset(ret_bytes, 0, 256);
    memcpy(ret_bytes, "l\1\0\1\0\0\0\0\1", 9);
    for (size_t i = 0; i < ELEMENTS(fields); i++) {
        size_t size = strlen(fields[i].value);
        length = (length + 7) & ~7UL;
        memcpy(ret_bytes + length, (char[]){(char)fields[i].code, 1, (char)fields[i].type, 0}, 4);
        ret_bytes[length + 4] = (unsigned char)size;
        memcpy(ret_bytes + length + 8, fields[i].value, size + 1);
        length += 8 + size + 1;
    }
    ret_bytes[12] = (unsigned char)(length - 16);
    return (length + 7) & ~7UL;
}

/* Whatever it has in mind, it does more of it, and never reads. False: it was disconnected. */
static bool harass(int fd, size_t kind, unsigned *seed) {
    unsigned char bytes[256];
    size_t length;
    switch (kind % 4) {
    case 0: /* says nothing at all */
        return true;
    case 1: /* one byte at a time of the first line */
        return send(fd, "A", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 || errno == EAGAIN;
    case 2: /* bytes of chance */
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (unsigned char)(rand_r(seed) >> 8);
        length = sizeof(bytes);
        break;
    default: /* calls, as many as fit */
        length = marshal_call("ListUnits", bytes);
    }
    for (int i = 0; i < 200; i++) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN;
        if ((size_t)sent < length)
            return false; /* the rest of a message would be another's beginning */
    }
    return true;
}

TEST(hostile_clients_keep_nobody_else_out) {
    int clients[BUS_CLIENTS_MAX], lost = 0;
    unsigned seed = 1;

    begin();
    for (size_t i = 0; i < ELEMENTS(clients); i++)
        clients[i] = -EBADF;
    for (int round = 0; round < 30; round++) {
        for (size_t i = 0; i < ELEMENTS(clients); i++) {
            if (clients[i] < 0) {
                CHECK((clients[i] = raw_connect()) >= 0);
                if (i % 4 == 3)
                    authenticate(clients[i]);
            }
            if (harass(clients[i], i, &seed))
                continue;
            clients[i] = close_fd(clients[i]);
            lost++;
        }
        CHECK(answers());
    }
    CHECK(lost > 0);
    CHECK(rss_is_bounded());
    for (size_t i = 0; i < ELEMENTS(clients); i++)
        close_fd(clients[i]);
    CHECK(answers());
}

TEST(who_does_not_read_is_disconnected) {
    begin();
    scoped(sd_bus_flush_close_unref) sd_bus *deaf = bus_connect();
    CHECK(deaf && sd_bus_call_method(deaf, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "Subscribe", NULL,
                                     NULL, NULL) >= 0);
    /* Its own command is what makes it overflow: it is dropped inside its own handler. */
    for (int i = 0; i < 4; i++)
        ask(deaf, "Start", "storm");
    CHECK(answers());
    CHECK(is_closed(sd_bus_get_fd(deaf)));
    CHECK(answers());
    CHECK(rss_is_bounded());
}

TEST(calls_of_who_does_not_read_are_refused) {
    begin();
    scoped(sd_bus_flush_close_unref) sd_bus *deaf = bus_connect();
    int size = 4096;
    CHECK(deaf && setsockopt(sd_bus_get_fd(deaf), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0);
    for (int i = 0; i < 20000; i++) {
        scoped(sd_bus_message_unref) sd_bus_message *message = NULL;
        CHECK(sd_bus_message_new_method_call(deaf, &message, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                             "ListUnits") >= 0);
        if (sd_bus_send(deaf, message, NULL) < 0)
            break;
    }
    usleep(200000);
    CHECK(answers());
    CHECK(rss_is_bounded());
}

TEST(garbage_ends_a_connection_and_nothing_else) {
    unsigned char bytes[4096];
    unsigned seed = 1;

    begin();
    for (int client = 0; client < 500; client++) {
        scoped_fd int fd = raw_connect();
        CHECK(fd >= 0);
        if (client % 2)
            authenticate(fd);
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (unsigned char)(rand_r(&seed) >> 8);
        if (client % 3 == 0)
            bytes[0] = 'l'; /* the first byte of a message that may be one */
        (void)!send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
    }
    CHECK(answers());
    CHECK(rss_is_bounded());
}

TEST(claims_of_size_cost_nothing) {
    /* A method call, little endian, whose body is said to be 100 MB long. */
    static const unsigned char header[16] = {'l', 1, 0, 1, 0x00, 0xe1, 0xf5, 0x05,
                                             1,   0, 0, 0, 16,   0,    0,    0};
    int clients[20];

    begin();
    for (size_t i = 0; i < ELEMENTS(clients); i++) {
        CHECK((clients[i] = raw_connect()) >= 0);
        authenticate(clients[i]);
        CHECK(write(clients[i], header, sizeof(header)) == sizeof(header));
    }
    usleep(100000);
    CHECK(answers());
    CHECK(rss_is_bounded());
    for (size_t i = 0; i < ELEMENTS(clients); i++)
        close(clients[i]);
}

TEST(a_command_is_withdrawn_when_its_caller_is_gone) {
    begin();
    sd_bus *bus = bus_connect();
    CHECK(bus);
    ask(bus, "Start", "slow");
    expect_note("start slow");
    sd_bus_close_unref(bus);
    expect_note("withdrawn");
    CHECK(answers());
}

TEST(a_client_has_at_most_1024_commands_under_way) {
    begin();
    scoped(sd_bus_flush_close_unref) sd_bus *bus = bus_connect();
    CHECK(bus);
    for (int i = 0; i < 1024; i++)
        ask(bus, "Start", "slow");
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    CHECK(sd_bus_call_method(bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "Start", &error, &reply,
                             "sb", "slow", true) < 0);
    CHECK_TEXT(error.name, SD_BUS_ERROR_LIMITS_EXCEEDED);
    sd_bus_error_free(&error);
}

TEST(an_exec_is_killed_when_its_caller_is_gone) {
    scoped(sd_bus_message_unref) sd_bus_message *message = NULL;
    int out[2];

    begin();
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    sd_bus *bus = bus_connect();
    CHECK(bus && sd_bus_message_new_method_call(bus, &message, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                                "Exec") >= 0);
    CHECK(sd_bus_message_append(message, "sasasssbhhh", "web", 2, "/bin/sleep", "1000", 0, "", "",
                                false, 0, out[1], 2) >= 0);
    CHECK(sd_bus_send(bus, message, NULL) >= 0 && sd_bus_flush(bus) >= 0);
    sd_bus_message_unref(take(message));
    close(out[1]);
    CHECK(call(bus, "Start", "idle") >= 0); /* by now the program has begun */
    sd_bus_close_unref(bus);
    expect_note("abandoned");
    CHECK(is_closed(out[0])); /* and neither it nor the manager holds the pipe */
}

TEST(the_manager_holds_no_descriptor_of_a_running_exec) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped(sd_bus_message_unref) sd_bus_message *message = NULL;
    int out[2];

    begin();
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    CHECK((bus = bus_connect()) &&
          sd_bus_message_new_method_call(bus, &message, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                         "Exec") >= 0);
    CHECK(sd_bus_message_append(message, "sasasssbhhh", "web", 3, "/bin/sh", "-c",
                                "exec >/dev/null; sleep 2", 0, "", "", false, 0, out[1], 2) >= 0);
    CHECK(sd_bus_send(bus, message, NULL) >= 0 && sd_bus_flush(bus) >= 0);
    sd_bus_message_unref(take(message));
    close(out[1]);
    CHECK(is_closed(out[0]));
}

TEST(what_was_found_again_and_what_was_lost_is_told) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped(sd_bus_message_unref) sd_bus_message *lost = NULL;
    const char *unit, *why;
    uint64_t found = 0;

    begin();
    CHECK((bus = bus_connect()));
    CHECK(sd_bus_get_property_trivial(bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "Found", NULL, 't',
                                      &found) >= 0);
    CHECK(found == 3);
    CHECK(sd_bus_get_property(bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "Lost", NULL, &lost,
                              "a(ss)") >= 0);
    CHECK(sd_bus_message_enter_container(lost, 'a', "(ss)") > 0);
    CHECK(sd_bus_message_read(lost, "(ss)", &unit, &why) > 0);
    CHECK_TEXT(unit, "mail");
    CHECK_TEXT(why, "it is damaged");
    CHECK(sd_bus_message_read(lost, "(ss)", &unit, &why) == 0);
}

static int note_change(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    char path[128];
    bool *ret_written = userdata;
    (void)message, (void)unused;
    snprintf(path, sizeof(path), "%s/written", directory);
    *ret_written = access(path, F_OK) == 0;
    return 0;
}

/* Nobody hears of what a manager that dies now would take with it. */
TEST(changes_and_answers_leave_when_they_are_written_down) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    bool written = false;
    char path[128];

    begin();
    snprintf(path, sizeof(path), "%s/late", directory);
    scoped_fd int late = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(late >= 0 && (bus = bus_connect()));
    CHECK(sd_bus_match_signal(bus, NULL, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "UnitChanged",
                              note_change, &written) >= 0);
    CHECK(sd_bus_call_method(bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "Subscribe", NULL, NULL,
                             "") >= 0);
    ask(bus, "Start", "idle");
    CHECK(sd_bus_flush(bus) >= 0);
    expect_note("start idle");
    struct pollfd told = {sd_bus_get_fd(bus), POLLIN, 0};
    CHECK(poll(&told, 1, 100) == 0); /* of 300 milliseconds in which it has happened */
    CHECK(poll(&told, 1, 20000) == 1);
    int result;
    while ((result = sd_bus_process(bus, NULL)) > 0 && !written)
        ;
    CHECK(written);
}

TEST(a_second_manager_is_refused_and_a_dead_ones_socket_replaced) {
    begin();
    char path[128], program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 32);
    int status;

    CHECK(length > 0);
    program[length] = '\0';
    snprintf(strrchr(program, '/'), 32, "/door-manager");
    pid_t second = fork();
    if (second == 0) {
        execl(program, program, directory, directory, NULL);
        _exit(127);
    }
    CHECK(waitpid(second, &status, 0) == second && WIFEXITED(status) && WEXITSTATUS(status) == 1);
    CHECK(answers());
    CHECK(kill(manager, SIGKILL) == 0 && waitpid(manager, NULL, 0) == manager);
    snprintf(path, sizeof(path), "%s/" BUS_SOCKET, directory);
    CHECK(access(path, F_OK) == 0);
    manager = fork();
    if (manager == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(program, program, directory, directory, NULL);
        _exit(127);
    }
    bool up = false;
    for (int i = 0; i < 100 && !up; i++) {
        scoped_fd int fd = raw_connect();
        up = fd >= 0;
        usleep(20000);
    }
    CHECK(up && answers());
}

TEST_MAIN
