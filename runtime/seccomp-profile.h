#pragma once
/* The built-in profile as a table: each system call is in one row, which says what becomes of it
 * and which @groups it belongs to. Read by the filter's compiler. */

#include <stddef.h>
#include <stdint.h>

enum call_rule {
    CALL_ALLOWED,
    CALL_CAPABLE,     /* allowed to who has one of the row's capabilities */
    CALL_NEVER,       /* refused, unless the unit asks for it by name or group */
    CALL_CLONE,       /* no new namespaces without CAP_SYS_ADMIN */
    CALL_CLONE3,      /* "no such call" without CAP_SYS_ADMIN: its flags lie in memory */
    CALL_PERSONALITY, /* the harmless ones */
    CALL_SOCKET,      /* no AF_VSOCK: it reaches the hypervisor and knows no network namespace */
    CALL_IOCTL,       /* no typing into a terminal on behalf of its user */
};

struct call_row {
    enum call_rule rule;
    uint64_t capabilities; /* any of them */
    uint32_t groups;       /* bits of seccomp_groups */
    const char *calls;     /* names with a blank between them */
};

extern const struct call_row seccomp_rows[];
extern const size_t seccomp_row_count;

/* Names without the '@'; the bit is the index. */
extern const char *const seccomp_groups[];
extern const size_t seccomp_group_count;

#define CALL_NAME_SIZE 40
/* The next name of a row into `name`; NULL at the end, else where to go on. */
const char *seccomp_next_call(const char *calls, char name[CALL_NAME_SIZE]);

/* The capabilities that make a difference to the profile. */
uint64_t seccomp_profile_capabilities(void);
/* A hash of the whole table: a filter that was compiled from another one is stale. */
uint64_t seccomp_profile_fingerprint(void);

/* FNV-1a of some bytes, going on from `hash`. */
#define SECCOMP_HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t seccomp_hash(uint64_t hash, const void *bytes, size_t length);
