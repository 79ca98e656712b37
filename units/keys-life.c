#include <assert.h>

#include "units/base/names.h"
#include "units/keys.h"
#include "units/kinds.h"
#include "units/set.h"

#define AT(member) offsetof(struct unit, member)
#define IN_MANAGER(member) offsetof(struct manager_settings, member)

static const char *const action_words[] = {
    [HEALTH_RESTART] = "restart",
    [HEALTH_NONE] = "none",
    [HEALTH_STOP] = "stop",
    [HEALTH_REBOOT] = "reboot",
};
static_assert(ELEMENTS(action_words) == HEALTH_REBOOT + 1, "a word for every action");
static const struct names actions = NAMES(action_words);

static const char *const policy_words[] = {
    [RESTART_ON_FAILURE] = "on-failure",   [RESTART_NO] = "no",
    [RESTART_ALWAYS] = "always",           [RESTART_UNLESS_STOPPED] = "unless-stopped",
    [RESTART_ON_ABNORMAL] = "on-abnormal", [RESTART_ON_WATCHDOG] = "on-watchdog",
    [RESTART_ON_SUCCESS] = "on-success",
};
static_assert(ELEMENTS(policy_words) == RESTART_ON_SUCCESS + 1, "a word for every policy");
static const struct names policies = NAMES(policy_words);

static const char *const driver_words[] = {
    [LOG_FILE] = "file", [LOG_JOURNAL] = "journal", [LOG_SYSLOG] = "syslog",
    [LOG_KMSG] = "kmsg", [LOG_CONSOLE] = "console", [LOG_NONE] = "none",
};
static_assert(ELEMENTS(driver_words) == LOG_NONE + 1, "a word for every driver");
static const struct names drivers = NAMES(driver_words);

const char *log_driver_word(enum log_driver driver) {
    return names_word(&drivers, (int)driver);
}

/* The words of a bool that is no yes or no: false, then true. */
static const char *const missing_words[] = {"error", "warn"};
static const struct names missing_controllers = NAMES(missing_words);

const struct key health_keys[HEALTH_KEYS] = {
    {"exec", &kind_arguments, AT(health.exec), .since = "0.1",
     .doc = "A command run beside the program; it is healthy when the command ends with 0."},
    {"http", &kind_url, AT(health.http), .since = "0.1",
     .doc = "A page that is fetched inside the container, \"http://127.0.0.1:80/\"; it is healthy "
            "when the "
            "answer has a status of 200 to 399. \"localhost\" is 127.0.0.1; other names are not "
            "looked up. Of network.sockets, which are the host's, nothing is reached from inside."},
    {"tcp", &kind_endpoint, AT(health.tcp), .since = "0.1",
     .doc =
         "A port that is connected to inside the container: \"[ADDRESS:]PORT\", at 127.0.0.1 where "
         "no address is given."},
    {"file", &kind_path, AT(health.file), .since = "0.1",
     .doc = "A file inside the container that must be there."},
    {"interval", &kind_duration, AT(health.interval), .fallback = "30s", .least = 1000,
     .most = INT64_MAX, .flags = KEY_LIVE, .since = "0.1", .doc = "The time between two probes."},
    {"timeout", &kind_duration, AT(health.timeout), .fallback = "5s", .least = 1000,
     .most = INT64_MAX, .flags = KEY_LIVE, .since = "0.1", .doc = "How long a probe may take."},
    {"retries", &kind_integer, AT(health.retries), .fallback = "3", .least = 1, .most = 1000,
     .flags = KEY_LIVE, .since = "0.1",
     .doc = "So many failures in a row make the unit unhealthy."},
    {"start_period", &kind_duration, AT(health.start_period), .fallback = "0", .flags = KEY_LIVE,
     .since = "0.1",
     .doc = "The time after a start in which failures do not count; the first success ends it. "
            "Until a "
            "unit that waits for it (gates_ready) is healthy, they do not count anyway: then "
            "start_timeout says how long it may take."},
    {"start_interval", &kind_duration, AT(health.start_interval), .fallback = "1s", .least = 1000,
     .most = INT64_MAX, .flags = KEY_LIVE, .since = "0.1",
     .doc = "The time between two probes as long as failures do not count."},
    {"on_failure", &kind_enum, AT(health.on_failure), .fallback = "restart", .names = &actions,
     .flags = KEY_LIVE, .since = "0.1",
     .doc = "What is done with an unhealthy unit: it is stopped and its restart policy followed as "
            "after a crash (restart), stopped for good (stop), nothing but said (none), or the "
            "machine is rebooted, after all units were stopped (reboot). A unit with reboot starts "
            "only where ringfence is the first process of the machine or container."},
    {"gates_ready", &kind_bool, AT(health.gates_ready), .fallback = "true", .flags = KEY_LIVE,
     .since = "0.1", .doc = "Whether the unit is ready only once it is healthy."},
};

