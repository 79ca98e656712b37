#pragma once
/* What is saved of a sandbox or a run: one line of "key=value" with blanks between them, in any
 * order. Readers skip the keys that they do not know, so that versions may differ. */

#include <stddef.h>
#include <stdint.h>

struct text;

/* " KEY=VALUE", where blanks, '%' and what is not printable are written as %XX. */
void words_add(struct text *words, const char *key, const char *value);

/* The value, decoded. -ENOENT where there is no such key, -EINVAL where the value is malformed or
 * has not room. */
int words_find(const char *words, const char *key, char *ret_value, size_t size);
/* The same for a value of any length; the caller frees it. */
int words_copy(const char *words, const char *key, char **ret_value);
int words_number(const char *words, const char *key, uint64_t *ret_value);
