/* A unit as it was resolved, as text and back: nothing is lost, and what is no such text is refused
 * with a sentence. */

#include <dirent.h>
#include <fcntl.h>

#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/text.h"
#include "units/keys.h"
#include "units/resolved.h"
#include "units/set.h"

#ifndef GOLDEN_DIRECTORY
#define GOLDEN_DIRECTORY "tests/units"
#endif

static void print_key(void *context, const char *key, const char *value, bool given) {
    (void)given;
    text_format(context, "%s = %s\n", key, value);
}

/* What the text of a unit makes is the unit in every key. */
static void check_unit(const struct unit *unit) {
    scoped_text struct text printed = {0}, before = {0}, after = {0}, again = {0};
    scoped(unit_unref) struct unit *read = NULL;
    struct fault fault = {""};
    unit_print(unit, &printed);
    CHECK(!printed.failed && printed.data);
    if (unit_read(unit->name, unit->path, printed.data, printed.length, &read, &fault) < 0)
        printf("# %s: %s\n%s\n", unit->path, fault.text, printed.data);
    CHECK(read);
    keys_visit(unit, print_key, &before);
    keys_visit(read, print_key, &after);
    CHECK_TEXT(after.data, before.data);
    CHECK(read->service.type == unit->service.type);
    CHECK(read->container.resources.pids_max_is_default ==
          unit->container.resources.pids_max_is_default);
    CHECK_TEXT(read->name, unit->name);
    CHECK_TEXT(read->path, unit->path);
    unit_print(read, &again);
    CHECK_TEXT(again.data, printed.data);
}

static size_t check_set(const char *directory) {
    const char *const directories[] = {directory, NULL};
    scoped_text struct text host = {0};
    text_format(&host, "%s/ringfence.conf", directory);
    struct unit_sources sources = {directories,
                                   access(host.data, F_OK) == 0 ? host.data : "/dev/null"};
    struct complaints complaints = {0};
    struct fault fault = {""};
    scoped(unit_set_free) struct unit_set *set = NULL;
    size_t count = 0;
    if (unit_set_load(&sources, &set, &complaints, &fault) < 0)
        printf("# %s: %s\n", directory, fault.text);
    complaints_free(&complaints);
    for (size_t i = 0; set && i < set->count; i++)
        if (set->entries[i].unit) {
            check_unit(set->entries[i].unit);
            count++;
        }
    return count;
}

TEST(every_good_unit_comes_back_the_same) {
    size_t count = check_set(GOLDEN_DIRECTORY "/good");
    DIR *good = opendir(GOLDEN_DIRECTORY "/good");
    CHECK(good);
    for (struct dirent *entry; (entry = readdir(good));) {
        scoped_text struct text path = {0};
        text_format(&path, GOLDEN_DIRECTORY "/good/%s", entry->d_name);
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            count += check_set(path.data);
    }
    closedir(good);
    printf("# %zu units\n", count);
    CHECK(count > 20);
}

static int read_text(const char *data, struct fault *fault) {
    scoped(unit_unref) struct unit *unit = NULL;
    return unit_read("web", "/units/web.unit", data, strlen(data), &unit, fault);
}

TEST(a_percent_sign_stays_one) {
    static const char text[] = "service = { exec = [\"/bin/date\", \"+%%H%%%%\"]; };";
    scoped(unit_unref) struct unit *unit = NULL;
    struct fault fault = {""};
    CHECK(unit_read("web", "/units/web.unit", text, strlen(text), &unit, &fault) == 0);
    CHECK_TEXT(unit->container.process.exec.items[1], "+%H%%");
    check_unit(unit);
}

TEST(what_is_no_unit_is_refused) {
    struct fault fault = {""};
    CHECK(read_text("service = { exec = [\"/bin/true\"]", &fault) == -EINVAL);
    CHECK(fault.text[0]);
    CHECK(read_text("service = { exce = [\"/bin/true\"]; };", &fault) == -EINVAL);
    CHECK(strstr(fault.text, "did you mean \"exec\""));
    CHECK(read_text("service = { exec = [\"true\"]; };", &fault) == -EINVAL);
    CHECK(strstr(fault.text, "absolute"));
}

TEST_MAIN
