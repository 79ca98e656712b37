#include "supervisor/ctl/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "units/base/scoped.h"

int terminal_open(struct terminal *terminal, int *ret_slave) {
    scoped_fd int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    scoped_fd int slave = -EBADF;

    *terminal = (struct terminal){.master = -EBADF};
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return -errno;
    /* Not by its path, which another mount of devpts may hide. */
    slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || tcgetattr(STDIN_FILENO, &terminal->before) < 0 ||
        tcsetattr(slave, TCSANOW, &terminal->before) < 0)
        return -errno;
    struct termios raw = terminal->before;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        return -errno;
    terminal->raw = true;
    terminal->master = take_fd(&master);
    terminal_resize(terminal);
    *ret_slave = take_fd(&slave);
    return 0;
}

void terminal_resize(const struct terminal *terminal) {
    struct winsize size;
    if (terminal->master >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        ioctl(terminal->master, TIOCSWINSZ, &size);
}

void terminal_prepare(const struct terminal *terminal, struct pollfd polls[TERMINAL_POLLS]) {
    bool reads = terminal->master >= 0 && terminal->pending_count == 0 && !terminal->input_ended;

    polls[0] = (struct pollfd){.fd = reads ? STDIN_FILENO : -1, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = terminal->master, .events = POLLIN};
    if (terminal->pending_count)
        polls[1].events |= POLLOUT;
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

/* 1: something was shown, 0: nothing there, or the program has let go of its terminal (EIO). */
static int show_output(struct terminal *terminal) {
    char buffer[4096];
    ssize_t count = read(terminal->master, buffer, sizeof(buffer));

    if (count > 0) {
        int error = write_all(buffer, (size_t)count);
        return error < 0 ? error : 1;
    }
    if (count == 0 || (errno != EAGAIN && errno != EINTR))
        terminal->master = close_fd(terminal->master);
    return 0;
}

static void take_input(struct terminal *terminal) {
    ssize_t count = read(STDIN_FILENO, terminal->pending, sizeof(terminal->pending));

    if (count > 0)
        terminal->pending_count = (size_t)count;
    else if (count == 0 || (errno != EAGAIN && errno != EINTR))
        terminal->input_ended = true;
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
    if (terminal->master >= 0 && (polls[1].revents & (POLLIN | POLLHUP | POLLERR)))
        result = show_output(terminal);
    return result < 0 ? result : 0;
}

void terminal_close(struct terminal *terminal) {
    while (terminal->master >= 0 && show_output(terminal) > 0)
        ;
    terminal->master = close_fd(terminal->master);
    if (terminal->raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->before);
    terminal->raw = false;
}
