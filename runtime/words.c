#include "runtime/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

static bool is_plain(unsigned char byte) {
    return byte > ' ' && byte < 0x7f && byte != '%';
}

void words_add(struct text *words, const char *key, const char *value) {
    text_append(words, " ", 1);
    text_add(words, key);
    text_append(words, "=", 1);
    while (*value) {
        size_t plain = 0;
        while (is_plain((unsigned char)value[plain]))
            plain++;
        text_append(words, value, plain);
        value += plain;
        if (*value)
            text_format(words, "%%%02X", (unsigned char)*value++);
    }
}

/* The value as it is written; its length. */
static const char *find(const char *words, const char *key, size_t *ret_length) {
    size_t length = strlen(key);
    for (const char *at = words + strspn(words, " \n"); *at; at += strspn(at, " \n")) {
        size_t word = strcspn(at, " \n");
        if (word > length && memcmp(at, key, length) == 0 && at[length] == '=') {
            *ret_length = word - length - 1;
            return at + length + 1;
        }
        at += word;
    }
    return NULL;
}

static int digit(char byte) {
    static const char digits[] = "0123456789ABCDEF";
    const char *at = byte ? strchr(digits, byte) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Of at most `length` bytes and a NUL. */
static int decode(const char *value, size_t length, char *ret_value) {
    const char *end = value + length;
    while (value < end) {
        if (*value != '%') {
            *ret_value++ = *value++;
            continue;
        }
        int high = end - value > 2 ? digit(value[1]) : -1;
        int low = end - value > 2 ? digit(value[2]) : -1;
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return -EINVAL;
        *ret_value++ = (char)(high << 4 | low);
        value += 3;
    }
    *ret_value = '\0';
    return 0;
}

int words_copy(const char *words, const char *key, char **ret_value) {
    size_t length;
    const char *value = find(words, key, &length);
    if (!value)
        return -ENOENT;
    scoped_free char *copy = malloc(length + 1);
    if (!copy)
        return -ENOMEM;
    int error = decode(value, length, copy);
    if (error)
        return error;
    *ret_value = take(copy);
    return 0;
}

int words_find(const char *words, const char *key, char *ret_value, size_t size) {
    scoped_free char *value = NULL;
    int error = words_copy(words, key, &value);
    if (error)
        return error;
    if (strlen(value) >= size)
        return -EINVAL;
    memcpy(ret_value, value, strlen(value) + 1);
    return 0;
}

int words_number(const char *words, const char *key, uint64_t *ret_value) {
    char value[24];
    int error = words_find(words, key, value, sizeof value);
    if (!error && number_parse(value, ret_value) < 0)
        error = -EINVAL;
    return error;
}
