#pragma once
/* Points in time as people write them, for `logs --since` and `--until`: systemd's forms, Docker's,
 * RFC 3339. */

#include <stdint.h>

/*  "2026-11-21T20:52:19.412Z", "2026-11-21T20:52:19+01:00"   RFC 3339; a blank may stand for the T
 *  "2026-11-21 20:52:19", "2026-11-21 20:52", "2026-11-21"   local time
 *  "20:52:19", "20:52"                                       today
 *  "now", "today", "yesterday", "tomorrow"                   the latter three at midnight
 *  "10min", "1h30m", "2 hours ago", "-90s"                   before now; "+5min": after
 *  "@1795294339.5", "1795294339"                             seconds since 1970
 *
 * now and *ret_usec: microseconds since 1970. -EINVAL. */
int when_parse(const char *text, uint64_t now, uint64_t *ret_usec);
