#pragma once
/* The log files of one unit: LOG_DIR/NAME/current, current.1 (the newest of the rotated), ... */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault;

struct log_limits {
    uint64_t max_size;  /* bytes of each file; only a single record that is longer may exceed it */
    unsigned max_files; /* at least 1, current included */
    size_t max_line;    /* bytes of text in one record */
};

struct log_file {
    int root;         /* LOG_DIR; not owned */
    const char *unit; /* not owned */
    int fd;           /* of current; opened with the first record */
};

void log_file_init(struct log_file *file, int root, const char *unit);
void log_file_close(struct log_file *file);

/* Appends whole records, each ended by a newline. Rotates before a file grows past max_size. Where
 * the disk is full the unit's oldest rotated files make room. On an error *ret_written (also set on
 * success) tells how many bytes, of whole records, are in the files; the caller gives the rest
 * again later. */
int log_file_append(struct log_file *file, const struct log_limits *limits, const char *data,
                    size_t length, size_t *ret_written, struct fault *fault);
