#include <assert.h>

#include "units/base/names.h"
#include "units/keys.h"
#include "units/kinds.h"

#define AT(member) offsetof(struct unit, member)
#define IN_MOUNT(member) offsetof(struct mount, member)
#define IN_VOLUME(member) offsetof(struct volume, member)
#define IN_SECRET(member) offsetof(struct secret, member)
#define IN_DEVICE(member) offsetof(struct device, member)

static const char *const upper_words[] = {
    [UPPER_VOLATILE] = "volatile",
    [UPPER_PERSISTENT] = "persistent",
    [UPPER_NONE] = "none",
};
static_assert(ELEMENTS(upper_words) == UPPER_NONE + 1, "a word for every upper");
static const struct names uppers = NAMES(upper_words);

static const char *const mount_words[] = {
    [MOUNT_BIND] = "bind",
    [MOUNT_TMPFS] = "tmpfs",
    [MOUNT_OVERLAY] = "overlay",
};
static_assert(ELEMENTS(mount_words) == MOUNT_OVERLAY + 1, "a word for every mount type");
static const struct names mount_types = NAMES(mount_words);

const struct key rootfs_keys[ROOTFS_KEYS] = {
    {"path", &kind_path, AT(container.rootfs.path), .since = "0.1",
     .otherwise = "the layers; with none of both the host's own root, read-only",
     .doc = "A host directory that is the container's root."},
    {"layers", &kind_layers, AT(container.rootfs.layers), .since = "0.1",
     .doc =
         "What overlayfs makes into one root, the lowest first: host directories, and files with a "
         "file system in them, which their names tell (.squashfs, .erofs, .ext4). "
         "\"oci:DIR[:TAG]\" "
         "and \"image:NAME\" come with a later version. A file is read by the kernel's own driver: "
         "use none from somebody you would not let write to this host's disk."},
    {"bundle", &kind_path, AT(container.rootfs.bundle), .flags = KEY_LATER, .since = "0.1",
     .doc = "A directory with an OCI bundle."},
    {"readonly", &kind_bool, AT(container.rootfs.readonly), .fallback = "false", .since = "0.1",
     .doc = "Whether the root cannot be written to. The host's own root never can."},
    {"upper", &kind_enum, AT(container.rootfs.upper), .fallback = "volatile", .names = &uppers,
     .since = "0.1",
     .doc = "Where writes above layers go: to a tmpfs that is kept over automatic restarts and "
            "dropped on stop (volatile), to the state directory until the unit is removed "
            "(persistent), or nowhere (none)."},
    {"upper_size", &kind_size, AT(container.rootfs.upper_size), .fallback = "64M", .least = 4096,
     .most = INT64_MAX, .since = "0.1", .doc = "The size of a volatile upper."},
    {"verity", &kind_root_hash, AT(container.rootfs.verity), .flags = KEY_LATER, .since = "0.1",
     .doc = "The dm-verity root hash of the layer's image; where it does not match, the unit does "
            "not start."},
};

