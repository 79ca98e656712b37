#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "supervisor/manager-private.h"
#include "supervisor/notify.h"
#include "supervisor/state.h"
#include "supervisor/world.h"

#define KEPT "ready"

struct ready_pipe {
    struct service *service;
    int fd;      /* the read end */
    int copy[2]; /* another pipe, by way of which what is in the first is seen and stays there */
    struct watch *watch; /* NULL: it has said that it is ready */
};

/* As much of it as there is, without an end of its own. */
static ssize_t look_into(const struct ready_pipe *pipe, char *bytes, size_t size) {
    ssize_t length = tee(pipe->fd, pipe->copy[1], size, SPLICE_F_NONBLOCK);
    return length > 0 ? read(pipe->copy[0], bytes, (size_t)length) : length;
}

/* A newline ends it, and stays: a later manager, which may not know that we saw it, sees it too.
 * What is written after it goes to a pipe that nobody reads, as the protocol has it. Other bytes,
 * and an end without a newline, are no word at all. */
void ready_pipe_receive(struct ready_pipe *pipe) {
    char bytes[256];
    if (!pipe || !pipe->watch)
        return;
    ssize_t length = look_into(pipe, bytes, sizeof(bytes));
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length > 0 && !memchr(bytes, '\n', (size_t)length)) {
        while (read(pipe->fd, bytes, (size_t)length) < 0 && errno == EINTR)
            ;
        return;
    }
    struct service *service = pipe->service;
    watch_close(pipe->watch);
    pipe->watch = NULL;
    if (length > 0) {
        service_poll_run(service);
        if (service->main && !service->private->was_ready)
            service_handle(service, EVENT_SAID_READY);
    }
}

static void arrived(void *context) {
    struct ready_pipe *pipe = context;
    struct manager *manager = pipe->service->manager;
    ready_pipe_receive(pipe);
    manager_event_ended(manager);
}

static void pipe_free(struct ready_pipe *pipe) {
    watch_close(pipe->watch);
    close_fd(pipe->fd);
    close_fd(pipe->copy[0]);
    close_fd(pipe->copy[1]);
    free(pipe);
}

/* Takes the read end. */
static int make(struct service *service, int fd, bool listens, struct ready_pipe **ret_pipe,
                struct fault *fault) {
    scoped_fd int held = fd;
    struct ready_pipe *pipe = malloc(sizeof(*pipe));
    if (!pipe)
        return fault_set(fault, ENOMEM, "cannot watch a pipe");
    *pipe = (struct ready_pipe){.service = service, .fd = take_fd(&held), .copy = {-1, -1}};
    int error = pipe2(pipe->copy, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
    if (error >= 0 && listens)
        error =
            watch_open(service->manager, fd, EPOLLIN, WATCH_NOTIFY, arrived, pipe, &pipe->watch);
    if (error < 0) {
        pipe_free(pipe);
        return fault_set(fault, error, "cannot watch a pipe");
    }
    *ret_pipe = pipe;
    return 0;
}

int ready_pipe_open(struct service *service, struct ready_pipe **ret_pipe, int *ret_write_end,
                    struct fault *fault) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return fault_set(fault, errno, "cannot make a pipe");
    scoped_fd int write_end = ends[1];
    int error = make(service, ends[0], true, ret_pipe, fault);
    if (error < 0)
        return error;
    /* The service's end blocks, as a program expects of a pipe. */
    if (fcntl(write_end, F_SETFL, 0) < 0) {
        error = fault_set(fault, errno, "cannot make a pipe");
        pipe_free(take(*ret_pipe));
        return error;
    }
    state_hold(service, KEPT, &ends[0], 1);
    *ret_write_end = take_fd(&write_end);
    return 0;
}

int ready_pipe_resume(struct service *service, struct ready_pipe **ret_pipe, struct fault *fault) {
    int fd;
    if (state_take(service, KEPT, &fd, 1) == 0)
        return 0;
    return make(service, fd, !service->private->was_ready, ret_pipe, fault);
}

void ready_pipe_close(struct ready_pipe *pipe) {
    if (!pipe)
        return;
    state_release(pipe->service, KEPT);
    pipe_free(pipe);
}
