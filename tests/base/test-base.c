/* The helpers that every floor stands on. */

#include <fcntl.h>
#include <sys/stat.h>

#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

TEST(fault_says_what_and_why) {
    struct fault fault;
    CHECK(fault_set(&fault, ENOENT, "cannot open \"%s\"", "/x") == -ENOENT);
    CHECK_TEXT(fault.text, "cannot open \"/x\": No such file or directory");
    CHECK(fault_prefix(&fault, -ENOENT, "web") == -ENOENT);
    CHECK_TEXT(fault.text, "web: cannot open \"/x\": No such file or directory");
    CHECK(fault_say(NULL, EINVAL, "nobody listens") == -EINVAL);
}

TEST(durations_round_trip) {
    static const struct {
        const char *text;
        uint64_t usec;
        const char *printed;
    } cases[] = {
        {"100ms", 100000, "100ms"},   {"90s", 90000000, "1min30s"},
        {"2min", 120000000, "2min"},  {"1h30min", 5400000000, "1h30min"},
        {"5", 5000000, "5s"},         {"0", 0, "0s"},
        {"off", DURATION_OFF, "off"}, {"1d", 86400000000, "1d"},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        uint64_t usec = 1;
        scoped_text struct text text = {0};
        CHECK(duration_parse(cases[i].text, &usec) == 0);
        CHECK(usec == cases[i].usec);
        duration_print(&text, usec);
        CHECK_TEXT(text.data, cases[i].printed);
    }
}

TEST(wrong_durations_are_refused) {
    static const char *const wrong[] = {"", "-1s", "1m", "1 s", "s", "1s ", "1.5s", "1e3", "+5"};
    uint64_t usec = 7;
    for (size_t i = 0; i < ELEMENTS(wrong); i++)
        CHECK(duration_parse(wrong[i], &usec) == -EINVAL);
    CHECK(duration_parse("99999999999999999999", &usec) == -ERANGE ||
          duration_parse("99999999999999999999", &usec) == -EINVAL);
    CHECK(duration_parse("300000000000d", &usec) == -ERANGE);
    CHECK(usec == 7);
}

TEST(sizes_round_trip) {
    uint64_t bytes = 0;
    scoped_text struct text text = {0};
    CHECK(size_parse("64M", &bytes) == 0 && bytes == 64 << 20);
    size_print(&text, bytes);
    CHECK_TEXT(text.data, "64M");
    CHECK(size_parse("4KiB", &bytes) == 0 && bytes == 4096);
    CHECK(size_parse("max", &bytes) == 0 && bytes == SIZE_NONE);
    CHECK(size_parse("64MB", &bytes) == -EINVAL);
    CHECK(size_parse("20000000T", &bytes) == -ERANGE);
    CHECK(size_parse("-1", &bytes) == -EINVAL);
}

TEST(the_nearest_name_is_found) {
    static const char *const names[] = {"type", "exec", "user", "memory_max"};
    CHECK_TEXT(names_nearest("tpye", names, 4), "type");
    CHECK_TEXT(names_nearest("memroy_max", names, 4), "memory_max");
    CHECK(names_nearest("zzzzzz", names, 4) == NULL);
    CHECK(names_nearest("", names, 4) == NULL);
}

TEST(json_is_escaped) {
    scoped_text struct text text = {0};
    json_open(&text, NULL, '{');
    json_string(&text, "a", "x\"y\n\xff");
    json_open(&text, "list", '[');
    json_unsigned(&text, NULL, 1);
    json_bool(&text, NULL, true);
    json_close(&text, ']');
    json_string(&text, "none", NULL);
    json_bytes(&text, "bytes", "a\0\xc3\xa4\xc3", 5);
    json_close(&text, '}');
    CHECK_TEXT(text.data,
               "{\"a\":\"x\\\"y\\n\xef\xbf\xbd\",\"list\":[1,true],\"none\":null,"
               "\"bytes\":\"a\\u0000\xc3\xa4\xef\xbf\xbd\",\"bytes_base64\":\"YQDDpMM=\"}");
}

/* The examples of RFC 4648, each behind a byte that is no UTF-8. */
TEST(json_has_all_bytes) {
    static const char *const cases[][2] = {
        {"\xff", "/w=="},
        {"\xff\x66", "/2Y="},
        {"\xff\x66o", "/2Zv"},
        {"\xff\x66oo", "/2Zvbw=="},
        {"\xff\x66oobar", "/2Zvb2Jhcg=="},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        scoped_text struct text text = {0};
        json_bytes(&text, "b", cases[i][0], strlen(cases[i][0]));
        const char *exact = strstr(text.data, ",\"b_base64\":\"");
        CHECK(exact && strncmp(exact + 13, cases[i][1], strlen(cases[i][1])) == 0);
        CHECK_TEXT(exact + 13 + strlen(cases[i][1]), "\"");
    }
    scoped_text struct text plain = {0};
    json_bytes(&plain, "b", "\xc3\xa4\xc2\x9b", 4);
    CHECK_TEXT(plain.data, "\"b\":\"\xc3\xa4\\u009b\"");
}

