#pragma once
/* Cuts what a service wrote into records, one a line; ringfence-logd calls it for each chunk that
 * it sees. Nothing is kept between two calls: the unfinished end of a chunk is left to its FIFO. */

#include "supervisor/log/rate.h"
#include "supervisor/log/record.h"

/* One line, or one part of a line: where it ends in the source and in the batch. One that ends
 * where the one before it does in the batch was dropped for its rate; in the source: it is a note.
 */
struct piece {
    uint32_t source, batch;
};

struct lines {
    const char *source; /* what was read */
    size_t length;
    char *batch; /* records, each with its newline */
    size_t room; /* bytes of batch */
    struct piece *pieces;
    size_t most; /* pieces */
    size_t count;
};

enum lines_end {
    LINES_CUT, /* what is left is the beginning of a line, or nothing */
    LINES_FULL /* there is no room for more */
};

/* Complete lines become records like `like`, as far as the rate lets them pass. A line longer than
 * max_line (at least 1) is cut into records of which all but the last are marked partial, so that
 * the texts of those and of the next unmarked one of the same stream, put together, are the line.
 * With `all`, the beginning of a line at the end becomes a partial record, too. */
enum lines_end lines_cut(struct lines *lines, const struct log_record *like, size_t max_line,
                         bool all, struct rate *rate);

/* A record that the logger itself has to say, in front of all others. */
void lines_note(struct lines *lines, const struct log_record *note);

/* Where the piece before this one ends, or zeros. */
struct piece lines_end_before(const struct piece *pieces, size_t index);
