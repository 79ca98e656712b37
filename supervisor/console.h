#pragma once
/* The terminal of a unit (service.c's view): its master goes to ringfence-logd, which alone reads
 * it, logs it, and shows it to those who are attached; the manager holds it and never looks.
 *
 * RUNTIME_DIR/output/NAME/terminal is a socket (SOCK_SEQPACKET) on which the manager listens and
 * ringfence-logd calls. The manager sends a byte with a descriptor each: 'T', the master of the
 * next run; 'A', the end of a stream socket of one who attaches, to which all output is copied. A
 * logger that comes back calls again and is sent the present master again. */

struct console;
struct fault;
struct service;

/* After the unit's output was opened: it lies in the same directory. */
int console_open(struct service *service, struct console **ret_console, struct fault *fault);
/* The master of a run that has begun; consumed. It stays usable until the run ends, even while no
 * process of the unit has the terminal open. */
void console_begin(struct console *console, int master);
/* The same of a run that an earlier manager has begun. */
void console_resume(struct console *console);
void console_end(struct console *console);
/* A copy of the master, to write to and to set the size of; and where the output comes. -EBUSY:
 * the logger is away, and others wait for it already. */
int console_attach(struct console *console, int *ret_master, int *ret_output, struct fault *fault);
void console_close(struct console *console); /* accepts NULL */
