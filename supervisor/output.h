#pragma once
/* A service's standard output and error on their way to ringfence-logd: two FIFOs below
 * RUNTIME_DIR/output/NAME, held open so that neither side ever sees the other go away. Opened
 * before the first run, kept while the unit exists. supervisor/log/settings.h says what the logger
 * is told beside them. */

#include <sys/types.h>

struct fault;
struct manager;
struct output;
struct service;

/* Copies of the FIFOs are held by ringfenced: what nobody has read yet outlives the manager. */
int output_open(struct service *service, struct output **ret_output, struct fault *fault);
/* A predecessor's. pid: the main process that was found again, 0 where there is none. */
int output_resume(struct service *service, pid_t pid, struct output **ret_output,
                  struct fault *fault);
/* Write ends for one run; the caller closes them. */
int output_streams(const struct output *output, int *ret_out, int *ret_error, struct fault *fault);
/* Tells the logger what has changed of the settings, and who is the main process; 0: none runs. */
int output_update(struct output *output, struct service *service, pid_t pid, struct fault *fault);
/* Before the last outputs are closed: a logger that was killed a moment ago is started again by
 * ringfenced, and shall find what services said last. Waits for that, but not for ever. */
void output_await_logger(const struct manager *manager);
/* Closes and removes the FIFOs: ringfence-logd drains what it holds. Accepts NULL. */
void output_close(struct output *output);
