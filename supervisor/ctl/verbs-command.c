#include <signal.h>
#include <string.h>
#include <strings.h>

#include "supervisor/ctl/view.h"
#include "units/base/number.h"

const struct flag command_flags[] = {
    {"no-wait", 0, NULL, "ask for it and do not wait until it is done"},
    {0},
};
const struct flag kill_flags[] = {
    {"signal", 's', "SIGNAL", "by name or number (SIGTERM)"},
    {"all", 0, NULL, "to every process of the unit, not the main one alone"},
    {0},
};
const struct flag rm_flags[] = {
    {"volumes", 0, NULL, "remove its volumes too"},
    {0},
};

/* ---- start, stop, restart, reload: all units at once, each answered when it is done ---- */

struct pending {
    sd_bus *bus;
    const char *verb, *unit;
    size_t *left;
    int code;
    struct fault fault; /* where it failed */
};

/* Sentences of the manager often begin with the unit's name already. */
static int tell(const char *verb, const char *unit, int code, const struct fault *fault) {
    if (strncmp(fault->text, unit, strlen(unit)) == 0)
        return tool_fail(code, "%s", fault->text);
    return tool_fail(code, "cannot %s %s: %s", verb, unit, fault->text);
}

/* A failure is told as it happens, not when the last unit is done. */
static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused) {
    struct pending *pending = userdata;
    (void)unused;

    --*pending->left;
    if (!sd_bus_message_is_method_error(reply, NULL))
        return 0;
    pending->code = client_error(sd_bus_message_get_error(reply), -sd_bus_message_get_errno(reply),
                                 &pending->fault);
    if (pending->code != EXIT_NO_UNIT) /* whose sentence comes with a suggestion, later */
        tell(pending->verb, pending->unit, pending->code, &pending->fault);
    return 0;
}

static int ask(sd_bus *bus, const char *method, bool wait, struct pending *pending) {
    scoped(sd_bus_message_unref) sd_bus_message *call = NULL;
    int error =
        sd_bus_message_new_method_call(bus, &call, NULL, BUS_MANAGER_PATH, BUS_MANAGER, method);

    if (error >= 0)
        error = sd_bus_message_append(call, "sb", pending->unit, wait);
    if (error >= 0)
        error = sd_bus_call_async(bus, NULL, call, on_answer, pending, UINT64_MAX);
    return error;
}

static int await(sd_bus *bus, const size_t *left) {
    while (*left) {
        int result = sd_bus_process(bus, NULL);
        if (result == 0)
            result = sd_bus_wait(bus, UINT64_MAX);
        if (result < 0 && result != -EINTR)
            return result;
    }
    return 0;
}

/* The worst that happened: of several codes the one with the most to say is the last failure. */
static int judge(sd_bus *bus, struct pending *pending, size_t count) {
    int code = EXIT_OK;

    for (size_t i = 0; i < count; i++) {
        if (pending[i].code == EXIT_NO_UNIT) {
            client_suggest(bus, pending[i].unit, &pending[i].fault);
            tool_fail(EXIT_NO_UNIT, "%s", pending[i].fault.text);
        }
        if (pending[i].code != EXIT_OK)
            code = pending[i].code;
    }
    return code;
}

static int command(const struct tool *tool, const struct arguments *arguments, const char *method) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_free struct pending *pending = calloc(arguments->count, sizeof(*pending));
    bool wait = arguments_value(arguments, "no-wait") == NULL;
    struct fault fault;
    size_t left = 0;
    int error = 0, code = client_open(tool, &bus, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    for (size_t i = 0; pending && i < arguments->count && error >= 0; i++) {
        pending[i] =
            (struct pending){bus, tool->verb->name, arguments->operands[i], &left, 0, {""}};
        left++;
        error = ask(bus, method, wait, &pending[i]);
    }
    if (error >= 0)
        error = pending ? await(bus, &left) : -ENOMEM;
    if (error < 0) {
        code = client_broken(error, &fault);
        return tool_fail(code, "%s", fault.text);
    }
    return judge(bus, pending, arguments->count);
}

int verb_start(const struct tool *tool, const struct arguments *arguments) {
    return command(tool, arguments, "Start");
}

int verb_stop(const struct tool *tool, const struct arguments *arguments) {
    return command(tool, arguments, "Stop");
}

