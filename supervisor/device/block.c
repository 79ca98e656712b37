#include "supervisor/device/block.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "units/base/scoped.h"

#define DEVICES "/sys/class/block"
#define UEVENT_MAX 4096
#define GUID_SIZE 16

/* ---- superblocks ---- */

enum id_form { ID_NONE, ID_UUID, ID_FAT };

/* Offsets in bytes from the beginning of the device, as the kernel's own headers have them. One
 * image in 65536 has the two bytes of an ext4 by chance: it comes after all that mke2fs writes
 * over, and before what may be left of an older one further behind. */
static const struct format {
    const char *type;
    uint32_t magic_at;
    const char *magic;
    uint8_t magic_length;
    enum id_form id;
    uint32_t id_at, label_at;
    uint16_t label_length; /* 0: it has none */
    bool wide;             /* the label is UTF-16 */
} formats[] = {
    {"squashfs", 0, "hsqs", 4, ID_NONE, 0, 0, 0, false},
    {"erofs", 0x400, "\xe2\xe1\xf5\xe0", 4, ID_UUID, 0x430, 0x440, 16, false},
    {"xfs", 0, "XFSB", 4, ID_UUID, 32, 108, 12, false},
    {"f2fs", 0x400, "\x10\x20\xf5\xf2", 4, ID_UUID, 0x46c, 0x47c, 256, true},
    {"vfat", 82, "FAT32   ", 8, ID_FAT, 67, 71, 11, false},
    {"vfat", 54, "FAT1", 4, ID_FAT, 39, 43, 11, false},
    {"exfat", 3, "EXFAT   ", 8, ID_FAT, 100, 0, 0, false},
    {"swap", 4096 - 10, "SWAPSPACE2", 10, ID_UUID, 0x40c, 0x41c, 16, false},
    {"ext4", 0x438, "\x53\xef", 2, ID_UUID, 0x468, 0x478, 16, false},
    {"btrfs", 0x10040, "_BHRfS_M", 8, ID_UUID, 0x10020, 0x1012b, 256, false},
    {"iso9660", 0x8001, "CD001", 5, ID_NONE, 0, 0x8028, 32, false},
    {"swap", 65536 - 10, "SWAPSPACE2", 10, ID_UUID, 0x40c, 0x41c, 16, false}, /* 64 KiB pages */
};

static bool read_at(int fd, uint64_t offset, void *ret_bytes, size_t length) {
    return pread(fd, ret_bytes, length, (off_t)offset) == (ssize_t)length;
}

