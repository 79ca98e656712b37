#pragma once
/* What the files of ringfenced share: the keeper, its options, and the two children that it keeps
 * alive. All of it is static: nothing is allocated once it runs. */

#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "supervisor/keeper/machine/machine.h"
#include "supervisor/keeper/protocol.h"
#include "supervisor/keeper/store.h"

enum { EXIT_USAGE = 2, EXIT_CONFIG = 78 }; /* 78: EX_CONFIG of sysexits.h */
enum { WATCHES_MAX = 24 };

/* All times are milliseconds of CLOCK_MONOTONIC. */
#define NEVER UINT64_MAX

enum phase {
    PHASE_KEEPING,  /* what dies is started again */
    PHASE_STOPPING, /* the manager stops all services; one that dies has a successor that goes on */
    PHASE_KILLING,  /* all managers died while doing so: what they left gets SIGKILL */
    PHASE_DRAINING, /* logd writes the last lines */
    PHASE_ENDED
};

struct child {
    const char *name;
    char path[PATH_MAX];
    char *const *arguments;
    int death_signal; /* what it gets if the keeper itself is killed */
    pid_t pid;        /* 0: it does not run */
    unsigned starts;  /* how often it was started */
    uint64_t started;
    uint64_t due; /* when it is to be started again; of meaning while pid is 0 */
    unsigned delay;
    bool asked;        /* to end: its successor is started at once */
    uint64_t limit;    /* it is killed then: it does not end as it was asked to, or hangs */
    unsigned patience; /* how long that was, for the complaint */
};

struct keeper;
typedef void (*watch_ready)(struct keeper *keeper, int fd);

struct keeper {
    enum phase phase;
    bool foreground, may_end; /* PID 1 of a machine may not: the kernel panics */
    int exit_code;
    struct child manager, logd;
    bool ready;           /* this manager said so */
    bool was_ready;       /* some manager did */
    bool replacing;       /* it saved all: when it has ended, every program is started anew */
    unsigned unready;     /* managers in a row that ended before they were ready */
    unsigned stops;       /* managers that were to stop everything */
    unsigned watchdog;    /* a manager that is silent for so long hangs; 0: it may be silent */
    uint64_t untold_from; /* exits: nobody reads them since; NEVER */
    uint64_t deadline;    /* of PHASE_KILLING; NEVER */
    unsigned crashes;     /* of the keeper itself, in a row */
    int crash_signal;     /* of the last one */
    uint64_t crashed;     /* when that was */
    int lock, notifications, signals, exits; /* descriptors; exits is the writing end */
    const char *upward;                      /* NOTIFY_SOCKET that we were started with, or NULL */
    struct sockaddr_un address;              /* of the notifications */
    char self[PATH_MAX];                     /* the program that we were started from */
    char **arguments;                        /* of our successor in this process */
    struct pollfd polled[WATCHES_MAX];
    watch_ready ready_calls[WATCHES_MAX];
    unsigned watches;
    struct machine machine;
    struct store store; /* last: it is large */
};

/* ---- options.c ---- */

struct options {
    bool foreground;
    bool resumed; /* a predecessor in this process left its state */
    char *runtime_directory, *log_directory;
    char **passed_on; /* for the manager: its name, every option that was given, and NULL */
    char **again;     /* for our own successor */
    char *logd[6];    /* for the logger */
};

/* 0: go on with *ret_options. 1: --help or --version was answered. -EINVAL: a complaint and the
 * usage are on standard error. PID 1 gets words from the kernel's command line that are not for
 * it: `lenient` leaves out what is unknown or incomplete, and fails for want of memory alone. */
int options_parse(int argc, char **argv, bool lenient, struct options *ret_options);

/* ---- keeper.c: the phases and the loop ---- */

/* Calls when the descriptor has one of the poll(2) events, and of its error. */
void keeper_watch(struct keeper *keeper, int fd, short events, watch_ready ready);
/* The events of one that is watched; 0: none for now. */
void keeper_listen(struct keeper *keeper, int fd, short events);

/* SIGTERM, or whatever else means the end. */
void keeper_stop(struct keeper *keeper);
/* The manager stops everything by itself. */
void keeper_stops(struct keeper *keeper);
/* Where the manager is to show that it is alive: from now on until its next sign. */
void keeper_await_sign(struct keeper *keeper);
void keeper_child_ended(struct keeper *keeper, struct child *child, int wait_status);

/* ---- begin.c: what a keeper needs before its loop ---- */

/* Streams, signals, and the descriptors that have fixed numbers; those are there already in a
 * keeper that was resumed. It says what went wrong. */
int begin_process(struct keeper *keeper, bool kernel_log, bool resumed);
/* The runtime directory, which is ours alone as long as we hold its lock, and the socket in it. It
 * says what went wrong. */
int begin_place(struct keeper *keeper, const char *runtime_directory);

/* ---- messages.c: sd_notify(3), from below and upward ---- */

/* One datagram to whoever started us. Best effort. */
void tell_upward(const struct keeper *keeper, const char *message);
/* Reads what is there, at most `most` messages. */
void receive(struct keeper *keeper, unsigned most);

/* ---- exits.c: what ended ---- */

/* Reaps. What is neither manager nor logd is told through KEEPER_EXITS, or left a zombie while that
 * is full. */
void reap(struct keeper *keeper);
/* When it gives up waiting for a reader of that, or NEVER. */
uint64_t reap_deadline(const struct keeper *keeper);

/* ---- resume.c: another keeper in this process ---- */

/* The state for, and of, a successor or predecessor. Reading fails with a complaint; then the
 * keeper is to be set up anew. */
int resume_save(struct keeper *keeper);
int resume_read(struct keeper *keeper);
/* Becomes the program on disk; returns where that is impossible, having said why. */
void resume_replace(struct keeper *keeper);
/* From now on a fatal signal makes the keeper begin anew, a few times in a row. */
void resume_catch_crashes(struct keeper *keeper);

/* ---- child.c ---- */

uint64_t now(void);
/* Puts the time into the environment, for `ringfence boot`. What executes us anew, in an initramfs
 * or to replace us, has noted it before: the first one counts. */
void note_time(const char *variable);

/* Finds the program beside ringfenced itself, or in the libexec directory. -ENOENT. */
int child_find(struct child *child);

/* Starts it; where even fork fails, it is due again after its delay. */
void child_start(struct keeper *keeper, struct child *child);

void child_signal(const struct child *child, int signal);

/* It is killed unless it ends, or another limit is set, within that many milliseconds. */
void child_limit(struct child *child, unsigned milliseconds);

/* It was reaped: says how it ended, and when it will be started again (if `again`). */
void child_ended(struct child *child, int wait_status, bool again);

/* "exit status 1", "SIGSEGV", "SIGABRT (core dumped)" */
void child_describe_status(int wait_status, char *ret_text, size_t size);
/* "SIGSEGV", "signal 35" */
void signal_describe(int signal, char *ret_text, size_t size);

/* SIGKILL to every child of the keeper but `spared`; how many there were. */
unsigned children_kill(pid_t spared);

/* Field 4 or later of /proc/PID/stat, counted from 1; 0 where the process is gone. */
uint64_t process_field(pid_t pid, unsigned field);

/* One line on standard error, in one write(2), with the program's name before it. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
