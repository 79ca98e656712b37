#include "supervisor/machine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "units/base/names.h"

/* The keeper's words; in small letters they are the verbs. */
static const char *const end_items[] = {
    [MACHINE_POWEROFF] = "POWEROFF",
    [MACHINE_REBOOT] = "REBOOT",
    [MACHINE_HALT] = "HALT",
};
static_assert(sizeof(end_items) / sizeof(end_items[0]) == MACHINE_HALT + 1, "a word for each");
static const struct names ends = NAMES(end_items);

bool machine_is_ours(void) {
    return getppid() == 1 && getenv("RINGFENCE_KEEPER");
}

int machine_end(enum machine_end end, bool force, struct fault *fault) {
    const char *word = names_word(&ends, (int)end);
    if (!machine_is_ours())
        return fault_say(fault, EOPNOTSUPP,
                         "ringfence is not the first process of this machine; %s does it",
                         sd_booted() > 0 ? "systemctl(1)"
                                         : "the poweroff(8), reboot(8) or halt(8) of its own init");
    int error = sd_notifyf(false, "%s=%s", word, force ? "force" : "1");
    if (error <= 0)
        return fault_set(fault, error ? error : -ENOTCONN, "cannot ask ringfenced");
    return 0;
}
