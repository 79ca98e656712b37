#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/expand.h"
#include "units/kinds.h"
#include "units/loading.h"

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
        loading_complain(loading, node->value,
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
            loading_complain(loading, node->value,
                             "%s: %.*s does not fit into the 32 bits of an integer; write it as a "
                             "string: \"%s\"",
                             loading->title, length, text, fix.data);
        else
            loading_complain(loading, node->value,
                             "%s: %.*s does not fit into the 32 bits of an integer", loading->title,
                             length, text);
        text_free(&fix);
        return -ERANGE;
    }
    snprintf(ret_text, size, "%lld", value);
    return 0;
}

static void wrong_type(struct loading *loading, const struct key *key, size_t offset) {
    loading_complain(loading, offset, "%s: wrong type: it is a %s; write %s", loading->title,
                     key->kind->name, key->kind->example);
}

/* An example is one of an item, unless it shows the brackets itself. */
static void not_a_list(struct loading *loading, const struct key *key, const struct node *node) {
    scoped_text struct text fix = {0};
    if (strchr("[(", key->kind->example[0])) {
        wrong_type(loading, key, node->value);
        return;
    }
    int type = config_setting_type(node->setting);
    if (type == CONFIG_TYPE_STRING)
        kind_quote(&fix, config_setting_get_string(node->setting));
    else if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
        text_format(&fix, "\"%.*s\"", (int)node->length, loading->source->data + node->value);
    if (fix.data)
        loading_complain(loading, node->value, "%s: wrong type: it is a list; write [ %s ]",
                         loading->title, fix.data);
    else
        loading_complain(loading, node->value,
                         "%s: wrong type: it is a list, each item a %s; write [ ... ]",
                         loading->title, key->kind->name);
}

/* Brings a scalar of any type to text, and gives it to the kind. */
static int value_parse(struct loading *loading, const struct key *key, size_t number,
                       void *target) {
    const struct node *node = loading_node(loading, number);
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
        loading_complain(loading, node->value, "%s: %s", loading->title, fault.text);
    return error;
}

static bool is_list(const struct node *node) {
    int type = config_setting_type(node->setting);
    return type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST;
}

static int items_parse(struct loading *loading, const struct key *key, size_t parent,
                       void *target) {
    int error = 0;
    for (size_t i = parent + 1; i < loading_node(loading, parent)->end;
         i = loading_node(loading, i)->end) {
        int failed = value_parse(loading, key, i, target);
        error = error ? error : failed;
    }
    return error;
}

static int commands_parse(struct loading *loading, const struct key *key, size_t parent,
                          void *target) {
    int error = 0;
    for (size_t i = parent + 1; i < loading_node(loading, parent)->end;
         i = loading_node(loading, i)->end) {
        if (!is_list(loading_node(loading, i)) || loading_node(loading, i)->end == i + 1) {
            wrong_type(loading, key, loading_node(loading, i)->value);
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
        loading_complain(loading, loading_node(loading, number)->name,
                         "%s: not supported by this version", loading->title);
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
    const struct node *node = loading_node(loading, number);
    int error;

    if (key->kind->free)
        key->kind->free(target);
    key->kind->reset(target);
    if (origin_add(loading, key, number) < 0) {
        loading_complain(loading, node->name, "%s: out of memory", loading->title);
        return;
    }
    if (key->kind->shape == SHAPE_SCALAR) {
        error = value_parse(loading, key, number, target);
    } else if (!is_list(node)) {
        not_a_list(loading, key, node);
        error = -EINVAL;
    } else {
        /* An empty list is given, and empty: "no capability" is not "the usual ones". */
        if (key->kind == &kind_capability_set)
            *(uint64_t *)target = 0;
        error = key->kind->shape == SHAPE_ARRAY ? items_parse(loading, key, number, target)
                                                : commands_parse(loading, key, number, target);
    }
    if (error) {
        loading_doubt_key(loading, loading->section, key);
        /* What is complained about and used all the same, as the host's file is, is sound. */
        if (key->kind->free)
            key->kind->free(target);
        key_reset(key, target);
    } else if (key->flags & KEY_LATER)
        later_check(loading, key, number, target);
}

/* ---- sections ---- */

static void list_load(struct loading *loading, const struct section *section, size_t number,
                      void *base);

static void group_load(struct loading *loading, size_t parent, const char *prefix, void *base) {
    const struct section *section = loading->section;
    for (size_t i = parent + 1; i < loading_node(loading, parent)->end;
         i = loading_node(loading, i)->end) {
        const char *name = config_setting_name(loading_node(loading, i)->setting);
        snprintf(loading->title, sizeof(loading->title), "%s.%s", prefix, name);
        const struct key *key = key_find(section, name);
        const struct section *inner = key ? NULL : section_find(loading->table, loading->title);
        if (inner) {
            list_load(loading, inner, i, base);
            loading->section = section;
        } else if (key) {
            key_load(loading, key, i, (char *)base + key->offset);
        } else {
            loading_unknown_key(loading, name, loading_node(loading, i)->name);
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
        loading_complain(loading, loading_node(loading, group)->value,
                         "%s[%zu].%s: required, and not given", section->name, item, key->name);
        loading_doubt_section(loading, section);
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
    const struct node *node = loading_node(loading, number);
    struct section_list *list = (void *)((char *)base + section->list_offset);
    if (config_setting_type(node->setting) != CONFIG_TYPE_LIST) {
        loading_complain(loading, node->value,
                         "%s: wrong type: it is a list of groups; write %s = ( { ... }, { ... } );",
                         section->name, section->name);
        loading_doubt_section(loading, section);
        return;
    }
    loading->section = section;
    loading->first_item = list->count;
    loading->dropped = 0;
    for (size_t i = number + 1; i < node->end; i = loading_node(loading, i)->end) {
        if (!config_setting_is_group(loading_node(loading, i)->setting)) {
            loading_complain(loading, loading_node(loading, i)->value,
                             "%s: an item is not a group; write %s = ( { ... }, { ... } );",
                             section->name, section->name);
            loading_doubt_section(loading, section);
            continue;
        }
        if (element_load(loading, i, list) < 0)
            loading_complain(loading, loading_node(loading, i)->value, "%s: out of memory",
                             section->name);
    }
    loading->item = 0;
}

static void section_load(struct loading *loading, size_t number, void *base) {
    const struct node *node = loading_node(loading, number);
    const char *name = config_setting_name(node->setting);
    const struct section *section = section_find(loading->table, name);
    if (!section) {
        loading_unknown_section(loading, number);
        return;
    }
    if (section->element_size) {
        list_load(loading, section, number, base);
        return;
    }
    if (!config_setting_is_group(node->setting)) {
        loading_complain(loading, node->value, "%s: wrong type: it is a group; write %s = { ... };",
                         name, name);
        loading_doubt_section(loading, section);
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
