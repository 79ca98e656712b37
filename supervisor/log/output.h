#pragma once
/* The output of one unit: RUNTIME_DIR/output/NAME/ with its two FIFOs and its settings, and where
 * it goes. ringfence-logd has one for each unit that it sees. */

#include "supervisor/log/file.h"
#include "supervisor/log/record.h"
#include "units/base/list.h"
#include "units/base/text.h"

/* What all outputs share. */
struct logger {
    int epoll, signals, inotify;
    int outputs, log_directory; /* RUNTIME_DIR/output and LOG_DIR */
    int watch;                  /* of outputs */
    struct list units;          /* of struct output.link */
    struct list holding;        /* of struct stream.link, the longest waiting first */
    struct list waiting;        /* of struct output.waiting, the longest waiting first */
    struct list blocked;        /* of struct output.blocked */
    char *buffer;               /* LOG_READ_MOST bytes, for one read(2) at a time */
};

/* As much as a FIFO holds: one turn empties it, and no unit gets more before all others had one. */
#define LOG_READ_MOST 65536
/* How long the beginning of a line waits for its end (ms). */
#define LOG_HOLD 1000
/* How long output waits for the settings to tell whose it is (ms): the first words of a process may
 * come before the manager knows that it was executed. */
#define LOG_PATIENCE 100

/* What epoll tells of; the first member of what is told. */
struct readable {
    void (*turn)(struct readable *readable);
};

struct console;

struct stream {
    struct readable readable;
    struct output *output; /* of which this is one of the streams */
    enum log_stream which;
    struct console *console; /* a terminal's master; NULL: a FIFO */
    int fd;                  /* of the FIFO; -EBADF: not there (yet) */
    struct text held;        /* the beginning of a line */
    uint64_t flush;          /* when it is written without its end, ms of CLOCK_MONOTONIC */
    struct list link;        /* logger.holding */
};

enum { FIFOS = 2, TERMINAL = FIFOS, STREAMS };

struct output {
    struct logger *logger;
    char unit[LOG_UNIT_MOST];
    int directory, watch; /* of RUNTIME_DIR/output/NAME */
    pid_t pid;            /* of the main process, as the settings tell; 0: none runs */
    pid_t last;           /* the one that ran most recently; 0: not known */
    bool anonymous;       /* pid is 0, and output is taken nevertheless */
    uint64_t patience;    /* until when it waits for a pid, ms of CLOCK_MONOTONIC */
    bool listening;       /* epoll tells of its streams */
    struct log_limits limits;
    struct stream streams[STREAMS]; /* the FIFOs by enum log_stream, then the terminal */
    struct console *console;        /* console.h; NULL: the unit has none */
    struct log_file file;
    struct text batch;                  /* records that are to be written */
    size_t written;                     /* of batch; the rest waits for a disk that is full */
    struct list link, waiting, blocked; /* logger.units, logger.waiting, logger.blocked */
};

/* Begins with RUNTIME_DIR/output/`unit`; what is not there yet comes with output_refresh. */
int output_open(struct logger *logger, const char *unit, struct fault *fault);

/* Something in its directory has changed: FIFOs, settings. */
void output_refresh(struct output *output);

/* Whether its directory is still the one of this name. */
bool output_is_current(const struct output *output);

/* The stream of the unit's terminal: begins with the descriptor, which it consumes; and ends. */
void stream_begin(struct stream *stream, int fd);
void stream_end(struct stream *stream);

/* The held beginning of a line is written as a partial record. */
void stream_flush(struct stream *stream);

/* Takes output of which it is not known whose it is. */
void output_take_anonymous(struct output *output);

/* Tries again to write what a full disk has kept waiting. */
void output_retry(struct output *output);

/* Reads what is left, writes it, and ends. */
void output_close(struct output *output);

uint64_t logger_now(void); /* ms of CLOCK_MONOTONIC */
void logger_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
