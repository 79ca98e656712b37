#include "supervisor/ctl/terminal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "units/base/scoped.h"

#define END_OF_FILE 4 /* ctrl-d, as a new terminal has it */

/* Whatever is typed goes to the program as it is. */
static int make_raw(struct terminal *terminal) {
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, &terminal->before) < 0)
        return errno == ENOTTY ? 0 : -errno;
    raw = terminal->before;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        return -errno;
    terminal->raw = true;
    return 0;
}

int terminal_open(struct terminal *terminal, bool interactive, int *ret_slave) {
    scoped_fd int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    scoped_fd int slave = -EBADF;

    *terminal = (struct terminal){.master = -EBADF, .output = -EBADF};
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return -errno;
    /* Not by its path, which another mount of devpts may hide. */
    slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -errno;
    int error = make_raw(terminal);
    if (error < 0)
        return error;
    if (terminal->raw && tcsetattr(slave, TCSANOW, &terminal->before) < 0)
        return -errno;
    terminal->input_ended = !terminal->raw && !interactive;
    terminal->sends_end = !terminal->raw;
    terminal->output = terminal->master = take_fd(&master);
    terminal_resize(terminal);
    *ret_slave = take_fd(&slave);
    return 0;
}

int terminal_join(struct terminal *terminal, int master, int output, const char *keys) {
    *terminal = (struct terminal){.master = master, .output = output, .keys = keys};
    terminal_resize(terminal);
    return make_raw(terminal);
}

void terminal_resize(const struct terminal *terminal) {
    struct winsize size;
    if (terminal->master >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        ioctl(terminal->master, TIOCSWINSZ, &size);
}

void terminal_prepare(const struct terminal *terminal, struct pollfd polls[TERMINAL_POLLS]) {
    bool open = terminal->master >= 0;
    bool reads = open && terminal->pending_count == 0 && !terminal->input_ended;

    polls[0] = (struct pollfd){.fd = reads ? STDIN_FILENO : -1, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = terminal->output, .events = POLLIN};
    polls[2] =
        (struct pollfd){.fd = terminal->pending_count ? terminal->master : -1, .events = POLLOUT};
}

static int write_all(const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, count);
        if (written < 0 && errno == EAGAIN) { /* somebody made our terminal non-blocking */
            struct pollfd waited = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&waited, 1, -1);
            continue;
        }
        if (written < 0 && errno != EINTR)
            return -errno;
        bytes += written > 0 ? written : 0;
        count -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static void let_go(struct terminal *terminal) {
    if (terminal->output != terminal->master)
        close_fd(terminal->output);
    terminal->master = close_fd(terminal->master);
    terminal->output = -EBADF;
}

/* 1: something was shown, 0: nothing there, or the program has let go of its terminal (EIO). */
static int show_output(struct terminal *terminal) {
    char buffer[4096];
    ssize_t count = read(terminal->output, buffer, sizeof(buffer));

    if (count > 0) {
        int error = write_all(buffer, (size_t)count);
        return error < 0 ? error : 1;
    }
    if (count == 0 || (errno != EAGAIN && errno != EINTR))
        let_go(terminal);
    return 0;
}

/* Keys that may begin those that detach are kept back until the next one decides. */
static void type(struct terminal *terminal, char key) {
    const char *keys = terminal->keys;

    if (keys && key == keys[terminal->keys_typed]) {
        terminal->detached = !keys[++terminal->keys_typed];
        return;
    }
    if (keys && terminal->keys_typed > 0) {
        memcpy(terminal->pending + terminal->pending_count, keys, terminal->keys_typed);
        terminal->pending_count += terminal->keys_typed;
        terminal->keys_typed = 0;
        type(terminal, key);
        return;
    }
    terminal->pending[terminal->pending_count++] = key;
}

/* On its own line; elsewhere the first would only end the line. */
static void type_end(struct terminal *terminal) {
    terminal->input_ended = true;
    if (terminal->sends_end)
        terminal->pending[terminal->pending_count++] = END_OF_FILE;
}

static void take_input(struct terminal *terminal) {
    char typed[sizeof(terminal->pending) / 2];
    ssize_t count = read(STDIN_FILENO, typed, sizeof(typed));

    for (ssize_t i = 0; i < count && !terminal->detached; i++)
        type(terminal, typed[i]);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        type_end(terminal);
}

static void pass_input(struct terminal *terminal) {
    ssize_t count = write(terminal->master, terminal->pending, terminal->pending_count);

    if (count <= 0)
        return;
    terminal->pending_count -= (size_t)count;
    memmove(terminal->pending, terminal->pending + count, terminal->pending_count);
}

int terminal_relay(struct terminal *terminal, const struct pollfd polls[TERMINAL_POLLS]) {
    int result = 0;

    if (polls[0].fd >= 0 && polls[0].revents)
        take_input(terminal);
    if (terminal->master >= 0 && terminal->pending_count)
        pass_input(terminal);
    if (terminal->output >= 0 && (polls[1].revents & (POLLIN | POLLHUP | POLLERR)))
        result = show_output(terminal);
    return result < 0 ? result : 0;
}

void terminal_close(struct terminal *terminal) {
    while (terminal->output >= 0 && !terminal->detached && show_output(terminal) > 0)
        ;
    let_go(terminal);
    if (terminal->raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->before);
    terminal->raw = false;
}

/* ---- keys that detach ---- */

/* "ctrl-p" is 16; a letter is itself. */
static int parse_key(const char *text, size_t length) {
    if (length == 1 && text[0] > ' ' && text[0] < 0x7f)
        return text[0];
    if (length != strlen("ctrl-x") || strncasecmp(text, "ctrl-", length - 1) != 0)
        return -EINVAL;
    int letter = toupper((unsigned char)text[length - 1]);
    return letter > '@' && letter <= '_' ? letter - '@' : -EINVAL;
}

int terminal_parse_keys(const char *text, char ret_keys[TERMINAL_KEYS_MAX + 1]) {
    char keys[TERMINAL_KEYS_MAX + 1] = {0};
    for (size_t count = 0;; count++) {
        size_t length = strcspn(text, ",");
        int key = count < TERMINAL_KEYS_MAX ? parse_key(text, length) : -EINVAL;
        if (key < 0)
            return key;
        keys[count] = (char)key;
        if (!text[length])
            break;
        text += length + 1;
    }
    memcpy(ret_keys, keys, sizeof(keys));
    return 0;
}
