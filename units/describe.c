#include "units/describe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/base/text.h"
#include "units/draft.h"
#include "units/kinds.h"

#define WIDTH 80

/* What no row can say: how files become units. Keys are described by their rows alone. */
static const char *const manual[] = {
    "A unit is one file, NAME.unit, in libconfig syntax: sections of keys, as in\n"
    "section = { key = \"value\"; };",
    "Directories, the first that has the file wins: /etc/ringfence/units, /run/ringfence/units, "
    "/usr/lib/ringfence/units. An empty file, or a link to /dev/null, masks the unit in the later "
    "ones. Any other link is followed: what counts is the file that it leads to. Files and their "
    "directories must belong to root, or to who reads them, and others must not be able to write "
    "to them.",
    "Drop-ins: every NAME.unit.d/*.conf of every directory, in the order of their file names; "
    "where "
    "two have the same name that of the earlier directory comes last, and wins. A value replaces "
    "the former one, a list of values too; groups are merged; in a list of groups an entry with "
    "the "
    "same target, name or path replaces, any other is added. Drop-ins of a template hold for its "
    "instances.",
    "Templates: NAME@.unit is read for every unit NAME@ARGUMENT. In strings %i is the argument, %n "
    "the whole name, %p the part before \"@\", %H the host's name, %% a percent sign. Any other "
    "letter after % is an error; a % that no letter follows is itself.",
    "The host's own file, /etc/ringfence/ringfence.conf, has three groups: the one "
    "named " UNIT_DEFAULTS " holds any of the sections below, for every unit that does not say "
    "otherwise; the others are described last.",
    "A duration is \"100ms\", \"90s\", \"2min\", \"1h30min\" or a number of seconds; a size is "
    "\"64M\" (K, M, G, T: powers of 1024) or a number of bytes. An integer has 32 bits; what is "
    "larger is written as a string. Nothing is ignored in silence: an unknown key, or one that "
    "this "
    "version has not got, is an error.",
};

/* ---- text ---- */

/* The words of a paragraph, broken at the width, each line behind the indent. */
static void paragraph(struct text *text, const char *words, size_t indent) {
    size_t column = 0;
    while (*words) {
        bool broken = *words == '\n';
        words += strspn(words, " \n");
        size_t length = strcspn(words, " \n");
        if (length == 0)
            break;
        if (column > 0 && (broken || column + 1 + length > WIDTH)) {
            text_add(text, "\n");
            column = 0;
        }
        if (column == 0)
            text_format(text, "%*s", (int)indent, "");
        else
            text_add(text, " ");
        column = (column ? column + 1 : indent) + length;
        text_append(text, words, length);
        words += length;
    }
    text_add(text, "\n");
}

/* "a whole number from 3 to 255": the example of one would read like the only value. */
static void describe_number(const struct key *key, struct text *text) {
    text_format(text, "a %s", key->kind->name);
    if (key->least != 0 || key->most != 0)
        text_format(text, " from %" PRId64 " to %" PRId64, key->least, key->most);
    text_add(text, key->kind == &kind_pids ? ", or \"max\"" : "");
}

static void describe_values(const struct key *key, struct text *text) {
    if (key->kind == &kind_integer || key->kind == &kind_pids)
        describe_number(key, text);
    else if (!key->names)
        text_add(text, key->kind->example);
    for (size_t i = 0; key->names && i < key->names->count; i++)
        text_format(text, "%s\"%s\"%s", i ? ", " : "", key->names->items[i],
                    key->later_values >> i & 1 ? " (not in this version)" : "");
    if (key->later_values && key->kind->later)
        text_format(text, " (not in this version: %s)", key->kind->later);
}

static void describe_key(const struct section *section, const struct key *key, struct text *text) {
    scoped_text struct text values = {0};
    text_format(text, "\n  %s%s.%s", section->name, section->element_size ? "[]" : "", key->name);
    if (key->flags & KEY_LATER)
        text_add(text, "  (not in this version)\n");
    else
        text_format(text, "  since %s\n", key->since);
    if (key->kind->shape == SHAPE_ARRAY && key->kind->example[0] != '[')
        text_add(&values, "a list: ");
    describe_values(key, &values);
    if (key->flags & KEY_OFF)
        text_format(&values, ", or \"%s\"", key->kind == &kind_size ? "max" : "off");
    if (key->otherwise)
        text_format(&values, ". Default: %s", key->otherwise);
    else if (key->flags & KEY_REQUIRED)
        text_add(&values, ". Required");
    else if (key->fallback && key->fallback[0])
        text_format(&values, ". Default: %s", key->fallback);
    text_add(&values, ".");
    if (!values.failed)
        paragraph(text, values.data, 6);
    paragraph(text, key->doc, 6);
}

