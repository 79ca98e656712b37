#include "units/zone.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/zone-rule.h"

#define HEADER_SIZE 44
#define RULE_SIZE 256
#define OFFSET_MOST (26 * 3600) /* RFC 8536, 3.2: offsets lie between -25 and +26 hours */

struct zone_change {
    int64_t at; /* seconds since 1970 UTC */
    int32_t offset;
};

struct zone {
    struct zone_rule rule;
    bool has_rule; /* it holds from the last change on */
    int32_t first; /* the offset before the first change */
    size_t count;
    struct zone_change changes[]; /* from 1970 on, ascending */
};

/* ---- names ---- */

int zone_name_check(const char *name, struct fault *fault) {
    size_t length = strlen(name);
    bool fine = length > 0 && length < ZONE_NAME_SIZE && isalpha((unsigned char)name[0]);
    for (size_t i = 0; fine && i < length; i++)
        fine = isalnum((unsigned char)name[i]) || strchr("+-_", name[i]) ||
               (name[i] == '/' && isalnum((unsigned char)name[i + 1]));
    return fine ? 0
                : fault_say(fault, -EINVAL,
                            "\"%s\" is no name of a time zone; write one such as \"Europe/Berlin\"",
                            name);
}

/* ---- the format ---- */

struct header {
    unsigned char version;
    uint32_t utc_count, standard_count, leap_count, change_count, type_count, letter_count;
};

static uint64_t big_endian(const unsigned char *bytes, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

static bool header_read(const unsigned char *bytes, size_t left, struct header *ret) {
    if (left < HEADER_SIZE || memcmp(bytes, "TZif", 4) != 0)
        return false;
    uint32_t *const counts[] = {&ret->utc_count,    &ret->standard_count, &ret->leap_count,
                                &ret->change_count, &ret->type_count,     &ret->letter_count};
    ret->version = bytes[4];
    for (size_t i = 0; i < ELEMENTS(counts); i++)
        *counts[i] = (uint32_t)big_endian(bytes + 20 + 4 * i, 4);
    return true;
}

/* The bytes of the block after a header, whose instants have `time_size` bytes each. */
static uint64_t block_size(const struct header *header, size_t time_size) {
    return (uint64_t)header->change_count * (time_size + 1) + (uint64_t)header->type_count * 6 +
           header->letter_count + (uint64_t)header->leap_count * (time_size + 4) +
           header->standard_count + header->utc_count;
}

/* The block of version 2 as its tables, of which only instants and offsets matter here. */
struct block {
    const unsigned char *times, *indexes, *types;
    uint32_t change_count, type_count;
};

static bool type_offset(const struct block *block, size_t type, int32_t *ret_offset) {
    int32_t offset = (int32_t)big_endian(block->types + 6 * type, 4);
    *ret_offset = offset;
    return offset > -OFFSET_MOST && offset < OFFSET_MOST;
}

/* Fills in first and changes. What was before 1970 leaves only the offset that it led to. */
static bool changes_read(const struct block *block, struct zone *zone) {
    int64_t last = INT64_MIN;
    if (!type_offset(block, 0, &zone->first))
        return false;
    for (size_t i = 0; i < block->change_count; i++) {
        int64_t at = (int64_t)big_endian(block->times + 8 * i, 8);
        int32_t offset;
        if ((i > 0 && at <= last) || block->indexes[i] >= block->type_count ||
            !type_offset(block, block->indexes[i], &offset))
            return false;
        last = at;
        if (at < 0)
            zone->first = offset;
        else
            zone->changes[zone->count++] = (struct zone_change){at, offset};
    }
    return true;
}

/* "\nRULE\n" up to the end of the file; an empty rule says nothing about what comes. */
static bool footer_read(const unsigned char *bytes, size_t left, struct zone *zone) {
    char rule[RULE_SIZE];
    const unsigned char *end = left > 1 ? memchr(bytes + 1, '\n', left - 1) : NULL;
    if (!end || bytes[0] != '\n' || end - bytes > RULE_SIZE)
        return false;
    size_t length = (size_t)(end - bytes) - 1;
    memcpy(rule, bytes + 1, length);
    rule[length] = '\0';
    zone->has_rule = length > 0;
    return length == 0 || zone_rule_parse(rule, &zone->rule) == 0;
}

int zone_parse(const void *data, size_t length, struct zone **ret_zone, struct fault *fault) {
    const unsigned char *at = data, *end = at + length;
    struct header header;

    if (!header_read(at, length, &header))
        return fault_say(fault, -EINVAL, "this is no time zone file (TZif)");
    if (header.version < '2')
        return fault_say(fault, -EINVAL, "the time zone file is of version 1, which ends in 2037");
    if (block_size(&header, 4) > length - HEADER_SIZE)
        return fault_say(fault, -EINVAL, "the time zone file is cut short");
    at += HEADER_SIZE + block_size(&header, 4);
    if (!header_read(at, (size_t)(end - at), &header) ||
        block_size(&header, 8) > (size_t)(end - at) - HEADER_SIZE || header.type_count == 0)
        return fault_say(fault, -EINVAL, "the time zone file is cut short");
    if (header.leap_count > 0)
        return fault_say(fault, -EINVAL,
                         "the time zone file counts leap seconds, which the clock does not");

    const unsigned char *times = at + HEADER_SIZE;
    struct block block = {
        .times = times,
        .indexes = times + 8 * (size_t)header.change_count,
        .types = times + 9 * (size_t)header.change_count,
        .change_count = header.change_count,
        .type_count = header.type_count,
    };
    scoped(zone_free) struct zone *zone =
        calloc(1, sizeof *zone + header.change_count * sizeof zone->changes[0]);
    if (!zone)
        return fault_set(fault, ENOMEM, "cannot keep a time zone");
    at = times + block_size(&header, 8);
    if (!changes_read(&block, zone) || !footer_read(at, (size_t)(end - at), zone))
        return fault_say(fault, -EINVAL, "the time zone file contradicts itself");
    *ret_zone = take(zone);
    return 0;
}

int zone_from_rule(const char *rule, struct zone **ret_zone, struct fault *fault) {
    struct zone_rule parsed;
    if (zone_rule_parse(rule, &parsed) < 0)
        return fault_say(fault, -EINVAL, "\"%s\" is no rule of a time zone", rule);
    struct zone *zone = calloc(1, sizeof *zone);
    if (!zone)
        return fault_set(fault, ENOMEM, "cannot keep a time zone");
    zone->rule = parsed;
    zone->has_rule = true;
    *ret_zone = zone;
    return 0;
}

void zone_free(struct zone *zone) {
    free(zone);
}

/* ---- asking ---- */

struct zone_span zone_span(const struct zone *zone, int64_t when) {
    size_t low = 0, high = zone->count; /* the number of changes up to `when` */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at <= when)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_rule) {
        struct zone_span span = zone_rule_span(&zone->rule, when);
        if (low > 0 && span.from < zone->changes[low - 1].at)
            span.from = zone->changes[low - 1].at;
        return span;
    }
    return (struct zone_span){
        .from = low > 0 ? zone->changes[low - 1].at : INT64_MIN,
        .until = low < zone->count ? zone->changes[low].at : INT64_MAX,
        .offset = low > 0 ? zone->changes[low - 1].offset : zone->first,
    };
}
