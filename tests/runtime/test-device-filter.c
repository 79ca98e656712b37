/* Devices: those of the private /dev and those that a unit is given, whatever root may make. */

#include <linux/capability.h>
#include <sched.h>
#include <sys/sysmacros.h>

#include "tests/runtime/box.h"

static struct box box;

/* The tmpfs on /dev is the one that takes nodes. */
static const char *make_nodes(void) {
    return box_shell(&box, "cd /dev; mknod zero2 c 1 5 && head -c 2 zero2 | wc -c; "
                           "for node in 'disk b 7 0' 'kmsg c 1 11' 'mem c 1 1' 'serial c 4 64' "
                           "'random2 c 1 8' 'aio c 1 10' 'full1 c 1 6'; do "
                           "mknod $node 2>/dev/null && echo made ${node%% *}; done; true");
}

static void open_host_user(uint64_t capabilities) {
    box_open(&box);
    box.container.namespaces.choices[NAMESPACE_USER].mode = NAMESPACE_HOST;
    box.container.security.capabilities_add = capabilities;
    box_built(&box);
}

TEST(what_root_makes) {
    open_host_user(1ULL << CAP_MKNOD);
    CHECK_TEXT(make_nodes(), "2\nmade random2");
    CHECK_TEXT(box_shell(&box, "for name in null zero full random urandom; do "
                               "head -c 1 /dev/$name | wc -c; done; echo x >/dev/null; "
                               "(: <>/dev/ptmx) && echo terminal"),
               "0\n1\n1\n1\n1\nterminal");
    CHECK(!strstr(sandbox_notes(box.sandbox), "devices"));
    box_close(&box);
}

/* The nodes of the kernel itself are all there for whoever may mount. */
TEST(what_is_there_already) {
    open_host_user(1ULL << CAP_SYS_ADMIN);
    const char *said = box_shell(&box, "mount -t devtmpfs none /tmp || exit 0; "
                                       "head -c 1 /tmp/zero | wc -c; "
                                       "head -c 1 /tmp/loop-control 2>&1 | sed 's/.*: //'");
    if (strstr(said, "mount"))
        SKIP("devtmpfs cannot be mounted here");
    CHECK_TEXT(said, "1\nOperation not permitted");
    box_close(&box);
}

/* Kept over restarts and kills: it is the cgroup's, not the process's. */
TEST(after_a_kill) {
    open_host_user(1ULL << CAP_MKNOD);
    CHECK(sandbox_kill(box.sandbox, &box.fault) == 0);
    CHECK_TEXT(make_nodes(), "2\nmade random2");
    box_close(&box);
}

/* With the host's mounts come the host's devices. */
TEST(with_the_hosts_mounts) {
    box_open(&box);
    box.container.namespaces.choices[NAMESPACE_USER].mode = NAMESPACE_HOST;
    box.container.namespaces.choices[NAMESPACE_MOUNT].mode = NAMESPACE_HOST;
    box.container.security.capabilities_add = 1ULL << CAP_MKNOD;
    box_built(&box);
    char line[PATH_MAX + 64];
    snprintf(line, sizeof line, "mknod %s c 1 11 && echo made", box_path(&box, "kmsg"));
    CHECK_TEXT(box_shell(&box, line), "made");
    box_close(&box);
}

/* A user namespace of its own is honoured by no node that comes from inside. */
TEST(in_a_user_namespace) {
    box_open(&box);
    box.container.security.capabilities_add = 1ULL << CAP_MKNOD;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "mknod /dev/x c 1 3 2>&1 | sed 's/.*: //'"),
               "Operation not permitted");
    box_close(&box);
}

/* ---- devices that a unit is given ---- */

#define BLOCK "/dev/loop7"
#define CHARACTER "/dev/loop-control"

static struct device given[2];

static void give(const char *first, const char *access, const char *second) {
    struct stat status;
    box_open(&box);
    if (stat(first, &status) < 0 || (second && stat(second, &status) < 0))
        SKIP("this host has no such device");
    given[0] = (struct device){.path = (char *)first, .access = (char *)access};
    given[1] = (struct device){.path = (char *)second, .access = (char *)"rw"};
    box.container.devices.items = given;
    box.container.devices.count = second ? 2 : 1;
}

