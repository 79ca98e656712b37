#include "runtime/image.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

#define LOOP_ATTEMPTS 64 /* others look for a free loop device at the same time */
#define SUPERBLOCK 2048  /* bytes from the beginning of the file: all superblocks end before */

struct format {
    const char *suffix, *type;
    uint32_t offset; /* of the magic number in the file */
    uint32_t magic;  /* little-endian */
    uint32_t mask;
    uint64_t (*length)(const uint8_t *start); /* that the file must have */
    const char *option;                       /* a key and its value, or NULL */
    const char *value;
    bool from_file; /* a kernel may mount it without a loop device (erofs: 6.12) */
};

/* ---- superblocks ---- */

static uint32_t word_at(const uint8_t *start, size_t offset) {
    uint32_t word;
    memcpy(&word, start + offset, sizeof word);
    return le32toh(word);
}

static uint64_t squashfs_length(const uint8_t *start) {
    return word_at(start, 40) | (uint64_t)word_at(start, 44) << 32;
}

/* Nonsense in the size of a block is left to the kernel. */
static uint64_t erofs_length(const uint8_t *start) {
    return (uint64_t)word_at(start, 1024 + 36) << (start[1024 + 12] & 31);
}

static uint64_t ext4_length(const uint8_t *start) {
    uint64_t blocks = word_at(start, 1024 + 4);
    if (word_at(start, 1024 + 96) & 0x80) /* feature "64bit" */
        blocks |= (uint64_t)(word_at(start, 1024 + 336) & 0xffff) << 32;
    return blocks << (10 + (word_at(start, 1024 + 24) & 7));
}

/* An ext4 says itself what is to be done about its errors, and one answer is to panic. */
static const struct format formats[] = {
    {".squashfs", "squashfs", 0, 0x73717368, UINT32_MAX, squashfs_length, NULL, NULL, false},
    {".erofs", "erofs", 1024, 0xe0f5e1e2, UINT32_MAX, erofs_length, NULL, NULL, true},
    {".ext4", "ext4", 1024 + 56, 0xef53, UINT16_MAX, ext4_length, "errors", "remount-ro", false},
};

static const struct format *format_of(const char *path) {
    size_t length = strlen(path);
    for (size_t i = 0; i < ELEMENTS(formats); i++) {
        size_t tail = strlen(formats[i].suffix);
        if (length > tail && strcmp(path + length - tail, formats[i].suffix) == 0)
            return &formats[i];
    }
    return NULL;
}

/* A copy that was cut short is found out here: a kernel may mount it, and fail one read of many. */
static int check(int file, const char *path, const struct format *format, uint64_t length,
                 struct fault *fault) {
    uint8_t start[SUPERBLOCK] = {0};
    ssize_t read = pread(file, start, sizeof start, 0);
    if (read < 0)
        return fault_set(fault, errno, "cannot read \"%s\"", path);
    if ((word_at(start, format->offset) & format->mask) != format->magic)
        return fault_say(fault, -EINVAL, "\"%s\" holds no %s file system", path, format->type);
    if (length < format->length(start))
        return fault_say(fault, -EINVAL,
                         "\"%s\" is cut short: its %s file system has %" PRIu64
                         " bytes, the file has %" PRIu64,
                         path, format->type, format->length(start), length);
    return 0;
}

static int open_file(const char *path, const struct format *format, struct fault *fault) {
    struct stat status;
    scoped_fd int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0 || fstat(file, &status) < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", path);
    if (!S_ISREG(status.st_mode))
        return fault_say(fault, -EINVAL, "\"%s\" is neither a directory nor a file", path);
    int error = check(file, path, format, (uint64_t)status.st_size, fault);
    return error < 0 ? error : take_fd(&file);
}

/* ---- loop devices ---- */

