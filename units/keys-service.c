#include <assert.h>

#include "units/base/names.h"
#include "units/keys.h"
#include "units/kinds.h"

#define AT(member) offsetof(struct unit, member)

static const char *const type_words[] = {
    [SERVICE_EXEC] = "exec",
    [SERVICE_NOTIFY] = "notify",
    [SERVICE_FD] = "fd",
    [SERVICE_ONESHOT] = "oneshot",
};
/* SERVICE_GROUP is the absence of the section, not a word. */
static_assert(ELEMENTS(type_words) == SERVICE_GROUP, "a word for every type");
static const struct names types = NAMES(type_words);

static const char *const kill_mode_words[] = {
    [KILL_CONTROL_GROUP] = "control-group",
    [KILL_MIXED] = "mixed",
    [KILL_PROCESS] = "process",
};
static_assert(ELEMENTS(kill_mode_words) == KILL_PROCESS + 1, "a word for every kill mode");
static const struct names kill_modes = NAMES(kill_mode_words);

static const char *const stdin_words[] = {[STDIN_NULL] = "null"};
static_assert(ELEMENTS(stdin_words) == STDIN_NULL + 1, "a word for every standard input");
static const struct names standard_inputs = NAMES(stdin_words);

const struct key unit_keys[UNIT_KEYS] = {
    {"description", &kind_string, AT(description), .fallback = "", .since = "0.1",
     .doc = "One line about the service, for lists and logs."},
    {"documentation", &kind_strings, AT(documentation), .since = "0.1",
     .doc = "Where to read more: addresses, \"man:nginx(8)\", \"file:/usr/share/doc/...\"."},
    {"requires", &kind_unit_names, AT(dependencies.requires), .since = "0.1",
     .doc = "Units that are started with this one and must be ready before it starts. If one fails "
            "to start, so does this one; if one is stopped or restarted by command, so is this "
            "one."},
    {"wants", &kind_unit_names, AT(dependencies.wants), .since = "0.1",
     .doc = "The same as requires, but the failure of such a unit is ignored."},
    {"binds_to", &kind_unit_names, AT(dependencies.binds_to), .since = "0.1",
     .doc = "The same as requires; and this unit also stops when such a unit dies on its own."},
    {"part_of", &kind_unit_names, AT(dependencies.part_of), .since = "0.1",
     .doc = "A stop or a restart of these units is one of this unit too."},
    {"conflicts", &kind_unit_names, AT(dependencies.conflicts), .since = "0.1",
     .doc =
         "Starting this unit stops these, and the other way round; it waits until they are gone."},
    {"after", &kind_unit_names, AT(dependencies.after), .since = "0.1",
     .doc = "Order alone: where both are started together, this one waits for these."},
    {"before", &kind_unit_names, AT(dependencies.before), .since = "0.1",
     .doc = "Order alone: where both are started together, these wait for this one."},
    {"on_failure", &kind_unit_names, AT(dependencies.on_failure), .since = "0.1",
     .doc = "Units that are started when this one has failed, and is not restarted."},
    {"condition_path_exists", &kind_conditions, AT(condition_path_exists), .since = "0.1",
     .doc = "Absolute host paths that must exist (\"!\" before one: must not); where one does not "
            "hold the unit is skipped, which is no failure."},
    {"condition_path_is_mount_point", &kind_conditions, AT(condition_path_is_mount_point),
     .since = "0.1",
     .doc =
         "Absolute host paths on which something must be mounted (\"!\" before one: must not), as "
         "by early boot where the device has come; else the unit is skipped."},
};

