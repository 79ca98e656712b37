#pragma once
/* A text that grows, and JSON written into it. Whoever prints more than a line uses it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is empty. After a failed allocation it stays as it was and `failed` is set,
 * so that a writer checks once, at the end. data is NUL-terminated, or NULL while empty. */
struct text {
    char *data;
    size_t length, capacity;
    bool failed;
};

void text_free(struct text *text);
void text_append(struct text *text, const char *bytes, size_t length);
void text_add(struct text *text, const char *string);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A string of somebody else's: what is not UTF-8, noncharacters, and control characters but
 * newline and tab come as U+FFFD, so that it neither breaks a message nor steers a terminal. */
void text_add_clean(struct text *text, const char *string);
void text_add_clean_bytes(struct text *text, const char *bytes, size_t size); /* NUL is one, too */

/* JSON (RFC 8259): a separator is written where one is needed. Keys may be NULL inside arrays.
 *     json_open(text, NULL, '{'); json_string(text, "name", "web"); json_close(text, '}'); */
void json_open(struct text *text, const char *key, char bracket);
void json_close(struct text *text, char bracket);
void json_string(struct text *text, const char *key, const char *value); /* NULL: null */
/* What is no UTF-8 is replaced in it, and follows exactly as KEY_base64 (RFC 4648). */
void json_bytes(struct text *text, const char *key, const char *bytes, size_t length);
void json_unsigned(struct text *text, const char *key, uint64_t value);
void json_signed(struct text *text, const char *key, int64_t value);
void json_double(struct text *text, const char *key, double value);
void json_bool(struct text *text, const char *key, bool value);

#define scoped_text __attribute__((cleanup(text_free)))
