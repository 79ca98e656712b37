#pragma once
/* How a service says that it is ready: its sd_notify socket, or the pipe of type fd. Opened by the
 * cells of the table; what comes in goes to service_notified. */

#include <sys/types.h>

struct fault;
struct manager;
struct notify;
struct ready_pipe;
struct service;

/* RUNTIME_DIR/notify/NAME/notify: one socket per unit, so that the sender's /proc entry need not be
 * there any more for us to know whose it was. */
/* Takes over that of an earlier manager, with what was not read of it. */
int notify_open(struct service *service, struct notify **ret_notify, struct fault *fault);
/* The directory that holds it, for sandbox_build. */
const char *notify_directory(const struct notify *notify);
/* Handles what has arrived by now, and leaves it in the socket for a later manager until the facts
 * that it has changed are written: at least once. Accepts NULL. */
void notify_receive(struct notify *notify);
/* Takes out what was handled; at the end of an event. */
void notify_consume(struct manager *manager);
void notify_close(struct notify *notify); /* removes the directory; accepts NULL */

/* The s6 protocol: ready when a newline is written. The write end is the caller's to close. */
int ready_pipe_open(struct service *service, struct ready_pipe **ret_pipe, int *ret_write_end,
                    struct fault *fault);
/* That of an earlier manager, where it was kept. */
int ready_pipe_resume(struct service *service, struct ready_pipe **ret_pipe, struct fault *fault);
/* Looks for the newline, and leaves it in the pipe for a later manager. Accepts NULL. */
void ready_pipe_receive(struct ready_pipe *pipe);
void ready_pipe_close(struct ready_pipe *pipe); /* accepts NULL */
