#pragma once
/* Where records go that are not for log files: the journal, syslog, the kernel's log, the console.
 * ringfence-logd has one of each, which all units share. */

#include "supervisor/log/record.h"
#include "units/base/text.h"

struct fault;
struct sink;

/* A record on its way out. */
struct message {
    const struct log_record *record;
    int priority;     /* 0..7 of syslog(3) */
    const char *text; /* of the record, without the "<N>" that said the priority */
    size_t length;
};

struct sink_kind {
    const char *word; /* logging.driver */
    const char *path; /* of the socket or device */
    const char *name; /* "the journal" */
    size_t line_most; /* bytes of text that it takes in one record */
    int (*open)(const struct sink_kind *kind);
    ssize_t (*send)(int fd, const struct message *message);
};

extern const struct sink_kind sink_kinds[];
enum { SINK_JOURNAL, SINK_SYSLOG, SINK_KMSG, SINK_CONSOLE, SINKS };

struct sink {
    int fd; /* -EBADF: not open (any more) */
};

/* 0; -EAGAIN: it takes no more for now, and its descriptor becomes writable when it does; another
 * error: it cannot be reached, which the sentence tells, and was tried anew. */
int sink_send(struct sink *sinks, size_t number, const struct log_record *record,
              struct fault *fault);

/* The priority of a line that begins with "<N>", as in sd-daemon(3), else that of information. */
void message_init(struct message *message, const struct log_record *record);