static int open_loop(unsigned number) {
    char path[32];
    struct stat status;
    snprintf(path, sizeof path, "/dev/loop%u", number);
    scoped_fd int loop = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (loop < 0 || fstat(loop, &status) < 0)
        return -errno;
    bool right = S_ISBLK(status.st_mode) && major(status.st_rdev) == LOOP_MAJOR;
    return right ? take_fd(&loop) : -ENOTBLK;
}

/* The kernel lets go of the device when nobody has it open nor mounted any more. */
static int loop_attach(int file, const char *path, unsigned *ret_number, struct fault *fault) {
    const struct loop_config config = {.fd = (unsigned)file,
                                       .info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR};
    scoped_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return errno == ENOENT || errno == ENODEV || errno == ENXIO
                   ? fault_say(fault, errno,
                               "\"%s\" needs a loop device, and there is no \"/dev/loop-control\": "
                               "load the kernel module loop",
                               path)
                   : fault_set(fault, errno,
                               "\"%s\" needs a loop device: cannot open \"/dev/loop-control\"",
                               path);
    for (int i = 0; i < LOOP_ATTEMPTS; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            return fault_set(fault, errno, "cannot get a loop device for \"%s\"", path);
        scoped_fd int loop = open_loop((unsigned)number);
        if (loop < 0)
            return fault_set(fault, loop, "cannot open \"/dev/loop%d\" for \"%s\"", number, path);
        if (ioctl(loop, LOOP_CONFIGURE, &config) == 0) { /* 5.8 */
            *ret_number = (unsigned)number;
            return take_fd(&loop);
        }
        if (errno != EBUSY)
            return fault_set(fault, errno, "cannot give \"%s\" to \"/dev/loop%d\"", path, number);
    }
    return fault_set(fault, EBUSY, "cannot get a loop device for \"%s\"", path);
}

/* ---- mount ---- */

/* As for a layer that is a directory: whether set-user-id counts is up to the unit's
 * no_new_privileges, and nobody outside of the unit sees this mount. */
static int mount_from(const struct format *format, const char *source) {
    scoped_fd int context = fsopen(format->type, FSOPEN_CLOEXEC);
    if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "source", source, 0) < 0 ||
        fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
        return -errno;
    if (format->option &&
        fsconfig(context, FSCONFIG_SET_STRING, format->option, format->value, 0) < 0)
        return -errno;
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int tree = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
    return tree < 0 ? -errno : tree;
}

static int mount_loop(const struct format *format, int file, const char *path,
                      struct fault *fault) {
    unsigned number;
    char source[32];
    scoped_fd int loop = loop_attach(file, path, &number, fault);
    if (loop < 0)
        return loop;
    snprintf(source, sizeof source, "/dev/loop%u", number);
    int tree = mount_from(format, source);
    if (tree == -EROFS && strcmp(format->type, "ext4") == 0)
        return fault_say(fault, tree,
                         "cannot mount the %s in \"%s\": it was not unmounted when it was written, "
                         "and its journal has still to be replayed; run e2fsck on it",
                         format->type, path);
    return tree < 0 ? fault_set(fault, tree, "cannot mount the %s in \"%s\"", format->type, path)
                    : tree;
}

int image_mount(const char *path, struct fault *fault) {
    const struct format *format = format_of(path);
    if (!format)
        return fault_say(fault, -ENOTDIR,
                         "\"%s\" is no directory, and its name ends in none of \".squashfs\", "
                         "\".erofs\" and \".ext4\"",
                         path);
    scoped_fd int file = open_file(path, format, fault);
    if (file < 0)
        return file;
    if (format->from_file) {
        char source[32];
        snprintf(source, sizeof source, "/proc/self/fd/%d", file);
        int tree = mount_from(format, source);
        if (tree != -ENOTBLK)
            return tree < 0
                       ? fault_set(fault, tree, "cannot mount the %s in \"%s\"", format->type, path)
                       : tree;
    }
    return mount_loop(format, file, path, fault);
}
