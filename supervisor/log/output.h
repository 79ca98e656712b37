#pragma once
/* The output of one unit: RUNTIME_DIR/output/NAME/ with its two FIFOs and its settings, and where
 * it goes. ringfence-logd has one for each unit that it sees. */

#include "supervisor/log/ledger.h"
#include "supervisor/log/settings.h"
#include "units/base/list.h"

/* What epoll tells of; the first member of what is told. */
struct readable {
    void (*turn)(struct readable *readable);
};

/* What all outputs share. */
struct logger {
    int epoll, signals, inotify;
    int outputs;          /* RUNTIME_DIR/output */
    const char *log_path; /* LOG_DIR */
    int log_directory;    /* the same, open once there is a unit */
    int watch;            /* of outputs */
    struct list units;    /* of struct output.link */
    struct list holding;  /* of struct stream.link, the longest waiting first */
    struct list dropping; /* of struct output.dropping: some of its lines were dropped */
    struct list waiting;  /* of struct output.waiting, the longest waiting first */
    struct list blocked;  /* of struct output.blocked */
    struct ledger ledger; /* the one chunk that is under way */
    struct sink sinks[SINKS];
    struct readable writable; /* one of the sinks takes more again */
    uint64_t short_of_room;   /* when the disk was full for the last time, ms; 0: it is not */
    uint64_t barren;          /* until when it is known that no old file is left, ms */
    bool full;                /* that output waits for room has been said */
};

/* Bytes of a chunk, but for a line that is longer; no unit gets more before all others had one. */
#define LOG_READ_MOST 65536
/* How long the beginning of a line waits for its end (ms). */
#define LOG_HOLD 1000
/* How long output waits for news of whose it is (ms): the first words of a process may come before
 * the manager knows that it was executed. */
#define LOG_PATIENCE 100

struct console;

/* epoll tells of a stream when something came, and then not again (EPOLLET): what is no whole line
 * stays in the FIFO. */
struct stream {
    struct readable readable;
    struct output *output; /* of which this is one of the streams */
    enum log_stream which;
    int fd;           /* of the FIFO; -EBADF: not there (yet) */
    uint64_t flush;   /* when the beginning of a line is taken without its end, ms */
    struct list link; /* logger.holding */
};

enum { FIFOS = 2 };

struct output {
    struct logger *logger;
    char unit[LOG_UNIT_MOST];
    int directory, watch; /* of RUNTIME_DIR/output/NAME */
    int writers_watch;    /* of the file in it that tells whose output it is; -1: none */
    struct writers writers;
    bool anonymous;    /* writers.pid is 0, and output is taken nevertheless */
    uint64_t patience; /* until when it waits for a pid, ms of CLOCK_MONOTONIC */
    bool listening;    /* epoll tells of its streams */
    bool told;         /* that its output cannot be logged */
    struct settings settings;
    struct rate rate;
    struct stream streams[FIFOS]; /* by enum log_stream */
    struct console *console;      /* console.h; NULL: the unit has none */
    struct log_file file;
    struct list link, dropping, waiting, blocked; /* of the lists of the logger */
};

/* Begins with RUNTIME_DIR/output/`unit`; what is not there yet comes with output_refresh. */
int output_open(struct logger *logger, const char *unit, struct fault *fault);

/* Something in its directory has changed: FIFOs, settings. */
void output_refresh(struct output *output);

/* It may be somebody else who writes now. What is in the FIFOs is of the one before. */
void output_refresh_writers(struct output *output);

/* Whether its directory is still the one of this name. */
bool output_is_current(const struct output *output);

/* Takes whole lines out of a FIFO; with `all`, the beginning of a line, too. Returns how many bytes
 * were taken. */
size_t stream_take(struct stream *stream, bool all);
/* Takes all. */
void stream_drain(struct stream *stream);
/* The beginning of a line has waited long enough. */
void stream_flush(struct stream *stream);

/* Says what was dropped, where it is time for that. */
void output_note_drops(struct output *output, uint64_t now);

/* Takes output of which it is not known whose it is. */
void output_take_anonymous(struct output *output);

/* Tries again to log what had to wait. */
void output_retry(struct output *output);

/* Reads what is left, logs it, and ends. */
void output_close(struct output *output);

/* ---- deliver.c ---- */

/* Brings the records of the entered chunk from byte `from` on to where they belong. Returns up to
 * which byte they are there; where that is not the end, the output has been blocked. */
size_t output_deliver(struct output *output, size_t from);
/* Ends what a logger that was killed had under way. */
void output_recover(struct output *output);
/* The same for a unit that is no more. */
void logger_recover_orphan(struct logger *logger);
/* A disk that was full may have room again. */
void logger_check_room(struct logger *logger);

void output_block(struct output *output, const struct fault *fault); /* NULL: without a word */
void output_unblock(struct output *output);
/* Whether its FIFOs are listened to depends on what it waits for. */
void output_update_listening(struct output *output);

uint64_t logger_now(void); /* ms of CLOCK_MONOTONIC */
void logger_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
