#include "units/capability-names.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "units/base/names.h"
#include "units/base/scoped.h"

/* The order is the kernel's numbers, which never change. */
static const char *const words[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};
static_assert(ELEMENTS(words) == CAPABILITIES_KNOWN, "a name for every capability");

int capability_bits(const char *name, uint64_t *ret_bits, const char **ret_nearest) {
    char upper[32] = "";
    if (strncasecmp(name, "cap_", 4) == 0)
        name += 4;
    *ret_nearest = NULL;
    if (strcasecmp(name, "all") == 0) {
        *ret_bits = (1ULL << CAPABILITIES_KNOWN) - 1;
        return 0;
    }
    if (strlen(name) >= sizeof(upper))
        return -ENOENT;
    for (size_t i = 0; name[i]; i++)
        upper[i] = (char)toupper((unsigned char)name[i]);
    for (size_t i = 0; i < ELEMENTS(words); i++)
        if (strcmp(upper, words[i]) == 0) {
            *ret_bits = 1ULL << i;
            return 0;
        }
    *ret_nearest = names_nearest(upper, words, ELEMENTS(words));
    return -ENOENT;
}

const char *capability_word(int number) {
    return number >= 0 && number < CAPABILITIES_KNOWN ? words[number] : "?";
}
