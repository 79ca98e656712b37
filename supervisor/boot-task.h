#pragma once
/* A step of early boot as a process of its own: begun, listened to, and judged when it ends. boot.c
 * alone uses it. */

#include <sys/types.h>

#include "supervisor/boot-steps.h"
#include "supervisor/boot.h"
#include "supervisor/timers.h"

#define BOOT_LINE_MAX 1024

struct boot_task;
struct watch;

/* What becomes of it is told through these, with the context of the task. */
struct boot_task_calls {
    void (*told)(struct boot_task *task, const char *words); /* what it waits for */
    void (*ended)(struct boot_task *task);
};

enum boot_task_state { BOOT_TASK_PLANNED, BOOT_TASK_RUNS, BOOT_TASK_OVER };

struct boot_task {
    char *name;
    boot_step_function *run;
    const struct boot_mount *mount; /* NULL: none */
    bool again;                     /* it failed for a manager before this one */
    enum boot_task_state state;
    enum boot_outcome outcome; /* of what is over */
    char *words;               /* its sentence; NULL: none */

    struct manager *manager;
    const struct boot_task_calls *calls;
    void *context;
    uint64_t begun; /* boot.c's: microseconds of CLOCK_BOOTTIME */
    pid_t pid;      /* 0: it was waited for */
    int report;
    struct watch *watch;
    struct deadline limit;
    char line[BOOT_LINE_MAX];
    size_t length;
    int wait_status;
};

/* Calls `ended`, perhaps before it returns. */
int boot_task_begin(struct boot_task *task, const struct boot_settings *settings,
                    struct fault *fault);
/* It is over without having run. */
void boot_task_settle(struct boot_task *task, enum boot_outcome outcome, const char *words);
/* What runs is killed. */
void boot_task_close(struct boot_task *task);