const struct key restart_keys[RESTART_KEYS] = {
    {"policy", &kind_enum, AT(restart.policy), .fallback = "on-failure",
     .otherwise = "on-failure; no for a oneshot and a group", .names = &policies, .since = "0.1",
     .doc = "When a service that ended is started again. A failure to launch counts like a crash."},
    {"delay", &kind_duration, AT(restart.delay), .fallback = "100ms", .since = "0.1",
     .doc = "The time before the first restart."},
    {"backoff", &kind_float, AT(restart.backoff), .fallback = "2.0", .least = 1, .most = 100,
     .since = "0.1", .doc = "What the delay is multiplied with at every further restart."},
    {"max_delay", &kind_duration, AT(restart.max_delay), .fallback = "1min", .since = "0.1",
     .doc = "The longest delay."},
    {"jitter", &kind_float, AT(restart.jitter), .fallback = "0.1", .least = 0, .most = 1,
     .since = "0.1", .doc = "The part of the delay that chance adds or takes away."},
    {"reset_after", &kind_duration, AT(restart.reset_after), .fallback = "10s", .since = "0.1",
     .doc = "After so long ready the delay starts anew."},
    {"limit_burst", &kind_integer, AT(restart.limit_burst), .fallback = "0", .least = 0,
     .most = 1000000, .since = "0.1",
     .doc = "The most restarts within limit_interval; 0: no such limit."},
    {"limit_interval", &kind_duration, AT(restart.limit_interval), .fallback = "10min", .least = 1,
     .most = INT64_MAX, .since = "0.1", .doc = "The time over which restarts are counted."},
    {"on_limit", &kind_limit_action, AT(restart.on_limit), .fallback = "fail", .since = "0.1",
     .doc = "What is done at the limit: the unit fails (fail), is tried again after that long "
            "(\"retry-after:DURATION\"), or the machine is rebooted, after all units were stopped "
            "(reboot). A unit with reboot starts only where ringfence is the first process of the "
            "machine or container; rollback comes with a later version."},
    {"prevent_exit_status", &kind_statuses, AT(restart.prevent_exit_status), .since = "0.1",
     .doc = "Exit codes and signals after which the service is not started again."},
    {"force_exit_status", &kind_statuses, AT(restart.force_exit_status), .since = "0.1",
     .doc = "Exit codes and signals after which it is started again whatever the policy says."},
};

const struct key logging_keys[LOGGING_KEYS] = {
    {"driver", &kind_enum, AT(logging.driver), .fallback = "file", .names = &drivers,
     .since = "0.1",
     .doc = "Where the program's output goes: to rotated files; to the systemd journal, to syslog "
            "(/dev/log), to the kernel's log or to the console; or nowhere (none). What cannot be "
            "logged for now waits, and holds the program back when a pipe is full of it. A line "
            "that begins with \"<3>\", as in sd-daemon(3), has that priority in the journal, in "
            "syslog and in the kernel's log."},
    {"max_size", &kind_size, AT(logging.max_size), .fallback = "10M", .least = 4096,
     .most = INT64_MAX, .flags = KEY_LIVE, .since = "0.1",
     .doc = "The size at which a log file is put aside."},
    {"max_files", &kind_integer, AT(logging.max_files), .fallback = "3", .least = 1, .most = 1000,
     .flags = KEY_LIVE, .since = "0.1",
     .doc = "The number of log files that are kept, the present one included."},
    {"max_line", &kind_size, AT(logging.max_line), .fallback = "64K", .least = 80, .most = 1 << 20,
     .flags = KEY_LIVE, .since = "0.1",
     .doc = "A longer line is split into several records. The journal takes at most 48K, syslog "
            "8000, the console 4000 and the kernel's log 800."},
    {"rate", &kind_rate, AT(logging.rate), .otherwise = "off", .flags = KEY_LIVE, .since = "0.1",
     .doc = "The most lines, as \"1000/s\"; what is dropped is counted, and a line of the log "
            "says so. Without it nothing is dropped: who writes too fast is held back."},
};

