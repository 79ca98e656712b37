/* Deleting whole trees (supervisor/keeper/initramfs/tree.h): deep, wide, with what may not be
 * touched in them. Built with the keeper's C library too, where that is another. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "supervisor/keeper/initramfs/tree.h"
#include "tests/test.h"
#include "units/base/scoped.h"

static char top[] = "/tmp/tree.XXXXXX", left[PATH_MAX];

static int count(const char *path) {
    DIR *listing = opendir(path);
    int found = 0;
    CHECK(listing);
    for (const struct dirent *entry; (entry = readdir(listing));)
        found += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(listing);
    return found;
}

static void begin(void) {
    CHECK(mkdtemp(top) && chdir(top) == 0);
}

static void end(void) {
    CHECK(tree_empty(top, NULL, left, sizeof left) == 0);
    CHECK(count(top) == 0 && chdir("/") == 0 && rmdir(top) == 0);
}

static void make_file(int directory, const char *name) {
    scoped_fd int fd = openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
}

/* Every directory has a file on each side of the next one. */
static void dig(const char *name, unsigned levels) {
    scoped_fd int at = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < levels; i++) {
        make_file(at, "a");
        CHECK(mkdirat(at, name, 0700) == 0);
        int below = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(below >= 0);
        close_fd(at);
        at = below;
    }
    make_file(at, "z");
}

static unsigned descriptors(void) {
    return (unsigned)count("/proc/self/fd");
}

TEST(what_is_deep_goes) {
    begin();
    unsigned before = descriptors();
    dig("level", 60);
    CHECK(tree_empty(top, NULL, left, sizeof left) == 0 && count(top) == 0);
    CHECK(descriptors() == before);
    end();
}

TEST(a_path_that_is_too_long_goes) {
    char name[NAME_MAX + 1];
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    begin();
    dig(name, PATH_MAX / NAME_MAX * 3);
    CHECK(tree_empty(top, NULL, left, sizeof left) == 0 && count(top) == 0);
    end();
}

/* More of them than are held open, again and again from the same directories. */
TEST(many_deep_ones_beside_each_other_go) {
    char name[32];
    begin();
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "%u", i);
        CHECK(mkdir(name, 0700) == 0 && chdir(name) == 0);
        dig("level", 15 + i % 20);
        CHECK(chdir("..") == 0);
    }
    CHECK(tree_empty(top, NULL, left, sizeof left) == 0 && count(top) == 0);
    end();
}

TEST(a_link_is_not_followed) {
    begin();
    CHECK(mkdir("outside", 0700) == 0 && mkdir("inside", 0700) == 0 && chdir("outside") == 0);
    make_file(AT_FDCWD, "file");
    CHECK(chdir("../inside") == 0 && symlink("../outside", "link") == 0 && symlink("x", "y") == 0);
    CHECK(chdir("..") == 0 && tree_empty("inside", NULL, left, sizeof left) == 0);
    CHECK(count("inside") == 0 && count("outside") == 1);
    end();
}

TEST(what_is_kept_stays_there_and_nowhere_else) {
    static const char *const kept[] = {"mark", "found", NULL};
    begin();
    CHECK(mkdir("found", 0700) == 0 && mkdir("found/full", 0700) == 0);
    CHECK(mkdir("other", 0700) == 0 && mkdir("other/found", 0700) == 0);
    make_file(AT_FDCWD, "mark");
    make_file(AT_FDCWD, "marks");
    CHECK(tree_empty(top, kept, left, sizeof left) == 0);
    CHECK(count(top) == 2 && access("mark", F_OK) == 0 && access("found/full", F_OK) == 0);
    end();
}

/* The one is another file system, the other the same one at a second place. */
TEST(a_mount_is_not_crossed_and_the_rest_goes) {
    begin();
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        end();
        SKIP("mounts need root");
    }
    CHECK(mkdir("outside", 0700) == 0 && mkdir("inside", 0700) == 0);
    scoped_fd int outside = open("outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_file(outside, "file");
    CHECK(chdir("inside") == 0);
    for (unsigned i = 0; i < 30; i++) {
        CHECK(mkdir("sibling", 0700) == 0 && mkdir("deep", 0700) == 0);
        make_file(AT_FDCWD, "sibling/file");
        CHECK(chdir("deep") == 0);
    }
    CHECK(mkdir("other", 0700) == 0 && mkdir("same", 0700) == 0);
    CHECK(mount("none", "other", "tmpfs", 0, NULL) == 0);
    make_file(AT_FDCWD, "other/file");
    scoped_fd int inside = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fchdir(inside) == 0);
    char same[PATH_MAX] = "inside/";
    for (unsigned i = 0; i < 30; i++)
        strcat(same, "deep/");
    CHECK(mount("outside", strcat(same, "same"), NULL, MS_BIND, NULL) == 0);
    CHECK(tree_empty("inside", NULL, left, sizeof left) == -EBUSY);
    size_t length = strlen(top);
    CHECK(strncmp(left, top, length) == 0 && strncmp(left + length, "/inside/deep/deep/", 18) == 0);
    CHECK(strstr(left, "/deep/other") || strstr(left, "/deep/same"));
    *strrchr(same, '/') = '\0';
    CHECK(count("outside") == 1 && count("inside") == 1 && count("inside/deep/deep") == 1);
    CHECK(chdir(same) == 0 && count(".") == 2 && count("other") == 1);
    CHECK(umount2("other", 0) == 0 && umount2("same", 0) == 0);
    end();
}

TEST(what_is_not_there_is_said) {
    begin();
    CHECK(tree_empty("nothing", NULL, left, sizeof left) == -ENOENT);
    CHECK_TEXT(left, "nothing");
    end();
}

TEST_MAIN
