#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "supervisor/ctl/client.h"

const struct flag exec_flags[] = {
    {"env", 'e', "NAME=VALUE", "an environment variable more; may be repeated"},
    {"user", 'u', "USER[:GROUP]", "as this user instead of the unit's"},
    {"workdir", 'w', "DIR", "in this directory instead of the unit's"},
    {0},
};

/* The client's side of one program: its answer, and the signals that it is to get. */
struct execution {
    sd_bus *bus;
    uint64_t serial; /* of the call, by which ExecSignal names it */
    int signals;     /* signalfd */
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

static int append_environment(sd_bus_message *call, const struct arguments *arguments) {
    int error = sd_bus_message_open_container(call, 'a', "s");

    for (size_t i = 0; i < arguments->given_count && error >= 0; i++)
        if (arguments->given[i].flag->letter == 'e')
            error = sd_bus_message_append(call, "s", arguments->given[i].value);
    return error < 0 ? error : sd_bus_message_close_container(call);
}

static int send_call(struct execution *execution, const struct arguments *arguments) {
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
        error = append_environment(call, arguments);
    if (error >= 0)
        error = sd_bus_message_append(call, "ssbhhh", user ? user : "", directory ? directory : "",
                                      false, STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO);
    if (error >= 0)
        error = sd_bus_call_async(execution->bus, NULL, call, on_answer, execution, UINT64_MAX);
    return error < 0 ? error : sd_bus_message_get_cookie(call, &execution->serial);
}

/* Not answered: a signal that comes too late is none. */
static int forward_signal(struct execution *execution) {
    struct signalfd_siginfo information;

    if (read(execution->signals, &information, sizeof(information)) != sizeof(information))
        return 0;
    return sd_bus_call_method_async(execution->bus, NULL, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                    "ExecSignal", NULL, NULL, "ti", execution->serial,
                                    (int)information.ssi_signo);
}

static int run(struct execution *execution) {
    while (!execution->done) {
        int events, result = sd_bus_process(execution->bus, NULL);
        if (result > 0)
            continue;
        if (result < 0 || (events = sd_bus_get_events(execution->bus)) < 0)
            return result < 0 ? result : events;
        struct pollfd waited[] = {
            {.fd = sd_bus_get_fd(execution->bus), .events = (short)events},
            {.fd = execution->signals, .events = POLLIN},
        };
        if (poll(waited, ELEMENTS(waited), -1) < 0 && errno != EINTR)
            return -errno;
        if ((waited[1].revents & POLLIN) && (result = forward_signal(execution)) < 0)
            return result;
    }
    return 0;
}

/* What a shell or a supervisor sends to a program in the foreground, all that may be caught. */
static int catch_signals(void) {
    static const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                    SIGUSR1, SIGUSR2, SIGALRM, SIGCONT};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ELEMENTS(forwarded); i++)
        sigaddset(&set, forwarded[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int verb_exec(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    struct execution execution = {0};
    struct fault fault;
    int error;

    if (client_open(tool, &bus, &fault) != EXIT_OK)
        return tool_fail(EXIT_EXEC_FAILED, "%s", fault.text);
    scoped_fd int signals = catch_signals();
    execution.bus = bus;
    execution.signals = signals;
    error = signals < 0 ? signals : send_call(&execution, arguments);
    if (error >= 0)
        error = run(&execution);
    if (error < 0) {
        client_broken(error, &fault);
        return tool_fail(EXIT_EXEC_FAILED, "%s", fault.text);
    }
    return execution.code;
}
