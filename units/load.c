#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/draft.h"
#include "units/expand.h"
#include "units/kinds.h"

/* One file's part of a unit, or of the manager's settings. */
struct loading {
    const struct section_table *table;
    const struct source *source;
    struct complaints *complaints;
    const struct specifiers *specifiers; /* NULL: strings are taken as they are */
    struct draft *draft;                 /* NULL: no origins are kept */
    enum layer layer;
    const struct section *section;
    size_t item;       /* of a list section */
    size_t first_item; /* of this file: earlier ones are of earlier files */
    size_t dropped;    /* items of this list */
    char title[160];   /* "service.exec", "mounts[0].target" */
};

static void complain_at(struct loading *loading, size_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void complain_at(struct loading *loading, size_t offset, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    source_complain_list(loading->source, loading->complaints, offset, format, arguments);
    va_end(arguments);
}

static const struct node *node_at(const struct loading *loading, size_t number) {
    return &loading->source->nodes[number];
}

/* ---- what was not understood ---- */

static void doubt_section(struct loading *loading, const struct section *section) {
    if (loading->draft)
        loading->draft->sections_doubted |= 1u << (section - loading->table->sections);
}

static void doubt_key(struct loading *loading, const struct section *section,
                      const struct key *key) {
    if (section->element_size)
        doubt_section(loading, section);
    else if (loading->draft) {
        size_t row = key_row(loading->table, key);
        loading->draft->keys_doubted[row / 64] |= 1ULL << row % 64;
    }
}

/* ---- one value ---- */

/* An integer's own text: libconfig 1.5 wraps it at 32 bits, and takes 0755 for 755. */
static int integer_text(struct loading *loading, const struct key *key, const struct node *node,
                        char *ret_text, size_t size) {
    const char *text = loading->source->data + node->value;
    int length = (int)node->length;
    size_t sign = text[0] == '-' || text[0] == '+';
    bool hexadecimal = length > 2 && tolower((unsigned char)text[1]) == 'x';
    bool wide = toupper((unsigned char)text[length - 1]) == 'L';

    if (!hexadecimal && text[sign] == '0' && isdigit((unsigned char)text[sign + 1])) {
        complain_at(loading, node->value,
                    "%s: %.*s is not octal here, but decimal; write \"%.*s\" in quotes",
                    loading->title, length, text, length, text);
        return -EINVAL;
    }
    errno = 0;
    long long value = strtoll(text, NULL, hexadecimal ? 16 : 10);
    if (errno == ERANGE || (!wide && (value > INT32_MAX || value < INT32_MIN))) {
        struct text fix = {0};
        if (key->kind == &kind_size && errno == 0 && value > 0)
            size_print(&fix, (uint64_t)value);
        if (fix.length)
            complain_at(loading, node->value,
                        "%s: %.*s does not fit into the 32 bits of an integer; write it as a "
                        "string: \"%s\"",
                        loading->title, length, text, fix.data);
        else
            complain_at(loading, node->value,
                        "%s: %.*s does not fit into the 32 bits of an integer", loading->title,
                        length, text);
        text_free(&fix);
        return -ERANGE;
    }
    snprintf(ret_text, size, "%lld", value);
    return 0;
}

static void wrong_type(struct loading *loading, const struct key *key, size_t offset) {
    complain_at(loading, offset, "%s: wrong type: it is a %s; write %s", loading->title,
                key->kind->name, key->kind->example);
}

/* Brings a scalar of any type to text, and gives it to the kind. */
static int value_parse(struct loading *loading, const struct key *key, size_t number,
                       void *target) {
    const struct node *node = node_at(loading, number);
    int type = config_setting_type(node->setting);
    unsigned written = key->kind->written;
    char digits[64];
    scoped_text struct text expanded = {0};
    const char *text = digits;
    struct fault fault = {""};
    int error = 0;

    if (type == CONFIG_TYPE_STRING && written & WRITTEN_STRING) {
        text = config_setting_get_string(node->setting);
        if (loading->specifiers) {
            error = expand(text, loading->specifiers, &expanded, &fault);
            text = expanded.data ? expanded.data : "";
        }
    } else if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) &&
               (written & (WRITTEN_INTEGER | WRITTEN_FLOAT) || key->kind == &kind_mode)) {
        error = integer_text(loading, key, node, digits, sizeof(digits));
        if (error)
            return error;
        if (!(written & (WRITTEN_INTEGER | WRITTEN_FLOAT))) {
            wrong_type(loading, key, node->value);
            return -EINVAL;
        }
    } else if (type == CONFIG_TYPE_FLOAT && written & WRITTEN_FLOAT && node->length < 60) {
        snprintf(digits, sizeof(digits), "%.*s", (int)node->length,
                 loading->source->data + node->value);
    } else if (type == CONFIG_TYPE_BOOL && written & WRITTEN_BOOL) {
        text = config_setting_get_bool(node->setting) ? "true" : "false";
    } else {
        wrong_type(loading, key, node->value);
        return -EINVAL;
    }
    if (!error)
        error = key->kind->parse(key, text, target, &fault);
    if (error)
        complain_at(loading, node->value, "%s: %s", loading->title, fault.text);
    return error;
}

