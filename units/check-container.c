#include <limits.h>
#include <string.h>

#include "units/base/names.h"
#include "units/check.h"

#define AT(member) offsetof(struct unit, member)
#define CHOICE(kind) offsetof(struct unit, container.namespaces.choices[kind])

/* ---- the root ---- */

static bool has_host_root(const struct container *container) {
    const struct rootfs *rootfs = &container->rootfs;
    return !rootfs->path && rootfs->layers.count == 0 && !rootfs->bundle;
}

void check_root(struct draft *draft) {
    const struct rootfs *rootfs = &draft->unit->container.rootfs;
    char title[64];
    if (rootfs->path && rootfs->layers.count)
        draft_complain(draft, AT(container.rootfs.path), "a root has either this or %s",
                       key_title(AT(container.rootfs.layers), title, sizeof(title)));
    if (draft_says(draft, AT(container.rootfs.upper)) && rootfs->layers.count == 0 &&
        rootfs->upper != UPPER_NONE)
        draft_complain(draft, AT(container.rootfs.upper), "only %s can have one",
                       key_title(AT(container.rootfs.layers), title, sizeof(title)));
    if (rootfs->layers.count && rootfs->upper == UPPER_NONE && !rootfs->readonly)
        draft_complain(draft, AT(container.rootfs.upper),
                       "\"none\" leaves nothing to write to; add readonly = true");
    if (draft_says(draft, AT(container.rootfs.upper)) && rootfs->layers.count && rootfs->readonly &&
        rootfs->upper != UPPER_NONE)
        draft_complain(draft, AT(container.rootfs.upper),
                       "with readonly = true nothing is ever written to it");
    if (draft_says(draft, AT(container.rootfs.upper_size)) &&
        (rootfs->layers.count == 0 || rootfs->upper != UPPER_VOLATILE || rootfs->readonly))
        draft_complain(draft, AT(container.rootfs.upper_size),
                       "only a volatile upper above layers has a size");
    if (has_host_root(&draft->unit->container) && !rootfs->readonly &&
        draft_says(draft, AT(container.rootfs.readonly)))
        draft_complain(draft, AT(container.rootfs.readonly),
                       "the host's own root is always read-only; data goes to volumes and tmpfs");
}

/* ---- mounts and volumes ---- */

