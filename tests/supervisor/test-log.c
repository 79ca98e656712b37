/* Records and rotated files, as ringfence-logd makes them. */

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "supervisor/log/file.h"
#include "supervisor/log/reclaim.h"
#include "supervisor/log/record.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

#define NOON "2026-11-21T12:00:00.000001Z"
static const uint64_t noon = 1795262400000001;

static const struct log_record like = {
    .time = noon, .unit = "web", .pid = 4711, .stream = LOG_OUT, .text = "", .length = 0};

static void check_parsed(const char *line, const struct log_record *want, const char *text) {
    struct log_record record;
    CHECK(log_record_parse(line, strlen(line), &record) == 0);
    CHECK(record.time == want->time && record.pid == want->pid);
    CHECK(record.stream == want->stream && record.partial == want->partial);
    CHECK_TEXT(record.unit, want->unit);
    CHECK(record.length == strlen(text) && memcmp(record.text, text, record.length) == 0);
}

TEST(a_record_is_read_as_it_was_written) {
    struct log_record record = like;
    scoped_text struct text line = {0};
    record.unit[0] = '\0';
    strcpy(record.unit, "db@a:b.c_d-1");
    record.stream = LOG_ERR;
    record.partial = true;
    record.text = "said [1] out: \r\t\001 \xff";
    record.length = strlen(record.text);
    log_record_write(&line, &record);
    CHECK_TEXT(line.data, NOON " db@a:b.c_d-1[4711] err+: said [1] out: \r\t\001 \xff\n");
    line.data[line.length - 1] = '\0';
    check_parsed(line.data, &record, record.text);
}

TEST(an_empty_line_is_a_record) {
    check_parsed(NOON " web[4711] out: ", &like, "");
}

TEST(what_is_no_record_is_refused) {
    static const char *const lines[] = {
        "",
        "hello",
        NOON,
        NOON " ",
        NOON " web",
        NOON " web[]",
        NOON " web[1",
        NOON " web[-1] out: x",
        NOON " web[99999999999] out: x",
        NOON " web[2147483648] out: x",
        NOON " web[1]out: x",
        NOON " web[1] log: x",
        NOON " web[1] notes: x",
        NOON " web[1] out:x",
        NOON " web[1] out",
        NOON " web[1] out++: x",
        NOON " [1] out: x",
        NOON " w b[1] out: x",
        "2026-13-21T12:00:00.000001Z web[1] out: x",
        "2026-02-30T12:00:00.000001Z web[1] out: x",
        "2026-11-21T24:00:00.000001Z web[1] out: x",
        "2026-11-21T12:00:00.00001Z web[1] out: x",
        "2026-11-21 12:00:00.000001Z web[1] out: x",
    };
    for (size_t i = 0; i < ELEMENTS(lines); i++) {
        struct log_record record = {.pid = -7};
        printf("# %s\n", lines[i]);
        CHECK(log_record_parse(lines[i], strlen(lines[i]), &record) == -EBADMSG);
        CHECK(record.pid == -7);
    }
}

TEST(times_go_both_ways) {
    static const uint64_t times[] = {0, 1, 951782399999999, 951782400000000, 253402300799999999};
    for (size_t i = 0; i < ELEMENTS(times); i++) {
        char text[LOG_TIME_LENGTH + 1];
        uint64_t time;
        log_time_print(times[i], text);
        CHECK(log_time_parse(text, strlen(text), &time) == 0);
        CHECK(time == times[i]);
    }
}

TEST(a_record_as_json) {
    struct log_record record = like;
    scoped_text struct text json = {0};
    record.text = "a\0\"\xff";
    record.length = 4;
    log_record_json(&json, &record);
    CHECK_TEXT(json.data, "{\"time\":\"" NOON "\",\"unit\":\"web\",\"pid\":4711,\"stream\":\"out\","
                          "\"partial\":false,\"text\":\"a\\u0000\\\"\xef\xbf\xbd\","
                          "\"text_base64\":\"YQAi/w==\"}");
}

