#include "supervisor/keeper/initramfs/switch-root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "supervisor/device/block.h"
#include "supervisor/device/uevents.h"
#include "supervisor/keeper/initramfs/root-overlay.h"
#include "supervisor/keeper/initramfs/tree.h"
#include "supervisor/keeper/machine/command-line.h"
#include "supervisor/keeper/machine/console.h"
#include "supervisor/keeper/plain.h"
#include "units/base/scoped.h"

#define PLACE "/sysroot"
#define DRIVERS "/etc/ringfence/initramfs.modules"

enum {
    PATIENT = 2000,     /* ms after which a person is told what is waited for */
    OPTIONS_MOST = 512, /* bytes of rootflags= */
};

bool root_is_initramfs(void) {
    struct statfs status;
    return statfs("/", &status) == 0 &&
           (status.f_type == RAMFS_MAGIC || status.f_type == TMPFS_MAGIC);
}

/* ---- drivers ---- */

/* A path a line, in the order of loading: whoever made the initramfs knows what depends on what. */
static void load_drivers(void) {
    scoped_file FILE *list = fopen(DRIVERS, "re");
    char path[PATH_MAX];
    while (list && fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = '\0';
        if (*path != '/')
            continue;
        scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
            say("cannot load \"%s\": %s", path, strerror(errno));
    }
}

/* ---- the device ---- */

/* How long until something is to be done about it, in milliseconds; less than 0: never. */
static int pause_after(int seconds, uint64_t waited, bool told) {
    uint64_t most = seconds < 0 ? NEVER : (uint64_t)seconds * 1000;
    uint64_t end = !told && PATIENT < most ? PATIENT : most;
    return end == NEVER ? -1 : (int)(end - waited);
}

static int await_device(const char *name, int seconds, char *ret_path, size_t size) {
    scoped_fd int uevents = uevents_open();
    uint64_t begun = now();
    bool told = false;
    for (;;) {
        int error = block_find(name, ret_path, size);
        uint64_t waited = now() - begun;
        if (error != -ENODEV || (seconds >= 0 && waited >= (uint64_t)seconds * 1000))
            return error;
        if (!told && waited >= PATIENT) {
            console_say("ringfence: waiting for %s", name);
            told = true;
        }
        uevents_await(uevents, pause_after(seconds, waited, told));
    }
}

/* Nobody reads signals yet: meanwhile the kernel itself obeys Ctrl-Alt-Del, at once. */
int root_await(const char *name, int seconds, char *ret_path, size_t size) {
    reboot((int)RB_ENABLE_CAD);
    int error = await_device(name, seconds, ret_path, size);
    reboot(RB_DISABLE_CAD);
    return error;
}

/* ---- mounting ---- */

static const struct {
    const char *word;
    unsigned long flag;
} flag_words[] = {
    {"noatime", MS_NOATIME},
    {"nodev", MS_NODEV},
    {"nodiratime", MS_NODIRATIME},
    {"noexec", MS_NOEXEC},
    {"nosuid", MS_NOSUID},
    {"relatime", MS_RELATIME},
    {"ro", MS_RDONLY},
    {"strictatime", MS_STRICTATIME},
    {"sync", MS_SYNCHRONOUS},
};

static unsigned long flag_of(const char *word) {
    for (size_t i = 0; i < ELEMENTS(flag_words); i++)
        if (strcmp(flag_words[i].word, word) == 0)
            return flag_words[i].flag;
    return 0;
}

/* What concerns every file system becomes a flag, the rest is the file system's own. */
static unsigned long split_options(const char *given, char *ret_rest, size_t size) {
    char words[OPTIONS_MOST], *at = words;
    unsigned long flags = 0;
    size_t length = 0;
    snprintf(words, sizeof words, "%s", given);
    *ret_rest = '\0';
    for (char *word; (word = strsep(&at, ","));) {
        unsigned long flag = flag_of(word);
        flags |= flag;
        if (!flag && *word && length + strlen(word) + 2 < size)
            length +=
                (size_t)snprintf(ret_rest + length, size - length, "%s%s", length ? "," : "", word);
    }
    return flags;
}

