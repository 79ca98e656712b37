#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/text.h"
#include "units/kinds.h"
#include "units/ports.h"
#include "units/set.h"

/* ---- what all lists share ---- */

int strings_add(struct strings *strings, const char *item) {
    char **items = reallocarray(strings->items, strings->count + 2, sizeof(*items));
    if (!items)
        return -ENOMEM;
    strings->items = items;
    items[strings->count] = strdup(item);
    if (!items[strings->count])
        return -ENOMEM;
    items[++strings->count] = NULL;
    return 0;
}

void strings_free(struct strings *strings) {
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct strings){0};
}

static void list_reset(void *target) {
    *(struct strings *)target = (struct strings){0};
}

static void list_free(void *target) {
    strings_free(target);
}

static int list_add(void *target, const char *item, struct fault *fault) {
    int error = strings_add(target, item);
    return error ? fault_set(fault, error, "cannot keep \"%s\"", item) : 0;
}

static void items_print(const struct strings *strings, struct text *text) {
    text_add(text, strings->count ? "[ " : "[");
    for (size_t i = 0; i < strings->count; i++) {
        text_add(text, i ? ", " : "");
        kind_quote(text, strings->items[i]);
    }
    text_add(text, strings->count ? " ]" : "]");
}

static void list_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    items_print(target, text);
}

/* A kind whose items are what `check` lets through: 0, or an error with its sentence; with -EINVAL
 * and an empty sentence the kind's own is said. */
#define LIST_KIND(kind_noun, check, kind_name_, kind_example)                                      \
    static int kind_noun##_parse(const struct key *key, const char *item, void *target,            \
                                 struct fault *fault) {                                            \
        struct fault why = {""};                                                                   \
        int error = check(item, &why);                                                             \
        if (error && why.text[0] == '\0')                                                          \
            return kind_refuse(key->kind, item, error, fault);                                     \
        return error ? fault_say(fault, error, "%s", why.text) : list_add(target, item, fault);    \
    }                                                                                              \
    const struct kind kind_##kind_noun = {                                                         \
        .name = kind_name_,                                                                        \
        .example = kind_example,                                                                   \
        .shape = SHAPE_ARRAY,                                                                      \
        .written = WRITTEN_STRING,                                                                 \
        .reset = list_reset,                                                                       \
        .parse = kind_noun##_parse,                                                                \
        .print = list_print,                                                                       \
        .free = list_free,                                                                         \
    }

static int check_any(const char *item, struct fault *why) {
    (void)item, (void)why;
    return 0;
}
LIST_KIND(strings, check_any, "string", "strings");

static int check_finding(const char *item, struct fault *why) {
    (void)why;
    return strcmp(item, FINDING_OPEN_ROOT) == 0 ? 0 : -EINVAL;
}
LIST_KIND(findings, check_finding, "finding", "\"" FINDING_OPEN_ROOT "\"");

static int check_unit_name(const char *item, struct fault *why) {
    size_t length = strlen(item), suffix = strlen(UNIT_SUFFIX);
    if (length > suffix && strcmp(item + length - suffix, UNIT_SUFFIX) == 0)
        return fault_say(why, -EINVAL, "\"%s\" is a file; a unit is named without \"%s\"", item,
                         UNIT_SUFFIX);
    return unit_name_is_valid(item) ? 0 : -EINVAL;
}
LIST_KIND(unit_names, check_unit_name, "unit name",
          "a letter or digit, then up to 63 letters, digits and \"_.:-\"");

static int check_group(const char *item, struct fault *why) {
    (void)why;
    struct key key = {.kind = &kind_group};
    char *ignored = NULL;
    int error = kind_group.parse(&key, item, &ignored, NULL);
    free(ignored);
    return error;
}
LIST_KIND(groups, check_group, "group", "names or numbers");

/* ---- commands ---- */

/* The first item is the program. It is kept even where it is wrong, lest the next one be taken for
 * it. */
static int arguments_parse(const struct key *key, const char *item, void *target,
                           struct fault *fault) {
    (void)key;
    const struct strings *arguments = target;
    bool is_program = arguments->count == 0;
    int error = list_add(target, item, fault);
    if (error || !is_program || item[0] == '/')
        return error;
    return fault_say(fault, -EINVAL,
                     "the program \"%s\" is not an absolute path; no PATH is searched", item);
}

const struct kind kind_arguments = {
    .name = "command",
    .example = "[ \"/path/to/program\", \"argument\", ... ]",
    .shape = SHAPE_ARRAY,
    .written = WRITTEN_STRING,
    .reset = list_reset,
    .parse = arguments_parse,
    .print = list_print,
    .free = list_free,
};

static void commands_reset(void *target) {
    *(struct commands *)target = (struct commands){0};
}

