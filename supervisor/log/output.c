/* The streams of a unit: when they are read, and for whom. What is read goes through the ledger, of
 * which ledger.h tells. */

#include "supervisor/log/output.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include "supervisor/log/console.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

/* At the end; a writer that never ceases shall not keep us. */
enum { DRAIN_TURNS = 64 };

static void hand_over(struct output *output, struct writers next);

/* ---- taking ---- */

static struct log_record record_like(const struct output *output, enum log_stream which) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    struct log_record record = {.time = (uint64_t)time.tv_sec * USEC_PER_SEC +
                                        (uint64_t)time.tv_nsec / 1000,
                                .pid = output->writers.pid,
                                .stream = which};
    memcpy(record.unit, output->unit, sizeof record.unit);
    return record;
}

static void add_note(const struct output *output, struct rate *rate, struct lines *lines) {
    scoped_text struct text words = {0};
    struct log_record note = record_like(output, LOG_NOTE);
    rate_say(rate, &words);
    note.text = words.data;
    note.length = words.length;
    if (!words.failed)
        lines_note(lines, &note);
}

static struct lines lines_of(struct ledger *ledger, size_t length) {
    return (struct lines){.source = ledger->source,
                          .length = length,
                          .batch = ledger->batch,
                          .room = ledger->reserved * 2,
                          .pieces = ledger->entry->pieces,
                          .most = LEDGER_PIECES};
}

/* The rate after the first `done` pieces, where `after` is the one after all of them. */
static void account(struct output *output, const struct rate *after, const struct piece *pieces,
                    size_t done, size_t count) {
    struct rate *rate = &output->rate;
    if (done == count) {
        *rate = *after;
    } else {
        rate->passed = rate->end == after->end ? rate->passed : 0;
        rate->end = after->end;
        for (size_t i = 0; i < done; i++) {
            struct piece before = lines_end_before(pieces, i);
            if (pieces[i].source == before.source)
                rate->dropped = 0; /* the note */
            else if (pieces[i].batch > before.batch)
                rate->passed++;
            else
                rate->dropped++;
        }
        rate->say = after->say;
    }
    list_remove(&output->dropping);
    if (rate->dropped > 0)
        list_append(&output->logger->dropping, &output->dropping);
}

/* No slot of the FIFO is free, and all that is in it was seen: its writer waits for us. */
static bool is_full(int fifo, size_t seen) {
    struct pollfd polled = {.fd = fifo, .events = POLLOUT};
    int there;
    return poll(&polled, 1, 0) == 0 && ioctl(fifo, FIONREAD, &there) == 0 && (size_t)there == seen;
}

/* Makes the FIFO large enough for the longest line, in whatever pieces it is written: the slots of
 * a FIFO may be half empty. Without CAP_SYS_RESOURCE there is a limit (fs.pipe-max-size). False: it
 * does not grow any more. */
static bool grow(const struct stream *stream) {
    int present = fcntl(stream->fd, F_GETPIPE_SZ);
    if (present < 0)
        return false;
    for (int size = (int)stream->output->settings.limits.max_line * 2; size > present; size /= 2)
        if (fcntl(stream->fd, F_SETPIPE_SZ, size) > present)
            return true;
    return false;
}

/* Has epoll tell of the stream again, after all others, if there is more than what was seen. */
static void look_again(struct stream *stream, size_t seen, bool more) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = &stream->readable};
    int there = 0;
    if (!more && (ioctl(stream->fd, FIONREAD, &there) < 0 || (size_t)there <= seen))
        return;
    if (stream->output->listening)
        epoll_ctl(stream->output->logger->epoll, EPOLL_CTL_MOD, stream->fd, &event);
}

/* A line that has begun waits for its end, but not for ever. */
static void hold(struct stream *stream, bool has_begun) {
    list_remove(&stream->link);
    if (!has_begun)
        return;
    stream->flush = logger_now() + LOG_HOLD;
    list_append(&stream->output->logger->holding, &stream->link);
}

/* A process that has just begun may write before the news of its pid were handled here. Nobody's
 * output is to be drained before that of a process which is the first. */
static void learn_pid(struct output *output) {
    struct writers writers;
    if (writers_read(output->directory, &writers) == 0 && writers.pid != 0)
        hand_over(output, writers);
}

