/* The small parsers: ports, schedules, capabilities, signals, specifiers, names; and that every
 * kind's print is read back by its parse. */

#include <signal.h>

#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/text.h"
#include "units/calendar.h"
#include "units/capability-names.h"
#include "units/draft.h"
#include "units/expand.h"
#include "units/kinds.h"
#include "units/ports.h"
#include "units/schedule.h"

TEST(ports) {
    struct port_endpoint endpoint;
    CHECK(port_endpoint_parse("80", &endpoint, NULL) == 0);
    CHECK(endpoint.first == 80 && endpoint.last == 80 && endpoint.address[0] == '\0');
    CHECK(port_endpoint_parse("[::1]:8000-8009", &endpoint, NULL) == 0);
    CHECK_TEXT(endpoint.address, "::1");
    CHECK(endpoint.first == 8000 && endpoint.last == 8009);
    CHECK(port_endpoint_parse("127.0.0.1:65535", &endpoint, NULL) == 0);
    static const char *const wrong[] = {
        "",       "0",    "65536",    "-1",  "80-", "-80",   "80-79",  ":80",         "[::1]80",
        "::1:80", "x:80", "1.2.3:80", "80 ", "+80", "[]:80", "080000", "[1.2.3.4]:80"};
    for (size_t i = 0; i < ELEMENTS(wrong); i++)
        CHECK(port_endpoint_parse(wrong[i], &endpoint, NULL) < 0);
}

TEST(port_mappings) {
    struct port_mapping mapping;
    CHECK(port_mapping_parse("8080:80/tcp", &mapping, NULL) == 0 && !mapping.udp);
    CHECK(mapping.host.first == 8080 && mapping.first == 80);
    CHECK(port_mapping_parse("127.0.0.1:53:5353/udp", &mapping, NULL) == 0 && mapping.udp);
    CHECK(port_mapping_parse("[::]:8000-8003:80-83", &mapping, NULL) == 0);
    CHECK_TEXT(mapping.host.address, "::");
    CHECK(mapping.last == 83);
    static const char *const wrong[] = {"80", "80:", ":80", "80:80/", "/udp", "1-2:1-3", ""};
    for (size_t i = 0; i < ELEMENTS(wrong); i++)
        CHECK(port_mapping_parse(wrong[i], &mapping, NULL) < 0);
}

TEST(sockets) {
    struct port_socket socket;
    CHECK(port_socket_parse("web=127.0.0.1:80", &socket, NULL) == 0);
    CHECK_TEXT(socket.name, "web");
    CHECK(port_socket_parse("udp:53", &socket, NULL) == 0 && socket.udp);
    CHECK(port_socket_parse("/run/a=b.sock", &socket, NULL) == 0);
    CHECK_TEXT(socket.path, "/run/a=b.sock");
    CHECK(port_socket_parse("x=/run/x", &socket, NULL) == 0);
    CHECK(port_socket_parse("udp:", &socket, NULL) < 0);
    CHECK(port_socket_parse("1-2", &socket, NULL) < 0);
}

TEST(schedules) {
    struct calendar schedule;
    CHECK(schedule_parse("0 3 * * *", &schedule, NULL) == 0);
    CHECK(schedule.minutes == 1 && schedule.hours == 8 && schedule.days == 0xfffffffe);
    CHECK(schedule.weekdays == 0x7f && schedule.months == 0x1ffe);
    CHECK(schedule_parse("*/15 8-10,20 1 jan,DEC 7", &schedule, NULL) == 0);
    CHECK(schedule.minutes == (1ULL | 1ULL << 15 | 1ULL << 30 | 1ULL << 45));
    CHECK(schedule.hours == (1ULL << 8 | 1ULL << 9 | 1ULL << 10 | 1ULL << 20));
    CHECK(schedule.months == (1ULL << 1 | 1ULL << 12) && schedule.weekdays == 1);
    CHECK(schedule_parse("5/20 * * * mon-fri", &schedule, NULL) == 0);
    CHECK(schedule.minutes == (1ULL << 5 | 1ULL << 25 | 1ULL << 45));
    CHECK(schedule.weekdays == 0x3e);
    static const char *const wrong[] = {
        "",           "* * * *",     "60 * * * *",          "* 24 * * *",  "* * 0 * *",
        "* * * 13 *", "* * * * 8",   "1- * * * *",          "*/0 * * * *", "1,, * * * *",
        "a * * * *",  "* * * * * *", "99999999999 * * * *", "*5 * * * *"};
    for (size_t i = 0; i < ELEMENTS(wrong); i++)
        CHECK(schedule_parse(wrong[i], &schedule, NULL) < 0);
    CHECK(schedule_check("Mon *-*-1 03:00", NULL) == 0);
    CHECK(schedule_check("daily", NULL) == 0);
    CHECK(schedule_check("sometimes", NULL) < 0);
}

