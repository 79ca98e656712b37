#pragma once
/* One line of output as it lies in a log file; ringfence-logd writes it, the log reader parses it.
 *
 *     2026-11-21T20:52:19.412345Z web[4711] out: GET / 200
 *     2026-11-21T20:52:19.412345Z web[4711] err+: a line longer than max_line ...
 *     2026-11-21T20:52:19.412345Z web[4711] note: 5 lines were dropped: ...
 *
 * A record ends at the first newline, and nothing else in it is special: the text behind ": " is
 * what the service wrote, byte for byte, NUL and control characters included. Nothing is escaped,
 * so that grep finds what the service said (grep -a, where it said bytes that are no text). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct text;

#define LOG_UNIT_MOST 256   /* bytes of a unit's name, NUL included */
#define LOG_HEADER_MOST 320 /* bytes before the text of a record */
#define LOG_TIME_LENGTH 27  /* of 2026-11-21T20:52:19.412345Z */

enum log_stream {
    LOG_OUT,
    LOG_ERR,
    LOG_NOTE /* what the logger has to say about the unit's output */
};
const char *log_stream_word(enum log_stream stream); /* "out", "err", "note" */

struct log_record {
    uint64_t time; /* when it was read from the service, microseconds since 1970 (UTC) */
    char unit[LOG_UNIT_MOST];
    pid_t pid; /* the unit's main process at that time; 0: none was known */
    enum log_stream stream;
    bool partial;     /* the line was cut here and goes on in the next record of its stream */
    const char *text; /* not NUL-terminated; lies in what was parsed */
    size_t length;
};

/* Takes one line without its newline. -EBADMSG where it is no record; then nothing is touched. */
int log_record_parse(const char *line, size_t length, struct log_record *ret_record);

/* What stands before the text, with ": " at its end; returns its length. No NUL behind it. */
size_t log_record_head(const struct log_record *record, char ret_head[static LOG_HEADER_MOST]);

/* Appends what log_record_parse takes, and a newline. */
void log_record_write(struct text *text, const struct log_record *record);

/* {"time":"2026-...Z","unit":"web","pid":4711,"stream":"out","partial":false,"text":"..."}, inside
 * an array or alone on a line. Bytes that are not UTF-8 become U+FFFD. */
void log_record_json(struct text *text, const struct log_record *record);

/* 2026-11-21T20:52:19.412345Z and a NUL. Years 1970 to 9999. */
void log_time_print(uint64_t time, char ret_text[static LOG_TIME_LENGTH + 1]);
int log_time_parse(const char *text, size_t length, uint64_t *ret_time); /* -EBADMSG */
