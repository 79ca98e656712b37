/* Sets of units: finding, masking, instances, order, and what a default unit is. */

#include <fcntl.h>
#include <sys/stat.h>

#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/describe.h"
#include "units/keys.h"
#include "units/set.h"

static char scratch[] = "/tmp/ringfence-set-"
                        "XXX"
                        "XXX";
static const char *const here[] = {".", NULL};
static struct unit_sources sources = {here, NULL};
static struct complaints host;
static struct unit_set *set;

static void put(const char *path, const char *text) {
    CHECK(file_replace(AT_FDCWD, path, text, strlen(text), 0644, false, NULL) == 0);
}

static void enter(void) {
    CHECK(mkdtemp(scratch));
    CHECK(chdir(scratch) == 0);
}

static void load(void) {
    struct fault fault = {""};
    if (unit_set_load(&sources, &set, &host, &fault) < 0) {
        printf("# %s\n", fault.text);
        exit(1);
    }
}

static void leave(void) {
    unit_set_free(set);
    complaints_free(&host);
    CHECK(chdir("/") == 0);
    CHECK(directory_remove(AT_FDCWD, scratch, NULL) == 0);
}

static const struct unit *unit(const char *name) {
    const struct unit_entry *entry = unit_set_find(set, name);
    CHECK(entry);
    if (entry->condition != UNIT_VALID) {
        static struct text text;
        complaints_print(&entry->complaints, &text);
        printf("# %s\n", text.data);
    }
    CHECK(entry->condition == UNIT_VALID && entry->unit);
    return entry->unit;
}

#define TRUE_SERVICE "service = { exec = [ \"/bin/true\" ]; };"

TEST(a_unit_that_says_nothing_is_safe) {
    enter();
    put("plain.unit", TRUE_SERVICE);
    load();
    const struct unit *plain = unit("plain");
    const struct container *container = &plain->container;
    CHECK_TEXT(container->name, "plain");
    for (int kind = 0; kind < NAMESPACE_TIME; kind++)
        CHECK(container->namespaces.choices[kind].mode == NAMESPACE_PRIVATE);
    CHECK(container->namespaces.choices[NAMESPACE_TIME].mode == NAMESPACE_HOST);
    CHECK(container->security.no_new_privileges);
    CHECK(container->security.seccomp == SECCOMP_DEFAULT);
    CHECK(container->security.capabilities == CAPABILITIES_UNSET);
    CHECK(container->resources.pids_max == 512 && container->resources.pids_max_is_default);
    CHECK(container->resources.memory_max == LIMIT_UNSET && container->resources.oom_group);
    CHECK(container->process.umask == 022 && !container->process.hostname);
    CHECK(container->process.nice == INTEGER_UNSET);
    CHECK(plain->service.type == SERVICE_EXEC && plain->service.stop_signal == 15);
    CHECK(plain->service.stop_timeout == 10 * USEC_PER_SEC);
    CHECK(plain->service.runtime_max == DURATION_OFF);
    CHECK(plain->restart.policy == RESTART_ON_FAILURE && plain->restart.delay == 100000);
    CHECK(plain->logging.driver == LOG_FILE && plain->logging.max_size == 10 << 20);
    CHECK(plain->install.enabled && plain->install.wanted_by.count == 1);
    CHECK(set->settings.id_range_base % 65536 == 0 && set->settings.id_range_count >= 65536);
    CHECK_TEXT(set->settings.boot_target, "default");
    leave();
}

TEST(types_have_defaults_of_their_own) {
    enter();
    put("once.unit", "service = { type = \"oneshot\"; exec = [ \"/bin/true\" ]; };");
    put("group.unit", "unit = { wants = [ \"once\" ]; };");
    put("shared.unit", TRUE_SERVICE " network = { mode = \"unit:base\"; };");
    put("base.unit", TRUE_SERVICE);
    load();
    CHECK(unit("once")->service.start_timeout == DURATION_OFF);
    CHECK(unit("once")->service.remain_after_exit);
    CHECK(unit("once")->restart.policy == RESTART_NO);
    CHECK(unit("group")->service.type == SERVICE_GROUP);
    CHECK(unit("group")->restart.policy == RESTART_NO);
    const struct unit *shared = unit("shared");
    CHECK(shared->container.namespaces.choices[NAMESPACE_USER].mode == NAMESPACE_UNIT);
    CHECK_TEXT(shared->container.namespaces.choices[NAMESPACE_USER].name, "base");
    CHECK(shared->dependencies.requires.count == 1);
    CHECK_TEXT(shared->dependencies.requires.items[0], "base");
    leave();
}