const struct key service_keys[SERVICE_KEYS] = {
    {"type", &kind_enum, AT(service.type), .fallback = "exec", .names = &types, .since = "0.1",
     .doc = "When the unit is ready: once the program was executed (exec), when it says so by "
            "sd_notify(3) (notify), when it writes a newline to ready_fd (fd), or when it ended "
            "with success (oneshot)."},
    {"ready_fd", &kind_integer, AT(service.ready_fd), .least = 3, .most = 255, .since = "0.1",
     .doc = "With type fd: the number of the descriptor that the program writes a newline to."},
    {"exec", &kind_arguments, AT(container.process.exec), .since = "0.1", .otherwise = "required",
     .doc = "The program, by its absolute path inside the root, and its arguments. No shell reads "
            "it."},
    {"exec_pre", &kind_commands, AT(service.exec_pre), .since = "0.1",
     .doc = "Commands run one after the other before the program, in the unit's sandbox, each in a "
            "pid namespace of its own; one that fails fails the start."},
    {"exec_post", &kind_commands, AT(service.exec_post), .since = "0.1",
     .doc =
         "Commands run one after the other in the unit's sandbox after every end of the program, "
         "also after a failed start; SERVICE_RESULT, EXIT_CODE and EXIT_STATUS tell them how it "
         "ended. Together they may take stop_timeout."},
    {"exec_stop", &kind_commands, AT(service.exec_stop), .since = "0.1",
     .doc = "Commands run beside a program that was ready, with its pid in MAINPID, before "
            "stop_signal "
            "is sent; alone for a oneshot that remains. Together they may take stop_timeout."},
    {"exec_reload", &kind_arguments, AT(service.exec_reload), .since = "0.1",
     .doc = "A command run beside the program, with its pid in MAINPID, that makes it read its "
            "configuration again."},
    {"reload_signal", &kind_signal, AT(service.reload_signal), .otherwise = "reload is refused",
     .flags = KEY_LIVE, .since = "0.1",
     .doc = "The signal that makes the program read its configuration again. One of type notify "
            "answers with RELOADING=1 and MONOTONIC_USEC=, and then with READY=1 (sd_notify(3)); "
            "exec_reload is for those that do not."},
    {"user", &kind_user, AT(container.process.user), .fallback = "root", .since = "0.1",
     .doc = "Who the program runs as: a name of the root's own /etc/passwd, or a number, which "
            "needs no look-up; \"101:101\" gives the group too."},
    {"group", &kind_group, AT(container.process.group), .otherwise = "the user's own group",
     .since = "0.1", .doc = "The primary group: a name of the root's own /etc/group, or a number."},
    {"supplementary_groups", &kind_groups, AT(container.process.supplementary_groups),
     .since = "0.1", .doc = "Further groups, by name or number. None is added unasked."},
    {"working_directory", &kind_path, AT(container.process.working_directory), .fallback = "/",
     .since = "0.1", .doc = "The directory, inside the root, in which the program starts."},
    {"environment", &kind_environment, AT(container.process.environment), .since = "0.1",
     .doc = "Variables as \"NAME=VALUE\", beside PATH, HOME, container, RINGFENCE_UNIT and "
            "NOTIFY_SOCKET. Nothing of the supervisor's own environment is passed on."},
    {"environment_files", &kind_environment_files, AT(container.process.environment_files),
     .since = "0.1",
     .doc = "Absolute host paths of files with a \"NAME=VALUE\" on each line, read at every start; "
            "\"-\" before one: it may be absent."},
    {"umask", &kind_mode, AT(container.process.umask), .fallback = "0022", .most = 0777,
     .since = "0.1", .doc = "The file mode bits that are taken away from new files, in octal."},
    {"hostname", &kind_host_name, AT(container.process.hostname), .otherwise = "the unit's name",
     .since = "0.1", .doc = "The host name that the program sees."},
    {"init", &kind_bool, AT(container.process.init), .fallback = "false", .since = "0.1",
     .doc =
         "Whether a minimal init is the container's PID 1: it reaps, hands signals to the program, "
         "its child, and passes its exit status on."},
    {"tty", &kind_bool, AT(container.process.tty), .fallback = "false", .since = "0.1",
     .doc = "Whether the program gets a terminal of its own, as standard input, output and error; "
            "`ringfence attach` leads to it. Its output is logged."},
    {"tty_path", &kind_path, AT(service.tty_path), .since = "0.1",
     .doc = "A terminal of the host, \"/dev/ttyS0\" or \"/dev/console\", as standard input, output "
            "and error and as the controlling terminal, for a shell or a getty. Nothing of it is "
            "logged. A shell on it ends with stop_signal \"SIGHUP\"."},
    {"stdin", &kind_enum, AT(container.process.standard_input), .fallback = "null",
     .names = &standard_inputs, .since = "0.1",
     .doc = "What the program reads from: /dev/null, or its terminal where it has one."},
    {"stop_signal", &kind_signal, AT(service.stop_signal), .fallback = "SIGTERM", .flags = KEY_LIVE,
     .since = "0.1", .doc = "The signal that asks the program to end."},
    {"stop_timeout", &kind_duration, AT(service.stop_timeout), .fallback = "10s",
     .flags = KEY_OFF | KEY_LIVE, .since = "0.1",
     .doc = "How long it may take; then everything in the unit's cgroup is killed. A program that "
            "is PID 1 and has no handler for the signal is killed at once, since the kernel would "
            "drop the signal."},
    {"kill_mode", &kind_enum, AT(service.kill_mode), .fallback = "control-group",
     .names = &kill_modes, .since = "0.1",
     .doc = "Who is told to end, and who is killed when it did not: all processes (control-group); "
            "the program, then all (mixed); the program alone, while what it started may end of "
            "itself within stop_timeout (process). The last two need an init or a pid namespace "
            "that is not the unit's "
            "own, since the kernel ends a pid namespace with its PID 1."},
    {"start_timeout", &kind_duration, AT(service.start_timeout), .fallback = "90s",
     .otherwise = "90s; off for a oneshot", .least = 1, .most = INT64_MAX,
     .flags = KEY_OFF | KEY_LIVE, .since = "0.1",
     .doc = "How long the unit may take to become ready."},
    {"runtime_max", &kind_duration, AT(service.runtime_max), .fallback = "off", .least = 1,
     .most = INT64_MAX, .flags = KEY_OFF, .since = "0.1",
     .doc = "How long the program may run before it is ended, which counts as a failure."},
    {"watchdog", &kind_duration, AT(service.watchdog), .fallback = "off", .least = 1,
     .most = INT64_MAX, .flags = KEY_OFF, .since = "0.1",
     .doc =
         "The longest time between two WATCHDOG=1 messages of the program (sd_notify(3)); one that "
         "is missed ends it with SIGABRT, and counts as a failure."},
    {"success_exit_status", &kind_statuses, AT(service.success_exit_status), .flags = KEY_LIVE,
     .since = "0.1",
     .doc = "Exit codes (\"0\" to \"255\") and signals that count as success, beside 0."},
    {"remain_after_exit", &kind_bool, AT(service.remain_after_exit), .fallback = "false",
     .otherwise = "true for a oneshot without a timer, else false", .since = "0.1",
     .doc = "Whether a oneshot that ended with success stays ready, so that what requires it may "
            "start."},
    {"oom_score_adjust", &kind_integer, AT(container.process.oom_score_adjust), .least = -1000,
     .most = 1000, .otherwise = "the supervisor's", .since = "0.1",
     .doc = "How gladly the kernel's out-of-memory killer takes the program (proc(5))."},
    {"nice", &kind_integer, AT(container.process.nice), .least = -20, .most = 19,
     .otherwise = "the supervisor's", .since = "0.1",
     .doc = "The program's scheduling priority (nice(2)): lower is more."},
    {"cpu_scheduling", &kind_cpu_scheduling, AT(container.process.cpu_scheduling), .since = "0.1",
     .doc = "The scheduling policy: \"other\", \"batch\", \"idle\", \"fifo:PRIORITY\" or "
            "\"rr:PRIORITY\" (sched(7))."},
    {"io_priority", &kind_io_priority, AT(container.process.io_priority), .since = "0.1",
     .doc = "The disk priority: \"idle\", \"best-effort:0\" to \":7\", \"realtime:0\" to \":7\" "
            "(ioprio_set(2))."},
    {"rlimits", &kind_resource_limits, AT(container.process.rlimits), .since = "0.1",
     .doc = "Limits of setrlimit(2) as \"NAME=SOFT:HARD\" or \"NAME=BOTH\", for example "
            "\"nofile=1024:4096\" or \"core=infinity\"."},
};
