/* ringfence-logd: moves the services' output from their FIFOs into rotated files. It watches
 * RUNTIME_DIR/output, gives every FIFO its turn, and sleeps when there is nothing to move. */

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>

#include "supervisor/log/console.h"
#include "supervisor/log/output.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/line.h"
#include "units/base/scoped.h"

enum {
    EVENTS_A_TURN = 64,
    RETRY = 1000,      /* ms between two tries to write to a full disk, to reach a daemon */
    ROOM_RETRY = 1000, /* ms between two looks whether a disk that was full has room */
    LOCK_RETRY = 100,  /* ms between two looks whether another logger has ended */
    NAME_PART = 64     /* bytes of a unit's name before the @, and of what is behind it */
};

struct directories {
    const char *runtime, *log;
};

void logger_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    line_say("ringfence-logd", format, arguments);
    va_end(arguments);
}

uint64_t logger_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* ---- which units there are ---- */

static size_t part_length(const char *text) {
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || (text[length] && strchr("_.:-", text[length])))
        length++;
    return length;
}

/* The names of units/set.h; logd takes no more than a name that is safe as a directory's. */
static bool is_unit_name(const char *name) {
    size_t length = part_length(name);
    if (!isalnum((unsigned char)*name) || length > NAME_PART)
        return false;
    if (name[length] != '@')
        return name[length] == '\0';
    const char *argument = name + length + 1;
    length = part_length(argument);
    return length > 0 && length <= NAME_PART && argument[length] == '\0';
}

static struct output *find(struct logger *logger, const char *unit) {
    struct output *output;
    list_for_each(output, &logger->units, link) {
        if (strcmp(output->unit, unit) == 0)
            return output;
    }
    return NULL;
}

/* When the first unit is there and not before, since early boot may mount what it lies on. Without
 * it there is nothing to do: ringfenced starts us again in a while. */
static void need_log_directory(struct logger *logger) {
    struct fault fault;
    if (logger->log_directory >= 0)
        return;
    int error = directory_make(AT_FDCWD, logger->log_path, 0750, &fault);
    if (!error)
        logger->log_directory = open(logger->log_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!error && logger->log_directory >= 0)
        return;
    if (!error)
        fault_set(&fault, errno, "cannot open the log directory \"%s\"", logger->log_path);
    logger_say("%s", fault.text);
    exit(EXIT_FAILURE);
}

/* The manager wants to know whether we do our work: so we do, and it is seen. */
static void answer(const struct logger *logger) {
    unlinkat(logger->outputs, PING_FILE, 0);
}

