#include "supervisor/boot-task.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/world.h"
#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/text.h"

#define SENTENCE '\002' /* begins the line that a step ends with */
#define TOLD '\003'     /* begins one for the console */
#define LIMIT '\004'    /* and of how long it may take from now on */

/* ---- in the step's own process ---- */

static void write_line(const char *format, va_list arguments) {
    char line[BOOT_LINE_MAX];
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
    char line[BOOT_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    boot_note("%c%s", TOLD, line);
}

void boot_limit(uint64_t time) {
    boot_note("%c%" PRIu64, LIMIT, time);
}

void boot_collect(int error, const struct fault *why, int *result, struct fault *fault) {
    if (error < 0 && *result < 0)
        boot_note("%s", why->text);
    else if (error < 0)
        *result = fault_say(fault, error, "%s", why->text);
}

/* Signals are as a program expects them; it ends with the manager, whose successor does it anew. */
static _Noreturn void become(const struct boot_task *task, const struct boot_settings *settings,
                             int report) {
    const struct boot_work work = {settings, task->mount, task->manager->options.state_directory,
                                   task->again};
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
    _exit(result == 0                 ? BOOT_DONE
          : result == BOOT_STEP_STALE ? BOOT_STALE
          : result > 0                ? BOOT_SKIPPED
                                      : BOOT_FAILED);
}

/* ---- seen from the manager ---- */

static void set_words(struct boot_task *task, const char *words) {
    free(task->words);
    task->words = strdup(words);
}

static void release(struct boot_task *task) {
    timers_cancel(&task->manager->private->timers, &task->limit);
    watch_close(task->watch);
    task->watch = NULL;
    task->report = close_fd(task->report);
}

/* A process in a read that a disk does not answer cannot even be killed: nobody waits for that. */
static void give_up(struct deadline *limit) {
    struct boot_task *task =
        (struct boot_task *)((char *)limit - offsetof(struct boot_task, limit));
    kill(task->pid, SIGKILL);
    release(task);
    boot_task_settle(task, task->mount && task->mount->optional ? BOOT_SKIPPED : BOOT_FAILED,
                     "it is given up: a disk or a driver does not answer");
    task->calls->ended(task);
}

static void set_limit(struct boot_task *task, const char *text) {
    uint64_t time;
    if (number_parse(text, &time) < 0)
        return;
    task->limit.passed = give_up;
    timers_set(&task->manager->private->timers, &task->limit,
               later(world_now(task->manager), time));
}

static void take_line(struct boot_task *task) {
    task->line[task->length] = '\0';
    task->length = 0;
    if (task->line[0] == SENTENCE) {
        set_words(task, task->line + 1);
        return;
    }
    if (task->line[0] == LIMIT) {
        set_limit(task, task->line + 1);
        return;
    }
    bool told = task->line[0] == TOLD;
    if (told)
        task->calls->told(task, task->line + 1);
    if (task->line[0])
        log_line(LEVEL_NOTICE, "boot: %s: %s", task->name, task->line + told);
}

static void read_report(void *context) {
    struct boot_task *task = context;
    char bytes[BOOT_LINE_MAX];
    ssize_t length;
    while ((length = read(task->report, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < length; i++) {
            if (bytes[i] == '\n' || task->length + 1 == sizeof(task->line))
                take_line(task);
            else
                task->line[task->length++] = bytes[i];
        }
    if (length == 0) { /* all have closed it */
        watch_close(task->watch);
        task->watch = NULL;
    }
}

static void report_came(void *context) {
    const struct boot_task *task = context;
    read_report(context);
    manager_event_ended(task->manager);
}

static enum boot_outcome judge(struct boot_task *task) {
    char how[64];
    if (WIFEXITED(task->wait_status) && WEXITSTATUS(task->wait_status) <= BOOT_STALE)
        return (enum boot_outcome)WEXITSTATUS(task->wait_status);
    snprintf(how, sizeof(how), "its process was killed by SIG%s",
             sigabbrev_np(WTERMSIG(task->wait_status)));
    set_words(task, how);
    return BOOT_FAILED;
}

static void ended(void *context, int wait_status) {
    struct boot_task *task = context;
    task->pid = 0;
    if (task->state == BOOT_TASK_OVER)
        return;        /* it was given up */
    read_report(task); /* what it said before */
    release(task);
    task->wait_status = wait_status;
    task->outcome = judge(task);
    task->state = BOOT_TASK_OVER;
    task->calls->ended(task);
}

int boot_task_begin(struct boot_task *task, const struct boot_settings *settings,
                    struct fault *fault) {
    int ends[2], wait_status;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return fault_set(fault, errno, "cannot begin \"%s\"", task->name);
    task->report = ends[0];
    fcntl(ends[1], F_SETFL, 0); /* it may wait until it was read */
    task->pid = fork();
    int error = task->pid < 0 ? -errno : 0;
    if (task->pid == 0)
        become(task, settings, ends[1]);
    close(ends[1]);
    if (error == 0) {
        task->state = BOOT_TASK_RUNS;
        error = watch_open(task->manager, task->report, EPOLLIN, WATCH_REPORT, report_came, task,
                           &task->watch);
    }
    if (error < 0)
        return fault_set(fault, error, "cannot begin \"%s\"", task->name);
    error = children_add(&task->manager->private->children, task->pid, ended, task, &wait_status);
    if (error == 1)
        ended(task, wait_status);
    return error < 0 ? fault_set(fault, error, "cannot begin \"%s\"", task->name) : 0;
}

void boot_task_settle(struct boot_task *task, enum boot_outcome outcome, const char *words) {
    set_words(task, words);
    task->outcome = outcome;
    task->state = BOOT_TASK_OVER;
}

void boot_task_close(struct boot_task *task) {
    if (task->pid > 0) {
        kill(task->pid, SIGKILL);
        children_remove(&task->manager->private->children, task->pid);
        task->state = BOOT_TASK_OVER;
    }
    release(task);
    free(task->words);
    free(task->name);
    task->words = task->name = NULL;
}
