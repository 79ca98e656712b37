#include "supervisor/boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "supervisor/boot-record.h"
#include "supervisor/boot-task.h"
#include "supervisor/log.h"
#include "supervisor/loop.h"
#include "supervisor/machine.h"
#include "supervisor/manager-private.h"
#include "supervisor/world.h"
#include "units/base/number.h"
#include "units/base/text.h"
#include "units/boot.h"

#define INITIAL_PID_NAMESPACE 0xeffffffcU /* PROC_PID_INIT_INO of the kernel */
#define KEEP_TIME (3600 * USEC_PER_SEC)
#define AT_WORK_MOST 16 /* steps at the same time; most wait for a disk */

static const struct boot_task_calls task_calls;

/* ---- what is to be done ---- */

struct boot {
    struct manager *manager;
    struct manager_settings settings;
    struct boot_record record;
    bool early; /* the steps are to be done here */
    struct boot_task *tasks;
    size_t count, first_mount, after_mounts; /* where in tasks they begin */
    bool running;                            /* boot_run is at work */
    size_t at_work;
    bool turned; /* one of them ended */
    sd_event_source *keeping;
    uint64_t keep_at, lead; /* when next; of the clock on the wall, when it was kept last */
};

struct step {
    const char *name;
    boot_step_function *run;
};

/* Those that need no disk, in front of those that do. */
static const struct step before_mounts[] = {
    {"modules", boot_load_modules},    {"clock", boot_set_clock},   {"hostname", boot_set_hostname},
    {"loopback", boot_raise_loopback}, {"sysctl", boot_set_sysctl},
};
static const struct step after_mounts[] = {
    {"random-seed", boot_feed_random},
    {"machine-id", boot_provide_machine_id}, /* asks the generator that was fed */
    {"last-clock", boot_keep_clock},
};

static bool is_needed(const struct boot_settings *settings, boot_step_function *run) {
    if (run == boot_load_modules)
        return settings->modules.count > 0;
    if (run == boot_set_sysctl)
        return settings->sysctl.count + settings->sysctl_directories.count > 0;
    return true;
}

/* What a manager before this one has done stays done; a root that it found stale stays so. */
static int add_task(struct boot *boot, const char *name, boot_step_function *run,
                    const struct boot_mount *mount) {
    const struct boot_step *before = boot_record_find(&boot->record, name);
    struct boot_task *task = &boot->tasks[boot->count];
    *task = (struct boot_task){.name = strdup(name),
                               .run = run,
                               .mount = mount,
                               .manager = boot->manager,
                               .calls = &task_calls,
                               .context = boot,
                               .report = -EBADF};
    if (!task->name)
        return -ENOMEM;
    boot->count++;
    task->again = before && before->outcome == BOOT_FAILED;
    if (before && before->outcome != BOOT_FAILED && before->outcome != BOOT_RUNNING)
        boot_task_settle(task, before->outcome, before->words);
    return 0;
}

/* A target may be mounted on again; then the later one's name tells how often. */
static int add_mount(struct boot *boot, const struct boot_mount *mount) {
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
    return name.failed ? -ENOMEM : add_task(boot, name.data, boot_mount_step, mount);
}

static int add_steps(struct boot *boot, const struct step *steps, size_t count) {
    int error = 0;
    for (size_t i = 0; i < count && !error; i++)
        if (is_needed(&boot->settings.boot, steps[i].run))
            error = add_task(boot, steps[i].name, steps[i].run, NULL);
    return error;
}

static int plan(struct boot *boot) {
    const struct boot_settings *settings = &boot->settings.boot;
    boot->tasks = calloc(ELEMENTS(before_mounts) + settings->mounts.count + ELEMENTS(after_mounts),
                         sizeof(*boot->tasks));
    int error = boot->tasks ? timers_reserve(&boot->manager->private->timers,
                                             MANAGER_DEADLINES + settings->mounts.count)
                            : -ENOMEM;
    if (error == 0)
        error = add_steps(boot, before_mounts, ELEMENTS(before_mounts));
    boot->first_mount = boot->count;
    for (size_t i = 0; i < settings->mounts.count && !error; i++)
        error = add_mount(boot, &settings->mounts.items[i]);
    boot->after_mounts = boot->count;
    return error ? error : add_steps(boot, after_mounts, ELEMENTS(after_mounts));
}

/* ---- its order ---- */

static bool is_mount(const struct boot *boot, size_t task) {
    return task >= boot->first_mount && task < boot->after_mounts;
}

/* The other steps are quick, and each may need what is before it. */
static bool waits_for(const struct boot *boot, size_t task, size_t other) {
    if (!is_mount(boot, task) || !is_mount(boot, other))
        return other < task;
    return boot_mount_waits(boot->tasks[task].mount, boot->tasks[other].mount, other < task);
}