/* A directory of this name came, went, or may have done so while we did not look. */
static void look_at(struct logger *logger, const char *unit) {
    struct fault fault;
    struct stat status;
    if (strcmp(unit, PING_FILE) == 0)
        answer(logger);
    if (*unit == '.')
        return; /* on its way to its name */
    struct output *output = find(logger, unit);
    if (output && output_is_current(output))
        return;
    if (output)
        output_close(output);
    if (fstatat(logger->outputs, unit, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (!is_unit_name(unit) || !S_ISDIR(status.st_mode)) {
        logger_say("\"%s\" among the outputs is no unit's directory and is left alone", unit);
        return;
    }
    need_log_directory(logger);
    int error = output_open(logger, unit, &fault);
    if (error && error != -ENOENT)
        logger_say("%s", fault.text);
}

/* What it does not know of is never read: another one, which ringfenced starts, tries again, and
 * goes on where this one was. */
static _Noreturn void give_up(int error) {
    logger_say("cannot list the outputs: %s", strerror(abs(error)));
    exit(EXIT_FAILURE);
}

static void look_at_all(struct logger *logger) {
    struct output *output, *following;
    list_for_each_safe(output, following, &logger->units, link) {
        char unit[LOG_UNIT_MOST];
        memcpy(unit, output->unit, sizeof unit);
        if (output_is_current(output))
            output_refresh(output);
        else
            look_at(logger, unit);
    }
    int fd = openat(logger->outputs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory)
        give_up(errno);
    const struct dirent *entry;
    int more;
    while ((more = directory_next(directory, &entry)) > 0)
        look_at(logger, entry->d_name);
    if (more < 0)
        give_up(more);
    closedir(directory);
}

/* What a logger that was killed had under way comes before all that is new. */
static void recover(struct logger *logger) {
    if (!ledger_has_entry(&logger->ledger))
        return;
    char unit[LOG_UNIT_MOST];
    memcpy(unit, logger->ledger.entry->unit, sizeof unit);
    need_log_directory(logger);
    look_at(logger, unit);
    logger_recover_orphan(logger);
}

/* ---- the loop ---- */

static bool is_of_interest(const char *name) {
    static const char *const names[] = {SETTINGS_FILE, WRITERS_FILE, CONSOLE_SOCKET};
    for (size_t i = 0; i < ELEMENTS(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strcmp(name, log_stream_word(LOG_OUT)) == 0 ||
           strcmp(name, log_stream_word(LOG_ERR)) == 0;
}

static void heed_change(struct logger *logger, const struct inotify_event *event) {
    struct output *output;
    if (event->mask & IN_Q_OVERFLOW) {
        look_at_all(logger);
        return;
    }
    if (event->wd == logger->watch && event->len > 0) {
        look_at(logger, event->name);
        return;
    }
    list_for_each(output, &logger->units, link) {
        if (output->writers_watch == event->wd) {
            if (event->mask & IN_IGNORED)
                output->writers_watch = -1; /* it was removed */
            else
                output_refresh_writers(output);
            return;
        }
        if (output->watch == event->wd && event->len > 0 && is_of_interest(event->name)) {
            output_refresh(output);
            return;
        }
    }
}

static void heed_changes(struct logger *logger) {
    _Alignas(struct inotify_event) char buffer[4096];
    ssize_t length;
    while ((length = read(logger->inotify, buffer, sizeof buffer)) > 0)
        for (const char *at = buffer; at < buffer + length;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;
            heed_change(logger, event);
            at += sizeof *event + event->len;
        }
}

static size_t length_of(const struct list *list) {
    size_t length = 0;
    for (const struct list *link = list->next; link != list; link = link->next)
        length++;
    return length;
}

/* Each once: one that fails again is appended again. */
static void retry_blocked(struct logger *logger) {
    for (size_t count = length_of(&logger->blocked); count > 0; count--)
        output_retry(list_first(&logger->blocked, struct output, blocked));
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Lines that waited long enough, drops that are to be told, and disks that may be less full.
 * Returns how long to sleep, in ms; -1: until something happens. */
static int pass_time(struct logger *logger, uint64_t *retry) {
    struct output *output;
    uint64_t time = logger_now(), next = UINT64_MAX;
    struct stream *stream;
    while ((stream = list_first(&logger->holding, struct stream, link)) && stream->flush <= time)
        stream_flush(stream);
    if (stream)
        next = stream->flush;
    while ((output = list_first(&logger->waiting, struct output, waiting)) &&
           output->patience <= time)
        output_take_anonymous(output);
    if (output)
        next = earlier(next, output->patience);
    for (size_t count = length_of(&logger->dropping); count > 0; count--) {
        output = list_first(&logger->dropping, struct output, dropping);
        list_remove(&output->dropping);
        list_append(&logger->dropping, &output->dropping);
        output_note_drops(output, time);
    }
    list_for_each(output, &logger->dropping, dropping) {
        if (list_is_empty(&output->blocked))
            next = earlier(next, output->rate.say);
    }
    if (!list_is_empty(&logger->blocked) && time >= *retry) {
        retry_blocked(logger);
        *retry = time + RETRY;
    }
    if (!list_is_empty(&logger->blocked))
        next = earlier(next, *retry);
    if (logger->short_of_room) {
        logger_check_room(logger);
        next = earlier(next, time + ROOM_RETRY);
    }
    return next == UINT64_MAX ? -1 : next > time ? (int)(next - time) : 0;
}

/* A sink takes more again. */
static void take_writable(struct readable *readable) {
    struct logger *logger = list_entry(readable, struct logger, writable);
    retry_blocked(logger);
}

static void give_turns(struct logger *logger) {
    struct epoll_event events[EVENTS_A_TURN];
    int count = epoll_wait(logger->epoll, events, EVENTS_A_TURN, 0);
    for (int i = 0; i < count; i++) {
        struct readable *readable = events[i].data.ptr;
        readable->turn(readable);
    }
}

/* Until SIGTERM or SIGINT. Changes come first, so that what a new process says is not taken for the
 * words of the one before it, and so that nothing ends while turns are given. */
static void run(struct logger *logger) {
    struct pollfd polled[] = {
        {logger->signals, POLLIN, 0}, {logger->inotify, POLLIN, 0}, {logger->epoll, POLLIN, 0}};
    uint64_t retry = 0;
    while (!(polled[0].revents & POLLIN)) {
        if (poll(polled, ELEMENTS(polled), pass_time(logger, &retry)) < 0)
            continue;
        if (polled[1].revents & POLLIN)
            heed_changes(logger);
        if (polled[2].revents & POLLIN)
            give_turns(logger);
    }
    heed_changes(logger); /* a unit that came with the last events is drained, too */
    logger->inotify = close_fd(logger->inotify);
    struct output *output, *following;
    list_for_each_safe(output, following, &logger->units, link) {
        output_close(output);
    }
}

/* ---- beginning ---- */

/* A predecessor that still drains is waited for; it has no way to tell that it is done. */
static int lock_outputs(struct logger *logger, const char *path, struct fault *fault) {
    struct pollfd ended = {logger->signals, POLLIN, 0};
    for (bool told = false; flock(logger->outputs, LOCK_EX | LOCK_NB) < 0; told = true) {
        if (errno != EWOULDBLOCK)
            return fault_set(fault, errno, "cannot lock \"%s\"", path);
        if (!told)
            logger_say("another ringfence-logd reads \"%s\"; waiting until it ends", path);
        if (poll(&ended, 1, LOCK_RETRY) > 0)
            return fault_say(fault, EINTR, "ended before the other ringfence-logd did");
    }
    return 0;
}

/* RUNTIME_DIR/output, read by one logger only, and the ledger beside it. */
static int open_outputs(struct logger *logger, const char *runtime, struct fault *fault) {
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/output", runtime) >= sizeof path)
        return fault_set(fault, ENAMETOOLONG, "cannot use the runtime directory \"%s\"", runtime);
    int error = directory_make(AT_FDCWD, path, 0755, fault);
    if (error)
        return error;
    logger->outputs = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scoped_fd int directory = open(runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (logger->outputs < 0 || directory < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", path);
    error = lock_outputs(logger, path, fault);
    return error ? error : ledger_open(&logger->ledger, directory, fault);
}

/* First of all, so that a SIGTERM that comes early is heeded as a late one is: by draining. */
static int open_signals(struct logger *logger, struct fault *fault) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    logger->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return logger->signals < 0 ? fault_set(fault, errno, "cannot receive signals") : 0;
}

static int open_events(struct logger *logger, struct fault *fault) {
    char path[64];
    logger->epoll = epoll_create1(EPOLL_CLOEXEC);
    logger->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (logger->epoll < 0 || logger->inotify < 0)
        return fault_set(fault, errno, "cannot wait for events");
    snprintf(path, sizeof path, "/proc/self/fd/%d", logger->outputs);
    logger->watch = inotify_add_watch(
        logger->inotify, path, IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR);
    return logger->watch < 0 ? fault_set(fault, errno, "cannot watch the outputs") : 0;
}

/* Every unit takes up to four descriptors. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static const char usage[] =
    "usage: ringfence-logd [--runtime-dir DIR] [--log-dir DIR]\n"
    "Moves what services write into RUNTIME_DIR/output into rotated files below LOG_DIR.\n"
    "ringfenced starts it; nobody else needs to.\n";

/* 0: go on. 1: answered. -EINVAL: complained. */
static int parse_options(int argc, char **argv, struct directories *ret_directories) {
    for (int i = 1; i < argc; i++) {
        const char **target = strcmp(argv[i], "--runtime-dir") == 0 ? &ret_directories->runtime
                              : strcmp(argv[i], "--log-dir") == 0   ? &ret_directories->log
                                                                    : NULL;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--version") == 0) {
            fputs(argv[i][2] == 'h' ? usage : "ringfence-logd " RINGFENCE_VERSION "\n", stdout);
            return 1;
        }
        if (!target || i + 1 == argc || !*argv[i + 1]) {
            fprintf(stderr, "ringfence-logd: %s: %s\n%s",
                    target ? "a value is missing" : "unknown option", argv[i], usage);
            return -EINVAL;
        }
        *target = argv[++i];
    }
    return 0;
}

int main(int argc, char **argv) {
    struct directories directories = {"/run/ringfence", "/var/log/ringfence"};
    int result = parse_options(argc, argv, &directories);
    if (result)
        return result < 0 ? 2 : 0;

    static struct logger logger = {.log_directory = -EBADF,
                                   .units = LIST(logger.units),
                                   .holding = LIST(logger.holding),
                                   .dropping = LIST(logger.dropping),
                                   .waiting = LIST(logger.waiting),
                                   .blocked = LIST(logger.blocked),
                                   .sinks = {{-EBADF}, {-EBADF}, {-EBADF}, {-EBADF}},
                                   .writable.turn = take_writable};
    struct fault fault;
    logger.log_path = directories.log;
    umask(022);
    raise_descriptor_limit();
    if (open_signals(&logger, &fault) < 0 ||
        open_outputs(&logger, directories.runtime, &fault) < 0 ||
        open_events(&logger, &fault) < 0) {
        logger_say("%s", fault.text);
        return EXIT_FAILURE;
    }
    answer(&logger);
    recover(&logger);
    look_at_all(&logger);
    run(&logger);
    return 0;
}
