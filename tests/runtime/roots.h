#pragma once
/* Roots of one static program, and layers made of them. For the test programs of rootfs. */

#include "tests/runtime/box.h"

static struct box box;

#define BUSYBOX "/bin/busybox"

static inline void make_directory(const char *name) {
    CHECK(directory_make(AT_FDCWD, box_path(&box, name), 0755, NULL) == 0);
}

static inline void write_file(const char *name, const char *text) {
    int fd = open(box_path(&box, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* A root of one static program: SCRATCH/NAME. */
static inline void make_root(const char *name) {
    static const char *const tools[] = {"sh",   "cat",  "ls",    "echo", "id",    "touch",
                                        "stat", "grep", "mkdir", "cut",  "mount", "sleep"};
    static const char *const directories[] = {"bin", "dev", "proc", "sys", "etc", "tmp"};
    char path[256], command[1024];
    for (size_t i = 0; i < ELEMENTS(directories); i++) {
        snprintf(path, sizeof path, "%s/%s", name, directories[i]);
        make_directory(path);
    }
    snprintf(command, sizeof command, "cp " BUSYBOX " %s/bin/busybox", box_path(&box, name));
    CHECK(system(command) == 0);
    for (size_t i = 0; i < ELEMENTS(tools); i++) {
        snprintf(path, sizeof path, "%s/bin/%s", name, tools[i]);
        CHECK(symlink("busybox", box_path(&box, path)) == 0);
    }
    snprintf(path, sizeof path, "%s/etc/passwd", name);
    write_file(path, "root:x:0:0::/root:/bin/sh\nweb:x:33:44::/srv/web:/bin/sh\n");
    snprintf(path, sizeof path, "%s/etc/group", name);
    write_file(path, "root:x:0:\nwww:x:44:\nlogs:x:50:web\n");
}

static inline void open_with_root(void) {
    box_open(&box);
    if (access(BUSYBOX, X_OK) < 0)
        SKIP("needs a static busybox");
    make_root("root");
    CHECK(chmod(box.directory, 0700) == 0); /* or a writable root in it would be refused */
    box.container.rootfs.path = box_keep(&box, box_path(&box, "root"));
}

static inline void use_layers(const char *first, const char *second) {
    static char *layers[3];
    layers[0] = box_keep(&box, box_path(&box, first));
    layers[1] = second ? box_keep(&box, box_path(&box, second)) : NULL;
    box.container.rootfs.path = NULL;
    box.container.rootfs.layers = (struct strings){layers, second ? 2 : 1};
}

static inline void expect_failure(const char *sentence) {
    CHECK(box_build(&box) < 0);
    CHECK_TEXT(box.fault.text, sentence);
    box_remove(&box);
}
