#include "supervisor/keeper/machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/keeper/initramfs/root-overlay.h"
#include "supervisor/keeper/initramfs/switch-root.h"
#include "supervisor/keeper/keeper.h"
#include "supervisor/keeper/machine/console.h"
#include "supervisor/keeper/machine/mounts.h"
#include "units/base/scoped.h"

enum {
    EXIT_REBOOT = 133,      /* of a container that wants to be started again, as nspawn has it */
    LIFE_TOO_SHORT = 10000, /* ms; of a manager */
    DEATHS_MOST = 5,
    PAUSE_MOST = 10, /* s, between tries to begin */
    REALTIME = 34    /* SIGRTMIN as glibc counts, by whom we are signalled; musl's is one more */
};

/* ---- beginning ---- */

/* Only the first pid namespace may tell the kernel what Ctrl-Alt-Del is to do: SIGINT to us. It
 * comes before the environment, where the kernel puts what a person wrote on its command line. */
static enum place find_place(void) {
    if (getpid() != 1)
        return PLACE_ANYWHERE;
    if (reboot(RB_DISABLE_CAD) == 0)
        return PLACE_MACHINE;
    return getenv("container") ? PLACE_CONTAINER : PLACE_NAMESPACE;
}

/* The options of the kernel's command line come last: who stands before the machine overrides what
 * was built into it. */
static void join_arguments(struct command_line *line, int *argc, char ***argv) {
    static char *joined[64 + COMMAND_LINE_OPTIONS + 1];
    int count = 0;
    for (int i = 0; i < *argc && count < 64; i++)
        joined[count++] = (*argv)[i];
    for (int i = 0; i < line->option_count; i++)
        joined[count++] = line->options[i];
    joined[count] = NULL;
    *argc = count;
    *argv = joined;
}

void machine_begin(struct machine *machine, int *argc, char ***argv) {
    machine->place = find_place();
    machine->buttons.epoll = machine->watchdog.fd = -EBADF;
    machine->line.watchdog = -1;
    if (machine->place < PLACE_NAMESPACE)
        return;
    if (chdir("/") < 0)
        say("cannot change to \"/\": %s", strerror(errno));
    umask(022);
    if (machine->place == PLACE_MACHINE)
        setsid(); /* a namespace may have been begun on a terminal, whose Ctrl-C is meant for us */
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
    mounts_make();
    command_line_read(&machine->line);
    /* A successor in this process has its predecessor's arguments, and units that run. */
    if (*argc <= 1 || strcmp((*argv)[1], "--resume") != 0) {
        if (machine->place == PLACE_MACHINE && machine->line.root && root_is_initramfs()) {
            machine->late = root_switch(&machine->line, *argv, false) ? *argv : NULL;
        } else if (machine->line.overlay && access(OVERLAY_PLACE, F_OK) < 0) {
            say("kernel command line: ringfence.overlay= and root= are for an initramfs whose init "
                "is ringfenced");
        }
        mounts_share();
        join_arguments(&machine->line, argc, argv);
    }
    /* It would drop most of what we say while many units come up. */
    if (machine->place == PLACE_MACHINE)
        write_text("/proc/sys/kernel/printk_devkmsg", "on\n");
}

/* ---- what ends it ---- */

#define HASTE "; Ctrl-Alt-Del twice within two seconds ends it by force"

/* Those on which init programs agree. */
static const struct wish {
    int signal;
    enum ending ending;
    bool force;
} wishes[] = {
    {SIGINT, ENDING_REBOOT, false},         {SIGTERM, ENDING_REBOOT, false},
    {SIGUSR1, ENDING_HALT, false},          {SIGUSR2, ENDING_POWEROFF, false},
    {SIGPWR, ENDING_POWEROFF, false},       {REALTIME + 3, ENDING_HALT, false},
    {REALTIME + 4, ENDING_POWEROFF, false}, {REALTIME + 5, ENDING_REBOOT, false},
    {REALTIME + 13, ENDING_HALT, true},     {REALTIME + 14, ENDING_POWEROFF, true},
    {REALTIME + 15, ENDING_REBOOT, true},
};

void machine_add_signals(const struct machine *machine, sigset_t *set) {
    for (size_t i = 0; machine->place != PLACE_ANYWHERE && i < ELEMENTS(wishes); i++)
        sigaddset(set, wishes[i].signal);
}

static void begin_ending(struct keeper *keeper, enum ending ending, bool force) {
    struct machine *machine = &keeper->machine;
    enum ending before = machine->ending;
    machine->ending = ending;
    if (force) {
        console_say("ringfence: %s, by force", ending_word(ending));
        machine->force = true;
        keeper->phase = PHASE_ENDED;
    } else if (keeper->phase == PHASE_KEEPING) {
        console_say("ringfence: %s: all units are being stopped" HASTE, ending_word(ending));
        keeper_stop(keeper);
    } else if (ending != before) {
        console_say("ringfence: %s instead of %s", ending_word(ending), ending_word(before));
    }
}

