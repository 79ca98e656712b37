#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/base/text.h"
#include "units/kinds.h"
#include "units/set.h"

int kind_refuse(const struct kind *kind, const char *text, int error, struct fault *fault) {
    if (error == -ERANGE)
        return fault_say(fault, error, "\"%s\" is out of range", text);
    return fault_say(fault, error, "\"%s\" is no %s; write %s", text, kind->name, kind->example);
}

void kind_quote(struct text *text, const char *string) {
    text_add(text, "\"");
    for (const char *at = string; *at; at++) {
        if (*at == '"' || *at == '\\')
            text_format(text, "\\%c", *at);
        else if (*at == '\n')
            text_add(text, "\\n");
        else if (*at == '\t')
            text_add(text, "\\t");
        else if ((unsigned char)*at < 0x20 || *at == 0x7f)
            text_format(text, "\\x%02x", (unsigned char)*at);
        else
            text_append(text, at, 1);
    }
    text_add(text, "\"");
}

static bool has_range(const struct key *key) {
    return key->least != 0 || key->most != 0;
}

/* ---- bool, and two words for one ---- */

static void bool_reset(void *target) {
    *(bool *)target = false;
}

static int bool_parse(const struct key *key, const char *text, void *target, struct fault *fault) {
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return kind_refuse(key->kind, text, -EINVAL, fault);
    *(bool *)target = text[0] == 't';
    return 0;
}

static void bool_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    text_add(text, *(const bool *)target ? "true" : "false");
}

/* A string "true" is refused by load: WRITTEN_STRING is not among these. */
const struct kind kind_bool = {
    .name = "bool",
    .example = "true or false, without quotes",
    .written = WRITTEN_BOOL,
    .reset = bool_reset,
    .parse = bool_parse,
    .print = bool_print,
};

static int word_value(const struct key *key, const char *text, struct fault *fault) {
    int value = names_value(key->names, text);
    if (value >= 0)
        return value;
    struct text list = {0};
    for (size_t i = 0; i < key->names->count; i++)
        text_format(&list, "%s\"%s\"",
                    i == 0                       ? ""
                    : i + 1 == key->names->count ? " or "
                                                 : ", ",
                    key->names->items[i]);
    const char *nearest = names_nearest(text, key->names->items, key->names->count);
    if (nearest)
        fault_say(fault, EINVAL, "\"%s\" is none of %s; did you mean \"%s\"?", text, list.data,
                  nearest);
    else
        fault_say(fault, EINVAL, "\"%s\" is none of %s", text, list.data);
    text_free(&list);
    return -EINVAL;
}

static int switch_parse(const struct key *key, const char *text, void *target,
                        struct fault *fault) {
    int value = word_value(key, text, fault);
    if (value < 0)
        return value;
    *(bool *)target = value == 1;
    return 0;
}

static void switch_print(const struct key *key, const void *target, struct text *text) {
    kind_quote(text, names_word(key->names, *(const bool *)target));
}

const struct kind kind_switch = {
    .name = "word",
    .example = "one of the words",
    .written = WRITTEN_STRING,
    .reset = bool_reset,
    .parse = switch_parse,
    .print = switch_print,
};

static void enum_reset(void *target) {
    *(int *)target = 0;
}

static int enum_parse(const struct key *key, const char *text, void *target, struct fault *fault) {
    int value = word_value(key, text, fault);
    if (value < 0)
        return value;
    if (key->later_values >> value & 1)
        return fault_say(fault, -EOPNOTSUPP, "\"%s\" is not supported by this version", text);
    *(int *)target = value;
    return 0;
}

static void enum_print(const struct key *key, const void *target, struct text *text) {
    kind_quote(text, names_word(key->names, *(const int *)target));
}

const struct kind kind_enum = {
    .name = "word",
    .example = "one of the words",
    .written = WRITTEN_STRING,
    .reset = enum_reset,
    .parse = enum_parse,
    .print = enum_print,
};

/* ---- numbers ---- */

static void integer_reset(void *target) {
    *(int64_t *)target = INTEGER_UNSET;
}

static int integer_parse(const struct key *key, const char *text, void *target,
                         struct fault *fault) {
    int64_t value;
    int error = number_parse_signed(text, &value);
    if (error)
        return kind_refuse(key->kind, text, error, fault);
    if (has_range(key) && (value < key->least || value > key->most))
        return fault_say(fault, -ERANGE,
                         "%" PRId64 " is out of range: from %" PRId64 " to %" PRId64, value,
                         key->least, key->most);
    *(int64_t *)target = value;
    return 0;
}

static void integer_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    if (*(const int64_t *)target != INTEGER_UNSET)
        text_format(text, "%" PRId64, *(const int64_t *)target);
}

