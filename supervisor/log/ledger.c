#include "supervisor/log/ledger.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

enum {
    VERSION = 1,
    PAGE = 4096,
    RESERVED_AT_FIRST = 64 << 10, /* bytes of a chunk that need no more than what is there */
    PIPE_SIZE = 1 << 20           /* as many slots as a FIFO can have */
};

#define ENTRY_SIZE ((sizeof(struct ledger_entry) + PAGE - 1) / PAGE * PAGE)
#define LEDGER_SIZE (ENTRY_SIZE + LEDGER_SOURCE + LEDGER_BATCH)

static_assert(LEDGER_SOURCE % PAGE == 0, "the batch begins at a page");

/* Stores before it are there before those after it, for whoever maps the memory after our death:
 * the kernel sees one processor's stores in their order, so that only the compiler is to be held.
 */
static void in_order(void) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Memory for chunks of so many bytes, that a full file system cannot take away (SIGBUS). */
static int reserve(struct ledger *ledger, size_t size) {
    const off_t source = (off_t)ENTRY_SIZE, batch = source + LEDGER_SOURCE;
    if (size <= ledger->reserved)
        return 0;
    if (fallocate(ledger->fd, 0, 0, source + (off_t)size) < 0 ||
        fallocate(ledger->fd, 0, batch, (off_t)size * 2) < 0) {
        if (errno != EOPNOTSUPP)
            return -errno;
    }
    ledger->reserved = size;
    return 0;
}

static size_t round_up(size_t size) {
    return (size + PAGE - 1) / PAGE * PAGE;
}

static int map(struct ledger *ledger, struct fault *fault) {
    struct stat status;
    if (fstat(ledger->fd, &status) < 0 || ftruncate(ledger->fd, (off_t)LEDGER_SIZE) < 0)
        return fault_set(fault, errno, "cannot set the size of the ledger");
    int error = reserve(ledger, RESERVED_AT_FIRST);
    if (error)
        return fault_set(fault, error, "cannot have memory for the ledger");
    void *memory = mmap(NULL, LEDGER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ledger->fd, 0);
    if (memory == MAP_FAILED)
        return fault_set(fault, errno, "cannot map the ledger");
    ledger->entry = memory;
    ledger->source = (char *)memory + ENTRY_SIZE;
    ledger->batch = ledger->source + LEDGER_SOURCE;
    if (status.st_size != (off_t)LEDGER_SIZE || ledger->entry->version != VERSION)
        ledger->entry->open = 0;
    ledger->entry->version = VERSION;
    return 0;
}

