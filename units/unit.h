#pragma once
/* struct unit: one unit file, resolved; immutable once loaded, shared by reference. The supervisor
 * reads the policy here and hands `container` to the runtime. Loaded by units/load. */

#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/spec.h"

#define UNIT_SUFFIX ".unit"
#define UNIT_NAME_MAX 129 /* bytes: 64, "@", 64 */

enum service_type { SERVICE_EXEC, SERVICE_NOTIFY, SERVICE_FD, SERVICE_ONESHOT, SERVICE_GROUP };
enum kill_mode { KILL_CONTROL_GROUP, KILL_MIXED, KILL_PROCESS };
enum restart_policy {
    RESTART_ON_FAILURE,
    RESTART_NO,
    RESTART_ALWAYS,
    RESTART_UNLESS_STOPPED,
    RESTART_ON_ABNORMAL,
    RESTART_ON_WATCHDOG,
    RESTART_ON_SUCCESS
};
enum health_action { HEALTH_RESTART, HEALTH_NONE, HEALTH_STOP, HEALTH_REBOOT };
enum log_driver { LOG_FILE, LOG_JOURNAL, LOG_SYSLOG, LOG_KMSG, LOG_CONSOLE, LOG_NONE };
const char *log_driver_word(enum log_driver driver); /* keys-life.c */

/* All durations are microseconds; DURATION_OFF means never. */

struct dependencies {
    struct strings requires, wants, binds_to, part_of, conflicts, after, before, on_failure;
};

struct service_settings {
    enum service_type type; /* SERVICE_GROUP: the file has no service section */
    int64_t ready_fd;       /* type fd */
    struct commands exec_pre, exec_post, exec_stop;
    struct strings exec_reload;
    int reload_signal; /* 0: none */
    int stop_signal;
    uint64_t stop_timeout, start_timeout, runtime_max, watchdog;
    enum kill_mode kill_mode;
    struct strings success_exit_status;
    bool remain_after_exit;
    char *tty_path; /* NULL: no terminal of the host */
};

struct health {
    struct strings exec;
    char *http, *tcp, *file;
    uint64_t interval, timeout, start_period, start_interval;
    int64_t retries;
    enum health_action on_failure;
    bool gates_ready;
};

struct limit_action {
    char *text;     /* as a person wrote it: "fail", "retry-after:5min" */
    uint64_t pause; /* until it is tried again; 0: it fails */
    bool reboot;    /* and the machine is rebooted */
};

struct restart {
    enum restart_policy policy;
    uint64_t delay, max_delay, reset_after;
    double backoff;      /* factor per attempt, >= 1 */
    double jitter;       /* part of the delay, 0..1 */
    int64_t limit_burst; /* 0: off */
    uint64_t limit_interval;
    struct limit_action on_limit;
    struct strings prevent_exit_status, force_exit_status;
};

struct logging {
    enum log_driver driver;
    uint64_t max_size; /* bytes of one file */
    int64_t max_files;
    uint64_t max_line; /* bytes */
    char *rate;
};

struct timer {
    char *schedule;
    uint64_t interval, on_boot, randomized_delay;
    bool persistent;
};

struct install {
    struct strings wanted_by;
    bool enabled;
    char *alias;
};

#define UNIT_KEYS_MAX 256 /* rows of the key table; tied by static_assert in keys.c */

struct unit {
    unsigned references;
    char *name;
    char *path;        /* of the unit file */
    char *description; /* "" when not given */
    struct strings documentation;
    struct strings condition_path_exists, condition_path_is_mount_point;
    struct dependencies dependencies;
    struct service_settings service;
    struct health health;
    struct restart restart;
    struct logging logging;
    struct timer timer;
    struct install install;
    struct container container; /* container.name is this unit's name, owned by it */
    uint64_t
        given[UNIT_KEYS_MAX / 64]; /* a bit per row of the key table: set by file or defaults */
};

/* Whether the clock starts it: then boot does not. A group has no process that could be timed. */
static inline bool unit_has_timer(const struct unit *unit) {
    const struct timer *timer = &unit->timer;
    if (unit->service.type == SERVICE_GROUP)
        return false;
    return timer->schedule || timer->interval != DURATION_OFF || timer->on_boot != DURATION_OFF;
}

struct unit *unit_ref(struct unit *unit);
void unit_unref(struct unit *unit); /* frees with the last reference; accepts NULL */
SCOPED(unit_unref, struct unit *)
