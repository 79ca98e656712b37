#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/ctl/client.h"
#include "units/base/file.h"

const struct flag machine_flags[] = {
    {"force", 'f', NULL, "kill everything instead of stopping it; also without the manager"},
    {0},
};

/* The first of the signals by which an init is told to end at once: halt, poweroff, reboot. */
#define SIGNAL_AT_ONCE (SIGRTMIN + 13)

enum { HALT, POWEROFF, REBOOT };

/* Past a manager that does not answer, and only where the init is ours. */
static int ask_keeper(int offset, struct fault *fault) {
    scoped_file FILE *file = fopen("/proc/1/comm", "re");
    char name[32] = "";
    if (!file || !fgets(name, sizeof(name), file) || strcmp(name, "ringfenced\n") != 0)
        return EXIT_UNREACHABLE;
    if (kill(1, SIGNAL_AT_ONCE + offset) == 0)
        return EXIT_OK;
    fault_set(fault, errno, "cannot signal ringfenced");
    return EXIT_PERMISSION;
}

static int end_machine(const struct tool *tool, const struct arguments *arguments,
                       const char *method, int offset) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    bool force = arguments_value(arguments, "force") != NULL;
    struct fault fault;
    int code = client_open(tool, &bus, &fault);

    if (code == EXIT_OK)
        code = client_call(bus, method, NULL, &fault, "b", force);
    if (code == EXIT_UNREACHABLE && force)
        code = ask_keeper(offset, &fault);
    return code == EXIT_OK ? code : tool_fail(code, "cannot %s: %s", tool->verb->name, fault.text);
}

int verb_poweroff(const struct tool *tool, const struct arguments *arguments) {
    return end_machine(tool, arguments, "PowerOff", POWEROFF);
}

int verb_reboot(const struct tool *tool, const struct arguments *arguments) {
    return end_machine(tool, arguments, "Reboot", REBOOT);
}

int verb_halt(const struct tool *tool, const struct arguments *arguments) {
    return end_machine(tool, arguments, "Halt", HALT);
}
