/* Roots that are put together: directories, layers, uppers, mounts, volumes, and images that try to
 * get out of them. */

#include "tests/runtime/roots.h"

/* ---- a directory ---- */

TEST(directory) {
    open_with_root();
    box_built(&box);
    CHECK_TEXT(
        box_shell(&box, "ls /; stat -c '%u:%g' /bin; echo new >/etc/new; stat -c %u /etc/new"),
        "bin\ndev\netc\nproc\nsys\ntmp\n0:0\n0");
    struct stat status;
    CHECK(stat(box_path(&box, "root/etc/new"), &status) == 0 && status.st_uid == 0);
    box_remove(&box);
    box.container.rootfs.readonly = true;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "touch /etc/other"), "touch: /etc/other: Read-only file system");
    CHECK_TEXT(box_shell(&box, "touch /dev/shm/x && echo fine"), "fine");
    box_close(&box);
}

/* Where anybody can enter, what the unit's root makes set-user-id is so for everybody. */
TEST(directory_that_others_can_enter) {
    static char *accepted[] = {(char *)FINDING_OPEN_ROOT};
    char sentence[PATH_MAX + 256], note[PATH_MAX + 256];
    open_with_root();
    CHECK(chmod(box.directory, 0755) == 0);
    snprintf(sentence, sizeof sentence,
             "rootfs: every user of this host can enter \"%s\", where the unit can make a program "
             "that runs as the host's root: keep it below a directory of mode 0700, or make it "
             "read-only",
             box.container.rootfs.path);
    expect_failure(sentence);
    box.container.security.accept = (struct strings){accepted, 1};
    box_built(&box);
    snprintf(note, sizeof note,
             "every user of this host can enter \"%s\", where the unit can make a program that "
             "runs as the host's root (accepted)\n",
             box.container.rootfs.path);
    CHECK(strstr(sandbox_notes(box.sandbox), note));
    CHECK_TEXT(box_shell(&box, "cp /bin/busybox /bin/su; chmod 4755 /bin/su; stat -c %a /bin/su"),
               "4755"); /* which is why */
    box_remove(&box);
    box.container.security.accept.count = 0;
    box.container.rootfs.readonly = true;
    box_built(&box);
    CHECK(!strstr(sandbox_notes(box.sandbox), "every user"));
    box_close(&box);
}

TEST(directory_that_is_not_there) {
    open_with_root();
    box.container.rootfs.path = (char *)"/nowhere/root";
    expect_failure("rootfs: cannot open \"/nowhere/root\": No such file or directory");
    box.container.rootfs.path = (char *)"/etc/passwd";
    expect_failure("rootfs: \"/etc/passwd\" is not a directory");
    box_close(&box);
}

TEST(seen_from_the_host) {
    open_with_root();
    write_file("root/etc/marker", "here");
    box_built(&box);
    BOX_COMMAND(command, (char *)"/bin/sleep", (char *)"1000");
    struct run_request request = {
        .place = RUN_MAIN, .exec = &command, .standard = {-1, -1, -1}, .ready_fd = -1};
    CHECK(box_start(&box, &request, NULL, &box.main) == 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/root/etc/marker", run_pid(box.main));
    char *data;
    CHECK(file_read(AT_FDCWD, path, 100, &data, NULL, NULL) == 0);
    CHECK_TEXT(data, "here");
    free(data);
    run_free(box.main);
    box_close(&box);
}

/* ---- layers ---- */

/* The scratch directory is seen, but not what is ringfence's own in it, by whatever name. */
TEST(own_directories_are_hidden) {
    if (geteuid() != 0)
        SKIP("needs root");
    char directory[] = "/var/lib/ringfence-hidden-"
                       "XX"
                       "XXXX";
    CHECK(mkdtemp(directory) && chmod(directory, 0755) == 0);
    memset(&box, 0, sizeof box);
    snprintf(box.directory, sizeof box.directory, "%s", directory);
    box.owner = getpid();
    box_defaults(&box.container);
    CHECK(mkdir(box_path(&box, "real"), 0755) == 0);
    CHECK(mkdir(box_path(&box, "real/inner"), 0755) == 0);
    CHECK(mkdir(box_path(&box, "beside"), 0755) == 0);
    CHECK(symlink("real", box_path(&box, "hidden")) == 0);
    box_open_runtime(&box);
    box_built(&box);
    char command[PATH_MAX + 64];
    snprintf(command, sizeof command, "cd %s && echo * */*", box.directory);
    CHECK_TEXT(box_shell(&box, command), "beside hidden real run state */*");
    box_close(&box);
}

TEST(layers_with_a_volatile_upper) {
    open_with_root();
    make_directory("above/etc");
    write_file("above/etc/passwd", "root:x:0:0::/elsewhere:/bin/sh\n");
    use_layers("root", "above");
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "echo $HOME; echo one >/etc/one; stat -c %u:%a / /etc/one"),
               "/elsewhere\n0:755\n0:644");
    CHECK_TEXT(box_shell(&box, "cat /etc/one; rm -r /tmp && mkdir /tmp && echo gone"), "one\ngone");
    CHECK(access(box_path(&box, "root/etc/one"), F_OK) < 0);
    box_remove(&box);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "cat /etc/one"),
               "cat: can't open '/etc/one': No such file or directory");
    box_close(&box);
}

