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

/* How far an append has come: the data from `offset` on lie (or will lie) in this file from `size`
 * on; what it has grown since was written. inode 0: the data before `offset` are written, and no
 * write is under way. */
struct log_mark {
    uint64_t device, inode, size, offset;
};

/* In memory that outlives the process. A mark is written beside the one that counts, then it
 * counts: at any moment one of them is right. */
struct log_marks {
    struct log_mark marks[2];
    uint32_t current;
};

void log_marks_set(struct log_marks *marks, const struct log_mark *mark);

struct log_file {
    int root;         /* LOG_DIR; not owned */
    const char *unit; /* not owned */
    int fd;           /* of current; opened with the first record */
};

void log_file_init(struct log_file *file, int root, const char *unit);
void log_file_close(struct log_file *file);

/* Appends data from `from` on: whole records, each ended by a newline. Rotates before a file grows
 * past max_size. On an error *ret_written (also set on success) tells up to which byte of data, at
 * the end of a record, they are in the files; the caller gives the rest again later. */
int log_file_append(struct log_file *file, const struct log_limits *limits, struct log_marks *marks,
                    const char *data, size_t length, size_t from, size_t *ret_written,
                    struct fault *fault);

/* Has all files of the unit, the rotated ones too, end with whole records (mend.h). */
int log_file_mend(const struct log_file *file, struct fault *fault);

/* N of a name current.N, or 0. */
unsigned log_rotated_index(const char *name);

/* After a logger was killed within log_file_append: up to which byte of data they are in the files.
 * A record that was torn is taken out of its file again. */
size_t log_file_resume(struct log_file *file, struct log_marks *marks, const char *data,
                       size_t length);
