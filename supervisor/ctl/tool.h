#pragma once
/* What the verbs of the `ringfence` tool share: the invocation, exit codes, the table of verbs. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/ctl/arguments.h"
#include "units/base/fault.h"
#include "units/base/text.h"

/* EXIT_NOT_RUNNING and EXIT_UNKNOWN are of status and is-active alone (LSB). */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_RUNNING = 3,
    EXIT_UNKNOWN = 4,
    EXIT_PERMISSION = 4,
    EXIT_NO_UNIT = 5,
    EXIT_INVALID = 6,
    EXIT_UNREACHABLE = 7,
    EXIT_EXEC_FAILED = 125,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
    EXIT_SIGNAL = 128, /* plus the signal's number */
};

struct tool {
    const char *runtime_directory;
    const struct verb *verb;
    uint64_t retry; /* microseconds for which the next manager is waited for; 0: not at all */
    bool json;
    bool colour, pager; /* decided by output_choose() */
};

enum operands { OPERANDS_NONE, OPERANDS_UNITS, OPERANDS_FILES, OPERANDS_KEYS, OPERANDS_VERBS };

struct verb {
    const char *name;
    const char *arguments; /* for the usage line */
    const char *help;      /* one line */
    int (*run)(const struct tool *tool, const struct arguments *arguments);
    const struct flag *flags; /* ends with a NULL name; may be NULL */
    enum operands operands;   /* what completion offers */
    size_t least, most;       /* number of operands; most 0: any */
    size_t literal_after;     /* operands, after which nothing is a flag any more; 0: never */
    bool json;
};

extern const struct verb verbs[]; /* ends with a NULL name */
const struct verb *verb_find(const char *name);
int verb_refuse(const char *name);     /* with the nearest name; an exit code */
extern const struct flag tool_flags[]; /* those of every verb */

/* Of one verb; NULL: the list of all. An exit code. */
int help_print(const struct tool *tool, const struct verb *verb);

/* Prints "ringfence: SENTENCE" on standard error and hands the code back. */
int tool_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The verbs, a file for each group of them. */
typedef int verb_function(const struct tool *tool, const struct arguments *arguments);
verb_function verb_list, verb_status, verb_is_active, verb_is_failed;
verb_function verb_inspect, verb_ns, verb_stats, verb_wait, verb_events, verb_logs;
verb_function verb_start, verb_stop, verb_restart, verb_reload;
verb_function verb_apply, verb_enable, verb_disable, verb_attach;
verb_function verb_kill, verb_pause, verb_resume, verb_rm, verb_exec;
verb_function verb_poweroff, verb_reboot, verb_halt, verb_reexec;
verb_function verb_boot;
verb_function verb_verify, verb_describe, verb_help, verb_completion;

extern const struct flag list_flags[], status_flags[], inspect_flags[], command_flags[],
    kill_flags[], rm_flags[], wait_flags[], exec_flags[], logs_flags[], verify_flags[],
    apply_flags[], enable_flags[], attach_flags[], boot_flags[], machine_flags[], reexec_flags[];
