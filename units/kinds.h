#pragma once
/* The kinds of value that a key may have: each a small vtable from text to value and back. The key
 * table names one in every row; load, keys and describe call it. */

#include "units/keys.h"

struct fault;
struct text;

enum kind_shape {
    SHAPE_SCALAR,
    SHAPE_ARRAY,    /* of strings; parse adds one item */
    SHAPE_COMMANDS, /* a list of arrays of strings; begin opens one, parse adds an argument */
};

/* How a value may be written in a file beside as a string. */
#define WRITTEN_STRING 1u
#define WRITTEN_BOOL 2u
#define WRITTEN_INTEGER 4u
#define WRITTEN_FLOAT 8u

struct kind {
    const char *name;    /* "duration" */
    const char *example; /* "\"100ms\", \"90s\", \"1h30min\", or a number of seconds" */
    const char *later;   /* values that rows may refuse (key.later_values), which has no names */
    enum kind_shape shape;
    unsigned written;
    void (*reset)(void *target); /* not given; whatever was there is forgotten, not freed */
    void (*begin)(void *target); /* SHAPE_COMMANDS */
    /* The whole text or nothing. The sentence is what is wrong, without the key's name. Scalars
     * free the value that they replace. */
    int (*parse)(const struct key *key, const char *text, void *target, struct fault *fault);
    void (*print)(const struct key *key, const void *target, struct text *text);
    void (*free)(void *target); /* NULL: nothing is owned */
};

/* ---- kind-plain.c ---- */
extern const struct kind kind_bool;      /* bool */
extern const struct kind kind_switch;    /* bool, written as one of two words */
extern const struct kind kind_integer;   /* int64_t */
extern const struct kind kind_pids;      /* int64_t, "max" is 0 */
extern const struct kind kind_float;     /* double */
extern const struct kind kind_duration;  /* uint64_t, microseconds */
extern const struct kind kind_offset;    /* int64_t, microseconds, may be negative */
extern const struct kind kind_size;      /* uint64_t, bytes */
extern const struct kind kind_string;    /* char * */
extern const struct kind kind_path;      /* char *, absolute, without "..", cleaned */
extern const struct kind kind_unit_name; /* char * */
extern const struct kind kind_enum;      /* an enum */
extern const struct kind kind_mode;      /* mode_t */
extern const struct kind kind_signal;    /* int */

/* ---- kind-words.c: char *, checked ---- */
extern const struct kind kind_user;
extern const struct kind kind_group;
extern const struct kind kind_host_name;
extern const struct kind kind_file_name;
extern const struct kind kind_cpu_list;
extern const struct kind kind_slice;
extern const struct kind kind_access;
extern const struct kind kind_rate;
extern const struct kind kind_root_hash;
extern const struct kind kind_limit_action;
extern const struct kind kind_cpu_scheduling;
extern const struct kind kind_io_priority;
extern const struct kind kind_url;
extern const struct kind kind_endpoint;
extern const struct kind kind_address;
extern const struct kind kind_schedule;
extern const struct kind kind_device;
extern const struct kind kind_file_system;

/* ---- kind-lists.c: struct strings, each item checked; struct commands ---- */
extern const struct kind kind_strings;
extern const struct kind kind_findings;
extern const struct kind kind_unit_names;
extern const struct kind kind_arguments;
extern const struct kind kind_commands;
extern const struct kind kind_environment;
extern const struct kind kind_environment_files;
extern const struct kind kind_groups;
extern const struct kind kind_conditions;
extern const struct kind kind_statuses;
extern const struct kind kind_paths;
extern const struct kind kind_layers;
extern const struct kind kind_system_calls;
extern const struct kind kind_sysctl;
extern const struct kind kind_host_sysctl;
extern const struct kind kind_modules;
extern const struct kind kind_mount_options;
extern const struct kind kind_hugetlb;
extern const struct kind kind_publish;
extern const struct kind kind_sockets;
extern const struct kind kind_addresses;
extern const struct kind kind_hosts;

/* ---- kind-container.c: structures of units/spec.h ---- */
extern const struct kind kind_namespace;       /* struct namespace_choice */
extern const struct kind kind_user_namespace;  /* the same, with "BASE:COUNT" */
extern const struct kind kind_network_mode;    /* the same */
extern const struct kind kind_time_namespace;  /* the same; host or private */
extern const struct kind kind_capability_set;  /* uint64_t; unset is CAPABILITIES_UNSET */
extern const struct kind kind_capabilities;    /* uint64_t; unset is 0 */
extern const struct kind kind_seccomp;         /* security.seccomp, and seccomp_file */
extern const struct kind kind_resource_limits; /* struct resource_limits */
extern const struct kind kind_cpu_max;         /* uint64_t, microseconds per 100 ms */
extern const struct kind kind_io_max;          /* struct io_limits */
extern const struct kind kind_id_range;        /* manager_settings.id_range_base, and _count */

/* ---- for the kinds themselves ---- */

/* "service.user" is not known here: the sentence starts with the value, and ends with the
 * example. */
int kind_refuse(const struct kind *kind, const char *text, int error, struct fault *fault);
/* A string as it is written in a file, with quotes and escapes. */
void kind_quote(struct text *text, const char *string);
/* A signal by name ("SIGTERM", "TERM") or number; 0 where there is none. */
int signal_parse(const char *text);
int strings_add(struct strings *strings, const char *item);
void strings_free(struct strings *strings);
/* The path without doubled or trailing slashes; -EINVAL with a sentence where it is not absolute or
 * has a component "..". */
int path_clean(const char *path, char **ret_clean, struct fault *fault);
