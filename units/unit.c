#include "units/unit.h"

#include <errno.h>
#include <string.h>

#include "units/draft.h"
#include "units/keys.h"

struct unit *unit_ref(struct unit *unit) {
    unit->references++;
    return unit;
}

void unit_unref(struct unit *unit) {
    if (!unit || --unit->references > 0)
        return;
    sections_free(&unit_sections, unit);
    free(unit->name);
    free(unit->path);
    free(unit->container.name);
    free(unit);
}

int draft_begin(struct draft *draft) {
    scoped(unit_unref) struct unit *unit = calloc(1, sizeof(*unit));
    if (!unit)
        return -ENOMEM;
    unit->references = 1;
    sections_reset(&unit_sections, unit);
    unit->name = strdup(draft->name);
    unit->path = strdup(draft->path);
    unit->container.name = strdup(draft->name);
    draft->specifiers.prefix = strndup(draft->name, strcspn(draft->name, "@"));
    if (!unit->name || !unit->path || !unit->container.name || !draft->specifiers.prefix)
        return -ENOMEM;
    draft->specifiers.name = unit->name;
    const char *at = strchr(unit->name, '@');
    /* A template is read as its instance "1", which suits paths, names and ports alike. */
    draft->specifiers.argument = !at ? NULL : at[1] ? at + 1 : "1";
    draft->unit = take(unit);
    return 0;
}

void draft_free(struct draft *draft) {
    for (size_t i = 0; i < draft->source_count; i++)
        source_close(&draft->sources[i]);
    free(draft->sources);
    free(draft->origins);
    free(draft->specifiers.prefix);
    complaints_free(&draft->complaints);
    unit_unref(draft->unit);
    free(draft->path);
    free(draft->name);
    free(draft);
}

/* ---- complaints about keys ---- */

static void complain_about(struct draft *draft, size_t row, size_t item, const char *title,
                           const char *format, va_list arguments) {
    scoped_text struct text text = {0};
    scoped_free char *sentence = NULL;
    if (vasprintf(&sentence, format, arguments) < 0)
        sentence = NULL;
    text_format(&text, "%s: %s", title, sentence ? sentence : "out of memory");
    for (size_t i = draft->origin_count; i-- > 0;) {
        const struct origin *origin = &draft->origins[i];
        if (origin->row != row || origin->item != item)
            continue;
        source_complain_at(origin->source, &draft->complaints,
                           origin->source->nodes[origin->node].name, "%s", text.data);
        return;
    }
    complain(&draft->complaints, draft->path, 0, 0, NULL, "%s", text.data);
}

void draft_complain(struct draft *draft, size_t offset, const char *format, ...) {
    const struct section *section;
    const struct key *key = key_at(offset, &section);
    char title[64];
    va_list arguments;
    va_start(arguments, format);
    complain_about(draft, key_row(&unit_sections, key), 0, key_title(offset, title, sizeof(title)),
                   format, arguments);
    va_end(arguments);
}

void draft_complain_item(struct draft *draft, const struct section *section, const struct key *key,
                         size_t item, const char *format, ...) {
    char title[96];
    va_list arguments;
    snprintf(title, sizeof(title), "%s[%zu].%s", section->name, item, key->name);
    va_start(arguments, format);
    complain_about(draft, key_row(&unit_sections, key), item, title, format, arguments);
    va_end(arguments);
}

bool draft_gave(const struct draft *draft, size_t offset) {
    const struct section *section;
    size_t row = key_row(&unit_sections, key_at(offset, &section));
    return draft->unit->given[row / 64] >> row % 64 & 1;
}

bool draft_says(const struct draft *draft, size_t offset) {
    const struct section *section;
    size_t row = key_row(&unit_sections, key_at(offset, &section));
    for (size_t i = 0; i < draft->origin_count; i++)
        if (draft->origins[i].row == row && draft->origins[i].layer == LAYER_FILE)
            return true;
    return false;
}

bool draft_doubts(const struct draft *draft, size_t offset) {
    for (size_t i = 0; i < unit_sections.count; i++)
        if (unit_sections.sections[i].element_size &&
            unit_sections.sections[i].list_offset == offset)
            return draft->sections_doubted >> i & 1;
    const struct section *section;
    size_t row = key_row(&unit_sections, key_at(offset, &section));
    if (draft->keys_doubted[row / 64] >> row % 64 & 1)
        return true;
    return draft->sections_doubted >> (section - unit_sections.sections) & 1 &&
           !draft_says(draft, offset);
}
