#pragma once
/* The two ways a probe is made, for probe.c: by a process beside the service, and over its network.
 */

#include "supervisor/health.h"
#include "supervisor/probe.h"

struct probe {
    struct service *service;
    probe_done done;
    void *context;
    struct probe_exec *exec; /* one of the two */
    struct probe_net *net;
    size_t length;
    char output[HEALTH_OUTPUT];
};

/* Keeps what there is room for. */
void probe_keep(struct probe *probe, const char *bytes, size_t length);
/* The answer; the probe may be freed when it returns. */
void probe_answer(struct probe *probe, int code, const char *error);

/* A program, or a file that is looked for. */
int probe_exec_open(struct probe *probe, struct fault *fault);
void probe_exec_close(struct probe_exec *exec);

/* A connection, or a page. */
int probe_net_open(struct probe *probe, struct fault *fault);
void probe_net_close(struct probe_net *net);
