#include <string.h>

#include "units/base/names.h"
#include "units/kinds.h"
#include "units/loading.h"

void loading_complain(struct loading *loading, size_t offset, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    source_complain_list(loading->source, loading->complaints, offset, format, arguments);
    va_end(arguments);
}

/* ---- what was not understood ---- */

void loading_doubt_section(struct loading *loading, const struct section *section) {
    if (loading->draft)
        loading->draft->sections_doubted |= 1u << (section - loading->table->sections);
}

void loading_doubt_key(struct loading *loading, const struct section *section,
                       const struct key *key) {
    if (section->element_size)
        loading_doubt_section(loading, section);
    else if (loading->draft) {
        size_t row = key_row(loading->table, key);
        loading->draft->keys_doubted[row / 64] |= 1ULL << row % 64;
    }
}

/* ---- names that mean nothing ---- */

/* The key that was probably meant: of this section, or of another one. */
void loading_unknown_key(struct loading *loading, const char *name, size_t offset) {
    const struct section *section = loading->section;
    const char *names[UNIT_KEYS_MAX];
    size_t count = 0, length = strlen(section->name);
    for (; count < section->count; count++)
        names[count] = section->keys[count].name;
    for (size_t i = 0; i < loading->table->count; i++) { /* a list inside it is named like a key */
        const char *inner = loading->table->sections[i].name;
        if (strncmp(inner, section->name, length) == 0 && inner[length] == '.')
            names[count++] = inner + length + 1;
    }
    const char *nearest = names_nearest(name, names, count);
    if (nearest) {
        loading_complain(loading, offset, "%s: no such key; did you mean \"%s\"?", loading->title,
                         nearest);
        const struct key *key = key_find(section, nearest);
        if (key)
            loading_doubt_key(loading, section, key);
        return;
    }
    for (size_t i = 0; i < loading->table->count; i++) {
        const struct section *other = &loading->table->sections[i];
        const struct key *key = other == section ? NULL : key_find(other, name);
        if (!key)
            continue;
        loading_complain(loading, offset, "%s: no such key; it belongs into \"%s\"", loading->title,
                         other->name);
        loading_doubt_key(loading, other, key);
        return;
    }
    loading_doubt_section(loading, section);
    loading_complain(loading, offset, "%s: no such key; \"ringfence describe %s\" lists them",
                     loading->title, section->name);
}

/* The section that knows one of the keys which stand in an unknown one, with that key. */
static const struct section *home_of_keys(const struct loading *loading, size_t number,
                                          const char **ret_key) {
    const struct section_table *table = loading->table;
    for (size_t i = number + 1; i < loading_node(loading, number)->end;
         i = loading_node(loading, i)->end) {
        const char *key = config_setting_name(loading_node(loading, i)->setting);
        for (size_t j = 0; key && j < table->count; j++)
            if (key_find(&table->sections[j], key)) {
                *ret_key = key;
                return &table->sections[j];
            }
    }
    return NULL;
}

void loading_unknown_section(struct loading *loading, size_t number) {
    const struct section_table *table = loading->table;
    const char *name = config_setting_name(loading_node(loading, number)->setting), *key = NULL;
    size_t offset = loading_node(loading, number)->name;
    const char *names[32];
    size_t count = 0;
    for (; count < table->count; count++)
        names[count] = table->sections[count].name;
    const char *nearest = names_nearest(name, names, count);
    for (size_t i = 0; i < table->count && !nearest; i++)
        if (key_find(&table->sections[i], name)) {
            loading_complain(loading, offset,
                             "\"%s\" is no section, but a key of \"%s\": write %s = { %s = ...; };",
                             name, names[i], names[i], name);
            loading_doubt_section(loading, &table->sections[i]);
            return;
        }
    const struct section *meant =
        nearest ? section_find(table, nearest) : home_of_keys(loading, number, &key);
    for (size_t i = 0; i < table->count; i++)
        if (!meant || meant == &table->sections[i])
            loading_doubt_section(loading, &table->sections[i]);
    if (nearest)
        loading_complain(loading, offset, "\"%s\" is no section; did you mean \"%s\"?", name,
                         nearest);
    else if (meant)
        loading_complain(loading, offset, "\"%s\" is no section; \"%s\" belongs into \"%s\"", name,
                         key, meant->name);
    else
        loading_complain(loading, offset, "\"%s\" is no section; \"ringfence describe\" lists them",
                         name);
}
