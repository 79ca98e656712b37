#pragma once
/* The boot as the manager tells it, put in order for those who print or draw it: verbs-boot.c reads
 * it, boot-text.c, boot-svg.c and boot-dot.c show it. */

#include "supervisor/ctl/view.h"

#define NOBODY SIZE_MAX

/* All times are microseconds since the zero of the boot: the kernel's beginning where ringfence is
 * PID 1, else ringfenced's. */

/* What happened before the units: one after the other, but for steps, of which mounts overlap. */
enum boot_part { PART_KERNEL, PART_RINGFENCED, PART_STEP };

struct boot_stage {
    enum boot_part part;
    char *name;
    uint64_t begun, ended;
    char *outcome; /* "done", "skipped", "failed", "stale", "running" */
    char *words;
};

/* An invalid one has never begun: all its times are the beginning of the units. */
enum boot_fate { FATE_READY, FATE_FAILED, FATE_OPEN, FATE_INVALID };

struct boot_unit {
    const struct view *view;
    uint64_t waiting, building, starting; /* each is the next one where it was passed over */
    uint64_t ended;                       /* ready or failed; of an open one the present */
    enum boot_fate fate;
    size_t waited_for; /* the last of those it needed to be ready: it began then; NOBODY */
    bool critical;     /* on the longest chain */
};

struct boot_edge {
    size_t unit, other;
    const char *kind; /* "requires", "binds-to", "wants", "after", "shares" */
};

struct boot {
    bool machine;
    bool early;     /* the units have not begun */
    uint64_t zero;  /* CLOCK_BOOTTIME */
    uint64_t begun; /* of the units */
    uint64_t ended; /* the last unit was ready or failed */
    uint64_t now;   /* when it was asked for: of what has not come yet */
    uint64_t shown; /* where a drawing ends: a little after `ended` where some units are open */
    size_t open, failed, invalid;
    struct boot_stage *stages;
    size_t stage_count;
    struct boot_unit *units; /* in the order in which they began and were ready */
    size_t count;
    struct boot_edge *edges; /* between units of the boot */
    size_t edge_count;
    size_t *chain; /* the longest, from the last unit to be ready back to the first */
    size_t chain_length;
};

/* The views must outlive it. An exit code. */
int boot_read(sd_bus *bus, const struct views *views, struct boot *ret_boot, struct fault *fault);
void boot_free(struct boot *boot);
#define scoped_boot __attribute__((cleanup(boot_free)))

/* A name of at most so many columns. Of a longer one the end stays, which tells instances apart. */
#define BOOT_NAME_MAX 128 /* bytes */
void boot_short_name(const char *name, size_t most, char ret_name[static BOOT_NAME_MAX]);
const char *boot_fate_word(enum boot_fate fate); /* "ready", "failed", "open", "invalid" */
bool boot_unit_is_bad(const struct boot_unit *unit);
bool boot_stage_failed(const struct boot_stage *stage);
/* Whether it is an open one that has not come to this time of its own. */
bool boot_unit_awaits(const struct boot *boot, const struct boot_unit *unit, uint64_t time);
/* From the first stage of one part to the end of its last. */
uint64_t boot_part_time(const struct boot *boot, enum boot_part part);
/* "4.1ms", "412ms", "1.204s", "1min 2.3s", "17h 55min" */
void boot_duration(struct text *text, uint64_t usec);
/* "up in 3.608s, 1 unit failed: kernel 1.204s, initramfs 300ms, ringfenced 46ms, early boot 391ms,
 * manager 59ms, units 1.608s", or "coming up, 2 units are not ready" or "in early boot" in front.
 */
void boot_summary(const struct boot *boot, struct text *text);

void boot_print(const struct tool *tool, const struct boot *boot, struct text *text);
void boot_dot(const struct boot *boot, struct text *text);
void boot_svg(const struct boot *boot, struct text *text);
