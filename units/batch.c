#include "units/batch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "units/base/fault.h"

#define HOST_FILE "/etc/ringfence/ringfence.conf"
/* That units of one set pull in: "a@%i1" requires itself without end. */
#define INSTANCES_MAX 4096

static bool is_template(const char *name) {
    const char *at = strchr(name, '@');
    return at && at[1] == '\0';
}

/* "web@" of "web@8080"; NULL where the name is no instance's. */
static char *template_of(const char *name) {
    const char *at = strchr(name, '@');
    return at && at[1] ? strndup(name, (size_t)(at - name) + 1) : NULL;
}

static int draft_add(struct batch *batch, const char *name, const char *path,
                     struct draft **ret_draft) {
    if ((batch->count & (batch->count - 1)) == 0) {
        struct draft **drafts = reallocarray(batch->drafts, batch->count ? batch->count * 2 : 8,
                                             sizeof(struct draft *));
        if (!drafts)
            return -ENOMEM;
        batch->drafts = drafts;
    }
    struct draft *draft = calloc(1, sizeof(*draft));
    if (!draft)
        return -ENOMEM;
    batch->drafts[batch->count++] = draft;
    draft->name = strdup(name);
    draft->path = strdup(path);
    draft->specifiers.host = batch->host_name;
    *ret_draft = draft;
    return draft->name && draft->path ? 0 : -ENOMEM;
}

static int add_source(struct draft *draft, const char *path) {
    struct source *sources =
        reallocarray(draft->sources, draft->source_count + 1, sizeof(*sources));
    if (!sources)
        return -ENOMEM;
    draft->sources = sources;
    source_open(path, &sources[draft->source_count++], &draft->complaints);
    return 0;
}

static int add_drop_in(struct draft *draft, const struct found *found) {
    if (found_is_masked(found->path))
        return 0;
    if (found->bad)
        complain(&draft->complaints, found->path, 0, 0, NULL, "its directory: %s", found->bad);
    return add_source(draft, found->path);
}

static const struct found *next_drop_in(const struct search *search, const struct found *found) {
    const struct found *next = found + 1;
    bool last = next == search->drop_ins + search->drop_in_count;
    return last || strcmp(next->name, found->name) != 0 ? NULL : next;
}

/* A unit's own and its template's in one order of file names; the template's first. */
static int add_drop_ins(struct batch *batch, struct draft *draft, const char *template) {
    const struct found *own = search_drop_ins(&batch->search, draft->name);
    const struct found *common = template ? search_drop_ins(&batch->search, template) : NULL;
    while (own || common) {
        bool take_common = common && (!own || strcmp(common->file, own->file) <= 0);
        const struct found **next = take_common ? &common : &own;
        int error = add_drop_in(draft, *next);
        if (error)
            return error;
        *next = next_drop_in(&batch->search, *next);
    }
    return 0;
}

/* A unit's, or a template's, which is an instance's without the argument. */
static bool name_is_sound(const char *name) {
    char instance[UNIT_NAME_MAX + 2];
    if (!is_template(name))
        return unit_name_is_valid(name);
    return (size_t)snprintf(instance, sizeof(instance), "%s1", name) < sizeof(instance) &&
           unit_name_is_valid(instance);
}

/* Reads a unit's files; an instance's own file, or that of its template. */
static int draft_open(struct batch *batch, const char *name, const struct found *found,
                      const char *template) {
    struct draft *draft;
    int error = draft_add(batch, name, found->path, &draft);
    if (error)
        return error;
    if (found_is_masked(found->path)) {
        draft->condition = UNIT_MASKED;
        return 0;
    }
    if (!name_is_sound(name))
        complain(&draft->complaints, found->path, 0, 0, NULL,
                 "\"%s\" is no unit name; write a letter or digit, then up to 63 letters, digits "
                 "and \"_.:-\"",
                 name);
    if (found->bad)
        complain(&draft->complaints, found->path, 0, 0, NULL, "its directory: %s", found->bad);
    error = add_source(draft, found->path);
    return error ? error : add_drop_ins(batch, draft, template);
}

/* Tries all files of the drafts from `first` on at once. */
static int batch_try(struct batch *batch, size_t first, struct complaints *host_complaints,
                     struct fault *fault) {
    size_t count = 1, next = 0;
    for (size_t i = first; i < batch->count; i++)
        count += batch->drafts[i]->source_count;
    scoped_free struct source **sources = calloc(count, sizeof(struct source *));
    scoped_free struct complaints **complaints = calloc(count, sizeof(struct complaints *));
    if (!sources || !complaints)
        return fault_set(fault, ENOMEM, "cannot load the units");
    if (host_complaints && batch->host.data) {
        sources[next] = &batch->host;
        complaints[next++] = host_complaints;
    }
    for (size_t i = first; i < batch->count; i++)
        for (size_t k = 0; k < batch->drafts[i]->source_count; k++) {
            sources[next] = &batch->drafts[i]->sources[k];
            complaints[next++] = &batch->drafts[i]->complaints;
        }
    return sources_try(sources, complaints, next, fault);
}

