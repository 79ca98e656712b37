#include "units/boot.h"

#include <string.h>

#include "units/keys.h"
#include "units/source.h"

/* ---- what waits for what ---- */

/* The path ends with its string, or in front of one of `ends`: strchr finds the zero, too. */
static bool begins_with(const char *path, const char *directory, const char *ends) {
    size_t length = strlen(directory);
    while (length > 0 && directory[length - 1] == '/')
        length--;
    return strncmp(path, directory, length) == 0 &&
           (path[length] == '/' || strchr(ends, path[length]));
}

static bool lies_in(const char *path, const char *directory) {
    return begins_with(path, directory, "");
}

static bool touch(const char *path, const char *target) {
    return path && target && path[0] == '/' && (lies_in(path, target) || lies_in(target, path));
}

static bool are_same(const char *path, const char *other) {
    return path && other && lies_in(path, other) && lies_in(other, path);
}

/* As an overlay does: "lowerdir=/usr:/data/lower,upperdir=/data/upper". */
static bool mentions(const struct strings *options, const char *target) {
    for (size_t i = 0; i < options->count; i++)
        for (const char *at = options->items[i]; *at; at += strcspn(at, "=:,"), at += *at != 0)
            if (*at == '/' && begins_with(at, target, ":,"))
                return true;
    return false;
}

bool boot_mount_is_within(const struct boot_mount *mount, const struct boot_mount *other) {
    return mount->target && other->target && strcmp(other->target, "/") != 0 &&
           lies_in(mount->target, other->target) && !lies_in(other->target, mount->target);
}

bool boot_mount_needs(const struct boot_mount *mount, const struct boot_mount *other, bool listed) {
    if (!other->target || strcmp(other->target, "/") == 0)
        return false;
    return boot_mount_is_within(mount, other) ||
           (listed && ((mount->device && lies_in(mount->device, other->target)) ||
                       mentions(&mount->options, other->target)));
}

/* Of a bind, or a file to swap to, the device is a path that another may bring; of an overlay the
 * options name some. */
bool boot_mount_waits(const struct boot_mount *mount, const struct boot_mount *other, bool listed) {
    bool is_root = other->target && strcmp(other->target, "/") == 0;
    if (boot_mount_is_within(mount, other))
        return true;
    if (!listed)
        return is_root && !(mount->target && strcmp(mount->target, "/") == 0);
    return is_root || are_same(mount->target, other->target) ||
           touch(mount->device, other->target) || touch(other->device, mount->target) ||
           touch(mount->device, other->device) ||
           (other->target && mentions(&mount->options, other->target));
}

/* ---- rules ---- */

/* NULL: it is sound. */
static const char *mount_fault(const struct boot_mount *mount) {
    bool is_swap = mount->type && strcmp(mount->type, MOUNT_TYPE_SWAP) == 0;
    bool is_root = mount->target && strcmp(mount->target, "/") == 0;
    if (!mount->device && !is_root)
        return "a device is needed; only what is mounted on \"/\" has one already";
    if (is_swap && mount->target)
        return "swap space has no target";
    if (!is_swap && !mount->target)
        return "a target is needed; only swap space has none";
    if (mount->required && mount->optional)
        return "it cannot be required and optional";
    return NULL;
}

static bool is_group(const struct source *source, size_t node) {
    return config_setting_is_group(source->nodes[node].setting);
}

/* The loader takes every group of the list as an item, and nothing else. */
static void check_mounts(const struct boot_settings *settings, const char *name,
                         const struct source *source, size_t list, struct complaints *complaints) {
    size_t item = 0;
    for (size_t i = list + 1; i < source->nodes[list].end; i = source->nodes[i].end) {
        if (!is_group(source, i) || item == settings->mounts.count)
            continue;
        const char *fault = mount_fault(&settings->mounts.items[item]);
        if (fault)
            source_complain_at(source, complaints, source->nodes[i].value, "%s[%zu]: %s", name,
                               item, fault);
        item++;
    }
}

void boot_settings_check(const struct boot_settings *settings, const struct source *source,
                         size_t group, struct complaints *complaints) {
    for (size_t i = 0; i < manager_sections.count; i++) {
        const struct section *section = &manager_sections.sections[i];
        const char *dot = strchr(section->name, '.');
        if (!dot || !section->element_size)
            continue;
        size_t list = is_group(source, group) ? source_member(source, group, dot + 1) : 0;
        if (list > 0)
            check_mounts(settings, section->name, source, list, complaints);
    }
}
