#include "supervisor/boot.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "supervisor/boot-record.h"
#include "supervisor/boot-steps.h"
#include "supervisor/log.h"
#include "supervisor/loop.h"
#include "supervisor/manager-private.h"
#include "supervisor/world.h"
#include "units/base/file.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/base/text.h"

#define INITIAL_PID_NAMESPACE 0xeffffffcU /* PROC_PID_INIT_INO of the kernel */
#define LINE_MAX_ 1024
#define SENTENCE '\002' /* begins the line that a step ends with */
#define TOLD '\003'     /* begins one for the console */

/* ---- what is to be done ---- */

struct task {
    char *name;
    boot_step_function *run;
    const struct boot_mount *mount; /* NULL: none */
};

struct boot {
    struct manager *manager;
    struct manager_settings settings;
    struct boot_record record;
    bool early; /* the steps are to be done here */
    struct task *tasks;
    size_t count;
    struct attempt *attempt; /* the step that runs; NULL */
};

/* Those that need no disk, in front of those that do. */
static const struct task before_mounts[] = {
    {"modules", boot_load_modules, NULL},  {"clock", boot_set_clock, NULL},
    {"hostname", boot_set_hostname, NULL}, {"loopback", boot_raise_loopback, NULL},
    {"sysctl", boot_set_sysctl, NULL},
};
static const struct task after_mounts[] = {
    {"random-seed", boot_feed_random, NULL},
    {"machine-id", boot_provide_machine_id, NULL}, /* asks the generator that was fed */
    {"last-clock", boot_keep_clock, NULL},
};

static bool is_needed(const struct boot_settings *settings, boot_step_function *run) {
    if (run == boot_load_modules)
        return settings->modules.count > 0;
    if (run == boot_set_sysctl)
        return settings->sysctl.count + settings->sysctl_directories.count > 0;
    return true;
}

static int add_task(struct boot *boot, const char *name, const struct task *task) {
    struct task *added = &boot->tasks[boot->count];
    *added = *task;
    added->name = strdup(name);
    if (!added->name)
        return -ENOMEM;
    boot->count++;
    return 0;
}

/* A target may be mounted on again; then the later one's name tells how often. */
static int add_mount(struct boot *boot, const struct boot_mount *mount) {
    const struct task task = {NULL, boot_mount_step, mount};
    const struct boot_settings *settings = &boot->settings.boot;
    const char *what = mount->target ? mount->target : mount->device ? mount->device : "";
    const char *verb = mount->target ? "mount" : "swap";
    scoped_text struct text name = {0};
    size_t times = 1;
    for (const struct boot_mount *other = settings->mounts.items; other < mount; other++)
        times += mount->target && other->target && strcmp(mount->target, other->target) == 0;
    text_format(&name, "%s %s", verb, what);
    if (times > 1)
        text_format(&name, " (%zu)", times);
    return name.failed ? -ENOMEM : add_task(boot, name.data, &task);
}

static int plan(struct boot *boot) {
    const struct boot_settings *settings = &boot->settings.boot;
    boot->tasks = calloc(ELEMENTS(before_mounts) + settings->mounts.count + ELEMENTS(after_mounts),
                         sizeof(*boot->tasks));
    int error = boot->tasks ? 0 : -ENOMEM;
    for (size_t i = 0; i < ELEMENTS(before_mounts) && !error; i++)
        if (is_needed(settings, before_mounts[i].run))
            error = add_task(boot, before_mounts[i].name, &before_mounts[i]);
    for (size_t i = 0; i < settings->mounts.count && !error; i++)
        error = add_mount(boot, &settings->mounts.items[i]);
    for (size_t i = 0; i < ELEMENTS(after_mounts) && !error; i++)
        error = add_task(boot, after_mounts[i].name, &after_mounts[i]);
    return error;
}

/* ---- in the step's own process ---- */

static void write_line(const char *format, va_list arguments) {
    char line[LINE_MAX_];
    if (vsnprintf(line, sizeof(line) - 1, format, arguments) < 0)
        return;
    for (char *at = line; (at = strchr(at, '\n'));)
        *at = ' ';
    strcat(line, "\n");
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return; /* nobody listens any more */
}

void boot_note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

void boot_tell(const char *format, ...) {
    char line[LINE_MAX_];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    boot_note("%c%s", TOLD, line);
}

void boot_collect(int error, const struct fault *why, int *result, struct fault *fault) {
    if (error < 0 && *result < 0)
        boot_note("%s", why->text);
    else if (error < 0)
        *result = fault_say(fault, error, "%s", why->text);
}

