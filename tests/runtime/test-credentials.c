/* Users and groups, looked up in roots that mean no good. */

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>

#include "runtime/credentials.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

static char root_path[] = "/tmp/ringfence-credentials-XXXXXX";

static int make_root(void) {
    CHECK(mkdtemp(root_path));
    int fd = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(mkdirat(fd, "etc", 0755) == 0);
    return fd;
}

static void drop_root(void) {
    CHECK(directory_remove(AT_FDCWD, root_path, NULL) == 0);
}

static void write_to(int root, const char *path, const char *text) {
    CHECK(file_replace(root, path, text, strlen(text), 0644, false, NULL) == 0);
}

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "broken line\n"
                             "short:x:7\n"
                             "minus:x:-1:5::/:/bin/sh\n"
                             "big:x:4294967295:5::/:/bin/sh\n"
                             "1000:x:0:0:a name of digits:/root:/bin/sh\n"
                             "web:x:33:34:the web:/var/www:/usr/sbin/nologin\n"
                             "web:x:0:0:the second is never seen:/root:/bin/sh\n"
                             "tail:x:50:51::relative:/bin/sh";
static const char group[] = "root:x:0:\n"
                            "www:x:34:\n"
                            "log:x:40:web,other\n"
                            "nearly:x:41:webber,we,b\n"
                            "last:x:42:other,web\n"
                            "again:x:34:web\n"
                            "tty:x:5:\n"
                            "bad:x:y:web\n";

static int make_usual_root(void) {
    int root = make_root();
    write_to(root, "etc/passwd", passwd);
    write_to(root, "etc/group", group);
    return root;
}

TEST(a_name_has_its_ids_groups_and_home) {
    struct credentials found;
    scoped_fd int root = make_usual_root();
    CHECK(credentials_resolve(root, "web", NULL, NULL, &found, NULL) == 0);
    CHECK(found.uid == 33 && found.gid == 34);
    CHECK_TEXT(found.home, "/var/www");
    CHECK(found.group_count == 3);
    CHECK(found.groups[0] == 34 && found.groups[1] == 40 && found.groups[2] == 42);
    CHECK(credentials_resolve(root, "tail", NULL, NULL, &found, NULL) == 0);
    CHECK(found.uid == 50 && found.gid == 51);
    CHECK_TEXT(found.home, "/");
    drop_root();
}

TEST(digits_are_never_a_name) {
    struct credentials found;
    scoped_fd int root = make_usual_root();
    CHECK(credentials_resolve(root, "1000", NULL, NULL, &found, NULL) == 0);
    CHECK(found.uid == 1000 && found.gid == 1000 && found.group_count == 1);
    CHECK_TEXT(found.home, "/");
    CHECK(credentials_resolve(root, "33", NULL, NULL, &found, NULL) == 0);
    CHECK(found.uid == 33 && found.gid == 34 && found.group_count == 3);
    CHECK(credentials_resolve(root, "101:102", NULL, NULL, &found, NULL) == 0);
    CHECK(found.uid == 101 && found.gid == 102 && found.groups[0] == 102);
    drop_root();
}

TEST(groups_are_given_by_hand) {
    struct credentials found;
    scoped_fd int root = make_usual_root();
    char *items[] = {"tty", "77", "34", NULL};
    struct strings more = {items, 3};
    CHECK(credentials_resolve(root, "web", "40", &more, &found, NULL) == 0);
    CHECK(found.gid == 40 && found.groups[0] == 40);
    CHECK(found.group_count == 5); /* 40, 42, 34 by passwd's group file, 5, 77 */
    CHECK(credentials_resolve(root, "web:tty", NULL, NULL, &found, NULL) == 0);
    CHECK(found.gid == 5);
    uid_t uid;
    gid_t gid;
    CHECK(credentials_owner(root, "web", &uid, &gid, NULL) == 0 && uid == 33 && gid == 34);
    CHECK(credentials_owner(root, "0:www", &uid, &gid, NULL) == 0 && uid == 0 && gid == 34);
    drop_root();
}

