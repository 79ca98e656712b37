#include "supervisor/output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/manager-private.h"
#include "units/base/file.h"

static const char *const fifos[] = {"out", "err"};

struct output {
    char *directory;
    int fd;       /* of the directory */
    int fifos[2]; /* read and write: neither side ever sees the other go away */
    pid_t last;   /* the main process that ran most recently */
    char *settings;
};

/* A predecessor's FIFO is taken over, with what ringfence-logd has not read yet. */
static int open_fifo(struct output *output, int number, struct fault *fault) {
    const char *name = fifos[number];
    struct stat file;
    if (mkfifoat(output->fd, name, 0622) < 0 && errno != EEXIST)
        return fault_set(fault, errno, "cannot make the FIFO \"%s/%s\"", output->directory, name);
    output->fifos[number] = openat(output->fd, name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (output->fifos[number] < 0)
        return fault_set(fault, errno, "cannot open \"%s/%s\"", output->directory, name);
    if (fstat(output->fifos[number], &file) < 0 || !S_ISFIFO(file.st_mode))
        return fault_say(fault, EEXIST, "\"%s/%s\" is no FIFO", output->directory, name);
    if (fchmod(output->fifos[number], 0622) < 0) /* past the umask */
        return fault_set(fault, errno, "cannot set the mode of \"%s/%s\"", output->directory, name);
    return 0;
}

static int open_all(struct output *output, struct service *service, struct fault *fault) {
    int error = directory_make(AT_FDCWD, output->directory, 0700, fault);
    if (error < 0)
        return error;
    output->fd = open(output->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (output->fd < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", output->directory);
    for (int number = 0; number < 2 && error >= 0; number++)
        error = open_fifo(output, number, fault);
    return error < 0 ? error : output_update(output, service, 0, fault);
}

static void close_all(struct output *output) {
    close_fd(output->fifos[0]);
    close_fd(output->fifos[1]);
    close_fd(output->fd);
    free(output->settings);
    free(output->directory);
    free(output);
}

int output_open(struct service *service, struct output **ret_output, struct fault *fault) {
    struct output *output = malloc(sizeof(*output));
    if (!output)
        return fault_set(fault, ENOMEM, "cannot make the output of %s", service->name);
    *output = (struct output){.fd = -1, .fifos = {-1, -1}};
    if (asprintf(&output->directory, "%s/output/%s", service->manager->options.runtime_directory,
                 service->name) < 0)
        output->directory = NULL;
    int error = output->directory
                    ? open_all(output, service, fault)
                    : fault_set(fault, ENOMEM, "cannot make the output of %s", service->name);
    if (error < 0) {
        close_all(output);
        return error;
    }
    *ret_output = output;
    return 0;
}

int output_streams(const struct output *output, int *ret_out, int *ret_error, struct fault *fault) {
    scoped_fd int out = openat(output->fd, fifos[0], O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    scoped_fd int error = openat(output->fd, fifos[1], O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (out < 0 || error < 0)
        return fault_set(fault, errno, "cannot open the FIFOs of \"%s\"", output->directory);
    *ret_out = take_fd(&out);
    *ret_error = take_fd(&error);
    return 0;
}

int output_update(struct output *output, struct service *service, pid_t pid, struct fault *fault) {
    const struct logging *logging = &service->unit->logging;
    char *settings = NULL;
    output->last = pid ? pid : output->last;
    if (asprintf(&settings,
                 "max_size=%" PRIu64 "\nmax_files=%" PRId64 "\nmax_line=%" PRIu64
                 "\npid=%d\nlast=%d\n",
                 logging->max_size, logging->max_files, logging->max_line, (int)pid,
                 (int)output->last) < 0)
        return fault_set(fault, ENOMEM, "cannot tell the logger about %s", service->name);
    if (output->settings && strcmp(settings, output->settings) == 0) {
        free(settings);
        return 0;
    }
    free(output->settings);
    output->settings = settings;
    return file_replace(output->fd, "settings", settings, strlen(settings), 0600, false, fault);
}

void output_close(struct output *output) {
    if (!output)
        return;
    unlinkat(output->fd, "settings", 0);
    unlinkat(output->fd, fifos[0], 0);
    unlinkat(output->fd, fifos[1], 0);
    rmdir(output->directory);
    close_all(output);
}
