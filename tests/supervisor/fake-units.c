/* Units without files: made by hand, with the defaults of the language. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/supervisor/fake-runtime.h"
#include "units/base/number.h"
#include "units/base/text.h"
#include "units/keys.h"
#include "units/resolved.h"

static char *copy(const char *text) {
    char *whole = strdup(text);
    if (!whole)
        abort();
    return whole;
}

void fake_add(struct strings *list, const char *word) {
    list->items = realloc(list->items, (list->count + 2) * sizeof(char *));
    if (!list->items)
        abort();
    list->items[list->count++] = copy(word);
    list->items[list->count] = NULL;
}

struct unit *fake_unit(const char *name, enum service_type type) {
    static int64_t serial;
    struct unit *unit = calloc(1, sizeof(*unit));
    if (!unit)
        abort();
    *unit = (struct unit){
        .references = 1,
        .name = copy(name),
        .path = copy("/fake.unit"),
        .service = {.type = type,
                    .stop_signal = SIGTERM,
                    .stop_timeout = 10 * SEC,
                    .start_timeout = type == SERVICE_ONESHOT ? DURATION_OFF : 90 * SEC,
                    .runtime_max = DURATION_OFF,
                    .watchdog = DURATION_OFF,
                    .remain_after_exit = type == SERVICE_ONESHOT},
        .restart = {.policy = type == SERVICE_ONESHOT ? RESTART_NO : RESTART_ON_FAILURE,
                    .delay = 100 * MSEC,
                    .backoff = 2,
                    .max_delay = 60 * SEC,
                    .jitter = 0.1,
                    .reset_after = 10 * SEC,
                    .limit_interval = 600 * SEC},
        .health = {.interval = 30 * SEC,
                   .timeout = 5 * SEC,
                   .retries = 3,
                   .start_interval = SEC,
                   .gates_ready = true},
        .timer = {.interval = DURATION_OFF, .on_boot = DURATION_OFF},
        .install.enabled = true,
        .container.network.idle_stop = DURATION_OFF,
    };
    unit->container.name = unit->name;
    unit->container.process.nice = ++serial;
    fake_add(&unit->install.wanted_by, "default");
    return unit;
}

struct unit *unit_ref(struct unit *unit) {
    unit->references++;
    return unit;
}

static void strings_free(struct strings *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

static void commands_free(struct commands *commands) {
    for (size_t i = 0; i < commands->count; i++)
        strings_free(&commands->items[i]);
    free(commands->items);
}

void fake_add_command(struct commands *commands, const char *program) {
    commands->items = realloc(commands->items, (commands->count + 1) * sizeof(struct strings));
    if (!commands->items)
        abort();
    struct strings *command = &commands->items[commands->count++];
    *command = (struct strings){0};
    fake_add(command, program);
}

/* All that a unit owns. */
struct owned {
    struct strings *lists[13];
    struct commands *commands[3];
    char **texts[NAMESPACE_KINDS + 6];
};

static struct owned owned_by(struct unit *unit) {
    struct owned owned = {
        .lists =
            {
                &unit->dependencies.requires,
                &unit->dependencies.wants,
                &unit->dependencies.after,
                &unit->dependencies.before,
                &unit->dependencies.binds_to,
                &unit->dependencies.part_of,
                &unit->dependencies.conflicts,
                &unit->dependencies.on_failure,
                &unit->condition_path_exists,
                &unit->install.wanted_by,
                &unit->container.network.sockets,
                &unit->service.exec_reload,
                &unit->service.success_exit_status,
            },
        .commands = {&unit->service.exec_pre, &unit->service.exec_post, &unit->service.exec_stop},
        .texts = {&unit->description, &unit->install.alias, &unit->health.http,
                  &unit->timer.schedule, &unit->name, &unit->path},
    };
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
        owned.texts[6 + kind] = &unit->container.namespaces.choices[kind].name;
    return owned;
}

