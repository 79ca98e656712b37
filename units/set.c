#include "units/set.h"

#include <ctype.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/batch.h"

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-"
#define NAME_PART_MAX 64

bool unit_name_is_valid(const char *name) {
    size_t length = strspn(name, NAME_LETTERS);
    if (length == 0 || length > NAME_PART_MAX || !isalnum((unsigned char)name[0]))
        return false;
    if (name[length] == '\0')
        return true;
    size_t argument = name[length] == '@' ? strspn(name + length + 1, NAME_LETTERS) : 0;
    return argument >= 1 && argument <= NAME_PART_MAX && name[length + 1 + argument] == '\0';
}

/* Takes what the draft has made. */
static void entry_take(struct unit_entry *entry, struct draft *draft) {
    *entry = (struct unit_entry){
        .condition = draft->condition,
        .complaints = draft->complaints,
    };
    entry->name = take(draft->name);
    entry->path = take(draft->path);
    draft->complaints = (struct complaints){0};
    if (complaints_any(&entry->complaints))
        entry->condition = UNIT_INVALID;
    if (entry->condition == UNIT_VALID)
        entry->unit = take(draft->unit);
}

static void entry_free(struct unit_entry *entry) {
    free(entry->name);
    free(entry->path);
    complaints_free(&entry->complaints);
    unit_unref(entry->unit);
}

static int set_fill(struct unit_set *set, struct batch *batch, struct fault *fault) {
    struct unit_entry *entries = calloc(batch->count + 1, sizeof(*entries));
    if (!entries)
        return fault_set(fault, ENOMEM, "cannot keep the units");
    for (size_t i = 0; i < batch->count; i++)
        entry_take(&entries[i], batch->drafts[i]);
    set->entries = entries;
    set->count = batch->count;
    set->settings = batch->settings;
    batch->settings = (struct manager_settings){0};
    return 0;
}

int unit_set_load(const struct unit_sources *sources, struct unit_set **ret_set,
                  struct complaints *host_complaints, struct fault *fault) {
    struct batch batch = {0};
    scoped(unit_set_free) struct unit_set *set = calloc(1, sizeof(*set));
    if (!set)
        return fault_set(fault, ENOMEM, "cannot load the units");
    int error = batch_open(&batch, sources, host_complaints, fault);
    if (!error)
        error = batch_load_all(&batch, host_complaints, fault);
    if (!error)
        error = batch_order(&batch, fault);
    if (!error)
        error = set_fill(set, &batch, fault);
    if (!error)
        *ret_set = take(set);
    batch_close(&batch);
    malloc_trim(0); /* the files' bytes and trees lay between the units */
    return error;
}

int manager_settings_load(const struct unit_sources *sources, struct manager_settings *ret_settings,
                          struct fault *fault) {
    struct batch batch = {0};
    struct complaints unheard = {0};
    int error = batch_load_host(&batch, sources, &unheard, fault);
    if (!error) {
        *ret_settings = batch.settings;
        batch.settings = (struct manager_settings){0};
    }
    batch_close(&batch);
    complaints_free(&unheard);
    return error;
}

void manager_settings_free(struct manager_settings *settings) {
    sections_free(&manager_sections, settings);
}

void unit_set_free(struct unit_set *set) {
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        entry_free(&set->entries[i]);
    free(set->entries);
    manager_settings_free(&set->settings);
    complaints_free(&set->complaints);
    free(set);
}

static int compare_name(const void *name, const void *entry) {
    return strcmp(name, ((const struct unit_entry *)entry)->name);
}

struct unit_entry *unit_set_find(const struct unit_set *set, const char *name) {
    if (set->count == 0)
        return NULL;
    return bsearch(name, set->entries, set->count, sizeof(*set->entries), compare_name);
}

static int compare_entries(const void *left, const void *right) {
    return strcmp(((const struct unit_entry *)left)->name,
                  ((const struct unit_entry *)right)->name);
}

/* Puts the new drafts of a batch beside the entries that are there. */
static int set_extend(struct unit_set *set, struct batch *batch, struct fault *fault) {
    struct unit_entry *entries =
        reallocarray(set->entries, batch->count + 1, sizeof(*set->entries));
    if (!entries)
        return fault_set(fault, ENOMEM, "cannot keep the units");
    set->entries = entries;
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->drafts[i]->loaded_before)
            entry_take(&entries[set->count++], batch->drafts[i]);
    qsort(entries, set->count, sizeof(*entries), compare_entries);
    return 0;
}

int unit_set_instantiate(struct unit_set *set, const struct unit_sources *sources, const char *name,
                         struct unit_entry **ret_entry, struct fault *fault) {
    struct batch batch = {0};
    struct complaints unheard = {
        0}; /* the host's file was complained about when the set was made */
    struct unit_entry *entry = unit_set_find(set, name);
    int error = 0;
    if (!entry) {
        if (!unit_name_is_valid(name) || !strchr(name, '@'))
            return fault_say(fault, -ENOENT, "there is no unit \"%s\"", name);
        error = batch_open(&batch, sources, &unheard, fault);
        for (size_t i = 0; i < set->count && !error; i++)
            error = batch_add_unit(&batch, &set->entries[i]);
        if (!error)
            error = batch_load_instance(&batch, name, &unheard, fault);
        if (!error)
            error = batch_order(&batch, fault);
        if (!error)
            error = set_extend(set, &batch, fault);
        batch_close(&batch);
        complaints_free(&unheard);
        entry = error ? NULL : unit_set_find(set, name);
    }
    if (!error)
        *ret_entry = entry;
    return error;
}
