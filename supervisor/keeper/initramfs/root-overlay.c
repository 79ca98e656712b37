#include "supervisor/keeper/initramfs/root-overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/device/block.h"
#include "supervisor/keeper/initramfs/switch-root.h"
#include "supervisor/keeper/initramfs/tree.h"
#include "supervisor/keeper/machine/command-line.h"
#include "supervisor/keeper/machine/console.h"
#include "supervisor/keeper/plain.h"
#include "units/base/scoped.h"

#define UPPER OVERLAY_DATA "/root"  /* what is written to the root */
#define WORK OVERLAY_DATA "/aside"  /* the kernel's own, beside it */
#define STATE OVERLAY_DATA "/state" /* ringfence's state directory */
#define STATE_TARGET "/var/lib/ringfence"
#define RESET "factory-reset" /* a file there: all else is to be deleted */
#define FOUND "lost+found"    /* what fsck found: it stays, empty */

/* fsck(8): 1 is repaired, 2 with a wish for a reboot of who had it mounted. */
enum { REPAIRED = 3 };

/* The lower one may be another at the next boot, after an update. So nothing of the upper one may
 * refer to it: a directory that is renamed is copied, a file that changes is copied whole. */
static const char features[] = "redirect_dir=off,index=off,metacopy=off";

/* ---- the file system for what is written ---- */

static _Noreturn void become_checker(const char *type, const char *device) {
    static const char *const directories[] = {"/usr/sbin", "/sbin"};
    int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    char path[64];
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    if (unshare(CLONE_NEWNS) == 0 &&
        mount("/dev", OVERLAY_LOWER "/dev", NULL, MS_BIND, NULL) == 0 &&
        mount("/proc", OVERLAY_LOWER "/proc", NULL, MS_BIND, NULL) == 0 &&
        chroot(OVERLAY_LOWER) == 0 && chdir("/") == 0)
        for (size_t i = 0; i < ELEMENTS(directories); i++) {
            snprintf(path, sizeof path, "%s/fsck.%s", directories[i], type);
            execl(path, path, "-a", device, NULL);
        }
    _exit(0); /* one that is not installed has no objections */
}

/* The initramfs has no programs; the root has them. */
static int check(const char *type, const char *device) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        become_checker(type, device);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -errno;
    return WIFEXITED(status) && (WEXITSTATUS(status) & ~REPAIRED) == 0 ? 0 : -EUCLEAN;
}

static int mount_device(const struct command_line *line) {
    char device[PATH_MAX];
    struct superblock superblock;
    int error = root_await(line->overlay, line->root_wait, device, sizeof device);
    if (error < 0)
        return error;
    scoped_fd int fd = open(device, O_RDONLY | O_CLOEXEC);
    error = fd < 0 ? -errno : superblock_read(fd, &superblock);
    fd = close_fd(fd);
    if (error == 0)
        error = check(superblock.type, device);
    if (error == 0 && mount(device, OVERLAY_DATA, superblock.type, MS_NOATIME, NULL) < 0)
        error = -errno;
    return error;
}

static int mount_memory(void) {
    return mount("tmpfs", OVERLAY_DATA, "tmpfs", MS_NOATIME, "mode=0755") < 0 ? -errno : 0;
}

static int mount_data(const struct command_line *line) {
    if (strcmp(line->overlay, "tmpfs") == 0)
        return mount_memory();
    int error = mount_device(line);
    if (error < 0) {
        console_say("ringfence: cannot use %s for what is written to the root: %s; it is kept in "
                    "memory, and lost when the machine ends",
                    line->overlay, strerror(-error));
        error = mount_memory();
    }
    return error;
}

/* ---- back to how it was delivered ---- */

static int remove_all(char *ret_left, size_t size) {
    static const char *const kept[] = {RESET, FOUND, NULL};
    unlink(OVERLAY_DATA "/" FOUND); /* which is a directory, or not fsck's */
    int found = tree_empty(OVERLAY_DATA "/" FOUND, NULL, ret_left, size);
    int error = tree_empty(OVERLAY_DATA, kept, ret_left, size);
    sync();
    return error < 0 ? error : found == -ENOENT ? 0 : found;
}

/* The file that asks for it goes last: a reset that the power ended is finished at the next boot.
 * One that came to its end is not repeated: it would delete what was written since, and leave again
 * what it could not delete. Where there is no room for the file it is done without. */
static void reset(const struct command_line *line) {
    static const char *const kept[] = {FOUND, NULL};
    char left[PATH_MAX];
    if (line->factory_reset)
        close_fd(open(OVERLAY_DATA "/" RESET, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    else if (access(OVERLAY_DATA "/" RESET, F_OK) < 0)
        return;
    sync();
    console_say("ringfence: factory reset: all that was written is deleted");
    int error = remove_all(left, sizeof left);
    if (error < 0)
        console_say(
            "ringfence: the factory reset is not complete: cannot delete \"%.256s\": %s; it "
            "is not tried again, mkfs of the device deletes all",
            left, strerror(-error));
    tree_empty(OVERLAY_DATA, kept, left, sizeof left); /* it may be a directory */
    sync(); /* a power cut might bring it back, to delete what is written from here on */
}

/* ---- both together ---- */

static int make_layers(void) {
    static const char *const paths[] = {UPPER, WORK, STATE};
    for (size_t i = 0; i < ELEMENTS(paths); i++)
        if (mkdir(paths[i], 0755) < 0 && errno != EEXIST)
            return -errno;
    return 0;
}

/* The writable layers and the volumes of units lie there, and cannot lie on an overlay themselves:
 * the kernel takes none for the upper layer of another, and maps no ids on it. */
static int mount_state(const char *target) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s" STATE_TARGET, target);
    make_directories(path);
    return mount(STATE, path, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static int mount_layers(const char *target) {
    char options[512];
    int error = make_layers();
    snprintf(options, sizeof options,
             "lowerdir=" OVERLAY_LOWER ",upperdir=" UPPER ",workdir=" WORK ",%s", features);
    if (error == 0 && mount("overlay", target, "overlay", MS_NOATIME, options) < 0)
        error = -errno;
    if (error < 0)
        return error;
    error = mount_state(target);
    if (error < 0)
        say("cannot mount \"" STATE "\" on \"" STATE_TARGET "\": %s", strerror(-error));
    return 0;
}

int overlay_make(const struct command_line *line, const char *target) {
    mkdir(OVERLAY_DATA, 0700);
    int error = mount_data(line);
    if (error == 0) {
        reset(line);
        error = mount_layers(target);
    }
    if (error < 0)
        console_say("ringfence: cannot make the root writable by ringfence.overlay=%s: %s",
                    line->overlay, strerror(-error));
    return error;
}