TEST(capabilities_by_name) {
    uint64_t bits;
    const char *nearest;
    CHECK(capability_bits("CAP_CHOWN", &bits, &nearest) == 0 && bits == 1);
    CHECK(capability_bits("checkpoint_restore", &bits, &nearest) == 0 && bits == 1ULL << 40);
    CHECK(capability_bits("Cap_Kill", &bits, &nearest) == 0 && bits == 1 << 5);
    CHECK(capability_bits("all", &bits, &nearest) == 0 && bits == (1ULL << 41) - 1);
    CHECK(capability_bits("NET_ADMN", &bits, &nearest) == -ENOENT);
    CHECK_TEXT(nearest, "NET_ADMIN");
    CHECK(capability_bits("", &bits, &nearest) == -ENOENT && !nearest);
    CHECK_TEXT(capability_word(41), "?");
}

TEST(signals_by_name) {
    CHECK(signal_parse("SIGTERM") == SIGTERM && signal_parse("TERM") == SIGTERM);
    CHECK(signal_parse("9") == SIGKILL && signal_parse("0") == 0 && signal_parse("65") == 0);
    CHECK(signal_parse("SIGRTMIN+4") == SIGRTMIN + 4 && signal_parse("RTMIN") == SIGRTMIN);
    CHECK(signal_parse("RTMIN+31") == 0 && signal_parse("SIG") == 0 && signal_parse("") == 0);
}

TEST(specifiers_in_strings) {
    const struct specifiers instance = {"web@8080", "8080", "web", "host"};
    const struct specifiers plain = {"web", NULL, "web", "host"};
    scoped_text struct text text = {0};
    struct fault fault;
    CHECK(expand("%n %i %p %H %% 5% 5%; %", &instance, &text, &fault) == 0);
    CHECK_TEXT(text.data, "web@8080 8080 web host % 5% 5%; %");
    CHECK(expand("%i", &plain, &text, &fault) == -EINVAL);
    CHECK(expand("%d", &plain, &text, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "\"%d\" is none of %i, %n, %p, %H; write \"%%\" for a percent sign");
}

TEST(names_of_units) {
    static const char *const good[] = {"a", "A.b_c:d-e", "a@b", "0", "web@127.0.0.1:80"};
    static const char *const bad[] = {"",   "@a",  "a@",  "a@b@c", ".a",
                                      "-a", "a b", "a/b", "a\n",   "ä"};
    char longest[66] = "";
    for (size_t i = 0; i < ELEMENTS(good); i++)
        CHECK(unit_name_is_valid(good[i]));
    for (size_t i = 0; i < ELEMENTS(bad); i++)
        CHECK(!unit_name_is_valid(bad[i]));
    memset(longest, 'a', 64);
    CHECK(unit_name_is_valid(longest));
    longest[64] = 'a';
    CHECK(!unit_name_is_valid(longest));
}

/* ---- the table itself ---- */

static size_t rows;

/* The text between the quotes that print writes, for parse. */
static char *unquoted(const char *value) {
    size_t length = strlen(value);
    return value[0] == '"' ? strndup(value + 1, length - 2) : strdup(value);
}

static void check_row(const struct section *section, const struct key *key) {
    /* Some kinds write beside their target too: it lies where it does in a unit. */
    static _Alignas(max_align_t) char space[sizeof(struct unit)];
    void *target = space + key->offset;
    CHECK(key->name && key->kind && key->doc && key->since);
    CHECK(key->doc[strlen(key->doc) - 1] == '.');
    CHECK(key->kind->example && key->kind->name);
    CHECK(key_find(section, key->name) == key);
    for (size_t i = 0; i < section->count; i++)
        CHECK(&section->keys[i] == key || section->keys[i].offset != key->offset);
    rows++;
    key->kind->reset(target);
    if (!key->fallback)
        return;
    struct fault fault = {""};
    if (key->kind->parse(key, key->fallback, target, &fault) < 0)
        printf("# %s.%s: %s\n", section->name, key->name, fault.text);
    CHECK(fault.text[0] == '\0');
    struct text first = {0}, second = {0};
    key->kind->print(key, target, &first);
    CHECK(first.data);
    if (key->kind->shape == SHAPE_SCALAR) {
        char *value = unquoted(first.data);
        CHECK(key->kind->parse(key, value, target, &fault) == 0);
        key->kind->print(key, target, &second);
        CHECK_TEXT(second.data, first.data);
        free(value);
    }
    if (key->kind->free)
        key->kind->free(target);
    text_free(&first);
    text_free(&second);
}

TEST(every_row_is_whole) {
    for (size_t i = 0; i < unit_sections.count; i++) {
        const struct section *section = &unit_sections.sections[i];
        CHECK(section->doc && section_find(&unit_sections, section->name) == section);
        for (size_t k = 0; k < section->count; k++)
            check_row(section, &section->keys[k]);
    }
    CHECK(rows <= UNIT_KEYS_MAX);
    CHECK(key_row(&unit_sections, &install_keys[INSTALL_KEYS - 1]) == rows - 1);
    for (size_t i = 0; i < manager_sections.count; i++) {
        const struct section *section = &manager_sections.sections[i];
        CHECK(section->doc && section_find(&manager_sections, section->name) == section);
        for (size_t k = 0; k < section->count; k++)
            if (section->keys[k].kind != &kind_id_range) /* it fills two members */
                check_row(section, &section->keys[k]);
    }
}

TEST_MAIN