static bool is_list(const struct node *node) {
    int type = config_setting_type(node->setting);
    return type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST;
}

static int items_parse(struct loading *loading, const struct key *key, size_t parent,
                       void *target) {
    int error = 0;
    for (size_t i = parent + 1; i < node_at(loading, parent)->end; i = node_at(loading, i)->end) {
        int failed = value_parse(loading, key, i, target);
        error = error ? error : failed;
    }
    return error;
}

static int commands_parse(struct loading *loading, const struct key *key, size_t parent,
                          void *target) {
    int error = 0;
    for (size_t i = parent + 1; i < node_at(loading, parent)->end; i = node_at(loading, i)->end) {
        if (!is_list(node_at(loading, i)) || node_at(loading, i)->end == i + 1) {
            wrong_type(loading, key, node_at(loading, i)->value);
            return -EINVAL;
        }
        key->kind->begin(target);
        int failed = items_parse(loading, key, i, target);
        error = error ? error : failed;
    }
    return error;
}

/* A key that this version has not got may still say what holds anyway. */
static void later_check(struct loading *loading, const struct key *key, size_t number,
                        const void *target) {
    if (!key->fallback || !key_is_usual(key, target))
        complain_at(loading, node_at(loading, number)->name, "%s: not supported by this version",
                    loading->title);
}

static int origin_add(struct loading *loading, const struct key *key, size_t number) {
    struct draft *draft = loading->draft;
    if (!draft)
        return 0;
    size_t row = key_row(loading->table, key);
    /* Grown by doubling: the count is a power of two when it is full. */
    size_t count = draft->origin_count;
    if ((count & (count - 1)) == 0 || count == 0) {
        struct origin *origins =
            reallocarray(draft->origins, count ? count * 2 : 8, sizeof(*origins));
        if (!origins)
            return -ENOMEM;
        draft->origins = origins;
    }
    draft->origins[draft->origin_count++] = (struct origin){
        .source = loading->source,
        .layer = loading->layer,
        .node = (uint32_t)number,
        .row = (uint16_t)row,
        .item = (uint16_t)loading->item,
    };
    draft->unit->given[row / 64] |= 1ULL << row % 64;
    return 0;
}

static void key_load(struct loading *loading, const struct key *key, size_t number, void *target) {
    const struct node *node = node_at(loading, number);
    int error;

    if (key->kind->free)
        key->kind->free(target);
    key->kind->reset(target);
    if (origin_add(loading, key, number) < 0) {
        complain_at(loading, node->name, "%s: out of memory", loading->title);
        return;
    }
    if (key->kind->shape == SHAPE_SCALAR) {
        error = value_parse(loading, key, number, target);
    } else if (!is_list(node)) {
        wrong_type(loading, key, node->value);
        error = -EINVAL;
    } else {
        /* An empty list is given, and empty: "no capability" is not "the usual ones". */
        if (key->kind == &kind_capability_set)
            *(uint64_t *)target = 0;
        error = key->kind->shape == SHAPE_ARRAY ? items_parse(loading, key, number, target)
                                                : commands_parse(loading, key, number, target);
    }
    if (error) {
        doubt_key(loading, loading->section, key);
        /* What is complained about and used all the same, as the host's file is, is sound. */
        if (key->kind->free)
            key->kind->free(target);
        key_reset(key, target);
    } else if (key->flags & KEY_LATER)
        later_check(loading, key, number, target);
}

/* ---- sections ---- */