static void commands_begin(void *target) {
    struct commands *commands = target;
    struct strings *items = reallocarray(commands->items, commands->count + 1, sizeof(*items));
    if (!items)
        return;
    commands->items = items;
    items[commands->count++] = (struct strings){0};
}

static int commands_parse(const struct key *key, const char *item, void *target,
                          struct fault *fault) {
    struct commands *commands = target;
    if (commands->count == 0)
        return fault_set(fault, ENOMEM, "cannot keep \"%s\"", item);
    return arguments_parse(key, item, &commands->items[commands->count - 1], fault);
}

static void commands_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    const struct commands *commands = target;
    text_add(text, commands->count ? "( " : "(");
    for (size_t i = 0; i < commands->count; i++) {
        text_add(text, i ? ", " : "");
        items_print(&commands->items[i], text);
    }
    text_add(text, commands->count ? " )" : ")");
}

static void commands_free(void *target) {
    struct commands *commands = target;
    for (size_t i = 0; i < commands->count; i++)
        strings_free(&commands->items[i]);
    free(commands->items);
    commands_reset(target);
}

const struct kind kind_commands = {
    .name = "list of commands",
    .example = "( [ \"/path/to/program\", \"argument\" ], ... )",
    .shape = SHAPE_COMMANDS,
    .written = WRITTEN_STRING,
    .reset = commands_reset,
    .begin = commands_begin,
    .parse = commands_parse,
    .print = commands_print,
    .free = commands_free,
};

/* ---- environment ---- */

/* POSIX asks for letters, digits and "_"; programs read more, but never an empty name. */
static int check_variable(const char *item, struct fault *why) {
    (void)why;
    size_t name = strcspn(item, "=");
    if (item[name] != '=' || name == 0 || isdigit((unsigned char)item[0]))
        return -EINVAL;
    for (size_t i = 0; i < name; i++)
        if (!isgraph((unsigned char)item[i]))
            return -EINVAL;
    return 0;
}
LIST_KIND(environment, check_variable, "variable", "\"NAME=VALUE\"");

/* Paths are kept clean, behind a prefix that some of these lists allow. */
static int clean_path_add(const char *item, char prefix, void *target, struct fault *fault) {
    bool prefixed = prefix && item[0] == prefix;
    scoped_free char *clean = NULL;
    int error = path_clean(item + prefixed, &clean, fault);
    if (error)
        return error;
    struct text whole = {0};
    if (prefixed)
        text_append(&whole, &prefix, 1);
    text_add(&whole, clean);
    error = whole.failed ? fault_set(fault, ENOMEM, "cannot keep \"%s\"", item)
                         : list_add(target, whole.data, fault);
    text_free(&whole);
    return error;
}

static int paths_parse(const struct key *key, const char *item, void *target, struct fault *fault) {
    (void)key;
    return clean_path_add(item, '\0', target, fault);
}

static int optional_paths_parse(const struct key *key, const char *item, void *target,
                                struct fault *fault) {
    (void)key;
    return clean_path_add(item, '-', target, fault);
}

static int conditions_parse(const struct key *key, const char *item, void *target,
                            struct fault *fault) {
    (void)key;
    return clean_path_add(item, '!', target, fault);
}

static int layers_parse(const struct key *key, const char *item, void *target,
                        struct fault *fault) {
    (void)key;
    if (strncmp(item, "oci:", 4) == 0 || strncmp(item, "image:", 6) == 0)
        return fault_say(fault, -EOPNOTSUPP, "\"%s\": images are not supported by this version",
                         item);
    int error = clean_path_add(item, '\0', target, fault);
    /* overlayfs reads ":" as the end of a layer and "," as that of an option. */
    if (!error && strpbrk(item, ":,\\"))
        error = fault_say(fault, -EINVAL,
                          "\"%s\": a layer's path cannot have \":\", \",\" or \"\\\""
                          " in it",
                          item);
    return error;
}

#define PATHS_KIND(kind_noun, parse_, kind_example)                                                \
    const struct kind kind_##kind_noun = {                                                         \
        .name = "path",                                                                            \
        .example = kind_example,                                                                   \
        .shape = SHAPE_ARRAY,                                                                      \
        .written = WRITTEN_STRING,                                                                 \
        .reset = list_reset,                                                                       \
        .parse = parse_,                                                                           \
        .print = list_print,                                                                       \
        .free = list_free,                                                                         \
    }
PATHS_KIND(paths, paths_parse, "absolute paths");
PATHS_KIND(environment_files, optional_paths_parse, "absolute paths, \"-\" before optional ones");
PATHS_KIND(conditions, conditions_parse, "absolute paths, \"!\" before negated ones");
PATHS_KIND(layers, layers_parse, "absolute paths of directories and images, the lowest first");

/* ---- statuses, system calls, kernel settings ---- */