/* Signals are as a program expects them; it ends with the manager, whose successor does it anew. */
static _Noreturn void run_task(const struct boot *boot, const struct task *task, int report) {
    const struct boot_work work = {&boot->settings.boot, task->mount,
                                   boot->manager->options.state_directory,
                                   boot_record_find(&boot->record, task->name) != NULL};
    struct fault fault = {""};
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(report, STDOUT_FILENO) < 0 || dup2(report, STDERR_FILENO) < 0)
        _exit(BOOT_FAILED);
    int result = task->run(&work, &fault);
    if (fault.text[0])
        boot_note("%c%s", SENTENCE, fault.text);
    _exit(result == 0 ? BOOT_DONE : result > 0 ? BOOT_SKIPPED : BOOT_FAILED);
}

/* ---- the step's process, seen from the manager ---- */

struct attempt {
    struct boot *boot;
    const struct task *task;
    pid_t pid;
    int report;
    struct watch *watch;
    char line[LINE_MAX_];
    size_t length;
    char *words; /* its sentence */
    int wait_status;
    bool over;
};

static void tell_person(const struct attempt *attempt, const char *words) {
    scoped_text struct text message = {0};
    text_format(&message, "CONSOLE=%s: %s", attempt->task->name, words);
    if (!message.failed)
        world_tell_keeper(attempt->boot->manager, message.data);
}

static void take_line(struct attempt *attempt) {
    attempt->line[attempt->length] = '\0';
    attempt->length = 0;
    if (attempt->line[0] == SENTENCE) {
        free(attempt->words);
        attempt->words = strdup(attempt->line + 1);
        return;
    }
    bool told = attempt->line[0] == TOLD;
    if (told)
        tell_person(attempt, attempt->line + 1);
    if (attempt->line[0])
        log_line(LEVEL_NOTICE, "boot: %s: %s", attempt->task->name, attempt->line + told);
}

