#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/boot-steps.h"
#include "supervisor/device/block.h"
#include "supervisor/device/uevents.h"
#include "supervisor/timers.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/base/text.h"
#include "units/boot.h"

#define WAIT_AGAIN (2 * USEC_PER_SEC)
#define SAID_AFTER USEC_PER_SEC
/* For a label all disks are read, and one that is about to die answers late or never. */
#define ANSWERS_WITHIN (10 * USEC_PER_SEC)

/* ---- options, as mount(8) has them ---- */

static const struct flag {
    const char *word;
    unsigned long set, clear;
} flags[] = {
    {"defaults", 0, 0},
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"noatime", MS_NOATIME, 0},
    {"atime", 0, MS_NOATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"relatime", MS_RELATIME, 0},
    {"strictatime", MS_STRICTATIME, 0},
    {"lazytime", MS_LAZYTIME, 0},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
    {"silent", MS_SILENT, 0},
    {"bind", MS_BIND, 0},
    {"rbind", MS_BIND | MS_REC, 0},
};

/* What is no flag goes to the file system as it is; one item may hold several, with commas. */
static unsigned long take_options(const struct strings *options, struct text *ret_data) {
    unsigned long set = 0;
    for (size_t i = 0; i < options->count; i++)
        for (const char *at = options->items[i]; *at; at += *at == ',') {
            size_t length = strcspn(at, ","), k = 0;
            while (k < ELEMENTS(flags) &&
                   (strlen(flags[k].word) != length || strncmp(flags[k].word, at, length) != 0))
                k++;
            if (k < ELEMENTS(flags))
                set = (set | flags[k].set) & ~flags[k].clear;
            else
                text_format(ret_data, "%s%.*s", ret_data->length ? "," : "", (int)length, at);
            at += length;
        }
    return set;
}

/* ---- the device ---- */

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (uint64_t)time.tv_sec * USEC_PER_SEC + (uint64_t)time.tv_nsec / 1000;
}

static int milliseconds_until(uint64_t end, uint64_t waited) {
    uint64_t left = end > waited ? (end - waited + 999) / 1000 : 0;
    return left < INT_MAX ? (int)left : INT_MAX;
}

/* There is something else at the path: what is swapped to may be a file. */
static int take_file(const struct boot_mount *mount, char *ret_path, size_t size,
                     struct fault *fault) {
    struct stat status;
    if (mount->target || stat(mount->device, &status) < 0 || !S_ISREG(status.st_mode))
        return fault_say(fault, ENOTBLK,
                         "\"%s\" is no block device; a directory is mounted elsewhere with the "
                         "option \"bind\"",
                         mount->device);
    return (size_t)snprintf(ret_path, size, "%s", mount->device) < size ? 0 : -ENAMETOOLONG;
}

static void tell_of_others(const char *name, const char *path) {
    char other[PATH_MAX];
    if (block_find_other(name, path, other, sizeof(other)) == 0)
        boot_tell("\"%s\" and \"%s\" both are %s, and the first is taken; name it by its UUID or "
                  "PARTUUID",
                  path, other, name);
}

/* Looks when a device came or changed, and once more when the time is over. */
static int wait_for_device(const struct boot_work *work, char *ret_path, size_t size,
                           struct fault *fault) {
    const struct boot_mount *mount = work->mount;
    uint64_t most = work->again && mount->timeout > WAIT_AGAIN ? WAIT_AGAIN : mount->timeout;
    uint64_t begun = now(), waited;
    scoped_fd int uevents = uevents_open();
    bool told = false;
    scoped_text struct text time = {0};
    duration_print(&time, most);
    boot_limit(later(most, ANSWERS_WITHIN));
    for (;; uevents_await(
             uevents, milliseconds_until(!told && SAID_AFTER < most ? SAID_AFTER : most, waited))) {
        waited = now() - begun;
        int error = block_find(mount->device, ret_path, size);
        if (error == 0) {
            tell_of_others(mount->device, ret_path);
            return 0;
        }
        if (error == -EMEDIUMTYPE)
            return take_file(mount, ret_path, size, fault);
        if (error != -ENODEV)
            return fault_set(fault, error, "cannot look for %s", mount->device);
        if (waited >= most)
            return fault_say(fault, ENODEV, "%s did not come within %s%s", mount->device,
                             time.data ? time.data : "its time", work->again ? " more" : "");
        if (waited >= SAID_AFTER && !told) {
            told = true;
            boot_tell("waits for %s, at most %s", mount->device, time.data ? time.data : "a while");
        }
    }
}

