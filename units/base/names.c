#include "units/base/names.h"

#include <errno.h>
#include <string.h>

#define LONGEST_WORD 64 /* longer words are not compared: no name of ours is */

const char *names_word(const struct names *names, int value) {
    if (value < 0 || (size_t)value >= names->count || !names->items[value])
        return "?";
    return names->items[value];
}

int names_value(const struct names *names, const char *word) {
    for (size_t value = 0; value < names->count; value++)
        if (names->items[value] && strcmp(names->items[value], word) == 0)
            return (int)value;
    return -ENOENT;
}

bool names_contain(const char *const *words, const char *word) {
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Damerau's distance: letters changed, added, left out, or two neighbours swapped. */
static size_t distance(const char *from, size_t from_length, const char *to, size_t to_length) {
    size_t rows[3][LONGEST_WORD + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t column = 0; column <= to_length; column++)
        above[column] = column;
    for (size_t line = 1; line <= from_length; line++) {
        row[0] = line;
        for (size_t column = 1; column <= to_length; column++) {
            size_t changed = above[column - 1] + (from[line - 1] != to[column - 1]);
            row[column] = least(changed, least(above[column], row[column - 1]) + 1);
            if (line > 1 && column > 1 && from[line - 1] == to[column - 2] &&
                from[line - 2] == to[column - 1])
                row[column] = least(row[column], before[column - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[to_length];
}

const char *names_nearest(const char *word, const char *const *candidates, size_t count) {
    size_t length = strlen(word);
    const char *nearest = NULL;
    size_t best = LONGEST_WORD;

    if (length == 0 || length > LONGEST_WORD)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = candidates[i] ? strlen(candidates[i]) : 0;
        if (other == 0 || other > LONGEST_WORD)
            continue;
        size_t away = distance(word, length, candidates[i], other);
        size_t allowed = (other > length ? other : length) / 3;
        if (away <= (allowed ? allowed : 1) && away < best) {
            best = away;
            nearest = candidates[i];
        }
    }
    return nearest;
}
