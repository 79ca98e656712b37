#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/base/rlimit-names.h"
#include "units/base/text.h"
#include "units/kinds.h"

/* ---- setrlimit(2) ---- */

static int limit_value(const char *text, uint64_t *ret_value) {
    if (strcmp(text, "infinity") == 0 || strcmp(text, "unlimited") == 0) {
        *ret_value = RLIM_INFINITY;
        return 0;
    }
    /* Sizes are welcome: "stack=8M", "core=0". "max" is a size too. */
    return size_parse(text, ret_value);
}

static int resource_limit_parse(const char *text, struct resource_limit *ret_limit,
                                struct fault *fault) {
    char word[16] = "", soft[32] = "";
    size_t length = strcspn(text, "=");
    if (text[length] != '=' || length == 0 || length >= sizeof(word))
        return -EINVAL;
    memcpy(word, text, length);
    int resource = names_value(&rlimit_names, word);
    if (resource < 0) {
        const char *nearest = names_nearest(word, rlimit_names.items, rlimit_names.count);
        return fault_say(fault, -ENOENT,
                         nearest ? "\"%s\" is no limit; did you mean \"%s\"?"
                                 : "\"%s\" is no limit; see setrlimit(2)",
                         word, nearest);
    }
    const char *values = text + length + 1;
    size_t colon = strcspn(values, ":");
    if (colon >= sizeof(soft))
        return -EINVAL;
    memcpy(soft, values, colon);
    struct resource_limit limit = {.resource = resource};
    int error = limit_value(soft, &limit.soft);
    if (!error)
        error = limit_value(values[colon] ? values + colon + 1 : soft, &limit.hard);
    if (error)
        return error;
    if (limit.soft > limit.hard)
        return fault_say(fault, -ERANGE, "\"%s\" has a soft limit above the hard one", text);
    *ret_limit = limit;
    return 0;
}

static void resource_limits_reset(void *target) {
    *(struct resource_limits *)target = (struct resource_limits){0};
}

static void resource_limits_free(void *target) {
    free(((struct resource_limits *)target)->items);
    resource_limits_reset(target);
}

static int resource_limits_parse(const struct key *key, const char *text, void *target,
                                 struct fault *fault) {
    struct resource_limits *limits = target;
    struct resource_limit limit;
    struct fault why = {""};
    int error = resource_limit_parse(text, &limit, &why);
    if (error)
        return why.text[0] ? fault_say(fault, error, "%s", why.text)
                           : kind_refuse(key->kind, text, error, fault);
    for (size_t i = 0; i < limits->count; i++)
        if (limits->items[i].resource == limit.resource)
            return fault_say(fault, -EEXIST, "\"%s\": the limit \"%s\" is given twice", text,
                             names_word(&rlimit_names, limit.resource));
    struct resource_limit *items = reallocarray(limits->items, limits->count + 1, sizeof(*items));
    if (!items)
        return fault_set(fault, ENOMEM, "cannot keep \"%s\"", text);
    limits->items = items;
    items[limits->count++] = limit;
    return 0;
}

static void limit_value_print(struct text *text, uint64_t value) {
    if (value == RLIM_INFINITY)
        text_add(text, "infinity");
    else
        text_format(text, "%" PRIu64, value);
}

static void resource_limits_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    const struct resource_limits *limits = target;
    text_add(text, limits->count ? "[ " : "[");
    for (size_t i = 0; i < limits->count; i++) {
        const struct resource_limit *limit = &limits->items[i];
        text_format(text, "%s\"%s=", i ? ", " : "", names_word(&rlimit_names, limit->resource));
        limit_value_print(text, limit->soft);
        text_add(text, ":");
        limit_value_print(text, limit->hard);
        text_add(text, "\"");
    }
    text_add(text, limits->count ? " ]" : "]");
}

const struct kind kind_resource_limits = {
    .name = "resource limit",
    .example = "\"nofile=1024:4096\" or \"core=infinity\"",
    .shape = SHAPE_ARRAY,
    .written = WRITTEN_STRING,
    .reset = resource_limits_reset,
    .parse = resource_limits_parse,
    .print = resource_limits_print,
    .free = resource_limits_free,
};

/* ---- cpu.max ---- */

#define USEC_PER_PERCENT 1000u /* of a period of 100 ms */

static void quota_reset(void *target) {
    *(uint64_t *)target = LIMIT_UNSET;
}

static int quota_parse(const struct key *key, const char *text, void *target, struct fault *fault) {
    char number[16] = "";
    uint64_t percent;
    size_t length = strspn(text, "0123456789");
    if (strcmp(text, "max") == 0) {
        *(uint64_t *)target = SIZE_NONE;
        return 0;
    }
    if (length == 0 || length >= sizeof(number) || strcmp(text + length, "%") != 0)
        return kind_refuse(key->kind, text, -EINVAL, fault);
    memcpy(number, text, length);
    /* The kernel takes no less than 1 ms of a period. */
    if (number_parse(number, &percent) < 0 || percent == 0 || percent > 1000000)
        return fault_say(fault, -ERANGE, "\"%s\" is out of range: from \"1%%\" to \"1000000%%\"",
                         text);
    *(uint64_t *)target = percent * USEC_PER_PERCENT;
    return 0;
}

