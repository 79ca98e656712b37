/* The gate: what no text file in a repository can be, each a clear complaint within a second. */

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"
#include "units/draft.h"

static char scratch[] = "/tmp/ringfence-source-"
                        "XXX"
                        "XXX";

static void enter(void) {
    CHECK(mkdtemp(scratch));
    CHECK(chdir(scratch) == 0);
}

static void leave(void) {
    CHECK(chdir("/") == 0);
    CHECK(directory_remove(AT_FDCWD, scratch, NULL) == 0);
}

static void write_file(const char *path, const char *data, size_t length) {
    CHECK(file_replace(AT_FDCWD, path, data, length, 0644, false, NULL) == 0);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Loads the working directory, where a sound unit `good` and a faulty one stand. */
static void check_complaint(const char *want) {
    static const char good[] = "service = { exec = [ \"/bin/true\" ]; };";
    const char *const directories[] = {".", NULL};
    const struct unit_sources sources = {directories, NULL};
    struct complaints host = {0};
    struct unit_set *set = NULL;
    struct text text = {0};
    struct fault fault = {""};
    double start = seconds();

    write_file("good.unit", good, strlen(good));
    CHECK(unit_set_load(&sources, &set, &host, &fault) == 0);
    CHECK(seconds() - start < 1);
    CHECK(unit_set_find(set, "good")->condition == UNIT_VALID);
    const struct unit_entry *entry = unit_set_find(set, "faulty");
    CHECK(entry && entry->condition == UNIT_INVALID && !entry->unit);
    complaints_print(&entry->complaints, &text);
    if (!strstr(text.data, want))
        printf("# %s", text.data);
    CHECK(strstr(text.data, want));
    text_free(&text);
    complaints_free(&host);
    unit_set_free(set);
}

TEST(a_directory_is_no_unit) {
    enter();
    CHECK(mkdir("faulty.unit", 0755) == 0);
    check_complaint("./faulty.unit: error: it is a directory, not a regular file\n");
    leave();
}

TEST(a_fifo_does_not_block) {
    enter();
    CHECK(mkfifo("faulty.unit", 0644) == 0);
    check_complaint("./faulty.unit: error: it is a FIFO, not a regular file\n");
    leave();
}

TEST(a_device_is_no_unit) {
    enter();
    CHECK(symlink("/dev/zero", "faulty.unit") == 0);
    check_complaint("./faulty.unit: error: it is a device or a socket, not a regular file\n");
    leave();
}

TEST(a_link_that_leads_nowhere_is_told) {
    enter();
    CHECK(symlink("nowhere", "faulty.unit") == 0);
    check_complaint("./faulty.unit: error: cannot open it: No such file or directory\n");
    leave();
}

TEST(ten_megabytes_are_too_much) {
    enter();
    int fd = open("faulty.unit", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && ftruncate(fd, 10 << 20) == 0);
    close(fd);
    check_complaint("./faulty.unit: error: it is larger than 65536 bytes\n");
    leave();
}

TEST(nul_bytes_are_no_text) {
    enter();
    write_file("faulty.unit", "a = \"b\0c\";\n\0\0\0", 14);
    check_complaint("./faulty.unit:1:7: error: a NUL byte: this is no text file\n");
    leave();
}

TEST(nothing_is_nested_a_hundred_thousand_deep) {
    enter();
    static char deep[60000] = "a = ";
    memset(deep + 4, '(', sizeof(deep) - 4);
    write_file("faulty.unit", deep, sizeof(deep));
    check_complaint("error: groups and lists are nested more than 8 deep\n");
    leave();
}

TEST(whoever_may_write_it_must_be_trusted) {
    static const char unit[] = "service = { exec = [ \"/bin/true\" ]; };";
    enter();
    write_file("faulty.unit", unit, strlen(unit));
    CHECK(chmod("faulty.unit", 0646) == 0);
    check_complaint("./faulty.unit: error: anyone may write to it; chmod o-w\n");
    if (geteuid() != 0) {
        leave();
        SKIP("needs root to give a file away");
    }
    CHECK(chown("faulty.unit", 1234, 0) == 0 && chmod("faulty.unit", 0644) == 0);
    check_complaint("./faulty.unit: error: it is owned by neither root nor you\n");
    CHECK(chown("faulty.unit", 0, 1234) == 0 && chmod("faulty.unit", 0664) == 0);
    check_complaint("./faulty.unit: error: its group may write to it; chmod g-w\n");
    leave();
}

TEST(so_must_whoever_may_write_to_its_directory) {
    static const char unit[] = "service = { exec = [ \"/bin/true\" ]; };";
    const char *const directories[] = {".", NULL};
    const struct unit_sources sources = {directories, NULL};
    struct complaints host = {0};
    static struct unit_set *set;
    static struct text text;
    enter();
    CHECK(mkdir("app.unit.d", 0755) == 0 && chmod("app.unit.d", 0777) == 0);
    write_file("app.unit", unit, strlen(unit));
    write_file("app.unit.d/x.conf", unit, strlen(unit));
    CHECK(unit_set_load(&sources, &set, &host, NULL) == 0);
    complaints_print(&set->entries[0].complaints, &text);
    CHECK_TEXT(text.data, "./app.unit.d/x.conf: error: its directory: anyone may write to it; "
                          "chmod o-w\n");
    unit_set_free(set);
    text_free(&text);
    text = (struct text){0};
    CHECK(chmod("app.unit.d", 0755) == 0 && chmod(".", 0777) == 0);
    CHECK(unit_set_load(&sources, &set, &host, NULL) == 0);
    complaints_print(&set->entries[0].complaints, &text);
    CHECK(strstr(text.data, "./app.unit: error: its directory: anyone may write to it"));
    CHECK(set->entries[0].condition == UNIT_INVALID);
    leave();
}

TEST(a_missing_directory_is_a_failure) {
    const char *const directories[] = {"/nowhere/at/all", NULL};
    const struct unit_sources sources = {directories, NULL};
    struct complaints host = {0};
    static struct unit_set *set;
    struct fault fault;
    CHECK(unit_set_load(&sources, &set, &host, &fault) == -ENOENT);
    CHECK_TEXT(fault.text, "cannot open the unit directory \"/nowhere/at/all\": No such file or "
                           "directory");
}

/* What libconfig does to a process on bytes that no scan of ours has seen. */
TEST(a_trial_that_does_not_end_costs_its_file_alone) {
    static struct source sources[3];
    struct source *list[3] = {&sources[0], &sources[1], &sources[2]};
    static struct complaints complaints[3];
    struct complaints *told[3] = {&complaints[0], &complaints[1], &complaints[2]};
    static struct text text;
    static const char unit[] = "service = { exec = [ \"/bin/true\" ]; };";

    for (size_t i = 0; i < 3; i++)
        source_from("file", unit, strlen(unit), &sources[i], &complaints[i]);
    /* An include of itself, put in behind the scan's back: the scanner leaves by exit(3). */
    static char include[] = "@include \"/dev\"\n";
    free(sources[1].data);
    sources[1].data = include;
    CHECK(sources_try(list, told, 3, NULL) == 0);
    CHECK(!sources[0].bad && sources[1].bad && !sources[2].bad);
    complaints_print(&complaints[1], &text);
    CHECK(strstr(text.data, "error: "));
    source_parse(&sources[2], &complaints[2]);
    CHECK(sources[2].parsed && !sources[2].bad);
}

/* They write a report of every fault, and a report is a failure of the suite. */
static void skip_under_sanitizers(void) {
#ifdef __SANITIZE_ADDRESS__
    SKIP("the fault that is made here would be reported");
#endif
}

TEST(a_parser_that_dies_is_told) {
    skip_under_sanitizers();
    static struct source source;
    struct source *list = &source;
    static struct complaints complaints;
    struct complaints *told = &complaints;
    static struct text text;
    source_from("file", "a = 1;", 6, &source, &complaints);
    free(source.data);
    source.data = NULL; /* libconfig reads through it */
    CHECK(sources_try(&list, &told, 1, NULL) == 0);
    complaints_print(&complaints, &text);
    CHECK_TEXT(text.data, "file: error: the parser does not come to an end of it\n");
}

TEST(the_trial_touches_no_output_of_ours) {
    skip_under_sanitizers();
    char path[] = "/tmp/ringfence-output-"
                  "XXX"
                  "XXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    unlink(path);
    FILE *stream = fdopen(fd, "w");
    static struct source source;
    struct source *list = &source;
    static struct complaints complaints;
    struct complaints *told = &complaints;
    fputs("once", stream);
    source_from("file", "a = 1;", 6, &source, &complaints);
    free(source.data);
    source.data = NULL;
    CHECK(sources_try(&list, &told, 1, NULL) == 0);
    fflush(stream);
    CHECK(lseek(fd, 0, SEEK_END) == 4);
}

TEST(ignored_children_are_no_obstacle) {
    static struct source source, wrong;
    struct source *list = &source;
    static struct complaints complaints;
    struct complaints *told = &complaints;
    signal(SIGCHLD, SIG_IGN);
    source_from("file", "a = ;", 5, &wrong, &complaints);
    CHECK(wrong.bad);
    source_from("file", "a = 1;", 6, &source, &complaints);
    CHECK(sources_try(&list, &told, 1, NULL) == 0 && !source.bad);
    signal(SIGCHLD, SIG_DFL);
}

TEST_MAIN
