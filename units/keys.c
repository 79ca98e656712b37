#include "units/keys.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units/base/names.h"
#include "units/base/text.h"
#include "units/draft.h"
#include "units/kinds.h"
#include "units/set.h"

static_assert(UNIT_KEYS + SERVICE_KEYS + ROOTFS_KEYS + MOUNT_KEYS + VOLUME_KEYS + SECRET_KEYS +
                      DEVICE_KEYS + NAMESPACE_KEYS + NETWORK_KEYS + RESOURCE_KEYS + SECURITY_KEYS +
                      LANDLOCK_KEYS + HEALTH_KEYS + RESTART_KEYS + LOGGING_KEYS + TIMER_KEYS +
                      INSTALL_KEYS <=
                  UNIT_KEYS_MAX,
              "a bit of unit.given for every row");

#define GROUP(section_name, keys_, count_, section_doc)                                            \
    { .name = section_name, .doc = section_doc, .keys = keys_, .count = count_ }
#define LIVE_GROUP(section_name, keys_, count_, section_doc)                                       \
    { .name = section_name, .doc = section_doc, .keys = keys_, .count = count_, .live = true }
#define LIST_OF(section_name, keys_, count_, member, section_doc)                                  \
    {                                                                                              \
        .name = section_name, .doc = section_doc, .keys = keys_, .count = count_,                  \
        .list_offset = offsetof(struct unit, container.member),                                    \
        .element_size = sizeof(((struct unit *)0)->container.member.items[0]),                     \
    }

static const struct section sections[] = {
    LIVE_GROUP(
        "unit", unit_keys, UNIT_KEYS,
        "What the unit is and which others it needs. A dependency holds at boot, on command, and "
        "after a recovery alike."),
    GROUP("service", service_keys, SERVICE_KEYS,
          "The program, and how it starts and stops. A file without this section is a group: it is "
          "up when all that it requires is up."),
    GROUP("rootfs", rootfs_keys, ROOTFS_KEYS, "The root directory that the program sees."),
    LIST_OF("mounts", mount_keys, MOUNT_KEYS, mounts, "Further file systems inside the root."),
    LIST_OF("volumes", volume_keys, VOLUME_KEYS, volumes,
            "Directories that outlive the unit, kept below the state directory until they are "
            "removed by name."),
    LIST_OF("secrets", secret_keys, SECRET_KEYS, secrets,
            "Files that never lie on a disk of the container."),
    LIST_OF("devices", device_keys, DEVICE_KEYS, devices, "Devices of the host."),
    GROUP("namespaces", namespace_keys, NAMESPACE_KEYS, "What the program has for itself."),
    GROUP("network", network_keys, NETWORK_KEYS, "What the program reaches, and who reaches it."),
    GROUP("resources", resource_keys, RESOURCE_KEYS, "Limits of the unit's cgroup (version 2)."),
    GROUP("security", security_keys, SECURITY_KEYS, "What the program may do."),
    LIST_OF("security.landlock", landlock_keys, LANDLOCK_KEYS, security.landlock,
            "The only paths that stay accessible."),
    GROUP("health", health_keys, HEALTH_KEYS, "How it is told whether the service works."),
    LIVE_GROUP("restart", restart_keys, RESTART_KEYS,
               "When and how soon the service starts again."),
    GROUP("logging", logging_keys, LOGGING_KEYS, "Where the program's output goes."),
    LIVE_GROUP("timer", timer_keys, TIMER_KEYS,
               "When the unit is started by the clock. A unit with a timer is not started at boot: "
               "while it is enabled its timer is armed, also after it was stopped by hand."),
    LIVE_GROUP("install", install_keys, INSTALL_KEYS, "Who starts the unit."),
};
static_assert(ELEMENTS(sections) <= 32, "a bit of draft.sections_given for every section");

static const struct section manager_section[] = {
    GROUP("manager", manager_keys, MANAGER_KEYS,
          "What concerns the daemon itself; in ringfence.conf."),
    GROUP("boot", boot_keys, BOOT_KEYS,
          "How the machine comes up, where ringfenced is its PID 1: all of it before any unit "
          "starts; "
          "in ringfence.conf."),
    {
        .name = "boot.mounts",
        .doc = "File systems that are checked and mounted, in this order.",
        .keys = boot_mount_keys,
        .count = BOOT_MOUNT_KEYS,
        .list_offset = offsetof(struct manager_settings, boot.mounts),
        .element_size = sizeof(struct boot_mount),
    },
};

const struct section_table unit_sections = {sections, ELEMENTS(sections)};
const struct section_table manager_sections = {manager_section, ELEMENTS(manager_section)};

/* ---- finding rows ---- */

const struct section *section_find(const struct section_table *table, const char *name) {
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->sections[i].name, name) == 0)
            return &table->sections[i];
    return NULL;
}

const struct key *key_find(const struct section *section, const char *name) {
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->keys[i].name, name) == 0)
            return &section->keys[i];
    return NULL;
}

