/* How the records of a chunk come to where they belong, and what happens where they cannot. The
 * rule is one for all: what cannot be logged waits in its FIFO, and holds its writer back when that
 * is full. Nothing is dropped unless the unit's rate says so. */

#include <string.h>
#include <sys/epoll.h>
#include <sys/statvfs.h>

#include "supervisor/log/console.h"
#include "supervisor/log/output.h"
#include "supervisor/log/reclaim.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"

enum {
    ROOM_AGAIN = 64 << 10, /* bytes: a disk with so many is no longer full */
    CALM = 3000,           /* ms without a file removed for want of room */
    BARREN = 500           /* ms after which a disk is searched again for files to remove */
};

/* ---- waiting ---- */

void output_update_listening(struct output *output) {
    bool listening = list_is_empty(&output->blocked) && list_is_empty(&output->waiting);
    if (listening == output->listening)
        return;
    output->listening = listening;
    for (size_t i = 0; i < ELEMENTS(output->streams); i++) {
        struct stream *stream = &output->streams[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = &stream->readable};
        if (stream->fd >= 0)
            epoll_ctl(output->logger->epoll, listening ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, stream->fd,
                      &event);
    }
    console_listen(output->console, listening);
}

void output_block(struct output *output, const struct fault *fault) {
    if (fault && !output->told) {
        logger_say("%s; its output waits until that works", fault->text);
        output->told = true;
    }
    list_remove(&output->blocked);
    list_append(&output->logger->blocked, &output->blocked);
    output_update_listening(output);
}

void output_unblock(struct output *output) {
    list_remove(&output->blocked);
    output_update_listening(output);
}

static void say_it_works(struct output *output) {
    if (!output->told)
        return;
    output->told = false;
    if (output->settings.driver < SINKS)
        logger_say("the output of %s goes to %s again", output->unit,
                   sink_kinds[output->settings.driver].name);
    else
        logger_say("the log of %s is written again", output->unit);
}

/* ---- log files ---- */

/* Removes a file where there is one to remove. A disk on which there is none is not searched again
 * and again: a thousand units may wait for it. */
static bool make_room(struct logger *logger) {
    char removed[512];
    uint64_t now = logger_now();
    bool first = logger->short_of_room == 0;
    logger->short_of_room = now;
    if (now < logger->barren)
        return false;
    if (log_reclaim(logger->log_directory, removed, sizeof removed)) {
        if (first)
            logger_say("the disk of the logs is full: the oldest files of whoever has most of them "
                       "go, \"%s\" first",
                       removed);
        return true;
    }
    if (!logger->full)
        logger_say("the disk of the logs is full, and no old file is left to be removed: output "
                   "waits until there is room");
    logger->full = true;
    logger->barren = now + BARREN;
    return false;
}

void logger_check_room(struct logger *logger) {
    struct statvfs status;
    if (logger->short_of_room == 0 || logger_now() < logger->short_of_room + CALM ||
        fstatvfs(logger->log_directory, &status) < 0 ||
        (uint64_t)status.f_bavail * status.f_frsize < ROOM_AGAIN)
        return;
    logger->short_of_room = 0;
    logger->full = false;
    logger_say("the disk of the logs has room again");
}

static size_t to_file(struct output *output, size_t length, size_t from, int *ret_error,
                      struct fault *fault) {
    struct logger *logger = output->logger;
    bool full;
    do {
        *ret_error =
            log_file_append(&output->file, &output->settings.limits, &logger->ledger.entry->marks,
                            logger->ledger.batch, length, from, &from, fault);
        full = *ret_error == -ENOSPC || *ret_error == -EDQUOT;
    } while (full && make_room(logger));
    logger_check_room(logger);
    return from;
}

/* ---- everything else ---- */

/* One record after the other. One may come twice if we are killed between two lines of this. */
static size_t to_sink(struct output *output, size_t from, int *ret_error, struct fault *fault) {
    struct logger *logger = output->logger;
    struct ledger_entry *entry = logger->ledger.entry;
    for (size_t i = ledger_pieces_before(&logger->ledger, from); i < entry->count; i++) {
        struct log_record record;
        size_t end = entry->pieces[i].batch;
        if (end == from)
            continue; /* it was dropped */
        if (log_record_parse(logger->ledger.batch + from, end - from - 1, &record) == 0)
            *ret_error = sink_send(logger->sinks, output->settings.driver, &record, fault);
        if (*ret_error)
            break;
        from = end;
        log_marks_set(&entry->marks, &(struct log_mark){.offset = from});
    }
    return from;
}

static void await(struct logger *logger, size_t driver) {
    int fd = logger->sinks[driver].fd;
    struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.ptr = &logger->writable};
    if (epoll_ctl(logger->epoll, EPOLL_CTL_MOD, fd, &event) < 0)
        epoll_ctl(logger->epoll, EPOLL_CTL_ADD, fd, &event);
}

size_t output_deliver(struct output *output, size_t from) {
    const struct ledger_entry *entry = output->logger->ledger.entry;
    size_t length = lines_end_before(entry->pieces, entry->count).batch, driver;
    struct fault fault;
    int error = 0;
    if (from == length)
        return length;
    driver = output->settings.driver;
    if (driver < SINKS)
        from = to_sink(output, from, &error, &fault);
    else
        from = to_file(output, length, from, &error, &fault);
    if (from == length) {
        say_it_works(output);
        return length;
    }
    bool told = error == -EAGAIN || error == -ENOSPC || error == -EDQUOT; /* or not worth a word */
    output_block(output, told ? NULL : &fault);
    if (error == -EAGAIN)
        await(output->logger, driver);
    return from;
}

/* ---- after a logger that was killed ---- */

void output_recover(struct output *output) {
    struct ledger *ledger = &output->logger->ledger;
    const struct ledger_entry *entry = ledger->entry;
    if (!ledger_has_entry(ledger) || strcmp(entry->unit, output->unit) != 0)
        return;
    size_t length = lines_end_before(entry->pieces, entry->count).batch;
    size_t from = log_file_resume(&output->file, &ledger->entry->marks, ledger->batch, length);
    from = output_deliver(output, from);
    int fifo = entry->stream < FIFOS ? output->streams[entry->stream].fd : -EBADF;
    ledger_settle_again(ledger, fifo, ledger_pieces_before(ledger, from));
}

void logger_recover_orphan(struct logger *logger) {
    struct ledger *ledger = &logger->ledger;
    const struct ledger_entry *entry = ledger->entry;
    struct log_file file;
    struct fault fault;
    if (!ledger_has_entry(ledger))
        return;
    size_t length = lines_end_before(entry->pieces, entry->count).batch, written;
    log_file_init(&file, logger->log_directory, entry->unit);
    size_t from = log_file_resume(&file, &ledger->entry->marks, ledger->batch, length);
    if (log_file_append(&file, &settings_usual.limits, &ledger->entry->marks, ledger->batch, length,
                        from, &written, &fault) < 0)
        logger_say("%s; %zu bytes of its output are lost", fault.text, length - written);
    log_file_close(&file);
    ledger_settle_again(ledger, -EBADF, entry->count);
}
