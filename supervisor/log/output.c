#include "supervisor/log/output.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>

#include "supervisor/log/console.h"
#include "supervisor/log/lines.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

enum {
    SETTINGS_MOST = 4096, /* bytes of the file */
    DRAIN_TURNS = 64,     /* at the end; a writer that never ceases shall not keep us */
    MEMORY_KEPT = 4096,   /* bytes, of a buffer that is empty for now */
};

static const struct log_limits usual_limits = {10 << 20, 3, 64 << 10};

/* The line `key=NUMBER` of the settings, as the engine writes them. */
static const struct setting {
    const char *key;
    uint64_t least, most;
} settings[] = {
    {"max_size", 1, UINT64_MAX}, {"max_files", 1, 10000},
    {"max_line", 1, 16 << 20},   {"pid", 0, INT32_MAX}, /* the main process, or 0 */
    {"last", 0, INT32_MAX},                             /* the one that ran most recently, or 0 */
};
enum { MAX_SIZE, MAX_FILES, MAX_LINE, PID, LAST };
static_assert(ELEMENTS(settings) == LAST + 1, "a row for every setting");

/* ---- writing ---- */

/* A FIFO is left alone while the disk is full, and while it is not known who speaks. */
static void update_listening(struct output *output) {
    bool listening = list_is_empty(&output->blocked) && list_is_empty(&output->waiting);
    if (listening == output->listening)
        return;
    output->listening = listening;
    for (size_t i = 0; i < ELEMENTS(output->streams); i++) {
        struct stream *stream = &output->streams[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &stream->readable};
        if (stream->fd >= 0)
            epoll_ctl(output->logger->epoll, listening ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, stream->fd,
                      &event);
    }
}

static void block(struct output *output, const struct fault *fault) {
    if (!list_is_empty(&output->blocked))
        return;
    logger_say("%s; its output waits until that works", fault->text);
    list_append(&output->logger->blocked, &output->blocked);
    update_listening(output);
}

static void unblock(struct output *output) {
    if (list_is_empty(&output->blocked))
        return;
    logger_say("the log of %s is written again", output->unit);
    list_remove(&output->blocked);
    update_listening(output);
}

static void write_batch(struct output *output) {
    struct fault fault;
    size_t written;
    if (output->batch.length == output->written)
        return;
    int error =
        log_file_append(&output->file, &output->limits, output->batch.data + output->written,
                        output->batch.length - output->written, &written, &fault);
    output->written += written;
    if (error) {
        block(output, &fault);
        return;
    }
    output->written = output->batch.length = 0;
    if (output->batch.capacity > MEMORY_KEPT)
        text_free(&output->batch);
    unblock(output);
}

void output_retry(struct output *output) {
    write_batch(output);
}

/* ---- reading ---- */

static struct log_record record_like(const struct stream *stream) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    struct log_record record = {.time = (uint64_t)time.tv_sec * USEC_PER_SEC +
                                        (uint64_t)time.tv_nsec / 1000,
                                .pid = stream->output->pid,
                                .stream = stream->which};
    memcpy(record.unit, stream->output->unit, sizeof record.unit);
    return record;
}

/* A line that has begun waits for its end, but not for ever. */
static void hold(struct stream *stream) {
    list_remove(&stream->link);
    if (stream->held.length > 0) {
        stream->flush = logger_now() + LOG_HOLD;
        list_append(&stream->output->logger->holding, &stream->link);
    } else if (stream->held.capacity > MEMORY_KEPT) {
        text_free(&stream->held);
    }
}

static void check_memory(struct stream *stream) {
    struct output *output = stream->output;
    if (stream->held.failed || output->batch.failed)
        logger_say("out of memory: some output of %s is lost", output->unit);
    stream->held.failed = output->batch.failed = false;
}

static void read_settings(struct output *output);