/* Begins a reboot; in an end that was begun it only presses for that, whichever it is. */
static void heed_interrupt(struct keeper *keeper, enum ending ending) {
    struct machine *machine = &keeper->machine;
    bool begun = keeper->phase != PHASE_KEEPING, insists = shutdown_insists(&machine->interrupted);
    if (begun && !insists)
        console_say("ringfence: %s goes on" HASTE, ending_word(machine->ending));
    else
        begin_ending(keeper, begun ? machine->ending : ending, insists);
}

bool machine_signalled(struct keeper *keeper, const struct signalfd_siginfo *signal) {
    struct machine *machine = &keeper->machine;
    for (size_t i = 0; machine->place != PLACE_ANYWHERE && i < ELEMENTS(wishes); i++) {
        const struct wish *wish = &wishes[i];
        if (wish->signal != (int)signal->ssi_signo)
            continue;
        /* A container's engine asks with SIGTERM for its end, not for another beginning. */
        bool plain = wish->signal == SIGTERM || wish->signal == SIGINT;
        bool contained = machine->place == PLACE_CONTAINER && plain;
        enum ending ending = contained ? ENDING_POWEROFF : wish->ending;
        if (wish->signal == SIGINT)
            heed_interrupt(keeper, ending);
        else
            begin_ending(keeper, ending, wish->force);
        return true;
    }
    return false;
}

static void told(struct keeper *keeper, enum ending ending, const char *value) {
    if (keeper->machine.place == PLACE_ANYWHERE)
        say("the manager wants to %s a machine that is not ours", ending_word(ending));
    else
        begin_ending(keeper, ending, strcmp(value, "force") == 0);
}

void machine_told_poweroff(struct keeper *keeper, const char *value) {
    told(keeper, ENDING_POWEROFF, value);
}

void machine_told_reboot(struct keeper *keeper, const char *value) {
    told(keeper, ENDING_REBOOT, value);
}

void machine_told_halt(struct keeper *keeper, const char *value) {
    told(keeper, ENDING_HALT, value);
}

/* Of what holds up early boot, or the end: somebody may stand there and wait. */
void machine_told_person(struct keeper *keeper, const char *value) {
    if (keeper->machine.place != PLACE_ANYWHERE)
        console_say("ringfence: %s", value);
}

/* Why a manager ends. One that is tried again fails for the same reason again: said once. */
void machine_told_failure(struct keeper *keeper, const char *value) {
    struct machine *machine = &keeper->machine;
    char words[sizeof machine->failure];
    if (machine->place == PLACE_ANYWHERE)
        return;
    snprintf(words, sizeof words, "%s", value);
    if (strcmp(words, machine->failure) != 0)
        console_say("ringfence: %s", value);
    memcpy(machine->failure, words, sizeof words);
    machine->failed = true;
}

/* ---- life ---- */

/* A manager that hangs is killed, and another may answer, before the hardware loses patience. */
unsigned machine_told_watchdog(struct keeper *keeper, unsigned milliseconds) {
    struct machine *machine = &keeper->machine;
    if (machine->place != PLACE_MACHINE)
        return milliseconds;
    if (machine->line.watchdog >= 0) /* who stands before the machine has said otherwise */
        milliseconds = (unsigned)machine->line.watchdog * 1000;
    watchdog_arm(&machine->watchdog, (milliseconds + 999) / 1000);
    return milliseconds / 4 * 3;
}

void machine_told_alive(struct keeper *keeper) {
    watchdog_feed(&keeper->machine.watchdog);
}

void machine_heed_buttons(struct keeper *keeper) {
    if (buttons_pressed(&keeper->machine.buttons))
        begin_ending(keeper, ENDING_POWEROFF, false);
}

/* A serial console shows what is said there. */
static void speak_to_kernel_log(void) {
    scoped_fd int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (log >= 0)
        dup2(log, STDERR_FILENO);
}

void machine_open(struct keeper *keeper) {
    struct machine *machine = &keeper->machine;
    if (machine->place != PLACE_ANYWHERE && !keeper->foreground)
        speak_to_kernel_log();
    if (machine->place != PLACE_MACHINE)
        return;
    buttons_open(&machine->buttons);
    if (machine->line.watchdog > 0)
        keeper->watchdog = machine_told_watchdog(keeper, 0);
    else if (machine->watchdog.seconds) /* a predecessor was told, and is not told again */
        watchdog_arm(&machine->watchdog, machine->watchdog.seconds);
}

