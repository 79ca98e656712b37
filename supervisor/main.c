/* ringfence-manager: options, directories, then the loop. */

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "runtime/executable.h"
#include "runtime/runtime.h"
#include "supervisor/alive.h"
#include "supervisor/boot.h"
#include "supervisor/bus.h"
#include "supervisor/facts-file.h"
#include "supervisor/job.h"
#include "supervisor/keeper/protocol.h"
#include "supervisor/keeping.h"
#include "supervisor/log.h"
#include "supervisor/loop.h"
#include "supervisor/machine.h"
#include "supervisor/manager-private.h"
#include "supervisor/output.h"
#include "supervisor/passing.h"
#include "supervisor/stamp.h"
#include "supervisor/state.h"
#include "units/base/file.h"
#include "units/base/number.h"

#define EXIT_USAGE 2
#define EXIT_CONFIGURATION 78 /* sysexits(3): to try again would be of no use */
#define LOCK_TRIES 500        /* ten seconds */

static const char help[] =
    "Usage: ringfence-manager [OPTION]...\n"
    "Keeps the declared services running. It is started by ringfenced.\n"
    "\n"
    "  --foreground        log to the terminal\n"
    "  --units DIR         unit files; may be given again, the first directory wins\n"
    "  --runtime-dir DIR   sockets and FIFOs (/run/ringfence)\n"
    "  --state-dir DIR     layers and volumes (/var/lib/ringfence)\n"
    "  --log-dir DIR       the services' output (/var/log/ringfence)\n"
    "  --cgroup PATH       a cgroup v2 directory that is ours alone, or ../NAME\n"
    "  --config FILE       the host's own file (/etc/ringfence/ringfence.conf)\n"
    "  --target UNIT       started at boot, instead of what the host's file says\n"
    "  --log-level LEVEL   error, warning, notice, info or debug (info)\n"
    "  --help, --version\n";

enum {
    OPTION_FOREGROUND = 1,
    OPTION_UNITS,
    OPTION_RUNTIME,
    OPTION_STATE,
    OPTION_LOG,
    OPTION_CGROUP,
    OPTION_CONFIG,
    OPTION_TARGET,
    OPTION_LOG_LEVEL,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option long_options[] = {
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},
    {"units", required_argument, NULL, OPTION_UNITS},
    {"runtime-dir", required_argument, NULL, OPTION_RUNTIME},
    {"state-dir", required_argument, NULL, OPTION_STATE},
    {"log-dir", required_argument, NULL, OPTION_LOG},
    {"cgroup", required_argument, NULL, OPTION_CGROUP},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"target", required_argument, NULL, OPTION_TARGET},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

