#include "supervisor/host-terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <termios.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

/* The speed and the shape of a byte on the line stay; the rest is what stty(1) calls sane. */
static void make_sane(int fd) {
    struct termios mode;
    if (tcgetattr(fd, &mode) < 0)
        return;
    mode.c_iflag &= ~(tcflag_t)(IGNBRK | INLCR | IGNCR | IUCLC | IXANY | ISTRIP);
    mode.c_iflag |= BRKINT | ICRNL | IMAXBEL | IUTF8 | IXON;
    mode.c_oflag |= OPOST | ONLCR;
    mode.c_cflag |= CREAD;
    mode.c_lflag &= ~(tcflag_t)(ECHONL | NOFLSH | TOSTOP | ECHOPRT);
    mode.c_lflag |= ISIG | ICANON | IEXTEN | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE;
    static const struct {
        int place;
        cc_t key;
    } keys[] = {{VINTR, 3},   {VQUIT, 28}, {VERASE, 127}, {VKILL, 21},    {VEOF, 4},
                {VSTART, 17}, {VSTOP, 19}, {VSUSP, 26},   {VREPRINT, 18}, {VWERASE, 23},
                {VLNEXT, 22}, {VTIME, 0},  {VMIN, 1}};
    for (size_t i = 0; i < ELEMENTS(keys); i++)
        mode.c_cc[keys[i].place] = keys[i].key;
    tcsetattr(fd, TCSANOW, &mode);
}

/* A serial line may wait for its carrier when it is opened; we do not. */
int host_terminal_open(const char *path, int *ret_fd, struct fault *fault) {
    scoped_fd int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open the terminal \"%s\"", path);
    if (!isatty(fd))
        return fault_say(fault, ENOTTY, "\"%s\" is no terminal", path);
    make_sane(fd);
    if (fcntl(fd, F_SETFL, O_RDWR) < 0)
        return fault_set(fault, errno, "cannot set up the terminal \"%s\"", path);
    *ret_fd = take_fd(&fd);
    return 0;
}
