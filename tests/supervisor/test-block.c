/* What the makers of file systems write, read back by supervisor/device/block.c. */

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "supervisor/device/block.h"
#include "tests/test.h"
#include "units/base/scoped.h"

#define UUID "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

static char image[PATH_MAX];

static void remove_image(void) {
    if (image[0])
        unlink(image);
}

/* An image of so many bytes, worked on by a command in which %s is its path. */
static int make(long size, const char *format) {
    char command[2 * PATH_MAX];
    const char *directory = getenv("TMPDIR");
    snprintf(image, sizeof(image), "%s/block.XXXXXX", directory ? directory : "/tmp");
    int fd = mkstemp(image);
    CHECK(fd >= 0);
    atexit(remove_image);
    CHECK(ftruncate(fd, size) == 0);
    snprintf(command, sizeof(command), format, image);
    int status = system(command);
    CHECK(status >= 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        SKIP("the program that makes it is not installed");
    CHECK(status == 0);
    return fd;
}

static struct superblock read_back(int fd) {
    struct superblock superblock;
    CHECK(superblock_read(fd, &superblock) == 0);
    return superblock;
}

TEST(ext4) {
    int fd = make(8 << 20, "mke2fs -q -t ext4 -L data -U " UUID " %s");
    struct superblock superblock = read_back(fd);
    CHECK_TEXT(superblock.type, "ext4");
    CHECK_TEXT(superblock.label, "data");
    CHECK_TEXT(superblock.uuid, UUID);
}

TEST(a_label_that_fills_its_field) {
    int fd = make(8 << 20, "mke2fs -q -t ext2 -L 0123456789abcdef %s");
    CHECK_TEXT(read_back(fd).label, "0123456789abcdef");
}

TEST(fat) {
    int fd = make(8 << 20, "mkfs.vfat -i 1234abcd -n EFI %s >/dev/null");
    struct superblock superblock = read_back(fd);
    CHECK_TEXT(superblock.type, "vfat");
    CHECK_TEXT(superblock.label, "EFI");
    CHECK_TEXT(superblock.uuid, "1234-ABCD");
}

TEST(fat_of_32_bits) {
    int fd = make(64 << 20, "mkfs.vfat -F 32 -i 1234abcd -n EFI %s >/dev/null");
    struct superblock superblock = read_back(fd);
    CHECK_TEXT(superblock.type, "vfat");
    CHECK_TEXT(superblock.label, "EFI");
    CHECK_TEXT(superblock.uuid, "1234-ABCD");
}

TEST(swap_space) {
    int fd = make(1 << 20, "mkswap -q -L pages -U " UUID " %s 2>/dev/null");
    struct superblock superblock = read_back(fd);
    CHECK_TEXT(superblock.type, "swap");
    CHECK_TEXT(superblock.label, "pages");
    CHECK_TEXT(superblock.uuid, UUID);
}

TEST(squashfs) {
    int fd = make(0, "rm %1$s && mksquashfs /usr/bin/env %1$s -quiet >/dev/null");
    close(fd);
    fd = open(image, O_RDONLY);
    CHECK_TEXT(read_back(fd).type, "squashfs");
    CHECK_TEXT(read_back(fd).label, "");
}

/* They say it at a place where the others have anything at all: it is by chance. */
static void check_not_ext4(int fd, const char *type) {
    CHECK(pwrite(fd, "\x53\xef", 2, 0x438) == 2);
    CHECK_TEXT(read_back(fd).type, type);
}

TEST(the_magic_number_of_ext4_in_a_squashfs) {
    int fd = make(0, "rm %1$s && mksquashfs /usr/bin/env %1$s -quiet >/dev/null");
    close(fd);
    CHECK((fd = open(image, O_RDWR)) >= 0);
    check_not_ext4(fd, "squashfs");
}

TEST(the_magic_number_of_ext4_in_a_fat) {
    check_not_ext4(make(8 << 20, "mkfs.vfat %s >/dev/null"), "vfat");
}

TEST(an_ext4_over_something_older) {
    CHECK_TEXT(read_back(make(8 << 20, "mkfs.vfat %1$s >/dev/null && mke2fs -q -F %1$s")).type,
               "ext4");
    unlink(image);
    CHECK_TEXT(read_back(make(8 << 20, "mkswap -q %1$s 2>/dev/null; mke2fs -q -F %1$s")).type,
               "ext4");
    unlink(image);
    CHECK_TEXT(read_back(make(8 << 20, "printf 'CD001' | dd of=%1$s bs=1 seek=32769 conv=notrunc "
                                       "2>/dev/null; mke2fs -q -F %1$s"))
                   .type,
               "ext4");
}

TEST(nothing_known) {
    struct superblock superblock = {.type = "untouched"};
    int fd = make(1 << 20, ": %s");
    CHECK(superblock_read(fd, &superblock) == -ENODATA);
    CHECK_TEXT(superblock.type, "untouched");
    CHECK(ftruncate(fd, 0) == 0);
    CHECK(superblock_read(fd, &superblock) == -ENODATA);
}

TEST(names_that_are_none) {
    char path[PATH_MAX];
    CHECK(block_find("data", path, sizeof(path)) == -EINVAL);
    CHECK(block_find("LABEL=", path, sizeof(path)) == -EINVAL);
    CHECK(block_find("COLOUR=red", path, sizeof(path)) == -EINVAL);
    CHECK(block_find("LABEL=there is none of this name", path, sizeof(path)) == -ENODEV);
    CHECK(block_find("PARTUUID=" UUID, path, sizeof(path)) == -ENODEV);
    CHECK(block_find("/dev/there-is-none", path, sizeof(path)) == -ENODEV);
    CHECK(block_find("/dev/null", path, sizeof(path)) == -EMEDIUMTYPE);
}

/* ---- on a loop device ---- */

static char loop[PATH_MAX];

static void detach(void) {
    char command[PATH_MAX + 32];
    snprintf(command, sizeof(command), "losetup -d %s", loop);
    if (loop[0] && system(command) != 0)
        printf("# %s is left\n", loop);
}

static void attach(const char *flags) {
    char command[2 * PATH_MAX];
    if (geteuid() != 0)
        SKIP("needs root");
    snprintf(command, sizeof(command), "losetup %s -f --show %s 2>/dev/null", flags, image);
    FILE *pipe = popen(command, "r");
    CHECK(pipe);
    if (!fgets(loop, sizeof(loop), pipe) || pclose(pipe) != 0) {
        loop[0] = '\0';
        SKIP("no loop device can be had");
    }
    loop[strcspn(loop, "\n")] = '\0';
    atexit(detach);
}

static void check_finds(const char *name, const char *device) {
    char path[PATH_MAX];
    CHECK(block_find(name, path, sizeof(path)) == 0);
    CHECK_TEXT(path, device);
}

TEST(found_by_label_and_by_uuid) {
    char label[64], uuid[64], command[256], by_number[PATH_MAX];
    struct stat status;
    snprintf(label, sizeof(label), "LABEL=t%d", getpid());
    snprintf(uuid, sizeof(uuid), "UUID=0F1E2D3C-4B5A-6978-8796-%012d", getpid());
    snprintf(command, sizeof(command), "mke2fs -q -t ext4 -L %s -U %s %%s", label + 6, uuid + 5);
    make(8 << 20, command);
    attach("");
    check_finds(label, loop);
    check_finds(uuid, loop);
    check_finds(loop, loop);
    CHECK(stat(loop, &status) == 0);
    CHECK(block_path(major(status.st_rdev), minor(status.st_rdev), by_number, PATH_MAX) == 0);
    CHECK_TEXT(by_number, loop);
}

TEST(found_by_partition) {
    char part[PATH_MAX + 2];
    make(16 << 20, "echo 'label: gpt\n"
                   "size=4MiB, uuid=" UUID ", name=first\n"
                   "uuid=1F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0, name=second' | sfdisk -q %s");
    attach("-P");
    snprintf(part, sizeof(part), "%sp1", loop);
    if (access(part, F_OK) < 0)
        SKIP("this kernel finds no partitions on a loop device");
    check_finds("PARTUUID=" UUID, part);
    snprintf(part, sizeof(part), "%sp2", loop);
    check_finds("PARTUUID=1f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", part);
    check_finds("PARTLABEL=second", part);
}

TEST(found_by_partition_of_a_dos_label) {
    char part[PATH_MAX + 2];
    make(16 << 20, "echo 'label: dos\nlabel-id: 0x1234abcd\nsize=4MiB\nsize=4MiB' | sfdisk -q %s");
    attach("-P");
    snprintf(part, sizeof(part), "%sp2", loop);
    if (access(part, F_OK) < 0)
        SKIP("this kernel finds no partitions on a loop device");
    check_finds("PARTUUID=1234ABCD-02", part);
}

TEST_MAIN