/* unit_directories has room for every argument. -1: go on, else the exit code. */
static int read_options(int argc, char **argv, struct manager_options *options,
                        const char **unit_directories) {
    size_t count = 0;
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (option) {
        case OPTION_FOREGROUND:
            options->foreground = true;
            break;
        case OPTION_UNITS:
            unit_directories[count++] = optarg;
            options->unit_directories = unit_directories;
            break;
        case OPTION_RUNTIME:
            options->runtime_directory = optarg;
            break;
        case OPTION_STATE:
            options->state_directory = optarg;
            break;
        case OPTION_LOG:
            options->log_directory = optarg;
            break;
        case OPTION_CGROUP:
            options->cgroup = optarg;
            break;
        case OPTION_CONFIG:
            options->host_file = optarg;
            break;
        case OPTION_TARGET:
            options->boot_target = optarg;
            break;
        case OPTION_LOG_LEVEL:
            options->log_level = log_level_parse(optarg);
            if (options->log_level >= 0)
                break;
            fprintf(stderr,
                    "ringfence-manager: --log-level=%s: error, warning, notice, info or debug\n",
                    optarg);
            return EXIT_USAGE;
        case OPTION_HELP:
            fputs(help, stdout);
            return 0;
        case OPTION_VERSION:
            puts("ringfence-manager " RINGFENCE_VERSION);
            return 0;
        default:
            return EXIT_USAGE; /* getopt has said why */
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ringfence-manager: unexpected argument \"%s\"\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

/* ---- the place ---- */

static int make_directory(const char *parent, const char *name, mode_t mode, struct fault *fault) {
    scoped_free char *path = NULL;
    if (asprintf(&path, "%s%s%s", parent, *name ? "/" : "", name) < 0) {
        path = NULL;
        return fault_set(fault, ENOMEM, "cannot make a directory in \"%s\"", parent);
    }
    int error = directory_make(AT_FDCWD, path, mode, fault);
    if (error >= 0 && chmod(path, mode) < 0)
        error = fault_set(fault, errno, "cannot set the mode of \"%s\"", path);
    return error;
}

/* notify is shut for all others: a service reaches its own part of it through its sandbox. */
static int make_runtime_directories(const struct manager_options *options, struct fault *fault) {
    int error = make_directory(options->runtime_directory, "", 0755, fault);
    if (error >= 0)
        error = make_directory(options->runtime_directory, "notify", 0700, fault);
    if (error >= 0)
        error = make_directory(options->runtime_directory, "output", 0700, fault);
    if (error >= 0)
        error = make_directory(options->runtime_directory, "units", 0700, fault);
    return error;
}

/* They may lie on what early boot has mounted. */
static int make_lasting_directories(const struct manager_options *options, struct fault *fault) {
    int error = make_directory(options->state_directory, "", 0700, fault);
    return error < 0 ? error : make_directory(options->log_directory, "", 0750, fault);
}

/* The keeper has the directory to itself: who else works in it was started by a keeper that was
 * killed, and dies with it, but not in no time. */
static int wait_for_lock(int fd) {
    const struct timespec pause = {.tv_nsec = 20000000};
    int tries = getenv("RINGFENCE_KEEPER") ? LOCK_TRIES : 1;
    int error;
    while ((error = file_lock(fd)) == -EBUSY && --tries > 0)
        nanosleep(&pause, NULL);
    return error;
}

/* Held until we end, however we end. */
static int lock(const struct manager_options *options, int *ret_fd, struct fault *fault) {
    scoped_free char *path = NULL;
    if (asprintf(&path, "%s/lock", options->runtime_directory) < 0) {
        path = NULL;
        return fault_set(fault, ENOMEM, "cannot lock \"%s\"", options->runtime_directory);
    }
    scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", path);
    int error = wait_for_lock(fd);
    if (error < 0)
        return error == -EBUSY
                   ? fault_say(fault, EBUSY, "another ringfence-manager works in \"%s\"",
                               options->runtime_directory)
                   : fault_set(fault, error, "cannot lock \"%s\"", path);
    *ret_fd = take_fd(&fd);
    return 0;
}

/* Each unit holds a dozen descriptors. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            log_line(LEVEL_WARNING, "cannot raise the limit of open files: %s", strerror(errno));
    }
}

/* What no unit is to see: the words of all, and their files, which may hold passwords. */
static const char **list_hidden(const struct manager_options *options) {
    const char *const *directories =
        options->unit_directories ? options->unit_directories : unit_standard_path;
    size_t count = 0, filled = 0;
    while (directories[count])
        count++;
    const char **hidden = calloc(count + 3, sizeof(char *));
    if (!hidden)
        return NULL;
    hidden[filled++] = options->log_directory;
    if (!options->host_file)
        hidden[filled++] = "/etc/ringfence";
    memcpy(hidden + filled, directories, count * sizeof(char *));
    return hidden;
}

static int open_runtime(struct manager *manager, struct fault *fault) {
    const struct manager_options *options = &manager->options;
    scoped_free const char **hidden = list_hidden(options);
    if (!hidden)
        return fault_set(fault, ENOMEM, "cannot open the runtime");
    const struct manager_settings *settings = &manager->set->settings;
    const struct runtime_options runtime = {
        .runtime_directory = options->runtime_directory,
        .state_directory = options->state_directory,
        .hidden = hidden,
        .cgroup = options->cgroup,
        .id_range_base = settings->id_range_base,
        .id_range_count = settings->id_range_count,
        .missing_controllers_warn = settings->missing_controllers_warn,
    };
    return runtime_open(&runtime, &manager->runtime, fault);
}

static void begin_signs_of_life(struct manager *manager) {
    const char *told = getenv("RINGFENCE_WATCHDOG_USEC"); /* by the keeper */
    uint64_t period = 0;
    if (told && number_parse(told, &period) < 0)
        log_line(LEVEL_WARNING, "RINGFENCE_WATCHDOG_USEC is \"%s\"", told);
    alive_begin(manager, boot_watchdog(manager->boot), period);
}

/* A disk may be waited for, or checked, for long: whoever asks is told, and the hardware watchdog
 * is fed. */
static int early_boot(struct manager *manager, struct fault *fault) {
    if (!boot_is_pending(manager->boot))
        return 0;
    int error = bus_new(manager, &manager->bus, fault);
    if (error < 0)
        return error;
    begin_signs_of_life(manager);
    manager_event_ended(manager);
    return boot_run(manager->boot, fault);
}

/* 1: it is to end before it has begun. */
static int begin(struct manager *manager, struct fault *fault) {
    int error = loop_open(manager);
    if (error < 0)
        return fault_set(fault, error, "cannot make the event loop");
    error = keeping_open(&manager->private->keeping, fault);
    if (error >= 0)
        error = logger_open(manager, fault);
    if (error >= 0)
        error = boot_open(manager, &manager->boot, fault);
    if (error >= 0)
        error = early_boot(manager, fault);
    if (error != 0)
        return error;
    error = make_lasting_directories(&manager->options, fault);
    if (error >= 0)
        error = manager_load(manager,
                             fault); /* early boot may have named the host, and mounted units */
    if (error >= 0)
        error = open_runtime(manager, fault);
    if (error >= 0) {
        error = manager_apply_set(manager);
        if (error < 0)
            fault_set(fault, error, "cannot take the units");
        job_drain(manager);
    }
    if (error >= 0)
        error = manager_adopt(manager, fault);
    if (error >= 0 && !manager->bus) {
        error = bus_new(manager, &manager->bus, fault);
        begin_signs_of_life(manager);
    }
    return error < 0 ? error : 0;
}

static void end(struct manager *manager) {
    struct runtime *runtime = manager->runtime;
    struct bus *bus = manager->bus;
    struct keeping *keeping = manager->private->keeping;
    manager->bus = NULL;
    bus_free(bus);
    boot_free(take(manager->boot));
    logger_close(manager);
    loop_close(manager);
    manager_free(manager);
    keeping_close(keeping);
    runtime_close(runtime);
}

/* The exit status that goes with it. PID 1 says it on the console, and says it once: there the log
 * need not show it each time that it is tried again. */
static int tell_error(int error, const struct fault *fault) {
    const char *words = fault->text[0] ? fault->text : strerror(-error);
    log_line(machine_is_ours() ? LEVEL_WARNING : LEVEL_ERROR, "%s", words);
    sd_notifyf(false, "FAILURE=%s", words);
    return error_may_pass(error) ? EXIT_FAILURE : EXIT_CONFIGURATION;
}

/* As if it crashed: the next manager finds the services by what was saved at the end of each event.
 */
static _Noreturn void leave(struct manager *manager) {
    struct fault fault = {{0}};
    if (state_save_all(manager, &fault) < 0)
        log_line(LEVEL_ERROR, "%s", fault.text);
    log_line(LEVEL_NOTICE, "leaving everything to the programs that are on disk now");
    sd_notify(false, "REEXEC=1");
    _exit(KEEPER_REEXEC);
}

/* It cannot begin, but what it has found runs, and is not its own to clean up: not the FIFOs, not
 * the sockets. What was known of it is written: by the manager before, or at the end of each event.
 * The second time it breathes before it ends, so that those who count fast deaths see none. */
static _Noreturn void give_up(const struct manager *manager, int error, const struct fault *fault) {
    const struct timespec breath = {.tv_sec = manager->private->adoption.tries > 1};
    int code = tell_error(error, fault);
    nanosleep(&breath, NULL);
    _exit(code);
}

static int run(const struct manager_options *options, struct fault *fault) {
    sd_event *event = NULL;
    struct manager *manager = NULL;
    scoped_fd int lock_fd = -1;
    int error = make_runtime_directories(options, fault);
    if (error >= 0)
        error = lock(options, &lock_fd, fault);
    if (error < 0)
        return error;
    error = sd_event_new(&event);
    if (error >= 0)
        error = manager_new(options, NULL, event, &manager);
    if (error < 0) {
        sd_event_unref(event);
        return fault_set(fault, error, "cannot make the event loop");
    }
    error = begin(manager, fault);
    if (error < 0 && manager->private->adoption.resumed)
        give_up(manager, error, fault);
    if (error == 0) {
        manager->continues = !boot_units_begin(manager->boot);
        if (!loop_is_to_stop() && !manager->private->adoption.resumed)
            manager_boot(manager);
        sd_notifyf(false, "READY=1\nSTATUS=%zu units", manager->private->count);
        loop_run(manager);
        if (loop_is_left(manager))
            leave(manager);
        facts_file_remove(manager, NULL);
        outputs_end(manager);
        stamp_forget_boot(manager);
        boot_end(manager->boot);
        log_line(LEVEL_INFO, "all is stopped");
    }
    end(manager);
    sd_event_unref(event);
    return error;
}

int main(int argc, char **argv) {
    struct fault fault = {{0}};
    struct manager_options options = {
        .runtime_directory = "/run/ringfence",
        .state_directory = "/var/lib/ringfence",
        .log_directory = "/var/log/ringfence",
        .log_level = LEVEL_INFO,
    };
    scoped_free const char **unit_directories = calloc((size_t)argc + 1, sizeof(char *));
    if (!unit_directories)
        return EXIT_FAILURE;
    int code = read_options(argc, argv, &options, unit_directories);
    if (code >= 0)
        return code;

    umask(022);
    log_open((enum log_level)options.log_level);
    int error = geteuid() == 0 ? executable_seal(argv, &fault) : 0; /* others get no further */
    prctl(PR_SET_NAME, basename(argv[0])); /* 6.13 and older name it after a descriptor */
    raise_descriptor_limit();
    if (error >= 0)
        error = loop_block_signals();
    if (error >= 0)
        error = run(&options, &fault);
    return error < 0 ? tell_error(error, &fault) : EXIT_SUCCESS;
}
