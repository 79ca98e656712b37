#include "supervisor/log/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>

#include "supervisor/log/chain.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/list.h"

/* One unit's log. */
struct source {
    struct list link; /* log_reader.sources */
    char unit[LOG_UNIT_MOST];
    int watch; /* of LOG_DIR/NAME; -1: none */
    struct chain chain;
    bool exhausted;         /* there is no more until inotify says so */
    bool has_head;          /* head is the next record of this unit */
    struct log_record head; /* its text lies in the chain's buffer */
    uint64_t last_time;     /* of the record before */
};

struct log_reader {
    int directory, inotify, watch; /* LOG_DIR and the watch on it */
    uint64_t since, until;         /* of the query */
    uint64_t skip;                 /* records still to be left out, see count_back */
    uint64_t skip_between;         /* the same, of those between since and until */
    uint64_t left;                 /* records that may be told: some may have come meanwhile */
    bool follow, every_unit;
    bool told_all; /* the last call returned 0 */
    struct list sources;
};

/* ---- sources ---- */

static int open_directory(struct log_reader *reader, struct source *source, struct fault *fault) {
    char path[64];
    int fd =
        openat(reader->directory, source->unit, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return fault_set(fault, errno, "cannot open the log of %s", source->unit);
    close_fd(source->chain.directory);
    source->chain.directory = fd;
    source->exhausted = false;
    if (!reader->follow)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    source->watch = inotify_add_watch(reader->inotify, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
    return source->watch < 0 ? fault_set(fault, errno, "cannot watch the log of %s", source->unit)
                             : 0;
}

static void source_free(struct source *source) {
    close_fd(source->chain.directory);
    chain_free(&source->chain);
    list_remove(&source->link);
    free(source);
}

static int add_source(struct log_reader *reader, const char *unit, struct fault *fault) {
    if (*unit == '.' || strchr(unit, '/') || strlen(unit) >= LOG_UNIT_MOST || !*unit)
        return fault_say(fault, EINVAL, "\"%s\" is not the name of a unit", unit);
    struct source *source = calloc(1, sizeof *source);
    if (!source)
        return fault_set(fault, ENOMEM, "cannot read the log of %s", unit);
    strcpy(source->unit, unit);
    source->watch = -1;
    chain_init(&source->chain);
    list_append(&reader->sources, &source->link);
    int error = open_directory(reader, source, fault);
    if (!error && source->chain.directory >= 0)
        error = chain_open(&source->chain, reader->since, fault);
    return error ? fault_prefix(fault, error, "log of %s", unit) : 0;
}

static struct source *find_source(struct log_reader *reader, const char *unit) {
    struct source *source;
    list_for_each(source, &reader->sources, link) {
        if (strcmp(source->unit, unit) == 0)
            return source;
    }
    return NULL;
}

static int add_every_source(struct log_reader *reader, struct fault *fault) {
    int error = 0, fd = openat(reader->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        error = fault_set(fault, errno, "cannot list the log directory");
        close_fd(fd);
        return error;
    }
    const struct dirent *entry;
    int more = 0;
    while (!error && (more = directory_next(listing, &entry)) > 0)
        if (*entry->d_name != '.' && entry->d_type != DT_REG)
            error = add_source(reader, entry->d_name, fault);
    if (!error && more < 0)
        error = fault_set(fault, more, "cannot list the log directory");
    closedir(listing);
    return error;
}

/* The last N of all units together are among the last N of each: every source is moved to its own,
 * and what is too much is left out while merging. */
static int count_back(struct log_reader *reader, uint64_t last, struct fault *fault) {
    struct source *source;
    uint64_t total = 0, lines;
    list_for_each(source, &reader->sources, link) {
        int error = chain_seek_last(&source->chain, last, &lines, fault);
        if (error)
            return error;
        total += lines;
    }
    reader->skip = total > last ? total - last : 0;
    return 0;
}

/* With an end in time nobody knows how far from the end of the files the last N begin: all are
 * counted. */
static int count_between(struct log_reader *reader, const char *log_directory,
                         const struct log_query *query, struct fault *fault) {
    scoped(log_reader_close) struct log_reader *counter = NULL;
    struct log_query all = *query;
    struct log_record record;
    uint64_t total = 0;
    all.last = LOG_ALL;
    all.follow = false;
    int result = log_reader_open(log_directory, &all, &counter, fault);
    while (result >= 0 && (result = log_reader_next(counter, &record, fault)) > 0)
        total++;
    reader->skip_between = total > query->last ? total - query->last : 0;
    return result;
}

/* ---- the reader ---- */

static int open_watch(struct log_reader *reader, struct fault *fault) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", reader->directory);
    reader->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (reader->inotify < 0)
        return fault_set(fault, errno, "cannot follow the logs");
    reader->watch = inotify_add_watch(reader->inotify, path, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    return reader->watch < 0 ? fault_set(fault, errno, "cannot follow the logs") : 0;
}

int log_reader_open(const char *log_directory, const struct log_query *query,
                    struct log_reader **ret_reader, struct fault *fault) {
    scoped(log_reader_close) struct log_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return fault_set(fault, ENOMEM, "cannot read the logs");
    list_init(&reader->sources);
    reader->since = query->since;
    reader->until = query->until ? query->until : UINT64_MAX;
    reader->follow = query->follow;
    reader->left = query->follow ? LOG_ALL : query->last;
    reader->every_unit = query->unit_count == 0;
    reader->inotify = -EBADF;
    reader->directory = open(log_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (reader->directory < 0)
        return fault_set(fault, errno, "cannot open the log directory \"%s\"", log_directory);

    int error = query->follow ? open_watch(reader, fault) : 0;
    for (size_t i = 0; i < query->unit_count && !error; i++)
        if (!find_source(reader, query->units[i]))
            error = add_source(reader, query->units[i], fault);
    if (!error && reader->every_unit)
        error = add_every_source(reader, fault);
    if (!error && query->last != LOG_ALL)
        error = query->until ? count_between(reader, log_directory, query, fault)
                             : count_back(reader, query->last, fault);
    if (error)
        return error;
    *ret_reader = take(reader);
    return 0;
}

void log_reader_close(struct log_reader *reader) {
    struct source *source, *following;
    if (!reader)
        return;
    list_for_each_safe(source, following, &reader->sources, link) {
        source_free(source);
    }
    close_fd(reader->inotify);
    close_fd(reader->directory);
    free(reader);
}

int log_reader_fd(const struct log_reader *reader) {
    return reader->inotify;
}

/* A directory in LOG_DIR is new, or has taken the place of one that was removed. */
static int heed_new_directory(struct log_reader *reader, const char *unit, struct fault *fault) {
    struct source *source = find_source(reader, unit);
    if (source)
        return open_directory(reader, source, fault);
    return reader->every_unit && *unit != '.' ? add_source(reader, unit, fault) : 0;
}

static int heed_changes(struct log_reader *reader, struct fault *fault) {
    _Alignas(struct inotify_event) char buffer[4096];
    struct source *source;
    ssize_t length;
    int error = 0;
    while ((length = read(reader->inotify, buffer, sizeof buffer)) > 0 && !error)
        for (const char *at = buffer; at < buffer + length && !error;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;
            if (event->wd == reader->watch && event->len > 0 && event->mask & IN_ISDIR)
                error = heed_new_directory(reader, event->name, fault);
            list_for_each(source, &reader->sources, link) {
                if (source->watch == event->wd || event->mask & IN_Q_OVERFLOW)
                    source->exhausted = false;
            }
            at += sizeof *event + event->len;
        }
    return error;
}

/* The next record of one unit. A line that is none becomes one, so that nothing is hidden. */
static int fill_head(struct log_reader *reader, struct source *source, struct fault *fault) {
    const char *line;
    size_t length;
    int result = chain_next(&source->chain, reader->follow, &line, &length, fault);
    if (result < 0)
        return fault_prefix(fault, result, "log of %s", source->unit);
    source->exhausted = result == 0;
    source->has_head = result > 0;
    if (!source->has_head)
        return 0;
    if (log_record_parse(line, length, &source->head) < 0) {
        source->head = (struct log_record){
            .time = source->last_time, .stream = LOG_OUT, .text = line, .length = length};
        memcpy(source->head.unit, source->unit, sizeof source->unit);
    }
    source->last_time = source->head.time;
    return 0;
}

static bool is_between(struct log_reader *reader, const struct log_record *record) {
    if (record->time < reader->since || record->time > reader->until)
        return false;
    if (reader->skip_between == 0)
        return true;
    reader->skip_between--;
    return false;
}

int log_reader_next(struct log_reader *reader, struct log_record *ret_record, struct fault *fault) {
    if (reader->told_all && reader->follow) {
        int error = heed_changes(reader, fault);
        if (error)
            return error;
        reader->told_all = false;
    }
    while (reader->left > 0) {
        struct source *source, *first = NULL;
        list_for_each(source, &reader->sources, link) {
            int error =
                source->has_head || source->exhausted ? 0 : fill_head(reader, source, fault);
            if (error)
                return error;
            if (source->has_head && (!first || source->head.time < first->head.time))
                first = source;
        }
        if (!first)
            break;
        first->has_head = false;
        if (reader->skip > 0)
            reader->skip--;
        else if (is_between(reader, &first->head)) {
            *ret_record = first->head;
            reader->left -= reader->left != LOG_ALL;
            return 1;
        }
    }
    reader->told_all = true;
    return 0;
}