static int check_status(const char *item, struct fault *why) {
    uint64_t code;
    (void)why;
    if (isdigit((unsigned char)item[0]))
        return number_parse(item, &code) == 0 && code <= 255 ? 0 : -ERANGE;
    return signal_parse(item) ? 0 : -EINVAL;
}
LIST_KIND(statuses, check_status, "exit status",
          "codes \"0\" to \"255\" and signals such as \"SIGTERM\"");

static int check_system_call(const char *item, struct fault *why) {
    const char *name = item + (item[0] == '@');
    (void)why;
    size_t length = strlen(name);
    if (length == 0 || length > 64 ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") < length)
        return -EINVAL;
    return 0;
}
LIST_KIND(system_calls, check_system_call, "system call",
          "names such as \"ptrace\", or groups such as \"@network\"");

/* Which keys, and with which namespaces, is a rule over several keys: check.c. Here the shape, so
 * that no key leaves /proc/sys and none is smuggled in behind another (CVE-2022-0811). */
static bool is_sysctl_key(const char *item, size_t length, const char *marks) {
    for (size_t i = 0; i < length; i++) {
        bool inner = i > 0 && i + 1 < length;
        bool separates = item[i] == '.' || item[i] == '/';
        if (separates && (!inner || item[i - 1] == '.' || item[i - 1] == '/'))
            return false;
        if (!isalnum((unsigned char)item[i]) && !strchr(marks, item[i]))
            return false;
    }
    return length > 0;
}

static int check_sysctl(const char *item, struct fault *why) {
    (void)why;
    size_t key = strcspn(item, "=");
    if (item[key] != '=' || item[key + 1] == '\0' || !is_sysctl_key(item, key, "._-"))
        return -EINVAL;
    for (const char *at = item + key + 1; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr(" \t.,:_-", *at))
            return -EINVAL;
    return 0;
}
LIST_KIND(sysctl, check_sysctl, "kernel setting", "\"net.core.somaxconn=1024\"");

/* The host's own: any key, also with "/" for "." as in sysctl(8), and any text. */
static int check_host_sysctl(const char *item, struct fault *why) {
    (void)why;
    size_t key = strcspn(item, "=");
    return item[key] == '=' && is_sysctl_key(item, key, "._-/:@") && !strchr(item, '\n') ? 0
                                                                                         : -EINVAL;
}
LIST_KIND(host_sysctl, check_host_sysctl, "kernel setting", "\"net.ipv4.ip_forward=1\"");

static int check_module(const char *item, struct fault *why) {
    size_t name = strcspn(item, " ");
    (void)why;
    for (size_t i = 0; i < name; i++)
        if (!isalnum((unsigned char)item[i]) && !strchr("_-", item[i]))
            return -EINVAL;
    return name > 0 && name < 64 && !strchr(item, '\n') ? 0 : -EINVAL;
}
LIST_KIND(modules, check_module, "kernel module", "\"loop\" or \"loop max_loop=8\"");

static int check_mount_option(const char *item, struct fault *why) {
    (void)why;
    return item[0] && !strpbrk(item, " \t\n") ? 0 : -EINVAL;
}
LIST_KIND(mount_options, check_mount_option, "mount option", "\"noatime\" or \"size=16M\"");

static int check_hugetlb(const char *item, struct fault *why) {
    size_t digits = strspn(item, "0123456789");
    const char *rest = item + digits;
    uint64_t limit;
    (void)why;
    if (digits == 0 || (strncmp(rest, "KB=", 3) != 0 && strncmp(rest, "MB=", 3) != 0 &&
                        strncmp(rest, "GB=", 3) != 0))
        return -EINVAL;
    return size_parse(rest + 3, &limit);
}
LIST_KIND(hugetlb, check_hugetlb, "limit of huge pages", "\"2MB=64M\" or \"1GB=max\"");

/* ---- network ---- */

static int check_mapping(const char *item, struct fault *why) {
    return port_mapping_parse(item, NULL, why);
}
LIST_KIND(publish, check_mapping, "published port", "\"8080:80\"");

static int check_socket(const char *item, struct fault *why) {
    return port_socket_parse(item, NULL, why);
}
LIST_KIND(sockets, check_socket, "socket", "\"8080\"");

static int check_address(const char *item, struct fault *why) {
    struct in6_addr address;
    (void)why;
    return inet_pton(AF_INET, item, &address) == 1 || inet_pton(AF_INET6, item, &address) == 1
               ? 0
               : -EINVAL;
}
LIST_KIND(addresses, check_address, "address", "IPv4 or IPv6 addresses");

static int check_host(const char *item, struct fault *why) {
    size_t name = strcspn(item, ":");
    if (item[name] != ':' || name == 0 || name > 253)
        return -EINVAL;
    for (size_t i = 0; i < name; i++)
        if (!isalnum((unsigned char)item[i]) && !strchr("_.-", item[i]))
            return -EINVAL;
    return check_address(item + name + 1, why);
}
LIST_KIND(hosts, check_host, "host", "\"NAME:ADDRESS\"");
