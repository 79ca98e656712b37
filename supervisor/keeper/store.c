#include "supervisor/keeper/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "units/base/scoped.h"

/* A record: two bytes that count the name and the descriptors, then the name, then those. */
struct record {
    const unsigned char *name, *fds; /* in the store; the numbers are not aligned */
    size_t name_length, count, size;
};

static struct record record_at(const struct store *store, size_t offset) {
    const unsigned char *start = store->records + offset;
    struct record record = {.name = start + 2, .name_length = start[0], .count = start[1]};
    record.fds = record.name + record.name_length;
    record.size = 2 + record.name_length + record.count * sizeof(int);
    return record;
}

/* False at the end, and where the end is no longer where a record ends: a keeper that crashed in
 * the middle of a change has to find its way through what is there. */
static bool record_next(const struct store *store, size_t offset, struct record *ret_record) {
    if (offset + 2 > store->length || store->length > STORE_BYTES)
        return false;
    *ret_record = record_at(store, offset);
    return offset + ret_record->size <= store->length;
}

static int record_fd(const struct record *record, size_t index) {
    int fd;
    memcpy(&fd, record->fds + index * sizeof fd, sizeof fd);
    return fd;
}

static bool is_named(const struct record *record, const char *name, size_t length) {
    return record->name_length == length && memcmp(record->name, name, length) == 0;
}

/* Of the same name as the last one, one by one as resume.c finds them again: in its record. */
static bool append(struct store *store, const char *name, const int *fds, size_t count) {
    struct record last = record_at(store, store->last);
    if (store->length == 0 || !is_named(&last, name, strlen(name)) ||
        last.count + count > UINT8_MAX || store->length + count * sizeof(int) > STORE_BYTES)
        return false;
    store->records[store->last + 1] = (unsigned char)(last.count + count);
    memcpy(store->records + store->length, fds, count * sizeof(int));
    store->length += count * sizeof(int);
    return true;
}

int store_add(struct store *store, const char *name, const int *fds, size_t count) {
    size_t name_length = strlen(name), size = 2 + name_length + count * sizeof(int);
    if (name_length > UINT8_MAX || count > UINT8_MAX || store->count + count > STORE_MOST)
        return -ENOSPC;
    if (!append(store, name, fds, count)) {
        if (store->length + size > STORE_BYTES)
            return -ENOSPC;
        unsigned char *at = store->records + store->length;
        *at++ = (unsigned char)name_length;
        *at++ = (unsigned char)count;
        memcpy(at, name, name_length);
        memcpy(at + name_length, fds, count * sizeof(int));
        store->last = store->length;
        store->length += size;
    }
    store->count += count;
    return 0;
}

static bool is_meant(const struct record *record, const char *name) {
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '*')
        return record->name_length >= length - 1 && memcmp(record->name, name, length - 1) == 0;
    return is_named(record, name, length);
}

void store_drop(struct store *store, const char *name) {
    size_t kept = 0;
    struct record record;
    for (size_t at = 0; record_next(store, at, &record); at += record.size) {
        if (is_meant(&record, name)) {
            for (size_t i = 0; i < record.count; i++)
                close_fd(record_fd(&record, i));
            store->count -= record.count;
        } else {
            if (kept != at)
                memmove(store->records + kept, store->records + at, record.size);
            store->last = kept;
            kept += record.size;
        }
    }
    store->length = kept;
    store->complained = false;
}

/* Lines are collected: a write(2) for each of 14,000 would take as long as a launch. */
struct lines {
    int file, error;
    size_t length;
    char text[4096];
};

static void flush(struct lines *lines) {
    for (size_t written = 0; written < lines->length && !lines->error;) {
        ssize_t more = write(lines->file, lines->text + written, lines->length - written);
        if (more >= 0)
            written += (size_t)more;
        else if (errno != EINTR)
            lines->error = -errno;
    }
    lines->length = 0;
}

int store_write(const struct store *store, int file, const char *before) {
    struct lines lines = {.file = file};
    struct record record;
    for (size_t at = 0; record_next(store, at, &record); at += record.size) {
        for (size_t i = 0; i < record.count; i++) {
            if (sizeof lines.text - lines.length < UINT8_MAX + 64)
                flush(&lines);
            lines.length += (size_t)snprintf(
                lines.text + lines.length, sizeof lines.text - lines.length, "%s%d %.*s\n", before,
                record_fd(&record, i), (int)record.name_length, (const char *)record.name);
        }
    }
    flush(&lines);
    return lines.error;
}

void store_hand_over(const struct store *store, bool handed_over) {
    struct record record;
    for (size_t at = 0; record_next(store, at, &record); at += record.size)
        for (size_t i = 0; i < record.count; i++)
            fcntl(record_fd(&record, i), F_SETFD, handed_over ? 0 : FD_CLOEXEC);
}