/* The key that was probably meant: of this section, or of another one. */
static void unknown_key(struct loading *loading, const char *name, size_t offset) {
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
        complain_at(loading, offset, "%s: no such key; did you mean \"%s\"?", loading->title,
                    nearest);
        const struct key *key = key_find(section, nearest);
        if (key)
            doubt_key(loading, section, key);
        return;
    }
    for (size_t i = 0; i < loading->table->count; i++) {
        const struct section *other = &loading->table->sections[i];
        const struct key *key = other == section ? NULL : key_find(other, name);
        if (!key)
            continue;
        complain_at(loading, offset, "%s: no such key; it belongs into \"%s\"", loading->title,
                    other->name);
        doubt_key(loading, other, key);
        return;
    }
    doubt_section(loading, section);
    complain_at(loading, offset, "%s: no such key; \"ringfence describe %s\" lists them",
                loading->title, section->name);
}

/* The section that knows one of the keys which stand in an unknown one, with that key. */
static const struct section *home_of_keys(const struct loading *loading, size_t number,
                                          const char **ret_key) {
    const struct section_table *table = loading->table;
    for (size_t i = number + 1; i < node_at(loading, number)->end; i = node_at(loading, i)->end) {
        const char *key = config_setting_name(node_at(loading, i)->setting);
        for (size_t j = 0; key && j < table->count; j++)
            if (key_find(&table->sections[j], key)) {
                *ret_key = key;
                return &table->sections[j];
            }
    }
    return NULL;
}

static void unknown_section(struct loading *loading, size_t number) {
    const struct section_table *table = loading->table;
    const char *name = config_setting_name(node_at(loading, number)->setting), *key = NULL;
    size_t offset = node_at(loading, number)->name;
    const char *names[32];
    size_t count = 0;
    for (; count < table->count; count++)
        names[count] = table->sections[count].name;
    const char *nearest = names_nearest(name, names, count);
    for (size_t i = 0; i < table->count && !nearest; i++)
        if (key_find(&table->sections[i], name)) {
            complain_at(loading, offset,
                        "\"%s\" is no section, but a key of \"%s\": write %s = { %s = ...; };",
                        name, names[i], names[i], name);
            doubt_section(loading, &table->sections[i]);
            return;
        }
    const struct section *meant =
        nearest ? section_find(table, nearest) : home_of_keys(loading, number, &key);
    for (size_t i = 0; i < table->count; i++)
        if (!meant || meant == &table->sections[i])
            doubt_section(loading, &table->sections[i]);
    if (nearest)
        complain_at(loading, offset, "\"%s\" is no section; did you mean \"%s\"?", name, nearest);
    else if (meant)
        complain_at(loading, offset, "\"%s\" is no section; \"%s\" belongs into \"%s\"", name, key,
                    meant->name);
    else
        complain_at(loading, offset, "\"%s\" is no section; \"ringfence describe\" lists them",
                    name);
}

static void list_load(struct loading *loading, const struct section *section, size_t number,
                      void *base);

static void group_load(struct loading *loading, size_t parent, const char *prefix, void *base) {
    const struct section *section = loading->section;
    for (size_t i = parent + 1; i < node_at(loading, parent)->end; i = node_at(loading, i)->end) {
        const char *name = config_setting_name(node_at(loading, i)->setting);
        snprintf(loading->title, sizeof(loading->title), "%s.%s", prefix, name);
        const struct key *key = key_find(section, name);
        const struct section *inner = key ? NULL : section_find(loading->table, loading->title);
        if (inner) {
            list_load(loading, inner, i, base);
            loading->section = section;
        } else if (key) {
            key_load(loading, key, i, (char *)base + key->offset);
        } else {
            unknown_key(loading, name, node_at(loading, i)->name);
        }
    }
}

/* Whether the element has all that one cannot do without. */
static bool required_check(struct loading *loading, size_t group, size_t item,
                           const char *element) {
    const struct section *section = loading->section;
    bool whole = true;
    for (size_t i = 0; i < section->count; i++) {
        const struct key *key = &section->keys[i];
        if (!(key->flags & KEY_REQUIRED))
            continue;
        whole &= !key_is_usual(key, element + key->offset);
        if (source_member(loading->source, group, key->name))
            continue;
        complain_at(loading, node_at(loading, group)->value, "%s[%zu].%s: required, and not given",
                    section->name, item, key->name);
        doubt_section(loading, section);
    }
    return whole;
}

