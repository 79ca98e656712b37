#pragma once
/* A service's standard output and error on their way to ringfence-logd: two FIFOs below
 * RUNTIME_DIR/output/NAME, held open so that neither side ever sees the other go away. Opened
 * before the first run, kept while the unit exists. supervisor/log/settings.h says what the logger
 * is told beside them. */

#include <stdbool.h>
#include <sys/types.h>

#include "supervisor/timers.h"
#include "units/base/list.h"

struct fault;
struct manager;
struct output;
struct service;

/* Outputs that were closed and are not read to their end: the manager's. */
struct leaving {
    struct list outputs;
    struct deadline look; /* whether they are by now */
    uint64_t pause;       /* until the next one, microseconds */
    bool ended;           /* outputs_end */
};

/* Copies of the FIFOs are held by ringfenced: what nobody has read yet outlives the manager. */
int output_open(struct service *service, struct output **ret_output, struct fault *fault);
/* A predecessor's. pid: the main process that was found again, 0 where there is none. */
int output_resume(struct service *service, pid_t pid, struct output **ret_output,
                  struct fault *fault);
/* Write ends for one run; the caller closes them. */
int output_streams(const struct output *output, int *ret_out, int *ret_error, struct fault *fault);
/* Tells the logger what has changed of the settings, and who is the main process; 0: none runs. */
int output_update(struct output *output, struct service *service, pid_t pid, struct fault *fault);
/* Removes the FIFOs once ringfence-logd has read what is in them: a logger that was killed a moment
 * ago is started again by ringfenced, and finds them by their names. Accepts NULL. */
void output_close(struct output *output);

/* ---- all of them ---- */

/* Those that a predecessor had closed, and of which something is still unread. */
void outputs_resume(struct manager *manager);
/* Whether ringfence-logd has work. */
bool outputs_are_unread(const struct manager *manager);
/* When everything is stopped: waits for the logger, but not for ever. What is closed from now on is
 * removed at once. */
void outputs_end(struct manager *manager);
