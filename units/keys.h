#pragma once
/* THE key table: one row declares one key. The parser, the range check, verify, describe, inspect
 * and the control door read it; a key is named nowhere else. */

#include "units/unit.h"

struct kind;
struct names;
struct text;

#define KEY_LATER 1u    /* the whole key is refused by this version */
#define KEY_REQUIRED 2u /* in an element of a list section */
#define KEY_IDENTITY 4u /* an element with the same value replaces that of an earlier file */
#define KEY_OFF 8u      /* a duration may be "off", a size "max" */
#define KEY_LIVE 16u    /* a change takes effect while the unit runs: it is read when needed */

struct key {
    const char *name;
    const struct kind *kind;
    size_t offset;             /* in struct unit, or in an element of a list section */
    const char *fallback;      /* the default, as text for the kind; NULL: not given */
    const char *otherwise;     /* what holds when it is not given, in words; NULL: see fallback */
    int64_t least, most;       /* range of a number, in the kind's unit; both 0: any */
    const struct names *names; /* words of an enum */
    uint32_t later_values;     /* a bit for each value of the enum that this version refuses */
    unsigned flags;
    const char *since;
    const char *doc;
};

/* A group of keys, or a list of such groups. */
struct section {
    const char *name; /* "service"; "security.landlock" for a list inside a group */
    const char *doc;
    const struct key *keys;
    size_t count;
    size_t list_offset;  /* of { items, count } in struct unit */
    size_t element_size; /* 0: not a list */
    bool live;           /* every key is KEY_LIVE */
};

/* The head of every list section's storage. */
struct section_list {
    void *items;
    size_t count;
};

struct section_table {
    const struct section *sections;
    size_t count;
};

extern const struct section_table unit_sections, manager_sections;

/* NULL where there is none. */
const struct section *section_find(const struct section_table *table, const char *name);
const struct key *key_find(const struct section *section, const char *name);

/* Whether a key of a unit, as keys_visit names it, may change while the unit runs. */
bool key_is_live(const char *title);

/* Number of a key's row in its table, for unit.given. */
size_t key_row(const struct section_table *table, const struct key *key);
/* The key of a unit that fills the member at this offset of struct unit. */
const struct key *key_at(size_t offset, const struct section **ret_section);

/* Gives a key, or every key of a section, its default: what was there before is forgotten. */
void key_reset(const struct key *key, void *target);
void keys_reset(const struct section *section, void *base);
void keys_free(const struct section *section, void *base);
/* The same for all sections of a table; their lists are empty then. */
void sections_reset(const struct section_table *table, void *base);
void sections_free(const struct section_table *table, void *base);

/* Whether the value is that of a key that nobody gave. */
bool key_is_usual(const struct key *key, const void *target);

/* Calls with every key of a unit in the table's order: the key as "section.key" (list sections as
 * "mounts[0].target"), its value as a person would write it in the file ("" where it is not given
 * and has no default), and whether the file or the host's defaults gave it (false: the built-in
 * default; in list sections: another value than the built-in default). Secrets' contents are never
 * printed. */
typedef void (*key_visitor)(void *context, const char *key, const char *value, bool given);
void keys_visit(const struct unit *unit, key_visitor visitor, void *context);

/* ---- the tables, a file per group of sections ---- */

enum {
    UNIT_KEYS = 12,
    SERVICE_KEYS = 33,
    ROOTFS_KEYS = 7,
    MOUNT_KEYS = 11,
    VOLUME_KEYS = 5,
    SECRET_KEYS = 5,
    DEVICE_KEYS = 2,
    NAMESPACE_KEYS = 9,
    NETWORK_KEYS = 10,
    RESOURCE_KEYS = 15,
    SECURITY_KEYS = 15,
    LANDLOCK_KEYS = 2,
    HEALTH_KEYS = 11,
    RESTART_KEYS = 11,
    LOGGING_KEYS = 5,
    TIMER_KEYS = 5,
    INSTALL_KEYS = 3,
    MANAGER_KEYS = 8,
    BOOT_KEYS = 4,
    BOOT_MOUNT_KEYS = 8,
};

extern const struct key unit_keys[UNIT_KEYS], service_keys[SERVICE_KEYS];           /* -service */
extern const struct key rootfs_keys[ROOTFS_KEYS], mount_keys[MOUNT_KEYS];           /* -root */
extern const struct key volume_keys[VOLUME_KEYS], secret_keys[SECRET_KEYS];         /* -root */
extern const struct key device_keys[DEVICE_KEYS];                                   /* -root */
extern const struct key namespace_keys[NAMESPACE_KEYS], network_keys[NETWORK_KEYS]; /* -limits */
extern const struct key resource_keys[RESOURCE_KEYS], security_keys[SECURITY_KEYS]; /* -limits */
extern const struct key landlock_keys[LANDLOCK_KEYS];                               /* -limits */
extern const struct key health_keys[HEALTH_KEYS], restart_keys[RESTART_KEYS];       /* -life */
extern const struct key logging_keys[LOGGING_KEYS], timer_keys[TIMER_KEYS];         /* -life */
extern const struct key install_keys[INSTALL_KEYS], manager_keys[MANAGER_KEYS];     /* -life */
extern const struct key boot_keys[BOOT_KEYS], boot_mount_keys[BOOT_MOUNT_KEYS];     /* -boot */
