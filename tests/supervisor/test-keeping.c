/* The manager's side of what ringfenced keeps (supervisor/keeping.h), with this test as the keeper.
 */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "supervisor/keeping.h"
#include "supervisor/log.h"
#include "tests/test.h"
#include "units/base/fault.h"

static int listener = -1, exits = -1;
static struct fault fault;
static char logged[FAULT_SIZE]; /* the last line */

void log_line(enum log_level level, const char *format, ...) {
    va_list arguments;
    CHECK(level == LEVEL_WARNING);
    va_start(arguments, format);
    vsnprintf(logged, sizeof(logged), format, arguments);
    va_end(arguments);
}

/* Descriptors 3 and 4 as the keeper hands them over, with this list of names. */
static void be_the_keeper(const char *names) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[] = "/tmp/test-keeping.XXXXXX";
    int pair[2];
    CHECK(mkdtemp(directory));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/keeper", directory);
    listener = fcntl(socket(AF_UNIX, SOCK_DGRAM, 0), F_DUPFD_CLOEXEC, 100);
    CHECK(bind(listener, (const struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(setenv("NOTIFY_SOCKET", address.sun_path, 1) == 0);
    CHECK(setenv("RINGFENCE_KEEPER", "1", 1) == 0);

    int file = memfd_create("names", 0);
    CHECK(write(file, names, strlen(names)) == (ssize_t)strlen(names));
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    exits = fcntl(pair[1], F_DUPFD_CLOEXEC, 100);
    file = fcntl(file, F_DUPFD, 100);
    CHECK(dup2(pair[0], KEEPER_EXITS) == KEEPER_EXITS);
    CHECK(dup2(file, KEEPER_NAMES) == KEEPER_NAMES);
}

static void be_gone(void) {
    const char *path = getenv("NOTIFY_SOCKET");
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

/* The next message, or "". The first descriptor with it comes as *ret_fd. */
static const char *heard(int *ret_count) {
    static char text[1024];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(KEEPER_MESSAGE_FDS * sizeof(int))];
    struct iovec data = {text, sizeof(text) - 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(listener, &message, MSG_DONTWAIT);
    text[length < 0 ? 0 : length] = '\0';
    const struct cmsghdr *part = length < 0 ? NULL : CMSG_FIRSTHDR(&message);
    *ret_count = part ? (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
    return text;
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

static void provide(int first, int count) {
    for (int i = 0; i < count; i++)
        CHECK(dup2(STDOUT_FILENO, first + i) == first + i);
}

TEST(without_a_keeper_nothing_is_kept) {
    struct keeping *keeping;
    struct keeper_exit none;
    int fd = STDOUT_FILENO;
    unsetenv("RINGFENCE_KEEPER");
    CHECK(keeping_open(&keeping, &fault) == 0);
    CHECK(keeping_store(keeping, "web/socket", &fd, 1, &fault) == 0);
    keeping_drop(keeping, "web/socket");
    CHECK(keeping_take(keeping, "web/socket", &fd, 1) == 0);
    CHECK(!keeping_untaken(keeping, 0));
    CHECK(keeping_settle(keeping) == 0);
    CHECK(keeping_exits_fd(keeping) < 0);
    CHECK(keeping_peek_exit(keeping, &none) == 0);
    keeping_consume_exit(keeping);
    keeping_close(keeping);
    keeping_close(NULL);
}

TEST(what_was_stored_comes_back_by_name_and_in_order) {
    struct keeping *keeping;
    int fds[3];
    be_the_keeper("20 web/sandbox\n21 db/sandbox\n22 web/sandbox\n23 web/sandbox-not\n24 a b\n");
    provide(20, 5);
    CHECK(keeping_open(&keeping, &fault) == 0);
    for (int fd = 20; fd < 25; fd++)
        CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(!is_open(KEEPER_NAMES));
    CHECK(keeping_take(keeping, "web/sand", fds, 3) == 0);
    CHECK(keeping_take(keeping, "web/sandbox", fds, 1) == -E2BIG);
    CHECK(keeping_take(keeping, "web/sandbox", fds, 3) == 2);
    CHECK(fds[0] == 20 && fds[1] == 22);
    CHECK(keeping_take(keeping, "web/sandbox", fds, 3) == 0);
    CHECK(keeping_take(keeping, "a b", fds, 3) == 1 && fds[0] == 24);
    CHECK_TEXT(keeping_untaken(keeping, 0), "db/sandbox");
    CHECK_TEXT(keeping_untaken(keeping, 1), "web/sandbox-not");
    CHECK(!keeping_untaken(keeping, 2));
    keeping_close(keeping);
    CHECK(is_open(20) && is_open(22) && is_open(24));
    CHECK(!is_open(21) && !is_open(23));
    be_gone();
}

TEST(what_nobody_took_is_dropped) {
    struct keeping *keeping;
    int fd, count;
    be_the_keeper("20 old/socket\n21 web/socket\n22 old/socket\n");
    provide(20, 3);
    CHECK(keeping_open(&keeping, &fault) == 0);
    CHECK(keeping_take(keeping, "web/socket", &fd, 1) == 1 && fd == 21);
    CHECK(keeping_settle(keeping) == 1);
    CHECK(!is_open(20) && is_open(21) && !is_open(22));
    CHECK_TEXT(heard(&count), "FDSTOREREMOVE=1\nFDNAME=old/socket");
    CHECK_TEXT(heard(&count), "");
    CHECK(!keeping_untaken(keeping, 0));
    CHECK(keeping_settle(keeping) == 0);
    keeping_close(keeping);
    be_gone();
}

TEST(storing_and_dropping) {
    struct keeping *keeping;
    int fds[KEEPER_MESSAGE_FDS + 3], count;
    char longest[KEEPER_NAME_MAX + 2];
    be_the_keeper("");
    CHECK(keeping_open(&keeping, &fault) == 0);
    for (size_t i = 0; i < KEEPER_MESSAGE_FDS + 3; i++)
        fds[i] = STDOUT_FILENO;
    CHECK(keeping_store(keeping, "web/store", fds, KEEPER_MESSAGE_FDS + 3, &fault) == 0);
    CHECK_TEXT(heard(&count), "FDSTORE=1\nFDNAME=web/store");
    CHECK(count == KEEPER_MESSAGE_FDS);
    CHECK_TEXT(heard(&count), "FDSTORE=1\nFDNAME=web/store");
    CHECK(count == 3);
    keeping_drop(keeping, "web/*");
    CHECK_TEXT(heard(&count), "FDSTOREREMOVE=1\nFDNAME=web/*");

    memset(longest, 'x', sizeof(longest));
    longest[KEEPER_NAME_MAX] = '\0';
    CHECK(keeping_store(keeping, longest, fds, 1, &fault) == 0);
    longest[KEEPER_NAME_MAX] = 'x';
    longest[KEEPER_NAME_MAX + 1] = '\0';
    CHECK(keeping_store(keeping, longest, fds, 1, &fault) == -EINVAL);
    CHECK(keeping_store(keeping, "two\nlines", fds, 1, &fault) == -EINVAL);
    CHECK(keeping_store(keeping, "", fds, 1, &fault) == -EINVAL);
    CHECK(keeping_store(keeping, "web/*", fds, 1, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "no descriptor can be stored as \"web/*\"");

    close(listener);
    CHECK(keeping_store(keeping, "web/store", fds, 1, &fault) == -ECONNREFUSED);
    CHECK_TEXT(fault.text, "cannot hand \"web/store\" to ringfenced: Connection refused");
    keeping_close(keeping);
    be_gone();
}

TEST(exits_are_there_until_they_are_consumed) {
    struct keeping *keeping;
    struct keeper_exit one = {7, 0x100, 99}, two = {8, 9, 0}, got;
    be_the_keeper("");
    CHECK(keeping_open(&keeping, &fault) == 0);
    CHECK(keeping_exits_fd(keeping) == KEEPER_EXITS);
    CHECK(keeping_peek_exit(keeping, &got) == 0);
    CHECK(write(exits, &one, sizeof(one)) == sizeof(one));
    CHECK(write(exits, &two, sizeof(two)) == sizeof(two));
    for (int i = 0; i < 2; i++)
        CHECK(keeping_peek_exit(keeping, &got) == 1 && memcmp(&got, &one, sizeof(one)) == 0);
    keeping_consume_exit(keeping);
    CHECK(keeping_peek_exit(keeping, &got) == 1 && memcmp(&got, &two, sizeof(two)) == 0);
    keeping_consume_exit(keeping);
    CHECK(keeping_peek_exit(keeping, &got) == 0);
    keeping_close(keeping);
    be_gone();
}

TEST(a_keeper_that_handed_over_what_makes_no_sense) {
    static const struct {
        const char *names, *complaint;
    } cases[] = {
        {"web/socket\n20 db/socket\n", "ringfenced named a descriptor \"web/socket\""},
        {"4 web/socket\n20 db/socket\n", "ringfenced named a descriptor \"4 web/socket\""},
        {"20 db/socket\n20\n", "ringfenced named a descriptor \"20\""},
        {"50 web/socket\n20 db/socket\n",
         "ringfenced did not hand over \"web/socket\": Bad file descriptor"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct keeping *keeping;
        be_the_keeper(cases[i].names);
        int fd;
        provide(20, 1);
        CHECK(keeping_open(&keeping, &fault) == 0);
        CHECK_TEXT(logged, cases[i].complaint);
        CHECK(keeping_take(keeping, "db/socket", &fd, 1) == 1 && fd == 20);
        CHECK(keeping_take(keeping, "web/socket", &fd, 1) == 0);
        keeping_close(keeping);
        be_gone();
    }
    struct keeping *keeping;
    be_the_keeper("");
    close(KEEPER_NAMES);
    CHECK(keeping_open(&keeping, &fault) < 0);
    CHECK_TEXT(fault.text, "ringfenced handed over no names of descriptors");
    be_gone();
    setenv("NOTIFY_SOCKET", "relative", 1);
    CHECK(keeping_open(&keeping, &fault) < 0);
    CHECK_TEXT(fault.text, "ringfenced named no socket to talk to");
    setenv("NOTIFY_SOCKET", "/nowhere/keeper", 1);
    CHECK(keeping_open(&keeping, &fault) < 0);
    CHECK_TEXT(fault.text,
               "cannot talk to ringfenced on \"/nowhere/keeper\": No such file or directory");
}

TEST_MAIN
