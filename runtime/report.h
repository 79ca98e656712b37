#pragma once
/* What a helper tells the manager over a socket pair: one message of fixed size for each fact, with
 * descriptors where the fact is one. Called by the sandbox and the run, and by their helpers. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "units/base/fault.h"

enum report_kind {
    REPORT_FAULT,      /* a step failed: error, text */
    REPORT_NOTE,       /* text: a line a person should know */
    REPORT_NAMESPACES, /* value: bits of enum namespace_kind; a descriptor for each, in order */
    REPORT_PROCESS,    /* the pidfd of the payload, which is the sender */
    REPORT_PROGRAM,    /* the pidfd of the program, where the payload is its init */
    REPORT_FOUND,      /* the file that was looked for */
    REPORT_TERMINAL,   /* the master of the terminal that the payload has */
    REPORT_KINDS
};

#define REPORT_DESCRIPTORS 8

struct report {
    enum report_kind kind;
    int error;
    uint32_t value;
    char text[FAULT_SIZE];
    pid_t sender; /* received: as our own pid namespace counts, though it may be reaped by now */
    int descriptors[REPORT_DESCRIPTORS];
    size_t descriptor_count;
};

/* ret_ends[0]: the manager's, non-blocking; ret_ends[1]: the helper's. */
int report_open(int ret_ends[2], struct fault *fault);

/* In the helper. Async-signal-safe; what lacks memory is tried again for a second. -EPIPE: nobody
 * reads any more. */
int report_send(int fd, const struct report *report);
/* value: what the reader should know of the step, or 0. */
void report_send_fault(int fd, const char *step, int error, uint32_t value,
                       const struct fault *fault);

/* Whether there is a manager yet that would read it. */
bool report_has_reader(int fd);
/* Waits until somebody who reads has called report_go; false: nobody ever will. All that share the
 * end are told. */
bool report_await(int fd);
/* To those who wait, now or later. 0, also where nobody does any more, or -errno. */
int report_go(int fd);

/* 1: a report was read, its descriptors are the caller's; 0: nothing follows, the helper's end is
 * closed everywhere; -EAGAIN: not yet; -EBADMSG where the message is not one of ours. */
int report_receive(int fd, struct report *ret_report);
/* Whether a failure is what report_receive would read next. It stays there: another holder of this
 * end may have to be told of it too. */
bool report_find_fault(int fd, struct report *ret_report);
