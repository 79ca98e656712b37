/* Every file of good/ loads, and means what is written beside it; every file and every directory of
 * bad/ is complained about in exactly the words beside it. UPDATE=1 writes the words anew. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"
#include "units/base/text.h"
#include "units/keys.h"
#include "units/set.h"

#ifndef GOLDEN_DIRECTORY
#define GOLDEN_DIRECTORY "tests/units"
#endif

static char scratch[] = "/tmp/ringfence-golden-"
                        "XXX"
                        "XXX";

/* Only what the file gave, so that a new default changes no expectation. */
static void print_key(void *context, const char *key, const char *value, bool given) {
    if (given)
        text_format(context, "%s = %s\n", key, value);
}

/* Loads the working directory. */
static void load_here(struct text *text) {
    const char *const directories[] = {".", NULL};
    struct unit_sources sources = {directories, NULL};
    struct complaints host = {0};
    struct unit_set *set = NULL;
    struct fault fault = {""};
    if (access("ringfence.conf", F_OK) == 0)
        sources.host_file = "ringfence.conf";
    if (unit_set_load(&sources, &set, &host, &fault) < 0) {
        text_format(text, "%s\n", fault.text);
        return;
    }
    complaints_print(&host, text);
    complaints_free(&host);
    for (size_t i = 0; i < set->count; i++) {
        const struct unit_entry *entry = &set->entries[i];
        complaints_print(&entry->complaints, text);
        if (entry->condition == UNIT_MASKED)
            text_format(text, "%s is masked\n", entry->name);
        if (entry->condition == UNIT_TEMPLATE)
            text_format(text, "%s is a template\n", entry->name);
        if (entry->unit && set->count > 1)
            text_format(text, "%s:\n", entry->name);
        if (entry->unit)
            keys_visit(entry->unit, print_key, text);
    }
    unit_set_free(set);
}

static void compare(const char *expected, const char *have) {
    char *want = NULL;
    struct fault fault;
    if (getenv("UPDATE")) {
        CHECK(file_replace(AT_FDCWD, expected, have, strlen(have), 0644, false, &fault) == 0);
        return;
    }
    if (file_read(AT_FDCWD, expected, 1 << 20, &want, NULL, &fault) < 0) {
        printf("# %s\n", fault.text);
        exit(1);
    }
    if (strcmp(have, want) != 0)
        printf("# %s differs\n", expected);
    CHECK_TEXT(have, want);
    free(want);
}

/* A single file stands alone in a directory of its own. */
static void enter_copy(const char *path, const char *name) {
    char *data;
    size_t length;
    struct fault fault;
    CHECK(mkdtemp(scratch));
    CHECK(file_read(AT_FDCWD, path, 1 << 20, &data, &length, &fault) == 0);
    CHECK(chdir(scratch) == 0);
    CHECK(file_replace(AT_FDCWD, name, data, length, 0644, false, &fault) == 0);
    free(data);
}

static void run_one(const char *directory, const char *name, bool good) {
    char path[PATH_MAX * 2], expected[PATH_MAX * 2 + 16];
    struct stat status;
    struct text text = {0};
    struct fault fault;
    text_add(&text, "");
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    CHECK(stat(path, &status) == 0);
    if (S_ISDIR(status.st_mode)) {
        snprintf(expected, sizeof(expected), "%s/expected", path);
        CHECK(chdir(path) == 0);
        load_here(&text);
    } else {
        snprintf(expected, sizeof(expected), "%.*sexpected", (int)(strlen(path) - 4), path);
        enter_copy(path, name);
        load_here(&text);
        CHECK(chdir("/") == 0);
        CHECK(directory_remove(AT_FDCWD, scratch, &fault) == 0);
    }
    if (good && strstr(text.data, ": error: ")) {
        printf("# %s", text.data);
        exit(1);
    }
    compare(expected, text.data);
    CHECK(good || strstr(text.data, ": error: "));
    text_free(&text);
}

static void run_all(const char *kind, bool good) {
    char directory[PATH_MAX];
    snprintf(directory, sizeof(directory), "%s/%s", GOLDEN_DIRECTORY, kind);
    static DIR *stream; /* the children end with it open */
    stream = opendir(directory);
    CHECK(stream);
    int count = 0, failed = 0;
    for (struct dirent *entry; (entry = readdir(stream));) {
        size_t length = strlen(entry->d_name);
        bool unit = length > 5 && strcmp(entry->d_name + length - 5, ".unit") == 0;
        if (entry->d_name[0] == '.' || (!unit && strchr(entry->d_name, '.')))
            continue;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            run_one(directory, entry->d_name, good);
            exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        failed += status != 0;
        count++;
    }
    closedir(stream);
    printf("# %d of %s, %d wrong\n", count, kind, failed);
    CHECK(failed == 0 && count > 0);
}

TEST(every_good_file_means_what_it_says) {
    run_all("good", true);
}

TEST(every_bad_file_is_complained_about_in_words) {
    run_all("bad", false);
}

TEST_MAIN
