#pragma once
/* A terminal of the machine itself, a console or a serial line, for a unit that has one instead of
 * a terminal of its own. Called by service-start.c; the simulation has its own. */

struct fault;

/* Opened for reading and writing, as a person expects to find it whatever the last program on it
 * has done; nobody's controlling terminal. The caller's to close. -ENOTTY. */
int host_terminal_open(const char *path, int *ret_fd, struct fault *fault);