const struct key timer_keys[TIMER_KEYS] = {
    {"schedule", &kind_schedule, AT(timer.schedule), .since = "0.1",
     .doc =
         "When the unit is started: five fields as in crontab(5), or a calendar expression as in "
         "systemd.time(7). While it still runs, a time that comes is skipped. A clock set by less "
         "than three hours neither loses nor repeats a run; more is a correction of it."},
    {"interval", &kind_duration, AT(timer.interval), .fallback = "off", .least = 1000,
     .most = INT64_MAX, .flags = KEY_OFF, .since = "0.1",
     .doc =
         "The time between the end of a run, whoever asked for it, and the next. Where there was "
         "none, from when ringfence came up or the unit was enabled."},
    {"on_boot", &kind_duration, AT(timer.on_boot), .fallback = "off", .flags = KEY_OFF,
     .since = "0.1",
     .doc = "So long after ringfence came up, once; at once where the unit comes later."},
    {"randomized_delay", &kind_duration, AT(timer.randomized_delay), .fallback = "0",
     .since = "0.1", .doc = "Each run is put off by chance, at most so long."},
    {"persistent", &kind_bool, AT(timer.persistent), .fallback = "false", .since = "0.1",
     .doc = "Whether what the schedule or the interval missed while ringfence was down is made up, "
            "once. The last run is kept below the state directory."},
};

const struct key install_keys[INSTALL_KEYS] = {
    {"wanted_by", &kind_unit_names, AT(install.wanted_by), .fallback = "default", .since = "0.1",
     .doc = "Units that want this one, as if they said so themselves; \"default\" is what starts "
            "at boot."},
    {"enabled", &kind_bool, AT(install.enabled), .fallback = "true", .since = "0.1",
     .doc = "Whether wanted_by holds."},
    {"alias", &kind_unit_name, AT(install.alias), .since = "0.1",
     .doc = "A second name of the unit, in commands and in other units' dependencies."},
};

const struct key manager_keys[MANAGER_KEYS] = {
    {"id_range", &kind_id_range, IN_MANAGER(id_range_base), .fallback = "524288:1878523904",
     .since = "0.1",
     .doc = "The host ids, as \"BASE:COUNT\" in multiples of 65,536, of which each private user "
            "namespace gets 65,536."},
    {"missing_controllers", &kind_switch, IN_MANAGER(missing_controllers_warn), .fallback = "error",
     .names = &missing_controllers, .since = "0.1",
     .doc = "Whether a limit whose cgroup controller the host has not got keeps the unit from "
            "starting (error) or is noted in its status (warn)."},
    {"boot_target", &kind_unit_name, IN_MANAGER(boot_target), .fallback = "default", .since = "0.1",
     .doc = "The unit that is started at boot, with all that it wants."},
    {"state_directory", &kind_path, IN_MANAGER(state_directory), .flags = KEY_LATER, .since = "0.1",
     .doc = "Where volumes and persistent uppers are kept."},
    {"log_directory", &kind_path, IN_MANAGER(log_directory), .flags = KEY_LATER, .since = "0.1",
     .doc = "Where the services' output is kept."},
    {"watchdog", &kind_duration, IN_MANAGER(watchdog), .fallback = "off", .least = 1000000,
     .most = INT64_MAX, .flags = KEY_OFF, .since = "0.1",
     .doc =
         "How long ringfence-manager may show no sign of life: then it is killed, and its "
         "successor goes on with the services. Where ringfence is the first process, the timeout "
         "of the hardware watchdog too."},
    {"early_boot", &kind_bool, IN_MANAGER(early_boot), .fallback = "false", .since = "0.1",
     .doc = "Whether what the section boot says is done also where ringfenced is not PID 1 of the "
            "machine; where it is, it is done in any case."},
    {"shutdown_timeout", &kind_duration, IN_MANAGER(shutdown_timeout), .fallback = "5min",
     .least = 1000000, .most = INT64_MAX, .flags = KEY_OFF, .since = "0.1",
     .doc = "How long all units together may take to stop when ringfence ends. Each has its own "
            "service.stop_timeout; what is still there when this time is over is killed."},
};