/* ---- files ---- */

static char top[] = "/tmp/ringfence-test-log-XXXXXX";
static struct log_file file;
static struct log_marks marks;
static struct fault fault;

static void remove_top(void) {
    log_file_close(&file);
    directory_remove(AT_FDCWD, top, NULL);
}

static void begin(void) {
    CHECK(mkdtemp(top));
    atexit(remove_top);
    int root = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(root >= 0);
    log_file_init(&file, root, "web");
}

static int append(const struct log_limits *limits, const char *text) {
    size_t written;
    return log_file_append(&file, limits, &marks, text, strlen(text), 0, &written, &fault);
}

/* What a file has, or "-" where there is none. */
static const char *content(const char *name) {
    static char text[4096];
    char path[64];
    snprintf(path, sizeof path, "web/%s", name);
    int fd = openat(file.root, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    close_fd(fd);
    if (length < 0)
        return "-";
    text[length] = '\0';
    return text;
}

TEST(files_rotate_at_a_record) {
    const struct log_limits limits = {.max_size = 8, .max_files = 3};
    begin();
    CHECK(append(&limits, "aaa\nbbb\nccc\n") == 0);
    CHECK_TEXT(content("current"), "ccc\n");
    CHECK_TEXT(content("current.1"), "aaa\nbbb\n");
    CHECK(append(&limits, "ddd\neeeeeeeeeeeeee\nf\n") == 0);
    CHECK_TEXT(content("current"), "f\n");
    CHECK_TEXT(content("current.1"), "eeeeeeeeeeeeee\n");
    CHECK_TEXT(content("current.2"), "ccc\nddd\n");
    CHECK_TEXT(content("current.3"), "-");
}

TEST(one_file_in_all_starts_anew) {
    const struct log_limits limits = {.max_size = 8, .max_files = 1};
    begin();
    CHECK(append(&limits, "aaa\nbbb\nccc\n") == 0);
    CHECK_TEXT(content("current"), "ccc\n");
    CHECK_TEXT(content("current.1"), "-");
}

TEST(fewer_files_than_before) {
    const struct log_limits many = {.max_size = 4, .max_files = 5},
                            few = {.max_size = 4, .max_files = 2};
    begin();
    CHECK(append(&many, "aaa\nbbb\nccc\nddd\neee\n") == 0);
    CHECK_TEXT(content("current.4"), "aaa\n");
    CHECK(append(&few, "fff\n") == 0);
    CHECK_TEXT(content("current"), "fff\n");
    CHECK_TEXT(content("current.1"), "eee\n");
    CHECK_TEXT(content("current.2"), "-");
    CHECK_TEXT(content("current.4"), "-");
}

/* ---- after a power cut ---- */

#define RECORD(rest) NOON " web[4711] " rest
#define SOUND RECORD("out: whole\n")

/* As the disk gives a file back, with so many zeros behind it. */
static void put(const char *name, const char *text, size_t zeros) {
    static const char nothing[10000];
    char path[64];
    snprintf(path, sizeof path, "web/%s", name);
    CHECK(mkdirat(file.root, "web", 0750) == 0 || errno == EEXIST);
    int fd = openat(file.root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(zeros <= sizeof nothing && write(fd, nothing, zeros) == (ssize_t)zeros);
    close_fd(fd);
}

TEST(what_a_power_cut_tore_is_partial_or_gone) {
    static const struct {
        const char *torn;
        size_t zeros;
        const char *mended;
    } cases[] = {
        {"", 0, ""},
        {"", 10000, ""},
        {SOUND, 0, SOUND},
        {SOUND, 1, SOUND},
        {SOUND, 10000, SOUND},
        {SOUND RECORD("err: ha"), 0, SOUND RECORD("err+: ha\n")},
        {SOUND RECORD("err: ha"), 5000, SOUND RECORD("err+: ha\n")},
        {RECORD("out+: "), 0, RECORD("out+: \n")},
        {SOUND RECORD("ou"), 0, SOUND},
        {SOUND "2026-11-", 4096, SOUND},
        {"2026-11-", 0, ""},
    };
    begin();
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        put("current", cases[i].torn, cases[i].zeros);
        put("current.2", cases[i].torn, cases[i].zeros);
        put("currently", cases[i].torn, 0);
        CHECK(log_file_mend(&file, &fault) == 0);
        CHECK_TEXT(content("current"), cases[i].mended);
        CHECK_TEXT(content("current.2"), cases[i].mended);
        CHECK_TEXT(content("currently"), cases[i].torn);
    }
}

TEST(a_unit_that_has_not_logged_has_nothing_to_mend) {
    begin();
    CHECK(log_file_mend(&file, &fault) == 0);
    CHECK_TEXT(content("current"), "-");
}

TEST(what_is_written_next_begins_a_line) {
    const struct log_limits limits = {.max_size = 1000, .max_files = 3};
    begin();
    put("current", SOUND RECORD("out: ha"), 3);
    CHECK(append(&limits, "next\n") == 0);
    CHECK_TEXT(content("current"), SOUND RECORD("out+: ha\n") "next\n");
}

TEST(a_log_that_cannot_be_mended_is_named) {
    const struct rlimit least = {sizeof SOUND - 1, RLIM_INFINITY};
    begin();
    put("current.1", SOUND RECORD("out: ha"), 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &least) == 0);
    CHECK(log_file_mend(&file, &fault) == -EFBIG);
    CHECK_TEXT(fault.text, "log of web: cannot write the log file \"current.1\": File too large");
}

