#include "units/search.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"
#include "units/set.h"
#include "units/source.h"

const char *const unit_standard_path[] = {"/etc/ringfence/units", "/run/ringfence/units",
                                          "/usr/lib/ringfence/units", NULL};

static bool has_suffix(const char *name, const char *suffix) {
    size_t length = strlen(name), tail = strlen(suffix);
    return length > tail && name[0] != '.' && strcmp(name + length - tail, suffix) == 0;
}

static int found_add(struct found **items, size_t *count, const struct found *like,
                     const char *name, size_t name_length, const char *directory,
                     const char *file) {
    /* Grown by doubling: the count is a power of two when it is full. */
    if ((*count & (*count - 1)) == 0) {
        struct found *grown = reallocarray(*items, *count ? *count * 2 : 8, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        *items = grown;
    }
    struct found *found = &(*items)[*count];
    *found = *like;
    found->name = strndup(name, name_length);
    if (asprintf(&found->path, "%s/%s", directory, file) < 0)
        found->path = NULL;
    (*count)++;
    return found->name && found->path ? 0 : -ENOMEM;
}

/* NAME.unit.d: its *.conf. */
static int drop_ins_read(struct search *search, const struct found *like, int parent,
                         const char *directory, const char *file, struct fault *fault) {
    scoped_fd int fd = openat(parent, file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scoped_free char *path = NULL;
    if (fd < 0 && (errno == ENOTDIR || errno == ENOENT))
        return 0;
    if (fd < 0)
        return fault_set(fault, errno, "cannot open \"%s/%s\"", directory, file);
    if (asprintf(&path, "%s/%s", directory, file) < 0)
        return -ENOMEM;
    const char *bad = source_directory_fault(fd);
    DIR *stream = fdopendir(fd);
    if (!stream)
        return fault_set(fault, errno, "cannot read \"%s\"", path);
    take_fd(&fd);
    const struct dirent *entry;
    int error = 0, more = 1;
    while (!error && (more = directory_next(stream, &entry)) > 0) {
        if (!has_suffix(entry->d_name, ".conf"))
            continue;
        error = found_add(&search->drop_ins, &search->drop_in_count, like, file,
                          strlen(file) - strlen(UNIT_SUFFIX ".d"), path, entry->d_name);
        struct found *found = &search->drop_ins[search->drop_in_count - 1];
        if (!error && !(found->file = strdup(entry->d_name)))
            error = -ENOMEM;
        if (!error && bad)
            found->bad = bad;
    }
    closedir(stream);
    return more < 0 ? fault_set(fault, more, "cannot read \"%s\"", path) : error;
}

static int directory_read(struct search *search, const char *path, size_t place, bool optional,
                          struct fault *fault) {
    DIR *stream = opendir(path);
    if (!stream)
        return optional && errno == ENOENT
                   ? 0
                   : fault_set(fault, errno, "cannot open the unit directory \"%s\"", path);
    struct found like = {.place = place, .bad = source_directory_fault(dirfd(stream))};
    const struct dirent *entry;
    int error = 0, more = 1;
    while (!error && (more = directory_next(stream, &entry)) > 0) {
        const char *file = entry->d_name;
        if (has_suffix(file, UNIT_SUFFIX ".d"))
            error = drop_ins_read(search, &like, dirfd(stream), path, file, fault);
        else if (has_suffix(file, UNIT_SUFFIX))
            error = found_add(&search->units, &search->unit_count, &like, file,
                              strlen(file) - strlen(UNIT_SUFFIX), path, file);
    }
    closedir(stream);
    if (more < 0)
        return fault_set(fault, more, "cannot read the unit directory \"%s\"", path);
    return error == -ENOMEM ? fault_set(fault, error, "cannot keep the units of \"%s\"", path)
                            : error;
}

static int compare_units(const void *left, const void *right) {
    const struct found *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

static int compare_drop_ins(const void *left, const void *right) {
    const struct found *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    if (order == 0)
        order = strcmp(a->file, b->file);
    return order ? order : (a->place < b->place) - (a->place > b->place);
}

static void found_free(struct found *found) {
    free(found->name);
    free(found->file);
    free(found->path);
}

int search_open(const struct unit_sources *sources, struct search *ret_search,
                struct fault *fault) {
    const char *const *path =
        sources && sources->directories ? sources->directories : unit_standard_path;
    struct search search = {0};
    int error = 0;
    for (size_t i = 0; path[i] && !error; i++)
        error = directory_read(&search, path[i], i, path == unit_standard_path, fault);
    if (error) {
        search_close(&search);
        return error;
    }
    if (search.unit_count)
        qsort(search.units, search.unit_count, sizeof(*search.units), compare_units);
    if (search.drop_in_count)
        qsort(search.drop_ins, search.drop_in_count, sizeof(*search.drop_ins), compare_drop_ins);
    size_t kept = 0;
    for (size_t i = 0; i < search.unit_count; i++) {
        if (kept && strcmp(search.units[kept - 1].name, search.units[i].name) == 0)
            found_free(&search.units[i]);
        else
            search.units[kept++] = search.units[i];
    }
    search.unit_count = kept;
    *ret_search = search;
    return 0;
}

void search_close(struct search *search) {
    for (size_t i = 0; i < search->unit_count; i++)
        found_free(&search->units[i]);
    for (size_t i = 0; i < search->drop_in_count; i++)
        found_free(&search->drop_ins[i]);
    free(search->units);
    free(search->drop_ins);
    *search = (struct search){0};
}

static int compare_name(const void *name, const void *found) {
    return strcmp(name, ((const struct found *)found)->name);
}

const struct found *search_unit(const struct search *search, const char *name) {
    if (search->unit_count == 0)
        return NULL;
    return bsearch(name, search->units, search->unit_count, sizeof(*search->units), compare_name);
}

const struct found *search_drop_ins(const struct search *search, const char *name) {
    size_t low = 0, high = search->drop_in_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(search->drop_ins[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == search->drop_in_count || strcmp(search->drop_ins[low].name, name) != 0)
        return NULL;
    return &search->drop_ins[low];
}

bool found_is_masked(const char *path) {
    struct stat status;
    if (stat(path, &status) < 0)
        return false;
    if (S_ISCHR(status.st_mode))
        return status.st_rdev == makedev(1, 3);
    return S_ISREG(status.st_mode) && status.st_size == 0;
}
