#include "units/base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_free(struct text *text) {
    free(text->data);
    *text = (struct text){0};
}

static bool reserve(struct text *text, size_t more) {
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity)
        return true;
    size_t capacity = text->capacity ? text->capacity : 64;
    while (capacity < needed)
        capacity *= 2;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_append(struct text *text, const char *bytes, size_t length) {
    if (!reserve(text, length))
        return;
    memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_add(struct text *text, const char *string) {
    text_append(text, string, strlen(string));
}

/* In one go where there is room, as nearly always. */
void text_format(struct text *text, const char *format, ...) {
    va_list arguments;
    size_t room = text->capacity - text->length;
    char *end = text->data ? text->data + text->length : NULL;
    va_start(arguments, format);
    int length = vsnprintf(end, room, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length >= room) {
        if (end)
            *end = '\0';
        if (!reserve(text, (size_t)length))
            return;
        va_start(arguments, format);
        length = vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    if (length < 0)
        text->failed = true;
    else
        text->length += (size_t)length;
}

/* Well-formed UTF-8 (RFC 3629) of at most four bytes; 0 where it is not, or ends too early. */
static size_t utf8_length(const unsigned char *at, size_t left) {
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (length > left)
        return 0;
    if (at[0] > 0xf4 || (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* C0 but newline and tab, DEL, C1. */
static bool is_control(const unsigned char *at, size_t length) {
    return (*at < 0x20 && *at != '\n' && *at != '\t') || *at == 0x7f ||
           (length == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

/* U+FDD0..U+FDEF and the last two of each plane: sd-bus takes a message with one for garbage. */
static bool is_noncharacter(const unsigned char *at, size_t length) {
    if (length == 3 && at[0] == 0xef)
        return (at[1] == 0xb7 && at[2] >= 0x90 && at[2] <= 0xaf) ||
               (at[1] == 0xbf && at[2] >= 0xbe);
    return length == 4 && (at[1] & 0x0f) == 0x0f && at[2] == 0xbf && at[3] >= 0xbe;
}

void text_add_clean(struct text *text, const char *string) {
    text_add_clean_bytes(text, string, strlen(string));
}

void text_add_clean_bytes(struct text *text, const char *bytes, size_t size) {
    const unsigned char *end = (const unsigned char *)bytes + size;

    for (const unsigned char *at = (const unsigned char *)bytes; at < end;) {
        size_t length = utf8_length(at, (size_t)(end - at));
        if (length == 0 || is_control(at, length) || is_noncharacter(at, length))
            text_add(text, REPLACEMENT);
        else
            text_append(text, (const char *)at, length);
        at += length ? length : 1;
    }
}

/* Whether it is what was given, no byte of which had to be replaced. */
static bool quoted(struct text *text, const char *string, size_t left) {
    bool exact = true;
    text_add(text, "\"");
    for (const unsigned char *at = (const unsigned char *)string; left > 0;) {
        size_t length = utf8_length(at, left);
        if (*at == '"' || *at == '\\')
            text_format(text, "\\%c", *at);
        else if (*at == '\n')
            text_add(text, "\\n");
        else if (*at == '\t')
            text_add(text, "\\t");
        else if (*at < 0x20 || *at == 0x7f)
            text_format(text, "\\u%04x", *at);
        else if (length == 0)
            text_add(text, REPLACEMENT);
        else if (is_control(at, length)) /* of 8 bits, U+0080 to U+009F: some terminals obey them */
            text_format(text, "\\u%04x", at[1]);
        else
            text_append(text, (const char *)at, length);
        exact = exact && length > 0;
        at += length ? length : 1;
        left -= length ? length : 1;
    }
    text_add(text, "\"");
    return exact;
}

/* RFC 4648. */
static void add_base64(struct text *text, const char *bytes, size_t length) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < length; at += 3) {
        unsigned group = 0;
        char four[] = "====";
        for (size_t i = 0; i < 3; i++)
            group = group << 8 | (at + i < length ? (unsigned char)bytes[at + i] : 0);
        for (size_t i = 0; i < 4 && at + i <= length; i++)
            four[i] = digits[group >> (18 - 6 * i) & 63];
        text_append(text, four, 4);
    }
}

static void lead(struct text *text, const char *key) {
    char last = text->length ? text->data[text->length - 1] : '\n';
    if (last != '{' && last != '[' && last != '\n')
        text_add(text, ",");
    if (key) {
        quoted(text, key, strlen(key));
        text_add(text, ":");
    }
}

void json_open(struct text *text, const char *key, char bracket) {
    lead(text, key);
    text_append(text, &bracket, 1);
}

void json_close(struct text *text, char bracket) {
    text_append(text, &bracket, 1);
}

void json_string(struct text *text, const char *key, const char *value) {
    lead(text, key);
    if (value)
        quoted(text, value, strlen(value));
    else
        text_add(text, "null");
}

void json_bytes(struct text *text, const char *key, const char *bytes, size_t length) {
    char exact[64];
    lead(text, key);
    if (quoted(text, bytes, length))
        return;
    snprintf(exact, sizeof exact, "%s_base64", key);
    lead(text, exact);
    text_add(text, "\"");
    add_base64(text, bytes, length);
    text_add(text, "\"");
}

void json_unsigned(struct text *text, const char *key, uint64_t value) {
    lead(text, key);
    text_format(text, "%" PRIu64, value);
}

void json_signed(struct text *text, const char *key, int64_t value) {
    lead(text, key);
    text_format(text, "%" PRId64, value);
}

void json_double(struct text *text, const char *key, double value) {
    lead(text, key);
    text_format(text, "%.9g", value);
}

void json_bool(struct text *text, const char *key, bool value) {
    lead(text, key);
    text_add(text, value ? "true" : "false");
}
