#pragma once
/* Words for the values of an enum, and the nearest word to one that is wrong. */

#include <stdbool.h>
#include <stddef.h>

/* items[value] is the word; an enum's table is tied to its last value by static_assert. */
struct names {
    const char *const *items;
    size_t count;
};

#define NAMES(table)                                                                               \
    { (table), sizeof(table) / sizeof((table)[0]) }

/* The word for value, or "?" where there is none. */
const char *names_word(const struct names *names, int value);

/* The value of a word, or -ENOENT. */
int names_value(const struct names *names, const char *word);

/* Whether the word is one of a list that ends with NULL. */
bool names_contain(const char *const *words, const char *word);

/* The candidate that a person most likely meant (at most a third of its letters changed, added,
 * left out or swapped), or NULL. */
const char *names_nearest(const char *word, const char *const *candidates, size_t count);