void unit_unref(struct unit *unit) {
    if (!unit || --unit->references > 0)
        return;
    struct owned owned = owned_by(unit);
    for (size_t i = 0; i < ELEMENTS(owned.lists); i++)
        strings_free(owned.lists[i]);
    strings_free(&unit->restart.prevent_exit_status);
    strings_free(&unit->restart.force_exit_status);
    for (size_t i = 0; i < ELEMENTS(owned.commands); i++)
        commands_free(owned.commands[i]);
    for (size_t i = 0; i < ELEMENTS(owned.texts); i++)
        free(*owned.texts[i]);
    free(unit);
}

static void copy_strings(struct strings *list) {
    const struct strings old = *list;
    *list = (struct strings){0};
    for (size_t i = 0; i < old.count; i++)
        fake_add(list, old.items[i]);
}

static void copy_commands(struct commands *commands) {
    const struct commands old = *commands;
    *commands = (struct commands){0};
    for (size_t i = 0; i < old.count; i++)
        fake_add_command(commands, old.items[i].items[0]);
}

/* The same to whoever looks at it; of exit statuses no random unit has any. */
struct unit *fake_copy(const struct unit *unit) {
    struct unit *copied = malloc(sizeof(*copied));
    if (!copied)
        abort();
    *copied = *unit;
    copied->references = 1;
    struct owned owned = owned_by(copied);
    for (size_t i = 0; i < ELEMENTS(owned.lists); i++)
        copy_strings(owned.lists[i]);
    for (size_t i = 0; i < ELEMENTS(owned.commands); i++)
        copy_commands(owned.commands[i]);
    for (size_t i = 0; i < ELEMENTS(owned.texts); i++)
        *owned.texts[i] = *owned.texts[i] ? copy(*owned.texts[i]) : NULL;
    copied->container.name = copied->name;
    return copied;
}

/* Each unit made is another one: to change a file is to make its unit anew. One that is made with
 * the number of another one is the same but for what is said here. */
void keys_visit(const struct unit *unit, key_visitor visitor, void *context) {
    char number[32], requires[256] = "";
    snprintf(number, sizeof(number), "%lld", (long long)unit->container.process.nice);
    for (size_t i = 0; i < unit->dependencies.requires.count; i++)
        snprintf(requires + strlen(requires), sizeof(requires) - strlen(requires), "%s ",
                 unit->dependencies.requires.items[i]);
    visitor(context, "description", unit->description ? unit->description : "", true);
    visitor(context, "requires", requires, true);
    visitor(context, "enabled", unit->install.enabled ? "true" : "false", true);
    visitor(context, "number", number, true);
}

bool key_is_live(const char *title) {
    return strcmp(title, "number") != 0;
}

/* ---- the set ---- */

struct unit_set *fake_set_new(void) {
    struct unit_set *set = calloc(1, sizeof(*set));
    if (!set)
        abort();
    set->settings.boot_target = copy("default");
    return set;
}

static void entry_clear(struct unit_entry *entry) {
    unit_unref(entry->unit);
    complaints_free(&entry->complaints);
    free(entry->name);
    free(entry->path);
}

void unit_set_free(struct unit_set *set) {
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        entry_clear(&set->entries[i]);
    free(set->entries);
    free(set->settings.boot_target);
    free(set);
}

struct unit_entry *unit_set_find(const struct unit_set *set, const char *name) {
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->entries[i].name, name) == 0)
            return &set->entries[i];
    return NULL;
}

/* What is on the disk where it is not what the manager has read; NULL. */
static struct unit_set *files;
static bool files_stay;

static struct unit_set *present(void) {
    return files ? files : fake_manager->set;
}