/* Read, then written: what was read when this process is killed is lost. */
static ssize_t read_once(struct stream *stream) {
    struct output *output = stream->output;
    char *buffer = output->logger->buffer;
    ssize_t length = read(stream->fd, buffer, LOG_READ_MOST);
    if (length <= 0)
        return length;
    /* A process that has just begun may write before the news of its pid were handled here. */
    if (output->pid == 0)
        read_settings(output);
    struct log_record like = record_like(stream);
    size_t logged = (size_t)length;
    if (stream->console)
        logged = console_show(stream->console, buffer, logged);
    lines_feed(&stream->held, &like, output->limits.max_line, buffer, logged, &output->batch);
    check_memory(stream);
    hold(stream);
    write_batch(output);
    return length;
}

/* One read from a stream that epoll found readable. */
static void take_turn(struct readable *readable) {
    struct stream *stream = (struct stream *)readable;
    struct output *output = stream->output;
    if (stream->fd < 0 || !output->listening)
        return;
    if (output->pid != 0 || output->anonymous) {
        ssize_t length = read_once(stream);
        if (stream->console && (length == 0 || (length < 0 && errno == EIO)))
            console_ended(stream->console);
        return;
    }
    output->patience = logger_now() + LOG_PATIENCE;
    list_append(&output->logger->waiting, &output->waiting);
    update_listening(output);
}

void output_take_anonymous(struct output *output) {
    output->anonymous = true;
    list_remove(&output->waiting);
    update_listening(output);
}

void stream_flush(struct stream *stream) {
    struct log_record like = record_like(stream);
    lines_flush(&stream->held, &like, &stream->output->batch);
    check_memory(stream);
    hold(stream);
    write_batch(stream->output);
}

/* What waits in a FIFO stays there while the disk is full: the manager holds it open, too. */
static void drain(struct stream *stream) {
    for (int turn = 0; turn < DRAIN_TURNS && stream->fd >= 0; turn++)
        if (!list_is_empty(&stream->output->blocked) || read_once(stream) <= 0)
            break;
    stream_flush(stream);
}

/* ---- what the engine made ---- */

/* Where the text names a setting, *ret_value; lines of a newer engine that we do not know are none
 * of our business. */
static bool find_setting(const char *text, const struct setting *setting, uint64_t *ret_value) {
    size_t length = strlen(setting->key);
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        char number[24];
        size_t digits = strcspn(line, "\n");
        if (strncmp(line, setting->key, length) != 0 || line[length] != '=')
            continue;
        digits -= length + 1;
        if (digits >= sizeof number)
            return false;
        memcpy(number, line + length + 1, digits);
        number[digits] = '\0';
        return number_parse(number, ret_value) == 0 && *ret_value >= setting->least &&
               *ret_value <= setting->most;
    }
    return false;
}

/* What is there was written by the process before. One that was so short that we never saw it as
 * the main process is still the last. */
static void hand_over(struct output *output, pid_t pid, pid_t last) {
    pid_t writers[] = {output->pid, pid == 0 ? last : 0};
    if (output->pid == pid && output->last == last)
        return;
    for (size_t i = 0; i < ELEMENTS(writers); i++) {
        if (writers[i] == 0 || (i > 0 && writers[i] == output->last))
            continue;
        output->pid = writers[i];
        for (size_t j = 0; j < ELEMENTS(output->streams); j++)
            drain(&output->streams[j]);
    }
    output->pid = pid;
    output->last = last;
    output->anonymous = false;
    list_remove(&output->waiting);
    update_listening(output);
}