static void read_report(void *context) {
    struct attempt *attempt = context;
    char bytes[LINE_MAX_];
    ssize_t length;
    while ((length = read(attempt->report, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < length; i++) {
            if (bytes[i] == '\n' || attempt->length + 1 == sizeof(attempt->line))
                take_line(attempt);
            else
                attempt->line[attempt->length++] = bytes[i];
        }
    if (length == 0) { /* all have closed it */
        watch_close(attempt->watch);
        attempt->watch = NULL;
    }
}

static void task_ended(void *context, int wait_status) {
    struct attempt *attempt = context;
    read_report(attempt); /* what it said before */
    attempt->wait_status = wait_status;
    attempt->over = true;
}

static int attempt_begin(struct attempt *attempt, struct fault *fault) {
    struct boot *boot = attempt->boot;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return fault_set(fault, errno, "cannot begin \"%s\"", attempt->task->name);
    attempt->report = ends[0];
    fcntl(ends[1], F_SETFL, 0); /* it may wait until it was read */
    attempt->pid = fork();
    int error = attempt->pid < 0 ? -errno : 0;
    if (attempt->pid == 0)
        run_task(boot, attempt->task, ends[1]);
    close(ends[1]);
    if (error == 0)
        error = watch_open(boot->manager, attempt->report, EPOLLIN, WATCH_REPORT, read_report,
                           attempt, &attempt->watch);
    if (error == 0 && children_add(&boot->manager->private->children, attempt->pid, task_ended,
                                   attempt, &attempt->wait_status) == 1)
        attempt->over = true;
    return error < 0 ? fault_set(fault, error, "cannot begin \"%s\"", attempt->task->name) : 0;
}

static void attempt_end(struct attempt *attempt) {
    if (attempt->pid > 0 && !attempt->over) {
        kill(attempt->pid, SIGKILL);
        children_remove(&attempt->boot->manager->private->children, attempt->pid);
    }
    watch_close(attempt->watch);
    close_fd(attempt->report);
    free(attempt->words);
}

static enum boot_outcome outcome_of(struct attempt *attempt) {
    if (WIFEXITED(attempt->wait_status) && WEXITSTATUS(attempt->wait_status) <= BOOT_FAILED)
        return (enum boot_outcome)WEXITSTATUS(attempt->wait_status);
    free(attempt->words);
    if (asprintf(&attempt->words, "its process was killed by SIG%s",
                 sigabbrev_np(WTERMSIG(attempt->wait_status))) < 0)
        attempt->words = NULL;
    return BOOT_FAILED;
}

static void say_end(const struct task *task, enum boot_outcome outcome, const char *words,
                    uint64_t took) {
    scoped_text struct text time = {0};
    duration_print(&time, (took + 999) / 1000 * 1000);
    enum log_level level = outcome == BOOT_FAILED ? LEVEL_ERROR : LEVEL_INFO;
    log_line(level, "boot: %s: %s after %s%s%s", task->name, boot_outcome_word(outcome),
             time.data ? time.data : "a while", words[0] ? ": " : "", words);
}

/* Without it no more is lost than that a later manager does it anew. */
static void keep_record(const struct boot *boot) {
    struct fault fault;
    if (boot_record_write(&boot->record, boot->manager, &fault) < 0)
        log_line(LEVEL_WARNING, "boot: %s", fault.text);
}

/* 1: the manager is to end. */
static int run_one(struct boot *boot, const struct task *task, struct fault *fault) {
    __attribute__((cleanup(attempt_end))) struct attempt attempt = {
        .boot = boot, .task = task, .report = -1};
    uint64_t begun = world_now(boot->manager);
    sd_notifyf(false, "STATUS=early boot: %s", task->name);
    int error = attempt_begin(&attempt, fault);
    if (error < 0)
        return error;
    if (!loop_run_until(boot->manager, &attempt.over))
        return 1;
    enum boot_outcome outcome = outcome_of(&attempt);
    const char *words = attempt.words ? attempt.words : "";
    uint64_t ended = world_now(boot->manager);
    say_end(task, outcome, words, ended - begun);
    error = boot_record_step(&boot->record, task->name, begun, ended, outcome, words);
    if (error < 0)
        return fault_set(fault, error, "cannot remember \"%s\"", task->name);
    keep_record(boot);
    if (outcome == BOOT_FAILED && task->mount && task->mount->required)
        return fault_say(fault, EIO, "\"%s\" is required, and no unit starts: %s", task->name,
                         words);
    return 0;
}

int boot_run(struct boot *boot, struct fault *fault) {
    if (!boot->early || boot->record.units)
        return 0; /* units run since a manager before this one */
    uint64_t begun = world_now(boot->manager);
    int error = plan(boot);
    if (error < 0)
        return fault_set(fault, error, "cannot begin to boot");
    for (size_t i = 0; i < boot->count && error == 0; i++) {
        const struct boot_step *before = boot_record_find(&boot->record, boot->tasks[i].name);
        if (!before || before->outcome == BOOT_FAILED)
            error = run_one(boot, &boot->tasks[i], fault);
    }
    scoped_text struct text time = {0};
    duration_print(&time, (world_now(boot->manager) - begun + 999) / 1000 * 1000);
    if (error == 0)
        log_line(LEVEL_INFO, "boot: units may start after %s", time.data ? time.data : "a while");
    return error;
}

/* ---- life ---- */

/* In a container it is the PID 1 of another pid namespace; the host there is nobody's to set up. */
static bool is_machine(void) {
    struct stat status;
    return getppid() == 1 && stat("/proc/self/ns/pid", &status) == 0 &&
           status.st_ino == INITIAL_PID_NAMESPACE;
}

int boot_open(struct manager *manager, struct boot **ret_boot, struct fault *fault) {
    scoped(boot_free) struct boot *boot = calloc(1, sizeof(*boot));
    if (!boot)
        return fault_set(fault, ENOMEM, "cannot begin to boot");
    boot->manager = manager;
    bool machine = is_machine();
    int error = manager_settings_load(&manager->private->sources, &boot->settings, fault);
    if (error < 0)
        return error;
    boot->early = machine || boot->settings.early_boot;
    if (boot_record_read(&boot->record, manager) < 0)
        boot_record_begin(&boot->record, world_now(manager), machine);
    keep_record(boot);
    *ret_boot = take(boot);
    return 0;
}

bool boot_units_begin(struct boot *boot) {
    if (boot->record.units)
        return false;
    boot->record.units = world_now(boot->manager);
    keep_record(boot);
    return true;
}

void boot_end(struct boot *boot) {
    struct fault fault;
    boot_record_remove(boot->manager);
    if (boot->early && boot->record.units &&
        boot_save(boot->manager->options.state_directory, &fault) < 0)
        log_line(LEVEL_WARNING, "%s", fault.text);
}

void boot_free(struct boot *boot) {
    if (!boot)
        return;
    for (size_t i = 0; i < boot->count; i++)
        free(boot->tasks[i].name);
    free(boot->tasks);
    manager_settings_free(&boot->settings);
    boot_record_free(&boot->record);
    free(boot);
}

struct boot_times boot_times(const struct boot *boot) {
    const struct boot_record *record = &boot->record;
    return (struct boot_times){record->machine, record->ringfenced, record->manager,
                               record->units,   record->steps,      record->count};
}