TEST(the_host_speaks_for_those_who_do_not) {
    enter();
    put("host.conf",
        "defaults = { restart = { policy = \"always\"; }; resources = { pids_max = 9; }; "
        "rootfs = { upper = \"persistent\"; }; };");
    put("plain.unit", TRUE_SERVICE);
    put("own.unit", TRUE_SERVICE " restart = { policy = \"no\"; };");
    put("once.unit", "service = { type = \"oneshot\"; exec = [ \"/bin/true\" ]; };");
    put("group.unit", "unit = { description = \"x\"; };");
    sources.host_file = "host.conf";
    load();
    CHECK(unit("plain")->restart.policy == RESTART_ALWAYS);
    CHECK(unit("plain")->container.resources.pids_max == 9);
    CHECK(!unit("plain")->container.resources.pids_max_is_default);
    CHECK(unit("plain")->container.rootfs.upper == UPPER_PERSISTENT);
    CHECK(unit("own")->restart.policy == RESTART_NO);
    CHECK(unit("once")->restart.policy == RESTART_NO);
    CHECK(unit("group")->service.type == SERVICE_GROUP);
    leave();
}

TEST(the_first_directory_wins) {
    static const char *const two[] = {"one", "two", NULL};
    sources.directories = two;
    enter();
    CHECK(mkdir("one", 0755) == 0 && mkdir("two", 0755) == 0);
    put("one/a.unit", TRUE_SERVICE " unit = { description = \"one\"; };");
    put("two/a.unit", TRUE_SERVICE " unit = { description = \"two\"; };");
    put("two/b.unit", TRUE_SERVICE);
    CHECK(symlink("/dev/null", "one/b.unit") == 0);
    CHECK(mkdir("one/a.unit.d", 0755) == 0 && mkdir("two/a.unit.d", 0755) == 0);
    put("one/a.unit.d/5.conf", "service = { nice = 5; };");
    put("two/a.unit.d/5.conf", "service = { nice = 6; oom_score_adjust = 6; };");
    put("two/a.unit.d/9.conf", "service = { hostname = \"nine\"; };");
    put("two/a.unit.d/ignored.txt", "no unit at all");
    load();
    CHECK(set->count == 2);
    CHECK_TEXT(unit("a")->description, "one");
    CHECK_TEXT(unit("a")->path, "one/a.unit");
    CHECK(unit("a")->container.process.nice == 5);
    CHECK(unit("a")->container.process.oom_score_adjust == 6);
    CHECK_TEXT(unit("a")->container.process.hostname, "nine");
    CHECK(unit_set_find(set, "b")->condition == UNIT_MASKED);
    leave();
}

TEST(who_is_wanted_by_a_unit_stands_in_its_wants) {
    enter();
    put("shop.unit", "unit = { wants = [ \"a\" ]; };");
    put("a.unit", TRUE_SERVICE "install = { wanted_by = [ \"shop\", \"default\" ]; };");
    put("b.unit", TRUE_SERVICE "install = { wanted_by = [ \"shop\" ]; };");
    put("c.unit", TRUE_SERVICE "install = { wanted_by = [ \"shop\" ]; enabled = false; };");
    load();
    const struct strings *wants = &unit("shop")->dependencies.wants;
    CHECK(wants->count == 2);
    CHECK_TEXT(wants->items[0], "a");
    CHECK_TEXT(wants->items[1], "b");
    leave();
}

TEST(instances_come_when_they_are_asked_for) {
    struct unit_entry *entry = NULL, *again = NULL;
    struct fault fault;
    enter();
    put("t@.unit", "service = { exec = [ \"/bin/echo\", \"%i\" ]; };"
                   "unit = { requires = [ \"u@%i\" ]; };");
    put("u@.unit", TRUE_SERVICE);
    put("bad@.unit", "service = { exec = [ \"%i\" ]; };");
    put("plain.unit", TRUE_SERVICE);
    load();
    CHECK(set->count == 4);
    CHECK(unit_set_find(set, "t@")->condition == UNIT_TEMPLATE);
    CHECK(unit_set_find(set, "bad@")->condition == UNIT_INVALID);
    CHECK(!unit_set_find(set, "t@5"));
    CHECK(unit_set_instantiate(set, &sources, "t@5", &entry, &fault) == 0);
    CHECK(entry->condition == UNIT_VALID);
    CHECK_TEXT(entry->unit->container.process.exec.items[1], "5");
    CHECK(unit("u@5"));
    CHECK(set->count == 6);
    CHECK(unit_set_instantiate(set, &sources, "t@5", &again, &fault) == 0 && again == entry);
    CHECK(unit_set_instantiate(set, &sources, "bad@x", &entry, &fault) == 0);
    CHECK(entry->condition == UNIT_INVALID && entry->complaints.count == 1);
    CHECK(unit_set_instantiate(set, &sources, "none@x", &entry, &fault) == -ENOENT);
    CHECK_TEXT(fault.text, "there is no unit \"none@x\"");
    CHECK(unit_set_instantiate(set, &sources, "plain@x", &entry, &fault) == -ENOENT);
    CHECK(unit_set_instantiate(set, &sources, "absent", &entry, &fault) == -ENOENT);
    CHECK(unit("plain"));
    leave();
}