const struct kind kind_integer = {
    .name = "whole number",
    .example = "5, without quotes",
    .written = WRITTEN_INTEGER,
    .reset = integer_reset,
    .parse = integer_parse,
    .print = integer_print,
};

static int pids_parse(const struct key *key, const char *text, void *target, struct fault *fault) {
    if (strcmp(text, "max") == 0) {
        *(int64_t *)target = 0;
        return 0;
    }
    return integer_parse(key, text, target, fault);
}

static void pids_print(const struct key *key, const void *target, struct text *text) {
    if (*(const int64_t *)target == 0)
        kind_quote(text, "max");
    else
        integer_print(key, target, text);
}

const struct kind kind_pids = {
    .name = "whole number",
    .example = "5, without quotes, or \"max\"",
    .written = WRITTEN_INTEGER | WRITTEN_STRING,
    .reset = integer_reset,
    .parse = pids_parse,
    .print = pids_print,
};

static void float_reset(void *target) {
    *(double *)target = 0;
}

static int float_parse(const struct key *key, const char *text, void *target, struct fault *fault) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return kind_refuse(key->kind, text, -EINVAL, fault);
    if (has_range(key) && (value < (double)key->least || value > (double)key->most))
        return fault_say(fault, -ERANGE, "%s is out of range: from %" PRId64 " to %" PRId64, text,
                         key->least, key->most);
    *(double *)target = value;
    return 0;
}

static void float_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    double value = *(const double *)target, whole;
    text_format(text, modf(value, &whole) == 0.0 ? "%.1f" : "%g", value); /* floor is in libm */
}

const struct kind kind_float = {
    .name = "number",
    .example = "a number such as 1.5, without quotes",
    .written = WRITTEN_INTEGER | WRITTEN_FLOAT,
    .reset = float_reset,
    .parse = float_parse,
    .print = float_print,
};

/* ---- durations and sizes ---- */

static void duration_reset(void *target) {
    *(uint64_t *)target = DURATION_OFF;
}

static int range_refuse(const struct key *key, const char *text, struct fault *fault,
                        void (*print)(struct text *, uint64_t)) {
    struct text least = {0}, most = {0};
    print(&least, (uint64_t)key->least);
    print(&most, (uint64_t)key->most);
    if (key->most == INT64_MAX)
        fault_say(fault, ERANGE, "\"%s\" is out of range: at least \"%s\"", text, least.data);
    else
        fault_say(fault, ERANGE, "\"%s\" is out of range: from \"%s\" to \"%s\"", text, least.data,
                  most.data);
    text_free(&least);
    text_free(&most);
    return -ERANGE;
}

static int duration_from(const struct key *key, const char *text, void *target,
                         struct fault *fault) {
    uint64_t value;
    int error = duration_parse(text, &value);
    if (error)
        return kind_refuse(key->kind, text, error, fault);
    if (value == DURATION_OFF && !(key->flags & KEY_OFF))
        return fault_say(fault, -EINVAL, "it cannot be \"off\"; write %s", key->kind->example);
    if (value != DURATION_OFF &&
        (value > INT64_MAX || (has_range(key) && (int64_t)value < key->least)))
        return range_refuse(key, text, fault, duration_print);
    *(uint64_t *)target = value;
    return 0;
}

static void duration_show(const struct key *key, const void *target, struct text *text) {
    (void)key;
    text_add(text, "\"");
    duration_print(text, *(const uint64_t *)target);
    text_add(text, "\"");
}

const struct kind kind_duration = {
    .name = "duration",
    .example = "\"100ms\", \"90s\", \"1h30min\", or a number of seconds",
    .written = WRITTEN_STRING | WRITTEN_INTEGER,
    .reset = duration_reset,
    .parse = duration_from,
    .print = duration_show,
};

static void offset_reset(void *target) {
    *(int64_t *)target = 0;
}

static int offset_parse(const struct key *key, const char *text, void *target,
                        struct fault *fault) {
    bool negative = *text == '-';
    uint64_t value;
    int error = duration_parse(text + negative, &value);
    if (!error && value == DURATION_OFF)
        error = -EINVAL;
    if (!error && value > (uint64_t)INT64_MAX)
        error = -ERANGE;
    if (error)
        return kind_refuse(key->kind, text, error, fault);
    *(int64_t *)target = negative ? -(int64_t)value : (int64_t)value;
    return 0;
}

static void offset_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    int64_t value = *(const int64_t *)target;
    text_add(text, value < 0 ? "\"-" : "\"");
    duration_print(text, value < 0 ? (uint64_t)-value : (uint64_t)value);
    text_add(text, "\"");
}

