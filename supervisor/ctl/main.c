/* ringfence: the tool that talks to the manager through the control door. */
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/ctl/output.h"
#include "supervisor/ctl/tool.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

#define RUNTIME_DIRECTORY "/run/ringfence"
#define RETRY (20 * USEC_PER_SEC)
#define VERBS_MAX 64

const struct flag tool_flags[] = {
    {"runtime-dir", 0, "DIR",
     "talk to the manager of this runtime directory (" RUNTIME_DIRECTORY
     ", or RINGFENCE_RUNTIME_DIR)"},
    {"color", 0, "WHEN", "auto (on a terminal), always or never"},
    {"no-pager", 0, NULL, "never start a pager"},
    {"retry", 0, "DURATION",
     "where the manager goes away, ask the next one, for so long (20s); off: not at all"},
    {"help", 'h', NULL, "show help, of one verb where one is named"},
    {"version", 0, NULL, "show the version"},
    {0},
};

static const struct flag json_flags[] = {{"json", 0, NULL, "as JSON, for programs"}, {0}};

/* In the order of `ringfence help`. */
const struct verb verbs[] = {
    {"list", "[UNIT...]", "all units: state, use, uptime", verb_list, list_flags, OPERANDS_UNITS, 0,
     0, 0, true},
    {"status", "[UNIT...]", "what a unit does and why, with its last output", verb_status,
     status_flags, OPERANDS_UNITS, 0, 0, 0, true},
    {"start", "UNIT...", "start units and what they require", verb_start, command_flags,
     OPERANDS_UNITS, 1, 0, 0, false},
    {"stop", "UNIT...", "stop units and what requires them", verb_stop, command_flags,
     OPERANDS_UNITS, 1, 0, 0, false},
    {"restart", "UNIT...", "stop, then start, with the files as they are now", verb_restart,
     command_flags, OPERANDS_UNITS, 1, 0, 0, false},
    {"reload", "[UNIT...]", "have units reload; without a name, read all unit files again",
     verb_reload, command_flags, OPERANDS_UNITS, 0, 0, 0, false},
    {"apply", "", "bring what runs to what the unit files say; --dry-run: show the plan",
     verb_apply, apply_flags, OPERANDS_NONE, 0, 0, 0, true},
    {"enable", "UNIT...", "have units start at boot, by a drop-in beside the person's file",
     verb_enable, enable_flags, OPERANDS_UNITS, 1, 0, 0, false},
    {"disable", "UNIT...", "have units not start at boot", verb_disable, enable_flags,
     OPERANDS_UNITS, 1, 0, 0, false},
    {"is-active", "UNIT...", "exit 0 if all are ready, 3 if not, 4 if unknown", verb_is_active,
     NULL, OPERANDS_UNITS, 1, 0, 0, true},
    {"is-failed", "UNIT...", "exit 0 if any has failed or is invalid, else 1", verb_is_failed, NULL,
     OPERANDS_UNITS, 1, 0, 0, true},
    {"wait", "[UNIT...]", "wait until units are ready; without a name, until all have settled",
     verb_wait, wait_flags, OPERANDS_UNITS, 0, 0, 0, true},
    {"inspect", "UNIT...", "every setting in effect, and the facts of the running unit",
     verb_inspect, inspect_flags, OPERANDS_UNITS, 1, 0, 0, true},
    {"logs", "[UNIT...]", "what units wrote, merged by time", verb_logs, logs_flags, OPERANDS_UNITS,
     0, 0, 0, true},
    {"exec", "UNIT [--] PROGRAM [ARGUMENT...]", "run a program inside a running unit", verb_exec,
     exec_flags, OPERANDS_UNITS, 2, 0, 2, false},
    {"attach", "UNIT", "type into the terminal of a unit that has one, and see it", verb_attach,
     attach_flags, OPERANDS_UNITS, 1, 1, 0, false},
    {"kill", "UNIT...", "send a signal", verb_kill, kill_flags, OPERANDS_UNITS, 1, 0, 0, false},
    {"pause", "UNIT...", "freeze every process of a unit", verb_pause, NULL, OPERANDS_UNITS, 1, 0,
     0, false},
    {"resume", "UNIT...", "let a paused unit go on", verb_resume, NULL, OPERANDS_UNITS, 1, 0, 0,
     false},
    {"ns", "[UNIT...]", "the namespaces of each unit, and who shares them", verb_ns, NULL,
     OPERANDS_UNITS, 0, 0, 0, true},
    {"stats", "[UNIT...]", "processor, memory, processes, input and output", verb_stats, NULL,
     OPERANDS_UNITS, 0, 0, 0, true},
    {"events", "[UNIT...]", "each change of state, as it happens", verb_events, NULL,
     OPERANDS_UNITS, 0, 0, 0, true},
    {"boot", "", "how long it took to come up, what waited for what; --svg: as a picture",
     verb_boot, boot_flags, OPERANDS_NONE, 0, 0, 0, true},
    {"rm", "UNIT...", "remove what a stopped unit left: writable layer, id range", verb_rm,
     rm_flags, OPERANDS_UNITS, 1, 0, 0, false},
    {"verify", "FILE|DIR...", "check unit files; needs neither manager nor root", verb_verify,
     verify_flags, OPERANDS_FILES, 0, 0, 0, true},
    {"describe", "[SECTION[.KEY]]", "the manual of the unit file; --json: its JSON Schema",
     verb_describe, NULL, OPERANDS_KEYS, 0, 1, 0, true},
    {"reexec", "", "replace the running programs by those on disk; the services go on", verb_reexec,
     reexec_flags, OPERANDS_NONE, 0, 0, 0, true},
    {"poweroff", "", "stop everything and switch the machine off, where ringfence is its init",
     verb_poweroff, machine_flags, OPERANDS_NONE, 0, 0, 0, false},
    {"reboot", "", "the same, and start it again", verb_reboot, machine_flags, OPERANDS_NONE, 0, 0,
     0, false},
    {"halt", "", "the same, and leave it switched on", verb_halt, machine_flags, OPERANDS_NONE, 0,
     0, 0, false},
    {"help", "[VERB]", "this list, or what one verb takes", verb_help, NULL, OPERANDS_VERBS, 0, 1,
     0, false},
    {"completion", "[bash|fish|zsh]", "a script for the shell: eval \"$(ringfence completion)\"",
     verb_completion, NULL, OPERANDS_NONE, 0, 1, 0, false},
    {0},
};

