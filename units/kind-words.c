#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/text.h"
#include "units/kinds.h"
#include "units/ports.h"
#include "units/schedule.h"
#include "units/set.h"

/* ---- what all texts share ---- */

static void word_reset(void *target) {
    *(char **)target = NULL;
}

static void word_free(void *target) {
    free(*(char **)target);
    word_reset(target);
}

static int word_set(const char *text, void *target, struct fault *fault) {
    char *copy = strdup(text);
    if (!copy)
        return fault_set(fault, ENOMEM, "cannot keep \"%s\"", text);
    word_free(target);
    *(char **)target = copy;
    return 0;
}

static void word_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    if (*(char *const *)target)
        kind_quote(text, *(char *const *)target);
}

/* A kind whose values are texts that `test` accepts. */
#define WORD_KIND(kind_noun, test, kind_name_, kind_example, kind_written)                         \
    static int kind_noun##_parse(const struct key *key, const char *text, void *target,            \
                                 struct fault *fault) {                                            \
        if (!test(text))                                                                           \
            return kind_refuse(key->kind, text, -EINVAL, fault);                                   \
        return word_set(text, target, fault);                                                      \
    }                                                                                              \
    const struct kind kind_##kind_noun = {                                                         \
        .name = kind_name_,                                                                        \
        .example = kind_example,                                                                   \
        .written = kind_written,                                                                   \
        .reset = word_reset,                                                                       \
        .parse = kind_noun##_parse,                                                                \
        .print = word_print,                                                                       \
        .free = word_free,                                                                         \
    }

static bool consists_of(const char *text, const char *letters) {
    return *text && text[strspn(text, letters)] == '\0';
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define NAME_LETTERS LOWER UPPER DIGITS "_.-"

/* ---- texts and paths ---- */

static bool is_line(const char *text) {
    return strpbrk(text, "\n\r") == NULL;
}
WORD_KIND(string, is_line, "line of text", "one line", WRITTEN_STRING);

int path_clean(const char *path, char **ret_clean, struct fault *fault) {
    if (path[0] != '/')
        return fault_say(fault, -EINVAL, "\"%s\" is not an absolute path; it must start with \"/\"",
                         path);
    if (strlen(path) >= PATH_MAX)
        return fault_say(fault, -ENAMETOOLONG, "a path of %zu bytes is too long", strlen(path));
    char *clean = malloc(strlen(path) + 2);
    if (!clean)
        return fault_set(fault, ENOMEM, "cannot keep \"%s\"", path);
    size_t length = 0;
    for (const char *at = path; *at;) {
        at += strspn(at, "/");
        size_t part = strcspn(at, "/");
        if (part == 2 && strncmp(at, "..", 2) == 0) {
            free(clean);
            return fault_say(fault, -EINVAL, "\"%s\" has a component \"..\"", path);
        }
        if (part > 0 && !(part == 1 && *at == '.')) {
            clean[length++] = '/';
            memcpy(clean + length, at, part);
            length += part;
        }
        at += part;
    }
    if (length == 0)
        clean[length++] = '/';
    clean[length] = '\0';
    *ret_clean = clean;
    return 0;
}

static int path_parse(const struct key *key, const char *text, void *target, struct fault *fault) {
    (void)key;
    char *clean;
    int error = path_clean(text, &clean, fault);
    if (error)
        return error;
    word_free(target);
    *(char **)target = clean;
    return 0;
}

const struct kind kind_path = {
    .name = "path",
    .example = "an absolute path",
    .written = WRITTEN_STRING,
    .reset = word_reset,
    .parse = path_parse,
    .print = word_print,
    .free = word_free,
};

/* ---- names ---- */

WORD_KIND(unit_name, unit_name_is_valid, "unit name",
          "a letter or digit, then up to 63 letters, digits and \"_.:-\"", WRITTEN_STRING);

static bool is_file_name(const char *text) {
    return strlen(text) <= 128 && text[0] != '.' && text[0] != '-' &&
           consists_of(text, NAME_LETTERS "@:");
}
WORD_KIND(file_name, is_file_name, "name", "up to 128 letters, digits and \"_.@:-\"",
          WRITTEN_STRING);

/* sethostname(2) takes 64 bytes; the letters are those of RFC 1123, and "_" which many use. */
static bool is_host_name(const char *text) {
    return strlen(text) <= 64 && text[0] != '.' && text[0] != '-' &&
           consists_of(text, NAME_LETTERS);
}
WORD_KIND(host_name, is_host_name, "host name", "up to 64 letters, digits and \"_.-\"",
          WRITTEN_STRING);

static bool is_account(const char *text, size_t length) {
    if (length == 0 || length > 32 || text[0] == '-')
        return false;
    if (strspn(text, NAME_LETTERS "$") < length)
        return false;
    if (!isdigit((unsigned char)text[0]))
        return true;
    /* (uid_t)-1 means "leave as it is" to the kernel. */
    char number[33] = "";
    uint64_t value;
    memcpy(number, text, length);
    return number_parse(number, &value) == 0 && value < UINT32_MAX;
}

static bool is_user(const char *text) {
    size_t user = strcspn(text, ":");
    return is_account(text, user) &&
           (text[user] == '\0' || is_account(text + user + 1, strlen(text + user + 1)));
}
WORD_KIND(user, is_user, "account", "a name, a number, or \"USER:GROUP\"",
          WRITTEN_STRING | WRITTEN_INTEGER);

static bool is_group(const char *text) {
    return is_account(text, strlen(text));
}
WORD_KIND(group, is_group, "group", "a name, or a number", WRITTEN_STRING | WRITTEN_INTEGER);

static bool is_slice(const char *text) {
    if (strlen(text) > 255 || !consists_of(text, NAME_LETTERS "@:/"))
        return false;
    /* A component may not be mistaken for a cgroup's file, nor for a unit of ours. */
    for (const char *at = text;; at++) {
        size_t part = strcspn(at, "/");
        if (part == 0 || *at == '.' || *at == '-' || strncmp(at, "unit-", 5) == 0 ||
            strncmp(at, "cgroup.", 7) == 0)
            return false;
        at += part;
        if (*at == '\0')
            return true;
    }
}
WORD_KIND(slice, is_slice, "slice", "names with \"/\" between them, such as \"shop/web\"",
          WRITTEN_STRING);

/* ---- numbers in words ---- */

static bool is_cpu_list(const char *text) {
    for (;;) {
        char *end;
        if (!isdigit((unsigned char)*text))
            return false;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-') {
            if (!isdigit((unsigned char)end[1]))
                return false;
            last = strtoul(end + 1, &end, 10);
        }
        if (last < first || last > 8191)
            return false;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
        text = end + 1;
    }
}
WORD_KIND(cpu_list, is_cpu_list, "list of processors", "numbers and ranges such as \"0-3,6\"",
          WRITTEN_STRING | WRITTEN_INTEGER);