static void read_settings(struct output *output) {
    struct fault fault;
    scoped_free char *text = NULL;
    uint64_t values[ELEMENTS(settings)];
    int error = file_read(output->directory, "settings", SETTINGS_MOST, &text, NULL, &fault);
    if (error == -ENOENT)
        return; /* it comes soon */
    if (error) {
        logger_say("output of %s: %s", output->unit, fault.text);
        return;
    }
    for (size_t i = 0; i < ELEMENTS(settings); i++)
        if (!find_setting(text, &settings[i], &values[i])) {
            logger_say("output of %s: no usable %s in its settings", output->unit, settings[i].key);
            return;
        }
    hand_over(output, (pid_t)values[PID], (pid_t)values[LAST]);
    output->limits = (struct log_limits){values[MAX_SIZE], (unsigned)values[MAX_FILES],
                                         (size_t)values[MAX_LINE]};
}

/* Told to epoll by hand: others may have the description open, too. */
static void close_stream(struct stream *stream) {
    drain(stream);
    if (stream->fd >= 0)
        epoll_ctl(stream->output->logger->epoll, EPOLL_CTL_DEL, stream->fd, NULL);
    stream->fd = close_fd(stream->fd);
}

static int listen_to(struct stream *stream) {
    struct output *output = stream->output;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &stream->readable};
    if (stream->fd < 0)
        return -errno;
    if (output->listening &&
        epoll_ctl(output->logger->epoll, EPOLL_CTL_ADD, stream->fd, &event) < 0)
        return -errno;
    return 0;
}

void stream_begin(struct stream *stream, int fd) {
    close_stream(stream);
    stream->fd = fd;
    int error = listen_to(stream);
    if (error)
        logger_say("output of %s: cannot read its terminal: %s", stream->output->unit,
                   strerror(-error));
}

void stream_end(struct stream *stream) {
    close_stream(stream);
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
    for (size_t i = 0; i < FIFOS; i++)
        open_stream(&output->streams[i]);
    console_refresh(output);
    read_settings(output); /* they tell whose words are in the FIFOs now */
}

bool output_is_current(const struct output *output) {
    struct stat open_status, status;
    return fstat(output->directory, &open_status) == 0 &&
           fstatat(output->logger->outputs, output->unit, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           open_status.st_ino == status.st_ino && open_status.st_dev == status.st_dev;
}

int output_open(struct logger *logger, const char *unit, struct fault *fault) {
    scoped_free struct output *output = calloc(1, sizeof *output);
    if (!output || strlen(unit) >= sizeof output->unit)
        return fault_set(fault, output ? ENAMETOOLONG : ENOMEM, "cannot watch the output of %s",
                         unit);
    strcpy(output->unit, unit);
    output->logger = logger;
    output->limits = usual_limits;
    log_file_init(&output->file, logger->log_directory, output->unit);
    output->listening = true;
    list_init(&output->waiting);
    list_init(&output->blocked);
    for (size_t i = 0; i < ELEMENTS(output->streams); i++) {
        output->streams[i] = (struct stream){.readable.turn = take_turn,
                                             .output = output,
                                             .which = i < FIFOS ? (enum log_stream)i : LOG_OUT,
                                             .fd = -EBADF};
        list_init(&output->streams[i].link);
    }
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
    output_refresh(take(output));
    return 0;
}

void output_close(struct output *output) {
    for (size_t i = 0; i < ELEMENTS(output->streams); i++)
        close_stream(&output->streams[i]);
    console_free(output->console);
    if (output->batch.length > output->written)
        logger_say("%zu bytes of output of %s could not be written and are lost",
                   output->batch.length - output->written, output->unit);
    list_remove(&output->link);
    list_remove(&output->waiting);
    list_remove(&output->blocked);
    /* The watch on a directory that was removed ends with its last descriptor; to end it by hand
     * takes a millisecond (6.18), which a thousand units at the end would feel. */
    struct stat status;
    if (fstat(output->directory, &status) == 0 && status.st_nlink > 0)
        inotify_rm_watch(output->logger->inotify, output->watch);
    log_file_close(&output->file);
    text_free(&output->batch);
    for (size_t i = 0; i < ELEMENTS(output->streams); i++)
        text_free(&output->streams[i].held);
    close_fd(output->directory);
    free(output);
}