static void describe_section(const struct section *section, struct text *text) {
    text_format(text, "\n%s%s\n", section->name,
                section->element_size ? " (a list of groups)" : "");
    paragraph(text, section->doc, 2);
    for (size_t i = 0; i < section->count; i++)
        describe_key(section, &section->keys[i], text);
}

static void describe_all(struct text *text) {
    for (size_t i = 0; i < ELEMENTS(manual); i++) {
        text_add(text, i ? "\n" : "");
        paragraph(text, manual[i], 0);
    }
    for (size_t i = 0; i < unit_sections.count; i++)
        describe_section(&unit_sections.sections[i], text);
    for (size_t i = 0; i < manager_sections.count; i++)
        describe_section(&manager_sections.sections[i], text);
}

/* ---- one of them, by name ---- */

struct candidates {
    const char *names[UNIT_KEYS_MAX + 64];
    char titles[UNIT_KEYS_MAX + 64][64];
    size_t count;
};

static void candidates_add(struct candidates *candidates, const struct section *section) {
    snprintf(candidates->titles[candidates->count++], 64, "%s", section->name);
    for (size_t i = 0; i < section->count && candidates->count < ELEMENTS(candidates->names); i++)
        snprintf(candidates->titles[candidates->count++], 64, "%s.%s", section->name,
                 section->keys[i].name);
}

static int unknown(const char *name, struct fault *fault) {
    scoped_free struct candidates *candidates = calloc(1, sizeof(*candidates));
    const char *nearest = NULL;
    if (candidates) {
        for (size_t i = 0; i < unit_sections.count; i++)
            candidates_add(candidates, &unit_sections.sections[i]);
        for (size_t i = 0; i < manager_sections.count; i++)
            candidates_add(candidates, &manager_sections.sections[i]);
        for (size_t i = 0; i < candidates->count; i++)
            candidates->names[i] = candidates->titles[i];
        nearest = names_nearest(name, candidates->names, candidates->count);
    }
    if (nearest)
        return fault_say(fault, -ENOENT, "there is no key or section \"%s\"; did you mean \"%s\"?",
                         name, nearest);
    return fault_say(fault, -ENOENT, "there is no key or section \"%s\"", name);
}

/* "service.type" is a key of "service"; "security.landlock" is a section of its own. */
static bool describe_in(const struct section_table *table, const char *name, struct text *text) {
    const struct section *section = section_find(table, name);
    if (section) {
        describe_section(section, text);
        return true;
    }
    const char *dot = strrchr(name, '.');
    scoped_free char *prefix = dot ? strndup(name, (size_t)(dot - name)) : NULL;
    if (!prefix)
        return false;
    size_t length = strlen(prefix);
    if (length > 2 && strcmp(prefix + length - 2, "[]") == 0)
        prefix[length - 2] = '\0';
    section = section_find(table, prefix);
    const struct key *key = section ? key_find(section, dot + 1) : NULL;
    if (key)
        describe_key(section, key, text);
    return key != NULL;
}

int describe_text(const char *key, struct text *text, struct fault *fault) {
    if (!key)
        describe_all(text);
    else if (!describe_in(&unit_sections, key, text) && !describe_in(&manager_sections, key, text))
        return unknown(key, fault);
    return text->failed ? fault_set(fault, ENOMEM, "cannot describe the keys") : 0;
}

/* ---- JSON Schema ---- */

static void schema_types(const struct key *key, struct text *text) {
    static const struct {
        unsigned bit;
        const char *name;
    } types[] = {{WRITTEN_STRING, "string"},
                 {WRITTEN_INTEGER, "integer"},
                 {WRITTEN_FLOAT, "number"},
                 {WRITTEN_BOOL, "boolean"}};
    json_open(text, "type", '[');
    for (size_t i = 0; i < ELEMENTS(types); i++)
        if (key->kind->written & types[i].bit)
            json_string(text, NULL, types[i].name);
    json_close(text, ']');
}