TEST(an_instance_that_requires_more_of_itself_has_an_end) {
    enter();
    put("t@.unit", TRUE_SERVICE "unit = { wants = [ \"t@1%i\", \"t@2%i\" ]; };");
    put("a.unit", TRUE_SERVICE "unit = { wants = [ \"t@1\" ]; };");
    load();
    CHECK(set->count > 100 && set->count < 10000);
    CHECK(unit_set_find(set, "a")->condition == UNIT_VALID);
    leave();
}

TEST(an_instance_may_close_a_circle) {
    struct unit_entry *entry = NULL;
    enter();
    put("t@.unit", TRUE_SERVICE "unit = { requires = [ \"u@%i\" ]; };");
    put("u@.unit", TRUE_SERVICE "unit = { requires = [ \"t@%i\" ]; };");
    load();
    CHECK(unit_set_instantiate(set, &sources, "t@1", &entry, NULL) == 0);
    CHECK(entry->condition == UNIT_INVALID);
    CHECK(strstr(entry->complaints.items[0].text, "t@1 -> u@1 -> t@1"));
    leave();
}

TEST(a_long_circle_is_named_once_for_each) {
    char path[32], text[128];
    enter();
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof(path), "n%03d.unit", i);
        snprintf(text, sizeof(text), TRUE_SERVICE " unit = { after = [ \"n%03d\" ]; };",
                 (i + 1) % 1000);
        put(path, text);
    }
    put("free.unit", TRUE_SERVICE " unit = { wants = [ \"n000\" ]; };");
    load();
    CHECK(unit("free"));
    for (size_t i = 1; i < set->count; i++) {
        CHECK(set->entries[i].condition == UNIT_INVALID && set->entries[i].complaints.count == 1);
        CHECK(strstr(set->entries[i].complaints.items[0].text, "(800 more)"));
    }
    leave();
}

TEST(a_reference_keeps_a_unit) {
    enter();
    put("a.unit", TRUE_SERVICE);
    load();
    struct unit *kept = unit_ref(unit_set_find(set, "a")->unit);
    leave();
    CHECK_TEXT(kept->name, "a");
    unit_unref(kept);
    unit_unref(NULL);
    unit_set_free(NULL);
}

TEST(complaints_are_json_too) {
    static struct text text;
    enter();
    put("a.unit", "service = { exec = [ \"/bin/true\" ]; nice = 99; };");
    load();
    json_open(&text, NULL, '[');
    complaints_json(&set->entries[0].complaints, &text);
    json_close(&text, ']');
    CHECK_TEXT(text.data,
               "[{\"file\":\"./a.unit\",\"line\":1,\"column\":44,\"severity\":\"error\","
               "\"message\":\"service.nice: 99 is out of range: from -20 to 19\","
               "\"source\":\"service = { exec = [ \\\"/bin/true\\\" ]; nice = 99; };\"}]");
    leave();
}

static void describe_one(void *context, const char *key, const char *value, bool given) {
    static struct text text;
    (void)context, (void)value, (void)given;
    if (describe_text(key, &text, NULL) < 0)
        printf("# %s\n", key);
    CHECK(text.length > strlen(key) + 20);
    text_free(&text);
}

TEST(every_key_is_described) {
    static struct text text;
    struct fault fault;
    enter();
    put("a.unit", TRUE_SERVICE);
    load();
    keys_visit(unit("a"), describe_one, NULL);
    CHECK(describe_text(NULL, &text, &fault) == 0);
    CHECK(strstr(text.data, "service.stop_timeout") && strstr(text.data, "manager.id_range"));
    CHECK(strstr(text.data, "link to"));
    CHECK(describe_text("mounts", &text, &fault) == 0);
    CHECK(describe_text("mounts[].target", &text, &fault) == 0);
    CHECK(describe_text("service.stop_timout", &text, &fault) == -ENOENT);
    CHECK_TEXT(fault.text, "there is no key or section \"service.stop_timout\"; did you mean "
                           "\"service.stop_timeout\"?");
    CHECK(describe_text("nothing like it", &text, &fault) == -ENOENT);
    leave();
}

/* Brackets outside of strings pair up. */
TEST(the_schema_is_whole) {
    static struct text text;
    describe_schema(&text);
    CHECK(!text.failed);
    int depth = 0;
    bool string = false;
    for (const char *at = text.data; *at; at++) {
        if (*at == '"')
            string = !string;
        else if (*at == '\\')
            at++;
        else if (!string && (*at == '{' || *at == '['))
            depth++;
        else if (!string && (*at == '}' || *at == ']'))
            CHECK(--depth >= 0);
    }
    CHECK(depth == 0 && !string);
    CHECK(strstr(text.data, "\"landlock\"") && strstr(text.data, "\"enum\":[\"exec\",\"notify\""));
    text_free(&text);
}

TEST_MAIN
