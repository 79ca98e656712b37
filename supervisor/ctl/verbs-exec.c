#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "supervisor/ctl/client.h"
#include "supervisor/ctl/terminal.h"

const struct flag exec_flags[] = {
    {"env", 'e', "NAME=VALUE", "an environment variable more; may be repeated"},
    {"user", 'u', "USER[:GROUP]", "as this user instead of the unit's"},
    {"workdir", 'w', "DIR", "in this directory instead of the unit's"},
    {"tty", 't', NULL, "a terminal of its own, even where this is none"},
    {"interactive", 'i', NULL,
     "with --tty: type standard input into it, even if it is no terminal"},
    {"no-tty", 'T', NULL, "no terminal of its own, even where this is one"},
    {0},
};

/* The client's side of one program: its answer, and the signals that it is to get. */
struct execution {
    sd_bus *bus;
    uint64_t serial; /* of the call, by which ExecSignal names it */
    int signals;     /* signalfd */
    struct terminal terminal;
    bool done;
    int code;
};

/* Every failure of ours is 125, so that none passes for the program's own code. */
static int exec_code(const sd_bus_error *error) {
    switch (bus_error_parse(error->name)) {
    case BUS_PROGRAM_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case BUS_PROGRAM_NOT_EXECUTABLE:
        return EXIT_NOT_EXECUTABLE;
    default:
        return EXIT_EXEC_FAILED;
    }
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused) {
    struct execution *execution = userdata;
    const sd_bus_error *error = sd_bus_message_get_error(reply);
    struct fault fault;
    int code, signal;
    (void)unused;

    execution->done = true;
    if (error) {
        client_error(error, -sd_bus_message_get_errno(reply), &fault);
        execution->code = tool_fail(exec_code(error), "%s", fault.text);
        return 0;
    }
    int result = sd_bus_message_read(reply, "ii", &code, &signal);
    if (result < 0)
        return result;
    execution->code = signal ? EXIT_SIGNAL + signal : code;
    return 0;
}

static int append_variable(sd_bus_message *call, const char *name, const char *value) {
    scoped_free char *variable = NULL;

    if (asprintf(&variable, "%s=%s", name, value) < 0) {
        variable = NULL;
        return -ENOMEM;
    }
    return sd_bus_message_append(call, "s", variable);
}

static int append_environment(sd_bus_message *call, const struct arguments *arguments,
                              bool terminal) {
    int error = sd_bus_message_open_container(call, 'a', "s");

    /* What our own terminal is; the person's word comes later, and wins. */
    if (terminal && getenv("TERM") && error >= 0)
        error = append_variable(call, "TERM", getenv("TERM"));
    for (size_t i = 0; i < arguments->given_count && error >= 0; i++)
        if (arguments->given[i].flag->letter == 'e')
            error = sd_bus_message_append(call, "s", arguments->given[i].value);
    return error < 0 ? error : sd_bus_message_close_container(call);
}

/* standard: what become its 0, 1 and 2. */
static int send_call(struct execution *execution, const struct arguments *arguments,
                     const int standard[3]) {
    scoped(sd_bus_message_unref) sd_bus_message *call = NULL;
    const char *user = arguments_value(arguments, "user");
    const char *directory = arguments_value(arguments, "workdir");
    int error = sd_bus_message_new_method_call(execution->bus, &call, NULL, BUS_MANAGER_PATH,
                                               BUS_MANAGER, "Exec");

    if (error >= 0)
        error = sd_bus_message_append(call, "s", arguments->operands[0]);
    if (error >= 0)
        error = sd_bus_message_append_strv(call, arguments->operands + 1);
    if (error >= 0)
        error = append_environment(call, arguments, execution->terminal.raw);
    if (error >= 0)
        error = sd_bus_message_append(call, "ssbhhh", user ? user : "", directory ? directory : "",
                                      execution->terminal.master >= 0, standard[0], standard[1],
                                      standard[2]);
    if (error >= 0)
        error = sd_bus_call_async(execution->bus, NULL, call, on_answer, execution, UINT64_MAX);
    return error < 0 ? error : sd_bus_message_get_cookie(call, &execution->serial);
}

