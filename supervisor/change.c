#include "supervisor/change.h"

#include <string.h>

#include "supervisor/manager-private.h"
#include "units/base/text.h"
#include "units/keys.h"

/* Each key with its value, each ended by a NUL, in the table's order. */
static void collect(void *context, const char *key, const char *value, bool given) {
    struct text *text = context;
    (void)given;
    text_append(text, key, strlen(key) + 1);
    text_append(text, value, strlen(value) + 1);
}

/* Walks the pairs of a collection: the next key behind this one, NULL at the end. */
static const char *value_of(const char *key) {
    return key + strlen(key) + 1;
}

static const char *next_key(const struct text *text, const char *key) {
    const char *next = key ? value_of(key) + strlen(value_of(key)) + 1 : text->data;
    return next && next < text->data + text->length ? next : NULL;
}

/* The value of a key, which is not there where it is one of a group that the other version has not
 * got. */
static const char *find_value(const struct text *text, const char *wanted) {
    for (const char *key = NULL; (key = next_key(text, key));)
        if (strcmp(key, wanted) == 0)
            return value_of(key);
    return NULL;
}

struct difference {
    struct text *text;
    char last[160];
    bool live;
};

/* A list of groups is named once, whatever is different in it. */
static void note(struct difference *difference, const char *key) {
    size_t length = strcspn(key, "[");
    difference->live &= key_is_live(key);
    if (length >= sizeof(difference->last))
        return;
    if (strlen(difference->last) == length && strncmp(difference->last, key, length) == 0)
        return;
    memcpy(difference->last, key, length);
    difference->last[length] = '\0';
    text_format(difference->text, "%s%s", difference->text->length ? ", " : "", difference->last);
}

void unit_changes(const struct unit *before, const struct unit *now, struct text *text,
                  bool *ret_live) {
    scoped_text struct text old = {0}, new = {0};
    struct difference difference = {.text = text, .live = true};
    if (unit_digest(before) == unit_digest(now))
        return;
    keys_visit(before, collect, &old);
    keys_visit(now, collect, &new);
    text->failed |= old.failed || new.failed;
    for (const char *key = NULL; (key = next_key(&old, key));) {
        const char *value = find_value(&new, key);
        if (!value || strcmp(value, value_of(key)) != 0)
            note(&difference, key);
    }
    for (const char *key = NULL; (key = next_key(&new, key));)
        if (!find_value(&old, key))
            note(&difference, key);
    *ret_live = difference.live;
}
