#include "units/keys.h"
#include "units/kinds.h"
#include "units/set.h"

#define IN_BOOT(member) offsetof(struct manager_settings, boot.member)
#define IN_MOUNT(member) offsetof(struct boot_mount, member)

const struct key boot_keys[BOOT_KEYS] = {
    {"modules", &kind_modules, IN_BOOT(modules), .since = "0.1",
     .doc = "Kernel modules that are loaded first, in this order, each after those that it needs; "
            "\"NAME PARAMETER=VALUE\" gives one parameters."},
    {"hostname", &kind_host_name, IN_BOOT(hostname), .otherwise = "what /etc/hostname says",
     .since = "0.1", .doc = "The machine's name."},
    {"sysctl", &kind_host_sysctl, IN_BOOT(sysctl), .since = "0.1",
     .doc = "Settings of the kernel, as \"net.ipv4.ip_forward=1\", which win over those of "
            "sysctl_directories."},
    {"sysctl_directories", &kind_paths, IN_BOOT(sysctl_directories), .since = "0.1",
     .doc = "Directories whose files *.conf hold such settings (sysctl.d(5)), for example "
            "\"/etc/sysctl.d\"; where two have a file of the same name the first one's is read."},
};

const struct key boot_mount_keys[BOOT_MOUNT_KEYS] = {
    {"device", &kind_device, IN_MOUNT(device), .otherwise = "what is mounted on \"/\"",
     .since = "0.1",
     .doc = "The device, by a path or by \"LABEL=\", \"UUID=\", \"PARTUUID=\" or \"PARTLABEL=\"; a "
            "word such as \"tmpfs\" where the file system has no device."},
    {"target", &kind_path, IN_MOUNT(target), .otherwise = "required but for swap space",
     .since = "0.1",
     .doc = "Where it is mounted; the directory is made where it is not there. \"/\" is mounted "
            "already, and gets its options."},
    {"type", &kind_file_system, IN_MOUNT(type), .otherwise = "as found on the device",
     .since = "0.1",
     .doc = "The file system's type, or \"" MOUNT_TYPE_SWAP "\" for space to swap to."},
    {"options", &kind_mount_options, IN_MOUNT(options), .since = "0.1",
     .doc = "Options of mount(8) and of the file system: \"ro\", \"noatime\", \"bind\", "
            "\"subvol=data\"; of swap space: \"discard\", \"pri=10\"."},
    {"fsck", &kind_bool, IN_MOUNT(fsck), .fallback = "true", .since = "0.1",
     .doc =
         "Whether fsck.TYPE, where the machine has it, checks and repairs the file system before "
         "it is mounted."},
    {"required", &kind_bool, IN_MOUNT(required), .fallback = "false", .since = "0.1",
     .doc =
         "Whether the machine cannot do without it: no unit starts until it is mounted, which is "
         "tried again and again. Otherwise a failure is said and boot goes on."},
    {"optional", &kind_bool, IN_MOUNT(optional), .fallback = "false", .since = "0.1",
     .doc = "Whether it is no failure when the device does not come."},
    {"timeout", &kind_duration, IN_MOUNT(timeout), .fallback = "10s", .most = INT64_MAX,
     .since = "0.1", .doc = "How long the device is waited for; 0: it is there or not."},
};