static bool is_access(const char *text) {
    for (const char *at = text; *at; at++)
        if (!strchr("rwm", *at) || strchr(at + 1, *at))
            return false;
    return *text;
}
WORD_KIND(access, is_access, "access", "letters of \"rwm\", each at most once", WRITTEN_STRING);

static bool is_rate(const char *text) {
    uint64_t count, usec;
    return frequency_parse(text, &count, &usec) == 0;
}
WORD_KIND(rate, is_rate, "rate", "\"1000/s\", \"100/min\", \"10/h\" or \"off\"", WRITTEN_STRING);

static bool is_root_hash(const char *text) {
    size_t length = strlen(text);
    return length >= 32 && length <= 128 && length % 2 == 0 &&
           consists_of(text, DIGITS "abcdefABCDEF");
}
WORD_KIND(root_hash, is_root_hash, "root hash", "hexadecimal digits, 64 for SHA-256",
          WRITTEN_STRING);

/* PREFIX:NUMBER with a number in the range. */
static bool is_numbered(const char *text, const char *prefix, uint64_t least, uint64_t most) {
    size_t length = strlen(prefix);
    uint64_t value;
    return strncmp(text, prefix, length) == 0 && number_parse(text + length, &value) == 0 &&
           value >= least && value <= most;
}

