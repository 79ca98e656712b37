/* The facts of a service as text and back; those of version 1, as they lie beside this file; and
 * what is no such text. */

#include <fcntl.h>
#include <stdlib.h>

#include "supervisor/facts.h"
#include "supervisor/state-table.h"
#include "tests/supervisor/fake.h"
#include "tests/test.h"
#include "units/base/file.h"
#include "units/base/text.h"

#define BOOT "c0ffee00-0000-4000-8000-000000000001"

static struct service *empty(void) {
    fake_open(1);
    fake_set(fake_unit("web", SERVICE_EXEC));
    fake_apply();
    return fake_service("web");
}

static void saved(char **ret_text) {
    CHECK(file_read(AT_FDCWD, FACTS_DIRECTORY "/facts-1", FACTS_SIZE_MAX, ret_text, NULL, NULL) ==
          0);
}

TEST(facts_of_version_1_are_understood) {
    struct service *web = empty();
    struct service_private *own = web->private;
    scoped_free char *text = NULL;
    saved(&text);
    struct fault fault = {{0}};
    CHECK(facts_check(text, BOOT, &fault) == 0);
    CHECK(facts_read(text, &service_facts, web, NULL, &fault) == 0);
    CHECK(facts_read(text, &private_facts, own, &fake_manager->private->timers, &fault) == 0);
    CHECK(facts_read(text, &held_facts, own, NULL, &fault) == 0);
    CHECK(web->state == SERVICE_RESTARTING && web->result == RESULT_SIGNAL);
    CHECK(web->exit_signal == 11 && web->exit_code == 0 && web->restarts == 3);
    CHECK_TEXT(web->failure, "was ended by SIGSEGV \"core\"\n");
    CHECK(web->restart_at == 1795316607000000 && web->restart_delay == 239009);
    CHECK(own->goal == GOAL_CYCLE && own->cycle_by_person && own->built && !own->executed);
    CHECK(own->cause == RESULT_WATCHDOG && own->ending.exit_signal == 11);
    CHECK(own->outcome == SERVICE_STOPPED && own->step == 3 && own->limit_count == 4);
    CHECK(own->commands.next == 1 && own->stop_by == NEVER && own->watchdog_period == NEVER);
    CHECK(own->deadline.slot && own->deadline.at == 14844901450);
    CHECK(!own->lifetime.slot && own->start_by == 14934679437);
    CHECK_TEXT(own->held.unit_path, "/etc/ringfence/web.unit");
    CHECK(!own->held.run);
    web->state = SERVICE_LOADED; /* it holds nothing */
    fake_close();
}

TEST(what_was_written_is_read) {
    struct service *web = empty();
    struct service_private *own = web->private;
    scoped_text struct text first = {0}, second = {0};
    struct fault fault = {{0}};
    web->failure = strdup("\x01 \\ \" \x7f caf\xc3\xa9");
    own->triggers = UINT32_MAX;
    own->busy_at = NEVER;
    own->limit_count = -5;
    own->access = ACCESS_MAIN;
    timers_set(&fake_manager->private->timers, &own->steady, 77);
    for (int pass = 0; pass < 2; pass++) {
        struct text *text = pass ? &second : &first;
        facts_begin(text, BOOT);
        facts_write(text, &service_facts, web);
        facts_write(text, &private_facts, own);
        facts_end(text);
        CHECK(facts_check(text->data, BOOT, &fault) == 0);
        CHECK(facts_read(text->data, &service_facts, web, NULL, &fault) == 0);
        CHECK(facts_read(text->data, &private_facts, own, &fake_manager->private->timers, &fault) ==
              0);
    }
    CHECK_TEXT(second.data, first.data);
    CHECK(own->busy_at == NEVER && own->limit_count == -5 && own->steady.at == 77);
    CHECK(facts_have(first.data, &service_facts) && !facts_have(first.data, &held_facts));
    CHECK(facts_read(first.data, &held_facts, own, NULL, &fault) == -ENOENT);
    fake_close();
}

/* In a copy the first `old` is another word, no longer than it; the digest is right for none of it.
 */
static int check_changed_at(const char *boot, const char *old, const char *new,
                            struct fault *fault) {
    char *text = NULL;
    saved(&text);
    size_t place = (size_t)(strstr(text, old) - text);
    CHECK(strlen(new) <= strlen(old));
    memcpy(text + place, new, strlen(new));
    memmove(text + place + strlen(new), text + place + strlen(old),
            strlen(text + place + strlen(old)) + 1);
    int result = facts_check(text, boot, fault);
    free(text);
    return result;
}

static int check_changed(const char *old, const char *new, struct fault *fault) {
    return check_changed_at(BOOT, old, new, fault);
}

TEST(what_is_damaged_newer_or_of_another_boot_is_not_believed) {
    struct fault fault = {{0}};
    scoped_free char *text = NULL;
    saved(&text);
    CHECK(facts_check(text, "another", &fault) == -ESTALE);
    CHECK_TEXT(fault.text, "it is of another boot");
    CHECK(check_changed("version = 1", "version = 2", &fault) == -EPROTO);
    CHECK_TEXT(fault.text, "it is of a newer format (2, here 1)");
    CHECK(check_changed_at("another", "version = 1", "version = 2", &fault) == -ESTALE);
    CHECK(check_changed("version = 1", "version = 0", &fault) == -EBADMSG);
    CHECK(check_changed("version", "vision", &fault) == -EBADMSG);
    CHECK_TEXT(fault.text, "it does not begin with a version");
    CHECK(check_changed("restarts = 3", "restarts = 4", &fault) == -EBADMSG);
    CHECK_TEXT(fault.text, "it is damaged");
    for (size_t length = 0; length < strlen(text); length++) { /* half-written */
        scoped_free char *half = strndup(text, length);
        CHECK(facts_check(half, BOOT, &fault) == -EBADMSG);
    }
}

TEST(a_value_that_cannot_be_is_named) {
    struct service *web = empty();
    struct fault fault = {{0}};
    static const char *const bad[] = {
        "service = {\n  state = \"sleeping\";\n};\n",
        "service = {\n  exit_code = 99999999999L;\n};\n",
        "service = {\n  restarts = many;\n};\n",
        "service = {\n  failure = \"\\x0\";\n};\n",
        "service = {\n  failure = \"\n};\n",
    };
    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        CHECK(facts_read(bad[i], &service_facts, web, NULL, &fault) < 0);
        CHECK(strncmp(fault.text, "service.", 8) == 0 && strstr(fault.text, "cannot be read"));
    }
    web->state = SERVICE_LOADED;
    fake_close();
}

TEST_MAIN