/* A person at the rescue shell, and what is left of the keeper's own work, need the machine. */
uint64_t machine_advance(struct keeper *keeper) {
    struct machine *machine = &keeper->machine;
    bool alone = machine->rescue > 0 || keeper->phase > PHASE_STOPPING;
    if (machine->watchdog.fd < 0 || !alone)
        return NEVER;
    uint64_t period = machine->watchdog.seconds * 1000ULL / 4;
    if (now() - machine->fed >= period) {
        watchdog_feed(&machine->watchdog);
        machine->fed = now();
    }
    return machine->fed + period;
}

/* ---- when nothing helps ---- */

/* Whether the program of a person's choice runs now. */
static bool offer_rescue(struct machine *machine, const char *reason) {
    const char *program = machine->line.rescue;
    if (!program) {
        console_say("ringfence: %s; what runs goes on, and it is tried again. Booted with "
                    "ringfence.rescue=1 there would be a shell here",
                    reason);
        return false;
    }
    console_say("ringfence: %s; what runs goes on. Here is %s: when it ends (exit), it is tried "
                "again; the power button ends the machine",
                reason, program);
    pid_t pid = console_run(program);
    if (pid < 0)
        say("cannot start \"%s\": %s", program, strerror(-pid));
    machine->rescue = pid > 0 ? pid : 0;
    return pid > 0;
}

/* Its failure is told with it, if the last one has named any. */
static bool give_up(struct machine *machine) {
    char reason[sizeof machine->failure + 64];
    snprintf(reason, sizeof reason, "the manager ended five times in a row%s%s",
             machine->failed ? ": " : "", machine->failed ? machine->failure : "");
    return offer_rescue(machine, reason);
}

/* Where nobody may mend anything it is said once, and tried on without haste. */
void machine_manager_crashed(struct keeper *keeper) {
    struct machine *machine = &keeper->machine;
    if (machine->place < PLACE_NAMESPACE)
        return;
    bool short_life = now() - keeper->manager.started < LIFE_TOO_SHORT;
    machine->deaths = short_life ? machine->deaths + 1 : 0;
    bool said = machine->deaths > DEATHS_MOST && !machine->line.rescue;
    if (machine->deaths >= DEATHS_MOST && !said && give_up(machine)) {
        machine->deaths = 0;
        keeper->manager.due = NEVER;
    } else if (machine->deaths >= DEATHS_MOST) {
        keeper->manager.due = now() + PAUSE_MOST * 1000;
    }
    machine->failed = false;
}

uint64_t machine_cannot_begin(struct keeper *keeper) {
    struct machine *machine = &keeper->machine;
    if (machine->late && !root_switch(&machine->line, machine->late, true))
        machine->late = NULL;
    unsigned pause = ++machine->failures < PAUSE_MOST ? machine->failures : PAUSE_MOST;
    bool rescued = machine->failures == 1 && offer_rescue(machine, "ringfenced cannot begin");
    keeper->manager.due = rescued ? NEVER : now() + pause * 1000;
    return keeper->manager.due;
}

bool machine_child_ended(struct keeper *keeper, pid_t pid) {
    struct machine *machine = &keeper->machine;
    if (machine->rescue == 0 || machine->rescue != pid)
        return false;
    machine->rescue = 0;
    keeper->manager.due = keeper->manager.delay = 0;
    return true;
}

/* ---- the end ---- */

/* Of namespaces that are held open the mounts would live on, and with them whole file systems. */
static void close_all(struct machine *machine) {
    int *watchdog = &machine->watchdog.fd;
    unsigned first = STDERR_FILENO + 1;
    if (*watchdog >= 0 && dup2(*watchdog, (int)first) >= 0)
        *watchdog = (int)first++;
    syscall(SYS_close_range, first, UINT_MAX, 0);
}

void machine_end(struct keeper *keeper) {
    struct machine *machine = &keeper->machine;
    if (machine->place == PLACE_ANYWHERE)
        return;
    struct shutdown shutdown = {.ending = machine->ending,
                                .force = machine->force,
                                .interrupted = machine->interrupted,
                                .watchdog = &machine->watchdog};
    store_drop(&keeper->store, "*"); /* which waits for nothing that a service has laid in there */
    close_all(machine);
    mlockall(MCL_CURRENT | MCL_FUTURE); /* the disk that we came from may be gone soon */
    shutdown_processes(&shutdown);
    if (machine->place == PLACE_CONTAINER) {
        if (machine->ending == ENDING_REBOOT)
            keeper->exit_code = EXIT_REBOOT;
        return;
    }
    if (machine->place == PLACE_MACHINE)
        shutdown_disks(&shutdown);
    console_say("ringfence: %s", ending_word(shutdown.ending));
    shutdown_reboot(&shutdown);
    keeper->exit_code = EXIT_FAILURE;
    while (machine->place == PLACE_MACHINE)
        pause(); /* where to? */
}
