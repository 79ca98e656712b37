#pragma once
/* The kernel's capabilities by name (linux/capability.h), so that units/ needs no library for them.
 * The key table's kinds and who shows a set call it. */

#include <stdint.h>

#define CAPABILITIES_KNOWN 41 /* CAP_CHOWN to CAP_CHECKPOINT_RESTORE, Linux 5.9 */

/* A bit for "NET_ADMIN", "cap_net_admin", ...; all known bits for "all". -ENOENT, with the nearest
 * name or NULL in ret_nearest. */
int capability_bits(const char *name, uint64_t *ret_bits, const char **ret_nearest);
/* "NET_ADMIN"; "?" where there is none. */
const char *capability_word(int number);
