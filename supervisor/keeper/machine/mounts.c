#include "supervisor/keeper/machine/mounts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "supervisor/keeper/plain.h"
#include "units/base/scoped.h"

enum need { NEEDED, IF_KNOWN }; /* the kernel makes the directory of what it knows itself */

#define NXD (MS_NOSUID | MS_NOEXEC | MS_NODEV)

/* In this order: some lie in others. The options are tried from the first; later ones are for
 * kernels that do not know the first. tty is group 5 on every distribution. */
static const struct mount_row {
    const char *type, *target;
    unsigned long flags;
    const char *options[3];
    enum need need;
} rows[] = {
    {"proc", "/proc", NXD, {NULL}, NEEDED},
    {"sysfs", "/sys", NXD, {NULL}, NEEDED},
    {"devtmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, {"mode=0755"}, NEEDED},
    {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV | MS_STRICTATIME, {"mode=1777"}, NEEDED},
    {"devpts",
     "/dev/pts",
     MS_NOSUID | MS_NOEXEC,
     {"mode=0620,gid=5,ptmxmode=0666", "mode=0620"},
     NEEDED},
    {"mqueue", "/dev/mqueue", NXD, {NULL}, IF_KNOWN},
    {"hugetlbfs", "/dev/hugepages", MS_NOSUID | MS_NODEV, {NULL}, IF_KNOWN},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV | MS_STRICTATIME, {"mode=0755"}, NEEDED},
    {"cgroup2",
     "/sys/fs/cgroup",
     NXD,
     {"nsdelegate,memory_recursiveprot", "nsdelegate", NULL},
     NEEDED},
    {"securityfs", "/sys/kernel/security", NXD, {NULL}, IF_KNOWN},
    {"pstore", "/sys/fs/pstore", NXD, {NULL}, IF_KNOWN},
    {"efivarfs", "/sys/firmware/efi/efivars", NXD, {NULL}, IF_KNOWN},
    {"bpf", "/sys/fs/bpf", NXD, {"mode=0700"}, IF_KNOWN},
};

static const struct {
    const char *path, *target;
} links[] = {
    {"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
    {"/dev/core", "/proc/kcore"},
};

/* All that is mounted here differs from what lies above it. */
static bool is_mounted(const char *target) {
    char above[64];
    struct stat here, there;
    snprintf(above, sizeof above, "%s/..", target);
    return stat(target, &here) == 0 && stat(above, &there) == 0 && here.st_dev != there.st_dev;
}

static int mount_one(const struct mount_row *row) {
    size_t i = 0;
    do {
        if (mount(row->type, row->target, row->type, row->flags, row->options[i]) == 0)
            return 0;
    } while (errno == EINVAL && row->options[i] && ++i < ELEMENTS(row->options));
    return -errno;
}

/* A kernel that mounted /dev itself left the flags out; what others forbade stays forbidden. */
static void tighten(const struct mount_row *row) {
    struct statvfs status;
    if (statvfs(row->target, &status) < 0)
        return;
    unsigned long flags = status.f_flag & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
    if (row->flags & ~flags & NXD)
        mount(NULL, row->target, NULL, MS_REMOUNT | MS_BIND | flags | row->flags, NULL);
}

static void make_links(void) {
    for (size_t i = 0; i < ELEMENTS(links); i++)
        if (symlink(links[i].target, links[i].path) < 0 && errno != EEXIST)
            say("cannot make the link \"%s\": %s", links[i].path, strerror(errno));
}

void mounts_make(void) {
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        const struct mount_row *row = &rows[i];
        if (is_mounted(row->target)) {
            tighten(row);
            continue;
        }
        mkdir(row->target, 0755);
        int error = mount_one(row);
        if (error < 0 && row->need == NEEDED)
            say("cannot mount %s on \"%s\": %s", row->type, row->target, strerror(-error));
        else if (error < 0)
            rmdir(row->target); /* empty directories for what is not there would mislead */
    }
    make_links();
}

void mounts_share(void) {
    if (mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0)
        say("cannot share the mounts below \"/\": %s", strerror(errno));
}
