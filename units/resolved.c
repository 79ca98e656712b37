#include "units/resolved.h"

#include <errno.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/text.h"
#include "units/draft.h"
#include "units/kinds.h"

/* ---- to text ---- */

/* A percent sign stands for itself where it is doubled. */
static void add_value(struct text *text, const char *value) {
    for (;;) {
        size_t plain = strcspn(value, "%");
        text_append(text, value, plain);
        if (value[plain] == '\0')
            return;
        text_add(text, "%%");
        value += plain + 1;
    }
}

/* Whether what is printed is what a key that nobody gave has: the row's default, perhaps in quotes.
 * One that is written in another way than it is printed is kept, which does no harm. */
static bool is_usual(const struct key *key, const char *value) {
    const char *fallback = key->fallback;
    if (!fallback)
        return strcmp(value, "[]") == 0 || strcmp(value, "()") == 0;
    size_t length = strlen(fallback), quoted = *value == '"';
    return strncmp(value + quoted, fallback, length) == 0 &&
           strcmp(value + quoted + length, quoted ? "\"" : "") == 0;
}

static void add_keys(struct text *text, const struct unit *unit, const struct section *section,
                     const void *base) {
    scoped_text struct text value = {0};
    size_t row = key_row(&unit_sections, section->keys);
    for (size_t i = 0; i < section->count; i++, row++) {
        const struct key *key = &section->keys[i];
        bool given = unit->given[row / 64] >> row % 64 & 1;
        value.length = 0;
        text_add(&value, "");
        key->kind->print(key, (const char *)base + key->offset, &value);
        text->failed |= value.failed;
        if (value.length == 0 || (!given && is_usual(key, value.data)) || key->flags & KEY_LATER)
            continue;
        text_format(text, "  %s = ", key->name);
        add_value(text, value.data);
        text_add(text, ";\n");
    }
}

/* As a member of its group: "landlock" of "security.landlock". */
static void add_list(struct text *text, const struct unit *unit, const struct section *section) {
    const struct section_list *list = (const void *)((const char *)unit + section->list_offset);
    const char *dot = strchr(section->name, '.');
    if (list->count == 0)
        return;
    text_format(text, "%s = (\n", dot ? dot + 1 : section->name);
    for (size_t i = 0; i < list->count; i++) {
        text_add(text, i ? "}, {\n" : "{\n");
        add_keys(text, unit, section, (const char *)list->items + i * section->element_size);
    }
    text_add(text, "} );\n");
}

static bool is_inside(const struct section *inner, const struct section *group) {
    size_t length = strlen(group->name);
    return strncmp(inner->name, group->name, length) == 0 && inner->name[length] == '.';
}

/* Nothing where it would be empty: a group of the file that is there means something. */
static void add_group(struct text *text, const struct unit *unit, const struct section *section,
                      const struct section *end) {
    scoped_text struct text inside = {0};
    add_keys(&inside, unit, section, unit);
    for (const struct section *inner = section + 1; inner < end; inner++)
        add_list(&inside, unit, inner);
    text->failed |= inside.failed;
    if (inside.length > 0)
        text_format(text, "%s = {\n%s};\n", section->name, inside.data);
}

void unit_print(const struct unit *unit, struct text *text) {
    const struct section *section = unit_sections.sections, *next, *service;
    const struct section *last = section + unit_sections.count;
    key_at(offsetof(struct unit, container.process.exec), &service);
    for (; section < last; section = next) {
        for (next = section + 1; next < last && is_inside(next, section);)
            next++;
        if (section->element_size)
            add_list(text, unit, section);
        else if (section != service || unit->service.type != SERVICE_GROUP)
            add_group(text, unit, section, next);
    }
}

/* ---- from text ---- */

static int fill(struct draft *draft, struct source *source, struct fault *fault) {
    struct source *sources[] = {source};
    struct complaints *complaints[] = {&draft->complaints};
    int error = draft_begin(draft);
    if (!error)
        error = sources_try(sources, complaints, 1, fault);
    if (error)
        return error;
    source_parse(source, &draft->complaints);
    if (!source->bad)
        draft_apply(draft, source, 0, LAYER_FILE, &draft->complaints);
    source_settle(source);
    return draft_complete(draft);
}

int unit_read(const char *name, const char *path, const char *data, size_t length,
              struct unit **ret_unit, struct fault *fault) {
    struct source source = {0};
    struct draft *draft = calloc(1, sizeof(*draft));
    if (!draft)
        return fault_set(fault, ENOMEM, "cannot read the unit \"%s\"", name);
    draft->name = strdup(name);
    draft->path = strdup(path);
    source_from(path, data, length, &source, &draft->complaints);
    int error = draft->name && draft->path ? fill(draft, &source, fault) : -ENOMEM;
    source_close(&source);
    if (error)
        fault_set(fault, error, "cannot read the unit \"%s\"", name);
    else if (complaints_any(&draft->complaints))
        error =
            fault_say(fault, EINVAL, "%s",
                      draft->complaints.count ? draft->complaints.items[0].text : "it is no unit");
    else
        *ret_unit = take(draft->unit);
    draft_free(draft);
    return error;
}
