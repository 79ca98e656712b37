/* A directory that breaks off while it is listed is no directory with so few files in it. */

#include <dlfcn.h>
#include <fcntl.h>

#include "supervisor/log/file.h"
#include "supervisor/log/reader.h"
#include "supervisor/log/reclaim.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

static char top[] = "/tmp/ringfence-test-listing-XXXXXX";
static struct fault fault;
static int root;
static int entries_left = -1; /* then EIO; -1: never */

/* In the place of the C library's. */
struct dirent *readdir(DIR *directory) {
    static struct dirent *(*real)(DIR *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "readdir");
    if (entries_left == 0) {
        errno = EIO;
        return NULL;
    }
    entries_left -= entries_left > 0;
    return real(directory);
}

static void remove_top(void) {
    entries_left = -1;
    directory_remove(AT_FDCWD, top, NULL);
}

static void put(const char *path, const char *text) {
    CHECK(file_replace(root, path, text, strlen(text), 0600, false, &fault) == 0);
}

static void begin(void) {
    CHECK(mkdtemp(top));
    atexit(remove_top);
    root = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(root >= 0 && directory_make(root, "web", 0700, &fault) == 0);
    put("web/current.2", "1970-01-01T00:00:01.000000Z web[1] out: one\n");
    put("web/current.1", "1970-01-01T00:00:02.000000Z web[1] out: two\n");
    put("web/current", "1970-01-01T00:00:03.000000Z web[1] out: three\n");
}

static int open_reader(const char *const *units, size_t count) {
    scoped(log_reader_close) struct log_reader *reader = NULL;
    const struct log_query query = {.units = units, .unit_count = count, .last = LOG_ALL};
    return log_reader_open(top, &query, &reader, &fault);
}

TEST(who_reads_all_units_is_told_that_some_are_missing) {
    begin();
    CHECK(open_reader(NULL, 0) == 0);
    entries_left = 0;
    CHECK(open_reader(NULL, 0) == -EIO);
    CHECK_TEXT(fault.text, "cannot list the log directory: Input/output error");
}

TEST(who_reads_one_unit_is_told_that_rotated_files_are_missing) {
    const char *const units[] = {"web"};
    begin();
    CHECK(open_reader(units, 1) == 0);
    for (entries_left = 0; entries_left < 3; entries_left++) {
        int left = entries_left;
        CHECK(open_reader(units, 1) == -EIO);
        CHECK_TEXT(fault.text, "log of web: cannot open the log files: Input/output error");
        entries_left = left;
    }
}

TEST(files_that_were_not_seen_are_not_mended) {
    struct log_file file;
    begin();
    log_file_init(&file, root, "web");
    CHECK(log_file_mend(&file, &fault) == 0);
    entries_left = 2;
    CHECK(log_file_mend(&file, &fault) == -EIO);
    CHECK_TEXT(fault.text, "log of web: cannot list its files: Input/output error");
}

TEST(what_makes_room_is_the_oldest_or_nothing) {
    char name[64];
    begin();
    entries_left = 3 + 1; /* of the top: "." ".." "web"; of web the first alone */
    CHECK(log_reclaim(root, name, sizeof(name)) == 0);
    entries_left = -1;
    CHECK(log_reclaim(root, name, sizeof(name)) == 1);
    CHECK_TEXT(name, "web/current.2");
}

TEST_MAIN