static void schema_default(const struct key *key, struct text *text) {
    const char *value = key->fallback;
    unsigned written = key->kind->written;
    if (!value)
        return;
    if (key->kind->shape != SHAPE_SCALAR) {
        json_open(text, "default", '[');
        json_string(text, NULL, value);
        json_close(text, ']');
    } else if (written & WRITTEN_BOOL) {
        json_bool(text, "default", strcmp(value, "true") == 0);
    } else if (written & (WRITTEN_INTEGER | WRITTEN_FLOAT) && *value &&
               value[strspn(value, "0123456789.")] == '\0') {
        json_double(text, "default", strtod(value, NULL));
    } else {
        json_string(text, "default", value);
    }
}

static void schema_key(const struct key *key, struct text *text) {
    json_open(text, key->name, '{');
    json_string(text, "description", key->doc);
    if (key->flags & KEY_LATER)
        json_string(text, "$comment", "not supported by this version");
    if (key->kind->shape == SHAPE_SCALAR) {
        schema_types(key, text);
        if (key->names) {
            json_open(text, "enum", '[');
            for (size_t i = 0; i < key->names->count; i++)
                if (!(key->later_values >> i & 1))
                    json_string(text, NULL, key->names->items[i]);
            json_close(text, ']');
        }
        /* The range of a duration or a size is not that of the number that a person writes. */
        if ((key->kind == &kind_integer || key->kind == &kind_float || key->kind == &kind_pids) &&
            (key->least || key->most)) {
            json_signed(text, "minimum", key->least);
            json_signed(text, "maximum", key->most);
        }
    } else {
        json_string(text, "type", "array");
        json_open(text, "items", '{');
        if (key->kind->shape == SHAPE_COMMANDS) {
            json_string(text, "type", "array");
            json_signed(text, "minItems", 1);
            json_open(text, "items", '{');
        }
        schema_types(key, text);
        if (key->kind->shape == SHAPE_COMMANDS)
            json_close(text, '}');
        json_close(text, '}');
    }
    schema_default(key, text);
    json_close(text, '}');
}

/* The body of an object with a section's keys, and the lists inside it. */
static void schema_members(const struct section *section, struct text *text) {
    size_t length = strlen(section->name);
    json_string(text, "type", "object");
    json_bool(text, "additionalProperties", false);
    json_open(text, "properties", '{');
    for (size_t i = 0; i < section->count; i++)
        schema_key(&section->keys[i], text);
    for (size_t i = 0; i < unit_sections.count; i++) {
        const struct section *inner = &unit_sections.sections[i];
        if (strncmp(inner->name, section->name, length) != 0 || inner->name[length] != '.')
            continue;
        json_open(text, inner->name + length + 1, '{');
        json_string(text, "description", inner->doc);
        json_string(text, "type", "array");
        json_open(text, "items", '{');
        schema_members(inner, text);
        json_close(text, '}');
        json_close(text, '}');
    }
    json_close(text, '}');
    if (!section->element_size)
        return;
    json_open(text, "required", '[');
    for (size_t i = 0; i < section->count; i++)
        if (section->keys[i].flags & KEY_REQUIRED)
            json_string(text, NULL, section->keys[i].name);
    json_close(text, ']');
}

void describe_schema(struct text *text) {
    json_open(text, NULL, '{');
    json_string(text, "$schema", "https://json-schema.org/draft/2020-12/schema");
    json_string(text, "title", "ringfence unit file");
    json_string(text, "type", "object");
    json_bool(text, "additionalProperties", false);
    json_open(text, "properties", '{');
    for (size_t i = 0; i < unit_sections.count; i++) {
        const struct section *section = &unit_sections.sections[i];
        if (strchr(section->name, '.'))
            continue;
        json_open(text, section->name, '{');
        json_string(text, "description", section->doc);
        if (section->element_size) {
            json_string(text, "type", "array");
            json_open(text, "items", '{');
            schema_members(section, text);
            json_close(text, '}');
        } else {
            schema_members(section, text);
        }
        json_close(text, '}');
    }
    json_close(text, '}');
    json_close(text, '}');
    text_add(text, "\n");
}
