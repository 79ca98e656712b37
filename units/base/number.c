#include "units/base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "units/base/scoped.h"
#include "units/base/text.h"

struct scale {
    const char *name;
    uint64_t factor;
};

static const struct scale durations[] = {
    {"d", 86400 * USEC_PER_SEC},
    {"h", 3600 * USEC_PER_SEC},
    {"min", 60 * USEC_PER_SEC},
    {"s", USEC_PER_SEC},
    {"ms", 1000},
    {"us", 1},
};

static const struct scale sizes[] = {
    {"T", 1ULL << 40},
    {"G", 1ULL << 30},
    {"M", 1ULL << 20},
    {"K", 1ULL << 10},
};

/* Reads digits; *at moves behind them. */
static int digits(const char **at, uint64_t *ret_value) {
    uint64_t value = 0;
    const char *start = *at;

    for (; **at >= '0' && **at <= '9'; (*at)++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value))
            return -ERANGE;
    if (*at == start)
        return -EINVAL;
    *ret_value = value;
    return 0;
}

int number_parse(const char *text, uint64_t *ret_value) {
    uint64_t value;
    int error = digits(&text, &value);
    if (error)
        return error;
    if (*text)
        return -EINVAL;
    *ret_value = value;
    return 0;
}

int number_parse_signed(const char *text, int64_t *ret_value) {
    bool negative = *text == '-';
    uint64_t value;
    int error = number_parse(text + negative, &value);
    if (error)
        return error;
    if (value > (uint64_t)INT64_MAX)
        return -ERANGE;
    *ret_value = negative ? -(int64_t)value : (int64_t)value;
    return 0;
}

/* The unit that starts the text and is not the start of a longer word. */
static const struct scale *scale_at(const char **at) {
    size_t length = strspn(*at, "abcdefghijklmnopqrstuvwxyz");
    for (size_t i = 0; i < ELEMENTS(durations); i++)
        if (strlen(durations[i].name) == length && strncmp(*at, durations[i].name, length) == 0) {
            *at += length;
            return &durations[i];
        }
    return NULL;
}

int duration_parse(const char *text, uint64_t *ret_usec) {
    uint64_t total = 0, value, part;

    if (strcmp(text, "off") == 0) {
        *ret_usec = DURATION_OFF;
        return 0;
    }
    if (number_parse(text, &value) == 0) {
        if (__builtin_mul_overflow(value, USEC_PER_SEC, &total))
            return -ERANGE;
        *ret_usec = total;
        return 0;
    }
    do {
        int error = digits(&text, &value);
        if (error)
            return error;
        const struct scale *scale = scale_at(&text);
        if (!scale)
            return -EINVAL;
        if (__builtin_mul_overflow(value, scale->factor, &part) ||
            __builtin_add_overflow(total, part, &total))
            return -ERANGE;
    } while (*text);
    *ret_usec = total;
    return 0;
}

void duration_print(struct text *text, uint64_t usec) {
    if (usec == DURATION_OFF) {
        text_add(text, "off");
        return;
    }
    if (usec == 0)
        text_add(text, "0s");
    for (size_t i = 0; i < ELEMENTS(durations); i++) {
        uint64_t count = usec / durations[i].factor;
        if (count)
            text_format(text, "%" PRIu64 "%s", count, durations[i].name);
        usec %= durations[i].factor;
    }
}

int frequency_parse(const char *text, uint64_t *ret_count, uint64_t *ret_usec) {
    static const struct scale periods[] = {
        {"s", USEC_PER_SEC}, {"min", 60 * USEC_PER_SEC}, {"h", 3600 * USEC_PER_SEC}};
    uint64_t count;

    if (strcmp(text, "off") == 0) {
        *ret_count = 0;
        *ret_usec = USEC_PER_SEC;
        return 0;
    }
    int error = digits(&text, &count);
    if (error || count == 0 || *text++ != '/')
        return error ? error : -EINVAL;
    for (size_t i = 0; i < ELEMENTS(periods); i++)
        if (strcmp(text, periods[i].name) == 0) {
            *ret_count = count;
            *ret_usec = periods[i].factor;
            return 0;
        }
    return -EINVAL;
}

int size_parse(const char *text, uint64_t *ret_bytes) {
    uint64_t value;

    if (strcmp(text, "max") == 0) {
        *ret_bytes = SIZE_NONE;
        return 0;
    }
    int error = digits(&text, &value);
    if (error)
        return error;
    for (size_t i = 0; i < ELEMENTS(sizes); i++)
        if (*text == *sizes[i].name) {
            if (strcmp(text + 1, "") != 0 && strcmp(text + 1, "iB") != 0)
                return -EINVAL;
            if (__builtin_mul_overflow(value, sizes[i].factor, &value))
                return -ERANGE;
            *ret_bytes = value;
            return 0;
        }
    if (*text && strcmp(text, "B") != 0)
        return -EINVAL;
    *ret_bytes = value;
    return 0;
}

void size_print(struct text *text, uint64_t bytes) {
    if (bytes == SIZE_NONE) {
        text_add(text, "max");
        return;
    }
    for (size_t i = 0; i < ELEMENTS(sizes); i++)
        if (bytes && bytes % sizes[i].factor == 0) {
            text_format(text, "%" PRIu64 "%s", bytes / sizes[i].factor, sizes[i].name);
            return;
        }
    text_format(text, "%" PRIu64, bytes);
}
