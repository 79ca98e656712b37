#pragma once
/* A service's standard output and error on their way to ringfence-logd: two FIFOs below
 * RUNTIME_DIR/output/NAME, held open so that neither side ever sees the other go away. Opened
 * before the first run, kept while the unit exists. */

#include <sys/types.h>

struct fault;
struct output;
struct service;

int output_open(struct service *service, struct output **ret_output, struct fault *fault);
/* Write ends for one run; the caller closes them. */
int output_streams(const struct output *output, int *ret_out, int *ret_error, struct fault *fault);
/* Writes the settings file where something in it changed. pid 0: nothing runs. */
int output_update(struct output *output, struct service *service, pid_t pid, struct fault *fault);
/* Closes and removes the FIFOs: ringfence-logd drains what it holds. Accepts NULL. */
void output_close(struct output *output);