/* The element of an earlier file with the same identity, or the count of all. */
static size_t earlier_item(const struct loading *loading, const struct section_list *list,
                           const void *element) {
    const struct section *section = loading->section;
    for (size_t i = 0; i < section->count; i++) {
        const struct key *key = &section->keys[i];
        if (!(key->flags & KEY_IDENTITY))
            continue;
        const char *identity = *(char *const *)((const char *)element + key->offset);
        for (size_t item = 0; item < loading->first_item && identity; item++) {
            const char *other =
                *(char *const *)((char *)list->items + item * section->element_size + key->offset);
            if (other && strcmp(other, identity) == 0)
                return item;
        }
    }
    return list->count;
}

static int element_load(struct loading *loading, size_t group, struct section_list *list) {
    const struct section *section = loading->section;
    size_t size = section->element_size;
    size_t origins = loading->draft ? loading->draft->origin_count : 0;
    char prefix[64];
    void *items = reallocarray(list->items, list->count + 1, size);
    if (!items)
        return -ENOMEM;
    list->items = items;
    char *element = (char *)items + list->count * size;
    memset(element, 0, size);
    keys_reset(section, element);
    loading->item = list->count;
    snprintf(prefix, sizeof(prefix), "%s[%zu]", section->name, list->count + loading->dropped);
    group_load(loading, group, prefix, element);
    /* What the host's file got wrong is told there, and makes no unit invalid. */
    if (!required_check(loading, group, list->count + loading->dropped, element) &&
        loading->draft && loading->layer == LAYER_DEFAULTS) {
        keys_free(section, element);
        loading->draft->origin_count = origins;
        loading->dropped++;
        return 0;
    }

    size_t item = earlier_item(loading, list, element);
    if (item == list->count) {
        list->count++;
        return 0;
    }
    keys_free(section, (char *)items + item * size);
    memcpy((char *)items + item * size, element, size);
    for (size_t i = origins; loading->draft && i < loading->draft->origin_count; i++)
        loading->draft->origins[i].item = (uint16_t)item;
    return 0;
}

static void list_load(struct loading *loading, const struct section *section, size_t number,
                      void *base) {
    const struct node *node = node_at(loading, number);
    struct section_list *list = (void *)((char *)base + section->list_offset);
    if (config_setting_type(node->setting) != CONFIG_TYPE_LIST) {
        complain_at(loading, node->value,
                    "%s: wrong type: it is a list of groups; write %s = ( { ... }, { ... } );",
                    section->name, section->name);
        doubt_section(loading, section);
        return;
    }
    loading->section = section;
    loading->first_item = list->count;
    loading->dropped = 0;
    for (size_t i = number + 1; i < node->end; i = node_at(loading, i)->end) {
        if (!config_setting_is_group(node_at(loading, i)->setting)) {
            complain_at(loading, node_at(loading, i)->value,
                        "%s: an item is not a group; write %s = ( { ... }, { ... } );",
                        section->name, section->name);
            doubt_section(loading, section);
            continue;
        }
        if (element_load(loading, i, list) < 0)
            complain_at(loading, node_at(loading, i)->value, "%s: out of memory", section->name);
    }
    loading->item = 0;
}

static void section_load(struct loading *loading, size_t number, void *base) {
    const struct node *node = node_at(loading, number);
    const char *name = config_setting_name(node->setting);
    const struct section *section = section_find(loading->table, name);
    if (!section) {
        unknown_section(loading, number);
        return;
    }
    if (section->element_size) {
        list_load(loading, section, number, base);
        return;
    }
    if (!config_setting_is_group(node->setting)) {
        complain_at(loading, node->value, "%s: wrong type: it is a group; write %s = { ... };",
                    name, name);
        doubt_section(loading, section);
        return;
    }
    loading->section = section;
    group_load(loading, number, section->name, base);
}

void draft_apply(struct draft *draft, const struct source *source, size_t root, enum layer layer,
                 struct complaints *complaints) {
    struct loading loading = {
        .table = &unit_sections,
        .source = source,
        .complaints = complaints,
        .specifiers = &draft->specifiers,
        .draft = draft,
        .layer = layer,
    };
    for (size_t i = root + 1; i < source->nodes[root].end; i = source->nodes[i].end) {
        const struct section *section =
            section_find(&unit_sections, config_setting_name(source->nodes[i].setting));
        if (section && layer == LAYER_FILE)
            draft->sections_given |= 1u << (section - unit_sections.sections);
        section_load(&loading, i, draft->unit);
    }
}

void settings_apply(struct manager_settings *settings, const struct source *source, size_t group,
                    struct complaints *complaints) {
    struct loading loading = {
        .table = &manager_sections,
        .source = source,
        .complaints = complaints,
    };
    section_load(&loading, group, settings);
}
