#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "supervisor/log.h"
#include "supervisor/manager.h"
#include "supervisor/probe-private.h"
#include "supervisor/world.h"
#include "units/base/fault.h"

#define CHUNK ((size_t)4096)
#define FORGET ((size_t)1024 * 1024)
#define LAST_READS 16 /* a full pipe, after the end of the program */

struct probe_exec {
    struct probe *probe;
    int pipe, null; /* our end; where the rest goes, once enough was kept */
    struct watch *watch;
    bool runs; /* manager_exec() will call */
};

/* ---- what it prints ---- */

/* Moves pages and copies nothing, so that a flood costs little. */
static ssize_t forget(struct probe_exec *exec) {
    if (exec->null < 0)
        exec->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return splice(exec->pipe, NULL, exec->null, NULL, FORGET, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
}

static ssize_t read_some(struct probe_exec *exec) {
    struct probe *probe = exec->probe;
    char bytes[CHUNK];
    if (probe->length == sizeof(probe->output))
        return forget(exec);
    ssize_t length = read(exec->pipe, bytes, sizeof(bytes));
    if (length > 0)
        probe_keep(probe, bytes, (size_t)length);
    return length;
}

static void stop_reading(struct probe_exec *exec) {
    watch_close(exec->watch);
    exec->watch = NULL;
    exec->pipe = close_fd(exec->pipe);
}

static void output_came(void *context) {
    struct probe_exec *exec = context;
    ssize_t length = read_some(exec);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
        stop_reading(exec);
}

/* ---- its end ---- */

static void ended(void *context, int error, int wait_status, const struct fault *fault) {
    struct probe_exec *exec = context;
    struct probe *probe = exec->probe;
    char words[64] = "";
    int code = -1;
    exec->runs = false;
    for (int i = 0; i < LAST_READS && exec->pipe >= 0 && read_some(exec) > 0; i++)
        ;
    if (error < 0) {
        probe_answer(probe, code, fault->text[0] ? fault->text : strerror(-error));
        return;
    }
    if (WIFSIGNALED(wait_status)) {
        const char *name = sigabbrev_np(WTERMSIG(wait_status));
        snprintf(words, sizeof(words), "was ended by SIG%s", name ? name : "RT");
    } else {
        code = WEXITSTATUS(wait_status);
        if (code != 0)
            snprintf(words, sizeof(words), "exited with code %d", code);
    }
    probe_answer(probe, code, words);
}

/* ---- begin ---- */

static int open_pipe(struct probe_exec *exec, int *ret_write_end, struct fault *fault) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fault_set(fault, errno, "cannot make a pipe for the probe");
    *ret_write_end = ends[1];
    exec->pipe = ends[0];
    /* Ours alone does not block: the writer's end is another open file. */
    if (fcntl(exec->pipe, F_SETFL, O_NONBLOCK) < 0)
        return fault_set(fault, errno, "cannot make a pipe for the probe");
    int error = watch_open(exec->probe->service->manager, exec->pipe, EPOLLIN, WATCH_CGROUP,
                           output_came, exec, &exec->watch);
    return error < 0 ? fault_set(fault, error, "cannot watch the probe") : 0;
}

static int start(struct probe_exec *exec, struct fault *fault) {
    struct service *service = exec->probe->service;
    const struct health *health = &service->unit->health;
    scoped_fd int write_end = -EBADF;
    struct run_request request = {
        .place = RUN_PROBE,
        .exec = &health->exec,
        .file = health->file,
        .standard = {-1, -1, -1},
        .ready_fd = -1,
    };
    int error = 0;
    if (!health->file) {
        error = open_pipe(exec, &write_end, fault);
        request.standard[1] = request.standard[2] = write_end;
    }
    if (error >= 0)
        error = manager_exec(service->manager, service->name, &request, ended, exec, fault);
    exec->runs = error >= 0;
    return error;
}

int probe_exec_open(struct probe *probe, struct fault *fault) {
    struct probe_exec *exec = malloc(sizeof(*exec));
    if (!exec)
        return fault_set(fault, ENOMEM, "cannot probe %s", probe->service->name);
    *exec = (struct probe_exec){.probe = probe, .pipe = -EBADF, .null = -EBADF};
    int error = start(exec, fault);
    if (error < 0) {
        probe_exec_close(exec);
        return error;
    }
    probe->exec = exec;
    return 0;
}

/* A shell that is killed leaves what it has begun: all of it goes. */
void probe_exec_close(struct probe_exec *exec) {
    struct fault fault = {{0}};
    if (!exec)
        return;
    struct service *service = exec->probe->service;
    if (exec->runs)
        manager_exec_abandon(service->manager, exec);
    if (service->sandbox && sandbox_kill_probe(service->sandbox, &fault) < 0)
        log_line(LEVEL_WARNING, "%s: %s", service->name, fault.text);
    stop_reading(exec);
    close_fd(exec->null);
    free(exec);
}