int ledger_open(struct ledger *ledger, int directory, struct fault *fault) {
    *ledger = (struct ledger){.pipe = {-EBADF, -EBADF}};
    ledger->fd =
        openat(directory, "output.ledger", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ledger->fd < 0)
        return fault_set(fault, errno, "cannot open the ledger of the outputs");
    if (pipe2(ledger->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return fault_set(fault, errno, "cannot make a pipe");
    fcntl(ledger->pipe[1], F_SETPIPE_SZ, PIPE_SIZE); /* where it fails, chunks are smaller */
    return map(ledger, fault);
}

static ssize_t read_all(int fd, char *bytes, size_t length) {
    size_t total = 0;
    while (total < length) {
        ssize_t count = read(fd, bytes + total, length - total);
        if (count <= 0)
            break;
        total += (size_t)count;
    }
    return (ssize_t)total;
}

ssize_t ledger_see(struct ledger *ledger, int fifo, size_t most) {
    most = round_up(most < LEDGER_SOURCE ? most : LEDGER_SOURCE);
    if (reserve(ledger, most) < 0)
        most = ledger->reserved; /* a longer line is cut */
    ssize_t length = tee(fifo, ledger->pipe[1], most, SPLICE_F_NONBLOCK);
    if (length <= 0)
        return length < 0 ? -errno : -EAGAIN;
    return read_all(ledger->pipe[0], ledger->source, (size_t)length);
}

void ledger_enter(struct ledger *ledger, const char *unit, enum log_stream stream, int fifo,
                  size_t count) {
    struct ledger_entry *entry = ledger->entry;
    struct stat status = {0};
    if (fifo >= 0)
        fstat(fifo, &status);
    strncpy(entry->unit, unit, sizeof entry->unit - 1);
    entry->fifo[0] = status.st_dev;
    entry->fifo[1] = status.st_ino;
    entry->stream = stream;
    entry->count = (uint32_t)count;
    entry->drained = 0;
    log_marks_set(&entry->marks, &(struct log_mark){0});
    in_order();
    entry->open = 1;
    in_order();
}

static void strike_out(struct ledger *ledger) {
    in_order();
    ledger->entry->open = 0;
    in_order();
}

/* The file system may have been a disk, and a half of it written when the power went. */
bool ledger_entry_is_sound(const struct ledger_entry *entry) {
    struct piece end = {0};
    if (!memchr(entry->unit, '\0', sizeof entry->unit) || entry->unit[0] == '.' ||
        entry->unit[0] == '\0' || strchr(entry->unit, '/') || entry->stream > LOG_NOTE ||
        entry->count > LEDGER_PIECES)
        return false;
    for (size_t i = 0; i < entry->count; i++) {
        const struct piece *piece = &entry->pieces[i];
        if (piece->source < end.source || piece->batch < end.batch)
            return false;
        end = *piece;
    }
    return end.source <= LEDGER_SOURCE && end.batch <= LEDGER_BATCH &&
           entry->drained <= LEDGER_SOURCE;
}

/* What was to be drained, be it a part of the chunk, is gone from the FIFO. */
static bool was_drained(const struct ledger *ledger) {
    const struct ledger_entry *entry = ledger->entry;
    return entry->drained > 0 && entry->place == (unsigned char)ledger->source[entry->drained - 1];
}

bool ledger_has_entry(struct ledger *ledger) {
    if (!ledger->entry->open)
        return false;
    if (ledger_entry_is_sound(ledger->entry) && !was_drained(ledger))
        return true;
    strike_out(ledger);
    return false;
}

size_t ledger_pieces_before(const struct ledger *ledger, size_t offset) {
    const struct piece *pieces = ledger->entry->pieces;
    size_t low = 0, high = ledger->entry->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pieces[middle].batch <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t ledger_settle(struct ledger *ledger, int fifo, size_t pieces) {
    struct ledger_entry *entry = ledger->entry;
    uint32_t length = lines_end_before(entry->pieces, pieces).source;
    if (length > 0 && fifo >= 0) {
        /* All but the last byte are where they were before. */
        struct iovec parts[] = {{ledger->source, length - 1}, {&entry->place, 1}};
        entry->place = (unsigned char)~ledger->source[length - 1];
        in_order();
        entry->drained = length;
        in_order();
        if (readv(fifo, parts, 2) < 0)
            length = 0;
    }
    strike_out(ledger);
    return length;
}

/* Whether the FIFO still begins with the bytes that were to be drained. */
static bool is_there(struct ledger *ledger, int fifo, size_t length) {
    scoped_free char *bytes = malloc(length);
    struct stat status;
    const uint64_t *own = ledger->entry->fifo;
    if (!bytes || fstat(fifo, &status) < 0 || status.st_dev != own[0] || status.st_ino != own[1])
        return false;
    ssize_t count = tee(fifo, ledger->pipe[1], length, SPLICE_F_NONBLOCK);
    if (count <= 0)
        return false;
    count = read_all(ledger->pipe[0], bytes, (size_t)count);
    return count == (ssize_t)length && memcmp(bytes, ledger->source, length) == 0;
}

void ledger_settle_again(struct ledger *ledger, int fifo, size_t pieces) {
    const struct ledger_entry *entry = ledger->entry;
    uint32_t length = lines_end_before(entry->pieces, pieces).source;
    if (fifo >= 0 && length > 0 && is_there(ledger, fifo, length))
        ledger_settle(ledger, fifo, pieces);
    else
        strike_out(ledger);
}
