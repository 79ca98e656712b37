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
    const char *verb, *unit;
    char token[CLIENT_TOKEN_SIZE]; /* by which the manager knows it when it is asked again */
    size_t *left;                  /* of those that were asked, how many have no answer */
    bool answered;
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
    const sd_bus_error *error = sd_bus_message_get_error(reply);
    (void)unused;

    --*pending->left;
    pending->answered = !error || !client_is_unanswered(error);
    if (!error || !pending->answered)
        return 0;
    pending->code = client_error(error, -sd_bus_message_get_errno(reply), &pending->fault);
    if (pending->code != EXIT_NO_UNIT) /* whose sentence comes with a suggestion, later */
        tell(pending->verb, pending->unit, pending->code, &pending->fault);
    return 0;
}

static int ask(sd_bus *bus, bool wait, struct pending *pending) {
    scoped(sd_bus_message_unref) sd_bus_message *call = NULL;
    int error =
        sd_bus_message_new_method_call(bus, &call, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "Order");

    if (error >= 0)
        error =
            sd_bus_message_append(call, "ssbs", pending->verb, pending->unit, wait, pending->token);
    if (error >= 0)
        error = sd_bus_call_async(bus, NULL, call, on_answer, pending, UINT64_MAX);
    return error;
}

/* All that have no answer yet. */
static int ask_all(sd_bus *bus, bool wait, struct pending *pending, size_t count) {
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        if (pending[i].answered)
            continue;
        pending[i].left = &left;
        int error = ask(bus, wait, &pending[i]);
        if (error < 0)
            return error;
        left++;
    }
    while (left) {
        int result = sd_bus_process(bus, NULL);
        if (result == 0)
            result = sd_bus_wait(bus, UINT64_MAX);
        if (result < 0 && result != -EINTR)
            return result;
    }
    return 0;
}

static bool all_answered(const struct pending *pending, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!pending[i].answered)
            return false;
    return true;
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

static struct pending *pending_new(const struct tool *tool, char *const *units, size_t count) {
    struct pending *pending = calloc(count, sizeof(*pending));

    for (size_t i = 0; pending && i < count; i++) {
        pending[i].verb = tool->verb->name;
        pending[i].unit = units[i];
        client_make_token(pending[i].token);
    }
    return pending;
}

static int command(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_free struct pending *pending = pending_new(tool, arguments->operands, arguments->count);
    bool wait = arguments_value(arguments, "no-wait") == NULL;
    struct client_patience patience = {0};
    struct fault fault;
    int code = client_open_or_await(tool, &bus, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    if (!pending)
        return tool_fail(EXIT_FAILED, "out of memory");
    for (;;) {
        int error = ask_all(bus, wait, pending, arguments->count);
        if (all_answered(pending, arguments->count))
            return judge(bus, pending, arguments->count);
        if (error < 0 && sd_bus_is_open(bus) > 0)
            code = client_broken(error, &fault);
        else
            code = client_reopen(tool, &bus, &patience, &fault);
        if (code != EXIT_OK)
            return tool_fail(code, "%s", fault.text);
    }
}

int verb_start(const struct tool *tool, const struct arguments *arguments) {
    return command(tool, arguments);
}

int verb_stop(const struct tool *tool, const struct arguments *arguments) {
    return command(tool, arguments);
}

int verb_restart(const struct tool *tool, const struct arguments *arguments) {
    return command(tool, arguments);
}

/* Of the host's own file, and of drop-ins that no unit has: the rest of them holds. */
static int tell_host(sd_bus *bus) {
    scoped_free char *complaints = NULL;
    struct fault fault;
    int code = client_property(bus, "Complaints", &complaints, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    if (!complaints[0])
        return EXIT_OK;
    tool_fail(EXIT_INVALID, "not all of the host's settings were taken");
    fputs(complaints, stderr);
    return EXIT_INVALID;
}

/* The files are read again; what is wrong with them now is shown at once. */
static int reload_files(const struct tool *tool) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_views struct views views = {0};
    struct fault fault;
    int code = client_open_or_await(tool, &bus, &fault);

    if (code != EXIT_OK ||
        (code = client_insist(tool, &bus, "ReloadUnits", NULL, &fault, NULL)) != EXIT_OK ||
        (code = views_list(bus, NULL, &views, &fault)) != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    code = tell_host(bus);
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
    return arguments->count ? command(tool, arguments) : reload_files(tool);
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
    if ((code = client_open_or_await(tool, &bus, &fault)) != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    for (char **unit = arguments->operands; *unit; unit++) {
        code = client_call(bus, "Kill", NULL, &fault, "sib", *unit, signal, all);
        if (code != EXIT_OK)
            result = refused(bus, tool->verb->name, *unit, code, &fault);
        if (code == EXIT_UNREACHABLE)
            break;
    }
    return result;
}

static int each_unit(const struct tool *tool, const struct arguments *arguments,
                     const char *method) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    struct fault fault;
    int result = EXIT_OK, code = client_open_or_await(tool, &bus, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    for (char **unit = arguments->operands; *unit; unit++) {
        code = client_insist(tool, &bus, method, NULL, &fault, "s", *unit);
        if (code != EXIT_OK)
            result = refused(bus, tool->verb->name, *unit, code, &fault);
        if (code == EXIT_UNREACHABLE)
            break;
    }
    return result;
}

int verb_pause(const struct tool *tool, const struct arguments *arguments) {
    return each_unit(tool, arguments, "Pause");
}

int verb_resume(const struct tool *tool, const struct arguments *arguments) {
    return each_unit(tool, arguments, "Resume");
}

/* Of all at once: a volume that several have goes when all of them are named. */
static int remove_volumes(const struct tool *tool, sd_bus **bus, char **units,
                          struct fault *fault) {
    struct client_patience patience = {0};
    int code;

    do {
        scoped(sd_bus_message_unref) sd_bus_message *call = NULL;
        int error = sd_bus_message_new_method_call(*bus, &call, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                                   "RemoveVolumes");
        if (error >= 0)
            error = sd_bus_message_append_strv(call, units);
        code = error < 0 ? client_broken(error, fault) : client_send(*bus, call, NULL, fault);
    } while (client_is_lost(*bus, code) &&
             (code = client_reopen(tool, bus, &patience, fault)) == EXIT_OK);
    return code;
}

int verb_rm(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_free char **removed = calloc(arguments->count + 1, sizeof(*removed));
    size_t count = 0;
    bool volumes = arguments_value(arguments, "volumes") != NULL;
    struct fault fault;
    int result = EXIT_OK, code = client_open_or_await(tool, &bus, &fault);

    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    if (!removed)
        return tool_fail(EXIT_FAILED, "out of memory");
    for (char **unit = arguments->operands; *unit; unit++) {
        code = client_insist(tool, &bus, "Remove", NULL, &fault, "sb", *unit, false);
        if (code != EXIT_OK)
            result = refused(bus, tool->verb->name, *unit, code, &fault);
        else
            removed[count++] = *unit;
        if (code == EXIT_UNREACHABLE)
            return result;
    }
    if (volumes && count && (code = remove_volumes(tool, &bus, removed, &fault)) != EXIT_OK)
        result = tool_fail(code, "%s", fault.text);
    return result;
}
