/* Speaking without waiting for who listens (units/base/line.h). */

#include <signal.h>
#include <termios.h>

#include "tests/test.h"
#include "units/base/line.h"

static const char words[] = "somebody ought to read this\n";
enum { LENGTH = sizeof words - 1 };

/* Until nobody takes any more: whoever waits is ended by the alarm, and the test has failed. */
static void fill(int fd) {
    int error = 0;
    alarm(20);
    while (error == 0)
        error = line_put(fd, words, LENGTH);
    CHECK(error == -EAGAIN);
    CHECK(line_put(fd, words, LENGTH) == -EAGAIN);
    CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
}

TEST(a_full_pipe_holds_nobody_up) {
    int ends[2];
    char read_back[LENGTH];
    CHECK(pipe(ends) == 0);
    fill(ends[1]);
    CHECK(read(ends[0], read_back, LENGTH) == LENGTH);
    CHECK(memcmp(read_back, words, LENGTH) == 0);
}

TEST(a_full_socket_holds_nobody_up) {
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (size_t i = 0; i < 2; i++) {
        int ends[2];
        CHECK(socketpair(AF_UNIX, types[i], 0, ends) == 0);
        fill(ends[1]);
        close(ends[0]);
        CHECK(line_put(ends[1], words, LENGTH) < 0); /* and no SIGPIPE */
    }
}

TEST(a_terminal_that_was_stopped_holds_nobody_up) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        SKIP("no terminal can be made");
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK(terminal >= 0);
    CHECK(tcflow(terminal, TCOOFF) == 0); /* as Ctrl-S does */
    fill(terminal);
}

/* What is written goes behind what is there, wherever the file was opened. */
TEST(a_file_is_written_as_it_was_opened) {
    char path[] = "/tmp/line.XXXXXX", text[64] = "";
    int file = mkstemp(path);
    CHECK(file >= 0 && unlink(path) == 0);
    CHECK(write(file, "first\n", 6) == 6);
    CHECK(line_put(file, "second\n", 7) == 0);
    CHECK(pread(file, text, sizeof text - 1, 0) == 13);
    CHECK_TEXT(text, "first\nsecond\n");
}

TEST(nobody_at_all) {
    CHECK(line_put(-1, words, LENGTH) == -EBADF);
}

TEST_MAIN
