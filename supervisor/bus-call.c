#include <assert.h>
#include <fcntl.h>
#include <string.h>

#include "supervisor/apply.h"
#include "supervisor/bus-client.h"
#include "supervisor/orders.h"

static_assert(BUS_TOKEN_LENGTH == ORDER_TOKEN_LENGTH, "both ends agree");

#define CALLS_MAX 1024 /* of one client that wait for an answer */

enum call_kind { CALL_COMMAND, CALL_EXEC, CALL_APPLY };

struct bus_call {
    struct list link; /* bus_client.calls */
    struct bus_client *client;
    sd_bus_message *message;
    enum call_kind kind;
};

/* ---- answers ---- */

int bus_append_clean(sd_bus_message *message, const char *string) {
    scoped_text struct text text = {0};

    text_add_clean(&text, string ? string : "");
    if (text.failed)
        return -ENOMEM;
    return sd_bus_message_append(message, "s", text.data ? text.data : "");
}

static int new_error(sd_bus_message *message, enum bus_error error, int number,
                     const struct fault *fault, sd_bus_message **ret_reply) {
    scoped_text struct text text = {0};

    text_add_clean(&text, fault->text[0] ? fault->text : strerror(abs(number)));
    if (text.failed || !text.data)
        return -ENOMEM;
    return sd_bus_message_new_method_errorf(message, ret_reply, bus_error_name(error), "%s",
                                            text.data);
}

int bus_reply_fault(sd_bus_message *message, enum bus_error error, int number,
                    const struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    int result = new_error(message, error, number, fault, &reply);
    return result < 0 ? result : sd_bus_send(NULL, reply, NULL);
}

enum bus_error bus_error_of(int error) {
    switch (-error) {
    case ENOENT:
        return BUS_NO_SUCH_UNIT;
    case ENOEXEC:
        return BUS_INVALID_UNIT;
    case ESRCH:
        return BUS_NOT_RUNNING;
    case EBUSY:
        return BUS_BUSY;
    case ESHUTDOWN:
        return BUS_SHUTTING_DOWN;
    case ENOTTY:
        return BUS_NO_TERMINAL;
    case EINVAL:
        return BUS_INVALID_ARGUMENTS;
    default:
        return BUS_FAILED;
    }
}

int bus_reply_result(sd_bus_message *message, int error, const struct fault *fault) {
    if (error < 0)
        return bus_reply_fault(message, bus_error_of(error), error, fault);
    return sd_bus_reply_method_return(message, NULL);
}

/* How a transaction failed that had begun: the unit was there, so -ENOENT is about something that
 * the unit needs. */
static enum bus_error command_error(int error) {
    switch (-error) {
    case ESHUTDOWN:
        return BUS_SHUTTING_DOWN;
    case ETIMEDOUT:
        return BUS_TIMED_OUT;
    case ECANCELED:
        return BUS_CANCELED;
    default:
        return BUS_FAILED;
    }
}

static enum bus_error exec_error(int error) {
    switch (-error) {
    case ENOENT:
        return BUS_PROGRAM_NOT_FOUND;
    case EACCES:
    case ENOEXEC:
        return BUS_PROGRAM_NOT_EXECUTABLE;
    case ESRCH:
        return BUS_NOT_RUNNING;
    case ESHUTDOWN:
        return BUS_SHUTTING_DOWN;
    default:
        return BUS_FAILED;
    }
}

/* ---- calls ---- */

static void call_free(struct bus_call *call) {
    if (!call)
        return;
    list_remove(&call->link);
    call->client->call_count--;
    sd_bus_message_unref(call->message);
    free(call);
}

/* With what it returns, where error is none. Whoever cannot be told the outcome would wait for
 * ever, unless the connection ends. */
static void call_end(struct bus_call *call, int error, sd_bus_message *reply) {
    struct bus_client *client = call->client;
    if (error >= 0)
        error = bus_post(client, reply);
    call_free(call);
    if (error < 0)
        bus_client_drop(client);
}

static void call_fail(struct bus_call *call, enum bus_error error, int number,
                      const struct fault *fault) {
    static const struct fault unknown = {""};
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    number = new_error(call->message, error, number, fault ? fault : &unknown, &reply);
    call_end(call, number, reply);
}

static struct bus_call *call_new(struct bus_client *client, sd_bus_message *message,
                                 enum call_kind kind) {
    struct bus_call *call =
        client->call_count < CALLS_MAX && !client->gone ? calloc(1, sizeof(*call)) : NULL;

    if (!call)
        return NULL;
    *call =
        (struct bus_call){.client = client, .message = sd_bus_message_ref(message), .kind = kind};
    client->call_count++;
    list_append(&client->calls, &call->link);
    return call;
}

