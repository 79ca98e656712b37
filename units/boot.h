#pragma once
/* What the host's own file says of how a machine comes up, in `boot = { ... }`; early boot
 * (supervisor/boot.c) does it where ringfence is PID 1. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units/spec.h"

struct boot_mount {
    char *device; /* a path, LABEL=, UUID=, PARTUUID=, PARTLABEL=, or a word; NULL: of target "/" */
    char *target; /* NULL: swap space has none */
    char *type;   /* NULL: as its superblock says */
    struct strings options;
    uint64_t timeout; /* microseconds, for the device to come */
    bool fsck, required, optional;
};

struct boot_settings {
    struct strings modules; /* "NAME", or "NAME PARAMETER=VALUE ..." */
    char *hostname;         /* NULL: of /etc/hostname */
    struct strings sysctl;  /* "KEY=VALUE" */
    struct strings sysctl_directories;
    struct {
        struct boot_mount *items;
        size_t count;
    } mounts;
};

#define MOUNT_TYPE_SWAP "swap"

/* Whether the target of one lies below the other's. All lies below "/", and that is there. */
bool boot_mount_is_within(const struct boot_mount *mount, const struct boot_mount *other);
/* Whether it would, without the other, be made of or in what lies beneath that one's target: it
 * lies within it, or takes something from there and the other one is `listed` before it. */
bool boot_mount_needs(const struct boot_mount *mount, const struct boot_mount *other, bool listed);
/* Whether one is mounted only when the other is: it lies within it, or they have something in
 * common and the other one is `listed` before it. */
bool boot_mount_waits(const struct boot_mount *mount, const struct boot_mount *other, bool listed);

struct source;
struct complaints;

/* The rules that span keys of a mount; `group` is that of the file. */
void boot_settings_check(const struct boot_settings *settings, const struct source *source,
                         size_t group, struct complaints *complaints);
