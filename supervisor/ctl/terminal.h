#pragma once
/* The person's terminal, relayed to that of a program inside a unit: one made here for `exec`, so
 * that an interactive shell has job control, or the unit's own for `attach`. */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct terminal {
    int master;            /* to type into; -EBADF: none, or the program has let go of it */
    int output;            /* where it shows: the master itself, or a socket; -EBADF: ended */
    struct termios before; /* of standard input, put back by terminal_close() */
    bool raw;
    bool input_ended;   /* or is not for it */
    bool sends_end;     /* the end of standard input is one of the program's, too */
    char pending[1024]; /* typed, and not yet taken by the program */
    size_t pending_count;
    const char *keys; /* that detach; NULL: none do */
    size_t keys_typed;
    bool detached;
};

/* Makes one as large as ours and puts ours into raw mode. Where standard input is no terminal it is
 * typed in only if `interactive`, as a person would, the end included. ret_slave is the caller's to
 * close as soon as it was handed over. 0 or -errno. */
int terminal_open(struct terminal *terminal, bool interactive, int *ret_slave);
/* One that is there: consumes both descriptors, sets its size. keys must outlive it. */
int terminal_join(struct terminal *terminal, int master, int output, const char *keys);
void terminal_close(struct terminal *terminal); /* after what is left was shown */

#define TERMINAL_POLLS 3 /* descriptors that terminal_prepare() fills in */
void terminal_prepare(const struct terminal *terminal, struct pollfd polls[TERMINAL_POLLS]);
/* Moves what can be moved without blocking. 0 or -errno. */
int terminal_relay(struct terminal *terminal, const struct pollfd polls[TERMINAL_POLLS]);
void terminal_resize(const struct terminal *terminal); /* on SIGWINCH */

#define TERMINAL_KEYS_MAX 16
/* "ctrl-p,ctrl-q" or "a,ctrl-]" as bytes, NUL-terminated. -EINVAL. */
int terminal_parse_keys(const char *text, char ret_keys[TERMINAL_KEYS_MAX + 1]);
