#pragma once
/* What the keeper has to do beside keeping where it is PID 1, of a machine or of a container.
 * keeper.c and its kin call it; elsewhere every call does nothing. */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/keeper/machine/buttons.h"
#include "supervisor/keeper/machine/command-line.h"
#include "supervisor/keeper/machine/shutdown.h"
#include "supervisor/keeper/machine/watchdog.h"

struct keeper;
struct signalfd_siginfo;

enum place {
    PLACE_ANYWHERE,  /* not PID 1 */
    PLACE_CONTAINER, /* whose engine has prepared all, and waits for our end */
    PLACE_NAMESPACE, /* PID 1 of a pid namespace that nobody has prepared */
    PLACE_MACHINE
};

struct machine {
    enum place place;
    enum ending ending;
    bool force; /* what does not end soon is killed */
    struct command_line line;
    char **late; /* the arguments for the init of a root that may still come; NULL: none does */
    struct buttons buttons;
    struct watchdog watchdog;
    uint64_t fed;         /* by us, where no manager is there to answer */
    uint64_t interrupted; /* the last Ctrl-Alt-Del */
    unsigned deaths;      /* managers in a row that did not live long */
    unsigned failures;    /* to begin */
    char failure[200];    /* why a manager ended; "": none has said */
    bool failed;          /* the last one has */
    pid_t rescue;         /* the program on the console; 0: none */
};

/* First of all. A PID 1 mounts what is needed, changes to the root that the kernel's command line
 * names, and reads the rest of that: the arguments become those that were given there as well. */
void machine_begin(struct machine *machine, int *argc, char ***argv);
/* Once all descriptors that are not ours are closed. */
void machine_open(struct keeper *keeper);
/* Adds the signals that mean something to PID 1 alone. */
void machine_add_signals(const struct machine *machine, sigset_t *set);

/* Each of these returns whether it was ours to handle. */
bool machine_signalled(struct keeper *keeper, const struct signalfd_siginfo *signal);
bool machine_child_ended(struct keeper *keeper, pid_t pid);

/* Messages of the manager: an ending ("1" or "force"), CONSOLE=, FAILURE=, WATCHDOG_USEC=,
 * WATCHDOG=1. */
void machine_told_poweroff(struct keeper *keeper, const char *value);
void machine_told_reboot(struct keeper *keeper, const char *value);
void machine_told_halt(struct keeper *keeper, const char *value);
void machine_told_person(struct keeper *keeper, const char *value);
void machine_told_failure(struct keeper *keeper, const char *value);
/* Returns how long a manager may be silent before it is killed, in milliseconds. */
unsigned machine_told_watchdog(struct keeper *keeper, unsigned milliseconds);
void machine_told_alive(struct keeper *keeper);

/* It will be started again, and may be put off. */
void machine_manager_crashed(struct keeper *keeper);

/* A PID 1 has no better place to go, unless its root has come by now: when what failed is to be
 * tried again. */
uint64_t machine_cannot_begin(struct keeper *keeper);

/* buttons.epoll is readable. */
void machine_heed_buttons(struct keeper *keeper);

/* Does what is due; when to be called again. */
uint64_t machine_advance(struct keeper *keeper);

/* All is stopped. Returns where the keeper may end like any other program. */
void machine_end(struct keeper *keeper);
