#pragma once
/* What the files of ringfenced share: its options, and the two children that it keeps alive. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { EXIT_USAGE = 2, EXIT_CONFIG = 78 }; /* 78: EX_CONFIG of sysexits.h */

/* ---- options.c ---- */

struct options {
    bool foreground;
    char *runtime_directory, *log_directory;
    char **passed_on; /* for the manager: its name, every option that was given, and NULL */
};

/* 0: go on with *ret_options. 1: --help or --version was answered. -EINVAL: a complaint and the
 * usage are on standard error. PID 1 gets words from the kernel's command line that are not for
 * it: `lenient` leaves out what is unknown or incomplete, and fails for want of memory alone. */
int options_parse(int argc, char **argv, bool lenient, struct options *ret_options);

/* ---- child.c ---- */

/* All times are milliseconds of CLOCK_MONOTONIC. */
struct child {
    const char *name;
    char path[PATH_MAX];
    char *const *arguments;
    const char *notify_socket; /* NOTIFY_SOCKET of its environment */
    int death_signal;          /* what it gets if the keeper itself is killed */
    pid_t pid;                 /* 0: it does not run */
    unsigned starts;           /* how often it was started */
    uint64_t started;
    uint64_t due; /* when it is to be started again; of meaning while pid is 0 */
    unsigned delay;
};

uint64_t now(void);

/* Finds the program beside ringfenced itself, or in the libexec directory. -ENOENT. */
int child_find(struct child *child);

/* Starts it; where even fork fails, it is due again after its delay. */
void child_start(struct child *child);

void child_signal(const struct child *child, int signal);

/* It was reaped: says how it ended, and when it will be started again (if `again`). */
void child_ended(struct child *child, int wait_status, bool again);

/* "exit status 1", "SIGSEGV", "SIGABRT (core dumped)" */
void child_describe_status(int wait_status, char *ret_text, size_t size);

/* SIGKILL to every child of the keeper but `spared`; how many there were. */
unsigned children_kill(pid_t spared);

/* One line on standard error, in one write(2), with the program's name before it. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