static void quota_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    uint64_t quota = *(const uint64_t *)target;
    if (quota == SIZE_NONE)
        text_add(text, "\"max\"");
    else if (quota != LIMIT_UNSET)
        text_format(text, "\"%" PRIu64 "%%\"", quota / USEC_PER_PERCENT);
}

const struct kind kind_cpu_max = {
    .name = "share of processors",
    .example = "a percentage such as \"150%\", or \"max\"",
    .written = WRITTEN_STRING,
    .reset = quota_reset,
    .parse = quota_parse,
    .print = quota_print,
};

/* ---- io.max ---- */

static const char *const io_words[] = {"rbps", "wbps", "riops", "wiops"};

static uint64_t *io_value(struct io_limit *limit, size_t index) {
    uint64_t *const values[] = {&limit->rbps, &limit->wbps, &limit->riops, &limit->wiops};
    return values[index];
}

/* One "rbps=10M" of `word`, which ends with the text. */
static int io_word(char *word, struct io_limit *limit, struct fault *fault) {
    char *equals = strchr(word, '=');
    if (!equals)
        return -EINVAL;
    *equals = '\0';
    for (size_t i = 0; i < ELEMENTS(io_words); i++)
        if (strcmp(word, io_words[i]) == 0) {
            int error = size_parse(equals + 1, io_value(limit, i));
            return error == 0 && *io_value(limit, i) == 0 ? -ERANGE : error;
        }
    const char *nearest = names_nearest(word, io_words, ELEMENTS(io_words));
    return fault_say(fault, -ENOENT,
                     nearest ? "\"%s\" is no limit of a device; did you mean "
                               "\"%s\"?"
                             : "\"%s\" is no limit of a device",
                     word, nearest);
}

static bool is_device(const char *text) {
    size_t major = strspn(text, "0123456789");
    if (text[0] == '/')
        return strstr(text, "/..") == NULL;
    return major > 0 && text[major] == ':' && text[major + 1] &&
           text[major + 1 + strspn(text + major + 1, "0123456789")] == '\0';
}

static int io_limit_parse(char *text, struct io_limit *limit, struct fault *fault) {
    char *rest = NULL, *device = strtok_r(text, " \t", &rest), *word;
    size_t words = 0;
    if (!device || !is_device(device))
        return -EINVAL;
    while ((word = strtok_r(NULL, " \t", &rest))) {
        int error = io_word(word, limit, fault);
        if (error)
            return error;
        words++;
    }
    if (words == 0)
        return -EINVAL;
    limit->device = strdup(device);
    return limit->device ? 0 : -ENOMEM;
}

static void io_reset(void *target) {
    *(struct io_limits *)target = (struct io_limits){0};
}

static void io_free(void *target) {
    struct io_limits *limits = target;
    for (size_t i = 0; i < limits->count; i++)
        free(limits->items[i].device);
    free(limits->items);
    io_reset(target);
}

static int io_parse(const struct key *key, const char *text, void *target, struct fault *fault) {
    struct io_limits *limits = target;
    struct io_limit limit = {NULL, SIZE_NONE, SIZE_NONE, SIZE_NONE, SIZE_NONE};
    struct fault why = {""};
    scoped_free char *copy = strdup(text);
    int error = copy ? io_limit_parse(copy, &limit, &why) : -ENOMEM;
    if (error)
        return why.text[0] ? fault_say(fault, error, "%s", why.text)
                           : kind_refuse(key->kind, text, error, fault);
    struct io_limit *items = reallocarray(limits->items, limits->count + 1, sizeof(*items));
    if (!items) {
        free(limit.device);
        return fault_set(fault, ENOMEM, "cannot keep \"%s\"", text);
    }
    limits->items = items;
    items[limits->count++] = limit;
    return 0;
}

static void io_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    const struct io_limits *limits = target;
    text_add(text, limits->count ? "[ " : "[");
    for (size_t i = 0; i < limits->count; i++) {
        text_format(text, "%s\"%s", i ? ", " : "", limits->items[i].device);
        for (size_t word = 0; word < ELEMENTS(io_words); word++) {
            uint64_t value = *io_value(&limits->items[i], word);
            if (value == SIZE_NONE)
                continue;
            text_format(text, " %s=", io_words[word]);
            size_print(text, value);
        }
        text_add(text, "\"");
    }
    text_add(text, limits->count ? " ]" : "]");
}

const struct kind kind_io_max = {
    .name = "limit of a device",
    .example = "\"/dev/sda rbps=10M wiops=100\"",
    .shape = SHAPE_ARRAY,
    .written = WRITTEN_STRING,
    .reset = io_reset,
    .parse = io_parse,
    .print = io_print,
    .free = io_free,
};