/* ---- a full disk ---- */

TEST(a_full_disk_cuts_no_record) {
    const struct log_limits limits = {.max_size = 100, .max_files = 3};
    const struct rlimit least = {6, RLIM_INFINITY}, most = {RLIM_INFINITY, RLIM_INFINITY};
    size_t written;
    begin();
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &least) == 0);
    CHECK(log_file_append(&file, &limits, &marks, "a\nbbbbbbbbb\nc\n", 14, 0, &written, &fault) ==
          -ENOSPC);
    CHECK_TEXT(fault.text, "cannot write the log of web: No space left on device");
    CHECK(written == 2);
    CHECK_TEXT(content("current"), "a\n");
    CHECK(setrlimit(RLIMIT_FSIZE, &most) == 0);
    CHECK(append(&limits, "bbbbbbbbb\nc\n") == 0);
    CHECK_TEXT(content("current"), "a\nbbbbbbbbb\nc\n");
}

/* ---- after a logger that was killed ---- */

static const char three[] = "one\ntwo\nthree\n";

/* As if it had been killed when so many bytes of `three` had been written after "zero". */
static void leave(size_t written) {
    const struct log_limits limits = {.max_size = 1000, .max_files = 3};
    struct stat status;
    begin();
    CHECK(append(&limits, "zero\n") == 0);
    CHECK(fstat(file.fd, &status) == 0);
    log_marks_set(&marks, &(struct log_mark){status.st_dev, status.st_ino, 5, 0});
    CHECK(write(file.fd, three, written) == (ssize_t)written);
    log_file_close(&file);
}

static void check_resumed(size_t from) {
    const struct log_limits limits = {.max_size = 1000, .max_files = 3};
    size_t written;
    CHECK(log_file_resume(&file, &marks, three, strlen(three)) == from);
    CHECK(log_file_append(&file, &limits, &marks, three, strlen(three), from, &written, &fault) ==
          0);
    CHECK(written == strlen(three));
    CHECK_TEXT(content("current"), "zero\none\ntwo\nthree\n");
}

TEST(killed_before_the_write) {
    leave(0);
    check_resumed(0);
}

TEST(killed_after_a_part_of_the_write) {
    leave(6); /* "one\ntw" */
    check_resumed(4);
}

TEST(killed_after_the_write) {
    leave(strlen(three));
    check_resumed(strlen(three));
}

