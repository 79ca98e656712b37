#pragma once
/* A terminal of its own for a program inside a unit, with the person's terminal relayed to it, so
 * that an interactive shell has job control. The exec verb uses it. */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct terminal {
    int master;            /* -EBADF: none, or the program has let go of it */
    struct termios before; /* of standard input, put back by terminal_close() */
    bool raw;
    char pending[1024]; /* typed, and not yet taken by the program */
    size_t pending_count;
    bool input_ended;
};

/* Makes one as large as ours and puts ours into raw mode. ret_slave is the caller's to close as
 * soon as it was handed over. 0 or -errno. */
int terminal_open(struct terminal *terminal, int *ret_slave);
void terminal_close(struct terminal *terminal); /* after what is left was shown */

#define TERMINAL_POLLS 2 /* descriptors that terminal_prepare() fills in */
void terminal_prepare(const struct terminal *terminal, struct pollfd polls[TERMINAL_POLLS]);
/* Moves what can be moved without blocking. 0 or -errno. */
int terminal_relay(struct terminal *terminal, const struct pollfd polls[TERMINAL_POLLS]);
void terminal_resize(const struct terminal *terminal); /* on SIGWINCH */
