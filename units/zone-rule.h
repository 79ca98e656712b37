#pragma once
/* The rule for all years that a time zone ends in: a TZ string of POSIX, as RFC 8536 allows it in
 * the last line of a zone's file. Only zones use it. */

#include <stdbool.h>
#include <stdint.h>

struct zone_span;

enum zone_day_form {
    ZONE_DAY_JULIAN,  /* Jn: 1 to 365, February 29 is never counted */
    ZONE_DAY_OF_YEAR, /* n: 0 to 365, February 29 is counted */
    ZONE_DAY_OF_WEEK, /* Mm.w.d: the w-th (5: the last) weekday d of month m */
};

/* When the clocks change, each year. */
struct zone_day {
    enum zone_day_form form;
    int day, month, week;
    int32_t seconds; /* after midnight by the clock before the change; within a week of it */
};

/* Offsets are seconds east of UTC. */
struct zone_rule {
    int32_t standard, daylight;
    bool has_daylight; /* otherwise `standard` holds all year */
    struct zone_day start, end;
};

/* "CET-1CEST,M3.5.0,M10.5.0/3", "<+0330>-3:30". The two changes must be written out where there
 * are two names. -EINVAL. */
int zone_rule_parse(const char *text, struct zone_rule *ret_rule);

/* The longest stretch around `when` that the rule gives one offset, as if it held for ever. */
struct zone_span zone_rule_span(const struct zone_rule *rule, int64_t when);
