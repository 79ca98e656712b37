#pragma once
/* The log files of one unit as one run of lines, oldest first, over rotations; for the reader. */

#include <stdbool.h>

#include "supervisor/log/record.h"

struct fault;

struct chain {
    int directory; /* LOG_DIR/NAME; not owned; -EBADF: there is none (yet) */
    int *files;    /* open descriptors, oldest first; files[at] is being read */
    size_t count, at;
    char *buffer; /* what was read and not yet given; `from` is the first such byte */
    size_t from, length, capacity;
    size_t searched; /* bytes from `from` on that hold no newline */
};

void chain_init(struct chain *chain);
void chain_free(struct chain *chain);

/* Opens all files that are there now and stands at the beginning of the oldest; files of which all
 * is older than `since` (microseconds since 1970) are left out. */
int chain_open(struct chain *chain, uint64_t since, struct fault *fault);

/* Moves from the beginning to the last `most` lines; *ret_lines are there from then on. */
int chain_seek_last(struct chain *chain, uint64_t most, uint64_t *ret_lines, struct fault *fault);

/* 1: a line without its newline, valid until the next call. 0: no complete line more, for now;
 * with `follow`, a file that was rotated meanwhile has been left for its successors. */
int chain_next(struct chain *chain, bool follow, const char **ret_line, size_t *ret_length,
               struct fault *fault);
