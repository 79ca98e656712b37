/* Layers from files: each kind of image, what is no image, and the loop devices that go with them.
 */

#include <glob.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "runtime/image.h"
#include "tests/runtime/roots.h"

/* SCRATCH/NAME from the root, by a command with the root and the image as its last words. */
static void make_image(const char *name, const char *command) {
    char line[PATH_MAX * 3];
    snprintf(line, sizeof line, "root=%s image=%s; %s", box_path(&box, "root"),
             box_path(&box, name), command);
    CHECK(system(line) == 0);
}

static void need(const char *program) {
    char line[128];
    snprintf(line, sizeof line, "command -v %s >/dev/null", program);
    if (system(line) != 0)
        SKIP("needs the program that makes such images");
}

static void need_file_system(const char *type) {
    char line[128];
    snprintf(line, sizeof line, "modprobe %s 2>/dev/null; grep -qw %s /proc/filesystems", type,
             type);
    if (system(line) != 0)
        SKIP("this kernel has no such file system");
}

static void need_loop(void) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        SKIP("there are no loop devices here");
    close(control);
}

/* How many loop devices have a file of the scratch directory. */
static int count_loops(void) {
    glob_t found;
    char path[PATH_MAX];
    int count = 0;
    if (glob("/sys/block/loop*/loop/backing_file", GLOB_NOSORT, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);
        ssize_t length = fd < 0 ? -1 : read(fd, path, sizeof path - 1);
        close_fd(fd);
        path[length > 0 ? length : 0] = '\0';
        const char *rest = path + strlen(box.directory);
        count += strncmp(path, box.directory, strlen(box.directory)) == 0 && *rest == '/';
    }
    globfree(&found);
    return count;
}

/* The kernel clears a device a moment after its last user is gone. */
static void expect_no_loop(void) {
    for (int i = 0; i < 2000 && count_loops() > 0; i++)
        usleep(10000);
    CHECK(count_loops() == 0);
}

#define MAKE_SQUASHFS "mksquashfs $root $image -all-root -quiet -no-progress >/dev/null"
#define MAKE_EROFS "mkfs.erofs --all-root --quiet $image $root >/dev/null 2>&1"
#define MAKE_EXT4                                                                                  \
    "mke2fs -q -t ext4 -d $root -E root_owner=0:0 $image 16M >/dev/null && chmod 644 $image"

/* With an upper one above it, whatever the kernel: in the host's user namespace every file system
 * will do. */
static void expect_layer(const char *name, const char *command) {
    make_image(name, command);
    use_layers(name, NULL);
    box.container.namespaces.choices[NAMESPACE_USER].mode = NAMESPACE_HOST;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "echo $$; stat -c %u:%g /bin/busybox; cut -d: -f1 /etc/passwd; "
                               "touch /bin/new && ls /bin/new"),
               "1\n0:0\nroot\nweb\n/bin/new");
    box_remove(&box);
    expect_no_loop();

    /* Alone it is no overlay, and cannot be written to. */
    box.container.rootfs.upper = UPPER_NONE;
    box.container.rootfs.readonly = true;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "touch /bin/new 2>/dev/null || cut -d: -f1 /etc/passwd; "
                               "grep ' / / ' /proc/self/mountinfo | cut -d' ' -f6 | cut -d, -f1,2"),
               "root\nweb\nro,nodev");
    box_remove(&box);
    expect_no_loop();
}

TEST(squashfs) {
    need("mksquashfs");
    need_file_system("squashfs");
    need_loop();
    open_with_root();
    expect_layer("layer.squashfs", MAKE_SQUASHFS);
    box_close(&box);
}

TEST(erofs) {
    need("mkfs.erofs");
    need_file_system("erofs");
    need_loop();
    open_with_root();
    expect_layer("layer.erofs", MAKE_EROFS);
    box_close(&box);
}

TEST(ext4) {
    need("mke2fs");
    need_file_system("ext4");
    need_loop();
    open_with_root();
    expect_layer("layer.ext4", MAKE_EXT4);
    box_close(&box);
}

/* The ids in the image are the unit's own, as those of a directory are. */
TEST(mapped) {
    need("mke2fs");
    need_file_system("ext4");
    need_loop();
    open_with_root();
    make_image("layer.ext4", MAKE_EXT4);
    use_layers("layer.ext4", NULL);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "stat -c %u:%g /bin/busybox; touch /etc/new && stat -c %u /etc/new"),
               "0:0\n0");
    box_close(&box);
    expect_no_loop();
}

static unsigned held; /* loop devices, by those who were killed, at that time */

/* Whether a process that mounts the image, killed at the n-th time that it enters or leaves a
 * system call, was killed before its end. */