const struct verb *verb_find(const char *name) {
    for (const struct verb *verb = verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

int tool_fail(int code, const char *format, ...) {
    scoped_text struct text text = {0};
    char sentence[2 * FAULT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    text_add_clean(&text, sentence);
    fprintf(stderr, "ringfence: %s\n", text.data ? text.data : "");
    return code;
}

int verb_refuse(const char *name) {
    const char *names[VERBS_MAX];
    size_t count = 0;

    for (const struct verb *verb = verbs; verb->name && count < VERBS_MAX; verb++)
        names[count++] = verb->name;
    const char *nearest = names_nearest(name, names, count);
    if (nearest)
        return tool_fail(EXIT_USAGE, "unknown verb \"%s\"; did you mean \"%s\"?", name, nearest);
    return tool_fail(EXIT_USAGE, "unknown verb \"%s\"; `ringfence help` lists them", name);
}

/* Flags of every verb may stand before it or after it. */
static int take_common(struct tool *tool, const struct arguments *arguments) {
    const char *value = arguments_value(arguments, "runtime-dir");

    if (value)
        tool->runtime_directory = value;
    if (arguments_value(arguments, "no-pager"))
        tool->pager = false;
    value = arguments_value(arguments, "retry");
    if (value && duration_parse(value, &tool->retry) < 0)
        return tool_fail(EXIT_USAGE, "--retry=%s: a duration, as \"20s\", or off", value);
    if (tool->retry == DURATION_OFF)
        tool->retry = 0;
    value = arguments_value(arguments, "color");
    if (value && !output_choose_colour(tool, value))
        return tool_fail(EXIT_USAGE, "--color=%s: auto, always or never", value);
    return EXIT_OK;
}

/* The table of a verb's own flags with --json behind them, where it has one. */
static void join_flags(const struct verb *verb, struct flag joined[FLAGS_MAX + 1]) {
    size_t count = 0;

    for (const struct flag *flag = verb->flags; flag && flag->name && count < FLAGS_MAX - 1; flag++)
        joined[count++] = *flag;
    if (verb->json)
        joined[count++] = json_flags[0];
    joined[count] = (struct flag){0};
}

/* Of a verb that passes a program's code on, 2 would be the program's. */
static int usage_code(const struct verb *verb) {
    return verb->literal_after ? EXIT_EXEC_FAILED : EXIT_USAGE;
}

static int check_count(const struct verb *verb, const struct arguments *arguments) {
    if (arguments->count < verb->least)
        return tool_fail(usage_code(verb), "usage: ringfence %s %s", verb->name, verb->arguments);
    if ((verb->most && arguments->count > verb->most) ||
        (verb->operands == OPERANDS_NONE && !verb->most && arguments->count))
        return tool_fail(EXIT_USAGE, "%s: one argument too many: \"%s\"", verb->name,
                         arguments->operands[verb->most]);
    return EXIT_OK;
}

static int run_verb(struct tool *tool, int argc, char **argv) {
    scoped_arguments struct arguments arguments = {0};
    struct flag flags[FLAGS_MAX + 1];
    struct fault fault;
    int code;

    join_flags(tool->verb, flags);
    if (arguments_parse(&arguments, argc, argv, flags, tool_flags, tool->verb->literal_after, 0,
                        &fault) < 0)
        return tool_fail(usage_code(tool->verb), "%s: %s", tool->verb->name, fault.text);
    if (arguments_value(&arguments, "help"))
        return help_print(tool, tool->verb);
    if ((code = take_common(tool, &arguments)) != EXIT_OK ||
        (code = check_count(tool->verb, &arguments)) != EXIT_OK)
        return code;
    tool->json = arguments_value(&arguments, "json") != NULL;
    return tool->verb->run(tool, &arguments);
}

int main(int argc, char **argv) {
    scoped_arguments struct arguments before = {0};
    const char *directory = getenv("RINGFENCE_RUNTIME_DIR");
    struct tool tool = {.runtime_directory =
                            directory && directory[0] ? directory : RUNTIME_DIRECTORY,
                        .retry = RETRY};
    struct fault fault;
    int code;

    setlocale(LC_CTYPE, "");
    output_choose(&tool);
    int at = arguments_parse(&before, argc - 1, argv + 1, NULL, tool_flags, 0, 1, &fault);
    if (at < 0)
        return tool_fail(EXIT_USAGE, "%s", fault.text);
    if ((code = take_common(&tool, &before)) != EXIT_OK)
        return code;
    if (arguments_value(&before, "version")) {
        puts("ringfence " RINGFENCE_VERSION);
        return EXIT_OK;
    }
    if (arguments_value(&before, "help"))
        return help_print(&tool, NULL);
    if (at + 1 >= argc)
        return tool_fail(EXIT_USAGE, "no verb; `ringfence help` lists them");
    tool.verb = verb_find(argv[at + 1]);
    if (!tool.verb)
        return verb_refuse(argv[at + 1]);
    code = run_verb(&tool, argc - at - 2, argv + at + 2);
    if (fflush(stdout) != 0 || ferror(stdout))
        return code ? code : EXIT_FAILED;
    return code;
}