static int refuse_more(sd_bus_message *message) {
    return sd_bus_reply_method_errorf(message, bus_error_name(BUS_LIMITS_EXCEEDED),
                                      "%d commands of this client are under way", CALLS_MAX);
}

void bus_calls_withdraw(struct bus_client *client) {
    struct bus_call *call, *following;
    struct manager *manager = client->bus->manager;

    list_for_each_safe(call, following, &client->calls, link) {
        if (call->kind == CALL_EXEC)
            manager_exec_abandon(manager, call);
        else if (call->kind == CALL_APPLY)
            manager_apply_withdraw(manager, call);
        else
            manager_withdraw(manager, call);
        call_free(call);
    }
}

void bus_calls_refuse(struct bus_client *client) {
    static const struct fault fault = {"the manager ends"};
    struct bus_call *call;

    list_for_each(call, &client->calls, link)
        bus_reply_fault(call->message, BUS_SHUTTING_DOWN, -ESHUTDOWN, &fault);
}

/* ---- commands ---- */

static void on_command_done(void *context, int error, const struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    struct bus_call *call = context;

    if (error < 0) {
        call_fail(call, command_error(error), error, fault);
        return;
    }
    error = sd_bus_message_new_method_return(call->message, &reply);
    call_end(call, error, reply);
}

/* token NULL: done anew each time that it is asked for. */
static int order(struct bus_client *client, sd_bus_message *message, enum command command,
                 const char *name, bool wait, const char *token) {
    struct manager *manager = client->bus->manager;
    struct fault fault = {""};
    struct bus_call *call;
    int error;

    if (!wait) {
        error = manager_order(manager, command, name, token, NULL, NULL, &fault);
        return client->gone ? 1 : bus_reply_result(message, error, &fault);
    }
    call = call_new(client, message, CALL_COMMAND);
    if (!call)
        return refuse_more(message);
    error = manager_order(manager, command, name, token, on_command_done, call, &fault);
    if (error >= 0 || client->gone)
        return 1; /* the call may be answered and gone already */
    call_free(call);
    return bus_reply_result(message, error, &fault);
}

int bus_command(struct bus_client *client, sd_bus_message *message, enum command command,
                const char *name, bool wait) {
    return order(client, message, command, name, wait, NULL);
}

int bus_order(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
    static const char *const words[] = {[COMMAND_START] = "start",
                                        [COMMAND_STOP] = "stop",
                                        [COMMAND_RESTART] = "restart",
                                        [COMMAND_RELOAD] = "reload"};
    const char *word, *name, *token;
    int wait, error = sd_bus_message_read(message, "ssbs", &word, &name, &wait, &token);
    (void)unused;

    if (error < 0)
        return error;
    if (!order_token_is_valid(token))
        return sd_bus_reply_method_errorf(message, bus_error_name(BUS_INVALID_ARGUMENTS),
                                          "a token is %d hexadecimal digits", ORDER_TOKEN_LENGTH);
    for (size_t i = 0; i < ELEMENTS(words); i++)
        if (strcmp(words[i], word) == 0)
            return order(userdata, message, (enum command)i, name, wait, token);
    return sd_bus_reply_method_errorf(message, bus_error_name(BUS_INVALID_ARGUMENTS),
                                      "an order is start, stop, restart or reload");
}

/* ---- apply ---- */

static int append_plan(sd_bus_message *reply, const struct plan *plan) {
    int error = sd_bus_message_open_container(reply, 'a', "(ssss)");

    for (size_t i = 0; i < plan->count && error >= 0; i++) {
        const struct plan_row *row = &plan->rows[i];
        if ((error = sd_bus_message_open_container(reply, 'r', "ssss")) < 0 ||
            (error = sd_bus_message_append(reply, "ss", row->name, plan_action_word(row->action))) <
                0 ||
            (error = bus_append_clean(reply, row->why)) < 0 ||
            (error = bus_append_clean(reply, row->failure)) < 0)
            return error;
        error = sd_bus_message_close_container(reply);
    }
    return error < 0 ? error : sd_bus_message_close_container(reply);
}

static void on_apply_done(void *context, const struct plan *plan) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    struct bus_call *call = context;
    static const struct fault fault = {"the plan was done, and cannot be told"};
    int error = sd_bus_message_new_method_return(call->message, &reply);

    if (error >= 0)
        error = append_plan(reply, plan);
    if (error < 0)
        call_fail(call, BUS_FAILED, error, &fault);
    else
        call_end(call, 0, reply);
}

