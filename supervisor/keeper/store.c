#include "supervisor/keeper/store.h"

#include <errno.h>
#include <fcntl.h>
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

/* False at the end, and where the end is no longer where a record ends: a keeper that crashed in
 * the middle of a change has to find its way through what is there. */
static bool record_next(const struct store *store, size_t offset, struct record *ret_record) {
    const unsigned char *start = store->records + offset;
    if (offset + NAME_AT > store->length || store->length > STORE_BYTES)
        return false;
    ret_record->name_length = start[0];
    ret_record->size = NAME_AT + ret_record->name_length;
    ret_record->name = start + NAME_AT;
    memcpy(&ret_record->fd, start + 1, sizeof ret_record->fd); /* it is not aligned */
    return offset + ret_record->size <= store->length;
}

int store_add(struct store *store, const char *name, const int *fds, size_t count) {
    size_t length = strlen(name), size = NAME_AT + length;
    if (length > UINT8_MAX || count > STORE_MOST - store->count ||
        count * size > STORE_BYTES - store->length)
        return -ENOSPC;
    for (size_t i = 0; i < count; i++) {
        unsigned char *at = store->records + store->length;
        *at++ = (unsigned char)length;
        at = mempcpy(at, &fds[i], sizeof fds[i]);
        mempcpy(at, name, length);
        store->length += size;
        store->count++;
    }
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
    size_t kept = 0, dropped = 0;
    bool foreign = false;
    struct record record;
    for (size_t at = 0; record_next(store, at, &record); at += record.size) {
        if (is_meant(&record, name) && dropped < STORE_MOST) {
            store->dropped[dropped++] = record.fd;
            foreign |= is_foreign(&record);
        } else {
            memmove(store->records + kept, store->records + at, record.size);
            kept += record.size;
        }
    }
    store->length = kept;
    store->count -= dropped;
    store->complained = false;
    if (foreign)
        foreign_close(store->dropped, dropped);
    for (size_t i = 0; i < dropped && !foreign; i++)
        close_fd(store->dropped[i]);
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
    for (size_t at = 0; record_next(store, at, &record) && !error; at += record.size) {
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
    for (size_t at = 0; record_next(store, at, &record); at += record.size)
        fcntl(record.fd, F_SETFD, handed_over ? 0 : FD_CLOEXEC);
}