static bool may_begin(const struct boot *boot, size_t task) {
    for (size_t i = 0; i < boot->count; i++)
        if (boot->tasks[i].state != BOOT_TASK_OVER && i != task && waits_for(boot, task, i))
            return false;
    return true;
}

/* Mounted all the same, it would hide behind, or fill, a directory of what lies above; and what a
 * bind or an overlay has written there is hidden at the next boot. */
static const struct boot_task *find_gap(const struct boot *boot, const struct boot_task *task) {
    for (size_t i = boot->first_mount; i < boot->after_mounts; i++) {
        const struct boot_task *other = &boot->tasks[i];
        if (task->mount && other->state == BOOT_TASK_OVER && other->outcome != BOOT_DONE &&
            boot_mount_needs(task->mount, other->mount, other < task))
            return other;
    }
    return NULL;
}

/* ---- one step ---- */

/* The machine cannot do without it. */
static bool is_missing(const struct boot_task *task) {
    return task->mount && task->mount->required && task->outcome == BOOT_FAILED;
}

static int fail_missing(const struct boot_task *task, struct fault *fault) {
    return fault_say(fault, EIO, "\"%s\" is required, and no unit starts: %s", task->name,
                     task->words ? task->words : "");
}

static void say_end(const struct boot_task *task, uint64_t took) {
    scoped_text struct text time = {0};
    duration_print(&time, (took + 999) / 1000 * 1000);
    bool bad = task->outcome == BOOT_FAILED || task->outcome == BOOT_STALE;
    enum log_level level = is_missing(task) ? LEVEL_WARNING /* PID 1 says it */
                           : bad            ? LEVEL_ERROR
                                            : LEVEL_INFO;
    log_line(level, "boot: %s: %s after %s%s%s", task->name, boot_outcome_word(task->outcome),
             time.data ? time.data : "a while", task->words ? ": " : "",
             task->words ? task->words : "");
}

/* Without it no more is lost than that a later manager does it anew. */
static void keep_record(const struct boot *boot) {
    struct fault fault;
    if (boot_record_write(&boot->record, boot->manager, &fault) < 0)
        log_line(LEVEL_WARNING, "boot: %s", fault.text);
}

static void record(struct boot *boot, const struct boot_task *task, uint64_t ended,
                   enum boot_outcome outcome, const char *words) {
    if (boot_record_step(&boot->record, task->name, task->begun, ended, outcome,
                         words ? words : "") < 0)
        log_line(LEVEL_WARNING, "boot: cannot remember \"%s\"", task->name);
    keep_record(boot);
}

static void tell_person(const struct boot *boot, const struct boot_task *task, const char *words) {
    scoped_text struct text message = {0};
    text_format(&message, "CONSOLE=%s: %s", task->name, words);
    if (!message.failed)
        world_tell_keeper(boot->manager, message.data);
}

/* What is tried again, a person has read before. */
static void task_told(struct boot_task *task, const char *words) {
    struct boot *boot = task->context;
    if (!task->again)
        tell_person(boot, task, words);
    record(boot, task, 0, BOOT_RUNNING, words);
}

/* At once, whatever else is still waited for. */
static void tell_missing(const struct boot *boot, const struct boot_task *task) {
    scoped_text struct text message = {0};
    struct fault fault;
    fail_missing(task, &fault);
    text_format(&message, "FAILURE=%s", fault.text);
    if (!message.failed)
        world_tell_keeper(boot->manager, message.data);
}

static void task_over(struct boot *boot, const struct boot_task *task) {
    uint64_t now = world_now(boot->manager);
    say_end(task, now - task->begun);
    if (is_missing(task))
        tell_missing(boot, task);
    record(boot, task, now, task->outcome, task->words);
    boot->turned = true;
}

static void task_ended(struct boot_task *task) {
    struct boot *boot = task->context;
    boot->at_work--;
    task_over(boot, task);
}

static const struct boot_task_calls task_calls = {task_told, task_ended};

static int begin_task(struct boot *boot, struct boot_task *task, struct fault *fault) {
    const struct boot_task *gap = find_gap(boot, task);
    scoped_text struct text words = {0};
    task->begun = world_now(boot->manager);
    if (gap) {
        text_format(&words, "\"%s\", %s, is not mounted", gap->mount->target,
                    boot_mount_is_within(task->mount, gap->mount) ? "in which it lies"
                                                                  : "of which it is made");
        boot_task_settle(task, task->mount->optional ? BOOT_SKIPPED : BOOT_FAILED,
                         words.data ? words.data : "");
        task_over(boot, task);
        return 0;
    }
    sd_notifyf(false, "STATUS=early boot: %s", task->name);
    record(boot, task, 0, BOOT_RUNNING, "");
    boot->at_work++;
    return boot_task_begin(task, &boot->settings.boot, fault);
}

/* ---- all of them ---- */