/* What opening it for reading, then for writing, comes to; nothing is read or written. */
#define TRY(path)                                                                                  \
    "(: <" path ") 2>/dev/null && echo read; (: >>" path ") 2>/dev/null && echo write; true"

TEST(one_that_is_given) {
    give(BLOCK, "r", CHARACTER);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, TRY(BLOCK)), "read");
    CHECK_TEXT(box_shell(&box, TRY(CHARACTER)), "read\nwrite");
    CHECK_TEXT(box_shell(&box, TRY("/dev/null") "; stat -c '%u %F' " BLOCK),
               "read\nwrite\n0 block special file");
    box_remove(&box);
    given[0].access = (char *)"w";
    box_built(&box);
    CHECK_TEXT(box_shell(&box, TRY(BLOCK)), "write");
    box_close(&box);
}

/* Its mode and its group are those of the host. */
TEST(for_a_user_of_its_group) {
    static char *groups[] = {(char *)"6"};
    give(BLOCK, "rw", NULL);
    /* A node of the same number over it, for us alone. */
    const char *node = box_keep(&box, box_path(&box, "node"));
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mknod(node, S_IFBLK | 0600, makedev(7, 7)) == 0);
    CHECK(chmod(node, 0660) == 0 && chown(node, 0, 6) == 0);
    CHECK(mount(node, BLOCK, NULL, MS_BIND, NULL) == 0);
    box.container.process.user = (char *)"10001:10001";
    box_built(&box);
    CHECK_TEXT(box_shell(&box, TRY(BLOCK)), "");
    box_remove(&box);
    box.container.process.supplementary_groups = (struct strings){groups, 1};
    box_built(&box);
    CHECK_TEXT(box_shell(&box, TRY(BLOCK) "; stat -c %a:%u:%g " BLOCK), "read\nwrite\n660:0:6");
    CHECK(umount2(BLOCK, MNT_DETACH) == 0);
    box_close(&box);
}

/* With the host's ids, and the power to make nodes: still nothing but what is given. */
TEST(in_the_hosts_user_namespace) {
    give(BLOCK, "rwm", NULL);
    box.container.namespaces.choices[NAMESPACE_USER].mode = NAMESPACE_HOST;
    box.container.security.capabilities_add = 1ULL << CAP_MKNOD;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, TRY(BLOCK) "; mknod /dev/again b 7 7 && " TRY(
                                   "/dev/again") "; "
                                                 "mknod /dev/other b 7 6 2>/dev/null || echo none"),
               "read\nwrite\nread\nwrite\nnone");
    box_remove(&box);
    given[0].access = (char *)"rw";
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "mknod /dev/again b 7 7 2>/dev/null || echo none"), "none");
    box_close(&box);
}

TEST(in_a_directory_of_dev) {
    struct stat status;
    char line[128];
    give("/dev/net/tun", "rw", NULL);
    CHECK(stat("/dev/net/tun", &status) == 0);
    box_built(&box);
    snprintf(line, sizeof line, "stat -c %%t:%%T /dev/net/tun; ls -ld /dev/net | cut -c 1-10");
    CHECK_TEXT(box_shell(&box, line), "a:c8\ndrwxr-xr-x");
    box_close(&box);
}

TEST(what_is_no_device) {
    give("/dev/null", "rw", NULL);
    CHECK(box_build(&box) == -EEXIST);
    CHECK_TEXT(box.fault.text, "devices: cannot make \"/dev/null\": File exists");
    box_remove(&box);
    given[0].path = (char *)"/dev/nothing-of-that-name";
    CHECK(box_build(&box) == -ENOENT);
    CHECK_TEXT(box.fault.text, "devices: cannot find device \"/dev/nothing-of-that-name\": No such "
                               "file or directory");
    given[0].path = (char *)"/dev/pts";
    CHECK(box_build(&box) == -ENODEV);
    CHECK_TEXT(box.fault.text, "devices: \"/dev/pts\" is not a device");
    given[0].path = (char *)"/proc/kcore";
    CHECK(box_build(&box) == -EINVAL);
    CHECK_TEXT(box.fault.text, "devices: \"/proc/kcore\" is not below /dev");
    box_close(&box);
}

TEST_MAIN