TEST(volatile_upper_is_bounded) {
    open_with_root();
    use_layers("root", NULL);
    box.container.rootfs.upper_size = 1 << 20;
    box_built(&box);
    CHECK_TEXT(
        box_shell(&box,
                  "busybox dd if=/dev/zero of=/big bs=1024 count=4096 2>&1 | grep -c 'No space'"),
        "1");
    box_close(&box);
}

TEST(layers_with_a_persistent_upper) {
    open_with_root();
    use_layers("root", NULL);
    box.container.rootfs.upper = UPPER_PERSISTENT;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "echo kept >/etc/kept; cat /etc/kept"), "kept");
    struct stat status;
    CHECK(stat(box_path(&box, "state/uppers/box"), &status) == 0);
    CHECK(status.st_uid == 0 && (status.st_mode & 07777) == 0700);
    box_remove(&box);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "cat /etc/kept; stat -c %u /etc/kept"), "kept\n0");
    box_remove(&box);
    CHECK(runtime_forget_unit(box.runtime, "box", &box.fault) == 0);
    CHECK(access(box_path(&box, "state/uppers/box"), F_OK) < 0);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "cat /etc/kept"),
               "cat: can't open '/etc/kept': No such file or directory");
    box_close(&box);
}

TEST(layers_that_are_only_read) {
    open_with_root();
    use_layers("root", NULL);
    box.container.rootfs.readonly = true;
    struct mount mount = {.type = MOUNT_TMPFS,
                          .target = (char *)"/var/cache/web",
                          .size = 1 << 20,
                          .mode = MODE_UNSET,
                          .owner = (char *)"web"};
    box.container.mounts.items = &mount;
    box.container.mounts.count = 1;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "touch /etc/x 2>&1; stat -c %u:%g:%a /var/cache/web; "
                               "touch /var/cache/web/x && echo fine"),
               "touch: /etc/x: Read-only file system\n33:44:755\nfine");
    box_remove(&box);
    box.container.rootfs.upper = UPPER_NONE;
    expect_failure("mounts: target \"/var/cache/web\" does not exist and cannot be made: the root "
                   "is read-only; a tmpfs above it would do, or a layer that has it");
    box.container.mounts.count = 0;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "touch /etc/x 2>&1"), "touch: /etc/x: Read-only file system");
    box_remove(&box);
    make_directory("above/etc");
    use_layers("root", "above");
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "touch /etc/x 2>&1"), "touch: /etc/x: Read-only file system");
    box_close(&box);
}

TEST(layer_that_is_not_there) {
    open_with_root();
    use_layers("root", "missing");
    char sentence[PATH_MAX];
    snprintf(sentence, sizeof sentence, "rootfs: cannot open \"%s\": No such file or directory",
             box_path(&box, "missing"));
    expect_failure(sentence);
    box_close(&box);
}

TEST(layer_whose_ids_cannot_be_mapped) {
    open_with_root();
    make_directory("ram");
    CHECK(mount("ramfs", box_path(&box, "ram"), "ramfs", 0, NULL) == 0);
    make_root("ram/root");
    use_layers("ram/root", NULL);
    int error = box_build(&box);
    char sentence[PATH_MAX];
    snprintf(
        sentence, sizeof sentence,
        "rootfs: the file system of \"%s\" cannot map ids: make the root read-only, or use the "
        "host's user namespace",
        box.container.rootfs.layers.items[0]);
    if (error)
        CHECK_TEXT(box.fault.text, sentence);
    box_remove(&box);
    box.container.rootfs.readonly = true;
    box_built(&box);
    char note[PATH_MAX];
    snprintf(
        note, sizeof note,
        "the file system of \"%s\" cannot map ids: its files show as owned by nobody, and only "
        "what everybody may read can be read\n",
        box.container.rootfs.layers.items[0]);
    CHECK(strstr(sandbox_notes(box.sandbox), note));
    CHECK_TEXT(box_shell(&box, "stat -c %u /bin/busybox"), "65534");
    box_remove(&box);
    CHECK(umount2(box_path(&box, "ram"), MNT_DETACH) == 0);
    CHECK(error == -EOPNOTSUPP);
    box_close(&box);
}

/* ---- mounts and volumes ---- */

