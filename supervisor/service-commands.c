/* The commands of a unit beside its program: one after the other, each told of by name when it
 * fails or hangs. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/output.h"
#include "supervisor/passing.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/text.h"

/* ---- what systemd's manual (systemd.exec(5)) says a command finds in its environment ---- */

static const char *systemd_result(enum service_result result) {
    return result == RESULT_LAUNCH ? "resources" : service_result_word(result);
}

static void add_ending(struct text *text, const struct ending *ending) {
    const char *name = ending->exit_signal ? sigabbrev_np(ending->exit_signal) : NULL;
    const char *word = "exited";
    if (ending->exit_signal)
        word = ending->result == RESULT_CORE_DUMP ? "dumped" : "killed";
    text_format(text, "EXIT_CODE=%s\n", word);
    if (name)
        text_format(text, "EXIT_STATUS=%s\n", name);
    else
        text_format(text, "EXIT_STATUS=%d\n",
                    ending->exit_signal ? ending->exit_signal : ending->exit_code);
}

/* Lines; how the run ended only where it has. */
static void describe(struct service *service, struct text *text) {
    const struct service_private *own = service->private;
    text_add(text, "NOTIFY_SOCKET=" SANDBOX_NOTIFY_DIRECTORY "/notify\n");
    if (service->main_pid > 0)
        text_format(text, "MAINPID=%d\n", (int)world_pid_inside(service->main_pid));
    if (own->settled) {
        text_format(text, "SERVICE_RESULT=%s\n", systemd_result(own->ending.result));
        if (own->executed)
            add_ending(text, &own->ending);
    } else if (own->signalled) {
        text_format(text, "SERVICE_RESULT=%s\n",
                    systemd_result(own->cause == RESULT_NONE ? RESULT_SUCCESS : own->cause));
    }
}

#define VARIABLES_MAX 8

static void split(char *lines, char *items[VARIABLES_MAX + 1], struct strings *ret_strings) {
    size_t count = 0;
    for (char *line; count < VARIABLES_MAX && (line = strsep(&lines, "\n")) && *line;)
        items[count++] = line;
    items[count] = NULL;
    *ret_strings = (struct strings){items, count};
}

/* ---- one after the other ---- */

static void command_ended(void *context, int error, int wait_status, const struct fault *fault);

static const struct strings *present(const struct commands_run *run) {
    return &run->items[run->next];
}

static int begin(struct service *service, struct fault *fault) {
    struct commands_run *run = &service->private->commands;
    scoped_text struct text lines = {0};
    scoped_fd int out = -1, error_out = -1;
    char *items[VARIABLES_MAX + 1];
    struct strings environment;
    int error = 0;

    describe(service, &lines);
    if (!lines.data)
        return fault_set(fault, ENOMEM, "cannot run a command of %s", service->name);
    split(lines.data, items, &environment);
    if (service->private->output)
        error = output_streams(service->private->output, &out, &error_out, fault);
    const struct run_request request = {
        .place = run->beside ? RUN_BESIDE : RUN_ALONE,
        .exec = present(run),
        .environment = &environment,
        .standard = {-1, out, error_out},
        .ready_fd = -1,
        .waits = true,
    };
    if (error >= 0)
        error = exec_begin(service, &request, command_ended, run, fault);
    run->running = error >= 0;
    return error;
}

static void fail(struct service *service, const char *how) {
    struct commands_run *run = &service->private->commands;
    free(run->failure);
    if (asprintf(&run->failure, "%s %s", present(run)->items[0], how) < 0)
        run->failure = NULL;
    log_line(LEVEL_WARNING, "%s: %s %s", service->name, present(run)->items[0], how);
}

static void command_ended(void *context, int error, int wait_status, const struct fault *fault) {
    struct commands_run *run = context;
    struct service *service = list_entry(run, struct service_private, commands)->service;
    struct fault trouble = {{0}};
    scoped_text struct text words = {0};
    run->running = false;
    state_touch(service);
    if (error < 0) {
        run->ending = (struct ending){.result = RESULT_LAUNCH};
        text_format(&words, "did not start: %s", fault->text);
    } else {
        run->ending = ending_of_command(wait_status);
        if (run->ending.result == RESULT_SUCCESS && ++run->next < run->count) {
            if (begin(service, &trouble) >= 0)
                return;
            run->ending.result = RESULT_LAUNCH;
            text_format(&words, "did not start: %s", trouble.text);
        } else if (run->ending.result == RESULT_SUCCESS) {
            service_handle(service, EVENT_COMMANDS_DONE);
            return;
        } else {
            ending_describe(&run->ending, &words);
        }
    }
    fail(service, words.data ? words.data : "failed");
    service_handle(service, EVENT_COMMAND_FAILED);
}

int service_commands_start(struct service *service, const struct strings *items, size_t count,
                           bool beside) {
    struct commands_run *run = &service->private->commands;
    struct fault fault = {{0}};
    scoped_text struct text words = {0};
    service_commands_stop(service);
    free(run->failure);
    *run = (struct commands_run){.items = items, .count = count, .beside = beside};
    int error = begin(service, &fault);
    if (error >= 0)
        return 0;
    run->ending.result = RESULT_LAUNCH;
    text_format(&words, "did not start: %s", fault.text);
    fail(service, words.data ? words.data : "did not start");
    return error;
}

int service_commands_adopt(struct service *service, struct fault *fault) {
    struct commands_run *run = &service->private->commands;
    struct held *held = &service->private->held;
    if (!run->running || !held->command)
        return 0;
    int error = exec_adopt(service, held->command, command_ended, run, fault);
    if (error >= 0 || error_may_pass(error))
        return error < 0 ? error : 1;
    log_line(LEVEL_WARNING, "%s: %s", service->name, fault->text);
    free(take(held->command));
    return 0;
}

int service_commands_resume(struct service *service, const struct strings *items, size_t count) {
    struct commands_run *run = &service->private->commands;
    struct fault fault = {{0}};
    run->items = items;
    run->count = count;
    if (!run->running)
        return 0;
    if (run->next >= count)
        return -EINVAL;
    if (service->private->held.command)
        return 0;
    bool alone = !service->main || run_signal(service->main, 0, NULL) == -ESRCH;
    int error = run->beside && alone ? fault_say(&fault, ESRCH, "its program has ended meanwhile")
                                     : begin(service, &fault);
    run->running = error >= 0;
    if (error < 0)
        log_line(LEVEL_WARNING, "%s: %s", service->name, fault.text);
    return error;
}

void service_commands_stop(struct service *service) {
    struct commands_run *run = &service->private->commands;
    if (!run->running)
        return;
    run->running = false;
    manager_exec_abandon(service->manager, run);
}

void service_commands_time_out(struct service *service, uint64_t time) {
    struct commands_run *run = &service->private->commands;
    scoped_text struct text words = {0};
    if (!run->running)
        return;
    text_add(&words, "did not end within ");
    duration_print(&words, time);
    text_add(&words, " and was killed");
    run->ending = (struct ending){.result = RESULT_TIMEOUT};
    fail(service, words.data ? words.data : "was killed");
    service_commands_stop(service);
}
