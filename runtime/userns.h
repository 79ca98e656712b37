#pragma once
/* User namespaces: the host ids that units are given, remembered in the state directory, and the
 * namespaces that map them. Called by the runtime and by the build's helper. */

#include <stdint.h>

#include "units/base/scoped.h"

struct fault;
struct id_ranges;

#define ID_RANGE_COUNT 65536u /* ids of one unit; ranges start at multiples of it */

/* Ids 0..count-1 inside are base.. outside; count 0: the host's own. */
struct id_range {
    uint32_t base, count;
};

/* ---- what is handed out; kept as symlinks STATE_DIR/ranges/UNIT -> BASE ---- */

/* state: the state directory, borrowed. base and count: the host ids that may be handed out. */
int id_ranges_open(int state, uint32_t base, uint32_t count, struct id_ranges **ret_ranges,
                   struct fault *fault);
/* Accepts NULL. */
void id_ranges_close(struct id_ranges *ranges);
SCOPED(id_ranges_close, struct id_ranges *)

/* The unit's range, the same until it is given back. -ENOSPC where all are taken. */
int id_ranges_take(struct id_ranges *ranges, const char *unit, struct id_range *ret_range,
                   struct fault *fault);
/* That the unit has this range, as an earlier manager's sandbox says: -ESTALE where it has another
 * one by now, or another unit has this. Where it was forgotten it is remembered again. */
int id_ranges_keep(struct id_ranges *ranges, const char *unit, struct id_range range,
                   struct fault *fault);
int id_ranges_give_back(struct id_ranges *ranges, const char *unit, struct fault *fault);

/* ---- in the build's helper; proc: a procfs of its own pid namespace ---- */

/* A new user namespace with that map. Returns its descriptor, or -errno. */
int userns_make(int proc, struct id_range range, struct fault *fault);
/* The first range of a user namespace that somebody else made. */
int userns_range(int proc, int user_namespace, struct id_range *ret_range, struct fault *fault);
