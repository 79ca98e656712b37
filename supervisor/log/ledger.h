#pragma once
/* The chunk of output that is on its way from a FIFO to where it is logged, in memory that outlives
 * ringfence-logd: kill -9 between any two instructions neither loses a byte nor repeats one.
 *
 *  1. ledger_see: tee(2) copies what is in the FIFO, and leaves it there.
 *  2. Cut into records (lines.h), the chunk is entered: from here on a successor knows of it.
 *  3. The records are written. Before each write(2) a mark (file.h) says which file they go into,
 *     and how long it was; so its length tells what of them has been written.
 *  4. ledger_settle: what was written is drained from the FIFO, by one read(2). Its last byte goes
 *     to a place here that held another byte before: so that place tells whether it was done.
 *  5. The entry is struck out.
 *
 * The end of a chunk that is no whole line stays in its FIFO, where nobody's death can hurt it. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "supervisor/log/file.h"
#include "supervisor/log/lines.h"

struct fault;

enum {
    LEDGER_SOURCE = (1 << 20) + 4096,  /* bytes of a chunk; more than the longest line */
    LEDGER_BATCH = LEDGER_SOURCE << 1, /* bytes of its records */
    LEDGER_PIECES = 4096
};

/* What lies in the shared memory; a later version of the program reads it, too. */
struct ledger_entry {
    uint32_t version;
    uint32_t open;       /* what follows is a chunk that was entered, and not struck out */
    uint64_t fifo[2];    /* device and inode; 0, 0: the chunk comes from nowhere */
    uint32_t stream;     /* enum log_stream */
    uint32_t count;      /* pieces */
    uint32_t drained;    /* bytes that are being drained; 0: not begun */
    unsigned char place; /* where the last of them goes */
    char unit[LOG_UNIT_MOST];
    struct log_marks marks;
    struct piece pieces[LEDGER_PIECES];
};

struct ledger {
    struct ledger_entry *entry;
    char *source, *batch; /* in the same memory */
    int fd;               /* of it */
    int pipe[2];          /* where tee(2) copies to */
    size_t reserved;      /* bytes of the source for which there is memory */
};

/* RUNTIME_DIR/output.ledger: what a predecessor left in it stays until it is struck out. */
int ledger_open(struct ledger *ledger, int directory, struct fault *fault);

/* Whether a chunk was entered, and not struck out. One that makes no sense is struck out, and so is
 * one that needed nothing but that. */
bool ledger_has_entry(struct ledger *ledger);
bool ledger_entry_is_sound(const struct ledger_entry *entry);

/* Copies what is in the FIFO to the source, at most `most` bytes. Their count, or -EAGAIN. */
ssize_t ledger_see(struct ledger *ledger, int fifo, size_t most);

/* Enters the pieces. fifo: -EBADF for what the logger itself has to say. */
void ledger_enter(struct ledger *ledger, const char *unit, enum log_stream stream, int fifo,
                  size_t count);

/* How many pieces lie before this byte of the batch. */
size_t ledger_pieces_before(const struct ledger *ledger, size_t offset);

/* Drains what the first pieces came from, and strikes the entry out. Returns how many bytes. */
size_t ledger_settle(struct ledger *ledger, int fifo, size_t pieces);

/* The same for an entry of a predecessor, whose FIFO may be another one by now. */
void ledger_settle_again(struct ledger *ledger, int fifo, size_t pieces);