TEST(binds) {
    open_with_root();
    make_directory("www/sub");
    write_file("www/page", "hello");
    struct mount mounts[] = {
        {.type = MOUNT_BIND,
         .source = box_keep(&box, box_path(&box, "www/page")),
         .target = (char *)"/srv/www/one",
         .recursive = true},
        {.type = MOUNT_BIND,
         .source = box_keep(&box, box_path(&box, "www")),
         .target = (char *)"/srv/www",
         .readonly = true,
         .recursive = true},
        {.type = MOUNT_BIND,
         .source = (char *)"/nowhere",
         .target = (char *)"/srv/none",
         .optional = true},
    };
    use_layers("root", NULL);
    box.container.mounts.items = mounts;
    box.container.mounts.count = 1;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "cat /srv/www/one; stat -c %u /srv/www/one"), "hello65534");
    box_remove(&box);
    box.container.mounts.items = mounts + 1;
    box.container.mounts.count = 2;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "cat /srv/www/page; echo x >/srv/www/new; ls /srv"),
               "hello/bin/sh: can't create /srv/www/new: Read-only file system\nwww");
    box_remove(&box);
    mounts[2].optional = false;
    expect_failure("mounts: cannot bind \"/nowhere\" to \"/srv/none\": No such file or directory");
    box_close(&box);
}

TEST(targets_that_are_refused) {
    open_with_root();
    CHECK(symlink("../../../../etc", box_path(&box, "root/climbs")) == 0);
    CHECK(symlink("/srv/host", box_path(&box, "root/nowhere")) == 0);
    CHECK(symlink("/etc", box_path(&box, "root/inside")) == 0);
    struct mount mount = {.type = MOUNT_TMPFS, .size = 4096, .mode = MODE_UNSET};
    box.container.mounts.items = &mount;
    box.container.mounts.count = 1;
    mount.target = (char *)"/climbs/x";
    expect_failure("mounts: target \"/climbs/x\" leaves the root through a symlink or \"..\"");
    mount.target = (char *)"/nowhere";
    expect_failure("mounts: target \"/nowhere\" leads through a symlink to \"/srv\", which does "
                   "not exist inside the root");
    mount.target = (char *)"/proc/sys";
    expect_failure(
        "mounts: target \"/proc/sys\" lies in /proc or /sys, where nothing can be mounted");
    mount.target = (char *)"/sys";
    expect_failure("mounts: target \"/sys\" lies in /proc or /sys, where nothing can be mounted");
    mount.target = (char *)"/";
    expect_failure("mounts: target \"/\" is the root itself");
    mount.target = (char *)"/etc/passwd";
    expect_failure("mounts: target \"/etc/passwd\" is no directory, the source is one");
    mount.target = (char *)"/x";
    mount.owner = (char *)"nobody-knows";
    CHECK(box_build(&box) < 0 && strstr(box.fault.text, "nobody-knows"));
    box_remove(&box);
    mount.owner = (char *)"70000";
    expect_failure("mounts: \"/x\": owner 70000 lies beyond the unit's 65536 ids");
    mount.owner = NULL;
    mount.target = (char *)"/inside/deeper";
    box_built(&box);
    CHECK_TEXT(
        box_shell(&box, "stat -c %a /etc/deeper; grep -c ' /etc/deeper ' /proc/self/mountinfo"),
        "755\n1");
    box_remove(&box);
    box.container.rootfs.readonly = true;
    mount.target = (char *)"/not/there";
    expect_failure("mounts: target \"/not/there\" does not exist and cannot be made: the root is "
                   "read-only; a tmpfs above it would do, or a layer that has it");
    box_close(&box);
}

/* In a tmpfs of the unit's own they are made, whatever the root is; in what lies on the host, not
 * under a root that is only read. */
TEST(targets_in_a_tmpfs) {
    struct volume volume = {.name = (char *)"site", .target = (char *)"/etc/a/site", .mode = 0755};
    struct mount mounts[] = {
        {.type = MOUNT_BIND, .target = (char *)"/etc/b/inner", .recursive = true},
        {.type = MOUNT_TMPFS, .target = (char *)"/etc", .size = 1 << 20, .mode = MODE_UNSET}};
    open_with_root();
    make_directory("shared");
    mounts[0].source = box_keep(&box, box_path(&box, "shared"));
    box.container.rootfs.readonly = true;
    box.container.volumes.items = &volume;
    box.container.volumes.count = 1;
    box.container.mounts.items = mounts;
    box.container.mounts.count = 2;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "stat -c %u:%a /etc/a; ls /etc/b; touch /etc/a/site/x /z"),
               "0:755\ninner\ntouch: /z: Read-only file system");
    CHECK(access(box_path(&box, "state/volumes/site/x"), F_OK) == 0);
    CHECK(access(box_path(&box, "root/etc/a"), F_OK) < 0);
    box_remove(&box);
    volume.target = (char *)"/etc/b/inner/site";
    expect_failure(
        "mounts: volume \"site\": target \"/etc/b/inner/site\" does not exist and cannot "
        "be made: the root is read-only; a tmpfs above it would do, or a layer that has "
        "it");
    mounts[1].readonly = true;
    box.container.volumes.count = 0;
    CHECK(box_build(&box) < 0 && strstr(box.fault.text, "cannot be made"));
    box_remove(&box);
    box.container.rootfs.path = NULL; /* the host's, where /run is the unit's own */
    volume.target = (char *)"/run/deep/site";
    box.container.volumes.count = 1;
    box.container.mounts.count = 0;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "touch /run/deep/site/x && echo fine"), "fine");
    box_close(&box);
}

