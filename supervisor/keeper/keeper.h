#pragma once
/* What the files of ringfenced share: the keeper, and the two programs that it keeps alive. Nothing
 * is allocated once it runs. To be read in this order:
 *
 *     keeper.c      from main() to the end: the phases of a life, and the loop
 *     child.c       how a program is started, watched, and started again
 *     exits.c       what ended is reaped, and told to the manager
 *     messages.c    what the manager says, and what is told upward
 *     store.c       the descriptors that it must not lose
 *     resume.c      another keeper in the same process: after a reexec, or a crash
 *     options.c     the command line
 *     begin.c       what there has to be before the first program is started
 *     plain.c       the time, a line on standard error, a small file
 *
 * What PID 1 does besides lies in machine/, behind machine.h; what it does once, before there is a
 * root, in initramfs/. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "supervisor/keeper/machine/machine.h"
#include "supervisor/keeper/plain.h"
#include "supervisor/keeper/protocol.h"
#include "supervisor/keeper/store.h"

enum { EXIT_USAGE = 2, EXIT_CONFIG = 78 }; /* 78: EX_CONFIG of sysexits.h */

enum phase {
    PHASE_KEEPING,  /* what dies is started again */
    PHASE_STOPPING, /* the manager stops all services; one that dies has a successor that goes on */
    PHASE_KILLING,  /* all managers died while doing so: what they left gets SIGKILL */
    PHASE_DRAINING, /* logd writes the last lines */
    PHASE_ENDED
};

struct child {
    const char *name;
    char path[PATH_MAX]; /* "": not found yet */
    char *const *arguments;
    int death_signal; /* what it gets if the keeper itself is killed */
    pid_t pid;        /* 0: it does not run */
    unsigned starts;  /* how often it was started */
    uint64_t started;
    uint64_t due; /* when it is to be started again; of meaning while pid is 0 */
    unsigned delay;
    bool asked;        /* to end: its successor is started at once */
    bool killed;       /* for want of an end, or of a sign of life */
    uint64_t limit;    /* when it is killed, or given up if it has been; NEVER */
    unsigned patience; /* how long that was, for the complaint */
};

struct keeper {
    enum phase phase;
    bool foreground, may_end; /* PID 1 of a machine may not: the kernel panics */
    int exit_code;
    struct child manager, logd;
    bool ready;           /* this manager said so */
    bool replacing;       /* it saved all: when it has ended, every program is started anew */
    unsigned unready;     /* managers in a row that ended before they were ready */
    unsigned stops;       /* managers that were to stop everything */
    unsigned watchdog;    /* a manager that is silent for so long hangs; 0: it may be silent */
    bool unreaped;        /* there may be more that ended */
    uint64_t untold_from; /* exits: nobody reads them since; NEVER */
    unsigned untold;      /* how many ended, and nobody will hear of it */
    uint64_t deadline;    /* of PHASE_KILLING; NEVER */
    unsigned crashes;     /* of the keeper itself, in a row */
    int crash_signal;     /* of the last one */
    uint64_t crashed;     /* when that was */
    int lock, notifications, signals, exits; /* descriptors; exits is the writing end */
    const char *runtime_directory;
    const char *upward;         /* NOTIFY_SOCKET that we were started with, or NULL */
    struct sockaddr_un address; /* of the notifications */
    char self[PATH_MAX];        /* the program that we were started from */
    char **arguments;           /* of our successor in this process */
    struct machine machine;
    struct store store; /* last: it is large */
};

/* ---- keeper.c ---- */

/* SIGTERM, or whatever else means the end. */
void keeper_stop(struct keeper *keeper);
/* The manager stops everything by itself. */
void keeper_stops(struct keeper *keeper);
/* Where the manager is to show that it is alive: from now on until its next sign. */
void keeper_await_sign(struct keeper *keeper);
void keeper_child_ended(struct keeper *keeper, struct child *child, int wait_status);

/* ---- child.c ---- */

/* Beside ringfenced itself, or in the libexec directory. -ENOENT, having said so. */
int child_find(struct child *child);
/* Starts it; where even fork fails, it is due again after its delay. */
void child_start(struct keeper *keeper, struct child *child);
void child_signal(const struct child *child, int signal);
/* It is killed unless it ends, or another limit is set, within that many milliseconds. */
void child_limit(struct child *child, unsigned milliseconds);
/* It was reaped: says how it ended, and when it will be started again (if `again`). */
void child_ended(struct child *child, int wait_status, bool again);

/* ---- exits.c ---- */

/* Reaps, some at a time. What is neither manager nor logd is told through KEEPER_EXITS, or left a
 * zombie while that is full. */
void reap(struct keeper *keeper);
/* When it is to be called although nothing happened, or NEVER. */
uint64_t reap_due(const struct keeper *keeper);
/* SIGKILL to every child but `spared`; how many there were. */
unsigned children_kill(pid_t spared);

/* ---- messages.c: sd_notify(3), from below and upward ---- */

/* One datagram to whoever started us. Best effort. */
void tell_upward(const struct keeper *keeper, const char *message);
/* Reads what is there, at most `most` messages. */
void receive(struct keeper *keeper, unsigned most);

/* ---- resume.c ---- */

/* What a predecessor in this process left. Where it cannot be read that is said, and the keeper is
 * to be set up anew. */
int resume_read(struct keeper *keeper);
/* Becomes the program on disk; returns where that is impossible, having said why. */
void resume_replace(struct keeper *keeper);
/* From now on a fatal signal makes the keeper begin anew, a few times in a row. */
void resume_catch_crashes(struct keeper *keeper);

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

/* ---- begin.c ---- */

/* As it is when nothing has happened yet. */
void begin_blank(struct keeper *keeper, const struct options *options);
/* Streams, signals, and the descriptors that have fixed numbers; one that goes on in the place of
 * another has these already. It says what went wrong. */
int begin_process(struct keeper *keeper);
/* The two programs, and the runtime directory, which is ours alone as long as we hold its lock;
 * without that a keeper has not begun. It says what went wrong; a PID 1 is to try again then, at
 * the time that is returned, any other ends. */
uint64_t begin(struct keeper *keeper);