/* Not answered: a signal that comes too late is none. */
static int forward_signal(struct execution *execution) {
    struct signalfd_siginfo information;

    if (read(execution->signals, &information, sizeof(information)) != sizeof(information))
        return 0;
    if (information.ssi_signo == SIGWINCH) {
        terminal_resize(&execution->terminal);
        return 0;
    }
    return sd_bus_call_method_async(execution->bus, NULL, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                    "ExecSignal", NULL, NULL, "ti", execution->serial,
                                    (int)information.ssi_signo);
}

static int run(struct execution *execution) {
    while (!execution->done) {
        struct pollfd waited[2 + TERMINAL_POLLS];
        int events, result = sd_bus_process(execution->bus, NULL);
        if (result > 0)
            continue;
        if (result < 0 || (events = sd_bus_get_events(execution->bus)) < 0)
            return result < 0 ? result : events;
        waited[0] = (struct pollfd){.fd = sd_bus_get_fd(execution->bus), .events = (short)events};
        waited[1] = (struct pollfd){.fd = execution->signals, .events = POLLIN};
        terminal_prepare(&execution->terminal, waited + 2);
        if (poll(waited, ELEMENTS(waited), -1) < 0) {
            if (errno != EINTR)
                return -errno;
            continue;
        }
        if ((waited[1].revents & POLLIN) && (result = forward_signal(execution)) < 0)
            return result;
        if ((result = terminal_relay(&execution->terminal, waited + 2)) < 0)
            return result;
    }
    return 0;
}

/* What a shell or a supervisor sends to a program in the foreground, all that may be caught. */
static int catch_signals(void) {
    static const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                                    SIGUSR2, SIGALRM, SIGCONT, SIGWINCH};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ELEMENTS(forwarded); i++)
        sigaddset(&set, forwarded[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* On a terminal, or where it is asked for, the program gets one of its own, else our three streams
 * as they are. */
static int choose_streams(struct execution *execution, const struct arguments *arguments,
                          int standard[3], int *ret_slave) {
    bool wanted = arguments_value(arguments, "tty") != NULL;
    bool refused = arguments_value(arguments, "no-tty") != NULL;
    bool interactive = arguments_value(arguments, "interactive") != NULL;

    if (wanted && refused)
        return tool_fail(EXIT_EXEC_FAILED, "exec: --tty and --no-tty contradict each other");
    if (refused || (!wanted && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))))
        return EXIT_OK;
    int error = terminal_open(&execution->terminal, interactive, ret_slave);
    if (error < 0)
        return tool_fail(EXIT_EXEC_FAILED,
                         "exec: cannot make a terminal: %s; --no-tty does without",
                         strerror(-error));
    standard[0] = standard[1] = *ret_slave;
    if (wanted || isatty(STDERR_FILENO))
        standard[2] = *ret_slave;
    return EXIT_OK;
}

int verb_exec(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    struct execution execution = {.terminal = {.master = -EBADF, .output = -EBADF}};
    struct fault fault;
    int error;

    if (client_open(tool, &bus, &fault) != EXIT_OK)
        return tool_fail(EXIT_EXEC_FAILED, "%s", fault.text);
    scoped_fd int signals = catch_signals(), slave = -EBADF;
    int standard[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    execution.bus = bus;
    execution.signals = signals;
    if (choose_streams(&execution, arguments, standard, &slave) != EXIT_OK)
        return EXIT_EXEC_FAILED;
    error = signals < 0 ? signals : send_call(&execution, arguments, standard);
    slave = close_fd(slave); /* so that the program's end is the terminal's */
    if (error >= 0)
        error = run(&execution);
    terminal_close(&execution.terminal);
    if (error < 0) {
        client_broken(error, &fault);
        return tool_fail(EXIT_EXEC_FAILED, "%s", fault.text);
    }
    return execution.code;
}
