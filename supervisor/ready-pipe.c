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
    int fd; /* the read end */
    struct watch *watch;
};

/* A newline ends it: what is written later goes to a pipe that nobody reads, as the protocol has
 * it. An end without a newline is no word at all. */
void ready_pipe_receive(struct ready_pipe *pipe) {
    char bytes[256];
    if (!pipe)
        return;
    ssize_t length = read(pipe->fd, bytes, sizeof(bytes));
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length > 0 && !memchr(bytes, '\n', (size_t)length))
        return;
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

int ready_pipe_open(struct service *service, struct ready_pipe **ret_pipe, int *ret_write_end,
                    struct fault *fault) {
    int ends[2];
    struct ready_pipe *pipe = calloc(1, sizeof(*pipe));
    if (!pipe || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        free(pipe);
        return fault_set(fault, errno, "cannot make a pipe");
    }
    *pipe = (struct ready_pipe){.service = service, .fd = ends[0]};
    /* The service's end blocks, as a program expects of a pipe. */
    int error = fcntl(ends[1], F_SETFL, 0) < 0 ? -errno : 0;
    if (error >= 0)
        error = watch_open(service->manager, ends[0], EPOLLIN, WATCH_NOTIFY, arrived, pipe,
                           &pipe->watch);
    if (error < 0) {
        ready_pipe_close(pipe);
        close_fd(ends[1]);
        return fault_set(fault, error, "cannot watch a pipe");
    }
    state_hold(service, KEPT, &ends[0], 1);
    *ret_pipe = pipe;
    *ret_write_end = ends[1];
    return 0;
}

int ready_pipe_resume(struct service *service, struct ready_pipe **ret_pipe, struct fault *fault) {
    int fd;
    if (state_take(service, KEPT, &fd, 1) == 0)
        return 0;
    struct ready_pipe *pipe = malloc(sizeof(*pipe));
    if (!pipe) {
        close_fd(fd);
        return fault_set(fault, ENOMEM, "cannot watch a pipe");
    }
    *pipe = (struct ready_pipe){.service = service, .fd = fd};
    int error =
        watch_open(service->manager, fd, EPOLLIN, WATCH_NOTIFY, arrived, pipe, &pipe->watch);
    if (error < 0) {
        ready_pipe_close(pipe);
        return fault_set(fault, error, "cannot watch a pipe");
    }
    *ret_pipe = pipe;
    return 0;
}

void ready_pipe_close(struct ready_pipe *pipe) {
    if (!pipe)
        return;
    state_release(pipe->service, KEPT);
    watch_close(pipe->watch);
    close_fd(pipe->fd);
    free(pipe);
}