/* The type that a person gave, or that its superblock tells. */
static int find_type(const struct boot_mount *mount, int fd, const char *path,
                     const char **ret_type, struct fault *fault) {
    struct superblock superblock;
    *ret_type = mount->type;
    if (mount->type)
        return 0;
    if (superblock_read(fd, &superblock) < 0)
        return fault_say(fault, ENODATA,
                         "there is no file system on \"%s\" that is known; say its type", path);
    if (mount->target && strcmp(superblock.type, MOUNT_TYPE_SWAP) == 0)
        return fault_say(
            fault, EMEDIUMTYPE,
            "there is swap space on \"%s\" and no file system; to swap to it leave the "
            "target out and say type = \"" MOUNT_TYPE_SWAP "\"",
            path);
    *ret_type = superblock.type;
    return 0;
}

/* Two names of one device: another step checks and mounts it now. Or the checker of a manager that
 * has died is still at it. */
static int lock(const char *device, int *ret_fd, struct fault *fault) {
    scoped_fd int fd = open(device, O_RDONLY | O_CLOEXEC);
    int error = fd < 0 ? -errno : 0;
    if (error == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        boot_tell("waits until another check of \"%s\" has ended", device);
        error = flock(fd, LOCK_EX) < 0 ? -errno : 0;
    }
    if (error < 0)
        return fault_set(fault, error, "cannot open \"%s\"", device);
    *ret_fd = take_fd(&fd);
    return 0;
}

/* ---- fsck ---- */

/* A kernel that mounts the file system has no need of the program, where none was installed. */
static bool find_checker(const char *type, char *ret_path, size_t size) {
    static const char *const directories[] = {"/sbin", "/usr/sbin", "/bin", "/usr/bin"};
    for (size_t i = 0; i < ELEMENTS(directories); i++) {
        snprintf(ret_path, size, "%s/fsck.%s", directories[i], type);
        if (access(ret_path, X_OK) == 0)
            return true;
    }
    return false;
}

/* What it says becomes notes, line by line. It is not to be killed in the middle of a repair: where
 * the manager and this process die it goes on unheard, and holds the lock against their successors.
 */
static int run_checker(const char *program, const char *device, int held, int *ret_status) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        fcntl(held, F_SETFD, 0);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execl(program, program, "-a", device, NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "re");
    char line[512];
    while (pid > 0 && lines && fgets(line, sizeof(line), lines)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0])
            boot_note("%s", line);
    }
    if (lines)
        fclose(lines);
    return pid < 0 || waitpid(pid, ret_status, 0) < 0 ? -errno : 0;
}

/* Mounted at another target, or by an initramfs: a checker would write beneath the file system. */
static bool is_in_use(const char *device) {
    scoped_fd int fd = open(device, O_RDONLY | O_CLOEXEC | O_EXCL);
    return fd < 0 && errno == EBUSY;
}

/* 0, BOOT_STEP_STALE of the root, -errno. `held` is the device, locked. fsck(8): 1 is repaired, 2
 * repaired with a root that has to be mounted anew, more is bad. */
static int check(const char *type, const char *device, int held, bool is_root,
                 struct fault *fault) {
    char program[64];
    int status = 0;
    if (!find_checker(type, program, sizeof(program)))
        return 0;
    if (!is_root && is_in_use(device)) {
        boot_note("\"%s\" is in use already, and is not checked", device);
        return 0;
    }
    int error = run_checker(program, device, held, &status);
    if (error < 0)
        return fault_set(fault, error, "cannot run \"%s\"", program);
    if (!WIFEXITED(status))
        return fault_say(fault, EIO, "%s was killed while it checked \"%s\"", program, device);
    if (WEXITSTATUS(status) & ~3)
        return fault_say(fault, EUCLEAN, "%s could not repair \"%s\" (exit status %d)", program,
                         device, WEXITSTATUS(status));
    if (!is_root || !(WEXITSTATUS(status) & 2))
        return 0;
    fault_say(fault, EUCLEAN,
              "%s repaired \"%s\", and what the kernel knows of it is wrong now: the machine has "
              "to start again",
              program, device);
    return BOOT_STEP_STALE;
}

/* ---- swap space ---- */

static int swap_on(const char *device, const struct strings *options, struct fault *fault) {
    scoped_text struct text data = {0};
    int mode = 0;
    take_options(options, &data);
    for (char *rest = data.data, *word; rest && (word = strsep(&rest, ","));) {
        int64_t priority;
        if (strcmp(word, "discard") == 0)
            mode |= SWAP_FLAG_DISCARD;
        else if (strncmp(word, "pri=", 4) == 0 && number_parse_signed(word + 4, &priority) == 0 &&
                 priority >= 0 && priority <= SWAP_FLAG_PRIO_MASK)
            mode |= SWAP_FLAG_PREFER | (int)priority;
        else
            return fault_say(fault, EINVAL, "\"%s\" is no option of swap space", word);
    }
    if (swapon(device, mode) < 0 && errno != EBUSY)
        return fault_set(fault, errno, "cannot swap to \"%s\"", device);
    return 0;
}

