/* The log reader: merging, the last N, following over rotations. */

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "supervisor/log/file.h"
#include "supervisor/log/reader.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

static char top[] = "/tmp/ringfence-test-reader-XXXXXX";
static struct fault fault;
static int root;
static struct log_reader *reader;
static const struct log_limits limits = {.max_size = 200, .max_files = 3};

static void remove_top(void) {
    log_reader_close(reader);
    directory_remove(AT_FDCWD, top, NULL);
}

static void begin(void) {
    CHECK(mkdtemp(top));
    atexit(remove_top);
    root = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(root >= 0);
}

/* One record, its time in seconds; its text is the time. About 43 bytes. */
static void say(const char *unit, unsigned time) {
    char number[16];
    scoped_text struct text line = {0};
    size_t written;
    struct log_file file;
    struct log_marks marks = {0};
    struct log_record record = {.time = time * 1000000ULL, .pid = 1, .text = number};
    snprintf(number, sizeof number, "%u", time);
    record.length = strlen(number);
    snprintf(record.unit, sizeof record.unit, "%s", unit);
    log_record_write(&line, &record);
    log_file_init(&file, root, unit);
    CHECK(log_file_append(&file, &limits, &marks, line.data, line.length, 0, &written, &fault) ==
          0);
    log_file_close(&file);
}

static void open_reader(const struct log_query *query) {
    int error = log_reader_open(top, query, &reader, &fault);
    if (error)
        printf("# %s\n", fault.text);
    CHECK(error == 0);
}

/* All there is now, as "UNIT:TEXT UNIT:TEXT ". */
static const char *read_all(void) {
    static char all[65536];
    struct log_record record;
    size_t length = 0;
    int result;
    all[0] = '\0';
    while ((result = log_reader_next(reader, &record, &fault)) > 0)
        length += (size_t)snprintf(all + length, sizeof all - length, "%s:%.*s ", record.unit,
                                   (int)record.length, record.text);
    CHECK(result == 0);
    return all;
}

static const char *const two[] = {"a", "b"};

TEST(units_are_merged_by_time) {
    const struct log_query query = {.units = two, .unit_count = 2, .last = LOG_ALL};
    begin();
    say("a", 1);
    say("b", 2);
    say("b", 3);
    say("a", 4);
    say("c", 5);
    open_reader(&query);
    CHECK_TEXT(read_all(), "a:1 b:2 b:3 a:4 ");
    CHECK_TEXT(read_all(), "");
    CHECK(log_reader_fd(reader) < 0);
}

TEST(every_unit_that_has_a_log) {
    const struct log_query query = {.last = LOG_ALL};
    begin();
    say("a", 1);
    say("c", 2);
    say("b", 3);
    open_reader(&query);
    CHECK_TEXT(read_all(), "a:1 c:2 b:3 ");
}

TEST(the_last_of_all_together) {
    const struct log_query query = {.units = two, .unit_count = 2, .last = 3};
    begin();
    for (unsigned i = 1; i <= 6; i++)
        say(i % 3 ? "a" : "b", i);
    open_reader(&query);
    CHECK_TEXT(read_all(), "a:4 a:5 b:6 ");
}

TEST(no_more_than_the_last_while_others_come) {
    const struct log_query query = {.units = two, .unit_count = 2, .last = 1};
    begin();
    say("a", 1);
    open_reader(&query);
    say("a", 2);
    say("b", 3);
    CHECK_TEXT(read_all(), "a:1 ");
}

TEST(the_last_lie_in_rotated_files) {
    const char *const one[] = {"a"};
    struct log_query query = {.units = one, .unit_count = 1, .last = 7};
    begin();
    for (unsigned i = 1; i <= 10; i++)
        say("a", i);
    CHECK(faccessat(root, "a/current.2", F_OK, 0) == 0);
    for (query.last = 0; query.last <= 10; query.last++) {
        char want[256] = "";
        for (unsigned i = 11 - (unsigned)query.last; i <= 10; i++)
            snprintf(want + strlen(want), sizeof want - strlen(want), "a:%u ", i);
        open_reader(&query);
        CHECK_TEXT(read_all(), want);
        log_reader_close(reader);
        reader = NULL;
    }
}

