#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/list.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/base/text.h"
#include "units/capability-names.h"
#include "units/kinds.h"
#include "units/set.h"

static const char not_supported[] = "\"%s\" is not supported by this version";

/* ---- namespaces ---- */

static void choice_reset(void *target) {
    *(struct namespace_choice *)target = (struct namespace_choice){0};
}

static void choice_free(void *target) {
    free(((struct namespace_choice *)target)->name);
    choice_reset(target);
}

static int choice_set(void *target, struct namespace_choice choice, const char *name,
                      struct fault *fault) {
    if (name && !(choice.name = strdup(name)))
        return fault_set(fault, ENOMEM, "cannot keep \"%s\"", name);
    choice_free(target);
    *(struct namespace_choice *)target = choice;
    return 0;
}

/* "unit:NAME", or `scheme`FILE. */
static int choice_named(const struct key *key, const char *scheme, const char *text, void *target,
                        struct fault *fault) {
    struct namespace_choice choice = {.mode = NAMESPACE_UNIT};
    if (strncmp(text, "unit:", 5) == 0) {
        if (!unit_name_is_valid(text + 5))
            return kind_refuse(&kind_unit_name, text + 5, -EINVAL, fault);
        return choice_set(target, choice, text + 5, fault);
    }
    if (scheme && strncmp(text, scheme, strlen(scheme)) == 0) {
        scoped_free char *clean = NULL;
        int error = path_clean(text + strlen(scheme), &clean, fault);
        if (error)
            return error;
        choice.mode = NAMESPACE_PATH;
        return choice_set(target, choice, clean, fault);
    }
    return kind_refuse(key->kind, text, -EINVAL, fault);
}

static int choice_parse(const struct key *key, const char *text, void *target,
                        struct fault *fault) {
    if (strcmp(text, "private") == 0)
        return choice_set(target, (struct namespace_choice){0}, NULL, fault);
    if (strcmp(text, "host") == 0)
        return choice_set(target, (struct namespace_choice){.mode = NAMESPACE_HOST}, NULL, fault);
    if (key->kind == &kind_time_namespace)
        return kind_refuse(key->kind, text, -EINVAL, fault);
    return choice_named(key, "path:", text, target, fault);
}

/* "BASE:COUNT", both at most 32 bits and not past their end. */
static int id_range(const char *text, uint32_t *ret_base, uint32_t *ret_count) {
    char base[12] = "";
    size_t length = strspn(text, "0123456789");
    uint64_t first, count;
    if (length == 0 || length >= sizeof(base) || text[length] != ':')
        return -EINVAL;
    memcpy(base, text, length);
    if (number_parse(base, &first) < 0 || number_parse(text + length + 1, &count) < 0)
        return -EINVAL;
    if (count == 0 || first > UINT32_MAX || count > UINT32_MAX || first + count > UINT32_MAX)
        return -ERANGE;
    *ret_base = (uint32_t)first;
    *ret_count = (uint32_t)count;
    return 0;
}

static int user_choice_parse(const struct key *key, const char *text, void *target,
                             struct fault *fault) {
    struct namespace_choice choice = {.mode = NAMESPACE_RANGE};
    if (!isdigit((unsigned char)text[0])) {
        if (strncmp(text, "path:", 5) == 0)
            return kind_refuse(key->kind, text, -EINVAL, fault);
        return choice_parse(key, text, target, fault);
    }
    int error = id_range(text, &choice.base, &choice.count);
    if (error)
        return kind_refuse(key->kind, text, error, fault);
    if (choice.base == 0)
        return fault_say(fault, -EINVAL,
                         "a range that starts at 0 makes the host's root the "
                         "container's; write \"host\" if that is meant");
    return choice_set(target, choice, NULL, fault);
}