static void print_uuid(const uint8_t *bytes, char ret_text[static 37]) {
    for (size_t i = 0; i < GUID_SIZE; i++)
        ret_text +=
            sprintf(ret_text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
}

static void read_id(int fd, const struct format *format, struct superblock *superblock) {
    uint8_t id[GUID_SIZE];
    if (format->id == ID_UUID && read_at(fd, format->id_at, id, GUID_SIZE))
        print_uuid(id, superblock->uuid);
    else if (format->id == ID_FAT && read_at(fd, format->id_at, id, 4))
        sprintf(superblock->uuid, "%02X%02X-%02X%02X", id[3], id[2], id[1], id[0]);
}

/* What of UTF-16 is not ASCII becomes a question mark, which no name given by a person matches. */
static void read_label(int fd, const struct format *format, struct superblock *superblock) {
    uint8_t bytes[2 * (sizeof(superblock->label) - 1)] = {0};
    size_t step = format->wide ? 2 : 1, length = 0;
    if (!read_at(fd, format->label_at, bytes, format->label_length * step))
        return;
    for (; length < format->label_length && bytes[length * step]; length++)
        superblock->label[length] =
            format->wide && bytes[length * 2 + 1] ? '?' : (char)bytes[length * step];
    while (length > 0 && superblock->label[length - 1] == ' ')
        length--; /* FAT and ISO 9660 fill theirs up */
    superblock->label[length] = '\0';
}

int superblock_read(int fd, struct superblock *ret_superblock) {
    for (size_t i = 0; i < ELEMENTS(formats); i++) {
        const struct format *format = &formats[i];
        char magic[16];
        if (!read_at(fd, format->magic_at, magic, format->magic_length) ||
            memcmp(magic, format->magic, format->magic_length) != 0)
            continue;
        *ret_superblock = (struct superblock){.type = format->type};
        read_id(fd, format, ret_superblock);
        read_label(fd, format, ret_superblock);
        return 0;
    }
    return -ENODATA;
}

/* ---- partitions ---- */

struct uevent {
    char text[UEVENT_MAX];
};

static int uevent_read(const char *path, struct uevent *ret_uevent) {
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t length = read(fd, ret_uevent->text, sizeof(ret_uevent->text) - 1);
    if (length < 0)
        return -errno;
    ret_uevent->text[length] = '\0';
    return 0;
}

/* "" where the kernel says nothing of it. */
static void uevent_value(const struct uevent *uevent, const char *name, char *ret_value,
                         size_t size) {
    size_t length = strlen(name);
    *ret_value = '\0';
    for (const char *line = uevent->text; *line; line += strcspn(line, "\n"), line += *line != 0)
        if (strncmp(line, name, length) == 0 && line[length] == '=') {
            line += length + 1;
            snprintf(ret_value, size, "%.*s", (int)strcspn(line, "\n"), line);
            return;
        }
}

/* A GPT's entry: its first three numbers are little-endian (UEFI 2.10, appendix A). */
static void guid_to_uuid(const uint8_t *guid, char ret_text[static 37]) {
    static const uint8_t order[GUID_SIZE] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    uint8_t uuid[GUID_SIZE];
    for (size_t i = 0; i < GUID_SIZE; i++)
        uuid[i] = guid[order[i]];
    print_uuid(uuid, ret_text);
}

static uint32_t little_32(const uint8_t *bytes) {
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* As the kernel names it in root=PARTUUID=: of a GPT, or a DOS label's signature and the number. */
static bool read_partition_id(const char *disk, unsigned number, char ret_text[static 37]) {
    scoped_fd int fd = open(disk, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    uint8_t header[92], dos[512], guid[GUID_SIZE];
    int sector = 512;
    if (fd < 0 || number == 0)
        return false;
    if (ioctl(fd, BLKSSZGET, &sector) < 0 || sector < 512)
        sector = 512;
    if (read_at(fd, (uint64_t)sector, header, sizeof(header)) &&
        memcmp(header, "EFI PART", 8) == 0) {
        uint64_t table = (little_32(header + 72) | (uint64_t)little_32(header + 76) << 32);
        uint64_t entry = (uint64_t)(number - 1) * little_32(header + 84);
        if (number > little_32(header + 80) ||
            !read_at(fd, table * (uint64_t)sector + entry + GUID_SIZE, guid, GUID_SIZE))
            return false;
        guid_to_uuid(guid, ret_text);
        return true;
    }
    if (!read_at(fd, 0, dos, sizeof(dos)) || dos[510] != 0x55 || dos[511] != 0xaa)
        return false;
    snprintf(ret_text, 37, "%08x-%02x", little_32(dos + 440), number);
    return true;
}

/* Where the kernel does not tell it the disk is read. */
static bool has_partition_id(const char *name, const struct uevent *uevent, const char *wanted) {
    char id[37], number[16], path[PATH_MAX], disk[NAME_MAX + 1];
    struct uevent parent;
    uevent_value(uevent, "PARTUUID", id, sizeof(id));
    uevent_value(uevent, "PARTN", number, sizeof(number));
    if (id[0])
        return strcasecmp(id, wanted) == 0;
    snprintf(path, sizeof(path), DEVICES "/%s/../uevent", name);
    if (!number[0] || uevent_read(path, &parent) < 0)
        return false;
    uevent_value(&parent, "DEVNAME", disk, sizeof(disk));
    snprintf(path, sizeof(path), "/dev/%s", disk);
    return read_partition_id(path, (unsigned)strtoul(number, NULL, 10), id) &&
           strcasecmp(id, wanted) == 0;
}

/* ---- finding ---- */

enum tag { TAG_LABEL, TAG_UUID, TAG_PARTITION_UUID, TAG_PARTITION_LABEL, TAGS };

static const char *const tag_words[TAGS] = {
    [TAG_LABEL] = "LABEL=",
    [TAG_UUID] = "UUID=",
    [TAG_PARTITION_UUID] = "PARTUUID=",
    [TAG_PARTITION_LABEL] = "PARTLABEL=",
};

/* What a mapping, an encryption or a RAID is made of bears the same name as what it makes. */
static bool has_holder(const char *name) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), DEVICES "/%s/holders", name);
    DIR *directory = opendir(path);
    size_t entries = 0;
    while (directory && readdir(directory))
        entries++;
    if (directory)
        closedir(directory);
    return entries > 2; /* "." and ".." */
}

