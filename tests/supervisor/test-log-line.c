/* The manager's own log (supervisor/log.h), above all where nobody reads it. */

#include <fcntl.h>

#include "supervisor/log.h"
#include "tests/test.h"

static int reader;

/* Standard error becomes a pipe with room for so many bytes. */
static void begin_with_room(size_t room) {
    int ends[2];
    CHECK(pipe2(ends, O_NONBLOCK) == 0);
    int size = fcntl(ends[1], F_GETPIPE_SZ);
    CHECK(size > 0);
    for (size_t left = (size_t)size - room; left > 0;) {
        char zeros[4096] = {0};
        ssize_t more = write(ends[1], zeros, left < sizeof(zeros) ? left : sizeof(zeros));
        CHECK(more > 0);
        left -= (size_t)more;
    }
    CHECK(fcntl(ends[1], F_SETFL, 0) == 0); /* as the one that a shell makes: write(2) waits */
    CHECK(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    close(ends[1]);
    reader = ends[0];
}

static const char *drained(void) {
    static char text[65536 + 1];
    size_t length = 0;
    for (ssize_t more; (more = read(reader, text + length, sizeof(text) - 1 - length)) > 0;)
        length += (size_t)more;
    text[length] = '\0';
    return text;
}

TEST(a_line_is_one_line) {
    begin_with_room(4096 * 16);
    unsetenv("JOURNAL_STREAM");
    log_open(LEVEL_INFO);
    log_line(LEVEL_ERROR, "%s", "two\nlines");
    log_line(LEVEL_DEBUG, "not asked for");
    CHECK_TEXT(drained(), "ringfence: two lines\n");
}

TEST(a_journal_is_told_the_level) {
    begin_with_room(4096 * 16);
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_open(LEVEL_INFO);
    log_line(LEVEL_WARNING, "it is warm");
    CHECK_TEXT(drained(), "<4>it is warm\n");
}

TEST(who_does_not_read_holds_up_nobody_and_is_told_of_the_gap) {
    begin_with_room(0);
    unsetenv("JOURNAL_STREAM");
    log_open(LEVEL_INFO);
    alarm(10); /* it would wait for ever */
    for (int i = 0; i < 3; i++)
        log_line(LEVEL_ERROR, "lost");
    drained();
    log_line(LEVEL_ERROR, "read");
    log_line(LEVEL_ERROR, "too");
    CHECK_TEXT(drained(), "ringfence: 3 lines are missing here: nobody read them\n"
                          "ringfence: read\nringfence: too\n");
}

TEST_MAIN
