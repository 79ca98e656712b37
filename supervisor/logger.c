#include "supervisor/logger.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/world.h"
#include "units/base/fault.h"
#include "units/base/number.h"

enum {
    SILENT_MOST = 2, /* answers that may fail to come: then it is killed */
    FORGET_MOST = 64 /* times 64 FIFOs of which epoll may have told, and is to tell again */
};
#define PATIENCE (10 * USEC_PER_SEC)

static void ask(struct logger *logger);

/* The question is a file among the outputs, which the logger watches; its answer is to remove it.
 * So neither need know whether the other has just begun. */
static bool question(const struct logger *logger, char *ret_path, size_t size) {
    int length =
        snprintf(ret_path, size, "%s/output/.ping", logger->manager->options.runtime_directory);
    return length > 0 && (size_t)length < size;
}

/* ---- work ---- */

static void work_came(void *context) {
    struct logger *logger = context;
    ask(logger);
    manager_event_ended(logger->manager);
}

static void await_work(struct logger *logger) {
    if (watch_open(logger->manager, logger->fifos, EPOLLIN, WATCH_SOCKET, work_came, logger,
                   &logger->work) < 0)
        log_line(LEVEL_WARNING, "out of memory: a logger that hangs will not be noticed");
}

/* What was written until now, of which epoll tells once (EPOLLET). */
static void forget_work(const struct logger *logger) {
    struct epoll_event events[64];
    int turns = 0;
    while (turns++ < FORGET_MOST && epoll_wait(logger->fifos, events, 64, 0) > 0)
        ;
}

/* ---- asking ---- */

static void await_answer(struct logger *logger) {
    struct manager *manager = logger->manager;
    timers_set(&manager->private->timers, &logger->answer, world_now(manager) + PATIENCE);
}

static void ask(struct logger *logger) {
    char path[PATH_MAX];
    watch_close(take(logger->work));
    logger->asked = world_monotonic(logger->manager);
    if (question(logger, path, sizeof(path))) /* a full file system asks for no answer */
        close_fd(open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    await_answer(logger);
}

static void answered(struct logger *logger) {
    if (logger->silent > 0)
        log_line(LEVEL_NOTICE, "the logger answers again");
    logger->silent = 0;
    forget_work(logger);
    if (outputs_are_unread(logger->manager)) /* there may be no more news of it: it is full */
        ask(logger);
    else
        await_work(logger);
}

/* kill -9 costs a logger nothing (log/ledger.h), and helps one that was stopped or waits for
 * itself; one that waits for a disk ends when that answers. */
static void not_answered(struct logger *logger) {
    logger->silent++;
    if (logger->silent == 1)
        log_line(LEVEL_WARNING, "the logger has not answered for %d s: what units say waits",
                 (int)(PATIENCE / USEC_PER_SEC));
    if (logger->silent >= SILENT_MOST)
        world_tell_keeper(logger->manager, "LOGGER=hung");
    await_answer(logger);
}

/* A machine that slept meanwhile left it no time. */
static void passed(struct deadline *deadline) {
    struct logger *logger = list_entry(deadline, struct logger, answer);
    char path[PATH_MAX];
    if (world_monotonic(logger->manager) - logger->asked < PATIENCE)
        await_answer(logger);
    else if (question(logger, path, sizeof(path)) && world_path_exists(path))
        not_answered(logger);
    else
        answered(logger);
}

/* ---- life ---- */

int logger_open(struct manager *manager, struct fault *fault) {
    struct logger *logger = &manager->private->logger;
    *logger = (struct logger){.manager = manager, .fifos = -EBADF, .answer.passed = passed};
    if (!getenv("RINGFENCE_KEEPER"))
        return 0;
    logger->fifos = epoll_create1(EPOLL_CLOEXEC);
    if (logger->fifos < 0)
        return fault_set(fault, errno, "cannot wait for the outputs of units");
    await_work(logger);
    return 0;
}

/* Negative where nobody is asked, nor is to be. */
static int fifos_of(const struct manager *manager) {
    const struct logger *logger = &manager->private->logger;
    return logger->manager ? logger->fifos : -EBADF;
}

void logger_close(struct manager *manager) {
    struct logger *logger = &manager->private->logger;
    char path[PATH_MAX];
    if (fifos_of(manager) < 0)
        return;
    if (question(logger, path, sizeof(path)))
        unlink(path);
    watch_close(take(logger->work));
    timers_cancel(&manager->private->timers, &logger->answer);
    logger->fifos = close_fd(logger->fifos);
}

void logger_watch(struct manager *manager, int fifo) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int fifos = fifos_of(manager);
    if (fifos >= 0 && epoll_ctl(fifos, EPOLL_CTL_ADD, fifo, &event) < 0)
        log_line(LEVEL_WARNING, "cannot watch an output: %s", strerror(errno));
}

/* By hand, for ringfenced has it open, too. */
void logger_unwatch(struct manager *manager, int fifo) {
    int fifos = fifos_of(manager);
    if (fifos >= 0 && fifo >= 0)
        epoll_ctl(fifos, EPOLL_CTL_DEL, fifo, NULL);
}

void logger_describe(const struct manager *manager, struct text *text) {
    const struct logger *logger = &manager->private->logger;
    if (logger->silent == 0)
        return;
    uint64_t waited = (world_monotonic(logger->manager) - logger->asked) / USEC_PER_SEC;
    text_format(text, "the logger has not answered for %" PRIu64 " s: what units say waits",
                waited);
}
