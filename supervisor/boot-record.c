#include "supervisor/boot-record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/manager.h"
#include "units/base/file.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/base/text.h"

#define RECORD "boot"
#define RECORD_MAX ((size_t)1 << 20)
#define STEPS_MAX 1024 /* a file of ours holds no more than the host's file has mounts */
#define BEGAN "RINGFENCE_BEGAN"
#define SWITCHED "RINGFENCE_SWITCHED"

static const char *const outcome_words[] = {[BOOT_DONE] = "done",
                                            [BOOT_SKIPPED] = "skipped",
                                            [BOOT_FAILED] = "failed",
                                            [BOOT_STALE] = "stale",
                                            [BOOT_RUNNING] = "running"};
static_assert(ELEMENTS(outcome_words) == BOOT_RUNNING + 1, "a word for every outcome");
static const struct names outcomes = NAMES(outcome_words);

const char *boot_outcome_word(enum boot_outcome outcome) {
    return names_word(&outcomes, (int)outcome);
}

/* ---- the steps ---- */

const struct boot_step *boot_record_find(const struct boot_record *record, const char *name) {
    for (size_t i = 0; i < record->count; i++)
        if (strcmp(record->steps[i].name, name) == 0)
            return &record->steps[i];
    return NULL;
}

static struct boot_step *find_or_add(struct boot_record *record, const char *name) {
    struct boot_step *steps;
    const struct boot_step *there = boot_record_find(record, name);
    if (there)
        return &record->steps[there - record->steps];
    if (record->count == STEPS_MAX ||
        !(steps = reallocarray(record->steps, record->count + 1, sizeof(*steps))))
        return NULL;
    record->steps = steps;
    steps[record->count] = (struct boot_step){.name = strdup(name)};
    return steps[record->count].name ? &steps[record->count++] : NULL;
}

int boot_record_step(struct boot_record *record, const char *name, uint64_t begun, uint64_t ended,
                     enum boot_outcome outcome, const char *words) {
    struct boot_step *step = find_or_add(record, name);
    char *copy = strdup(words);
    if (!step || !copy) {
        free(copy);
        return -ENOMEM;
    }
    free(step->words);
    step->words = copy;
    step->begun = begun;
    step->ended = ended;
    step->outcome = outcome;
    return 0;
}

/* ---- the file: KEY=VALUE, a step with tabs between its parts ---- */

static char *path_of(const struct manager *manager) {
    char *path = NULL;
    return asprintf(&path, "%s/" RECORD, manager->options.runtime_directory) < 0 ? NULL : path;
}

static char *read_boot_id(void) {
    char *id = NULL;
    if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &id, NULL, NULL) < 0)
        return NULL;
    id[strcspn(id, "\n")] = '\0';
    return id;
}

static void parse_step(struct boot_record *record, char *value) {
    const char *name = strsep(&value, "\t"), *begun = strsep(&value, "\t");
    const char *ended = strsep(&value, "\t"), *word = strsep(&value, "\t");
    uint64_t from, to;
    int outcome = word ? names_value(&outcomes, word) : -EINVAL;
    if (outcome >= 0 && number_parse(begun, &from) == 0 && number_parse(ended, &to) == 0)
        boot_record_step(record, name, from, to, (enum boot_outcome)outcome, value ? value : "");
}

static void parse_line(struct boot_record *record, const char *key, char *value) {
    const struct {
        const char *key;
        uint64_t *value;
    } times[] = {{"ringfenced", &record->ringfenced},
                 {"manager", &record->manager},
                 {"units", &record->units}};
    if (strcmp(key, "step") == 0)
        parse_step(record, value);
    else if (strcmp(key, "machine") == 0)
        record->machine = strcmp(value, "1") == 0;
    for (size_t i = 0; i < ELEMENTS(times); i++)
        if (strcmp(key, times[i].key) == 0 && number_parse(value, times[i].value) < 0)
            *times[i].value = 0;
}

int boot_record_read(struct boot_record *record, const struct manager *manager) {
    scoped_free char *path = path_of(manager), *data = NULL, *id = read_boot_id();
    if (!path || !id)
        return -ENOMEM;
    int error = file_read(AT_FDCWD, path, RECORD_MAX, &data, NULL, NULL);
    char *rest = data, *first = error < 0 ? NULL : strsep(&rest, "\n");
    if (!first || strncmp(first, "boot=", 5) != 0 || strcmp(first + 5, id) != 0)
        return error < 0 ? error : -EINVAL;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        const char *key = strsep(&line, "=");
        if (line)
            parse_line(record, key, line);
    }
    return record->manager > 0 ? 0 : -EINVAL;
}

int boot_record_write(const struct boot_record *record, const struct manager *manager,
                      struct fault *fault) {
    scoped_free char *path = path_of(manager), *id = read_boot_id();
    scoped_text struct text text = {0};
    text_format(&text, "boot=%s\nmachine=%d\nringfenced=%" PRIu64 "\nmanager=%" PRIu64,
                id ? id : "", record->machine, record->ringfenced, record->manager);
    text_format(&text, "\nunits=%" PRIu64 "\n", record->units);
    for (size_t i = 0; i < record->count; i++) {
        const struct boot_step *step = &record->steps[i];
        text_format(&text, "step=%s\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\n", step->name, step->begun,
                    step->ended, boot_outcome_word(step->outcome), step->words);
    }
    if (!path || !id || text.failed)
        return fault_set(fault, ENOMEM, "cannot keep the times of the boot");
    return file_replace(AT_FDCWD, path, text.data, text.length, 0644, false, fault);
}

void boot_record_remove(const struct manager *manager) {
    scoped_free char *path = path_of(manager);
    if (path)
        unlink(path);
}

/* ---- life ---- */

/* What ringfenced noted in the environment, where that can be. */
static bool read_time(const char *name, uint64_t least, uint64_t most, uint64_t *ret_time) {
    const char *text = getenv(name);
    uint64_t time;
    if (!text || number_parse(text, &time) < 0 || time < least || time > most)
        return false;
    *ret_time = time;
    return true;
}

int boot_record_begin(struct boot_record *record, uint64_t now, bool machine) {
    uint64_t switched;
    boot_record_free(record);
    record->machine = machine;
    record->manager = record->ringfenced = now;
    read_time(BEGAN, 0, now, &record->ringfenced);
    if (!read_time(SWITCHED, record->ringfenced, now, &switched))
        return 0;
    return boot_record_step(record, "initramfs", record->ringfenced, switched, BOOT_DONE, "");
}

void boot_record_free(struct boot_record *record) {
    for (size_t i = 0; i < record->count; i++) {
        free(record->steps[i].name);
        free(record->steps[i].words);
    }
    free(record->steps);
    *record = (struct boot_record){0};
}
