/* Devices in the host's user namespace: those of the private /dev, whatever root may make. */

#include <linux/capability.h>

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
                               "script -qec 'tty' /dev/null 2>/dev/null | cut -c 1-9"),
               "0\n1\n1\n1\n1\n/dev/pts/");
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

TEST_MAIN