/* Whether path is `directory` or lies below it. */
static bool is_below(const char *path, const char *directory) {
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* /proc and /sys decide what is isolated, /dev is always ours (CVE-2019-16884, -19921). */
static const char *reserved(const char *target) {
    static const char *const directories[] = {"/proc", "/sys", "/dev"};
    for (size_t i = 0; i < ELEMENTS(directories); i++)
        if (is_below(target, directories[i]))
            return directories[i];
    return NULL;
}

/* A list section whose elements have a target: its rows by what they fill. */
struct target_list {
    const struct section *section;
    const struct key *target;
    size_t size, offset; /* of an element, and of the target in it */
    const struct section_list *list;
};

static const struct section *section_of_list(size_t list_offset) {
    for (size_t i = 0; i < unit_sections.count; i++)
        if (unit_sections.sections[i].element_size &&
            unit_sections.sections[i].list_offset == list_offset)
            return &unit_sections.sections[i];
    return NULL;
}

static const struct key *key_of_element(const struct section *section, size_t offset) {
    for (size_t i = 0; i < section->count; i++)
        if (section->keys[i].offset == offset)
            return &section->keys[i];
    return NULL;
}

static struct target_list target_list(const struct unit *unit, size_t list, size_t size,
                                      size_t target) {
    const struct section *section = section_of_list(list);
    return (struct target_list){section, key_of_element(section, target), size, target,
                                (const void *)((const char *)unit + list)};
}

static const char *target_at(const struct target_list *list, size_t item) {
    return *(char *const *)((const char *)list->list->items + item * list->size + list->offset);
}

static void check_target(struct draft *draft, const struct target_list *list, size_t item) {
    const char *target = target_at(list, item);
    const char *directory = reserved(target);
    if (strcmp(target, "/") == 0)
        draft_complain_item(draft, list->section, list->target, item,
                            "the root is not a place to mount on; see the section rootfs");
    else if (directory)
        draft_complain_item(draft, list->section, list->target, item,
                            "\"%s\" is made by ringfence, and nothing is mounted there", directory);
}

static void check_twice(struct draft *draft, const struct target_list *lists, size_t count,
                        size_t last, size_t item) {
    const char *target = target_at(&lists[last], item);
    for (size_t i = 0; i <= last && i < count; i++)
        for (size_t k = 0; k < (i == last ? item : lists[i].list->count); k++)
            if (strcmp(target_at(&lists[i], k), target) == 0) {
                draft_complain_item(draft, lists[last].section, lists[last].target, item,
                                    "\"%s\" is the target of %s[%zu] already", target,
                                    lists[i].section->name, k);
                return;
            }
}

static void check_mount(struct draft *draft, const struct section *section,
                        const struct mount *mount, size_t item) {
    const struct key *source = key_of_element(section, offsetof(struct mount, source));
    if (mount->type == MOUNT_BIND && !mount->source)
        draft_complain_item(draft, section, source, item,
                            "a bind shows a path of the host; say which");
    if (mount->type == MOUNT_TMPFS && mount->source)
        draft_complain_item(draft, section, source, item, "a tmpfs has none");
    if (mount->type == MOUNT_TMPFS && mount->optional)
        draft_complain_item(draft, section,
                            key_of_element(section, offsetof(struct mount, optional)), item,
                            "a tmpfs is never absent");
    if (mount->type == MOUNT_BIND && (mount->mode != MODE_UNSET || mount->owner))
        draft_complain_item(draft, section,
                            key_of_element(section, mount->owner ? offsetof(struct mount, owner)
                                                                 : offsetof(struct mount, mode)),
                            item, "a bind keeps what the source has");
}

static void check_volume_names(struct draft *draft, const struct section *section) {
    const struct container *container = &draft->unit->container;
    for (size_t i = 0; i < container->volumes.count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(container->volumes.items[i].name, container->volumes.items[k].name) == 0) {
                draft_complain_item(draft, section,
                                    key_of_element(section, offsetof(struct volume, name)), i,
                                    "\"%s\" is the name of %s[%zu] already",
                                    container->volumes.items[i].name, section->name, k);
                break;
            }
}

void check_devices(struct draft *draft) {
    const struct container *container = &draft->unit->container;
    const struct section *section = section_of_list(AT(container.devices));
    const struct key *path = key_of_element(section, offsetof(struct device, path));
    for (size_t i = 0; i < container->devices.count; i++)
        if (!is_below(container->devices.items[i].path, "/dev") ||
            strcmp(container->devices.items[i].path, "/dev") == 0)
            draft_complain_item(draft, section, path, i,
                                "\"%s\" is not below /dev, which is where devices are",
                                container->devices.items[i].path);
}

void check_mounts(struct draft *draft) {
    const struct unit *unit = draft->unit;
    struct target_list lists[] = {
        target_list(unit, AT(container.mounts), sizeof(struct mount),
                    offsetof(struct mount, target)),
        target_list(unit, AT(container.volumes), sizeof(struct volume),
                    offsetof(struct volume, target)),
    };
    for (size_t i = 0; i < ELEMENTS(lists); i++)
        for (size_t item = 0; item < lists[i].list->count; item++) {
            check_target(draft, &lists[i], item);
            check_twice(draft, lists, ELEMENTS(lists), i, item);
        }
    for (size_t i = 0; i < unit->container.mounts.count; i++)
        check_mount(draft, lists[0].section, &unit->container.mounts.items[i], i);
    check_volume_names(draft, lists[1].section);
}

/* ---- namespaces ---- */

/* Once inside a user namespace a process cannot join a network or ipc namespace that another one
 * owns. */
static void check_shared_user(struct draft *draft, enum namespace_kind kind) {
    const struct namespace_choice *choices = draft->unit->container.namespaces.choices;
    const struct namespace_choice *user = &choices[NAMESPACE_USER];
    char title[64];
    if (choices[kind].mode != NAMESPACE_UNIT)
        return;
    if (user->mode == NAMESPACE_UNIT && strcmp(user->name, choices[kind].name) == 0)
        return;
    if (user->mode == NAMESPACE_HOST)
        return;
    draft_complain(draft, CHOICE(kind), "sharing it with \"%s\" means to share %s with it too",
                   choices[kind].name, key_title(CHOICE(NAMESPACE_USER), title, sizeof(title)));
}

void check_shared(struct draft *draft) {
    check_shared_user(draft, NAMESPACE_NETWORK);
    check_shared_user(draft, NAMESPACE_IPC);
}

void check_hostname(struct draft *draft) {
    const struct container *container = &draft->unit->container;
    const struct namespace_choice *choices = container->namespaces.choices;
    char title[64];
    if (container->process.hostname && choices[NAMESPACE_UTS].mode != NAMESPACE_PRIVATE)
        draft_complain(draft, AT(container.process.hostname),
                       "it needs a uts namespace of its own, and %s says otherwise",
                       key_title(CHOICE(NAMESPACE_UTS), title, sizeof(title)));
    if (!container->process.hostname && choices[NAMESPACE_UTS].mode == NAMESPACE_PRIVATE &&
        strlen(container->name) > HOST_NAME_MAX)
        draft_complain(draft, AT(container.process.hostname),
                       "the unit's name is longer than the %d bytes of a host name; give one",
                       HOST_NAME_MAX);
}

void check_namespaces(struct draft *draft) {
    const struct container *container = &draft->unit->container;
    const struct namespace_choice *choices = container->namespaces.choices;
    if (choices[NAMESPACE_MOUNT].mode == NAMESPACE_HOST && !has_host_root(container))
        draft_complain(draft, CHOICE(NAMESPACE_MOUNT),
                       "with the host's mounts there is no root of its own");
    if (choices[NAMESPACE_MOUNT].mode == NAMESPACE_HOST &&
        (container->mounts.count || container->volumes.count))
        draft_complain(draft, CHOICE(NAMESPACE_MOUNT),
                       "mounts and volumes would be the host's too");
    if (choices[NAMESPACE_MOUNT].mode != NAMESPACE_PRIVATE && container->devices.count)
        draft_complain(draft, CHOICE(NAMESPACE_MOUNT), "devices need a /dev of the unit's own");
    if (choices[NAMESPACE_USER].mode == NAMESPACE_RANGE && choices[NAMESPACE_USER].count < 1000)
        draft_complain(draft, CHOICE(NAMESPACE_USER),
                       "a range of fewer than 1000 ids leaves no place for a user");
}

/* ---- kernel settings ---- */

static bool has_prefix(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_ipc_setting(const char *setting) {
    static const char *const names[] = {"kernel.shm", "kernel.msg", "fs.mqueue."};
    for (size_t i = 0; i < ELEMENTS(names); i++)
        if (has_prefix(setting, names[i]))
            return true;
    return has_prefix(setting, "kernel.sem=");
}

/* Only what the kernel keeps per namespace, and only in one that is the unit's own (R11). */
void check_sysctl(struct draft *draft) {
    const struct container *container = &draft->unit->container;
    const struct namespace_choice *choices = container->namespaces.choices;
    size_t member = AT(container.network.sysctl);
    char title[64];
    for (size_t i = 0; i < container->network.sysctl.count; i++) {
        const char *setting = container->network.sysctl.items[i];
        enum namespace_kind kind = NAMESPACE_NETWORK;
        if (is_ipc_setting(setting))
            kind = NAMESPACE_IPC;
        else if (!has_prefix(setting, "net.")) {
            draft_complain(draft, member,
                           "\"%s\" is not a setting of a namespace; allowed are net.*, "
                           "kernel.shm*, kernel.msg*, kernel.sem and fs.mqueue.*",
                           setting);
            continue;
        }
        if (choices[kind].mode != NAMESPACE_PRIVATE && choices[kind].mode != NAMESPACE_BRIDGE)
            draft_complain(draft, member,
                           "\"%s\" would change a namespace that is not the unit's "
                           "own; see %s",
                           setting, key_title(CHOICE(kind), title, sizeof(title)));
    }
}
