#include "supervisor/output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include "supervisor/keeping.h"
#include "supervisor/manager-private.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/file.h"
#include "units/base/number.h"

enum {
    WRITERS_SIZE = 22,       /* two pids of up to ten digits, a blank and a newline */
    LOGGER_PATIENCE = 12000, /* ms; ringfenced starts a logger again within ten seconds */
    LOGGER_LOOK = 5,         /* ms between two looks */
    LOOK_AGAIN = 20000,      /* microseconds until the first look at what is leaving; doubled */
    LOOK_AGAIN_MOST = 1000000
};

#define KEPT "output"

static const char *const fifos[] = {"out", "err"};
enum { FIFOS = ELEMENTS(fifos) };

struct output {
    struct manager *manager;
    char *directory;
    const char *name; /* of the unit; in directory */
    int fd;           /* of the directory */
    int fifos[FIFOS]; /* read and write: neither side ever sees the other go away */
    int writers;      /* the file that tells the two pids */
    pid_t pid, last;  /* the main process, and the one that ran most recently; or 0 */
    char *settings;   /* as they were written last */
    struct list link; /* leaving.outputs */
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
    logger_watch(output->manager, output->fifos[number]);
    return 0;
}

/* One write of always the same length, in place: it is a part of every start. */
static int tell_writers(struct output *output, pid_t pid, struct fault *fault) {
    char text[WRITERS_SIZE + 1];
    if (output->writers < 0) {
        output->writers =
            openat(output->fd, "pid", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (output->writers < 0)
            return fault_set(fault, errno, "cannot make \"%s/pid\"", output->directory);
    } else if (pid == output->pid) {
        return 0;
    }
    output->pid = pid;
    output->last = pid ? pid : output->last;
    snprintf(text, sizeof text, "%-10d %-10d\n", (int)output->pid, (int)output->last);
    if (pwrite(output->writers, text, WRITERS_SIZE, 0) < 0)
        return fault_set(fault, errno, "cannot write \"%s/pid\"", output->directory);
    return 0;
}

static int tell_settings(struct output *output, struct service *service, struct fault *fault) {
    const struct logging *logging = &service->unit->logging;
    uint64_t rate = 0, interval = USEC_PER_SEC;
    char *settings = NULL;
    if (logging->rate && frequency_parse(logging->rate, &rate, &interval) < 0)
        return fault_say(fault, EINVAL, "\"%s\" is no rate", logging->rate);
    if (asprintf(&settings,
                 "driver=%s\nmax_size=%" PRIu64 "\nmax_files=%" PRId64 "\nmax_line=%" PRIu64
                 "\nrate=%" PRIu64 "\ninterval=%" PRIu64 "\n",
                 log_driver_word(logging->driver), logging->max_size, logging->max_files,
                 logging->max_line, rate, interval / 1000) < 0)
        return fault_set(fault, ENOMEM, "cannot tell the logger about %s", service->name);
    if (output->settings && strcmp(settings, output->settings) == 0) {
        free(settings);
        return 0;
    }
    free(output->settings);
    output->settings = settings;
    return file_replace(output->fd, "settings", settings, strlen(settings), 0600, false, fault);
}

static int open_all(struct output *output, struct service *service, pid_t pid,
                    struct fault *fault) {
    int error = directory_make(AT_FDCWD, output->directory, 0700, fault);
    if (error < 0)
        return error;
    output->fd = open(output->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (output->fd < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", output->directory);
    for (int number = 0; number < FIFOS && error >= 0; number++)
        error = open_fifo(output, number, fault);
    if (error >= 0)
        error = tell_settings(output, service, fault);
    return error < 0 ? error : tell_writers(output, pid, fault);
}

static void close_all(struct output *output) {
    list_remove(&output->link);
    for (size_t i = 0; i < FIFOS; i++) {
        logger_unwatch(output->manager, output->fifos[i]);
        close_fd(output->fifos[i]);
    }
    close_fd(output->writers);
    close_fd(output->fd);
    free(output->settings);
    free(output->directory);
    free(output);
}

static struct output *make(struct manager *manager, const char *name, struct fault *fault) {
    struct output *output = calloc(1, sizeof(*output));
    if (output) {
        *output = (struct output){
            .manager = manager, .fd = -EBADF, .fifos = {-EBADF, -EBADF}, .writers = -EBADF};
        list_init(&output->link);
        if (asprintf(&output->directory, "%s/output/%s", manager->options.runtime_directory,
                     name) >= 0) {
            output->name = strrchr(output->directory, '/') + 1;
            return output;
        }
        free(output);
    }
    fault_set(fault, ENOMEM, "cannot make the output of %s", name);
    return NULL;
}

/* That of a unit which went and comes again before it was read. */
static struct output *take_leaving(struct manager *manager, const char *name) {
    struct output *output;
    list_for_each(output, &manager->private->leaving.outputs, link) {
        if (strcmp(output->name, name) == 0) {
            list_remove(&output->link);
            return output;
        }
    }
    return NULL;
}

static int open_for(struct service *service, pid_t pid, struct output **ret_output,
                    struct fault *fault) {
    struct output *output = make(service->manager, service->name, fault);
    if (!output)
        return -ENOMEM;
    int error = open_all(output, service, pid, fault);
    if (error < 0) {
        close_all(output);
        return error;
    }
    *ret_output = output;
    return 0;
}

int output_open(struct service *service, struct output **ret_output, struct fault *fault) {
    struct output *left = take_leaving(service->manager, service->name);
    if (left) {
        *ret_output = left;
        return output_update(left, service, 0, fault);
    }
    int error = open_for(service, 0, ret_output, fault);
    if (error >= 0)
        state_hold(service, KEPT, (*ret_output)->fifos, FIFOS);
    return error;
}

static bool is_same(int fd, int other) {
    struct stat one, two;
    return fstat(fd, &one) == 0 && fstat(other, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

/* The FIFOs are found by their names; what is held has kept their content until now. */
int output_resume(struct service *service, pid_t pid, struct output **ret_output,
                  struct fault *fault) {
    int held[FIFOS];
    size_t count = state_take(service, KEPT, held, FIFOS);
    int error = open_for(service, pid, ret_output, fault);
    bool kept = error >= 0 && count == FIFOS;
    for (size_t i = 0; i < count; i++) {
        kept = kept && is_same(held[i], (*ret_output)->fifos[i]);
        close_fd(held[i]);
    }
    if (error >= 0 && !kept) {
        state_release(service, KEPT);
        state_hold(service, KEPT, (*ret_output)->fifos, FIFOS);
    }
    return error;
}

int output_streams(const struct output *output, int *ret_out, int *ret_error, struct fault *fault) {
    scoped_fd int out = openat(output->fd, fifos[0], O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    scoped_fd int error = openat(output->fd, fifos[1], O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (out < 0 || error < 0)
        return fault_set(fault, errno, "cannot open the FIFOs of \"%s\"", output->directory);
    *ret_out = take_fd(&out);
    *ret_error = take_fd(&error);
    return 0;
}

int output_update(struct output *output, struct service *service, pid_t pid, struct fault *fault) {
    int error = tell_settings(output, service, fault);
    return error < 0 ? error : tell_writers(output, pid, fault);
}

/* ---- the end of one ---- */

static bool is_unread(const struct output *output) {
    int there;
    for (size_t i = 0; i < FIFOS; i++)
        if (ioctl(output->fifos[i], FIONREAD, &there) == 0 && there > 0)
            return true;
    return false;
}

static void release(const struct output *output) {
    char name[UNIT_NAME_MAX + 16];
    snprintf(name, sizeof(name), "%s/" KEPT, output->name);
    keeping_drop(output->manager->private->keeping, name);
}

static void remove_all(struct output *output) {
    release(output);
    unlinkat(output->fd, "settings", 0);
    unlinkat(output->fd, "pid", 0);
    unlinkat(output->fd, fifos[0], 0);
    unlinkat(output->fd, fifos[1], 0);
    rmdir(output->directory);
    close_all(output);
}

/* What the logger has taken out of a FIFO it has written before (ledger.h). */
static void look(struct deadline *deadline) {
    struct leaving *leaving = list_entry(deadline, struct leaving, look);
    struct output *output, *following;
    struct manager *manager = NULL;
    list_for_each_safe(output, following, &leaving->outputs, link) {
        manager = output->manager;
        if (!is_unread(output))
            remove_all(output);
    }
    if (list_is_empty(&leaving->outputs))
        return;
    leaving->pause = leaving->pause * 2 < LOOK_AGAIN_MOST ? leaving->pause * 2 : LOOK_AGAIN_MOST;
    timers_set(&manager->private->timers, deadline, world_now(manager) + leaving->pause);
}

static void leave(struct output *output) {
    struct manager *manager = output->manager;
    struct leaving *leaving = &manager->private->leaving;
    list_append(&leaving->outputs, &output->link);
    leaving->pause = LOOK_AGAIN;
    leaving->look.passed = look;
    timers_set(&manager->private->timers, &leaving->look, world_now(manager) + LOOK_AGAIN);
}

/* Without a keeper above us nobody promises that there will be a logger. */
void output_close(struct output *output) {
    if (!output)
        return;
    if (getenv("RINGFENCE_KEEPER") && !output->manager->private->leaving.ended && is_unread(output))
        leave(output);
    else
        remove_all(output);
}

/* ---- all of them ---- */

/* The FIFOs are there by their names, or have nobody who could read them. */
static void resume_leaving(struct manager *manager, const char *name, const int *held,
                           size_t count) {
    struct fault fault;
    struct output *output = make(manager, name, &fault);
    if (!output)
        return;
    bool same = count == FIFOS;
    output->fd = open(output->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    for (int number = 0; number < FIFOS && same; number++)
        same =
            open_fifo(output, number, &fault) == 0 && is_same(held[number], output->fifos[number]);
    if (same) {
        leave(output);
    } else {
        release(output);
        close_all(output);
    }
}

void outputs_resume(struct manager *manager) {
    struct keeping *keeping = manager->private->keeping;
    const char *name;
    for (size_t i = 0; (name = keeping_untaken(keeping, i));) {
        char unit[KEEPER_NAME_MAX + 1];
        int held[FIFOS];
        size_t length = strlen(name), end = strlen("/" KEPT);
        if (length <= end || strcmp(name + length - end, "/" KEPT) != 0) {
            i++;
            continue;
        }
        snprintf(unit, sizeof(unit), "%.*s", (int)(length - end), name);
        int count = keeping_take(keeping, name, held, FIFOS);
        if (count < 0) {
            i++; /* keeping_settle lets them go */
            continue;
        }
        resume_leaving(manager, unit, held, (size_t)count);
        for (int number = 0; number < count; number++)
            close_fd(held[number]);
    }
}

/* Of a unit's output, or of one that is leaving: whether somebody has to read it. */
typedef bool (*unread)(const struct service *service, const struct output *output);

static bool any_is(const struct manager *manager, unread is_unread_of) {
    const struct service *service;
    const struct output *output;
    list_for_each(service, &manager->services, link) {
        output = service->private->output;
        if (output && is_unread_of(service, output))
            return true;
    }
    list_for_each(output, &manager->private->leaving.outputs, link) {
        if (is_unread_of(NULL, output))
            return true;
    }
    return false;
}

static bool is_work(const struct service *service, const struct output *output) {
    (void)service;
    return is_unread(output);
}

bool outputs_are_unread(const struct manager *manager) {
    return any_is(manager, is_work);
}

/* Where a daemon that is away is waited for it is in vain: it ends before us, or comes after us. */
static bool is_awaited(const struct service *service, const struct output *output) {
    bool to_file = !service || (service->unit && service->unit->logging.driver == LOG_FILE);
    return to_file && is_unread(output);
}

void outputs_end(struct manager *manager) {
    const struct timespec pause = {.tv_nsec = LOGGER_LOOK * 1000000L};
    struct leaving *leaving = &manager->private->leaving;
    struct output *output, *following;
    bool kept = getenv("RINGFENCE_KEEPER") != NULL;
    for (int waited = 0; kept && waited < LOGGER_PATIENCE && any_is(manager, is_awaited);
         waited += LOGGER_LOOK)
        nanosleep(&pause, NULL);
    timers_cancel(&manager->private->timers, &leaving->look);
    leaving->ended = true;
    list_for_each_safe(output, following, &leaving->outputs, link) {
        remove_all(output);
    }
}
