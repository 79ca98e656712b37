#pragma once
/* Time zones read from their files (TZif, RFC 8536), beside the process's own TZ, which is global.
 * Calendars ask them for the offset at an instant. */

#include <stddef.h>
#include <stdint.h>

#include "units/base/scoped.h"

struct fault;
struct zone;

#define ZONE_NAME_SIZE 64
#define ZONE_FILE_MOST 65536 /* bytes; the largest of the database has 4,000 */

/* An unbroken stretch of time with one offset: [from, until) in seconds since 1970 UTC, INT64_MIN
 * and INT64_MAX where it has no end; the offset in seconds east of UTC. */
struct zone_span {
    int64_t from, until;
    int32_t offset;
};

/* Whether the text has the form of a name: "Europe/Berlin", "Etc/GMT+3"; no "..", no leading "/".
 * -EINVAL with a sentence. Reads nothing. */
int zone_name_check(const char *name, struct fault *fault);

/* A zone of the database by its name, or for "" the local one: what TZ says (a name, a path or a
 * rule of POSIX), or else /etc/localtime, or else UTC. -ENOENT with the name that was perhaps
 * meant; -EINVAL, -EFBIG or the error of open(2). */
int zone_open(const char *name, struct zone **ret_zone, struct fault *fault);

/* The same of a file's bytes. Files of version 1 and files that count leap seconds are refused. */
int zone_parse(const void *data, size_t length, struct zone **ret_zone, struct fault *fault);

/* The same of a rule of POSIX: "CET-1CEST,M3.5.0,M10.5.0/3". */
int zone_from_rule(const char *rule, struct zone **ret_zone, struct fault *fault);

void zone_free(struct zone *zone);
SCOPED(zone_free, struct zone *)

/* The stretch around an instant; what a zone had before 1970 counts as one stretch. Two that adjoin
 * may have the same offset. */
struct zone_span zone_span(const struct zone *zone, int64_t when);
