#pragma once
/* Whether a running unit is well: when it is probed, what follows from the answers, and the last of
 * them. The table's cells and service.c call it, the control door reads the record; how one probe
 * is made is probe.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault;
struct service;
struct text;
struct unit;

enum health_state {
    HEALTH_UNKNOWN,  /* it is not probed: it does not run, or is not ready for it */
    HEALTH_STARTING, /* no probe of this run has succeeded yet */
    HEALTH_HEALTHY,
    HEALTH_UNHEALTHY,
    HEALTH_STATES
};
const char *health_state_word(enum health_state state);

#define HEALTH_RESULTS 5
#define HEALTH_OUTPUT 256 /* bytes kept of what a probe printed */

struct health_result {
    uint64_t at;   /* CLOCK_REALTIME, microseconds: the probe began */
    uint64_t took; /* microseconds */
    bool healthy;
    int code;                       /* exit code or status of HTTP; -1: none */
    char error[HEALTH_OUTPUT];      /* in words, "" for a success */
    char output[HEALTH_OUTPUT + 1]; /* no NUL byte within, else as it came */
};

/* Kept over restarts, so that the reason of the last one can be seen. */
struct health_record {
    enum health_state state;
    uint64_t since;    /* CLOCK_REALTIME, microseconds */
    uint64_t failures; /* in a row, of those that count */
    struct health_result results[HEALTH_RESULTS];
    size_t count, newest; /* of the results; newest is the place of the last one */
};

/* The word and the record of a unit that has a health check; NULL for others. */
const char *service_health_word(const struct service *service);
const struct health_record *service_health(const struct service *service);

bool health_is_checked(const struct unit *unit);
/* Whether it has to be found healthy before it is ready. */
bool health_gates(const struct service *service);

/* What was wrong at the last probe of this run; NULL where it succeeded, or was none. */
const char *health_complaint(const struct service *service);

/* It would be ready, were it healthy; and in words: "not healthy yet: exited with code 1". */
bool health_awaited(const struct service *service);
void health_explain(const struct service *service, struct text *text);

/* From now on it is probed. Nothing where it is already, or has no health check. */
void health_begin(struct service *service);
/* A connection of our own may be open to it. */
bool health_is_connected(const struct service *service);
/* No more: it goes down. The running probe is ended. */
void health_end(struct service *service);
/* While it is frozen no answer could come. */
void health_pause(struct service *service, bool pause);
void health_free(struct service *service);

/* The record and what goes on, for a later manager and by it (state.h). A probe that was under way
 * is made again when its time would have been over. */
void health_save(const struct service *service, struct text *text);
int health_restore(struct service *service, const char *text, struct fault *fault);