TEST(images_that_try_to_get_out) {
    static const char *const names[] = {"dev", "proc", "sys"};
    open_with_root();
    make_directory("outside");
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        char path[64], sentence[128];
        snprintf(path, sizeof path, "root/%s", names[i]);
        CHECK(rmdir(box_path(&box, path)) == 0);
        CHECK(symlink(box_path(&box, "outside"), box_path(&box, path)) == 0);
        snprintf(sentence, sizeof sentence, "%s: \"/%s\" of the root is not a real directory",
                 i ? "kernel file systems" : "devices", names[i]);
        expect_failure(sentence);
        CHECK(rmdir(box_path(&box, "outside")) == 0); /* nothing was made in it */
        make_directory("outside");
        CHECK(unlink(box_path(&box, path)) == 0);
        make_directory(path);
    }
    /* Users are looked up in the root alone, whatever its files are. */
    CHECK(unlink(box_path(&box, "root/etc/passwd")) == 0);
    CHECK(symlink("/../../../../../../etc/passwd", box_path(&box, "root/etc/passwd")) == 0);
    box_built(&box);
    BOX_COMMAND(command, (char *)"/bin/id");
    struct run_request request = {
        .place = RUN_MAIN, .exec = &command, .ready_fd = -1, .user = "daemon"};
    CHECK(box_run_request(&box, &request, NULL) == -ECANCELED);
    CHECK_TEXT(box.fault.text,
               "credentials: cannot open the root's /etc/passwd: Too many levels of "
               "symbolic links");
    box_close(&box);
}

TEST(volumes) {
    struct volume volume = {.name = (char *)"data", .target = (char *)"/data", .mode = 0700};
    open_with_root();
    box.container.process.user = (char *)"web";
    box.container.volumes.items = &volume;
    box.container.volumes.count = 1;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "echo kept >/data/file; stat -c '%u:%g:%a' /data /data/file"),
               "33:44:700\n33:44:644");
    struct stat status;
    CHECK(stat(box_path(&box, "state/volumes/data/file"), &status) == 0);
    CHECK(status.st_uid == 33 && status.st_gid == 44);
    CHECK(stat(box_path(&box, "state/volumes"), &status) == 0);
    CHECK(status.st_uid == 0 && (status.st_mode & 07777) == 0700);
    box_remove(&box);
    /* Another unit, another range, the same owners. */
    box.container.name = (char *)"other";
    volume.readonly = true;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "cat /data/file; stat -c %u /data/file; touch /data/x"),
               "kept\n33\ntouch: /data/x: Read-only file system");
    box_remove(&box);
    CHECK(runtime_remove_volume(box.runtime, "data", &box.fault) == 0);
    CHECK(access(box_path(&box, "state/volumes/data"), F_OK) < 0);
    CHECK(runtime_remove_volume(box.runtime, "../uppers", &box.fault) == -EINVAL);
    CHECK_TEXT(box.fault.text, "\"../uppers\" is no name of a unit or a volume");
    box_close(&box);
}

TEST(volumes_whose_ids_cannot_be_mapped) {
    struct volume volume = {.name = (char *)"data", .target = (char *)"/data", .mode = 0700};
    char sentence[PATH_MAX + 256];
    open_with_root();
    box.container.volumes.items = &volume;
    box.container.volumes.count = 1;
    const char *place = box_keep(&box, box_path(&box, "state/volumes"));
    CHECK(mount("ramfs", place, "ramfs", 0, "mode=0700") == 0);
    int error = box_build(&box);
    snprintf(sentence, sizeof sentence,
             "mounts: volume \"data\": the file system of \"%s/data\" cannot map ids: keep volumes "
             "on one that can, or use the host's user namespace",
             place);
    CHECK_TEXT(box.fault.text, sentence);
    box_remove(&box);
    box.container.namespaces.choices[NAMESPACE_USER].mode = NAMESPACE_HOST;
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "echo fine >/data/file; cat /data/file"), "fine");
    box_remove(&box);
    CHECK(umount2(place, MNT_DETACH) == 0);
    CHECK(error == -EOPNOTSUPP);
    box_close(&box);
}

TEST_MAIN