const struct key mount_keys[MOUNT_KEYS] = {
    {"type", &kind_enum, IN_MOUNT(type), .fallback = "bind", .names = &mount_types,
     .later_values = 1u << MOUNT_OVERLAY, .since = "0.1",
     .doc =
         "A part of the host (bind), an empty file system in memory (tmpfs), or directories laid "
         "one over the other (overlay)."},
    {"source", &kind_path, IN_MOUNT(source), .since = "0.1",
     .doc =
         "The host's directory or file that a bind shows, with the host's owners: to a unit with "
         "a user namespace of its own they are all strangers, so that it may do there what "
         "others may. What it is to keep belongs in a volume, whose owners are its own."},
    {"target", &kind_path, IN_MOUNT(target), .flags = KEY_REQUIRED | KEY_IDENTITY, .since = "0.1",
     .doc =
         "Where it is seen inside the container. It is made where it is missing, which in a root "
         "that is only read takes a tmpfs of the unit above it."},
    {"readonly", &kind_bool, IN_MOUNT(readonly), .fallback = "false", .since = "0.1",
     .doc = "Whether it cannot be written to through this mount."},
    {"recursive", &kind_bool, IN_MOUNT(recursive), .fallback = "true", .since = "0.1",
     .doc = "Whether a bind shows what is mounted below its source too."},
    {"size", &kind_size, IN_MOUNT(size), .fallback = "16M", .least = 4096, .most = INT64_MAX,
     .since = "0.1", .doc = "The size of a tmpfs."},
    {"mode", &kind_mode, IN_MOUNT(mode), .most = 07777, .since = "0.1",
     .otherwise = "0755; 1777 on /tmp and /var/tmp",
     .doc = "The mode of a tmpfs's root, in octal."},
    {"owner", &kind_user, IN_MOUNT(owner), .since = "0.1", .otherwise = "service.user",
     .doc = "The owner of a tmpfs's root, as \"USER\" or \"USER:GROUP\"."},
    {"layers", &kind_paths, IN_MOUNT(layers), .flags = KEY_LATER, .since = "0.1",
     .doc = "The directories of an overlay, the lowest first."},
    {"optional", &kind_bool, IN_MOUNT(optional), .fallback = "false", .since = "0.1",
     .doc = "Whether a bind whose source is absent is left out."},
    {"options", &kind_strings, IN_MOUNT(options), .flags = KEY_LATER, .since = "0.1",
     .doc = "Further mount options (mount(8))."},
};

const struct key volume_keys[VOLUME_KEYS] = {
    {"name", &kind_file_name, IN_VOLUME(name), .flags = KEY_REQUIRED | KEY_IDENTITY, .since = "0.1",
     .doc = "The volume's name: a directory below the state directory."},
    {"target", &kind_path, IN_VOLUME(target), .flags = KEY_REQUIRED, .since = "0.1",
     .doc = "Where it is seen inside the container."},
    {"readonly", &kind_bool, IN_VOLUME(readonly), .fallback = "false", .since = "0.1",
     .doc = "Whether this unit cannot write to it."},
    {"mode", &kind_mode, IN_VOLUME(mode), .fallback = "0750", .most = 07777, .since = "0.1",
     .doc = "The mode that its directory is made with, in octal."},
    {"owner", &kind_user, IN_VOLUME(owner), .since = "0.1", .otherwise = "service.user",
     .doc = "The owner that its directory is made with, as \"USER\" or \"USER:GROUP\"."},
};

const struct key secret_keys[SECRET_KEYS] = {
    {"name", &kind_file_name, IN_SECRET(name), .flags = KEY_REQUIRED | KEY_IDENTITY | KEY_LATER,
     .since = "0.1", .doc = "The secret's name."},
    {"source", &kind_path, IN_SECRET(source), .flags = KEY_REQUIRED | KEY_LATER, .since = "0.1",
     .doc = "The host's file that holds it."},
    {"target", &kind_path, IN_SECRET(target), .flags = KEY_LATER, .since = "0.1",
     .otherwise = "/run/secrets/NAME", .doc = "Where it is seen inside the container."},
    {"mode", &kind_mode, IN_SECRET(mode), .fallback = "0400", .most = 0777, .flags = KEY_LATER,
     .since = "0.1", .doc = "The mode of the file inside, in octal."},
    {"owner", &kind_user, IN_SECRET(owner), .flags = KEY_LATER, .since = "0.1",
     .otherwise = "service.user", .doc = "The owner of the file inside."},
};

const struct key device_keys[DEVICE_KEYS] = {
    {"path", &kind_path, IN_DEVICE(path), .flags = KEY_REQUIRED | KEY_IDENTITY, .since = "0.1",
     .doc =
         "The device's file on the host, for example /dev/ttyS0. It is at the same place inside, "
         "with the same mode; its owner and group are those ids inside the unit."},
    {"access", &kind_access, IN_DEVICE(access), .fallback = "rw", .since = "0.1",
     .doc = "Letters of \"r\" (read), \"w\" (write) and \"m\" (make nodes): what the unit may do, "
            "whatever the mode of the file says."},
};