static int mount_device(const struct command_line *line, const char *device, const char *target) {
    char options[OPTIONS_MOST];
    struct superblock superblock = {.type = line->root_type};
    unsigned long flags =
        split_options(line->root_options ? line->root_options : "", options, sizeof options);
    if (!superblock.type) {
        scoped_fd int fd = open(device, O_RDONLY | O_CLOEXEC);
        int error = fd < 0 ? -errno : superblock_read(fd, &superblock);
        if (error < 0) {
            say("cannot tell the file system of \"%s\": %s; rootfstype= names it", device,
                strerror(-error));
            return error;
        }
    }
    if (!line->root_writable || line->overlay)
        flags |= MS_RDONLY;
    if (mount(device, target, superblock.type, flags, options) == 0)
        return 0;
    int error = -errno;
    say("cannot mount \"%s\" (%s) as the root: %s", device, superblock.type, strerror(-error));
    return error;
}

/* Without its writable layer it is the root all the same, and a machine has to boot. */
static int mount_root(const struct command_line *line, const char *device) {
    mkdir(PLACE, 0755);
    if (!line->overlay)
        return mount_device(line, device, PLACE);
    mkdir(OVERLAY_PLACE, 0700);
    mkdir(OVERLAY_LOWER, 0700);
    int error = mount_device(line, device, OVERLAY_LOWER);
    if (error == 0 && overlay_make(line, PLACE) < 0 &&
        mount(OVERLAY_LOWER, PLACE, NULL, MS_BIND, NULL) < 0)
        error = -errno;
    return error;
}

/* ---- the change ---- */

/* A link may lead to what is there only when the root has changed. */
static bool has(int root, const char *path) {
    struct stat status;
    return fstatat(root, path + strspn(path, "/"), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static const char *find_init(const struct command_line *line) {
    static const char *const usual[] = {"/usr/sbin/ringfenced", "/sbin/ringfenced", "/sbin/init"};
    scoped_fd int root = open(PLACE, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (line->init)
        return has(root, line->init) ? line->init : NULL;
    for (size_t i = 0; i < ELEMENTS(usual); i++)
        if (has(root, usual[i]))
            return usual[i];
    return NULL;
}

/* What has no place there is mounted anew by the next PID 1, where it can be. */
static void move_mounts(void) {
    static const char *const moved[] = {"/proc", "/sys", "/dev", "/run"};
    char target[64];
    for (size_t i = 0; i < ELEMENTS(moved); i++) {
        snprintf(target, sizeof target, PLACE "%s", moved[i]);
        if (mount(moved[i], target, NULL, MS_MOVE, NULL) < 0)
            umount2(moved[i], MNT_DETACH);
    }
}

/* What a keeper that has begun is, and an init is not: it has, where the root comes late. */
static void become_plain(void) {
    sigset_t none;
    sigemptyset(&none);
    signals_restore();
    sigprocmask(SIG_SETMASK, &none, NULL);
    write_text("/proc/self/oom_score_adj", "0");
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL); /* in a shared one nothing can be moved */
}

static _Noreturn void enter(const char *init, char **arguments) {
    char *path = strdup(init), left[PATH_MAX];
    become_plain();
    move_mounts();
    /* It is memory that nobody could reach any more. What something is mounted on has to stay. */
    tree_empty("/", NULL, left, sizeof left);
    if (chdir(PLACE) == 0 && mount(".", "/", NULL, MS_MOVE, NULL) == 0 && chroot(".") == 0 &&
        chdir("/") == 0 && path) {
        note_time("RINGFENCE_SWITCHED");
        arguments[0] = path;
        execv(path, arguments);
    }
    console_say(
        "ringfence: cannot run \"%s\" in the new root: %s; the kernel panics, and panic= on "
        "its command line tells what then",
        init, strerror(errno));
    /* There is no way back. So ends a kernel that finds no init, and so a boot loader that has
     * another root learns of it; one that waits for a person learns nothing. */
    _exit(EXIT_FAILURE);
}

static void unmount_root(void) {
    umount2(PLACE, MNT_DETACH);
    umount2(OVERLAY_DATA, MNT_DETACH);
    umount2(OVERLAY_LOWER, MNT_DETACH);
}

bool root_switch(const struct command_line *line, char **arguments, bool again) {
    char device[PATH_MAX];
    if (!again)
        load_drivers();
    int error = root_await(line->root, again ? 0 : line->root_wait, device, sizeof device);
    if (error < 0 && !again)
        console_say("ringfence: the root %s is not there (%s); going on in the initramfs",
                    line->root, strerror(-error));
    if (error == 0)
        error = mount_root(line, device);
    const char *init = error < 0 ? NULL : find_init(line);
    if (init)
        enter(init, arguments);
    unmount_root();
    if (error < 0)
        return true;
    console_say("ringfence: there is no %s in the root %s; going on in the initramfs",
                line->init ? line->init : "/usr/sbin/ringfenced, /sbin/ringfenced or /sbin/init",
                line->root);
    return false;
}
