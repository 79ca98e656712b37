#pragma once
/* Reads log files back: the last records of some units merged by time, then those that follow.
 * `ringfence logs` uses it; it needs no manager, only the right to read the log directory.
 *
 *     struct log_query query = {.units = names, .unit_count = 2, .last = 10, .follow = true};
 *     scoped(log_reader_close) struct log_reader *reader = NULL;
 *     error = log_reader_open("/var/log/ringfence", &query, &reader, fault);
 *     for (;;) {
 *         while ((result = log_reader_next(reader, &record, fault)) > 0)
 *             log_record_write(text, &record);      or log_record_json
 *         if (result < 0 || !query.follow)
 *             break;
 *         wait with poll(2) until log_reader_fd() is readable
 *     } */

#include "supervisor/log/record.h"
#include "units/base/scoped.h"

struct fault;
struct log_reader;

#define LOG_ALL UINT64_MAX

struct log_query {
    const char *const *units; /* names; read at open only */
    size_t unit_count;        /* 0: every unit that has a log, and with follow every new one */
    uint64_t last;            /* so many records, of all units together; LOG_ALL: no limit */
    uint64_t since;           /* none older than this (microseconds since 1970); 0: no limit */
    uint64_t until;           /* none younger; 0: no limit */
    bool follow;              /* log_reader_next goes on after a 0, over rotations */
};

/* A unit without a log (yet) is no error, it just has no records. -ENOENT: there is no log
 * directory at all; -EACCES. The names must be valid unit names. */
int log_reader_open(const char *log_directory, const struct log_query *query,
                    struct log_reader **ret_reader, struct fault *fault);
void log_reader_close(struct log_reader *reader); /* accepts NULL */
SCOPED(log_reader_close, struct log_reader *)

/* 1: a record, whose text is valid until the next call. 0: no more, for now. -errno: a file could
 * not be read. A line that is no record (a torn one after a power cut) comes as a record with the
 * time of the one before it, pid 0 and the whole line as its text. */
int log_reader_next(struct log_reader *reader, struct log_record *ret_record, struct fault *fault);

/* Readable when log_reader_next may have more to tell; -EBADF without follow. */
int log_reader_fd(const struct log_reader *reader);