int verb_restart(const struct tool *tool, const struct arguments *arguments) {
    return command(tool, arguments, "Restart");
}

/* The files are read again; what is wrong with them now is shown at once. */
static int reload_files(const struct tool *tool) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_views struct views views = {0};
    struct fault fault;
    int code = client_open(tool, &bus, &fault);

    if (code != EXIT_OK ||
        (code = client_call(bus, "ReloadUnits", NULL, &fault, NULL)) != EXIT_OK ||
        (code = views_list(bus, NULL, &views, &fault)) != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    for (size_t i = 0; i < views.count; i++) {
        scoped_view struct view view = {0};
        if (strcmp(views.items[i].state, "invalid") != 0 ||
            view_read(bus, views.items[i].name, &view, &fault) != EXIT_OK)
            continue;
        code = EXIT_INVALID;
        tool_fail(code, "%s is invalid", view.name);
        fputs(view.complaints, stderr);
    }
    return code;
}

int verb_reload(const struct tool *tool, const struct arguments *arguments) {
    return arguments->count ? command(tool, arguments, "Reload") : reload_files(tool);
}

/* ---- answered at once ---- */

static int refused(sd_bus *bus, const char *verb, const char *unit, int code, struct fault *fault) {
    if (code == EXIT_NO_UNIT) {
        client_suggest(bus, unit, fault);
        return tool_fail(code, "%s", fault->text);
    }
    return tell(verb, unit, code, fault);
}

/* "TERM", "SIGTERM", "sigterm", "15", "RTMIN+1"; 0 where it is none. */
static int signal_parse(const char *word) {
    uint64_t number;

    if (number_parse(word, &number) >= 0)
        return number > 0 && number <= (uint64_t)SIGRTMAX ? (int)number : 0;
    if (strncasecmp(word, "SIG", 3) == 0)
        word += 3;
    for (int signal = 1; signal < NSIG; signal++) {
        const char *name = sigabbrev_np(signal);
        if (name && strcasecmp(name, word) == 0)
            return signal;
    }
    if (strncasecmp(word, "RTMIN", 5) == 0 && word[5] == '+' &&
        number_parse(word + 6, &number) >= 0 && number <= (uint64_t)(SIGRTMAX - SIGRTMIN))
        return SIGRTMIN + (int)number;
    return strcasecmp(word, "RTMIN") == 0 ? SIGRTMIN : 0;
}

int verb_kill(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    const char *word = arguments_value(arguments, "signal");
    bool all = arguments_value(arguments, "all") != NULL;
    int signal = word ? signal_parse(word) : SIGTERM, result = EXIT_OK, code;
    struct fault fault;

    if (signal == 0)
        return tool_fail(EXIT_USAGE, "kill: \"%s\" is not a signal", word);
    if ((code = client_open(tool, &bus, &fault)) != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    for (char **unit = arguments->operands; *unit; unit++) {
        code = client_call(bus, "Kill", NULL, &fault, "sib", *unit, signal, all);
        if (code != EXIT_OK)
            result = refused(bus, tool->verb->name, *unit, code, &fault);
    }
    return result;
}

static int each_unit(const struct tool *tool, const struct arguments *arguments,
                     const char *method) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    struct fault fault;
    int result = EXIT_OK, code = client_open(tool, &bus, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    for (char **unit = arguments->operands; *unit; unit++) {
        code = client_call(bus, method, NULL, &fault, "s", *unit);
        if (code != EXIT_OK)
            result = refused(bus, tool->verb->name, *unit, code, &fault);
    }
    return result;
}

int verb_pause(const struct tool *tool, const struct arguments *arguments) {
    return each_unit(tool, arguments, "Pause");
}

int verb_resume(const struct tool *tool, const struct arguments *arguments) {
    return each_unit(tool, arguments, "Resume");
}

int verb_rm(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    bool volumes = arguments_value(arguments, "volumes") != NULL;
    struct fault fault;
    int result = EXIT_OK, code = client_open(tool, &bus, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    for (char **unit = arguments->operands; *unit; unit++) {
        code = client_call(bus, "Remove", NULL, &fault, "sb", *unit, volumes);
        if (code != EXIT_OK)
            result = refused(bus, tool->verb->name, *unit, code, &fault);
    }
    return result;
}