size_t stream_take(struct stream *stream, bool all) {
    struct output *output = stream->output;
    struct ledger *ledger = &output->logger->ledger;
    size_t max_line = output->settings.limits.max_line, before;
    struct rate rate = output->rate;

    ssize_t length = stream->fd < 0 || !list_is_empty(&output->blocked)
                         ? -EAGAIN
                         : ledger_see(ledger, stream->fd,
                                      max_line < LOG_READ_MOST ? LOG_READ_MOST : max_line + 1);
    if (length <= 0) {
        hold(stream, false);
        return 0;
    }
    if (output->writers.pid == 0)
        learn_pid(output);
    struct log_record like = record_like(output, stream->which);
    struct lines lines = lines_of(ledger, (size_t)length);
    rate_tick(&rate, logger_now());
    if (rate_has_to_say(&rate))
        add_note(output, &rate, &lines);
    before = lines.count;
    enum lines_end end = lines_cut(&lines, &like, max_line, all, &rate);
    if (lines.count == before && is_full(stream->fd, (size_t)length) && !grow(stream))
        end = lines_cut(&lines, &like, max_line, true, &rate);
    size_t taken = 0;
    if (lines.count > before) {
        ledger_enter(ledger, output->unit, stream->which, stream->fd, lines.count);
        size_t done = ledger_pieces_before(ledger, output_deliver(output, 0));
        taken = ledger_settle(ledger, stream->fd, done);
        account(output, &rate, lines.pieces, done, lines.count);
    }
    hold(stream, taken < (size_t)length);
    look_again(stream, (size_t)length - taken, end == LINES_FULL);
    return taken;
}

void stream_drain(struct stream *stream) {
    for (int turn = 0; turn < DRAIN_TURNS && stream_take(stream, false) > 0; turn++)
        continue;
    stream_take(stream, true);
}

/* Its end may have come a moment ago. */
void stream_flush(struct stream *stream) {
    if (stream_take(stream, false) == 0)
        stream_take(stream, true);
}

void output_note_drops(struct output *output, uint64_t now) {
    struct ledger *ledger = &output->logger->ledger;
    struct rate rate = output->rate;
    struct lines lines = lines_of(ledger, 0);
    rate_tick(&rate, now);
    if (!rate_has_to_say(&rate) || !list_is_empty(&output->blocked))
        return;
    add_note(output, &rate, &lines);
    ledger_enter(ledger, output->unit, LOG_NOTE, -EBADF, lines.count);
    size_t done = ledger_pieces_before(ledger, output_deliver(output, 0));
    ledger_settle(ledger, -EBADF, done);
    account(output, &rate, lines.pieces, done, lines.count);
}

/* One chunk from a stream of which epoll told. */
static void take_turn(struct readable *readable) {
    struct stream *stream = (struct stream *)readable;
    struct output *output = stream->output;
    if (stream->fd < 0 || !output->listening)
        return;
    if (output->writers.pid != 0 || output->anonymous) {
        stream_take(stream, false);
        return;
    }
    output->patience = logger_now() + LOG_PATIENCE;
    list_append(&output->logger->waiting, &output->waiting);
    output_update_listening(output);
}

void output_take_anonymous(struct output *output) {
    output->anonymous = true;
    list_remove(&output->waiting);
    output_update_listening(output);
}

void output_retry(struct output *output) {
    output_unblock(output);
    for (size_t i = 0; i < ELEMENTS(output->streams); i++)
        stream_take(&output->streams[i], false);
}

static void drain(struct output *output) {
    for (int turn = 0; turn < DRAIN_TURNS && console_read(output->console) > 0; turn++)
        stream_take(&output->streams[LOG_OUT], false);
    for (size_t i = 0; i < ELEMENTS(output->streams); i++)
        stream_drain(&output->streams[i]);
}

/* ---- what the manager made ---- */

/* What is there was written by the process before. One that was so short that we never saw it as
 * the main process is still the last. */
static void hand_over(struct output *output, struct writers next) {
    pid_t writers[] = {output->writers.pid, next.pid == 0 ? next.last : 0};
    if (output->writers.pid == next.pid && output->writers.last == next.last)
        return;
    for (size_t i = 0; i < ELEMENTS(writers); i++) {
        if (writers[i] == 0 || (i > 0 && writers[i] == output->writers.last))
            continue;
        output->writers.pid = writers[i];
        drain(output);
    }
    output->writers = next;
    output->anonymous = false;
    list_remove(&output->waiting);
    output_update_listening(output);
}

void output_refresh_writers(struct output *output) {
    struct writers writers;
    if (output->writers_watch < 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d/" WRITERS_FILE, output->directory);
        output->writers_watch =
            inotify_add_watch(output->logger->inotify, path, IN_MODIFY | IN_DONT_FOLLOW);
    }
    if (writers_read(output->directory, &writers) == 0)
        hand_over(output, writers);
}

static void refresh_settings(struct output *output) {
    struct settings settings;
    struct fault fault;
    int error = settings_read(output->directory, &settings, &fault);
    if (error == -ENOENT)
        return; /* it comes soon */
    if (error) {
        logger_say("output of %s: %s", output->unit, fault.text);
        return;
    }
    if (output->rate.dropped > 0) /* by the rate that was */
        output_note_drops(output, output->rate.say);
    output->settings = settings;
    output->rate.most = settings.rate;
    output->rate.interval = settings.interval;
}

/* Told to epoll by hand: others may have the description open, too. */
static void close_stream(struct stream *stream) {
    stream_drain(stream);
    if (stream->fd >= 0)
        epoll_ctl(stream->output->logger->epoll, EPOLL_CTL_DEL, stream->fd, NULL);
    stream->fd = close_fd(stream->fd);
}

