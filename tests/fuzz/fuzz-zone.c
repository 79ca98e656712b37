/* Any bytes as a time zone's file, or else as a rule of POSIX: what is accepted cuts the time from
 * 1970 to 2200 into stretches that adjoin, each found again from any instant in it. */

#include <stdlib.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/zone.h"

#define END 7258118400 /* 2200 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_found(const struct zone *zone, const struct zone_span *span, int64_t when) {
    struct zone_span found = zone_span(zone, when);
    if (found.from != span->from || found.until != span->until || found.offset != span->offset)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scoped(zone_free) struct zone *zone = NULL;
    scoped_free char *string = strndup((const char *)data, size);
    struct fault fault = {""};
    if (!string)
        abort();
    if (zone_parse(data, size, &zone, &fault) < 0 && zone_from_rule(string, &zone, &fault) < 0) {
        if (zone || !fault.text[0])
            abort();
        return 0;
    }
    for (int64_t when = 0; when < END;) {
        struct zone_span span = zone_span(zone, when);
        if (span.from > when || span.until <= when || span.offset > 26 * 3600 ||
            span.offset < -26 * 3600 || (when > 0 && span.from != when))
            abort();
        if (span.until != INT64_MAX) {
            check_found(zone, &span, span.until - 1);
            check_found(zone, &span, when + (span.until - when) / 2);
        }
        when = span.until;
    }
    return 0;
}
