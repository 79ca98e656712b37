#pragma once
/* One probe of a running unit, as its health section says: a program put beside it, a file looked
 * for inside, a page or a port of its network. health.c makes one at a time; the simulation links
 * its own answers. */

#include <stdbool.h>
#include <stddef.h>

struct fault;
struct service;
struct probe;

struct probe_answer {
    bool healthy;
    int code;           /* exit code or status of HTTP; -1: none */
    const char *error;  /* in words; "" for a success */
    const char *output; /* what was printed, or the first line of the answer; not terminated */
    size_t length;
};

/* Called once, never from within probe_open; the probe is over then, and is to be closed. */
typedef void (*probe_done)(void *context, const struct probe_answer *answer);

int probe_open(struct service *service, probe_done done, void *context, struct probe **ret_probe,
               struct fault *fault);
/* What it has printed so far, for one that takes too long; the number of bytes. */
size_t probe_output(const struct probe *probe, char *buffer, size_t size);
/* Ends what goes on, with every process that the probe has begun. done is not called any more.
 * Accepts NULL. */
void probe_close(struct probe *probe);