TEST(root_needs_no_files) {
    struct credentials found;
    scoped_fd int root = make_root();
    CHECK(credentials_resolve(root, NULL, NULL, NULL, &found, NULL) == 0);
    CHECK(found.uid == 0 && found.gid == 0 && found.group_count == 1);
    CHECK(credentials_resolve(root, "root", "root", NULL, &found, NULL) == 0);
    CHECK(credentials_resolve(root, "5", NULL, NULL, &found, NULL) == 0);
    CHECK(found.uid == 5 && found.gid == 5);
    drop_root();
}

TEST(wrong_users_are_refused) {
    static const struct {
        const char *user, *group;
        int error;
        const char *text;
    } cases[] = {
        {"foo", NULL, -ENOENT, "no user \"foo\" in the root's /etc/passwd"},
        {"web", "foo", -ENOENT, "no group \"foo\" in the root's /etc/group"},
        {"minus", NULL, -ENOENT, "no user \"minus\" in the root's /etc/passwd"},
        {"big", NULL, -ENOENT, "no user \"big\" in the root's /etc/passwd"},
        {"-1", NULL, -ENOENT, "no user \"-1\" in the root's /etc/passwd"},
        {"0x0", NULL, -ENOENT, "no user \"0x0\" in the root's /etc/passwd"},
        {"4294967295", NULL, -ERANGE,
         "id \"4294967295\" is out of range: ids go from 0 to 4294967294"},
        {"18446744073709551616", NULL, -ERANGE,
         "id \"18446744073709551616\" is out of range: ids go from 0 to 4294967294"},
        {"1:4294967296", NULL, -ERANGE,
         "id \"4294967296\" is out of range: ids go from 0 to 4294967294"},
        {"", NULL, -EINVAL, "user \"\": a name or a number is missing"},
        {"web:", NULL, -EINVAL, "user \"web:\": a name or a number is missing"},
        {":5", NULL, -EINVAL, "user \":5\": a name or a number is missing"},
        {"web:5", "6", -EINVAL, "user \"web:5\" names a group, and so does the group key"},
    };
    scoped_fd int root = make_usual_root();
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        struct credentials found = {.uid = 9};
        struct fault fault = {""};
        CHECK(credentials_resolve(root, cases[i].user, cases[i].group, NULL, &found, &fault) ==
              cases[i].error);
        CHECK_TEXT(fault.text, cases[i].text);
        CHECK(found.uid == 9);
    }
    drop_root();
}