static int listen_to(struct stream *stream) {
    struct output *output = stream->output;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = &stream->readable};
    if (stream->fd < 0)
        return -errno;
    if (output->listening &&
        epoll_ctl(output->logger->epoll, EPOLL_CTL_ADD, stream->fd, &event) < 0)
        return -errno;
    return 0;
}

/* Opened for writing, too: then it never reaches its end when a process ends. */
static void open_stream(struct stream *stream) {
    struct output *output = stream->output;
    const char *name = log_stream_word(stream->which);
    struct stat status, open_status;
    if (fstatat(output->directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (stream->fd >= 0 && fstat(stream->fd, &open_status) == 0 &&
        status.st_ino == open_status.st_ino && status.st_dev == open_status.st_dev)
        return;
    if (!S_ISFIFO(status.st_mode)) {
        logger_say("output of %s: \"%s\" is not a FIFO", output->unit, name);
        return;
    }
    close_stream(stream);
    stream->fd = openat(output->directory, name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    int error = listen_to(stream);
    if (error)
        logger_say("output of %s: cannot open \"%s\": %s", output->unit, name, strerror(-error));
}

void output_refresh(struct output *output) {
    refresh_settings(output);
    for (size_t i = 0; i < ELEMENTS(output->streams); i++)
        open_stream(&output->streams[i]);
    console_refresh(output);
    output_recover(output);
    output_refresh_writers(output); /* they tell whose words are in the FIFOs now */
}

bool output_is_current(const struct output *output) {
    struct stat open_status, status;
    return fstat(output->directory, &open_status) == 0 &&
           fstatat(output->logger->outputs, output->unit, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           open_status.st_ino == status.st_ino && open_status.st_dev == status.st_dev;
}

static struct output *make(struct logger *logger, const char *unit) {
    struct output *output = calloc(1, sizeof *output);
    if (!output)
        return NULL;
    strncpy(output->unit, unit, sizeof output->unit - 1);
    output->logger = logger;
    output->settings = settings_usual;
    output->writers_watch = -1;
    output->listening = true;
    log_file_init(&output->file, logger->log_directory, output->unit);
    list_init(&output->dropping);
    list_init(&output->waiting);
    list_init(&output->blocked);
    for (size_t i = 0; i < ELEMENTS(output->streams); i++) {
        output->streams[i] = (struct stream){.readable.turn = take_turn,
                                             .output = output,
                                             .which = (enum log_stream)i,
                                             .fd = -EBADF};
        list_init(&output->streams[i].link);
    }
    return output;
}

int output_open(struct logger *logger, const char *unit, struct fault *fault) {
    scoped_free struct output *output = make(logger, unit);
    if (!output)
        return fault_set(fault, ENOMEM, "cannot watch the output of %s", unit);
    scoped_fd int directory =
        openat(logger->outputs, unit, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return fault_set(fault, errno, "cannot open the output directory of %s", unit);
    /* inotify takes no descriptor, but what /proc says of one. */
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
    output->watch = inotify_add_watch(logger->inotify, path, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    if (output->watch < 0)
        return fault_set(fault, errno, "cannot watch the output directory of %s", unit);
    output->directory = take_fd(&directory);
    list_append(&logger->units, &output->link);
    struct output *opened = take(output);
    output_refresh(opened);
    /* Not before what a logger that was killed had under way is where it belongs. */
    struct fault mending;
    if (log_file_mend(&opened->file, &mending) < 0)
        logger_say("%s", mending.text);
    return 0;
}

/* What waits in the FIFOs of a unit that is no more waits in vain. */
static void say_what_is_lost(const struct output *output) {
    int lost = 0, there;
    for (size_t i = 0; i < ELEMENTS(output->streams); i++)
        if (output->streams[i].fd >= 0 && ioctl(output->streams[i].fd, FIONREAD, &there) == 0)
            lost += there;
    if (lost > 0 && !output_is_current(output))
        logger_say("%d bytes of the output of %s could not be logged and are lost", lost,
                   output->unit);
}

void output_close(struct output *output) {
    drain(output);
    say_what_is_lost(output);
    for (size_t i = 0; i < ELEMENTS(output->streams); i++)
        close_stream(&output->streams[i]);
    if (output->rate.dropped > 0)
        output_note_drops(output, output->rate.say);
    console_free(output->console);
    list_remove(&output->link);
    list_remove(&output->dropping);
    list_remove(&output->waiting);
    list_remove(&output->blocked);
    for (size_t i = 0; i < ELEMENTS(output->streams); i++)
        list_remove(&output->streams[i].link);
    /* The watch on what was removed ends with its last descriptor; to end it by hand takes a
     * millisecond (6.18), which a thousand units at the end would feel. */
    struct stat status;
    if (fstat(output->directory, &status) == 0 && status.st_nlink > 0) {
        inotify_rm_watch(output->logger->inotify, output->watch);
        if (output->writers_watch >= 0)
            inotify_rm_watch(output->logger->inotify, output->writers_watch);
    }
    log_file_close(&output->file);
    close_fd(output->directory);
    free(output);
}
