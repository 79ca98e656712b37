#pragma once
/* A unit on its way from its files to struct unit: what it is made of, and what is wrong with it,
 * with the place where every key was given. load, check and order work on it; set makes it. */

#include "units/keys.h"
#include "units/set.h"
#include "units/source.h"

#define UNIT_DEFAULTS "defaults" /* the group of the host's file that holds sections */

enum layer { LAYER_DEFAULTS, LAYER_FILE };

struct origin {
    const struct source *source;
    enum layer layer;
    uint32_t node;
    uint16_t row;  /* of the key */
    uint16_t item; /* of a list section */
};

/* What stands for "%n" and its kin in strings. */
struct specifiers {
    const char *name;     /* %n */
    const char *argument; /* %i; NULL: the unit is no instance */
    char *prefix;         /* %p */
    const char *host;     /* %H */
};

struct draft {
    char *name;
    char *path; /* of the file that won */
    enum unit_condition condition;
    struct complaints complaints;
    struct unit *unit;
    struct source *sources; /* the file, then its drop-ins */
    size_t source_count;
    struct specifiers specifiers;
    struct origin *origins; /* the last for a key counts */
    size_t origin_count;
    uint32_t sections_given; /* a bit per section: in the unit's own files */
    /* What was not understood. A bit per row: its value was refused, or a name is nearly its own; a
     * bit per section: any key that is not given may be what was meant, or an item is incomplete.
     */
    uint64_t keys_doubted[UNIT_KEYS_MAX / 64];
    uint32_t sections_doubted;
    bool loaded_before; /* it has no sources: nothing is complained about any more */
};

/* Starts to fill a unit: all defaults. -ENOMEM. */
int draft_begin(struct draft *draft);
void draft_free(struct draft *draft);

/* One layer, from the lowest to the highest: the host's defaults, the file, each drop-in. `root` is
 * the group whose members are sections. */
void draft_apply(struct draft *draft, const struct source *source, size_t root, enum layer layer,
                 struct complaints *complaints);
/* A single group of the manager's own table. */
void settings_apply(struct manager_settings *settings, const struct source *source, size_t group,
                    struct complaints *complaints);

/* Fills in what depends on other keys and is not given. -ENOMEM. */
int draft_complete(struct draft *draft);
/* The same, then the rules that span keys, but for those that would only repeat what was said of
 * one of them. */
void draft_check(struct draft *draft);

/* Dependencies that do not exist, and cycles; drafts are sorted by name. */
int drafts_order(struct draft *const *drafts, size_t count, const struct manager_settings *settings,
                 struct fault *fault);

/* A complaint "section.key: ..." where the key was given; without a place where it was not. The
 * offset is that of the member in struct unit. */
void draft_complain(struct draft *draft, size_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for an item of a list section. */
void draft_complain_item(struct draft *draft, const struct section *section, const struct key *key,
                         size_t item, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Whether a file or the host's defaults gave it; whether the unit's own files did. */
bool draft_gave(const struct draft *draft, size_t offset);
bool draft_says(const struct draft *draft, size_t offset);
/* Whether what stands there may not be what was meant; the offset may be that of a list too. */
bool draft_doubts(const struct draft *draft, size_t offset);
/* The name "section.key" of the member at this offset, for sentences about two keys. */
const char *key_title(size_t offset, char *buffer, size_t size);
