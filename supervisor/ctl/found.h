#pragma once
/* What the manager has found again of an earlier one, and what it has not, as it tells: for status
 * and reexec. */

#include "supervisor/ctl/client.h"

struct lost_unit {
    char *unit, *why;
};

struct found {
    uint64_t count; /* units that went on as they were */
    struct lost_unit *lost;
    size_t lost_count;
};

int found_read(sd_bus *bus, struct found *found, struct fault *fault);
void found_json(const struct found *found, struct text *text); /* members "found" and "lost" */
void found_free(struct found *found);
#define scoped_found __attribute__((cleanup(found_free)))