static void apply_defaults(struct batch *batch, struct draft *draft) {
    struct complaints unheard = {0};
    if (batch->defaults == 0)
        return;
    /* What is wrong with the host's file is told once, there. */
    draft_apply(draft, &batch->host, batch->defaults, LAYER_DEFAULTS,
                batch->defaults_bad ? &unheard : &draft->complaints);
    complaints_free(&unheard);
}

static int draft_fill(struct batch *batch, struct draft *draft) {
    int error = draft_begin(draft);
    if (error)
        return error;
    apply_defaults(batch, draft);
    for (size_t i = 0; i < draft->source_count; i++) {
        source_parse(&draft->sources[i], &draft->complaints);
        if (!draft->sources[i].bad)
            draft_apply(draft, &draft->sources[i], 0, LAYER_FILE, &draft->complaints);
    }
    draft_check(draft);
    if (is_template(draft->name))
        draft->condition = UNIT_TEMPLATE;
    /* The next unit's tree takes the place of this one's, so that no holes are left between the
     * units that stay. */
    for (size_t i = 0; i < draft->source_count; i++)
        source_settle(&draft->sources[i]);
    return 0;
}

static int batch_fill(struct batch *batch, size_t first, struct fault *fault) {
    for (size_t i = first; i < batch->count; i++) {
        struct draft *draft = batch->drafts[i];
        if (draft->condition == UNIT_MASKED || draft->unit)
            continue;
        int error = draft_fill(batch, draft);
        if (error)
            return fault_set(fault, error, "cannot load the unit \"%s\"", draft->name);
    }
    return 0;
}

/* ---- the host's own file ---- */

static void host_open(struct batch *batch, const struct unit_sources *sources,
                      struct complaints *complaints) {
    const char *path = sources && sources->host_file ? sources->host_file : HOST_FILE;
    sections_reset(&manager_sections, &batch->settings);
    if (gethostname(batch->host_name, sizeof(batch->host_name)) < 0)
        batch->host_name[0] = '\0';
    if (!(sources && sources->host_file) && access(path, F_OK) < 0)
        return;
    source_open(path, &batch->host, complaints);
}

/* Its groups are no section: `defaults` holds sections, `manager` is a table of its own. */
static void host_read(struct batch *batch, struct complaints *complaints) {
    struct source *host = &batch->host;
    if (!host->data)
        return;
    source_parse(host, complaints);
    if (host->bad) {
        complain(complaints, host->path, 0, 0, NULL,
                 "nothing of this file is heeded; the defaults hold until it is mended");
        return;
    }
    for (size_t i = 1; i < host->nodes[0].end; i = host->nodes[i].end) {
        const char *name = config_setting_name(host->nodes[i].setting);
        if (section_find(&manager_sections, name)) {
            settings_apply(&batch->settings, host, i, complaints);
            boot_settings_check(&batch->settings.boot, host, i, complaints);
        } else if (strcmp(name, UNIT_DEFAULTS) != 0)
            source_complain_at(host, complaints, host->nodes[i].name,
                               "\"%s\" has no meaning here; a host's file has \"%s\", \"%s\" and "
                               "\"%s\"",
                               name, UNIT_DEFAULTS, manager_sections.sections[0].name,
                               manager_sections.sections[1].name);
        else if (!config_setting_is_group(host->nodes[i].setting))
            source_complain_at(host, complaints, host->nodes[i].value,
                               "%s: wrong type: it is a group of sections; write %s = { ... };",
                               name, name);
        else
            batch->defaults = i;
    }
}

/* The defaults are tried on a unit of no consequence, so that their faults are told once. */
static int host_try(struct batch *batch, struct complaints *complaints, struct fault *fault) {
    host_read(batch, complaints);
    if (batch->defaults == 0)
        return 0;
    size_t before = complaints->count + complaints->dropped;
    struct draft *scratch = calloc(1, sizeof(*scratch));
    if (!scratch)
        return fault_set(fault, ENOMEM, "cannot read the host's defaults");
    scratch->name = strdup("defaults@1");
    scratch->path = strdup(batch->host.path);
    scratch->specifiers.host = batch->host_name;
    int error = scratch->name && scratch->path ? draft_begin(scratch) : -ENOMEM;
    if (!error)
        draft_apply(scratch, &batch->host, batch->defaults, LAYER_DEFAULTS, complaints);
    draft_free(scratch);
    batch->defaults_bad = complaints->count + complaints->dropped > before;
    return error;
}

/* ---- instances ---- */

static struct draft *batch_find(const struct batch *batch, const char *name) {
    for (size_t i = 0; i < batch->count; i++)
        if (strcmp(batch->drafts[i]->name, name) == 0)
            return batch->drafts[i];
    return NULL;
}

/* Opens NAME@ARG if there is a template, and it is not there yet. -ENOENT: no template. */
static int instance_open(struct batch *batch, const char *name) {
    scoped_free char *template = template_of(name);
    const struct found *found = template ? search_unit(&batch->search, template) : NULL;
    if (!found)
        return -ENOENT;
    if (batch_find(batch, name))
        return 0;
    return draft_open(batch, name, found, template);
}

