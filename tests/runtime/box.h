#pragma once
/* A runtime in a scratch directory, a container filled by hand, and what a command printed in it.
 * For the test programs of sandbox and run. */

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime/run.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"

struct box {
    char directory[PATH_MAX]; /* scratch; removed by box_close */
    pid_t owner;              /* whose number the cgroup's name has */
    struct runtime *runtime;
    struct container container;
    struct sandbox *sandbox;
    struct run *main;
    struct fault fault;
    char output[65536];
    char *kept[64]; /* strings that live as long as the box */
    size_t kept_count;
};

static inline const char *box_path(const struct box *box, const char *name) {
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%.3000s/%.1000s", box->directory, name);
    return path;
}

static inline char *box_keep(struct box *box, const char *string) {
    CHECK(box->kept_count < sizeof box->kept / sizeof box->kept[0]);
    char *copy = strdup(string);
    CHECK(copy);
    return box->kept[box->kept_count++] = copy;
}

static inline void box_defaults(struct container *container) {
    *container = (struct container){.name = (char *)"box"};
    container->process.user = (char *)"root";
    container->process.working_directory = (char *)"/";
    container->process.umask = 022;
    container->process.oom_score_adjust = container->process.nice = INTEGER_UNSET;
    container->rootfs.upper_size = 16 << 20;
    container->namespaces.choices[NAMESPACE_TIME].mode = NAMESPACE_HOST;
    struct resources *resources = &container->resources;
    resources->memory_max = resources->memory_high = resources->memory_low = LIMIT_UNSET;
    resources->memory_min = resources->swap_max = resources->cpu_quota = LIMIT_UNSET;
    resources->cpu_weight = resources->io_weight = INTEGER_UNSET;
    resources->pids_max = 512;
    resources->pids_max_is_default = true;
    container->security.capabilities = CAPABILITIES_UNSET;
    container->security.no_new_privileges = true;
}

/* The state lies in the scratch directory too; a second box_open finds it again. */
static inline void box_open_runtime(struct box *box) {
    static char runtime[PATH_MAX], state[PATH_MAX], cgroup[PATH_MAX];
    struct runtime_options probe = {0};
    snprintf(runtime, sizeof runtime, "%.3000s/run", box->directory);
    snprintf(state, sizeof state, "%.3000s/state", box->directory);
    probe.runtime_directory = runtime;
    probe.state_directory = state;
    const char *const hidden[] = {box_path(box, "hidden"), box_path(box, "not there"), NULL};
    probe.hidden = hidden;
    probe.id_range_base = 1u << 28;
    probe.id_range_count = 65536 * 16;
    (void)cgroup;
    char name[64], mounts[65536];
    FILE *file = fopen("/proc/self/mountinfo", "re");
    CHECK(file);
    while (fgets(mounts, sizeof mounts, file)) {
        char at[1024];
        if (strstr(mounts, " - cgroup2 ") && sscanf(mounts, "%*s %*s %*s %*s %1023s", at) == 1) {
            snprintf(name, sizeof name, "ringfence-sandbox-%d", box->owner);
            snprintf(cgroup, sizeof cgroup, "%s/%s", at, name);
            probe.cgroup = cgroup;
        }
    }
    fclose(file);
    int error = runtime_open(&probe, &box->runtime, &box->fault);
    if (error == -ENODEV)
        SKIP(box->fault.text);
    if (error)
        printf("# %s\n", box->fault.text);
    CHECK(error == 0);
}

static inline void box_open(struct box *box) {
    if (geteuid() != 0)
        SKIP("needs root");
    memset(box, 0, sizeof *box);
    strcpy(box->directory, "/tmp/ringfence-box-");
    strcat(box->directory, "XX"
                           "XXXX");
    CHECK(mkdtemp(box->directory));
    CHECK(chmod(box->directory, 0755) == 0);
    box->owner = getpid();
    box_defaults(&box->container);
    box_open_runtime(box);
}