/* ---- the mount ---- */

static int mount_now(const char *device, const char *target, const char *type, unsigned long set,
                     const char *data, struct fault *fault) {
    int error = directory_make(AT_FDCWD, target, 0755, fault);
    if (error < 0)
        return error;
    if (mount(device, target, type, set, data) < 0)
        return fault_set(fault, errno, "cannot mount \"%s\" (%s) on \"%s\"", device,
                         type ? type : "bind", target);
    /* The first call of a bind heeds none of its other flags (mount(2)). */
    unsigned long rest = set & ~(unsigned long)(MS_BIND | MS_REC);
    if ((set & MS_BIND) && rest && mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | rest, NULL) < 0)
        return fault_set(fault, errno, "cannot set the options of \"%s\"", target);
    return 0;
}

/* The root is mounted already: checked while it cannot be written, then it gets its options. */
static int remount_root(const struct boot_mount *mount_, unsigned long set, const char *data,
                        struct fault *fault) {
    struct stat status;
    struct superblock superblock;
    char device[PATH_MAX];
    int error = stat("/", &status) < 0 ? -errno : 0;
    bool found = error == 0 && block_path(major(status.st_dev), minor(status.st_dev), device,
                                          sizeof(device)) == 0;
    scoped_fd int held = -EBADF;
    if (mount_->fsck && found && access("/", W_OK) < 0 && errno == EROFS &&
        lock(device, &held, fault) == 0 && superblock_read(held, &superblock) == 0)
        error = check(superblock.type, device, held, true, fault);
    if (error != 0)
        return error;
    if (mount(NULL, "/", NULL, MS_REMOUNT | set, data) < 0)
        return fault_set(fault, errno, "cannot give \"/\" its options");
    return 0;
}

/* A manager before this one may have come so far, and died. */
static bool is_mounted(const char *device, const char *target) {
    struct stat source, there;
    return stat(device, &source) == 0 && stat(target, &there) == 0 && S_ISBLK(source.st_mode) &&
           source.st_rdev == there.st_dev;
}

static int mount_device(const struct boot_work *work, unsigned long set, const char *data,
                        struct fault *fault) {
    const struct boot_mount *mount = work->mount;
    char device[PATH_MAX];
    const char *type;
    scoped_fd int held = -EBADF;
    int error = wait_for_device(work, device, sizeof(device), fault);
    boot_limit(NEVER); /* a check takes its time */
    if (error == -ENODEV && mount->optional)
        return 1;
    if (error >= 0)
        error = lock(device, &held, fault);
    if (error >= 0 && mount->target && is_mounted(device, mount->target))
        return 0;
    if (error >= 0)
        error = find_type(mount, held, device, &type, fault);
    if (error < 0)
        return error;
    if (strcmp(type, MOUNT_TYPE_SWAP) == 0)
        return swap_on(device, &mount->options, fault);
    if (mount->fsck && !(set & MS_RDONLY))
        error = check(type, device, held, false, fault);
    return error < 0 ? error : mount_now(device, mount->target, type, set, data, fault);
}

/* What has no device is mounted by its word: "tmpfs", "overlay". */
int boot_mount_step(const struct boot_work *work, struct fault *fault) {
    const struct boot_mount *mount = work->mount;
    bool is_root = mount->target && strcmp(mount->target, "/") == 0;
    bool is_swap = mount->type && strcmp(mount->type, MOUNT_TYPE_SWAP) == 0;
    scoped_text struct text data = {0};
    if ((!mount->device && !is_root) || (!mount->target && !is_swap))
        return fault_say(fault, EINVAL, "a device and a target are needed");
    unsigned long set = take_options(&mount->options, &data);
    if (data.failed)
        return fault_set(fault, ENOMEM, "cannot keep the options");
    if (is_root)
        return remount_root(mount, set, data.data, fault);
    if (set & MS_BIND)
        return mount_now(mount->device, mount->target, NULL, set, data.data, fault);
    if (mount->device[0] != '/' && !strchr(mount->device, '='))
        return mount_now(mount->device, mount->target, mount->type ? mount->type : mount->device,
                         set, data.data, fault);
    return mount_device(work, set, data.data, fault);
}
