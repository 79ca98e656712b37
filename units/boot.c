#include "units/boot.h"

#include <string.h>

#include "units/keys.h"
#include "units/source.h"

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