TEST(a_fifo_a_directory_and_a_big_file_are_refused) {
    struct credentials found;
    struct fault fault;
    scoped_fd int root = make_root();
    CHECK(mkfifoat(root, "etc/passwd", 0644) == 0);
    CHECK(credentials_resolve(root, "web", NULL, NULL, &found, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "the root's /etc/passwd is not a regular file");

    CHECK(unlinkat(root, "etc/passwd", 0) == 0 && mkdirat(root, "etc/passwd", 0755) == 0);
    CHECK(credentials_resolve(root, "web", NULL, NULL, &found, &fault) == -EINVAL);

    CHECK(unlinkat(root, "etc/passwd", AT_REMOVEDIR) == 0);
    write_to(root, "etc/passwd", passwd);
    scoped_fd int fd = openat(root, "etc/passwd", O_WRONLY | O_CLOEXEC);
    CHECK(ftruncate(fd, 10 << 20) == 0);
    CHECK(credentials_resolve(root, "web", NULL, NULL, &found, &fault) == -EFBIG);
    CHECK_TEXT(fault.text, "the root's /etc/passwd has more than 1 MiB");
    drop_root();
}

TEST(links_stay_inside_the_root) {
    struct credentials found;
    struct fault fault;
    scoped_fd int root = make_root();
    /* The host's own file has a root and, here, nothing called ringfence-inside. */
    CHECK(symlinkat("/elsewhere/passwd", root, "etc/passwd") == 0);
    CHECK(mkdirat(root, "elsewhere", 0755) == 0);
    write_to(root, "elsewhere/passwd", "ringfence-inside:x:12:13::/:\n");
    CHECK(credentials_resolve(root, "ringfence-inside", NULL, NULL, &found, NULL) == 0);
    CHECK(found.uid == 12 && found.gid == 13);

    CHECK(unlinkat(root, "etc/passwd", 0) == 0);
    CHECK(symlinkat("../../../../../../etc/passwd", root, "etc/passwd") == 0);
    CHECK(credentials_resolve(root, "daemon", NULL, NULL, &found, &fault) == -ELOOP);

    CHECK(unlinkat(root, "etc/passwd", 0) == 0);
    CHECK(symlinkat("/proc/self/root/etc/passwd", root, "etc/passwd") == 0);
    CHECK(credentials_resolve(root, "daemon", NULL, NULL, &found, &fault) == -ENOENT);
    drop_root();
}

/* Procfs bound into a root must not lead out of it by one of its own links. */
TEST(magic_links_are_not_followed) {
    struct credentials found;
    struct fault fault;
    scoped_fd int root = make_root();
    char link[64];
    snprintf(link, sizeof link, "/self/root/etc/passwd");
    CHECK(symlinkat(link, root, "etc/passwd") == 0);
    scoped_fd int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(proc >= 0);
    CHECK(credentials_resolve(proc, "daemon", NULL, NULL, &found, &fault) < 0);
    CHECK(unlinkat(root, "etc/passwd", 0) == 0);
    drop_root();
}

TEST(long_lines_and_nul_bytes_do_no_harm) {
    struct credentials found;
    scoped_fd int root = make_root();
    enum { LENGTH = 700000 };
    scoped_free char *text = malloc(LENGTH + 200);
    CHECK(text);
    memset(text, 'a', LENGTH);
    strcpy(text + LENGTH, ":x:0:0::/:\nlong:x:8:9::/h:\n");
    write_to(root, "etc/passwd", text);
    /* A member list far longer than any buffer still counts its last member. */
    int written = snprintf(text, 32, "crowd:x:60:");
    for (int i = 0; i < 50000; i++)
        written += snprintf(text + written, 16, "member%d,", i);
    strcpy(text + written, "long\n");
    write_to(root, "etc/group", text);
    CHECK(credentials_resolve(root, "long", NULL, NULL, &found, NULL) == 0);
    CHECK(found.uid == 8 && found.gid == 9 && found.group_count == 2 && found.groups[1] == 60);

    static const char with_nul[] = "ev\0il:x:0:0::/:\nev:x:1\0:2::/:\nev:x:3:4::/\0x:\n";
    CHECK(file_replace(root, "etc/passwd", with_nul, sizeof with_nul - 1, 0644, false, NULL) == 0);
    CHECK(credentials_resolve(root, "ev", NULL, NULL, &found, NULL) == 0);
    CHECK(found.uid == 3 && found.gid == 4);
    CHECK_TEXT(found.home, "/");
    drop_root();
}

TEST(too_many_groups_are_refused) {
    struct credentials found;
    struct fault fault;
    scoped_fd int root = make_root();
    write_to(root, "etc/passwd", "many:x:8:9::/h:\n");
    scoped_free char *text = calloc(1, 1 << 16);
    int written = 0;
    for (int i = 0; i < 300; i++)
        written += snprintf(text + written, 32, "g%d:x:%d:many\n", i, 1000 + i);
    write_to(root, "etc/group", text);
    CHECK(credentials_resolve(root, "many", NULL, NULL, &found, &fault) == -E2BIG);
    CHECK_TEXT(fault.text, "the user is in more than 256 groups");
    drop_root();
}

TEST(the_process_becomes_the_user) {
    if (geteuid() != 0)
        SKIP("needs root");
    struct credentials wanted = {
        .uid = 1234, .gid = 2345, .groups = {2345, 3456}, .group_count = 2, .home = "/"};
    struct fault fault;
    CHECK(credentials_apply(&wanted, &fault) == 0);
    uid_t real, effective, saved;
    CHECK(getresuid(&real, &effective, &saved) == 0);
    CHECK(real == 1234 && effective == 1234 && saved == 1234);
    gid_t groups[8];
    CHECK(getgid() == 2345 && getegid() == 2345 && getgroups(8, groups) == 2);
    CHECK(groups[0] == 2345 && groups[1] == 3456);
    CHECK(setuid(0) < 0);
    CHECK(credentials_apply(&wanted, &fault) == -EPERM);
    CHECK_TEXT(fault.text, "cannot set the supplementary groups: Operation not permitted");
}

TEST_MAIN