static bool has_superblock(const char *path, enum tag tag, const char *wanted) {
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct superblock superblock;
    if (fd < 0 || superblock_read(fd, &superblock) < 0)
        return false;
    return tag == TAG_LABEL ? strcmp(superblock.label, wanted) == 0
                            : strcasecmp(superblock.uuid, wanted) == 0;
}

/* Whether the device of this name in /sys is it; then its path too. */
static bool is_meant(const char *name, enum tag tag, const char *wanted, char *ret_path,
                     size_t size) {
    char path[PATH_MAX], node[NAME_MAX + 1], label[256];
    struct uevent uevent;
    snprintf(path, sizeof(path), DEVICES "/%s/uevent", name);
    if (uevent_read(path, &uevent) < 0)
        return false;
    uevent_value(&uevent, "DEVNAME", node, sizeof(node));
    snprintf(ret_path, size, "/dev/%s", node);
    switch (tag) {
    case TAG_PARTITION_UUID:
        return has_partition_id(name, &uevent, wanted);
    case TAG_PARTITION_LABEL:
        uevent_value(&uevent, "PARTNAME", label, sizeof(label));
        return strcmp(label, wanted) == 0;
    default:
        return !has_holder(name) && has_superblock(ret_path, tag, wanted);
    }
}

/* The first by path that comes after `after`. */
static int find_by_tag(enum tag tag, const char *wanted, const char *after, char *ret_path,
                       size_t size) {
    char first[PATH_MAX] = "", path[PATH_MAX];
    DIR *directory = opendir(DEVICES);
    if (!directory)
        return errno == ENOENT ? -ENODEV : -errno;
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && is_meant(entry->d_name, tag, wanted, path, sizeof(path)) &&
            strcmp(path, after) > 0 && (!first[0] || strcmp(path, first) < 0))
            memcpy(first, path, sizeof(first));
    closedir(directory);
    if (!first[0])
        return -ENODEV;
    return (size_t)snprintf(ret_path, size, "%s", first) < size ? 0 : -ENAMETOOLONG;
}

int block_find_other(const char *name, const char *path, char *ret_path, size_t size) {
    for (enum tag tag = 0; tag < TAGS; tag++) {
        size_t length = strlen(tag_words[tag]);
        if (strncmp(name, tag_words[tag], length) == 0)
            return name[length] ? find_by_tag(tag, name + length, path, ret_path, size) : -EINVAL;
    }
    return name[0] == '/' ? -ENODEV : -EINVAL; /* a path is one device's alone */
}

int block_find(const char *name, char *ret_path, size_t size) {
    struct stat status;
    if (name[0] != '/')
        return block_find_other(name, "", ret_path, size);
    if (stat(name, &status) < 0)
        return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
    if (!S_ISBLK(status.st_mode))
        return -EMEDIUMTYPE;
    return (size_t)snprintf(ret_path, size, "%s", name) < size ? 0 : -ENAMETOOLONG;
}

int block_path(unsigned device_major, unsigned device_minor, char *ret_path, size_t size) {
    char path[64], node[NAME_MAX + 1];
    struct uevent uevent;
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", device_major, device_minor);
    if (uevent_read(path, &uevent) < 0)
        return -ENODEV;
    uevent_value(&uevent, "DEVNAME", node, sizeof(node));
    if (!node[0])
        return -ENODEV;
    return (size_t)snprintf(ret_path, size, "/dev/%s", node) < size ? 0 : -ENAMETOOLONG;
}
