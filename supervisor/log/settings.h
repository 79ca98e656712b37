#pragma once
/* What the manager tells ringfence-logd of a unit, in two small files beside its FIFOs. `settings`
 * has lines of KEY=VALUE and is replaced; `pid` has the two numbers of struct writers, and is
 * written in place, for it changes with each run. */

#include "supervisor/log/file.h"
#include "supervisor/log/sink.h"

#define SETTINGS_FILE "settings"
#define WRITERS_FILE "pid"
/* Among the units' directories: supervisor/logger.c makes it, ringfence-logd removes it. */
#define PING_FILE ".ping"

struct settings {
    size_t driver; /* SINK_*; SINKS: log files */
    struct log_limits limits;
    uint64_t rate, interval; /* lines in so many ms; 0: no limit */
};

struct writers {
    pid_t pid;  /* of the main process; 0: none runs */
    pid_t last; /* the one that ran most recently; 0: not known */
};

extern const struct settings settings_usual;

/* Keys that we do not know are a newer manager's, and none of our business. */
int settings_parse(const char *text, struct settings *ret_settings, struct fault *fault);
int settings_read(int directory, struct settings *ret_settings, struct fault *fault);

int writers_parse(const char *text, struct writers *ret_writers); /* -EBADMSG */
int writers_read(int directory, struct writers *ret_writers);