size_t key_row(const struct section_table *table, const struct key *key) {
    size_t row = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct section *section = &table->sections[i];
        if (key >= section->keys && key < section->keys + section->count)
            return row + (size_t)(key - section->keys);
        row += section->count;
    }
    return 0;
}

const struct key *key_at(size_t offset, const struct section **ret_section) {
    for (size_t i = 0; i < unit_sections.count; i++)
        for (size_t k = 0; k < sections[i].count && !sections[i].element_size; k++)
            if (sections[i].keys[k].offset == offset) {
                *ret_section = &sections[i];
                return &sections[i].keys[k];
            }
    return NULL;
}

bool key_is_live(const char *title) {
    const char *dot = strrchr(title, '.');
    size_t length = strcspn(title, "[");
    if (!dot || length < strlen(title)) /* an item of a list is made of */
        return false;
    for (size_t i = 0; i < unit_sections.count; i++) {
        const struct section *section = &sections[i];
        if (strlen(section->name) != (size_t)(dot - title) ||
            strncmp(section->name, title, strlen(section->name)) != 0)
            continue;
        const struct key *key = key_find(section, dot + 1);
        return key && (section->live || key->flags & KEY_LIVE);
    }
    return false;
}

const char *key_title(size_t offset, char *buffer, size_t size) {
    const struct section *section;
    const struct key *key = key_at(offset, &section);
    assert(key);
    snprintf(buffer, size, "%s.%s", section->name, key->name);
    return buffer;
}

/* ---- values ---- */

void key_reset(const struct key *key, void *target) {
    key->kind->reset(target);
    if (key->fallback)
        key->kind->parse(key, key->fallback, target, NULL);
}

void keys_reset(const struct section *section, void *base) {
    for (size_t i = 0; i < section->count; i++)
        key_reset(&section->keys[i], (char *)base + section->keys[i].offset);
}

void keys_free(const struct section *section, void *base) {
    for (size_t i = 0; i < section->count; i++)
        if (section->keys[i].kind->free)
            section->keys[i].kind->free((char *)base + section->keys[i].offset);
}

void sections_reset(const struct section_table *table, void *base) {
    for (size_t i = 0; i < table->count; i++) {
        const struct section *section = &table->sections[i];
        if (section->element_size)
            *(struct section_list *)((char *)base + section->list_offset) =
                (struct section_list){0};
        else
            keys_reset(section, base);
    }
}

static void list_free(const struct section *section, struct section_list *list) {
    for (size_t item = 0; item < list->count; item++)
        keys_free(section, (char *)list->items + item * section->element_size);
    free(list->items);
    *list = (struct section_list){0};
}

void sections_free(const struct section_table *table, void *base) {
    for (size_t i = 0; i < table->count; i++) {
        const struct section *section = &table->sections[i];
        if (section->element_size)
            list_free(section, (void *)((char *)base + section->list_offset));
        else
            keys_free(section, base);
    }
}

bool key_is_usual(const struct key *key, const void *target) {
    _Alignas(16) char space[64]; /* larger than what any kind fills in a scalar */
    scoped_text struct text given = {0}, usual = {0};

    key->kind->print(key, target, &given);
    key_reset(key, space);
    key->kind->print(key, space, &usual);
    if (key->kind->free)
        key->kind->free(space);
    return strcmp(given.data ? given.data : "", usual.data ? usual.data : "") == 0;
}

struct visit {
    key_visitor visitor;
    void *context;
    const struct unit *unit;
    struct text text;
};

static void visit_keys(struct visit *visit, const struct section *section, const char *prefix,
                       const void *base) {
    char title[160];
    size_t row = key_row(&unit_sections, section->keys);
    for (size_t i = 0; i < section->count; i++, row++) {
        const struct key *key = &section->keys[i];
        visit->text.length = 0;
        text_add(&visit->text, "");
        const void *target = (const char *)base + key->offset;
        key->kind->print(key, target, &visit->text);
        snprintf(title, sizeof(title), "%s.%s", prefix, key->name);
        visit->visitor(visit->context, title, visit->text.data ? visit->text.data : "",
                       (visit->unit->given[row / 64] >> row % 64 & 1) &&
                           (!section->element_size || !key_is_usual(key, target)));
    }
}

void keys_visit(const struct unit *unit, key_visitor visitor, void *context) {
    struct visit visit = {visitor, context, unit, {0}};
    char prefix[64];
    for (size_t i = 0; i < unit_sections.count; i++) {
        const struct section *section = &sections[i];
        if (!section->element_size) {
            visit_keys(&visit, section, section->name, unit);
            continue;
        }
        const struct section_list *list = (const void *)((const char *)unit + section->list_offset);
        for (size_t item = 0; item < list->count; item++) {
            snprintf(prefix, sizeof(prefix), "%s[%zu]", section->name, item);
            visit_keys(&visit, section, prefix,
                       (const char *)list->items + item * section->element_size);
        }
    }
    text_free(&visit.text);
}