static int network_parse(const struct key *key, const char *text, void *target,
                         struct fault *fault) {
    if (strcmp(text, "none") == 0)
        return choice_set(target, (struct namespace_choice){0}, NULL, fault);
    if (strcmp(text, "host") == 0)
        return choice_set(target, (struct namespace_choice){.mode = NAMESPACE_HOST}, NULL, fault);
    if (strcmp(text, "bridge") == 0) {
        if (key->later_values >> NAMESPACE_BRIDGE & 1)
            return fault_say(fault, -EOPNOTSUPP, not_supported, text);
        return choice_set(target, (struct namespace_choice){.mode = NAMESPACE_BRIDGE}, NULL, fault);
    }
    return choice_named(key, "netns:", text, target, fault);
}

static void choice_print(const struct key *key, const void *target, struct text *text) {
    const struct namespace_choice *choice = target;
    bool network = key->kind == &kind_network_mode;
    switch (choice->mode) {
    case NAMESPACE_PRIVATE:
        text_add(text, network ? "\"none\"" : "\"private\"");
        break;
    case NAMESPACE_HOST:
        text_add(text, "\"host\"");
        break;
    case NAMESPACE_UNIT:
        text_format(text, "\"unit:%s\"", choice->name);
        break;
    case NAMESPACE_PATH:
        text_format(text, network ? "\"netns:%s\"" : "\"path:%s\"", choice->name);
        break;
    case NAMESPACE_RANGE:
        text_format(text, "\"%" PRIu32 ":%" PRIu32 "\"", choice->base, choice->count);
        break;
    case NAMESPACE_BRIDGE:
        text_add(text, "\"bridge\"");
        break;
    }
}

#define CHOICE_KIND(kind_noun, parse_, kind_name_, kind_example, kind_later)                       \
    const struct kind kind_##kind_noun = {                                                         \
        .name = kind_name_,                                                                        \
        .example = kind_example,                                                                   \
        .later = kind_later,                                                                       \
        .written = WRITTEN_STRING,                                                                 \
        .reset = choice_reset,                                                                     \
        .parse = parse_,                                                                           \
        .print = choice_print,                                                                     \
        .free = choice_free,                                                                       \
    }
CHOICE_KIND(namespace, choice_parse, "choice of a namespace",
            "\"private\", \"host\", \"unit:NAME\" or \"path:FILE\"", NULL);
CHOICE_KIND(user_namespace, user_choice_parse, "choice of a user namespace",
            "\"private\", \"host\", \"BASE:COUNT\" or \"unit:NAME\"", NULL);
CHOICE_KIND(network_mode, network_parse, "network mode",
            "\"none\", \"host\", \"unit:NAME\" or \"netns:FILE\"", "\"bridge\"");
CHOICE_KIND(time_namespace, choice_parse, "choice of a time namespace", "\"host\" or \"private\"",
            NULL);

/* ---- the host's ids ---- */

#define ID_RANGE_UNIT 65536u /* what one private user namespace gets */

static struct manager_settings *settings_of(void *target) {
    return list_entry(target, struct manager_settings, id_range_base);
}

static void id_range_reset(void *target) {
    settings_of(target)->id_range_base = settings_of(target)->id_range_count = 0;
}

static int id_range_parse(const struct key *key, const char *text, void *target,
                          struct fault *fault) {
    uint32_t base, count;
    int error = id_range(text, &base, &count);
    if (!error && (base == 0 || base % ID_RANGE_UNIT || count % ID_RANGE_UNIT))
        return fault_say(fault, -EINVAL,
                         "\"%s\": both numbers must be multiples of 65536, the first not 0", text);
    if (error)
        return kind_refuse(key->kind, text, error, fault);
    settings_of(target)->id_range_base = base;
    settings_of(target)->id_range_count = count;
    return 0;
}

static void id_range_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    const uint32_t *base = target; /* the count follows it */
    static_assert(offsetof(struct manager_settings, id_range_count) ==
                      offsetof(struct manager_settings, id_range_base) + sizeof(*base),
                  "side by side");
    text_format(text, "\"%" PRIu32 ":%" PRIu32 "\"", base[0], base[1]);
}

const struct kind kind_id_range = {
    .name = "range of ids",
    .example = "\"BASE:COUNT\"",
    .written = WRITTEN_STRING,
    .reset = id_range_reset,
    .parse = id_range_parse,
    .print = id_range_print,
};

/* ---- capabilities ---- */