static bool kill_at(const char *path, unsigned n) {
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct fault fault;
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        _exit(image_mount(path, &fault) < 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    for (; n > 0 && WIFSTOPPED(status); n--) {
        CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
    }
    if (!WIFSTOPPED(status)) {
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return false;
    }
    held += (unsigned)count_loops();
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    return true;
}

TEST(whoever_mounts_it_is_killed) {
    unsigned n = 1;
    need("mke2fs");
    need_file_system("ext4");
    need_loop();
    open_with_root();
    make_image("layer.ext4", MAKE_EXT4);
    for (; kill_at(box_path(&box, "layer.ext4"), n); n++)
        expect_no_loop();
    expect_no_loop();
    printf("# killed %u times, %u of them with a loop device\n", n - 1, held);
    CHECK(held > 0);
    box_close(&box);
}

/* Several, and a directory above them. */
TEST(of_many_kinds) {
    static char *layers[3];
    need("mksquashfs");
    need("mke2fs");
    need_file_system("squashfs");
    need_loop();
    open_with_root();
    make_image("base.squashfs", MAKE_SQUASHFS);
    write_file("root/etc/passwd", "middle\n");
    make_image("middle.ext4", MAKE_EXT4);
    make_directory("top/etc");
    write_file("top/etc/group", "top\n");
    layers[0] = box_keep(&box, box_path(&box, "base.squashfs"));
    layers[1] = box_keep(&box, box_path(&box, "middle.ext4"));
    layers[2] = box_keep(&box, box_path(&box, "top"));
    box.container.rootfs.path = NULL;
    box.container.rootfs.layers = (struct strings){layers, 3};
    box.container.namespaces.choices[NAMESPACE_USER].mode = NAMESPACE_HOST;
    box_built(&box);
    CHECK(count_loops() == 2);
    CHECK_TEXT(box_shell(&box, "cat /etc/passwd /etc/group"), "middle\ntop");
    box_remove(&box);
    expect_no_loop();
    box_close(&box);
}

/* ---- what is no image ---- */

static void expect_refusal(const char *name, const char *format) {
    char sentence[PATH_MAX + 256];
    const char *path = box_keep(&box, box_path(&box, name));
    use_layers(name, NULL);
    snprintf(sentence, sizeof sentence, format, path);
    expect_failure(sentence);
}

TEST(what_is_no_image) {
    open_with_root();
    write_file("text.squashfs", "hsq, and then something else that is longer than a number\n");
    expect_refusal("text.squashfs", "rootfs: \"%s\" holds no squashfs file system");
    write_file("empty.erofs", "");
    expect_refusal("empty.erofs", "rootfs: \"%s\" holds no erofs file system");
    write_file("short.ext4", "x");
    expect_refusal("short.ext4", "rootfs: \"%s\" holds no ext4 file system");
    write_file("root.tar", "x");
    expect_refusal("root.tar", "rootfs: \"%s\" is no directory, and its name ends in none of "
                               "\".squashfs\", \".erofs\" and \".ext4\"");
    CHECK(mkfifo(box_path(&box, "fifo.erofs"), 0600) == 0);
    expect_refusal("fifo.erofs", "rootfs: \"%s\" is neither a directory nor a file");
    expect_refusal("absent.ext4", "rootfs: cannot open \"%s\": No such file or directory");
    box_close(&box);
    expect_no_loop();
}

/* An image under the name of another kind is not handed to that kind's driver. */
TEST(under_a_wrong_name) {
    need("mksquashfs");
    open_with_root();
    make_image("layer.erofs", MAKE_SQUASHFS);
    expect_refusal("layer.erofs", "rootfs: \"%s\" holds no erofs file system");
    box_close(&box);
}

/* Half a copy is told from none, for each kind. */
static void cut_short(const char *maker, const char *name, const char *command, const char *type) {
    struct stat status;
    char sentence[256];
    need(maker);
    need_loop();
    open_with_root();
    make_image(name, command);
    const char *path = box_path(&box, name);
    CHECK(stat(path, &status) == 0 && truncate(path, status.st_size / 2) == 0);
    use_layers(name, NULL);
    snprintf(sentence, sizeof sentence, "\" is cut short: its %s file system has", type);
    CHECK(box_build(&box) < 0);
    CHECK(strstr(box.fault.text, sentence));
    box_remove(&box);
    box_close(&box);
    expect_no_loop();
}

TEST(cut_short_squashfs) {
    cut_short("mksquashfs", "layer.squashfs", MAKE_SQUASHFS, "squashfs");
}

TEST(cut_short_erofs) {
    cut_short("mkfs.erofs", "layer.erofs", MAKE_EROFS, "erofs");
}

TEST(cut_short_ext4) {
    cut_short("mke2fs", "layer.ext4", MAKE_EXT4, "ext4");
}

/* The magic number is there, and nothing else. */
/* Its journal says that somebody has it mounted, and writes to it. */
TEST(an_ext4_that_was_not_unmounted) {
    need("mke2fs");
    need("debugfs");
    need_file_system("ext4");
    need_loop();
    open_with_root();
    make_image("layer.ext4", MAKE_EXT4 " && debugfs -w -R 'feature needs_recovery' $image "
                                       ">/dev/null 2>&1");
    use_layers("layer.ext4", NULL);
    CHECK(box_build(&box) < 0);
    CHECK(strstr(box.fault.text, "it was not unmounted when it was written, and its journal has "
                                 "still to be replayed; run e2fsck on it"));
    box_remove(&box);
    box_close(&box);
    expect_no_loop();
}

TEST(a_kernel_without_loop_devices) {
    struct fault fault;
    need("mke2fs");
    open_with_root();
    make_image("layer.ext4", MAKE_EXT4);
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("tmpfs", "/dev", "tmpfs", 0, NULL) == 0);
    CHECK(image_mount(box_path(&box, "layer.ext4"), &fault) == -ENOENT);
    CHECK(strstr(fault.text, "needs a loop device, and there is no \"/dev/loop-control\": load the "
                             "kernel module loop"));
    CHECK(umount2("/dev", MNT_DETACH) == 0);
    box_close(&box);
}

TEST(broken) {
    char data[8192] = "hsqs";
    need_file_system("squashfs");
    need_loop();
    open_with_root();
    int fd = open(box_path(&box, "broken.squashfs"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && write(fd, data, sizeof data) == sizeof data);
    close(fd);
    expect_refusal("broken.squashfs",
                   "rootfs: cannot mount the squashfs in \"%s\": Invalid argument");
    box_close(&box);
    expect_no_loop();
}

TEST_MAIN
