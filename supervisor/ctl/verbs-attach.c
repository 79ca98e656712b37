#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "supervisor/ctl/terminal.h"
#include "supervisor/ctl/view.h"

#define DETACH_KEYS "ctrl-p,ctrl-q"
#define ATTACH_TRIES 50     /* while the logger, which sends the output, is away */
#define ATTACH_PAUSE 100000 /* microseconds between two of them */
#define LINES_BEFORE "10"   /* of a unit without a terminal */

const struct flag attach_flags[] = {
    {"detach-keys", 0, "KEYS", "what is typed to leave (" DETACH_KEYS ")"},
    {"no-stdin", 0, NULL, "watch only"},
    {0},
};

struct attachment {
    const struct tool *tool;
    sd_bus *bus;
    const char *unit;
    const char *keys;
    bool watch_only;
    int signals;
    uint32_t pid; /* of the run that we are attached to */
    struct terminal terminal;
};

/* ---- without a terminal ---- */

static int show_logs(const struct tool *tool, char *unit) {
    char *operands[] = {unit, NULL};
    const struct arguments arguments = {
        .operands = operands,
        .count = 1,
        .given = {{&logs_flags[0], ""}, {&logs_flags[1], LINES_BEFORE}},
        .given_count = 2,
    };
    fprintf(stderr, "%s has no terminal of its own; this is its output\n", unit);
    return verb_logs(tool, &arguments);
}

/* ---- with one ---- */

/* EXIT_OK with *ret_none where the unit has no terminal; else an exit code with the sentence. */
static int attach(struct attachment *attachment, bool *ret_none, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    sd_bus_error answer = SD_BUS_ERROR_NULL;
    int master, output, code = EXIT_OK;
    int error = sd_bus_call_method(attachment->bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER, "Attach",
                                   &answer, &reply, "s", attachment->unit);

    *ret_none = error < 0 && sd_bus_error_has_name(&answer, bus_error_name(BUS_NO_TERMINAL));
    if (error < 0 && !*ret_none)
        code = client_error(&answer, error, fault);
    sd_bus_error_free(&answer);
    if (error < 0)
        return code;
    if ((error = sd_bus_message_read(reply, "hh", &master, &output)) < 0)
        return client_broken(error, fault);
    /* They are the message's. */
    scoped_fd int own_master = fcntl(master, F_DUPFD_CLOEXEC, 0);
    scoped_fd int own_output = fcntl(output, F_DUPFD_CLOEXEC, 0);
    if (own_master < 0 || own_output < 0 ||
        (error = terminal_join(&attachment->terminal, take_fd(&own_master), take_fd(&own_output),
                               attachment->keys)) < 0) {
        fault_set(fault, error < 0 ? error : errno, "cannot attach to %s", attachment->unit);
        return EXIT_FAILED;
    }
    attachment->terminal.input_ended = attachment->watch_only;
    return EXIT_OK;
}

static int catch_signals(void) {
    static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ELEMENTS(caught); i++)
        sigaddset(&set, caught[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* The signal that ends us, or 0. */
static int heed_signal(struct attachment *attachment) {
    struct signalfd_siginfo information;

    if (read(attachment->signals, &information, sizeof(information)) != sizeof(information))
        return 0;
    if (information.ssi_signo != SIGWINCH)
        return (int)information.ssi_signo;
    terminal_resize(&attachment->terminal);
    return 0;
}

/* Until it is detached or the output ends: 0; a signal; or -errno. */
static int relay(struct attachment *attachment) {
    struct terminal *terminal = &attachment->terminal;

    while (terminal->output >= 0 && !terminal->detached) {
        struct pollfd waited[1 + TERMINAL_POLLS];
        int result;
        waited[0] = (struct pollfd){.fd = attachment->signals, .events = POLLIN};
        terminal_prepare(terminal, waited + 1);
        if (poll(waited, ELEMENTS(waited), -1) < 0) {
            if (errno != EINTR)
                return -errno;
            continue;
        }
        if ((waited[0].revents & POLLIN) && (result = heed_signal(attachment)) != 0)
            return result;
        if ((result = terminal_relay(terminal, waited + 1)) < 0)
            return result;
    }
    return 0;
}

/* The run that we saw has ended: its code is ours. */
static int tell_end(const struct attachment *attachment, const struct view *view) {
    scoped_text struct text text = {0};

    view_end(view, &text);
    fprintf(stderr, "%s %s\n", attachment->unit, text.length ? text.data : "has ended");
    return view->exit_signal > 0 ? EXIT_SIGNAL + view->exit_signal : view->exit_code;
}

/* The output ended: with the run, or since the logger went away and will be back. */
static int go_on(struct attachment *attachment, bool *ret_again) {
    struct fault fault;
    bool none;

    for (int tries = 0; tries < ATTACH_TRIES; tries++) {
        scoped_view struct view view = {0};
        int code = view_read(attachment->bus, attachment->unit, &view, &fault);
        if (code != EXIT_OK)
            return tool_fail(code, "%s", fault.text);
        if (view.main_pid != attachment->pid)
            return tell_end(attachment, &view);
        if (attach(attachment, &none, &fault) == EXIT_OK && !none) {
            *ret_again = true;
            return EXIT_OK;
        }
        usleep(ATTACH_PAUSE);
    }
    return tool_fail(EXIT_FAILED, "%s", fault.text);
}

static int converse(struct attachment *attachment) {
    bool again = true;
    int code = EXIT_OK;

    while (again) {
        again = false;
        int result = relay(attachment);
        bool detached = attachment->terminal.detached;
        terminal_close(&attachment->terminal);
        if (result < 0)
            return tool_fail(EXIT_FAILED, "attach: %s", strerror(-result));
        if (result > 0)
            return EXIT_SIGNAL + result;
        if (detached) {
            fprintf(stderr, "\ndetached from %s\n", attachment->unit);
            return EXIT_OK;
        }
        code = go_on(attachment, &again);
    }
    return code;
}

int verb_attach(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped_view struct view view = {0};
    const char *given = arguments_value(arguments, "detach-keys");
    char keys[TERMINAL_KEYS_MAX + 1], *unit = arguments->operands[0];
    struct fault fault;
    bool none;

    if (terminal_parse_keys(given ? given : DETACH_KEYS, keys) < 0)
        return tool_fail(EXIT_USAGE, "attach: --detach-keys=%s: keys as \"" DETACH_KEYS "\"",
                         given);
    int code = client_open(tool, &bus, &fault);
    if (code != EXIT_OK || (code = view_read(bus, unit, &view, &fault)) != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    scoped_fd int signals = catch_signals();
    struct attachment attachment = {
        .tool = tool,
        .bus = bus,
        .unit = unit,
        .keys = keys,
        .watch_only = arguments_value(arguments, "no-stdin") != NULL,
        .signals = signals,
        .pid = view.main_pid,
        .terminal = {.master = -EBADF, .output = -EBADF},
    };
    code = attach(&attachment, &none, &fault);
    if (code != EXIT_OK) {
        terminal_close(&attachment.terminal);
        return tool_fail(code, "%s", fault.text);
    }
    if (none) {
        sigset_t all; /* nothing of ours is to be put back: ctrl-c may end it */
        sigfillset(&all);
        sigprocmask(SIG_UNBLOCK, &all, NULL);
        return show_logs(tool, unit);
    }
    if (attachment.terminal.raw)
        fprintf(stderr, "attached to %s; %s leaves\r\n", unit, given ? given : DETACH_KEYS);
    return converse(&attachment);
}
