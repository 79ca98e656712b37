#pragma once
/* All units of a search path by name, valid or not. Loaded by the manager at start and reload,
 * and by `ringfence verify`, which has no manager. */

#include <stdint.h>

#include "units/boot.h"
#include "units/complain.h"
#include "units/unit.h"

struct fault;

enum unit_condition {
    UNIT_VALID,
    UNIT_INVALID,  /* complaints say why */
    UNIT_MASKED,   /* an empty file or a link to /dev/null */
    UNIT_TEMPLATE, /* NAME@: no unit itself; its instances are */
};

struct unit_entry {
    char *name;
    char *path; /* of the file that won */
    enum unit_condition condition;
    struct unit *unit; /* owned reference; NULL unless valid */
    struct complaints complaints;
};

#define UNIT_BOOT_TARGET "default" /* where the host's file names no other */

/* What the host's own file says in `manager = { ... }` and `boot = { ... }`. */
struct manager_settings {
    uint32_t id_range_base,
        id_range_count; /* host ids for private user namespaces; multiples of 65,536 */
    bool missing_controllers_warn;
    char *boot_target;                     /* "default" */
    char *state_directory, *log_directory; /* NULL: as the command line says */
    uint64_t watchdog;                     /* microseconds */
    bool early_boot;                       /* also where ringfenced is not PID 1 */
    struct boot_settings boot;
    uint64_t shutdown_timeout; /* microseconds; of all units together */
};

struct unit_set {
    struct unit_entry *entries; /* sorted by name */
    size_t count;
    struct manager_settings settings;
    struct complaints complaints; /* about the host's file, where its owner keeps them */
};

extern const char *const unit_standard_path[]; /* NULL-terminated */

struct unit_sources {
    const char *const *directories; /* NULL-terminated, first hit wins; NULL: the standard path */
    const char *host_file; /* ringfence.conf; NULL: /etc/ringfence/ringfence.conf if there */
};

/* Loads, checks and orders everything. Faulty files become UNIT_INVALID entries and are no
 * failure; complaints about the host file itself go to `host_complaints` (its valid part is
 * used). Fails only where memory or the directories themselves do. */
int unit_set_load(const struct unit_sources *sources, struct unit_set **ret_set,
                  struct complaints *host_complaints, struct fault *fault);
/* The host's own file alone; what is wrong with it is told by unit_set_load. */
int manager_settings_load(const struct unit_sources *sources, struct manager_settings *ret_settings,
                          struct fault *fault);
void manager_settings_free(struct manager_settings *settings);
void unit_set_free(struct unit_set *set); /* accepts NULL */
SCOPED(unit_set_free, struct unit_set *)

/* NULL where there is none. An instance NAME@ARG is loaded by unit_set_instantiate. */
struct unit_entry *unit_set_find(const struct unit_set *set, const char *name);

/* Loads the instance NAME@ARG from its template into the set (idempotent), and those that it names.
 * Pointers to entries of the set are not valid afterwards; units are.
 * -ENOENT: there is no such template. The entry may be UNIT_INVALID. */
int unit_set_instantiate(struct unit_set *set, const struct unit_sources *sources, const char *name,
                         struct unit_entry **ret_entry, struct fault *fault);

/* Whether the text may name a unit: [A-Za-z0-9][A-Za-z0-9_.:-]{0,63}, perhaps @ARG. */
bool unit_name_is_valid(const char *name);
