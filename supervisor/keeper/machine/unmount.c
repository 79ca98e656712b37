#include "supervisor/keeper/machine/unmount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include <unistd.h>

#include "supervisor/keeper/initramfs/root-overlay.h"
#include "supervisor/keeper/machine/console.h"
#include "units/base/mountinfo.h"
#include "units/base/scoped.h"

enum { ROUNDS_MOST = 64 };

struct mounts {
    struct mount_entry {
        char *path, *type;
        bool writable; /* the file system, not this sight of it */
    } * entries;
    size_t count;
};

/* Of use to the end, and nothing in them outlives us; but the last, which a root that is an overlay
 * holds on to: out of our sight nobody could make it read-only any more. */
static const char *const kept[] = {"/", "/proc", "/sys", "/dev", "/run", OVERLAY_DATA};

/* File systems without a disk behind them. */
static const char *const diskless[] = {
    "autofs",   "bpf",      "cgroup",     "cgroup2", "configfs", "debugfs", "devpts",
    "devtmpfs", "efivarfs", "hugetlbfs",  "mqueue",  "nsfs",     "proc",    "pstore",
    "ramfs",    "rootfs",   "securityfs", "sysfs",   "tmpfs",    "tracefs",
};

static bool is_any(const char *word, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

/* ---- what is mounted ---- */

/* id parent major:minor root PATH options [tags] - TYPE source OPTIONS */
static bool parse(const char *line, struct mount_entry *ret_entry) {
    char *path = NULL, *type = NULL, options[4] = "";
    const char *tail = strstr(line, " - ");
    if (!tail || sscanf(line, "%*s %*s %*s %*s %ms", &path) != 1 ||
        sscanf(tail, " - %ms %*s %3s", &type, options) < 1) {
        free(path);
        return false;
    }
    mountinfo_unescape(path);
    *ret_entry = (struct mount_entry){path, type, strncmp(options, "rw", 2) == 0};
    return true;
}

static void mounts_free(struct mounts *mounts) {
    for (size_t i = 0; i < mounts->count; i++) {
        free(mounts->entries[i].path);
        free(mounts->entries[i].type);
    }
    free(mounts->entries);
    *mounts = (struct mounts){0};
}

static void mounts_read(struct mounts *ret_mounts) {
    scoped_file FILE *file = fopen("/proc/self/mountinfo", "re");
    scoped_free char *line = NULL;
    size_t size = 0;
    *ret_mounts = (struct mounts){0};
    while (file && getline(&line, &size, file) > 0) {
        struct mount_entry entry;
        struct mount_entry *entries =
            realloc(ret_mounts->entries, (ret_mounts->count + 1) * sizeof entry);
        if (!entries)
            return;
        ret_mounts->entries = entries;
        if (parse(line, &entry))
            entries[ret_mounts->count++] = entry;
    }
}

/* ---- one round: whether anything changed ---- */

/* False: it is to be left alone. */
static bool step(struct unmounting *unmounting, const char *path) {
    for (unsigned i = 0; i < unmounting->stuck_count; i++)
        if (strcmp(unmounting->stuck[i], path) == 0)
            return false;
    snprintf(unmounting->at, sizeof unmounting->at, "%s", path);
    unmounting->steps++;
    return true;
}

static bool swap_off(struct unmounting *unmounting) {
    scoped_file FILE *file = fopen("/proc/swaps", "re");
    char line[PATH_MAX];
    bool changed = false;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, " \t\n")] = '\0';
        mountinfo_unescape(line);
        if (line[0] == '/' && step(unmounting, line) && swapoff(line) == 0)
            changed = true;
    }
    return changed;
}

/* Read-only comes first: what somebody else still holds is clean then too. */
static bool let_go(const struct mount_entry *entry) {
    bool disk = !is_any(entry->type, diskless, ELEMENTS(diskless));
    bool changed = false;
    if (disk && entry->writable)
        changed = mount(NULL, entry->path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0;
    if (is_any(entry->path, kept, ELEMENTS(kept)))
        return changed;
    return umount2(entry->path, UMOUNT_NOFOLLOW) == 0 || changed;
}

/* The last mounted first. A place below one that is kept goes too, unless the kernel talks through
 * it. */
static bool unmount_round(struct unmounting *unmounting) {
    struct mounts mounts;
    bool changed = false;
    mounts_read(&mounts);
    for (size_t i = mounts.count; i-- > 0;) {
        const struct mount_entry *entry = &mounts.entries[i];
        bool ours = strncmp(entry->path, "/dev/", 5) == 0 ||
                    strncmp(entry->path, "/sys/", 5) == 0 || strncmp(entry->path, "/proc/", 6) == 0;
        if ((!ours || !is_any(entry->type, diskless, ELEMENTS(diskless))) &&
            step(unmounting, entry->path))
            changed |= let_go(entry);
    }
    mounts_free(&mounts);
    return changed;
}

static bool has_file(const char *loop) {
    char path[128];
    snprintf(path, sizeof path, "/sys/block/%.64s/loop/backing_file", loop);
    return access(path, F_OK) == 0;
}

static bool free_loops(struct unmounting *unmounting) {
    DIR *directory = opendir("/sys/block");
    bool changed = false;
    if (!directory)
        return false;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        if (strncmp(entry->d_name, "loop", 4) != 0 || !has_file(entry->d_name))
            continue;
        char path[128];
        snprintf(path, sizeof path, "/dev/%.64s", entry->d_name);
        if (!step(unmounting, path))
            continue;
        scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        /* One that is in use answers 0 too, and goes when its user does. */
        if (fd >= 0 && ioctl(fd, LOOP_CLR_FD, 0) == 0) {
            fd = close_fd(fd);
            changed |= !has_file(entry->d_name);
        }
    }
    closedir(directory);
    return changed;
}

/* ---- all ---- */

static void complain_of_writable(void) {
    struct mounts mounts;
    mounts_read(&mounts);
    for (size_t i = 0; i < mounts.count; i++)
        if (mounts.entries[i].writable &&
            !is_any(mounts.entries[i].type, diskless, ELEMENTS(diskless)))
            console_say("ringfence: \"%s\" (%s) is still in use and stays writable",
                        mounts.entries[i].path, mounts.entries[i].type);
    mounts_free(&mounts);
}

void unmount_all(struct unmounting *unmounting) {
    bool changed = true;
    for (unsigned round = 0; changed && round < ROUNDS_MOST; round++) {
        changed = swap_off(unmounting);
        changed |= unmount_round(unmounting);
        changed |= free_loops(unmounting);
    }
    unmounting->at[0] = '\0';
    complain_of_writable();
}