TEST(deep_trees_are_removed) {
    char top[] = "/tmp/ringfence-test-XXXXXX";
    CHECK(mkdtemp(top));
    int at = open(top, O_RDONLY | O_DIRECTORY);
    for (int depth = 0; depth < 200; depth++) {
        CHECK(mkdirat(at, "d", 0700) == 0);
        CHECK(symlinkat("/etc", at, "link") == 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        close(at);
        at = next;
    }
    close(at);
    struct fault fault = {{0}};
    CHECK(directory_remove(AT_FDCWD, top, &fault) == 0);
    CHECK(access(top, F_OK) < 0);
    CHECK(access("/etc/passwd", F_OK) == 0);
    CHECK(directory_remove(AT_FDCWD, top, &fault) == 0);
}

/* What cannot be read to its end is no shorter directory. */
TEST(a_listing_that_breaks_off_is_an_error) {
    char path[] = "/tmp/ringfence-base-XXXXXX";
    const struct dirent *entry = NULL;
    CHECK(mkdtemp(path));
    scoped_fd int top = open(path, O_PATH | O_CLOEXEC);
    CHECK(mkdirat(top, "only", 0700) == 0);
    DIR *listing = opendir(path);
    CHECK(listing && directory_next(listing, &entry) == 1);
    CHECK_TEXT(entry->d_name, "only");
    CHECK(directory_next(listing, &entry) == 0);
    closedir(listing);
    listing = opendir(path);
    CHECK(listing && close(dirfd(listing)) == 0);
    CHECK(directory_next(listing, &entry) == -EBADF);
    closedir(listing);
    CHECK(directory_remove(AT_FDCWD, path, NULL) == 0);
}

TEST(odd_files_are_refused_at_once) {
    char top[] = "/tmp/ringfence-test-XXXXXX";
    CHECK(mkdtemp(top));
    int directory = open(top, O_RDONLY | O_DIRECTORY);
    struct fault fault = {{0}};
    char *data = NULL;
    CHECK(mkfifoat(directory, "fifo", 0600) == 0);
    CHECK(file_read(directory, "fifo", 100, &data, NULL, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "\"fifo\" is not a regular file");
    CHECK(file_read(directory, ".", 100, &data, NULL, &fault) == -EISDIR);
    CHECK(file_replace(directory, "f", "hello", 5, 0600, true, &fault) == 0);
    CHECK(file_read(directory, "f", 4, &data, NULL, &fault) == -EFBIG);
    CHECK(symlinkat("f", directory, "link") == 0);
    CHECK(file_read(directory, "link", 100, &data, NULL, &fault) == -ELOOP);
    CHECK(data == NULL);
    CHECK(file_read(directory, "f", 5, &data, NULL, &fault) == 0);
    CHECK_TEXT(data, "hello");
    free(data);
    char path[64];
    snprintf(path, sizeof path, "%s/link", top);
    CHECK(file_read_linked(path, 5, &data, NULL, &fault) == 0);
    CHECK_TEXT(data, "hello");
    free(data);
    CHECK(directory_remove(AT_FDCWD, top, &fault) == 0);
}

TEST(text_of_others_is_cleaned) {
    scoped_text struct text text = {0};
    text_add_clean(&text,
                   "a\tb\nc \x1b[31m\x7f \xc3\xa4 \xff\xc2\x9b \xef\xb7\x90\xf0\x9f\xbf\xbf.");
    CHECK_TEXT(text.data, "a\tb\nc \xef\xbf\xbd[31m\xef\xbf\xbd \xc3\xa4 \xef\xbf\xbd\xef\xbf\xbd "
                          "\xef\xbf\xbd\xef\xbf\xbd.");
}

TEST(text_grows_as_it_is_needed) {
    scoped_text struct text text = {0};
    char expected[4096] = "";
    for (int width = 0; width < 80; width++) {
        char part[128];
        snprintf(part, sizeof part, "<%*d>", width, width);
        strcat(expected, part);
        text_format(&text, "<%*d>", width, width);
        CHECK(!text.failed && text.length == strlen(expected));
        CHECK_TEXT(text.data, expected);
    }
    text_format(&text, "%s", "");
    CHECK_TEXT(text.data, expected);
}

TEST_MAIN