TEST(killed_before_the_rotation) {
    const struct log_limits limits = {.max_size = 10, .max_files = 3};
    size_t written;
    begin();
    CHECK(append(&limits, "zero\none\n") == 0);
    log_marks_set(&marks, &(struct log_mark){.offset = 4});
    log_file_close(&file);
    CHECK(log_file_resume(&file, &marks, three, strlen(three)) == 4);
    CHECK(log_file_append(&file, &limits, &marks, three, strlen(three), 4, &written, &fault) == 0);
    CHECK_TEXT(content("current.1"), "zero\none\n");
    CHECK_TEXT(content("current"), "two\nthree\n");
}

TEST(killed_and_the_file_was_removed) {
    leave(4);
    CHECK(unlinkat(file.root, "web/current", 0) == 0);
    CHECK(log_file_resume(&file, &marks, three, strlen(three)) == 0);
}

TEST(killed_and_the_file_is_another) {
    const struct log_limits limits = {.max_size = 1000, .max_files = 3};
    leave(4);
    CHECK(renameat(file.root, "web/current", file.root, "web/old") == 0);
    CHECK(append(&limits, "zero\n") == 0);
    marks.current = !marks.current; /* the mark that was left */
    CHECK(log_file_resume(&file, &marks, three, strlen(three)) == 0);
}

TEST(removed_files_come_again) {
    const struct log_limits limits = {.max_size = 100, .max_files = 3};
    begin();
    CHECK(append(&limits, "a\n") == 0);
    CHECK(directory_remove(file.root, "web", &fault) == 0);
    CHECK(append(&limits, "b\n") == 0);
    CHECK_TEXT(content("current"), "b\n");
}

TEST(the_biggest_goes_first) {
    const struct log_limits limits = {.max_size = 20000, .max_files = 9};
    static char much[15001];
    char name[64];
    begin();
    CHECK(log_reclaim(file.root, name, sizeof name) == 0);
    memset(much, 'x', sizeof much - 2);
    much[sizeof much - 2] = '\n';
    for (int i = 0; i < 4; i++) /* current and three more */
        CHECK(append(&limits, much) == 0);
    log_file_close(&file);
    log_file_init(&file, file.root, "small");
    for (int i = 0; i < 3; i++)
        CHECK(append(&limits, much) == 0);
    CHECK(log_reclaim(file.root, name, sizeof name) == 1);
    CHECK_TEXT(name, "web/current.3");
    int removed = 1;
    while (log_reclaim(file.root, name, sizeof name) == 1)
        removed++;
    CHECK(removed == 5);
    CHECK(faccessat(file.root, "web/current", F_OK, 0) == 0);
    CHECK(faccessat(file.root, "small/current", F_OK, 0) == 0);
}

TEST(who_may_read) {
    const struct log_limits limits = {.max_size = 100, .max_files = 3};
    struct stat status;
    begin();
    CHECK(append(&limits, "a\n") == 0);
    CHECK(fstatat(file.root, "web", &status, 0) == 0 && (status.st_mode & 07777) == 0750);
    CHECK(fstatat(file.root, "web/current", &status, 0) == 0 && (status.st_mode & 07777) == 0640);
}

TEST(a_file_that_is_none_is_refused) {
    const struct log_limits limits = {.max_size = 100, .max_files = 3};
    begin();
    CHECK(mkdirat(file.root, "web", 0700) == 0);
    CHECK(mkfifoat(file.root, "web/current", 0600) == 0);
    CHECK(append(&limits, "a\n") == -EINVAL);
    CHECK_TEXT(fault.text, "the log file \"web/current\" is not a regular file");
    CHECK(unlinkat(file.root, "web/current", 0) == 0);
    CHECK(symlinkat("/etc/passwd", file.root, "web/current") == 0);
    CHECK(append(&limits, "a\n") == -ELOOP);
    CHECK_TEXT(fault.text,
               "cannot open the log file \"web/current\": Too many levels of symbolic links");
}

TEST_MAIN
