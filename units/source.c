#include "units/source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

/* ---- complaints with a place ---- */

void source_complain_list(const struct source *source, struct complaints *complaints, size_t offset,
                          const char *format, va_list arguments) {
    const char *data = source->data;
    int line = 1;
    size_t start = 0;
    for (const char *at = data; (at = memchr(at, '\n', offset - (size_t)(at - data))); at++) {
        line++;
        start = (size_t)(at - data) + 1;
    }
    size_t length = strcspn(data + start, "\n");
    scoped_free char *text = strndup(data + start, length > 400 ? 400 : length);
    complain_list(complaints, source->path, line, (int)(offset - start) + 1, text, format,
                  arguments);
}

void source_complain_at(const struct source *source, struct complaints *complaints, size_t offset,
                        const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    source_complain_list(source, complaints, offset, format, arguments);
    va_end(arguments);
}

void source_complain(struct source *source, struct complaints *complaints, size_t offset,
                     const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    source_complain_list(source, complaints, offset, format, arguments);
    va_end(arguments);
    source->bad = true;
}

static void refuse(struct source *source, struct complaints *complaints, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The file as a whole. */
static void refuse(struct source *source, struct complaints *complaints, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain_list(complaints, source->path, 0, 0, NULL, format, arguments);
    va_end(arguments);
    source->bad = true;
}

/* ---- reading ---- */

/* Whoever may write a unit file may run what he likes as root. */
static const char *untrusted(const struct stat *status) {
    if (status->st_uid != 0 && status->st_uid != geteuid())
        return "it is owned by neither root nor you";
    if (status->st_mode & S_IWOTH)
        return "anyone may write to it; chmod o-w";
    if (status->st_mode & S_IWGRP && status->st_gid != 0 && status->st_gid != getegid())
        return "its group may write to it; chmod g-w";
    return NULL;
}

const char *source_directory_fault(int directory) {
    struct stat status;
    return fstat(directory, &status) < 0 ? NULL : untrusted(&status);
}

/* A symlink is followed: what counts is the file that it leads to, looked at by its descriptor. */
static char *read_bytes(struct source *source, struct complaints *complaints) {
    scoped_fd int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) {
        refuse(source, complaints, "cannot open it: %s", strerror(errno));
        return NULL;
    }
    if (!S_ISREG(status.st_mode)) {
        refuse(source, complaints, "it is %s, not a regular file",
               S_ISDIR(status.st_mode)    ? "a directory"
               : S_ISFIFO(status.st_mode) ? "a FIFO"
                                          : "a device or a socket");
        return NULL;
    }
    if (untrusted(&status)) {
        refuse(source, complaints, "%s", untrusted(&status));
        return NULL;
    }
    scoped_free char *data = malloc(SOURCE_SIZE_MAX + 1);
    ssize_t length = data ? read(fd, data, SOURCE_SIZE_MAX + 1) : -1;
    if (length < 0) {
        refuse(source, complaints, "cannot read it: %s", strerror(errno));
        return NULL;
    }
    if (length > SOURCE_SIZE_MAX) {
        refuse(source, complaints, "it is larger than %d bytes", SOURCE_SIZE_MAX);
        return NULL;
    }
    data[length] = '\0';
    source->length = (size_t)length;
    char *fitted = realloc(data, source->length + 1);
    if (fitted)
        data = NULL;
    return fitted ? fitted : take(data);
}

static void scan(struct source *source, struct complaints *complaints) {
    if (source->bad)
        return;
    source_scan(source, complaints);
}

void source_open(const char *path, struct source *ret_source, struct complaints *complaints) {
    *ret_source = (struct source){.path = strdup(path)};
    ret_source->data = ret_source->path ? read_bytes(ret_source, complaints) : NULL;
    ret_source->bad = ret_source->data == NULL;
    scan(ret_source, complaints);
}

void source_from(const char *path, const char *data, size_t length, struct source *ret_source,
                 struct complaints *complaints) {
    *ret_source = (struct source){.path = strdup(path), .length = length};
    if (length > SOURCE_SIZE_MAX) {
        refuse(ret_source, complaints, "it is larger than %d bytes", SOURCE_SIZE_MAX);
        return;
    }
    ret_source->data = malloc(length + 1);
    ret_source->bad = !ret_source->data || !ret_source->path;
    if (ret_source->data) {
        memcpy(ret_source->data, data, length);
        ret_source->data[length] = '\0';
    }
    scan(ret_source, complaints);
}

void source_settle(struct source *source) {
    if (source->parsed)
        config_destroy(&source->config);
    source->parsed = false;
    for (size_t i = 0; i < source->count; i++)
        source->nodes[i].setting = NULL;
}

void source_close(struct source *source) {
    source_settle(source);
    free(source->nodes);
    free(source->repaired);
    free(source->data);
    free(source->path);
    *source = (struct source){0};
}

/* ---- parsing ---- */

/* Includes never get here, the scan refuses them; a directory that is none is the second lock. */
static bool parse(const struct source *source, config_t *config) {
    config_init(config);
    config_set_include_dir(config, "/dev/null");
    return config_read_string(config, source->repaired ? source->repaired : source->data) ==
           CONFIG_TRUE;
}