TEST(none_older_than_since) {
    const struct log_query query = {
        .units = two, .unit_count = 2, .last = LOG_ALL, .since = 3 * 1000000};
    begin();
    for (unsigned i = 1; i <= 5; i++)
        say(i % 2 ? "a" : "b", i);
    open_reader(&query);
    CHECK_TEXT(read_all(), "a:3 b:4 a:5 ");
}

TEST(none_younger_than_until) {
    struct log_query query = {.units = two, .unit_count = 2, .last = LOG_ALL, .until = 4 * 1000000};
    begin();
    for (unsigned i = 1; i <= 6; i++)
        say(i % 2 ? "a" : "b", i);
    open_reader(&query);
    CHECK_TEXT(read_all(), "a:1 b:2 a:3 b:4 ");
    log_reader_close(reader);
    query.last = 2;
    open_reader(&query);
    CHECK_TEXT(read_all(), "a:3 b:4 ");
    log_reader_close(reader);
    query.since = 4 * 1000000;
    open_reader(&query);
    CHECK_TEXT(read_all(), "b:4 ");
}

TEST(following_over_rotations) {
    const struct log_query query = {.units = two, .unit_count = 2, .last = 1, .follow = true};
    begin();
    say("a", 1);
    say("a", 2);
    open_reader(&query);
    CHECK_TEXT(read_all(), "a:2 ");
    for (unsigned i = 3; i <= 30; i++) {
        char want[16];
        struct pollfd polled = {log_reader_fd(reader), POLLIN, 0};
        say("a", i);
        CHECK(poll(&polled, 1, 1000) == 1);
        snprintf(want, sizeof want, "a:%u ", i);
        CHECK_TEXT(read_all(), want);
    }
    /* Two rotations between two looks; what was rotated away altogether is gone. */
    for (unsigned i = 31; i <= 38; i++)
        say("a", i);
    CHECK_TEXT(read_all(), "a:31 a:32 a:33 a:34 a:35 a:36 a:37 a:38 ");
}

TEST(following_what_is_not_there_yet) {
    const struct log_query query = {.last = LOG_ALL, .follow = true};
    begin();
    open_reader(&query);
    CHECK_TEXT(read_all(), "");
    say("late", 1);
    CHECK_TEXT(read_all(), "late:1 ");
    CHECK(directory_remove(root, "late", &fault) == 0);
    say("late", 2);
    CHECK_TEXT(read_all(), "late:2 ");
}

TEST(a_line_that_is_no_record_is_told) {
    const struct log_query query = {.units = two, .unit_count = 2, .last = LOG_ALL};
    begin();
    say("a", 1);
    int fd = openat(root, "a/current", O_WRONLY | O_APPEND | O_CLOEXEC);
    CHECK(write(fd, "torn\n", 5) == 5);
    close_fd(fd);
    say("a", 2);
    say("b", 3);
    open_reader(&query);
    CHECK_TEXT(read_all(), "a:1 a:torn a:2 b:3 ");
}

TEST(a_line_without_its_end_waits_for_it) {
    const struct log_query query = {.units = two, .unit_count = 2, .last = 5, .follow = true};
    begin();
    say("a", 1);
    int fd = openat(root, "a/current", O_WRONLY | O_APPEND | O_CLOEXEC);
    CHECK(write(fd, "begin", 5) == 5);
    open_reader(&query);
    CHECK_TEXT(read_all(), "a:1 ");
    CHECK(write(fd, " end\n", 5) == 5);
    CHECK_TEXT(read_all(), "a:begin end ");
    close_fd(fd);
}

TEST(there_is_no_log_directory) {
    const struct log_query query = {.last = LOG_ALL};
    CHECK(log_reader_open("/nowhere/logs", &query, &reader, &fault) == -ENOENT);
    CHECK_TEXT(fault.text,
               "cannot open the log directory \"/nowhere/logs\": No such file or directory");
}

TEST(a_name_that_leaves_the_directory) {
    const char *const names[] = {"../a"};
    const struct log_query query = {.units = names, .unit_count = 1, .last = LOG_ALL};
    begin();
    CHECK(log_reader_open(top, &query, &reader, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "\"../a\" is not the name of a unit");
}

TEST_MAIN