const struct kind kind_offset = {
    .name = "offset",
    .example = "\"1d\", \"-90s\", or a number of seconds",
    .written = WRITTEN_STRING | WRITTEN_INTEGER,
    .reset = offset_reset,
    .parse = offset_parse,
    .print = offset_print,
};

static void size_reset(void *target) {
    *(uint64_t *)target = LIMIT_UNSET;
}

static int size_from(const struct key *key, const char *text, void *target, struct fault *fault) {
    uint64_t value;
    int error = size_parse(text, &value);
    if (!error && value != SIZE_NONE && value > (uint64_t)INT64_MAX)
        error = -ERANGE;
    if (error)
        return kind_refuse(key->kind, text, error, fault);
    if (value == SIZE_NONE && !(key->flags & KEY_OFF))
        return fault_say(fault, -EINVAL, "it cannot be \"max\"; write %s", key->kind->example);
    if (value != SIZE_NONE && has_range(key) &&
        ((int64_t)value < key->least || (int64_t)value > key->most))
        return range_refuse(key, text, fault, size_print);
    *(uint64_t *)target = value;
    return 0;
}

static void size_show(const struct key *key, const void *target, struct text *text) {
    (void)key;
    if (*(const uint64_t *)target == LIMIT_UNSET)
        return;
    text_add(text, "\"");
    size_print(text, *(const uint64_t *)target);
    text_add(text, "\"");
}

const struct kind kind_size = {
    .name = "size",
    .example = "\"64M\", \"3G\", or a number of bytes",
    .written = WRITTEN_STRING | WRITTEN_INTEGER,
    .reset = size_reset,
    .parse = size_from,
    .print = size_show,
};

/* ---- modes ---- */

static void mode_reset(void *target) {
    *(mode_t *)target = MODE_UNSET;
}

static int mode_parse(const struct key *key, const char *text, void *target, struct fault *fault) {
    size_t length = strlen(text);
    if (length < 3 || length > 5 || strspn(text, "01234567") != length)
        return kind_refuse(key->kind, text, -EINVAL, fault);
    unsigned long value = strtoul(text, NULL, 8);
    if (value > (unsigned long)key->most)
        return fault_say(fault, -ERANGE, "\"%s\" is out of range: at most \"%04lo\"", text,
                         (unsigned long)key->most);
    *(mode_t *)target = (mode_t)value;
    return 0;
}

static void mode_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    if (*(const mode_t *)target != MODE_UNSET)
        text_format(text, "\"%04o\"", *(const mode_t *)target);
}

const struct kind kind_mode = {
    .name = "mode",
    .example = "octal digits in quotes, such as \"0755\"",
    .written = WRITTEN_STRING,
    .reset = mode_reset,
    .parse = mode_parse,
    .print = mode_print,
};

/* ---- signals ---- */

int signal_parse(const char *text) {
    uint64_t number;
    if (number_parse(text, &number) == 0)
        return number >= 1 && number < NSIG ? (int)number : 0;
    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    for (int signal = 1; signal < SIGRTMIN; signal++) {
        const char *name = sigabbrev_np(signal);
        if (name && strcmp(name, text) == 0)
            return signal;
    }
    if (strncmp(text, "RTMIN", 5) != 0)
        return 0;
    /* systemd's own programs use SIGRTMIN+N. */
    if (text[5] == '\0')
        return SIGRTMIN;
    if (text[5] == '+' && number_parse(text + 6, &number) == 0 &&
        number <= (uint64_t)(SIGRTMAX - SIGRTMIN))
        return SIGRTMIN + (int)number;
    return 0;
}

static void signal_reset(void *target) {
    *(int *)target = 0;
}

static int signal_from(const struct key *key, const char *text, void *target, struct fault *fault) {
    int signal = signal_parse(text);
    if (signal == 0)
        return kind_refuse(key->kind, text, -EINVAL, fault);
    *(int *)target = signal;
    return 0;
}

static void signal_print(const struct key *key, const void *target, struct text *text) {
    (void)key;
    int signal = *(const int *)target;
    if (signal >= SIGRTMIN)
        text_format(text, "\"SIGRTMIN+%d\"", signal - SIGRTMIN);
    else if (signal > 0 && sigabbrev_np(signal))
        text_format(text, "\"SIG%s\"", sigabbrev_np(signal));
    else if (signal > 0)
        text_format(text, "\"%d\"", signal);
}

const struct kind kind_signal = {
    .name = "signal",
    .example = "a name such as \"SIGTERM\", or a number",
    .written = WRITTEN_STRING | WRITTEN_INTEGER,
    .reset = signal_reset,
    .parse = signal_from,
    .print = signal_print,
};