static bool is_scheduling(const char *text) {
    return strcmp(text, "other") == 0 || strcmp(text, "batch") == 0 || strcmp(text, "idle") == 0 ||
           is_numbered(text, "fifo:", 1, 99) || is_numbered(text, "rr:", 1, 99);
}
WORD_KIND(cpu_scheduling, is_scheduling, "scheduling policy",
          "\"other\", \"batch\", \"idle\", \"fifo:1\" to \"fifo:99\" or \"rr:1\" to \"rr:99\"",
          WRITTEN_STRING);

static bool is_io_priority(const char *text) {
    return strcmp(text, "idle") == 0 || is_numbered(text, "best-effort:", 0, 7) ||
           is_numbered(text, "realtime:", 0, 7);
}
WORD_KIND(io_priority, is_io_priority, "disk priority",
          "\"idle\", \"best-effort:0\" to \"best-effort:7\" or \"realtime:0\" to \"realtime:7\"",
          WRITTEN_STRING);

/* ---- addresses and times ---- */

static bool is_address(const char *text) {
    struct in6_addr address;
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}
WORD_KIND(address, is_address, "address", "an IPv4 or IPv6 address", WRITTEN_STRING);

static bool is_url(const char *text) {
    return port_url_parse(text, NULL, NULL) == 0;
}
WORD_KIND(url, is_url, "address of a page", "\"http://127.0.0.1:80/\"", WRITTEN_STRING);

static bool is_endpoint(const char *text) {
    struct port_endpoint endpoint;
    return port_endpoint_parse(text, &endpoint, NULL) == 0 && endpoint.first == endpoint.last;
}
WORD_KIND(endpoint, is_endpoint, "port", "\"[ADDRESS:]PORT\"", WRITTEN_STRING | WRITTEN_INTEGER);

static int schedule_from(const struct key *key, const char *text, void *target,
                         struct fault *fault) {
    (void)key;
    int error = schedule_check(text, fault);
    return error ? error : word_set(text, target, fault);
}

const struct kind kind_schedule = {
    .name = "schedule",
    .example = "five fields such as \"0 3 * * *\"",
    .written = WRITTEN_STRING,
    .reset = word_reset,
    .parse = schedule_from,
    .print = word_print,
    .free = word_free,
};

/* ---- what is done at a restart limit ---- */

static int limit_action_parse(const struct key *key, const char *text, void *target,
                              struct fault *fault) {
    struct limit_action *action = target;
    uint64_t pause = 0;
    bool fails = strcmp(text, "fail") == 0, reboots = strcmp(text, "reboot") == 0;
    bool retries = strncmp(text, "retry-after:", 12) == 0 &&
                   duration_parse(text + 12, &pause) == 0 && pause > 0 && pause != DURATION_OFF;
    if (fails || retries || reboots) {
        action->pause = pause;
        action->reboot = reboots;
        return word_set(text, &action->text, fault);
    }
    if (strcmp(text, "rollback") == 0)
        return fault_say(fault, -EOPNOTSUPP,
                         "\"rollback\" is not supported by this version: there is no earlier "
                         "version of a unit to go back to");
    return kind_refuse(key->kind, text, -EINVAL, fault);
}

const struct kind kind_limit_action = {
    .name = "action",
    .example = "\"fail\", \"reboot\", \"rollback\" or \"retry-after:DURATION\"",
    .written = WRITTEN_STRING,
    .reset = word_reset,
    .parse = limit_action_parse,
    .print = word_print,
    .free = word_free,
};

/* ---- what is mounted at boot ---- */

static bool is_file_system(const char *text) {
    return strlen(text) <= 32 && consists_of(text, LOWER DIGITS "_.-");
}
WORD_KIND(file_system, is_file_system, "file system", "a type such as \"ext4\"", WRITTEN_STRING);

/* A path, a name of what lies on it, or a word for the lack of one. */
static bool is_device(const char *text) {
    static const char *const tags[] = {"LABEL=", "UUID=", "PARTUUID=", "PARTLABEL="};
    for (size_t i = 0; i < ELEMENTS(tags); i++)
        if (strncmp(text, tags[i], strlen(tags[i])) == 0)
            return text[strlen(tags[i])] && is_line(text);
    return text[0] == '/' ? text[1] && is_line(text) : is_file_system(text);
}
WORD_KIND(device, is_device, "device",
          "a path, or \"LABEL=...\", \"UUID=...\", \"PARTUUID=...\", \"PARTLABEL=...\"",
          WRITTEN_STRING);