int bus_apply(struct bus_client *client, sd_bus_message *message, bool dry_run, bool keep_going) {
    struct fault fault = {""};
    unsigned flags = (dry_run ? APPLY_DRY_RUN : 0) | (keep_going ? APPLY_KEEP_GOING : 0);
    struct bus_call *call = call_new(client, message, CALL_APPLY);

    if (!call)
        return refuse_more(message);
    int error = manager_apply(client->bus->manager, flags, on_apply_done, call, &fault);
    if (error >= 0 || client->gone)
        return 1; /* the call may be answered and gone already */
    call_free(call);
    return bus_reply_result(message, error, &fault);
}

/* ---- exec ---- */

static void on_exec_done(void *context, int error, int wait_status, const struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    struct bus_call *call = context;

    if (error < 0) {
        call_fail(call, exec_error(error), error, fault);
        return;
    }
    error = sd_bus_message_new_method_return(call->message, &reply);
    if (error >= 0)
        error = sd_bus_message_append(reply, "ii",
                                      WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 0,
                                      WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0);
    call_end(call, error, reply);
}

/* The message owns the client's descriptors until it is answered, which is when the process ends:
 * held so long, the client's pipes would never see an end of file. */
static void let_go(const int standard[3]) {
    scoped_fd int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int i = 0; nothing >= 0 && i < 3; i++)
        dup3(nothing, standard[i], O_CLOEXEC);
}

static void strings_free(struct strings *strings) {
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
}

static int read_strings(sd_bus_message *message, struct strings *ret_strings) {
    int error = sd_bus_message_read_strv(message, &ret_strings->items);

    while (ret_strings->items && ret_strings->items[ret_strings->count])
        ret_strings->count++;
    return error;
}

static int start_exec(struct bus_client *client, sd_bus_message *message, const char *name,
                      const struct run_request *request) {
    struct fault fault = {""};
    struct bus_call *call = call_new(client, message, CALL_EXEC);
    int error;

    if (!call)
        return refuse_more(message);
    error = manager_exec(client->bus->manager, name, request, on_exec_done, call, &fault);
    if (error >= 0 || client->gone) {
        let_go(request->standard);
        return 1;
    }
    call_free(call);
    return bus_reply_fault(message, exec_error(error), error, &fault);
}

int bus_exec(struct bus_client *client, sd_bus_message *message, const char *name) {
    __attribute__((cleanup(strings_free))) struct strings exec = {0};
    __attribute__((cleanup(strings_free))) struct strings environment = {0};
    struct run_request request = {.place = RUN_BESIDE, .ready_fd = -1};
    const char *user, *directory;
    int tty, *standard = request.standard;
    int error = read_strings(message, &exec);

    if (error < 0 || (error = read_strings(message, &environment)) < 0 ||
        (error = sd_bus_message_read(message, "ssbhhh", &user, &directory, &tty, &standard[0],
                                     &standard[1], &standard[2])) < 0)
        return error;
    if (exec.count == 0 || !exec.items[0][0])
        return sd_bus_reply_method_errorf(message, bus_error_name(BUS_INVALID_ARGUMENTS),
                                          "exec: no program is named");
    if (directory[0] && directory[0] != '/')
        return sd_bus_reply_method_errorf(message, bus_error_name(BUS_INVALID_ARGUMENTS),
                                          "exec: the working directory \"%s\" is not absolute",
                                          directory);
    request.exec = &exec;
    request.environment = environment.count ? &environment : NULL;
    request.user = user[0] ? user : NULL;
    request.working_directory = directory[0] ? directory : NULL;
    request.tty = tty;
    return start_exec(client, message, name, &request);
}

int bus_exec_signal(struct bus_client *client, sd_bus_message *message, uint64_t cookie,
                    int signal) {
    struct fault fault = {""};
    struct bus_call *call;

    list_for_each(call, &client->calls, link) {
        uint64_t its_cookie;
        if (call->kind == CALL_EXEC && sd_bus_message_get_cookie(call->message, &its_cookie) >= 0 &&
            its_cookie == cookie)
            return bus_reply_result(
                message, manager_exec_signal(client->bus->manager, call, signal, &fault), &fault);
    }
    fault_say(&fault, ESRCH, "this client has no such exec under way");
    return bus_reply_fault(message, BUS_NOT_RUNNING, -ESRCH, &fault);
}