static void set_reset(void *target) {
    *(uint64_t *)target = CAPABILITIES_UNSET;
}

static void added_reset(void *target) {
    *(uint64_t *)target = 0;
}

static int capability_parse(const struct key *key, const char *text, void *target,
                            struct fault *fault) {
    (void)key;
    uint64_t *set = target;
    uint64_t named;
    const char *nearest;
    if (capability_bits(text, &named, &nearest) < 0) {
        if (nearest)
            return fault_say(fault, -EINVAL, "\"%s\" is no capability; did you mean \"%s\"?", text,
                             nearest);
        return fault_say(fault, -EINVAL, "\"%s\" is no capability; see capabilities(7)", text);
    }
    *set = (*set == CAPABILITIES_UNSET ? 0 : *set) | named;
    return 0;
}

static void capability_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    uint64_t set = *(const uint64_t *)target;
    if (set == CAPABILITIES_UNSET)
        return;
    const char *separator = "[ ";
    for (int number = 0; set >> number && number < 64; number++)
        if (set >> number & 1) {
            text_format(text, "%s\"%s\"", separator, capability_word(number));
            separator = ", ";
        }
    text_add(text, set ? " ]" : "[]");
}

#define CAPABILITY_KIND(kind_noun, reset_)                                                         \
    const struct kind kind_##kind_noun = {                                                         \
        .name = "capability",                                                                      \
        .example = "[ \"NET_ADMIN\", ... ]",                                                       \
        .shape = SHAPE_ARRAY,                                                                      \
        .written = WRITTEN_STRING,                                                                 \
        .reset = reset_,                                                                           \
        .parse = capability_parse,                                                                 \
        .print = capability_print,                                                                 \
    }
CAPABILITY_KIND(capability_set, set_reset);
CAPABILITY_KIND(capabilities, added_reset);

/* ---- seccomp: a word, or a file ---- */

static const char *const profile_words[] = {
    [SECCOMP_DEFAULT] = "default",
    [SECCOMP_STRICT] = "strict",
    [SECCOMP_UNCONFINED] = "unconfined",
};
static const struct names profiles = NAMES(profile_words);

static struct security *security_of(void *target) {
    return list_entry(target, struct security, seccomp);
}

static void seccomp_reset(void *target) {
    security_of(target)->seccomp = SECCOMP_DEFAULT;
    security_of(target)->seccomp_file = NULL;
}

static void seccomp_free(void *target) {
    free(security_of(target)->seccomp_file);
    seccomp_reset(target);
}

static int seccomp_parse(const struct key *key, const char *text, void *target,
                         struct fault *fault) {
    scoped_free char *file = NULL;
    int value = names_value(&profiles, text);
    if (value < 0 && text[0] != '/') {
        const char *nearest = names_nearest(text, profile_words, ELEMENTS(profile_words));
        if (nearest)
            return fault_say(fault, -EINVAL, "\"%s\" is no profile; did you mean \"%s\"?", text,
                             nearest);
        return kind_refuse(key->kind, text, -EINVAL, fault);
    }
    if (value < 0) {
        int error = path_clean(text, &file, fault);
        if (error)
            return error;
        value = SECCOMP_FILE;
    }
    if (key->later_values >> value & 1)
        return fault_say(fault, -EOPNOTSUPP, not_supported, text);
    seccomp_free(target);
    security_of(target)->seccomp = (enum seccomp_profile)value;
    security_of(target)->seccomp_file = take(file);
    return 0;
}

static void seccomp_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    const struct security *security =
        (const void *)((const char *)target - offsetof(struct security, seccomp));
    kind_quote(text, security->seccomp == SECCOMP_FILE
                         ? security->seccomp_file
                         : names_word(&profiles, (int)security->seccomp));
}

const struct kind kind_seccomp = {
    .name = "profile",
    .example = "\"default\" or \"unconfined\"",
    .later = "\"strict\", and the absolute path of a file",
    .written = WRITTEN_STRING,
    .reset = seccomp_reset,
    .parse = seccomp_parse,
    .print = seccomp_print,
    .free = seccomp_free,
};