static inline void box_wait(int fd) {
    struct pollfd poll_fd = {fd, POLLIN, 0};
    CHECK(poll(&poll_fd, 1, 10000) == 1);
}

/* 0, or the error, with the sentence in box->fault. */
static inline int box_build_joined(struct box *box, struct sandbox *const joined[NAMESPACE_KINDS],
                                   const char *notify) {
    static struct sandbox *const none[NAMESPACE_KINDS];
    int error = sandbox_build(box->runtime, &box->container, joined ? joined : none, notify,
                              &box->sandbox, &box->fault);
    if (error)
        return error;
    for (;;) {
        box_wait(sandbox_report_fd(box->sandbox));
        int progress = sandbox_advance(box->sandbox, &box->fault);
        if (progress != SANDBOX_BUILDING)
            return progress < 0 ? progress : 0;
    }
}

static inline int box_build(struct box *box) {
    return box_build_joined(box, NULL, NULL);
}

static inline void box_built(struct box *box) {
    int error = box_build(box);
    if (error)
        printf("# %s\n", box->fault.text);
    CHECK(error == 0);
}

static inline int box_start(struct box *box, const struct run_request *request,
                            const struct run *main, struct run **ret_run) {
    int error = run_start(box->sandbox, request, main, ret_run, &box->fault);
    while (!error) {
        box_wait(run_report_fd(*ret_run));
        int progress = run_advance(*ret_run, &box->fault);
        if (progress == RUN_EXECUTED)
            break;
        if (progress < 0)
            error = progress;
    }
    return error;
}

#define BOX_COMMAND(vector, ...)                                                                   \
    char *vector##_items[] = {__VA_ARGS__, NULL};                                                  \
    struct strings vector = {vector##_items, ELEMENTS(vector##_items) - 1}

static inline int box_exit_code(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        CHECK(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs to the end with its output (1 and 2) in box->output. The exit code, or -errno. */
static inline int box_run_request(struct box *box, struct run_request *request,
                                  const struct run *main) {
    int output[2];
    struct run *run = NULL;
    box->output[0] = '\0';
    CHECK(pipe2(output, O_CLOEXEC) == 0);
    CHECK(fchmod(output[1], 0622) == 0); /* as the FIFOs of the manager */
    request->standard[0] = -1;
    request->standard[1] = request->standard[2] = output[1];
    int code = box_start(box, request, main, &run);
    close(output[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(output[0], box->output + length, sizeof box->output - length - 1)) > 0)
        length += (size_t)got;
    box->output[length] = '\0';
    close(output[0]);
    if (!code)
        code = box_exit_code(run_pid(run));
    run_free(run);
    return code;
}

static inline int box_run(struct box *box, const struct strings *exec) {
    struct run_request request = {.place = RUN_MAIN, .exec = exec, .ready_fd = -1};
    return box_run_request(box, &request, NULL);
}

/* A shell's line; its output without the last newline. */
static inline const char *box_shell(struct box *box, const char *line) {
    BOX_COMMAND(command, (char *)"/bin/sh", (char *)"-c", (char *)line);
    int code = box_run(box, &command);
    if (code < 0)
        printf("# %s\n", box->fault.text);
    CHECK(code >= 0);
    size_t length = strlen(box->output);
    if (length && box->output[length - 1] == '\n')
        box->output[length - 1] = '\0';
    return box->output;
}

static inline void box_remove(struct box *box) {
    int error;
    for (int i = 0; (error = sandbox_remove(box->sandbox, &box->fault)) == -EBUSY && i < 500; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        usleep(5000);
    }
    if (error)
        printf("# %s\n", box->fault.text);
    CHECK(error == 0);
    box->sandbox = NULL;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static inline void box_close(struct box *box) {
    if (box->sandbox)
        box_remove(box);
    runtime_close(box->runtime);
    while (box->kept_count > 0)
        free(box->kept[--box->kept_count]);
    CHECK(directory_remove(AT_FDCWD, box->directory, NULL) == 0);
}
