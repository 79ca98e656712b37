#pragma once
/* How a service says that it is ready: its sd_notify socket, or the pipe of type fd. Opened by the
 * cells of the table; what comes in goes to service_notified. */

#include <sys/types.h>

struct fault;
struct notify;
struct ready_pipe;
struct service;

/* RUNTIME_DIR/notify/NAME/notify: one socket per unit, so that the sender's /proc entry need not be
 * there any more for us to know whose it was. */
/* Takes over that of an earlier manager, with what was not read of it. */
int notify_open(struct service *service, struct notify **ret_notify, struct fault *fault);
/* The directory that holds it, for sandbox_build. */
const char *notify_directory(const struct notify *notify);
/* Reads what has arrived by now. Accepts NULL. */
void notify_receive(struct notify *notify);
void notify_close(struct notify *notify); /* removes the directory; accepts NULL */

/* The s6 protocol: ready when a newline is written. The write end is the caller's to close. */
int ready_pipe_open(struct service *service, struct ready_pipe **ret_pipe, int *ret_write_end,
                    struct fault *fault);
/* That of an earlier manager, where it was kept. */
int ready_pipe_resume(struct service *service, struct ready_pipe **ret_pipe, struct fault *fault);
void ready_pipe_receive(struct ready_pipe *pipe); /* accepts NULL */
void ready_pipe_close(struct ready_pipe *pipe);   /* accepts NULL */