/* Whatever waits for nobody any more. Where all that is left waits in a circle, the first goes. */
static int begin_ready(struct boot *boot, size_t end, struct fault *fault) {
    size_t planned = end;
    for (size_t i = 0; i < end && boot->at_work < AT_WORK_MOST; i++) {
        struct boot_task *task = &boot->tasks[i];
        if (task->state != BOOT_TASK_PLANNED)
            continue;
        planned = planned == end ? i : planned;
        int error = may_begin(boot, i) ? begin_task(boot, task, fault) : 0;
        if (error < 0)
            return error;
    }
    bool circle = boot->at_work == 0 && !boot->turned && planned < end;
    return circle ? begin_task(boot, &boot->tasks[planned], fault) : 0;
}

static bool are_over(const struct boot *boot, size_t end) {
    for (size_t i = 0; i < end; i++)
        if (boot->tasks[i].state != BOOT_TASK_OVER)
            return false;
    return true;
}

/* 1: the machine is about to; until then nothing is to be written to its root. */
static int reboot_if_stale(const struct boot *boot, struct fault *fault) {
    for (size_t i = boot->first_mount; i < boot->after_mounts; i++) {
        const struct boot_task *task = &boot->tasks[i];
        if (task->state != BOOT_TASK_OVER || task->outcome != BOOT_STALE)
            continue;
        tell_person(boot, task, task->words ? task->words : "");
        int error = machine_end(MACHINE_REBOOT, false, fault);
        if (error == 0)
            loop_run(boot->manager);
        return error < 0 ? error : 1;
    }
    return 0;
}

/* Those in front of `end`. 1: the manager is to end. */
static int run_tasks(struct boot *boot, size_t end, struct fault *fault) {
    for (int error; !are_over(boot, end);) {
        boot->turned = false;
        if ((error = begin_ready(boot, end, fault)) < 0)
            return error;
        if (!loop_run_until(boot->manager, &boot->turned))
            return 1;
        if ((error = reboot_if_stale(boot, fault)) != 0)
            return error;
    }
    return 0;
}

/* The keeper tries again, or offers a shell. Nothing is to be written meanwhile to where what is
 * missing belongs. */
static int find_missing(const struct boot *boot, struct fault *fault) {
    for (size_t i = boot->first_mount; i < boot->after_mounts; i++)
        if (is_missing(&boot->tasks[i]))
            return fail_missing(&boot->tasks[i], fault);
    return 0;
}

bool boot_is_pending(const struct boot *boot) {
    return boot->early && !boot->record.units; /* or else units run since an earlier manager */
}

bool boot_is_running(const struct boot *boot) {
    return boot->running;
}

int boot_run(struct boot *boot, struct fault *fault) {
    uint64_t begun = world_now(boot->manager);
    int error = plan(boot);
    if (error < 0)
        return fault_set(fault, error, "cannot begin to boot");
    boot->running = true;
    error = reboot_if_stale(boot, fault);
    if (error == 0)
        error = run_tasks(boot, boot->after_mounts, fault);
    if (error == 0)
        error = find_missing(boot, fault);
    if (error == 0)
        error = run_tasks(boot, boot->count, fault);
    boot->running = false;
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
    if (boot_record_read(&boot->record, manager) < 0 &&
        boot_record_begin(&boot->record, world_now(manager), machine) < 0)
        return fault_set(fault, ENOMEM, "cannot begin to boot");
    keep_record(boot);
    *ret_boot = take(boot);
    return 0;
}

/* When somebody has set it, and once an hour: after an event, so that nobody is woken for it. */
static int keep_time(sd_event_source *source, void *context) {
    struct boot *boot = context;
    struct manager *manager = boot->manager;
    uint64_t now = world_now(manager), lead = world_date(manager) - now;
    int64_t step = (int64_t)(lead - boot->lead), second = USEC_PER_SEC;
    struct fault fault;
    (void)source;
    if (step > -second && step < second && now < boot->keep_at)
        return 0;
    boot->lead = lead;
    boot->keep_at = now + KEEP_TIME;
    if (boot_save_clock(manager->options.state_directory, false, &fault) < 0)
        log_line(LEVEL_DEBUG, "%s", fault.text);
    return 0;
}

bool boot_units_begin(struct boot *boot) {
    if (boot->early)
        sd_event_add_post(boot->manager->event, &boot->keeping, keep_time, boot);
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
    sd_event_source_unref(boot->keeping);
    for (size_t i = 0; i < boot->count; i++)
        boot_task_close(&boot->tasks[i]);
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

uint64_t boot_watchdog(const struct boot *boot) {
    return boot->settings.watchdog;
}

void boot_describe(const struct boot *boot, struct text *text) {
    const char *between = "early boot: ";
    for (size_t i = 0; i < boot->record.count; i++) {
        const struct boot_step *step = &boot->record.steps[i];
        if (step->outcome != BOOT_RUNNING)
            continue;
        text_format(text, "%s%s%s%s", between, step->name, step->words[0] ? " " : "", step->words);
        between = "; ";
    }
}
