#pragma once
/* Whether ringfence-logd does its work, as the manager sees it: when a unit says something the
 * logger is asked for a sign of life, and one that gives none is killed by ringfenced, which starts
 * another. Nobody wakes up for this while no unit says anything. */

#include <stdint.h>

#include "supervisor/timers.h"

struct fault;
struct manager;
struct text;
struct watch;

struct logger { /* manager_private.logger */
    struct manager *manager;
    int fifos;              /* an epoll that tells of what is written into any of them; -EBADF */
    struct watch *work;     /* of that; NULL while an answer is awaited */
    struct deadline answer; /* by when it is to be there */
    uint64_t asked;         /* CLOCK_MONOTONIC, microseconds */
    unsigned silent;        /* answers in a row that were not there in time */
};

/* Before there are outputs. Does nothing, as all calls do then, where no ringfenced would start
 * another logger. */
int logger_open(struct manager *manager, struct fault *fault);
void logger_close(struct manager *manager);

/* What is written into this FIFO is work for it, until it is told otherwise. */
void logger_watch(struct manager *manager, int fifo);
void logger_unwatch(struct manager *manager, int fifo);

/* "the logger has not answered for 20s ..."; nothing where it has, or was not asked. */
void logger_describe(const struct manager *manager, struct text *text);