/* What the throw-away process tells, in shared memory, so that it is told however it ends. */
struct verdict {
    int line; /* of a syntax error; 0: none */
    char text[60];
};

struct trial {
    volatile size_t done; /* files that were parsed to the end */
    struct verdict verdicts[];
};

/* Of processor time for one file; the worst that passes the scan takes 0.1 s. */
#define TRIAL_SECONDS 1

/* libconfig's scanner calls exit(3) where it can go no further; nothing of the parent's, such as
 * its unwritten output, may be touched then. */
static void leave(void) {
    _exit(2);
}

__attribute__((noreturn)) static void trial_run(struct trial *trial, struct source *const *sources,
                                                size_t count) {
    const struct rlimit no_core = {0, 0};
    const struct rlimit seconds = {TRIAL_SECONDS + count / 100, TRIAL_SECONDS + count / 100};
    const struct itimerval limit = {.it_value = {.tv_sec = TRIAL_SECONDS}};
    sigset_t none;

    atexit(leave);
    setrlimit(RLIMIT_CORE, &no_core);
    setrlimit(RLIMIT_CPU, &seconds);
    signal(SIGPROF, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (size_t i = trial->done; i < count; i++) {
        config_t config;
        setitimer(ITIMER_PROF, &limit, NULL);
        if (!sources[i]->bad) {
            if (!parse(sources[i], &config)) {
                struct verdict *verdict = &trial->verdicts[i];
                const char *text = config_error_text(&config);
                verdict->line = config_error_line(&config);
                if (text)
                    memcpy(verdict->text, text, strnlen(text, sizeof(verdict->text) - 1));
            }
            config_destroy(&config);
        }
        trial->done = i + 1;
    }
    _exit(0);
}

/* Goes on behind a file that ended the process: as many forks as there are such files, and one. */
static int trial_fork(struct trial *trial, struct source *const *sources, size_t count,
                      struct fault *fault) {
    pid_t child = fork();
    if (child < 0)
        return fault_set(fault, errno, "cannot fork to try the unit files");
    if (child == 0)
        trial_run(trial, sources, count);
    /* Where SIGCHLD is ignored there is no status; the shared page says all. */
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return 0;
}

static void verdict_tell(struct source *source, const struct verdict *verdict,
                         struct complaints *complaints) {
    size_t offset = 0;
    for (int line = 1; line < verdict->line && source->data[offset]; line++)
        offset += strcspn(source->data + offset, "\n") + 1;
    if (offset > source->length)
        offset = source->length;
    offset += strspn(source->data + offset, " \t");
    source_complain(source, complaints, offset, "%s%s", verdict->text,
                    strcmp(verdict->text, "syntax error") == 0
                        ? " on this line, or before it: is there a \";\", a \",\" or a quote too "
                          "few or too many?"
                        : "");
}

int sources_try(struct source *const *sources, struct complaints *const *complaints, size_t count,
                struct fault *fault) {
    size_t size = sizeof(struct trial) + count * sizeof(struct verdict);
    struct trial *trial =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (trial == MAP_FAILED)
        return fault_set(fault, errno, "cannot get memory to try the unit files");
    int error = 0;
    while (trial->done < count) {
        error = trial_fork(trial, sources, count, fault);
        if (error)
            break;
        if (trial->done < count)
            refuse(sources[trial->done], complaints[trial->done],
                   "the parser does not come to an end of it");
        trial->done += trial->done < count;
    }
    for (size_t i = 0; i < count; i++)
        if (!sources[i]->bad && trial->verdicts[i].line)
            verdict_tell(sources[i], &trial->verdicts[i], complaints[i]);
    munmap(trial, size);
    return error;
}

/* Hangs libconfig's settings into our nodes: both are in the order of the file. */
static bool settings_attach(struct source *source) {
    const config_setting_t *open[SOURCE_DEPTH_MAX + 1];
    int next[SOURCE_DEPTH_MAX + 1] = {0};
    size_t depth = 0, number = 0;

    open[0] = config_root_setting(&source->config);
    source->nodes[number++].setting = open[0];
    for (;;) {
        if (next[depth] >= config_setting_length(open[depth])) {
            if (depth == 0)
                break;
            depth--;
            continue;
        }
        const config_setting_t *setting =
            config_setting_get_elem(open[depth], (unsigned)next[depth]++);
        if (!setting || number == source->count)
            return false;
        source->nodes[number++].setting = setting;
        if (config_setting_is_aggregate(setting)) {
            if (depth == SOURCE_DEPTH_MAX)
                return false;
            open[++depth] = setting;
            next[depth] = 0;
        }
    }
    return number == source->count;
}

void source_parse(struct source *source, struct complaints *complaints) {
    if (source->bad || source->parsed)
        return;
    source->parsed = true;
    if (!parse(source, &source->config))
        refuse(source, complaints, "line %d: %s", config_error_line(&source->config),
               config_error_text(&source->config));
    else if (!settings_attach(source))
        refuse(source, complaints, "its syntax is ambiguous: separate the settings with \";\"");
}