static struct unit_set *copy_set(const struct unit_set *set) {
    struct unit_set *copied = fake_set_new();
    copied->entries = calloc(set->count + 1, sizeof(*copied->entries));
    if (!copied->entries)
        abort();
    for (size_t i = 0; i < set->count; i++) {
        const struct unit_entry *entry = &set->entries[i];
        copied->entries[copied->count++] = (struct unit_entry){
            .name = copy(entry->name),
            .path = copy(entry->path),
            .condition = entry->condition,
            .unit = entry->unit ? unit_ref(entry->unit) : NULL,
        };
    }
    return copied;
}

void fake_files(void) {
    unit_set_free(files);
    files = copy_set(fake_manager->set);
}

void fake_keep_files(void) {
    files_stay = true;
}

struct unit_set *fake_take_files(void) {
    return take(files);
}

bool fake_has_file(const char *name) {
    return unit_set_find(present(), name) != NULL;
}

const struct unit *fake_file(const char *name) {
    const struct unit_entry *entry = unit_set_find(present(), name);
    return entry ? entry->unit : NULL;
}

static struct unit_entry *enter(const char *name) {
    struct unit_set *set = present();
    struct unit_entry *entry = unit_set_find(set, name);
    if (entry) {
        unit_unref(entry->unit);
        entry->unit = NULL;
        return entry;
    }
    set->entries = realloc(set->entries, (set->count + 1) * sizeof(*set->entries));
    if (!set->entries)
        abort();
    entry = &set->entries[set->count++];
    *entry = (struct unit_entry){.name = copy(name), .path = copy("/fake.unit")};
    return entry;
}

void fake_set(struct unit *unit) {
    struct unit_entry *entry = enter(unit->name);
    entry->unit = unit;
    entry->condition = UNIT_VALID;
}

void fake_refuse(const char *name) {
    enter(name)->condition = UNIT_INVALID;
}

void fake_drop(const char *name) {
    struct unit_set *set = present();
    struct unit_entry *entry = unit_set_find(set, name);
    entry_clear(entry);
    *entry = set->entries[--set->count];
}

void fake_apply(void) {
    if (manager_apply_set(fake_manager) < 0)
        abort();
    manager_event_ended(fake_manager);
}

/* A template without a file: any name that begins with "t@" is an instance of it. */
int unit_set_instantiate(struct unit_set *set, const struct unit_sources *sources, const char *name,
                         struct unit_entry **ret_entry, struct fault *fault) {
    (void)sources, (void)fault;
    if (strncmp(name, "t@", 2) != 0)
        return -ENOENT;
    if (!unit_set_find(set, name))
        fake_set(fake_unit(name, SERVICE_EXEC));
    *ret_entry = unit_set_find(set, name);
    return 0;
}

int unit_set_load(const struct unit_sources *sources, struct unit_set **ret_set,
                  struct complaints *host_complaints, struct fault *fault) {
    (void)sources, (void)host_complaints;
    if (!files)
        return fault_say(fault, EOPNOTSUPP, "there are no files here");
    *ret_set = files_stay ? copy_set(files) : take(files);
    files_stay = false;
    return 0;
}

bool unit_name_is_valid(const char *name) {
    return isalnum((unsigned char)name[0]);
}

void complaints_free(struct complaints *complaints) {
    *complaints = (struct complaints){0};
}

/* ---- resolved units: the text of one is its place ---- */

static struct unit **printed;
static size_t printed_count;

void unit_print(const struct unit *unit, struct text *text) {
    size_t place = 0;
    while (place < printed_count && printed[place] != unit)
        place++;
    if (place == printed_count) {
        printed = reallocarray(printed, printed_count + 1, sizeof(struct unit *));
        if (!printed)
            abort();
        printed[printed_count++] = unit_ref((struct unit *)(uintptr_t)unit);
    }
    text_format(text, "%zu", place);
}

int unit_read(const char *name, const char *path, const char *data, size_t length,
              struct unit **ret_unit, struct fault *fault) {
    size_t place = strtoul(data, NULL, 10);
    (void)name, (void)path, (void)length, (void)fault;
    if (place >= printed_count)
        abort();
    *ret_unit = unit_ref(printed[place]);
    return 0;
}
