#include "supervisor/keeper/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/keeper/protocol.h"
#include "units/base/foreign.h"
#include "units/base/scoped.h"

/* A record: a byte that counts the name, the descriptor, the name. */
struct record {
    int fd;
    size_t name_length, size;
    const unsigned char *name; /* in the store, without an end of its own */
};

enum {
    NAME_AT = 1 + sizeof(int),
    LINE_MOST = UINT8_MAX + 32, /* bytes */
    LINES_BYTES = 16 * 1024
};

/* A crash from here on finds what was written before. */
static void settle(void) {
    atomic_signal_fence(memory_order_release);
}

/* False at the end, be it where no record ends: a crash may have hit what wrote them. */
static bool record_next(const struct records *records, size_t offset, struct record *ret_record) {
    const unsigned char *start = records->bytes + offset;
    if (offset + NAME_AT > records->length || records->length > STORE_BYTES)
        return false;
    ret_record->name_length = start[0];
    ret_record->size = NAME_AT + ret_record->name_length;
    ret_record->name = start + NAME_AT;
    memcpy(&ret_record->fd, start + 1, sizeof ret_record->fd); /* it is not aligned */
    return offset + ret_record->size <= records->length;
}

static void append(struct records *records, int fd, const void *name, size_t length) {
    unsigned char *at = records->bytes + records->length;
    *at++ = (unsigned char)length;
    at = mempcpy(at, &fd, sizeof fd);
    memcpy(at, name, length);
    settle();
    records->length += NAME_AT + length;
    records->count++;
}

int store_add(struct store *store, const char *name, const int *fds, size_t count) {
    struct records *records = &store->records[store->current];
    size_t length = strlen(name);
    if (length > UINT8_MAX || count > STORE_MOST - records->count ||
        count * (NAME_AT + length) > STORE_BYTES - records->length)
        return -ENOSPC;
    for (size_t i = 0; i < count; i++)
        append(records, fds[i], name, length);
    return 0;
}

static bool is_meant(const struct record *record, const char *name) {
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '*')
        return record->name_length >= length - 1 && memcmp(record->name, name, length - 1) == 0;
    return record->name_length == length && memcmp(record->name, name, length) == 0;
}

/* Came from a service. */
static bool is_foreign(const struct record *record) {
    static const char end[] = "/" KEEPER_FOREIGN;
    size_t length = sizeof end - 1;
    return record->name_length > length &&
           memcmp(record->name + record->name_length - length, end, length) == 0;
}

/* The list comes first, in no time. To close takes long: what a crash leaves open then is in no
 * list, and exec closes it. */
void store_drop(struct store *store, const char *name) {
    const struct records *before = store_records(store);
    struct records *after = &store->records[!store->current];
    size_t dropped = 0;
    bool foreign = false;
    struct record record;
    after->length = after->count = 0;
    for (size_t at = 0; record_next(before, at, &record); at += record.size) {
        if (is_meant(&record, name) && dropped < STORE_MOST) {
            store->dropped[dropped++] = record.fd;
            foreign |= is_foreign(&record);
        } else {
            append(after, record.fd, record.name, record.name_length);
        }
    }
    settle();
    store->current = !store->current;
    store->complained = false;
    if (foreign)
        foreign_close(store->dropped, dropped);
    for (size_t i = 0; i < dropped && !foreign; i++)
        close_fd(store->dropped[i]);
}

void store_forget(struct store *store) {
    struct records *records = &store->records[store->current];
    records->length = records->count = 0;
}

static int put(int file, const char *text, size_t length) {
    ssize_t written = write(file, text, length);
    return written == (ssize_t)length ? 0 : written < 0 ? -errno : -ENOSPC;
}

/* Many lines a write(2), and no stream, whose buffer glibc would allocate. */
int store_write(const struct store *store, int file, const char *before) {
    char text[LINES_BYTES];
    size_t length = 0;
    struct record record;
    int error = 0;
    for (size_t at = 0; record_next(store_records(store), at, &record) && !error;
         at += record.size) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%d %.*s\n", before,
                                   record.fd, (int)record.name_length, (const char *)record.name);
        if (length > sizeof text - LINE_MOST) {
            error = put(file, text, length);
            length = 0;
        }
    }
    return error ? error : put(file, text, length);
}

void store_hand_over(const struct store *store, bool handed_over) {
    struct record record;
    for (size_t at = 0; record_next(store_records(store), at, &record); at += record.size)
        fcntl(record.fd, F_SETFD, handed_over ? 0 : FD_CLOEXEC);
}