/* Opens what the units from `first` on name and is an instance of a template. */
static int instances_open(struct batch *batch, size_t first, size_t *opened) {
    size_t last = batch->count;
    for (size_t i = first; i < last; i++) {
        struct draft *draft = batch->drafts[i];
        if (!draft->unit || draft->condition == UNIT_TEMPLATE)
            continue;
        const struct dependencies *all = &draft->unit->dependencies;
        const struct strings *lists[] = {&all->requires,  &all->wants,     &all->binds_to,
                                         &all->part_of,   &all->after,     &all->before,
                                         &all->conflicts, &all->on_failure};
        for (size_t k = 0; k < ELEMENTS(lists); k++)
            for (size_t n = 0; n < lists[k]->count && *opened < INSTANCES_MAX; n++) {
                if (!strchr(lists[k]->items[n], '@') ||
                    search_unit(&batch->search, lists[k]->items[n]))
                    continue;
                size_t before = batch->count;
                int error = instance_open(batch, lists[k]->items[n]);
                if (error && error != -ENOENT)
                    return error;
                *opened += batch->count - before;
            }
    }
    return 0;
}

static int instances_fill(struct batch *batch, size_t first, struct fault *fault) {
    size_t opened = 0;
    while (first < batch->count) {
        size_t next = batch->count;
        int error = instances_open(batch, first, &opened);
        if (error)
            return fault_set(fault, error, "cannot load the instances of templates");
        error = batch_try(batch, next, NULL, fault);
        if (!error)
            error = batch_fill(batch, next, fault);
        if (error)
            return error;
        first = next;
    }
    return 0;
}

/* ---- all of it ---- */

static int compare_drafts(const void *left, const void *right) {
    return strcmp((*(struct draft *const *)left)->name, (*(struct draft *const *)right)->name);
}

int batch_order(struct batch *batch, struct fault *fault) {
    if (batch->count)
        qsort(batch->drafts, batch->count, sizeof(struct draft *), compare_drafts);
    return drafts_order(batch->drafts, batch->count, &batch->settings, fault);
}

void batch_close(struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++)
        draft_free(batch->drafts[i]);
    free(batch->drafts);
    sections_free(&manager_sections, &batch->settings);
    source_close(&batch->host);
    search_close(&batch->search);
}

/* Drop-ins that belong to no unit would be ignored in silence. */
static void stray_drop_ins(const struct batch *batch, struct complaints *complaints) {
    for (size_t i = 0; i < batch->search.drop_in_count; i++) {
        const struct found *found = &batch->search.drop_ins[i];
        scoped_free char *template = template_of(found->name);
        if (!search_unit(&batch->search, found->name) &&
            (!template || !search_unit(&batch->search, template)))
            complain(complaints, found->path, 0, 0, NULL,
                     "a drop-in for \"%s\", and there is no such unit", found->name);
    }
}

int batch_open(struct batch *batch, const struct unit_sources *sources,
               struct complaints *complaints, struct fault *fault) {
    host_open(batch, sources, complaints);
    int error = search_open(sources, &batch->search, fault);
    if (error)
        return error;
    stray_drop_ins(batch, complaints);
    return 0;
}

int batch_load_host(struct batch *batch, const struct unit_sources *sources,
                    struct complaints *complaints, struct fault *fault) {
    host_open(batch, sources, complaints);
    int error = batch_try(batch, 0, complaints, fault);
    if (!error)
        host_read(batch, complaints);
    return error;
}

int batch_load_all(struct batch *batch, struct complaints *complaints, struct fault *fault) {
    int error = 0;
    for (size_t i = 0; i < batch->search.unit_count && !error; i++) {
        const struct found *found = &batch->search.units[i];
        scoped_free char *template = template_of(found->name);
        error = draft_open(batch, found->name, found, template);
    }
    if (error)
        return fault_set(fault, error, "cannot read the unit files");
    error = batch_try(batch, 0, complaints, fault);
    if (!error)
        error = host_try(batch, complaints, fault);
    if (!error)
        error = batch_fill(batch, 0, fault);
    return error ? error : instances_fill(batch, 0, fault);
}

int batch_add_unit(struct batch *batch, const struct unit_entry *entry) {
    struct draft *draft;
    int error = draft_add(batch, entry->name, entry->path, &draft);
    if (error)
        return error;
    draft->condition = entry->condition;
    draft->unit = entry->unit ? unit_ref(entry->unit) : NULL;
    draft->loaded_before = true;
    return 0;
}

int batch_load_instance(struct batch *batch, const char *name, struct complaints *complaints,
                        struct fault *fault) {
    size_t first = batch->count;
    int error = instance_open(batch, name);
    if (error == -ENOENT)
        return fault_say(fault, error, "there is no unit \"%s\"", name);
    if (error)
        return fault_set(fault, error, "cannot load the unit \"%s\"", name);
    error = batch_try(batch, first, complaints, fault);
    if (!error)
        error = host_try(batch, complaints, fault);
    if (!error)
        error = batch_fill(batch, first, fault);
    return error ? error : instances_fill(batch, first, fault);
}
