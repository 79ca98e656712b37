#pragma once
/* Descriptors that the keeper holds for the manager, by name, in the order in which they came. */

#include <stdbool.h>
#include <stddef.h>

enum {
    STORE_MOST = 65536,       /* descriptors */
    STORE_BYTES = 4 * 1048576 /* of all records: a name of 50 bytes for each of them */
};

/* Records lie one behind the other, so that only memory which holds something is ever touched. */
struct records {
    size_t length, count; /* bytes, descriptors */
    unsigned char bytes[STORE_BYTES];
};

/* Zero-initialised is empty. A keeper that crashes in the midst of a change leaves the records
 * before it or after it: what is dropped is left out of a copy, which then takes their place. */
struct store {
    struct records records[2];
    unsigned current;        /* which of the two */
    bool complained;         /* that it is full */
    int dropped[STORE_MOST]; /* of store_drop() alone */
};

static inline const struct records *store_records(const struct store *store) {
    return &store->records[store->current];
}

/* The descriptors are the store's from now on; -ENOSPC: there is no room for them, and they are
 * still the caller's. */
int store_add(struct store *store, const char *name, const int *fds, size_t count);

/* Closes all of that name, and waits for no socket that lingers; a "*" at its end stands for
 * anything. */
void store_drop(struct store *store, const char *name);

/* Empty again; nothing is closed. */
void store_forget(struct store *store);

/* A line for each descriptor: its number, a blank, its name, after what stands before each. */
int store_write(const struct store *store, int file, const char *before);

/* Whether a program that is started next gets them. */
void store_hand_over(const struct store *store, bool handed_over);
